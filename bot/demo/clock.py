"""A clock that runs as time does and can be moved forward, so that a day passes in a second."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

PATIENCE: Final = 5.0  # seconds for whoever was woken to do their work

Sleepers = set["asyncio.Task[Any] | None"]


class ForwardClock:
    """Starts at `start`; whoever sleeps on it wakes in time, or as soon as it was moved past their moment."""

    def __init__(self, start: datetime) -> None:
        self._ahead = start - datetime.now(UTC)
        self._moved = asyncio.Event()
        self._asleep: Sleepers = set()
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    async def advance(self, by: timedelta) -> None:
        """Returns once everybody who woke sleeps again or is done: the loops have had their round."""
        woken = self._asleep
        self._ahead += by
        moved, self._moved, self._asleep = self._moved, asyncio.Event(), set()
        for task in woken:
            if task:
                task.add_done_callback(lambda _task: self._changed.set())
        moved.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while any(not (task is None or task.done() or task in self._asleep) for task in woken):
                    self._changed.clear()
                    await self._changed.wait()

    async def sleep(self, seconds: float) -> None:
        end, task = self.now() + timedelta(seconds=seconds), asyncio.current_task()
        while (left := (end - self.now()).total_seconds()) > 0:
            moved, asleep = self._moved, self._asleep
            asleep.add(task)
            self._changed.set()
            try:
                async with asyncio.timeout(left):
                    await moved.wait()
            except TimeoutError:
                pass
            finally:
                if moved is self._moved:  # else it was woken by `advance`, which looks at the set as it was
                    asleep.discard(task)
