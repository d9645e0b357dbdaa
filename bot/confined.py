"""A process that opens what somebody sent: started afresh for each file, without our environment, ended with its user.

What it may do it decides itself, before the first byte (`provisioning.confinement`); what it says is believed by none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import Enum, auto
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import provisioning

HOME: Final = str(Path(provisioning.__file__).parents[1])
LIBRARIES: Final = str(Path(getattr(find_spec("python_calamine"), "origin", HOME)).parents[1])
START: Final = """
import gc, importlib, sys
gc.disable()  # it ends before there is anything to collect
sys.path += sys.argv[3:]
importlib.import_module(sys.argv[1]).main(sys.argv[2])
"""
STEP: Final = 256 * 1024


class End(Enum):
    """Why a process ended that did not say so itself."""

    TIME = auto()
    MEMORY = auto()
    OTHER = auto()


# Memory that is refused aborts a process; the kernel kills for memory as well.
_ENDS: Mapping[int, End] = {
    getattr(signal, name): end
    for name, end in {"SIGXCPU": End.TIME, "SIGABRT": End.MEMORY, "SIGKILL": End.MEMORY}.items()
    if hasattr(signal, name)
}


def end_of(process: asyncio.subprocess.Process) -> End:
    return _ENDS.get(-(process.returncode or 0), End.OTHER)


@asynccontextmanager
async def confined(
    module: str, asked: str, content: bytes, *, longest_line: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs `main(asked)` of this module with the content as its input; leaving it early ends the process."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-X", "utf8", "-c", START, module, asked, HOME, LIBRARIES),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # what a library says of a file is not for logs
            env={key: os.environ[key] for key in ("SYSTEMROOT",) if key in os.environ},
            limit=longest_line,
        )
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:  # uvloop ends a process whose start is given up, and waits for none
        await asyncio.shield(asyncio.create_task(_end_when_there(starting)))
        raise
    feeding = asyncio.create_task(_feed(process, content))
    try:
        yield process
    finally:
        feeding.cancel()
        await _end(process, feeding)


async def _end_when_there(starting: asyncio.Task[asyncio.subprocess.Process]) -> None:
    with contextlib.suppress(OSError):
        await _end(await starting)


async def _end(process: asyncio.subprocess.Process, *others: asyncio.Task[None]) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            process.kill()
    await asyncio.gather(process.wait(), *others, return_exceptions=True)


async def _feed(process: asyncio.subprocess.Process, content: bytes) -> None:
    assert process.stdin  # noqa: S101 - it was asked for
    view = memoryview(content)
    try:
        for start in range(0, len(content), STEP):
            process.stdin.write(view[start : start + STEP])
            await process.stdin.drain()
        process.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        return  # it ended before it had read all; how it ended is seen where its lines are read
