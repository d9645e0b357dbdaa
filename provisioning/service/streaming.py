"""The stream of events: what webhooks are told, for whoever asks for it page by page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from provisioning.cloudevents import CloudEvent, cloud_event, source_of
from provisioning.service.activation import Activation

AT_ONCE: Final = 500  # facts read together
READS: Final = 20  # of one page: where hardly any fact goes out, it ends there, with the place to go on from
ASK_AGAIN: Final = 1.0  # seconds; a fact may be withheld while an older unit runs, and nothing wakes when that ends


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in the order of their facts. `cursor` continues behind all facts that were looked at for it."""

    events: tuple[CloudEvent, ...]
    cursor: int


class Streaming(Activation):
    async def events_after(self, cursor: int | None, limit: int, wait: float) -> EventPage:
        """The next events behind a cursor, at most `limit`; None: whatever comes from now on.

        Where there are none it waits up to `wait` seconds for some, but not past the end of the service.
        """
        start = await self.store.newest_fact() if cursor is None else cursor
        page = await self._page_after(start, limit)
        loop = asyncio.get_running_loop()
        ends = loop.time() + wait
        async with self.store.watch("facts") as watch:
            while not page.events and not self._closing and (left := ends - loop.time()) > 0:
                page = await self._page_after(page.cursor, limit)  # what came before the watch was opened
                if not page.events:
                    await self._wait(watch, min(left, ASK_AGAIN))
                    page = await self._page_after(page.cursor, limit)
        return page

    async def _page_after(self, cursor: int, limit: int) -> EventPage:
        events, source = list[CloudEvent](), source_of(self.policy.tenant)
        for _read in range(READS):
            rows = await self.store.facts(cursor, limit=AT_ONCE)
            for row in rows:
                cursor = row.sequence
                if event := cloud_event(row.event, source):
                    events.append(event)
                if len(events) == limit:
                    return EventPage(tuple(events), cursor)
            if len(rows) < AT_ONCE:
                break
        return EventPage(tuple(events), cursor)
