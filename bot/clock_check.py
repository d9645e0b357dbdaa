"""Whether the machine's clock can be believed: what it says beside what others say.

Codes end by this clock, and callers' tokens are checked by it, so a clock that is far off lets in what is over and
keeps out what is good, without a word. Others who tell the time: whoever signs Teams' tokens, and the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
import structlog
from aiohttp import hdrs

from provisioning.errors import StoreError
from provisioning.ports import Clock
from provisioning.texts import _

log = structlog.get_logger(__name__)

Witness = Callable[[], Awaitable[datetime | None]]  # what time it is by their clock; None where they cannot be asked

NOT_BEFORE: Final = datetime(2026, 1, 1, tzinfo=UTC)  # this program is younger than that
FAR_OFF: Final = timedelta(minutes=5)  # the leeway with which the bot's SDK checks the times of callers' tokens
MOVED: Final = timedelta(seconds=30)  # a clock that is only slewed does not get so far away from the steady one
ASK_EVERY: Final = timedelta(hours=1)
ASK_SECONDS: Final = 3.0  # less than `/readyz` waits
ASK_LIMIT: Final = aiohttp.ClientTimeout(total=ASK_SECONDS)


def boot_time() -> float:
    """Seconds of a clock that nobody sets; it goes on while the machine sleeps, where the system has such a one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class ClockCheck:
    """Asks `witnesses` (by name) once an hour, and at once when the clock was moved. Between that it costs nothing."""

    def __init__(
        self,
        clock: Clock,
        witnesses: Mapping[str, Witness],
        steady: Callable[[], float] = boot_time,
        seconds: float = ASK_SECONDS,
    ) -> None:
        """seconds: how long each of the witnesses is waited for."""
        self._clock, self._witnesses, self._steady, self._seconds = clock, witnesses, steady, seconds
        self._faults: Sequence[str] = ()
        self.compared: list[str] = []  # those of the witnesses who could be asked
        self._asked: tuple[datetime, float] | None = None  # by the clock, and by the steady one
        self._asking = asyncio.Lock()

    async def faults(self) -> Sequence[str]:
        """One sentence per fault, with its cure; none where the clock is right, or nobody could be asked."""
        if self._clock.now() < NOT_BEFORE:
            return [_("The clock shows {time}. {cure}", time=_shown(self._clock.now()), cure=_cure())]
        async with self._asking:
            if self._worth_asking():
                began = self._clock.now(), self._steady()
                self.compared = []
                self._faults = [fault for fault in await asyncio.gather(*map(self._fault, self._witnesses)) if fault]
                self._asked = began  # whoever gave up waiting has not asked
            return self._faults

    def _worth_asking(self) -> bool:
        if self._asked is None:
            return True
        asked_at, steady = self._asked
        passed = timedelta(seconds=self._steady() - steady)
        return passed >= ASK_EVERY or abs(self._clock.now() - asked_at - passed) > MOVED

    async def _fault(self, name: str) -> str:
        began = self._steady()
        try:
            async with asyncio.timeout(self._seconds):
                theirs = await self._witnesses[name]()
        except (StoreError, TimeoutError):
            theirs = None
        if theirs is None:
            log.warning("the clock could not be compared", beside=name)
            return ""
        self.compared.append(name)
        half = timedelta(seconds=(self._steady() - began) / 2)  # of the way there and back
        ahead = self._clock.now() - theirs - half
        if abs(ahead) <= FAR_OFF:
            return ""
        minutes = round(abs(ahead).total_seconds() / 60)
        said = (
            _("The clock is {minutes} min ahead of that of {name}. {cure}", minutes=minutes, name=name, cure=_cure())
            if ahead > timedelta(0)
            else _("The clock is {minutes} min behind that of {name}. {cure}", minutes=minutes, name=name, cure=_cure())
        )
        log.error("the clock is far off", beside=name, seconds=round(ahead.total_seconds()))
        return said


def _cure() -> str:
    return _("Set it, best by NTP: timedatectl set-ntp true")


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def web_server(url: str) -> Witness:
    """Whoever answers there, by the Date of the answer and how long it lay in caches (RFC 9110, 6.6.1; 9111, 5.1)."""

    async def ask() -> datetime | None:
        try:
            async with aiohttp.ClientSession(timeout=ASK_LIMIT) as client, client.get(url) as answer:
                date = parsedate_to_datetime(answer.headers[hdrs.DATE])
                date = date if date.tzinfo else date.replace(tzinfo=UTC)  # "-0000" says no more than that
                return date + timedelta(seconds=int(answer.headers.get(hdrs.AGE, "0")))
        except (aiohttp.ClientError, TimeoutError, OSError, LookupError, ValueError, TypeError, OverflowError):
            return None

    return ask
