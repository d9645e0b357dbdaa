"""Stock TinyDB, the control: its one JSON file after a power loss, and after kill -9 between two of its file calls.

python -m tests.crash.stock FILE KIND N
"""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tinydb import TinyDB
from tinydb.storages import JSONStorage

from tests.crash import Result, scratch, swapped
from tests.crash.disk import power_losses, write_out
from tests.crash.vfs import Op

HOUSE = Path(__file__).parents[2]
FILE = "db.json"
_UNITS = 12
_POINTS = [(kind, n) for n in range(_UNITS, 0, -1) for kind in ("truncate", "write")]  # the last unit makes it shorter

Told = Callable[[Op], None]


class WatchedFile(io.FileIO):
    """The raw file under TinyDB's handle: says what is about to be done to it."""

    def __init__(self, path: str | Path, tell: Told) -> None:
        super().__init__(path, "r+")
        self._tell = tell

    def write(self, data: Any) -> int:
        self._tell(Op("write", FILE, self.tell(), bytes(data)))
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        self._tell(Op("truncate", FILE, self.tell() if size is None else size))
        return super().truncate(size)


class WatchedStorage(JSONStorage):
    def __init__(self, path: Path, tell: Told) -> None:
        super().__init__(str(path), encoding="utf-8")
        self._handle.close()
        self._handle = io.TextIOWrapper(io.BufferedRandom(WatchedFile(path, tell)), encoding="utf-8")


def write_units(path: Path, tell: Told, acknowledge: Callable[[], None]) -> None:
    """Two documents are added, one is removed, and so on: the file grows and shrinks."""
    with TinyDB(path, tell, storage=WatchedStorage) as db:
        for n in range(_UNITS):
            if n % 3 == 2:
                db.remove(doc_ids=[n - n // 3 - 1])
            else:
                db.insert({"n": n, "notes": f"unit {n} " * 60})
            acknowledge()


def _documents_after(units: int) -> set[int]:
    there: list[int] = []
    for n in range(units):
        there = there[:-2] + there[-1:] if n % 3 == 2 else [*there, n]
    return set(there)


def stock_violations(path: Path, acknowledged: int) -> list[str]:
    """Unreadable, or in none of the states that the last acknowledged unit and the one after it leave."""
    try:
        with TinyDB(path) as db:
            found = {doc["n"] for doc in db}
    except Exception as error:
        return [f"unreadable: {type(error).__name__}"]
    expected = [_documents_after(units) for units in range(acknowledged, _UNITS + 1)]
    return [] if found in expected else [f"lost: {acknowledged} units were acknowledged"]


def stock_after_power_losses(trials: int, seed: int) -> Result:
    """The file exists and is durable before the first unit."""
    log: list[Op] = []
    said: list[str] = []
    with scratch() as folder:
        path = folder / FILE
        with swapped(os, "fsync", lambda _descriptor: log.append(Op("sync", FILE))):
            write_units(path, log.append, partial(log.append, Op("ack")))
        states = power_losses(log, random.Random(seed), each=trials, start={FILE: b""})
        for number, state in enumerate(states):
            write_out(state.image, folder / str(number))
            said += stock_violations(folder / str(number) / FILE, state.acknowledged.get(0, 0))
    return Result("power: stock TinyDB", f"{len(said)} of {len(states)} states", said, control=True)


def stock_after_kills(trials: int) -> Result:
    said: list[str] = []
    points = _POINTS[:trials]
    with scratch() as folder:
        for kind, n in points:
            path = folder / f"{kind}-{n}.json"
            command = [sys.executable, "-m", "tests.crash.stock", str(path), kind, str(n)]
            done = subprocess.run(command, cwd=HOUSE, stdout=subprocess.PIPE, check=False)
            said += stock_violations(path, done.stdout.count(b"\n"))
    return Result("killed: stock TinyDB", f"{len(said)} of {len(points)} kills leave it unreadable", said, control=True)


def die_at(kind: str, n: int) -> Told:
    left = n

    def tell(op: Op) -> None:
        nonlocal left
        left -= op.kind == kind
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return tell


if __name__ == "__main__":
    write_units(Path(sys.argv[1]), die_at(sys.argv[2], int(sys.argv[3])), lambda: os.write(1, b"\n") and None)
