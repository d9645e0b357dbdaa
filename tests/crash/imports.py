"""kill -9 while devices are imported: nothing of an unfinished import is ever seen, and all of a finished one is.

The process to be killed: python -m tests.crash.imports FOLDER. It says each unit of an import that was acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from provisioning.batches import Batch
from provisioning.errors import Unavailable
from provisioning.events import DeviceAdded
from provisioning.model import Change, Device, stored
from tests.crash import Result, quiet, scratch
from tests.crash.stories import opened
from tests.storage.samples import NOW, device, import_of

HOUSE = Path(__file__).parents[2]
UNITS, EACH = 8, 25  # of an import; devices of a unit
_LIVES = 5  # of a folder
_PUBLISHED = "published"


def _devices(number: int, part: int) -> tuple[Device, ...]:
    first = (number * UNITS + part) * EACH
    return tuple(device(n, f"Oslo/{n % 7}", tags=("x",), batch=f"i{number}") for n in range(first, first + EACH))


async def _import_on(folder: Path) -> None:
    async with opened(folder) as store:
        there = [batch async for batch in _batches(store)]
        for number in count(len(there)):
            batch = import_of(f"i{number}", hides=True)
            await store.save(Change(puts=(batch,)))
            for part in range(UNITS):
                added = _devices(number, part)
                facts = tuple(DeviceAdded(at=NOW, actor="dana", subject=d.mac, location=d.location) for d in added)
                await store.save(Change(puts=added, events=facts))
                _say(f"{number} {part + 1}")
            await store.save(Change(puts=(replace(stored(batch), hides=False),)))
            _say(f"{number} {_PUBLISHED}")


def _say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


async def _batches(store: Any) -> Any:
    page = await store.find(Batch, limit=1000)
    for batch in page.rows:
        yield batch


# ------------------------------------------------------------------ looked at afterwards


async def _violations(folder: Path, said: dict[int, str]) -> list[str]:
    """And every import that was not finished is published, so that all of it must be there then."""
    try:
        async with opened(folder) as store:
            await store.verify(deep=True)
            wrong = await _wrong(store, said)
            async for batch in _batches(store):
                if batch.hides:
                    await store.save(Change(puts=(replace(batch, hides=False),)))
            wrong += await _wrong(store, {})
            await store.verify(deep=True)
            return wrong
    except Unavailable as error:
        return [f"unreadable: {error.reason}"]


async def _wrong(store: Any, said: dict[int, str]) -> list[str]:
    wrong, seen = [], Counter[str]()
    after: str | None = ""
    while after is not None:
        page = await store.find(Device, after=after or None, limit=1000)
        seen.update(row.batch for row in page.rows)
        after = page.after
    async for batch in _batches(store):
        number = int(batch.id[1:])
        staged, last = await store.count(Device, batch=batch.id), said.get(number, "0")
        if seen[batch.id] != (0 if batch.hides else staged):
            wrong.append(f"half: of import {number} {seen[batch.id]} of {staged} devices are seen")
        if last == _PUBLISHED and (batch.hides or staged != UNITS * EACH):
            wrong.append(f"lost: import {number} was published, {staged} devices are there")
        if last != _PUBLISHED and staged < int(last) * EACH:
            wrong.append(f"lost: {last} units of import {number} were acknowledged, {staged} devices are there")
    listed = sum(row.count for row in await store.tally())
    if {listed, await store.count(Device, tag="x")} != {seen.total()}:
        wrong.append(f"{seen.total()} devices are seen and {listed} counted")
    return wrong


def _killed(folder: Path, rng: random.Random) -> dict[int, str]:
    """What was said last of each import. Half the deaths come beside a publication."""
    command = [sys.executable, "-m", "tests.crash.imports", str(folder)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines, least = [], rng.randint(1, 60)
        at = str(UNITS) if rng.random() < 0.5 else ""
        while len(lines) < least or not lines[-1].rstrip("\n").endswith(at):
            lines.append(process.stdout.readline())
            if not lines[-1]:
                raise RuntimeError("The process ended by itself.")
        process.kill()
        lines += process.stdout.readlines()
    return {int(number): word for number, word in (line.split() for line in lines if line.endswith("\n"))}


async def killed_imports(trials: int, seed: int) -> Result:
    rng, wrong, finished = random.Random(seed), [], 0
    with scratch(synced=True) as root:
        for trial in range(trials):
            folder = root / str(trial // _LIVES)
            said = _killed(folder, rng)
            finished += sum(word == _PUBLISHED for word in said.values())
            wrong += [f"kill {trial}: {what}" for what in await _violations(folder, said)]
    return Result("killed: while devices are imported", f"{trials} kills, {finished} imports finished", wrong)


if __name__ == "__main__":
    quiet()
    asyncio.run(_import_on(Path(sys.argv[1])))
