"""Channels that follow a rollout: one living card, and a reply where something matters."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from provisioning.access import Permission, require
from provisioning.conversations import Conversation
from provisioning.errors import NotConnected
from provisioning.events import (
    ChannelConnected,
    ChannelDisconnected,
    DeviceProvisioned,
    InstallConfirmed,
    ProblemReported,
    StartChosen,
)
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Actor, Change, Device, Person, State, stored
from provisioning.notifications import folded, follows, tell
from provisioning.ports import TallyRow
from provisioning.rollouts import Rollout
from provisioning.service.lookup import Lookup, Target
from provisioning.service.people import SERVICE
from provisioning.telling import EVERYTHING_TOLD
from provisioning.texts import Speech

STARTED = 0
RECENT = 100  # audit rows looked through for the newest thing that happened
TELLING = (DeviceProvisioned, InstallConfirmed, ProblemReported)
MILESTONES = (25, 50, 75, 100)  # per cent provisioned


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of one site or tag (or all), and the newest thing that happened."""

    scope: str  # as it is said: "Oslo", "#lobby"; "" for everything
    total: int
    provisioned: int
    installed: int
    problems: int
    last: Device | None = None
    last_by: str = ""
    last_at: datetime | None = None
    last_fact: str = ""  # name of the event
    revision: int = 0
    waiting_installed: int = 0  # installed, as was said on site, and have not called in
    on_site: bool = False  # its codes start on site

    @property
    def percent(self) -> int:
        return self.provisioned * 100 // self.total if self.total else 0


class Rollouts(Lookup):
    async def connect(self, actor: Actor, channel: Conversation, text: str) -> Rollout:
        """The channel follows a site or a tag (or, without a name, all). Connecting again changes which."""
        require(actor, Permission.CONNECT_CHANNELS)
        meant = await self.scope(text) if text.strip() else Target()

        async def decide() -> tuple[Change, Rollout]:
            known = await self.store.get(Rollout, channel.id)
            if known and (known.site, known.tag) == (meant.site, meant.tag) and not known.lost:
                return Change(), known
            fresh = Rollout(
                channel=channel,
                site=meant.site,
                tag=meant.tag,
                connected_by=actor.id,
                connected_by_name=actor.name,
                started_at=self.now(),
                reached=_reached(await self._counts(meant)),  # what lies behind is not announced
                on_site=bool(known and known.on_site),
                telling=known.telling if known else EVERYTHING_TOLD,
                digested_on=known.digested_on if known else "",
                version=known.version if known else 0,
            )
            fact = ChannelConnected(at=self.now(), actor=actor.id, subject=channel.id, site=meant.scope)
            return Change(puts=(fresh,), events=(fact,)), stored(fresh)

        return await self.unit(actor, decide)

    async def disconnect(self, actor: Actor, channel: Conversation) -> Rollout:
        require(actor, Permission.CONNECT_CHANNELS)

        async def decide() -> tuple[Change, Rollout]:
            rollout = await self.rollout_in(channel.id)
            fact = ChannelDisconnected(at=self.now(), actor=actor.id, subject=channel.id, site=rollout.scope)
            return Change(deletes=(rollout,), events=(fact,)), rollout

        return await self.unit(actor, decide)

    async def rollout_in(self, channel_id: str) -> Rollout:
        """The rollout this channel follows. Errors: `NotConnected`."""
        rollout = await self.store.get(Rollout, channel_id)
        if rollout is None:
            raise NotConnected
        return rollout

    async def starts_on_site(self, target: Target) -> bool:
        """Whether codes of this target start on site: so says a rollout that all of it belongs to."""
        rollouts = [rollout for rollout in await self.followers() if rollout.on_site]
        if device := target.device:
            return any(follows(r, device.site.casefold(), folded(device.tags)) for r in rollouts)
        return any(r.scope.casefold() in ("", target.scope.casefold()) for r in rollouts)

    async def set_start(self, actor: Actor, channel: Conversation, *, on_site: bool) -> Rollout:
        """Codes of this channel's rollout are made at once, or by whoever stands before the device."""
        require(actor, Permission.CONNECT_CHANNELS)

        async def decide() -> tuple[Change, Rollout]:
            rollout = await self.rollout_in(channel.id)
            if rollout.on_site == on_site:
                return Change(), rollout
            fresh = replace(rollout, on_site=on_site)
            fact = StartChosen(at=self.now(), actor=actor.id, subject=channel.id, on_site=on_site)
            return Change(puts=(fresh,), events=(fact,)), stored(fresh)

        return await self.unit(actor, decide)

    async def channel_speech(self, channel_id: str) -> Speech:
        """A channel is spoken to as whoever connected it. Errors: `NotConnected`."""
        owner = await self.store.get(Person, (await self.rollout_in(channel_id)).connected_by)
        return self.speech_of(owner) if owner else Speech(timezone=self.policy.timezone)

    async def followers(self) -> Sequence[Rollout]:
        """Every channel that follows something."""
        return (await self.store.find(Rollout, limit=1000)).rows

    async def progress_in(self, channel_id: str) -> Progress:
        """How the channel's rollout stands. A milestone reached since is put into the outbox with the same save."""
        rollout = await self.rollout_in(channel_id)
        progress = await self._progress_of(_followed(rollout))
        fresh = tuple(m for m in _reached(progress) if m not in rollout.reached)
        if fresh:
            await self.unit(SERVICE, lambda: self._tell_milestones(channel_id))
        return replace(progress, revision=rollout.version, on_site=rollout.on_site)

    async def _tell_milestones(self, channel_id: str) -> tuple[Change, None]:
        rollout = await self.rollout_in(channel_id)
        reached = _reached(await self._progress_of(_followed(rollout)))
        fresh = [milestone for milestone in reached if milestone not in rollout.reached]
        if not fresh:
            return Change(), None
        told = [milestone for milestone in fresh if milestone in (STARTED, fresh[-1])]
        messages = tuple(self._milestone(rollout, milestone) for milestone in told)
        timed = await self.in_time(messages)
        return Change(puts=(replace(rollout, reached=(*rollout.reached, *fresh)), *timed)), None

    def _milestone(self, rollout: Rollout, milestone: int) -> OutboxMessage:
        kind = MessageKind.ROLLOUT_STARTED if milestone == STARTED else MessageKind.MILESTONE
        return tell(kind, rollout.key, rollout.key, self.now(), percent=str(milestone))

    async def progress(self, actor: Actor, text: str) -> Progress:
        """How a site or a tag (or everything) stands, for anybody with a role."""
        require(actor, Permission.FOLLOW_ROLLOUT)
        return await self._progress_of(await self.scope(text) if text.strip() else Target())

    async def _counts(self, target: Target) -> Progress:
        if not target.tag:
            return _progress(target.site, await self.store.tally(target.site.casefold() or None))
        count = partial(self.store.count, Device, removed=False, **target.equals)
        waits = State.WAITING_FOR_ACTIVATION
        total, waiting, installed, problems, mounted = await asyncio.gather(
            count(),
            count(state=waits),
            count(installed=True),
            count(problem=True),
            count(installed=True, state=waits),
        )
        provisioned = max(0, total - waiting)  # they are not counted at one moment
        return Progress(target.scope, total, provisioned, installed, problems, waiting_installed=mounted)

    async def _progress_of(self, target: Target) -> Progress:
        progress = await self._counts(target)
        for row in (await self.store.history(limit=RECENT)).rows:
            device = await self.store.get(Device, row.event.subject) if isinstance(row.event, TELLING) else None
            if device and follows(target, device.site.casefold(), folded(device.tags)):
                names = await self.names((row.event.actor,))
                by = names.get(row.event.actor, "")
                return replace(progress, last=device, last_by=by, last_at=row.event.at, last_fact=row.event.name)
        return progress


def _followed(rollout: Rollout) -> Target:
    return Target(site=rollout.site, tag=rollout.tag)


def _progress(site: str, rows: Sequence[TallyRow]) -> Progress:
    return Progress(
        scope=site,
        total=sum(row.count for row in rows),
        provisioned=sum(row.count for row in rows if row.state is not State.WAITING_FOR_ACTIVATION),
        installed=sum(row.count for row in rows if row.installed),
        problems=sum(row.count for row in rows if row.problem),
        waiting_installed=sum(row.count for row in rows if row.installed and row.state is State.WAITING_FOR_ACTIVATION),
    )


def _reached(progress: Progress) -> tuple[int, ...]:
    """The milestones that lie behind, the start among them."""
    started = (STARTED,) if progress.provisioned or progress.installed else ()
    return started + tuple(m for m in MILESTONES if progress.total and progress.percent >= m)
