"""An import as a whole: hidden, in durable units of devices with their facts, then published; and who waits for it.

python -m tests.benchmarks.importing
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from zlib import crc32

from provisioning.batches import Batch
from provisioning.events import DeviceAdded, DeviceMoved, ImportFinished
from provisioning.model import Change, Device, stored
from provisioning.ports import Store
from storage import open_store
from storage.tinydb_layout import LAYOUTS, Layout
from storage.tinydb_schema import make_schema
from tests.benchmarks import Row, at_most, within
from tests.benchmarks.measuring import quantile
from tests.fakes import FakeClock
from tests.scale.state import CITIES, DANA, NOW, mac_of

MANY, LONG, UNIT, PART = 10_000, 30_000, 500, 100  # a part: what the service adds in one step, so that others get in
ROUNDS = 2
BATCH = Batch(id="import", kind="import", by=DANA, by_name="Dana", at=NOW, macs=(), hides=True)
TURNS = 20  # milliseconds between two small units of somebody else
_LAYOUTS = {layout.table: layout for layout in LAYOUTS}


def sheet(many: int) -> Iterator[Device]:
    """Devices as they come out of a sheet: 40 sites, every tenth with a tag."""
    for number in range(many):
        floor = number % 12
        yield Device(
            mac=mac_of(number),
            location=f"{CITIES[number * 7 % len(CITIES)]}/{floor}/{floor}.{number:05d}",
            added_at=NOW,
            added_by=DANA,
            account=f"room-{number}@contoso.com",
            asset_tag=f"AT-{number:06d}",
            tags=("lobby",) if number % 10 == 0 else (),
            batch=BATCH.id,
        )


def units(many: int, size: int = UNIT) -> Iterator[tuple[Device, ...]]:
    devices = sheet(many)
    while unit := tuple(islice(devices, size)):
        yield unit


def fact(device: Device) -> DeviceAdded:
    return DeviceAdded(at=NOW, actor=DANA, subject=device.mac, location=device.location, batch=BATCH.id)


async def imports(store: Store, given: Sequence[tuple[Device, ...]]) -> None:
    """By our store; what stands in the sheet was read before."""
    await store.save(Change(puts=(BATCH,)))
    for devices in given:
        await store.save(Change(puts=devices, events=tuple(map(fact, devices))))
    finished = ImportFinished(at=NOW, actor=DANA, subject=BATCH.id, added=sum(map(len, given)), changed=0)
    await store.save(Change(puts=(replace(stored(BATCH), hides=False),), events=(finished,)))


# ------------------------------------------------------------------ written by hand


class ByHand:
    """The same rows into the same tables, with their indexes and triggers: one executemany a table and unit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection, self._ids = connection, 0
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN")
        make_schema(connection, LAYOUTS, lambda _connection: None)
        connection.execute("COMMIT")

    def imports(self, given: Sequence[tuple[Device, ...]]) -> None:
        batch = '{"id": "import"}'
        row = (1, batch, crc32(batch.encode()), BATCH.id, 1, "1", DANA, "import", 1)
        self._connection.execute(_insert(_LAYOUTS["batches"]), row)
        for devices in given:
            self._unit(devices)
        self._connection.execute('UPDATE "doc:batches" SET ix_hides = 0, version = 2 WHERE key = ?', (BATCH.id,))

    def _unit(self, devices: Sequence[Device]) -> None:
        rows, facts, at = [], [], NOW.isoformat()
        for each in devices:
            self._ids += 1
            rows.append(_row(self._ids, each, at))
            told = {"event": "DeviceAdded", "at": at, "actor": DANA, "subject": each.mac, "location": each.location}
            text = json.dumps(told | {"batch": BATCH.id}, ensure_ascii=False, sort_keys=True)
            digest = hashlib.sha256(text.encode()).hexdigest()
            facts.append((self._ids, text, crc32(text.encode()), each.mac, 0, digest))
        self._connection.execute("BEGIN")
        self._connection.executemany(_insert(_LAYOUTS["devices"]), rows)
        self._connection.executemany(_insert(_LAYOUTS["audit"]), facts)
        self._connection.execute("COMMIT")


def _insert(layout: Layout) -> str:
    names = ", ".join(("id", "doc", "crc", *layout.columns))
    return f'INSERT INTO "doc:{layout.table}" ({names}) VALUES ({", ".join("?" * (3 + len(layout.columns)))})'


def _row(number: int, device: Device, at: str) -> tuple[object, ...]:
    """The document of a new device, and its columns, as short as they can be written."""
    mac, location = device.mac, device.location
    doc = dict.fromkeys(("type", "model", "serial", "software", "technician", "notes", "token", "retry_key"), "")
    none = dict.fromkeys(("code", "retry_until", "provisioned_at", "installed", "problem", "removed_at"))
    doc |= {"mac": mac, "location": location, "added_at": at, "added_by": DANA, "state": device.state.value}
    known = {"life": 1, "account": device.account, "tags": device.tags, "asset_tag": device.asset_tag, "issued": 0}
    last = {"reset_token": "", "renewals": [], "batch": device.batch, "version": 1}
    text = json.dumps(doc | none | known | last, ensure_ascii=False)
    pairs = [mac[at : at + 2] for at in range(0, 12, 2)]
    quads = [mac[at : at + 4] for at in range(0, 12, 4)]
    macs = "\n".join((mac, "-".join(pairs), ":".join(pairs), ".".join(quads), "-".join(quads)))
    words = "\n".join((location, macs, device.account, device.asset_tag, "", "", *device.tags)).lower()
    levels = location.lower().split("/")
    order = "/".join((levels[0], levels[1].zfill(12), ".".join(part.zfill(12) for part in levels[2].split("."))))
    columns = {
        "key": mac,
        "version": 1,
        "ord": f"{order}\x1f{mac}",
        "ix_site": levels[0],
        "ix_place": levels[2],
        "ix_location": location.lower(),
        "ix_suffix": mac[-4:],
        "ix_state": device.state.value,
        "ix_technician": "",
        "ix_open": 1,
        "ix_batch": device.batch,
        "ix_vendor": "yealink",
        "ix_text": words,
        "ix_tag": json.dumps(device.tags) if device.tags else None,
    } | dict.fromkeys(("ix_installed", "ix_problem", "ix_removed"), 0)
    return (number, text, crc32(text.encode()), *map(columns.get, _LAYOUTS["devices"].columns))


# ------------------------------------------------------------------ measured


async def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        ours, theirs = [], []
        given = list(units(MANY))
        for turn in range(ROUNDS):
            theirs.append(await asyncio.to_thread(by_hand, Path(name) / f"hand-{turn}.sqlite3", given))
            ours.append(await _by_store(Path(name) / f"ours-{turn}", given))
        small = await _beside(Path(name) / "beside")
    what = f"an import of {MANY:,} devices with facts, hidden, published"
    return [
        at_most(what, min(ours), min(theirs), 2, "the same tables written by hand"),
        within(f"a small unit while {LONG:,} devices are imported, p99", quantile(small, 99), 100_000),
    ]


def by_hand(file: Path, given: Sequence[tuple[Device, ...]]) -> float:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        hand = ByHand(connection)
        began = time.perf_counter()
        hand.imports(given)
        return (time.perf_counter() - began) * 1e6


async def _by_store(folder: Path, given: Sequence[tuple[Device, ...]]) -> float:
    store = await open_store(f"tinydb:{folder}", clock=FakeClock(NOW))
    try:
        began = time.perf_counter()
        await imports(store, given)
        return (time.perf_counter() - began) * 1e6
    finally:
        await store.close()


async def _beside(folder: Path, many: int = LONG) -> list[float]:
    """What somebody else's change takes meanwhile until it is durable, the wait for its turn included."""
    store = await open_store(f"tinydb:{folder}", clock=FakeClock(NOW))
    try:
        mine = Device(mac=mac_of(many + 1), location="Oslo/1", added_at=NOW, added_by=DANA)
        await store.save(Change(puts=(mine,)))
        importing = asyncio.create_task(imports(store, list(units(many, PART))))
        taken = []
        while not importing.done():
            began = time.perf_counter()
            mine = stored(mine)
            moved = DeviceMoved(at=NOW, actor=DANA, subject=mine.mac, before="a", after="b")
            await store.save(Change(puts=(mine,), events=(moved,)))
            taken.append((time.perf_counter() - began) * 1e6)
            await asyncio.sleep(TURNS / 1000)
        await importing
        return taken
    finally:
        await store.close()


if __name__ == "__main__":
    from tests.benchmarks.tables import told

    told(asyncio.run(run()))
