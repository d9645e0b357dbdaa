"""What `make bench` consists of, and how a part of it is run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from bot import interpreter
from tests.benchmarks import Failed, Outcome, filled
from tests.benchmarks.measuring import quiet
from tests.benchmarks.tables import Section

LIMIT: Final = 600.0  # seconds; the longest part takes a sixth of them on two quiet cores
# By heading: modules of this folder with an `async def run() -> list[Row | Skipped]`.
PARTS: Final[Mapping[str, Sequence[str]]] = {
    "storage": ("storage", "slow_disk", "postgres"),
    "wire": ("echo", "turns", "tokens"),
    "bulk": ("importing", "uploads", "sheets", "export", "labels"),
    "relay": ("relay",),
    "sign-in": ("signing",),
    "provision": ("provision",),
    "polls": ("polls",),
    "starting": ("starting",),
    "day": ("day",),
}


def section(name: str, parts: Sequence[str], folder: Path, limit: float = LIMIT) -> Section:
    """Each part in a process of its own: what one leaves in memory is no burden of the next.

    All of a run are given the same folder.
    """
    began, outcomes = time.perf_counter(), list[Outcome]()
    for part in parts:
        started = time.perf_counter()
        outcomes += _in_a_process(part, folder, limit)
        print(f"{name}: {part}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return Section(name, time.perf_counter() - began, outcomes)


def _in_a_process(part: str, folder: Path, limit: float) -> list[Outcome]:
    """What breaks, or hangs, is told, and takes no other part with it: neither its processes nor its files stay.

    Of one that is stopped its schema stays in PostgreSQL, where it had one.
    """
    spawn = multiprocessing.get_context("spawn")
    hears, tells = spawn.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as own:
        process = spawn.Process(target=measured, args=(part, folder, own, tells))
        process.start()
        tells.close()  # so that the end of the process is heard
        try:
            if not hears.poll(limit):
                return [Failed(part, f"it was stopped after {limit:.0f} s")]
            outcomes: list[Outcome] = hears.recv()
            return outcomes
        except EOFError:
            return [Failed(part, "its process ended early")]
        finally:
            _end(process)


def _end(process: BaseProcess) -> None:
    """And whatever it started. Not waited for before: until then its number is nobody else's."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # all are gone, or it never got so far
            os.killpg(process.pid or 0, signal.SIGKILL)
    process.kill()
    process.join()


def measured(part: str, folder: Path, own: str, tells: Connection) -> None:
    """In the part's process: `own` is for its files alone, also for those of processes that it starts."""

    async def run() -> list[Outcome]:
        async with quiet():
            return list(await import_module(f".{part}", __package__).run())

    if hasattr(os, "setsid"):
        os.setsid()  # what it starts is in its group, and ends with it
    os.environ["TMPDIR"] = tempfile.tempdir = own
    filled.keep(folder)
    try:
        outcomes = interpreter.run(run())
    except Exception as error:
        traceback.print_exc()
        outcomes = [Failed(part, f"{type(error).__name__}: {error}")]
    tells.send(outcomes)


def names() -> list[str]:
    """What can be run alone: a section or a part of one."""
    return sorted({*PARTS, *(part for parts in PARTS.values() for part in parts)})


def wanted(only: str | None) -> Mapping[str, Sequence[str]]:
    """Everything, or one of `names`."""
    if only is None or only in PARTS:
        return {name: parts for name, parts in PARTS.items() if only in (None, name)}
    return {name: (only,) for name, parts in PARTS.items() if only in parts}
