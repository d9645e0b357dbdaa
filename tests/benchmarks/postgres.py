"""The PostgreSQL store beside the embedded one and beside statements sent by hand, where a server answers.

python -m tests.benchmarks.postgres
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle

import psycopg

from storage import open_store
from storage.records import encode
from tests.benchmarks import Row, Skipped, at_most, beside
from tests.benchmarks.measuring import medians
from tests.benchmarks.stores import STATES, Ours, ours
from tests.fakes import FakeClock
from tests.scale.state import Scene, Size, mac_of
from tests.storage import postgres

DEVICES, TASKS, EACH, ROUNDS = 10_000, 32, 12, 3
EMBEDDED = "the embedded store"


class ByHand:
    """One prepared statement on a connection of its own; what comes back is as psycopg gives it."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        device = Scene(Size(DEVICES, 0)).device(0)
        self._connection, self._mac, self._states = connection, device.mac, cycle(STATES)
        self._doc = json.dumps(encode(device) | {"version": 1})

    async def get(self) -> object:
        cursor = await self._connection.execute("SELECT doc FROM devices WHERE key = %s", (self._mac,))
        return await cursor.fetchone()

    async def change(self) -> None:
        values = (next(self._states).value, self._doc, self._mac)
        await self._connection.execute("UPDATE devices SET ix_state = %s, doc = %s WHERE key = %s", values)


async def run() -> list[Row | Skipped]:
    if reason := postgres.why_not():
        return [Skipped("PostgreSQL", reason)]
    with tempfile.TemporaryDirectory() as name, postgres.schema() as url:
        async with ours(f"tinydb:{name}/store", DEVICES) as embedded, ours(url, DEVICES) as shared:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE devices")
            async with await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=0) as connection:
                rows = await _one_at_a_time(embedded, shared, ByHand(connection))
            return [*rows, *await _several(shared, url)]


async def _one_at_a_time(embedded: Ours, shared: Ours, hand: ByHand) -> list[Row]:
    get, here, by_hand = await medians(shared.get, embedded.get, hand.get, rounds=10, each=100, warm=20)
    change, change_here, change_by_hand, unit, unit_here = await medians(
        shared.change, embedded.change, hand.change, shared.unit, embedded.unit, rounds=20, each=20, warm=20
    )
    return [
        beside("PostgreSQL: get a device by MAC", get, here, EMBEDDED),
        beside("the same", get, by_hand, "a raw SELECT by psycopg"),
        at_most("PostgreSQL: change a device, durable", change, change_here, 2.5, EMBEDDED),
        beside("the same", change, change_by_hand, "a raw UPDATE by psycopg"),
        at_most("PostgreSQL: a unit of work, device and fact", unit, unit_here, 2.5, EMBEDDED),
    ]


async def _several(first: Ours, url: str) -> list[Row]:
    """Two instances on one database beside one, as many tasks in all."""
    second = await open_store(url, clock=FakeClock())
    try:
        macs = [mac_of(number) for number in range(1, TASKS + 1)]
        one, two = [], []
        for _ in range(ROUNDS):
            one.append(await _together([await Ours(first.store, mac).take() for mac in macs]))
            stores = cycle((first.store, second))
            two.append(await _together([await Ours(next(stores), mac).take() for mac in macs]))
    finally:
        await second.close()
    units = TASKS * EACH
    mine, theirs = (statistics.median(taken) / units * 1e6 for taken in (two, one))
    return [beside(f"PostgreSQL: a unit, {TASKS} tasks on two instances", mine, theirs, "the same on one instance")]


async def _together(devices: Sequence[Ours]) -> float:
    async def work(mine: Ours) -> None:
        for _ in range(EACH):
            await mine.unit()

    start = time.perf_counter()
    await asyncio.gather(*map(work, devices))
    return time.perf_counter() - start


if __name__ == "__main__":
    from tests.benchmarks.tables import told

    told(asyncio.run(run()))
