"""Topics within one process: whoever waits is woken by the change itself; nobody polls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Self


class TopicWatch:
    """One reader's watch, open within `async with`. It remembers a change that came while nobody waited.

    Thousands of devices hold one at a time: a wait is one future and one timer, without a task of its own.
    """

    __slots__ = ("_changed", "_released", "_topics", "_waiter", "_watchers")

    def __init__(self, watchers: dict[str, set[TopicWatch]], topics: Iterable[str]) -> None:
        self._watchers, self._topics = watchers, tuple(dict.fromkeys(topics))  # a set takes 160 bytes more
        self._waiter: asyncio.Future[None] | None = None
        self._changed = self._released = False

    async def __aenter__(self) -> Self:
        for topic in self._topics:
            self._watchers.setdefault(topic, set()).add(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        for topic in self._topics:
            watchers = self._watchers[topic]
            watchers.discard(self)
            if not watchers:
                del self._watchers[topic]

    def wake(self) -> None:
        self._changed = True
        self._end_wait()

    def release(self) -> None:
        self._released = True
        self._end_wait()

    async def wait(self, seconds: float) -> bool:
        """True: something changed since the watch was opened or last waited on; False: `seconds` ran out, or released.

        One task waits on a watch at a time. A cancelled wait forgets nothing.
        """
        if not self._changed and not self._released:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(seconds, self._end_wait)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        changed, self._changed = self._changed, False
        return changed

    def _end_wait(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


class Topics:
    """Who watches what. A topic costs nothing while nobody watches it. Belongs to one event loop."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[TopicWatch]] = {}

    def watch(self, *topics: str) -> TopicWatch:
        return TopicWatch(self._watchers, topics)

    def wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for watch in self._watchers.get(topic, ()):
                watch.wake()

    def wake_all(self) -> None:
        """Releases everybody, for a store that closes."""
        self.wake(tuple(self._watchers))
