"""How a rollout went, hour by hour and site by site."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from provisioning.access import Permission, require
from provisioning.burnup import LINES, LOOK_BACK, RECENT, STEPS, BurnUp, Count, SiteLine, Span, lines_of
from provisioning.errors import NotConnected
from provisioning.model import Actor, Device, State
from provisioning.ports import TimelineRow
from provisioning.rollouts import Rollout
from provisioning.service.following import target_of
from provisioning.service.lookup import EVERYTHING, Lookup, Target

CALLED_IN = "provisioned_at"


class BurnUps(Lookup):
    async def burn_up(self, actor: Actor, text: str) -> BurnUp:
        """How a site or a tag (or everything) went, for anybody with a role. Errors: `NothingMatches`."""
        require(actor, Permission.FOLLOW_ROLLOUT)
        target = await self.scope(text) if text.strip() else EVERYTHING
        rollouts = (await self.store.find(Rollout, limit=1000)).rows
        same = [rollout for rollout in rollouts if rollout.scope.casefold() == target.scope.casefold()]
        return await self._burn_up(target, min((r.started_at for r in same), default=None), self.now())

    async def burn_up_in(self, channel_id: str) -> BurnUp:
        """How the rollout went that this channel follows. Errors: `NotConnected`."""
        rollout = await self.store.get(Rollout, channel_id)
        if rollout is None:
            raise NotConnected
        return await self._burn_up(target_of(rollout), rollout.started_at, rollout.finished_at or self.now())

    async def _burn_up(self, target: Target, began: datetime | None, ends: datetime) -> BurnUp:
        """What nobody follows began with the first device that called in."""
        span = Span.of(began or await self._began_about(target, ends) or ends, ends)
        steps, recent = await asyncio.gather(
            self._timeline(target, span), self._timeline(target, Span(ends - RECENT, ends, RECENT))
        )
        counts = await self._counted(target, steps)
        burn_up = BurnUp(target.scope, span.since, span.until)
        if not any(count.done for count in counts):
            return burn_up
        lines = lines_of(counts, steps, {row.site: row.count for row in recent}, span)
        return replace(burn_up, lines=tuple([await self._named(line) for line in lines]))

    async def _named(self, line: SiteLine) -> SiteLine:
        """With its site as it is written on the devices."""
        found = await self._listed(site=line.site, limit=1) if line.site else []
        return replace(line, site=found[0].site) if found else line

    async def _began_about(self, target: Target, ends: datetime) -> datetime | None:
        """The quarter of an hour in which the first device called in, as far as a picture looks back."""
        found: datetime | None = ends - LOOK_BACK
        for step in (STEPS[-1], STEPS[0]):
            if found is None:
                return None
            end = ends if step == STEPS[-1] else found + STEPS[-1]
            rows = await self._timeline(target, Span(found, end, step))
            found = min((row.start for row in rows), default=None)
        return found

    async def _timeline(self, target: Target, span: Span) -> Sequence[TimelineRow]:
        return await self.store.timeline(CALLED_IN, span.since, span.until, span.step, **target.equals)

    async def _counted(self, target: Target, steps: Sequence[TimelineRow]) -> list[Count]:
        if target.tag:
            return await self._counted_with(target, steps)
        counts: dict[str, Count] = {}
        for row in await self.store.tally(target.site.casefold() or None):
            known = counts.get(row.site.casefold(), Count(row.site.casefold(), 0, 0))
            done = 0 if row.state is State.WAITING_FOR_ACTIVATION else row.count
            counts[known.site] = Count(known.site, known.total + row.count, known.done + done)
        return list(counts.values())

    async def _counted_with(self, target: Target, steps: Sequence[TimelineRow]) -> list[Count]:
        """Of a tag, nobody keeps counts by site: those where most called in are counted, all others together."""
        moved: dict[str, int] = {}
        for row in steps:
            moved[row.site] = moved.get(row.site, 0) + row.count
        sites = sorted(moved, key=lambda site: (-moved[site], site))[: LINES - 1]
        asked = [("", target.equals), *((site, {**target.equals, "site": site}) for site in sites)]
        whole, *counts = await asyncio.gather(*(self._devices_and_done(*each) for each in asked))
        total, done = whole.total - sum(c.total for c in counts), whole.done - sum(c.done for c in counts)
        return [*counts, Count("", max(0, total), max(0, done))]

    async def _devices_and_done(self, site: str, equals: Mapping[str, Any]) -> Count:
        total = await self.store.count(Device, removed=False, **equals)
        waiting = await self.store.count(Device, removed=False, state=State.WAITING_FOR_ACTIVATION, **equals)
        return Count(site, total, max(0, total - waiting))
