"""A process whose 32 writers go on with their stories until it is killed, naming each acknowledged unit on its output.

python -m tests.crash.writing FOLDER honest|early|hold [KIND FILE before|after N]

`early` acknowledges before it saves, `hold` only keeps the store open. The last four name the file call (vfs.py) at
which the process kills itself. The store is closed and opened again every 20 units of each writer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tests.crash import quiet
from tests.crash.stories import opened, read_all, unit
from tests.crash.vfs import die_at

WRITERS = 32
_ROUND = 20


def say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


async def _write_on(store: Any, writer: int, begun: int, early: bool) -> None:
    for n in range(begun, begun + _ROUND):
        if early:
            say(f"{writer} {n + 1}")
        await store.save(unit(writer, n))
        if not early:
            say(f"{writer} {n + 1}")


async def _write_round(folder: Path, early: bool) -> None:
    async with opened(folder) as store:
        there = await read_all(store)
        units = {writer: len(there[writer].facts) if writer in there else 0 for writer in range(WRITERS)}
        await asyncio.gather(*(_write_on(store, writer, begun, early) for writer, begun in units.items()))


async def main(folder: Path, how: str, death: AbstractContextManager[None]) -> None:
    with death:
        if how == "hold":
            async with opened(folder):
                say("ready")
                await asyncio.Event().wait()
        while True:
            await _write_round(folder, how == "early")


if __name__ == "__main__":
    quiet()
    folder, how, *death = sys.argv[1:]
    if death:
        kind, file, moment, n = death
        context = die_at(int(n), kind=kind, file=file, after=moment == "after")
    else:
        context = nullcontext()
    asyncio.run(main(Path(folder), how, context))
