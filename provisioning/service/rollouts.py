"""Channels that follow a rollout: one living card, and a reply where something matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from provisioning.access import Permission, require
from provisioning.errors import NotConnected, NothingMatches
from provisioning.events import (
    ChannelConnected,
    ChannelDisconnected,
    DeviceProvisioned,
    InstallConfirmed,
    ProblemReported,
)
from provisioning.model import Actor, Change, Conversation, Device, MessageKind, OutboxMessage, Rollout, State, stored
from provisioning.notifications import tell
from provisioning.ports import TallyRow
from provisioning.service.lookup import Lookup
from provisioning.service.people import SERVICE

STARTED = 0
RECENT = 100  # audit rows looked through for the newest thing that happened
TELLING = (DeviceProvisioned, InstallConfirmed, ProblemReported)
MILESTONES = (25, 50, 75, 100)  # per cent provisioned


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of one site (or all), and the newest thing that happened."""

    site: str
    total: int
    provisioned: int
    installed: int
    problems: int
    last: Device | None = None
    last_by: str = ""
    last_at: datetime | None = None
    last_fact: str = ""  # name of the event
    revision: int = 0

    @property
    def percent(self) -> int:
        return self.provisioned * 100 // self.total if self.total else 0


class Rollouts(Lookup):
    async def connect(self, actor: Actor, channel: Conversation, text: str) -> Rollout:
        """The channel follows a site (or, without a name, all). Connecting again changes the site."""
        require(actor, Permission.CONNECT_CHANNELS)
        site = await self.site(text) if text.strip() else ""
        if text.strip() and not site:
            raise NothingMatches(text=text.strip()[:60])

        async def decide() -> tuple[Change, Rollout]:
            known = await self.store.get(Rollout, channel.id)
            if known and known.site == site:
                return Change(), known
            fresh = Rollout(
                channel=channel,
                site=site,
                connected_by=actor.id,
                connected_by_name=actor.name,
                started_at=self.now(),
                reached=await self._already_reached(site),
                version=known.version if known else 0,
            )
            fact = ChannelConnected(at=self.now(), actor=actor.id, subject=channel.id, site=site)
            return Change(puts=(fresh,), events=(fact,)), stored(fresh)

        return await self.unit(actor, decide)

    async def _already_reached(self, site: str) -> tuple[int, ...]:
        """What lies behind a rollout when a channel begins to follow it is not announced."""
        now = _progress(site, await self.store.tally(site.casefold() or None))
        return _reached(now)

    async def disconnect(self, actor: Actor, channel: Conversation) -> Rollout:
        require(actor, Permission.CONNECT_CHANNELS)

        async def decide() -> tuple[Change, Rollout]:
            rollout = await self._followed(channel.id)
            fact = ChannelDisconnected(at=self.now(), actor=actor.id, subject=channel.id, site=rollout.site)
            return Change(deletes=(rollout,), events=(fact,)), rollout

        return await self.unit(actor, decide)

    async def _followed(self, channel_id: str) -> Rollout:
        rollout = await self.store.get(Rollout, channel_id)
        if rollout is None:
            raise NotConnected
        return rollout

    async def rollout_in(self, channel_id: str) -> Rollout:
        """The rollout this channel follows. Errors: `NotConnected`."""
        return await self._followed(channel_id)

    async def followers(self) -> Sequence[Rollout]:
        """Every channel that follows something."""
        return (await self.store.find(Rollout, limit=1000)).rows

    async def progress_in(self, channel_id: str) -> Progress:
        """How the channel's rollout stands. A milestone reached since is put into the outbox with the same save."""
        rollout = await self._followed(channel_id)
        progress = await self._progress_of(rollout.site)
        fresh = tuple(m for m in _reached(progress) if m not in rollout.reached)
        if fresh:
            await self.unit(SERVICE, lambda: self._tell_milestones(channel_id))
        return replace(progress, revision=rollout.version)

    async def _tell_milestones(self, channel_id: str) -> tuple[Change, None]:
        rollout = await self._followed(channel_id)
        reached = _reached(await self._progress_of(rollout.site))
        fresh = [milestone for milestone in reached if milestone not in rollout.reached]
        if not fresh:
            return Change(), None
        told = [milestone for milestone in fresh if milestone in (STARTED, fresh[-1])]
        messages = tuple(self._milestone(rollout, milestone) for milestone in told)
        return Change(puts=(replace(rollout, reached=(*rollout.reached, *fresh)), *messages)), None

    def _milestone(self, rollout: Rollout, milestone: int) -> OutboxMessage:
        kind = MessageKind.ROLLOUT_STARTED if milestone == STARTED else MessageKind.MILESTONE
        return tell(kind, rollout.key, rollout.key, self.now(), percent=str(milestone))

    async def progress(self, actor: Actor, text: str) -> Progress:
        """How a site (or everything) stands, for anybody with a role."""
        require(actor, Permission.FOLLOW_ROLLOUT)
        site = await self.site(text) if text.strip() else ""
        if text.strip() and not site:
            raise NothingMatches(text=text.strip()[:60])
        return await self._progress_of(site)

    async def _progress_of(self, site: str) -> Progress:
        progress = _progress(site, await self.store.tally(site.casefold() or None))
        for row in (await self.store.history(limit=RECENT)).rows:
            device = await self.store.get(Device, row.event.subject) if isinstance(row.event, TELLING) else None
            if device and (not site or device.site.casefold() == site.casefold()):
                names = await self.names((row.event.actor,))
                by = names.get(row.event.actor, "")
                return replace(progress, last=device, last_by=by, last_at=row.event.at, last_fact=row.event.name)
        return progress


def _progress(site: str, rows: Sequence[TallyRow]) -> Progress:
    return Progress(
        site=site,
        total=sum(row.count for row in rows),
        provisioned=sum(row.count for row in rows if row.state is not State.WAITING_FOR_ACTIVATION),
        installed=sum(row.count for row in rows if row.installed),
        problems=sum(row.count for row in rows if row.problem),
    )


def _reached(progress: Progress) -> tuple[int, ...]:
    """The milestones that lie behind, the start among them."""
    started = (STARTED,) if progress.provisioned or progress.installed else ()
    return started + tuple(m for m in MILESTONES if progress.total and progress.percent >= m)
