"""Topics within one process: whoever waits is woken by the change itself; nobody polls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager


class TopicWatch:
    """One reader's watch. It remembers a change that came while nobody waited."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def wake(self) -> None:
        self._changed.set()

    async def wait(self, seconds: float) -> bool:
        """True: something changed since the watch was opened or last waited on; False: `seconds` ran out.

        One task waits on a watch at a time. A cancelled wait forgets nothing.
        """
        if not self._changed.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                return False
        self._changed.clear()
        return True


class Topics:
    """Who watches what. A topic costs nothing while nobody watches it. Belongs to one event loop."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[TopicWatch]] = {}

    @asynccontextmanager
    async def watch(self, *topics: str) -> AsyncIterator[TopicWatch]:
        watch = TopicWatch()
        for topic in topics:
            self._watchers.setdefault(topic, set()).add(watch)
        try:
            yield watch
        finally:
            for topic in set(topics):
                watchers = self._watchers[topic]
                watchers.discard(watch)
                if not watchers:
                    del self._watchers[topic]

    def wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for watch in self._watchers.get(topic, ()):
                watch.wake()

    def wake_all(self) -> None:
        """Releases everybody, for a store that closes."""
        self.wake(tuple(self._watchers))
