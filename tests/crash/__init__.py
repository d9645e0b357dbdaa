"""What a crash leaves of the store: `make crash`, or a small round of it in tests/storage/test_crash.py.

    killed    kill -9 at random and at named moments, 32 writers; and while devices are imported
    power     enumerated disk states after a power loss, from a recorded trace of every write and fsync
    cut       the log cut at each byte of its tail, the database file cut anywhere
    flipped   one byte of either changed
    full      a small file system gets full while units are written, while a checkpoint runs, while the store opens
    together  32 writers share commits, and each acknowledged unit is durable all the same

Writers tell stories (stories.py): a unit adds, changes or deletes devices, tells a fact and sends a message, so that a
lost unit and half a unit are both seen. "Acknowledged" means that `save` returned. Processes that are killed
(writing.py) name each acknowledged unit on a pipe. File calls are watched from within the process (vfs.py): the store
under test is the real one, opened as the service opens it. What a disk may forget is said in disk.py.

Controls are stores that are known to lose work: stock TinyDB, SQLite with synchronous=NORMAL, and a writer that
acknowledges before it has saved. An experiment that finds nothing wrong with its control proves nothing, so the suite
fails where a control does not.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Result:
    """One line of the report."""

    name: str
    figures: str
    violations: list[str] = field(default_factory=list)
    control: bool = False
    skipped: str = ""
    goal: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.skipped) or bool(self.violations) == self.control

    @property
    def verdict(self) -> str:
        if self.skipped:
            return f"skipped: {self.skipped}"
        if self.control:
            return "control failed as it must" if self.passed else "THE CONTROL DID NOT FAIL"
        return "ok" if self.passed else "VIOLATED"


def quiet() -> None:
    """The output of these processes is read by others; what the store logs is not asked for here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@contextmanager
def scratch(*, synced: bool = False) -> Iterator[Path]:
    """A folder for a while: in memory, or on a disk where the time that an fsync takes matters."""
    in_memory = not synced and os.access(_MEMORY, os.W_OK)
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir=_MEMORY if in_memory else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def swapped(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Something of a module is another for a while: how controls are made careless."""
    former = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, former)
