"""A process whose disk gets full and free again. Prints what it found wrong, and figures, as JSON.

python -m tests.crash.full_disk FOLDER disk|limit

`disk`: FOLDER is a small file system of its own, and a ballast file fills it. `limit`: a limit on the length of files
stands in for that, where nothing can be mounted.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from provisioning.errors import Unavailable
from provisioning.model import Change
from storage import tinydb_writer
from tests.crash import quiet, swapped
from tests.crash.stories import opened, read_all, unit, violations
from tests.crash.vfs import Call, watching
from tests.storage.samples import device

_WRITERS = 16
_DATABASE, _LOG = "store.sqlite3", "store.sqlite3-wal"


class Ballast:
    """Takes all the room that a small file system has."""

    cure = "Free some space"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"

    def fill(self, _grows: Path) -> None:
        descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            for size in (65536, 4096, 512, 1):
                with suppress(OSError):
                    while True:
                        os.write(descriptor, bytes(size))
        finally:
            os.close(descriptor)

    def free(self) -> None:
        self._path.unlink()


class Limit:
    """No file gets longer than the one that is about to grow; SQLite calls that an error of the disk."""

    cure = "store.sqlite3"

    def __init__(self, _folder: Path) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails instead of ending the process

    def fill(self, grows: Path) -> None:
        length = grows.stat().st_size if grows.exists() else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (length, resource.RLIM_INFINITY))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


Disk = Ballast | Limit


class Findings:
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.wrong: list[str] = []
        self.refused = 0
        self.acknowledged: dict[int, int] = {}

    def refusal(self, when: str, error: BaseException | None) -> bool:
        """Whether this was refused; a refusal names the file and the cure, and nothing else is ever raised."""
        if error is None:
            return False
        self.refused += 1
        if not isinstance(error, Unavailable):
            self.wrong.append(f"{when}: {type(error).__name__}: {error}")
        elif _DATABASE not in error.reason or self._disk.cure not in error.reason:
            self.wrong.append(f"{when}: neither file nor cure in: {error.reason}")
        return True

    def expect(self, when: str, right: bool) -> None:
        if not right:
            self.wrong.append(when)

    async def all_there(self, when: str, store: Any) -> None:
        self.wrong += [f"{when}: {what}" for what in violations(await read_all(store), self.acknowledged)]

    async def write(self, store: Any, writer: int, units: int, when: str) -> None:
        """Goes on with a story until so many units were acknowledged or one was refused."""
        begun = self.acknowledged.get(writer, 0)
        for n in range(begun, begun + units):
            if self.refusal(when, await failure(store.save(unit(writer, n)))):
                break
            self.acknowledged[writer] = n + 1


async def failure(attempt: Any) -> BaseException | None:
    return (await asyncio.gather(attempt, return_exceptions=True))[0]


# ------------------------------------------------------------------ while units are written


async def while_writing(folder: Path, disk: Disk, found: Findings) -> None:
    """Refused, readable meanwhile, and healed as soon as there is room again."""
    with swapped(tinydb_writer, "_IDLE_SECONDS", 600):
        async with opened(folder) as store:
            await asyncio.gather(*(found.write(store, writer, 4, "room") for writer in range(_WRITERS)))
            found.expect("refused while there was room", not found.refused)
            disk.fill(folder / _LOG)
            await asyncio.gather(*(found.write(store, writer, 200, "full") for writer in range(_WRITERS)))
            found.expect("nobody was refused", found.refused >= _WRITERS)
            await found.all_there("while full", store)
            large = Change(puts=tuple(device(0xFFFF00 + n, notes="x" * 60_000) for n in range(100)))
            found.expect("a large unit found room", found.refusal("a large unit", await failure(store.save(large))))
            disk.free()
            await store.check()
            await asyncio.gather(*(found.write(store, writer, 4, "healed") for writer in range(_WRITERS)))
            await store.verify(deep=True)
            await found.all_there("healed", store)


# ------------------------------------------------------------------ while a checkpoint runs


async def while_folding(folder: Path, disk: Disk, found: Findings) -> None:
    """The disk gets full just before a checkpoint writes; then the log holds everything, and keeps it."""
    filled = asyncio.Event()

    def fill_first(call: Call, proceed: Callable[[], int]) -> int:
        if call.kind == "write" and call.path.name == _DATABASE and armed and not filled.is_set():
            disk.fill(call.path)
            loop.call_soon_threadsafe(filled.set)
            armed.clear()
        return proceed()

    loop, armed = asyncio.get_running_loop(), set[str]()
    with watching(fill_first), swapped(tinydb_writer, "_LOG_ROWS", 100):
        async with opened(folder) as store:
            armed.add("now")
            await asyncio.gather(*(found.write(store, writer, 100, "folding") for writer in range(_WRITERS)))
            await filled.wait()
            await found.all_there("checkpoint failed", store)
            disk.free()
            await store.check()
            await asyncio.gather(*(found.write(store, writer, 2, "folded") for writer in range(_WRITERS)))
            await store.verify(deep=True)
            await found.all_there("folded", store)


# ------------------------------------------------------------------ while the store opens


async def _open_and_close(folder: Path) -> None:
    async with opened(folder):
        pass


async def while_opening(folder: Path, disk: Disk, found: Findings) -> None:
    """An existing store may open and be read, or be refused; one that is yet to be made is refused."""
    new = folder.parent / "new"
    disk.fill(new / _DATABASE)
    found.refusal("opening what exists", await failure(_open_and_close(folder)))
    found.expect("made on a full disk", found.refusal("making", await failure(_open_and_close(new))))
    disk.free()
    for place in (folder, new):
        async with opened(place) as store:
            await store.verify(deep=True)
            if place == folder:
                await found.all_there("opened again", store)


async def main(folder: Path, how: str) -> None:
    disk: Disk = Limit(folder) if how == "limit" else Ballast(folder)
    first, second = Findings(disk), Findings(disk)
    await while_writing(folder / "first", disk, first)
    await while_folding(folder / "second", disk, second)
    await while_opening(folder / "second", disk, second)
    both = (first, second)
    report = {
        "wrong": [what for found in both for what in found.wrong],
        "refused": sum(found.refused for found in both),
        "units": sum(sum(found.acknowledged.values()) for found in both),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    quiet()
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
