"""A discrete-event simulation on asyncio: an event loop whose time jumps to whatever is due next.

Whoever sleeps, waits with a timeout or is scheduled wakes in order, as on any loop; only nobody waits for it. Nothing
but the loop's own thread may have work for it, so that the same seed gives the same run.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

OUTWARD: Final = frozenset(
    {
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.sendto",
        "subprocess.Popen",
    }
)  # audit events of https://docs.python.org/3/library/audit_events.html by which a process reaches another one


class Standstill(RuntimeError):
    """Everybody waits for somebody else, and nothing is scheduled."""


class ReachedOut(RuntimeError):
    """Something in a rehearsal tried to reach the network. It did not."""


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: the time that the loop would have slept is over at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Standstill("nothing is due any more")
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`loop_factory` for `asyncio.Runner`. What is handed to an executor is done at once, in this thread."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class VirtualClock:
    """The `Clock` of a rehearsal: `start` is when its loop's time was 0."""

    def __init__(self, start: datetime) -> None:
        self.start = start

    def now(self) -> datetime:
        return self.start + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))

    async def until(self, moment: datetime) -> None:
        await self.sleep((moment - self.now()).total_seconds())


_sealed = False
_hooked = False


def _refuse(event: str, _args: tuple[Any, ...]) -> None:
    if _sealed and event in OUTWARD:
        raise ReachedOut(event)


@contextmanager
def sealed_off() -> Iterator[None]:
    """Within it no socket of this process leads anywhere, and it starts no other process. Errors: `ReachedOut`."""
    global _sealed, _hooked  # noqa: PLW0603 - an audit hook belongs to the process and cannot be taken away
    if not _hooked:
        sys.addaudithook(_refuse)
        _hooked = True
    _sealed = True
    try:
        yield
    finally:
        _sealed = False
