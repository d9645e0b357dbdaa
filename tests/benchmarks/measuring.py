"""How long things take beside each other: in alternating rounds, so that a busy moment of the machine hits all."""

from __future__ import annotations

import logging
import math
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from inspect import isawaitable
from pathlib import Path

import structlog

Act = Callable[[], Awaitable[object] | object]
Clock = Callable[[], float]


async def race(
    *acts: Act, rounds: int, each: int | Sequence[int], warm: int = 1, clock: Clock = time.perf_counter
) -> list[list[float]]:
    """Runs every act so often in every round; what each run took, in microseconds, by act.

    `time.process_time` as the clock gives the CPU, that of all threads of this process.
    """
    times = [each] * len(acts) if isinstance(each, int) else each
    taken: list[list[float]] = [[] for _ in acts]
    for number in range(rounds):
        for act, runs, mine in zip(acts, times, taken, strict=True):
            for _ in range(warm if number == 0 else 0):
                await _run(act, clock)
            mine += [await _run(act, clock) for _ in range(runs)]
    return taken


async def medians(
    *acts: Act, rounds: int, each: int | Sequence[int], warm: int = 1, clock: Clock = time.perf_counter
) -> list[float]:
    return [statistics.median(taken) for taken in await race(*acts, rounds=rounds, each=each, warm=warm, clock=clock)]


async def _run(act: Act, clock: Clock) -> float:
    start = clock()
    done = act()
    if isawaitable(done):
        await done
    return (clock() - start) * 1e6


def quantile(taken: Sequence[float], percent: int) -> float:
    return sorted(taken)[math.ceil(len(taken) * percent / 100) - 1]


@contextmanager
def append(
    folder: Path, name: str = "append", *, slower: float = 0, in_place: bool = False
) -> Iterator[Callable[[], None]]:
    """What the disk takes for the least that can be durable: 4 KiB at the end of a file, each fsync so much slower.

    `in_place` writes over the same 4 KiB each time, which spares the file system the new length.
    """
    descriptor = os.open(folder / name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    durable = getattr(os, "fdatasync", os.fsync)

    def act() -> None:
        if in_place:
            os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, b"x" * 4096)
        if slower:
            time.sleep(slower)
        durable(descriptor)

    try:
        yield act
    finally:
        os.close(descriptor)


@asynccontextmanager
async def quiet() -> AsyncIterator[None]:
    """Without log lines; the terminal's speed is not what is measured."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.reset_defaults()
