"""What every command stands on: the store's address, the clock, how progress and faults are shown."""

from __future__ import annotations

import asyncio
import logging
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

import structlog
import typer

from provisioning.errors import ProvisioningError, Unavailable
from provisioning.texts import _

if TYPE_CHECKING:
    from provisioning.ports import Clock

SAY_EVERY = 10.0  # seconds; where no terminal shows a bar
Show = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Ground:
    """Given by whoever registers the commands; `store_url` is asked only where no `--store` was said."""

    store_url: Callable[[], str]
    clock: Clock


class WrongUse(Exception):
    """The command cannot be meant like this: exit code 2."""


Command = Callable[[Ground, str], Coroutine[Any, Any, None] | None]


def run(ground: Ground, url: str, command: Command) -> None:
    """Runs a command on the store it is about; a fault is one line on stderr and an exit code."""
    from storage.tinydb_backup import FileFault
    from storage.transfer import NoSuchStore, TransferFault

    ended = list[int]()
    try:
        with _few_logs(), _ended_like_ctrl_c(ended):
            work = command(ground, url or ground.store_url())
            if work is not None:
                asyncio.run(work)
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise  # it was told already
    except (WrongUse, NoSuchStore) as fault:
        raise _failed(str(fault), 2) from None
    except (TransferFault, FileFault) as fault:
        raise _failed(str(fault)) from None
    except Unavailable as fault:
        raise _failed(fault.reason) from None
    except (ProvisioningError, OSError, sqlite3.Error) as fault:
        raise _failed(str(fault)) from None
    except KeyboardInterrupt:
        raise _failed(_("Interrupted."), 128 + ended[0] if ended else 130) from None
    except Exception as fault:  # a traceback helps nobody who types a command
        raise _failed(f"{type(fault).__name__}: {fault}") from None


@contextmanager
def _ended_like_ctrl_c(ended: list[int]) -> Iterator[None]:
    """SIGTERM tidies up as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        ended.append(number)
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):  # it is ignored, as in the background of a shell
            raise KeyboardInterrupt
        interrupt(signal.SIGINT, frame)

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def _few_logs() -> Iterator[None]:
    """What a store tells a log is on stderr here, from a warning on: stdout is the command's own."""
    former = structlog.get_config()
    level = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=level, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**former)


def _failed(line: str, status: int = 1) -> typer.Exit:
    typer.echo(" ".join(line.split()), err=True)
    return typer.Exit(status)


def say(line: str) -> None:
    typer.echo(line)


@contextmanager
def progress() -> Iterator[Show]:
    """Bars on a terminal; elsewhere a line for each part that is done, and every ten seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines().show
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        known: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in known:
                known[what] = bars.add_task(what, total=None)
            bars.update(known[what], completed=done, total=total or None)

        yield show


class _Lines:
    def __init__(self) -> None:
        self._said = time.monotonic()

    def show(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if (total and done == total) or now - self._said >= SAY_EVERY:
            self._said = now
            line = _("{what}: {done} of {total}", what=what, done=done, total=total) if total else f"{what} …"
            typer.echo(line, err=True)
