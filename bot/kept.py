"""What others give out for a while, keys and tokens: fetched when needed, kept, served stale while they are away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

ASK_EVERY: Final = 60.0  # seconds: whatever strangers invent, nobody is asked for news more often
PATIENCE: Final = 1.0  # seconds that somebody waits for news who could be served without


@dataclass(frozen=True, slots=True)
class Life:
    """How long something counts, in seconds from when it was asked for."""

    fresh: float  # then news are asked for
    usable: float  # for so long it serves while there are none


# Keys and descriptions. Whoever publishes keys announces new ones days ahead; Bot Framework asks for a look each day.
# The end: whoever keeps us from the publisher must not make a withdrawn key count for ever. Five days outlast a long
# weekend with a firewall that somebody changed on a Friday.
PUBLISHED: Final = Life(fresh=24 * 3600.0, usable=5 * 24 * 3600.0)


class Kept(Generic[T]):
    """One thing, fetched when first needed and anew when it is no longer fresh.

    A failure is not kept, unless for `again` seconds. However many ask at once, one request is under way, and all of
    them get what it brings.
    Whoever can be served with what is there waits for it a moment at most.
    """

    def __init__(
        self,
        what: str,
        fetch: Callable[[], Awaitable[T]],
        now: Callable[[], float],
        failure: type[Exception],
        *,
        life: Callable[[T], Life] = lambda _: PUBLISHED,
        patience: float = PATIENCE,
        again: float = 0.0,
    ) -> None:
        """`what`: its name in the log. `fetch` raises `failure` and nothing else. `now`: seconds.

        `again`: how long the next try waits where nothing is kept, for what strangers can cause to be asked for.
        """
        self._what, self._fetch, self._now = what, fetch, now
        self._failure, self._life_of, self._patience, self._again = failure, life, patience, again
        self._value: T | None = None
        self._life = Life(0.0, 0.0)
        self._fetched_at: float | None = None
        self._asked_at: float | None = None
        self._flight: asyncio.Task[bool] | None = None
        self._failed: Exception | None = None  # the last request, if it did

    async def get(self) -> T:
        """Errors: those of the fetch, where nothing usable is kept."""
        value = self._usable()
        if value is None:
            await self.renew()
        elif not self._within(self._life.fresh, self._fetched_at) and (flight := self._take_off()):
            await asyncio.wait({flight}, timeout=self._patience)
        value = value if self._value is None else self._value
        assert value is not None  # noqa: S101 - `renew` raises otherwise
        return value

    async def renew(self) -> bool:
        """Fetch it anew, at most once a minute; whether it came. Errors: as `get`."""
        flight = self._take_off()
        return await asyncio.shield(flight) if flight else False  # whoever gives up takes it from nobody else

    @property
    def renewable_in(self) -> float:
        """Seconds until `renew` would ask again."""
        if self._asked_at is None or not self._within(ASK_EVERY, self._asked_at):
            return 0.0
        return self._asked_at + ASK_EVERY - self._now()

    @property
    def held(self) -> T | None:
        """What is there, fresh or not."""
        return self._value

    def forget(self) -> None:
        """What is there turned out to be no good; the next one to ask waits for another."""
        self._value = None

    async def close(self) -> None:
        """After the session was closed: what was under way has failed."""
        if self._flight is not None:
            await asyncio.wait({self._flight}, timeout=1)

    def _take_off(self) -> asyncio.Task[bool] | None:
        """The request under way; None where one was made within the last minute, and what is there serves."""
        if self._flight is None or self._flight.done():
            if self._usable() is not None and self._within(ASK_EVERY, self._asked_at):
                return None
            if self._failed is not None and self._within(self._again, self._asked_at):
                raise self._failed.with_traceback(None)
            self._flight = asyncio.create_task(self._renew())
            self._flight.add_done_callback(lambda done: done.cancelled() or done.exception())  # has been heard
        return self._flight

    async def _renew(self) -> bool:
        asked_at = self._asked_at = self._now()
        try:
            value = await self._fetch()
        except self._failure as error:
            stale = self._usable() is not None
            log.warning("nothing usable was given out", what=self._what, error=repr(error), stale=stale)
            if not stale:
                self._failed = error
                raise
            return False
        self._value, self._life, self._fetched_at, self._failed = value, self._life_of(value), asked_at, None
        return True

    def _usable(self) -> T | None:
        """A clock that was set back takes nothing away."""
        over = self._fetched_at is None or self._now() - self._fetched_at >= self._life.usable
        return None if over else self._value

    def _within(self, span: float, moment: float | None) -> bool:
        """A moment in the future, as after a clock was set back, is none that counts."""
        return moment is not None and 0 <= self._now() - moment < span
