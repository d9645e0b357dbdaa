"""Group commit: 32 writers share commits, and what was acknowledged survives a power loss at that very moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.crash import Result, scratch
from tests.crash.disk import Disk, write_out
from tests.crash.stories import examine, opened, unit
from tests.crash.vfs import Op, hidden, recording

WRITERS = 32
_LOOKS = 5  # power losses that are tried, spread over the run
_SHARED = 4  # units in a commit, on the average, at least


async def _write(store: Any, log: list[Op], writer: int, units: int) -> None:
    for n in range(units):
        await store.save(unit(writer, n))
        log.append(Op("ack", at=writer))


async def _left_by_power_losses(folder: Path, log: list[Op]) -> list[str]:
    """Only what was synced is left each time: the least that the disk may keep."""
    disk, acknowledged = Disk(), dict[int, int]()
    said: list[str] = []
    every = max(1, len(log) // _LOOKS)
    for place, op in enumerate(log, start=1):
        if op.kind == "ack":
            acknowledged[op.at] = acknowledged.get(op.at, 0) + 1
        else:
            disk.apply(op)
        if place % every == 0 or place == len(log):
            write_out(disk.image(()), folder / str(place))
            said += (await examine(folder / str(place), acknowledged)).violations
    return said


async def together(trials: int, seed: int) -> Result:
    """The seed changes nothing here."""
    name = "together: 32 writers"
    if reason := hidden():
        return Result(name, "", skipped=reason)
    log: list[Op] = []
    each = max(4, trials)
    with scratch() as folder:
        with recording(log):
            async with opened(folder / "written") as store:
                begun = len(log)
                await asyncio.gather(*(_write(store, log, writer, each) for writer in range(WRITERS)))
                done = log[begun:]
        said = await _left_by_power_losses(folder, log)
    units = sum(op.kind == "ack" for op in done)
    syncs = sum(op.kind == "sync" for op in done)
    if units < syncs * _SHARED:
        said.append(f"{syncs} fsyncs for {units} units")
    return Result(name, f"{units} units in {syncs} fsyncs ({units / syncs:.0f} each), checkpoints included", said)
