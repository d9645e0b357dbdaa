"""The stream of events for other tools: CloudEvents 1.0 in batches, a page at a time, waiting for the next one."""

from __future__ import annotations

import hmac
import re
from typing import Final, Protocol

from aiohttp import hdrs, web

from bot.device_api import bearer, parameter, seconds_to_wait
from bot.problems import EventsRefused, TooManyReaders
from provisioning.cloudevents import BATCH_TYPE
from provisioning.service.streaming import EventPage
from provisioning.texts import _

PATH: Final = "/api/v1/events"
LATEST: Final = "latest"
MOST, USUAL = 1000, 100  # events of a page
READERS: Final = 16  # that ask at the same time: each of them may wait for half a minute
_CURSOR: Final = re.compile(rf"[0-9]{{1,18}}|{LATEST}")
_LIMIT: Final = re.compile(r"[1-9][0-9]{0,2}|1000")


class EventDoor(Protocol):
    """The part of `Provisioning` that readers of events reach."""

    async def events_after(self, cursor: int | None, limit: int, wait: float) -> EventPage: ...


def routes(provisioning: EventDoor, token: str) -> list[web.RouteDef]:
    """Without a token there is nothing at that address. Needs the middleware `bot.problems.problems`."""
    return [web.get(PATH, EventFeed(provisioning, token).page, allow_head=False)] if token else []


class EventFeed:
    def __init__(self, provisioning: EventDoor, token: str) -> None:
        self._provisioning, self._token = provisioning, token.encode()
        self._readers = 0

    async def page(self, request: web.Request) -> web.Response:
        """`after` is what the former page's link said; without it the stream begins with the oldest fact there is."""
        if not hmac.compare_digest((bearer(request) or "").encode(), self._token):
            raise EventsRefused
        after = parameter(request, "after", _CURSOR, _("a place in the stream, as the page before gave it, or latest"))
        wanted = parameter(request, "limit", _LIMIT, _("a number, 1 to {most}", most=MOST))
        limit, wait = int(wanted or USUAL), seconds_to_wait(request)
        if self._readers >= READERS:
            raise TooManyReaders
        self._readers += 1
        try:
            page = await self._provisioning.events_after(None if after == LATEST else int(after or 0), limit, wait)
        finally:
            self._readers -= 1
        return web.Response(
            text="[" + ",".join(event.json for event in page.events) + "]",
            content_type=BATCH_TYPE,
            headers={hdrs.LINK: f'<{PATH}?after={page.cursor}&limit={limit}>; rel="next"'},
        )
