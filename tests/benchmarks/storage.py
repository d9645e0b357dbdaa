"""The embedded store against stock TinyDB, hand-written SQLite and the disk itself.

python -m tests.benchmarks.storage
"""

import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tinydb import Query, TinyDB

from provisioning.events import DeviceMoved
from provisioning.model import Change, Device, State, stored
from storage import open_store
from storage.records import encode
from tests.benchmarks import Row
from tests.fakes import FakeClock
from tests.storage.samples import NOW, device

DOCUMENTS = 10_000
SOME = device(DOCUMENTS // 2).mac


def fleet() -> list[Device]:
    return [device(n, f"Oslo/{n % 40}/{n}") for n in range(DOCUMENTS)]


def timed(act: Callable[[], object], times: int) -> float:
    """The median of single runs, in microseconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e6


async def timed_async(act: Callable, times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        await act()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e6


def stock(folder: Path) -> dict[str, float]:
    file = folder / "stock.json"
    documents = {str(n): encode(each) for n, each in enumerate(fleet(), start=1)}
    file.write_text(json.dumps({"devices": documents}))
    with TinyDB(file) as db:
        table = db.table("devices", cache_size=0)
        return {
            "get": timed(lambda: table.get(Query().mac == SOME), 3),
            "update": timed(lambda: table.update({"state": "signed_in"}, Query().mac == SOME), 3),
            "open": timed(lambda: TinyDB(file).table("devices").get(doc_id=1), 3),
        }


def by_hand(folder: Path) -> float:
    """One look-up in SQLite, as short as it can be written: a statement, a row, its JSON."""
    connection = sqlite3.connect(folder / "hand.sqlite3")
    connection.execute("CREATE TABLE devices (mac TEXT PRIMARY KEY, doc TEXT)")
    connection.executemany("INSERT INTO devices VALUES (?, ?)", ((d.mac, json.dumps(encode(d))) for d in fleet()))
    connection.commit()

    def get() -> object:
        return json.loads(connection.execute("SELECT doc FROM devices WHERE mac = ?", (SOME,)).fetchone()[0])

    try:
        return timed(get, 2000)
    finally:
        connection.close()


def one_append(folder: Path) -> float:
    """What the disk takes for the least that can be durable: 4 KiB at the end of a file."""
    descriptor = os.open(folder / "append", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    durable = getattr(os, "fdatasync", os.fsync)
    try:
        return timed(lambda: (os.write(descriptor, b"x" * 4096), durable(descriptor)), 300)
    finally:
        os.close(descriptor)


async def ours(folder: Path) -> dict[str, float]:
    url = f"tinydb:{folder / 'store'}"
    store = await open_store(url, clock=FakeClock())
    devices = fleet()
    for start in range(0, DOCUMENTS, 500):
        await store.save(Change(puts=tuple(devices[start : start + 500])))
    record = stored(devices[DOCUMENTS // 2])

    async def change() -> None:
        nonlocal record
        state = State.SIGNED_OUT if record.state is State.SIGNED_IN else State.SIGNED_IN
        await store.save(Change(puts=(replace(record, state=state),)))
        record = replace(record, state=state, version=record.version + 1)

    async def unit() -> None:
        nonlocal record
        fact = DeviceMoved(at=NOW, actor="dana", subject=record.mac, before="a", after="b")
        await store.save(Change(puts=(record,), events=(fact,)))
        record = stored(record)

    found = {
        "get": await timed_async(lambda: store.get(Device, SOME), 2000),
        "update": await timed_async(change, 300),
        "unit": await timed_async(unit, 300),
        "page": await timed_async(lambda: store.find(Device, site="oslo", limit=10), 200),
        "tally": await timed_async(store.tally, 200),
    }
    await store.close()

    async def open_and_get() -> float:
        start = time.perf_counter()
        opened = await open_store(url, clock=FakeClock())
        await opened.get(Device, SOME)
        taken = time.perf_counter() - start
        await opened.close()
        return taken * 1e6

    return found | {"open": statistics.median([await open_and_get() for _ in range(9)])}


async def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        we, they, hand, append = await ours(folder), stock(folder), by_hand(folder), one_append(folder)

    def times_faster(name: str, what: str, least: float) -> Row:
        ratio = they[what] / we[what]
        return Row(name, we[what], they[what], ratio, f"≥ {least:,.0f}× stock TinyDB", ratio >= least)

    def times_slower(name: str, mine: float, anchor: float, most: float, of: str) -> Row:
        return Row(name, mine, anchor, mine / anchor, f"≤ {most}× {of}", mine / anchor <= most)

    return [
        times_faster("get a device by MAC, 10 000 devices", "get", 2000),
        times_slower("the same", we["get"], hand, 4, "hand-written SQLite that stops at the JSON"),
        times_faster("change one device, durable, 10 000 devices", "update", 300),
        times_slower("a unit: device and fact", we["unit"], append, 5, "one fdatasync append"),
        times_faster("open and read one device", "open", 10),
        times_slower("a page of 10 by site", we["page"], hand * 10, 10, "ten look-ups by hand"),
        times_slower("the tally", we["tally"], 1000, 1, "1 ms"),
    ]


if __name__ == "__main__":
    for row in asyncio.run(run()):
        mark = "met" if row.met else "MISSED"
        print(f"{row.name:46} {row.ours:10.0f} µs {row.anchor:12.0f} µs {row.ratio:9.1f}×  {row.target}  {mark}")
