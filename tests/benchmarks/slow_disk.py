"""The embedded store where an fsync takes 2 ms longer, as on a hard disk with a cache or a network volume.

python -m tests.benchmarks.slow_disk
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import Row, Skipped, at_least, at_most
from tests.benchmarks.measuring import append, quantile, race
from tests.benchmarks.stores import Ours, ours
from tests.crash.vfs import delayed_sync, hidden
from tests.scale.state import mac_of

SLOWER = 0.002
DEVICES, TASKS, EACH, FEW, ROUNDS = 1_000, 64, 8, 8, 15


async def run() -> list[Row | Skipped]:
    if reason := hidden():
        return [Skipped("where an fsync takes 2 ms", reason)]
    with tempfile.TemporaryDirectory() as name, delayed_sync(SLOWER), append(Path(name), slower=SLOWER) as disk:
        async with ours(f"tinydb:{name}/store", DEVICES) as one:
            unit, least = await race(one.unit, disk, rounds=10, each=20, warm=5)
            devices = [await Ours(one.store, mac_of(number)).take() for number in range(TASKS)]
            together, alone, latencies = [], [], list[float]()
            for _ in range(ROUNDS):
                alone.append(await _alone(devices))
                together.append((await _together(devices, EACH))[0])
                latencies += (await _together(devices[:FEW], EACH * 4))[1]
    p50, p99 = quantile(latencies, 50), quantile(latencies, 99)
    mine, theirs = statistics.median(together) / (TASKS * EACH) * 1e6, statistics.median(alone) / TASKS * 1e6
    return [
        at_most(
            "a unit of work where an fsync takes 2 ms more",
            statistics.median(unit),
            statistics.median(least),
            1.6,
            "one append and fdatasync, 2 ms more",
        ),
        at_least(f"there: a unit, {TASKS} tasks at once", mine, theirs, 10, "the same one at a time"),
        at_most(f"there: p99 of a unit, {FEW} tasks at once", p99, p50, 3, "their p50"),
    ]


async def _alone(devices: Sequence[Ours]) -> float:
    start = time.perf_counter()
    for each in devices:
        await each.unit()
    return time.perf_counter() - start


async def _together(devices: Sequence[Ours], times: int) -> tuple[float, list[float]]:
    """Seconds for all; microseconds of each unit."""
    taken = []

    async def work(mine: Ours) -> None:
        for _ in range(times):
            start = time.perf_counter()
            await mine.unit()
            taken.append((time.perf_counter() - start) * 1e6)

    start = time.perf_counter()
    await asyncio.gather(*map(work, devices))
    return time.perf_counter() - start, taken


if __name__ == "__main__":
    from tests.benchmarks.tables import told

    told(asyncio.run(run()))
