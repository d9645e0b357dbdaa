"""Channels that follow a rollout: one living card, and a reply where something matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from provisioning.access import Permission, require
from provisioning.conversations import Conversation
from provisioning.errors import NotConnected
from provisioning.events import ChannelConnected, ChannelDisconnected
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Actor, Change, Person, stored
from provisioning.notifications import tell
from provisioning.ports import Span
from provisioning.rollouts import Rollout
from provisioning.service.following import target_of
from provisioning.service.lookup import Target
from provisioning.service.people import SERVICE
from provisioning.service.progress import Progress, Progressing
from provisioning.telling import EVERYTHING_TOLD
from provisioning.texts import Speech

STARTED = 0
MILESTONES = (25, 50, 75, 100)  # per cent provisioned
MOST_READERS = 60  # people whose clients ask for a view of their own (Teams' limit)
ALERTS_APART = timedelta(minutes=10)  # of silent devices, in a thread


@dataclass(frozen=True, slots=True)
class Followed:
    """A channel's rollout as it stands: what was planned, how it goes, and who leads it."""

    rollout: Rollout
    progress: Progress
    lead: Person | None = None
    technicians: tuple[Person, ...] = ()


class Rollouts(Progressing):
    async def connect(self, actor: Actor, channel: Conversation, text: str) -> Rollout:
        """The channel follows a site or a tag (or, without a name, all). Connecting again changes which."""
        require(actor, Permission.CONNECT_CHANNELS)
        meant = await self.scope(text) if text.strip() else Target()

        async def decide() -> tuple[Change, Rollout]:
            known = await self.store.get(Rollout, channel.id)
            same = known and known.scope.casefold() == meant.scope.casefold()
            if known and same and not (known.lost or known.finished):
                return Change(), known
            fresh = Rollout(
                channel=channel,
                site=meant.site,
                tag=meant.tag,
                connected_by=actor.id,
                connected_by_name=actor.name,
                started_at=self.now(),
                reached=_reached(await self.counts(meant)),  # what lies behind is not announced
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

    async def channel_speech(self, channel_id: str) -> Speech:
        """A channel is spoken to as whoever connected it. Errors: `NotConnected`."""
        owner = await self.store.get(Person, (await self.rollout_in(channel_id)).connected_by)
        return self.speech_of(owner) if owner else Speech(timezone=self.policy.timezone)

    async def lead_in(self, channel_id: str) -> Person | None:
        """Who leads this channel's rollout, where that was said. Errors: `NotConnected`."""
        lead = (await self.rollout_in(channel_id)).lead
        return await self.store.get(Person, lead) if lead else None

    async def card_readers(self) -> tuple[str, ...]:
        """Teams ids of those who see more on a channel's card than others do: admins, as many as Teams takes."""
        return tuple(admin.teams_id for admin in await self.admins() if admin.teams_id)[:MOST_READERS]

    # -------------------------------------------------------------- how it stands

    async def followed_in(self, channel_id: str) -> Followed:
        """How the channel's rollout stands. A milestone reached since is put into the outbox with the same save."""
        rollout = await self.rollout_in(channel_id)
        progress = await self.progress_of(target_of(rollout))
        if not rollout.finished and any(m not in rollout.reached for m in _reached(progress)):
            await self.unit(SERVICE, lambda: self._tell_milestones(channel_id))
        return await self._with_people(rollout, progress)

    async def _with_people(self, rollout: Rollout, progress: Progress) -> Followed:
        people = await self.store.get_many(Person, [id_ for id_ in (rollout.lead, *rollout.technicians) if id_])
        crew = tuple(people[id_] for id_ in rollout.technicians if id_ in people)
        return Followed(rollout, progress, people.get(rollout.lead), crew)

    async def _tell_milestones(self, channel_id: str) -> tuple[Change, None]:
        rollout = await self.rollout_in(channel_id)
        reached = _reached(await self.counts(target_of(rollout)))
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
        return await self.progress_of(await self.scope(text) if text.strip() else Target())

    async def rollouts(self, actor: Actor) -> Sequence[Followed]:
        """Every rollout with its counts and pace, without what is stuck: those that go on first."""
        require(actor, Permission.FOLLOW_ROLLOUT)
        found = list[Followed]()
        for rollout in sorted(await self.followers(), key=lambda each: (each.finished, each.scope.casefold())):
            counted = await self.counts(target_of(rollout))
            speed = await self.pace_of(target_of(rollout), counted)
            found.append(Followed(rollout, replace(counted, pace=speed)))
        return found

    async def alerted_lately(self, channel_id: str) -> bool:
        """Whether this thread heard of silent devices a moment ago: a network that flaps is told of once."""
        since = Span("settled", after=self.now() - ALERTS_APART)
        kind, sent = MessageKind.DEVICES_OFFLINE.value, MessageStatus.SENT.value
        count = self.store.count(OutboxMessage, span=since, recipient=channel_id, kind=kind, status=sent)
        return bool(await count)


def _reached(progress: Progress) -> tuple[int, ...]:
    """The milestones that lie behind, the start among them."""
    started = (STARTED,) if progress.provisioned or progress.installed else ()
    return started + tuple(m for m in MILESTONES if progress.total and progress.percent >= m)
