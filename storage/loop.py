"""What may be done on the event loop, and what takes so long that others would wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

FEW = 100  # rows, at some 20 µs each


async def off_the_loop(rows: int, work: Callable[[], T]) -> T:
    """Does the work here where it is about few rows, else in a thread. It must touch nothing but its own values."""
    return work() if rows <= FEW else await asyncio.to_thread(work)


class Moment(Generic[T]):
    """What is handed over while the event loop goes through what is ready goes on together, right after that.

    Belongs to one event loop.
    """

    def __init__(self, onward: Callable[[Sequence[T]], None]) -> None:
        self._onward, self._waiting = onward, list[T]()

    def add(self, each: T) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.end)
        self._waiting.append(each)

    def end(self) -> None:
        """What waits goes on now."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._onward(waiting)
