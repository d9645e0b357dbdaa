"""Every state that a power loss may leave (disk.py): none loses an acknowledged unit, shows half a unit
or is unreadable."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from storage import tinydb_rows, tinydb_writer
from storage.tinydb_file import StoreFile
from tests.crash import Result, scratch, swapped
from tests.crash.disk import State, power_losses, write_out
from tests.crash.stories import examine, opened, unit
from tests.crash.vfs import Op, hidden, recording

_LOG_ROWS = 30  # so that a few units are followed by a checkpoint, and the log begins anew
_STATES = 40  # at most, for each trial asked for


class Careless(StoreFile):
    """Commits that are not synced: SQLite calls it safe, and it is, but for what was acknowledged."""

    def writer(self) -> sqlite3.Connection:
        connection = super().writer()
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection


def careless() -> Any:
    return swapped(tinydb_rows, "StoreFile", Careless)


async def _write(store: Any, log: list[Op], writer: int, units: range, early: bool) -> None:
    for n in units:
        if early:
            log.append(Op("ack", at=writer))
        await store.save(unit(writer, n))
        if not early:
            log.append(Op("ack", at=writer))


async def trace(folder: Path, *, early: bool = False, setting: Callable[[], Any] = nullcontext) -> list[Op]:
    """What a store does to its files while it is made, written by one and by four, closed, opened and written again."""
    log: list[Op] = []
    with recording(log), setting(), swapped(tinydb_writer, "_LOG_ROWS", _LOG_ROWS):
        async with opened(folder) as store:
            await _write(store, log, 1, range(6), early)
            await asyncio.gather(*(_write(store, log, writer, range(1), early) for writer in range(2, 6)))
        async with opened(folder) as store:
            await _write(store, log, 1, range(6, 9), early)
    return log


async def _violations(folder: Path, states: Sequence[State]) -> list[str]:
    said = []
    for number, state in enumerate(states):
        place = folder / str(number)
        write_out(state.image, place)
        found = await examine(place, state.acknowledged)
        said += [f"state {number}: {what}" for what in found.violations[:1]]
        shutil.rmtree(place)
    return said


async def _enumerated(name: str, trials: int, seed: int, *, control: bool = False, **how: Any) -> Result:
    if reason := hidden():
        return Result(name, "", control=control, skipped=reason)
    rng = random.Random(seed)
    with scratch() as folder:
        log = await trace(folder / "traced", **how)
        possible = power_losses(log, rng, each=10)
        states = rng.sample(possible, min(len(possible), trials * _STATES))
        said = await _violations(folder, states)
    operations, units = (sum((op.kind == "ack") is acks for op in log) for acks in (False, True))
    wrong = f"{len(said)} of " if control else ""
    return Result(name, f"{wrong}{len(states)} states of {operations} file operations, {units} units", said, control)


async def power_losses_of_ours(trials: int, seed: int) -> Result:
    return await _enumerated("power: our store", trials, seed)


async def power_losses_when_careless(trials: int, seed: int) -> Result:
    return await _enumerated("power: synchronous=NORMAL", trials, seed, control=True, setting=careless)


async def power_losses_when_early(trials: int, seed: int) -> Result:
    return await _enumerated("power: acknowledging early", trials, seed, control=True, early=True)
