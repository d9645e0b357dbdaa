"""kill -9, at random moments and at named ones, of a process with 32 writers; every fifth time in a new folder."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash import Result, scratch
from tests.crash.stories import examine
from tests.crash.vfs import hidden

HOUSE = Path(__file__).parents[2]
READY_SECONDS = 5
_LIVES = 5  # of a folder
_LINES = 1500  # acknowledged units before a random kill, at most

# What is going on when the process dies: (kind of call, end of the file's name, before or after it, up to which one)
POINTS = {
    "the schema is made": ("", "", "before", 190),
    "a commit is written": ("write", "-wal", "before", 4000),
    "a commit is synced": ("sync", "-wal", "before", 60),
    "a commit was synced and is acknowledged": ("sync", "-wal", "after", 60),
    "a checkpoint writes": ("write", "store.sqlite3", "before", 600),
    "a checkpoint is synced": ("sync", "store.sqlite3", "before", 6),
    "the log is emptied": ("truncate", "-wal", "before", 4),
    "the log is deleted": ("delete", "-wal", "before", 2),
}


@contextmanager
def writing(folder: Path, how: str, *death: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.crash.writing", str(folder), how, *death]
    process = subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@dataclass
class Tally:
    kills: int = 0
    units: int = 0  # acknowledged
    slowest: float = 0.0
    violations: list[str] = field(default_factory=list)

    @property
    def figures(self) -> str:
        return f"{self.kills} kills, {self.units} acknowledged units, ready in {self.slowest * 1000:.0f} ms at most"


def _acknowledged(lines: list[str], before: dict[int, int]) -> dict[int, int]:
    """Units of each writer; the last line may be cut short."""
    whole = (line.split() for line in lines if line.endswith("\n"))
    return before | {int(writer): int(units) for writer, units in whole}


def killed_at_random(folder: Path, how: str, rng: random.Random, most: int = _LINES) -> list[str]:
    """What the process said until it was killed."""
    with writing(folder, how) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(rng.randint(1, most))]
        time.sleep(rng.random() / 100)  # so that death does not always come just after a commit
        process.kill()
        return lines + process.stdout.readlines()


def killed_at_point(folder: Path, point: str, rng: random.Random) -> list[str]:
    kind, file, moment, most = POINTS[point]
    with writing(folder, "honest", kind, file, moment, str(rng.randint(1, most))) as process:
        assert process.stdout
        lines = process.stdout.readlines()
        if process.wait() != -signal.SIGKILL:
            raise RuntimeError(f"The process did not die when {point}.")
        return lines


class Folders:
    """Where stores are killed, again and again, and looked at after each time."""

    def __init__(self, root: Path, tally: Tally) -> None:
        self._root, self._tally = root, tally
        self._units: dict[int, int] = {}  # how far each writer had come

    @property
    def folder(self) -> Path:
        return self._root / str(self._tally.kills // _LIVES)

    async def look(self, lines: list[str], when: str) -> None:
        acknowledged = _acknowledged(lines, self._units)
        found = await examine(self.folder, acknowledged)
        tally = self._tally
        tally.violations += [f"{when}: {what}" for what in found.violations]
        if found.seconds > READY_SECONDS:
            tally.violations.append(f"{when}: ready after {found.seconds:.1f} s")
        tally.units += sum(acknowledged.values()) - sum(self._units.values())
        tally.slowest = max(tally.slowest, found.seconds)
        tally.kills += 1
        self._units = found.units if tally.kills % _LIVES else {}


async def random_kills(trials: int, seed: int) -> Result:
    rng, tally = random.Random(seed), Tally()
    with scratch(synced=True) as root:
        folders = Folders(root, tally)
        for trial in range(trials):
            await folders.look(killed_at_random(folders.folder, "honest", rng), f"kill {trial}")
    return Result("killed: at random", tally.figures, tally.violations)


async def named_kills(trials: int, seed: int) -> Result:
    """Each point in turn. The first life of each folder is for the schema, which is made in a new one only."""
    if reason := hidden():
        return Result("killed: at named points", "", skipped=reason)
    rng, tally = random.Random(seed), Tally()
    later = [point for point in POINTS if point != "the schema is made"]
    with scratch(synced=True) as root:
        folders = Folders(root, tally)
        for trial in range(trials):
            point = later[trial % len(later)] if trial % _LIVES else "the schema is made"
            await folders.look(killed_at_point(folders.folder, point, rng), f"kill {trial}, when {point}")
    return Result("killed: at named points", tally.figures, tally.violations)


async def early_kills(trials: int, seed: int) -> Result:
    rng, tally = random.Random(seed), Tally()
    with scratch(synced=True) as root:
        for trial in range(trials):
            folders = Folders(root / str(trial), tally)
            lines = killed_at_random(folders.folder, "early", rng, 100)
            await folders.look(lines, f"kill {trial}")
    lost = sum("lost" in said for said in tally.violations)
    return Result("killed: acknowledging early", f"{lost} units lost in {trials} kills", tally.violations, control=True)
