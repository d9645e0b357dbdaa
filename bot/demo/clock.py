"""A clock that runs as time does and can be moved forward, so that a day passes in a second."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

PATIENCE: Final = 5.0  # seconds for whoever was woken to do their work


class ForwardClock:
    """Starts at `start`; whoever sleeps on it wakes in time, or as soon as it was moved past their moment."""

    def __init__(self, start: datetime) -> None:
        self._ahead = start - datetime.now(UTC)
        self._moved = asyncio.Event()
        self._asleep = 0
        self._fell_asleep = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    async def advance(self, by: timedelta) -> None:
        """Returns once as many sleep again as before: the loops that woke have done their round."""
        sleepers = self._asleep
        self._ahead += by
        moved, self._moved = self._moved, asyncio.Event()
        self._asleep = 0
        moved.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self._asleep < sleepers:
                    self._fell_asleep.clear()
                    await self._fell_asleep.wait()

    async def sleep(self, seconds: float) -> None:
        end = self.now() + timedelta(seconds=seconds)
        while (left := (end - self.now()).total_seconds()) > 0:
            moved = self._moved
            self._asleep += 1
            self._fell_asleep.set()
            try:
                async with asyncio.timeout(left):
                    await moved.wait()
            except TimeoutError:
                pass
            finally:
                if moved is self._moved:  # else it was woken, and counted out, by `advance`
                    self._asleep -= 1
