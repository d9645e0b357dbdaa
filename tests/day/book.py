"""What is measured: each kind of turn and call, and what the service's processes take meanwhile."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.measuring import quantile
from tests.soak.service import processor_seconds

EVERY = 1.0  # seconds between two looks at a process
_MOST_TOLD = 20  # faults that are kept in words


@dataclass
class Book:
    """Seconds by kind, of what was due while it is open. What goes wrong is always written down."""

    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)
    opened: float = 0.0
    closed: float = 0.0

    @contextmanager
    def measuring(self) -> Iterator[None]:
        self.opened = time.monotonic()
        try:
            yield
        finally:
            self.closed = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.closed - self.opened

    def took(self, kind: str, due: float, ended: float | None = None) -> None:
        """From when it was due, so that a wait for the one before it counts too."""
        if self.opened and due >= self.opened and not (self.closed and due > self.closed):
            self.taken[kind].append((ended or time.monotonic()) - due)

    def fault(self, kind: str, words: object) -> None:
        self.faults[kind] += 1
        if len(self.words) < _MOST_TOLD:
            self.words.append(f"{kind}: {words}"[:400])

    def p(self, kind: str, percent: int) -> float:
        """Seconds."""
        return quantile(self.taken[kind], percent)

    def all_of(self, prefix: str) -> list[float]:
        return [each for kind, taken in self.taken.items() if kind.startswith(prefix) for each in taken]


@dataclass
class Watched:
    """One process: its clock, its processor seconds and its memory, once a second."""

    pid: int
    looks: list[tuple[float, float, float]] = field(default_factory=list)  # monotonic, CPU seconds, MB

    @property
    def load(self) -> float:
        """Percent of one core, on average."""
        (began, first, _), (ended, last, _) = self.looks[0], self.looks[-1]
        return 100 * (last - first) / (ended - began)

    @property
    def memory(self) -> tuple[float, float]:
        """MB at the start and in the end, each the median of some seconds."""
        sizes = [size for _at, _cpu, size in self.looks]
        return statistics.median(sizes[:5]), statistics.median(sizes[-5:])

    @property
    def slope(self) -> float:
        """MB an hour, by least squares; a short morning says little."""
        hours, sizes = [at / 3600 for at, _cpu, _size in self.looks], [size for _at, _cpu, size in self.looks]
        return statistics.linear_regression(hours, sizes).slope


def resident(pid: int) -> float:
    """MB (proc(5), `statm`); 0 where nobody says so."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@asynccontextmanager
async def watching(pids: Sequence[int]) -> AsyncIterator[list[Watched]]:
    watched = [Watched(pid) for pid in pids]

    def look() -> None:
        for each in watched:
            each.looks.append((time.monotonic(), processor_seconds(each.pid, 0.0), resident(each.pid)))

    async def looks() -> None:
        while True:
            look()
            await asyncio.sleep(EVERY)

    task = asyncio.create_task(looks())
    try:
        yield watched
    finally:
        task.cancel()
        look()
