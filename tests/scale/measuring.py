"""How long something takes, and how long it keeps the event loop from everybody else."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Act = Callable[[], Awaitable[object]]

STALL = 50.0  # milliseconds in which nobody else gets a turn
TICK = 0.001


@dataclass(frozen=True)
class Target:
    """Milliseconds that a quantile of the runs may take; None: as long as it must, if others get their turns."""

    percent: int = 99
    most: float | None = None

    def __str__(self) -> str:
        return "others get their turns" if self.most is None else f"p{self.percent} ≤ {self.most:g} ms"


PAGE = Target(50, 1.0)
TURN = Target(99, 50.0)
LONG = Target()


@dataclass(frozen=True)
class Line:
    """One thing that was asked, in milliseconds. `stall` is the longest that the event loop stood still for it."""

    name: str
    runs: Sequence[float]
    stall: float
    target: Target
    note: str = ""

    def quantile(self, percent: int) -> float:
        return sorted(self.runs)[math.ceil(len(self.runs) * percent / 100) - 1]

    @property
    def faults(self) -> list[str]:
        slow = self.target.most is not None and self.quantile(self.target.percent) > self.target.most
        return [*(["slow"] if slow else []), *([f"stalls {self.stall:.0f} ms"] if self.stall > STALL else [])]


@dataclass
class Book:
    """What was measured, in order; each line is told as it comes."""

    tell: Callable[[str], None]
    most: int = 200  # times that anything is asked
    lines: list[Line] = field(default_factory=list)

    async def ask(self, name: str, act: Act, target: Target = TURN, *, times: int = 60, seconds: float = 1.5) -> None:
        """Runs it so often, or for so long; the loop is watched on the way, at first and in between."""
        runs: list[float] = []
        times = min(times, self.most)
        began = time.perf_counter()
        async with stalls() as stalled:
            while len(runs) < times and (len(runs) < min(3, times) or time.perf_counter() - began < seconds):
                start = time.perf_counter()
                await act()
                runs.append((time.perf_counter() - start) * 1e3)
                await asyncio.sleep(TICK)  # so that it is seen what kept the loop
        self.note(Line(name, runs, max(stalled), target))

    def note(self, line: Line) -> None:
        self.lines.append(line)
        verdict = ", ".join(line.faults)
        self.tell(
            f"| {line.name} | {_ms(line.quantile(50))} | {_ms(line.quantile(99))} | {_ms(line.stall)} | {line.target}"
            f" | {f'**{verdict}**' if verdict else 'met'}{f' ({line.note})' if line.note else ''} |"
        )


HEAD = "| asked | p50 ms | p99 ms | stall ms | target | |\n|---|---:|---:|---:|---|---|"


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


@asynccontextmanager
async def stalls() -> AsyncIterator[list[float]]:
    """Milliseconds by which a task that wants to run every millisecond came late, as far as this process was at work.

    What other processes took of the machine does not count: a delay is at most the CPU time of all threads in it.
    """
    late = [0.0]

    async def tick() -> None:
        before, worked = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(TICK)
            now, work = time.perf_counter(), time.process_time()
            late.append(min(now - before - TICK, work - worked) * 1e3)
            before, worked = now, work

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        yield late
        await asyncio.sleep(TICK * 2)
    finally:
        ticking.cancel()


async def beside(work: Awaitable[object], turn: Act, pause: float = 0.01) -> tuple[float, list[float]]:
    """How long the work took, and how long each of the turns that were taken beside it, in milliseconds."""
    turns: list[float] = []

    async def take_turns() -> None:
        while True:
            start = time.perf_counter()
            await turn()
            turns.append((time.perf_counter() - start) * 1e3)
            await asyncio.sleep(pause)

    taking, start = asyncio.create_task(take_turns()), time.perf_counter()
    try:
        await work
        return (time.perf_counter() - start) * 1e3, turns
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
