"""What people and channels want to hear about, and when: muted, unmuted, chosen."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta, tzinfo

from provisioning.access import Permission, require
from provisioning.conversations import Conversation
from provisioning.errors import BadInput, InvalidChoice, NotConnected
from provisioning.events import Event, MessagesMuted, MessagesUnmuted, TellingChosen
from provisioning.hours import Hours
from provisioning.messages import OutboxMessage
from provisioning.model import Actor, Change, Person, Role, stored
from provisioning.rollouts import Rollout
from provisioning.service.lookup import Lookup
from provisioning.service.unit import Hearing
from provisioning.telling import (
    LONGEST_MUTE,
    DigestHour,
    Hearer,
    Mute,
    QuietHours,
    Telling,
    Topic,
    due_day,
    next_digest,
    topics_of,
)
from provisioning.texts import N_

OFF, DEFAULT, EVERYTHING = "off", "default", "everything"  # as they are typed
MOST_HELD = 200  # messages that wait for the end of one reader's quiet hours: one or a few of each kind


class InvalidMute(BadInput):
    code = "invalid_mute"
    field = "topic"
    message = N_('"{text}" is not a time to be quiet for. Write for 2h, for 3d (at most {days}d), or until 14:00.')


class InvalidDigestHour(BadInput):
    code = "invalid_digest_hour"
    field = "hour"
    message = N_('"{text}" is not a time of day. Write 07:30, off or default.')


class InvalidQuietHours(BadInput):
    code = "invalid_quiet_hours"
    field = "hours"
    message = N_('"{text}" is not a span of hours. Write 19:00-07:00, off or default.')


@dataclass(frozen=True, slots=True)
class Heard:
    """What one reader wants to hear, as it stands; `hours` are the deployment's."""

    reader: str  # person id, or the channel's conversation id
    telling: Telling
    hearer: Hearer
    hours: Hours
    topics: tuple[Topic, ...]  # there are messages about for this reader; the digest has an hour instead
    digest_due: datetime | None = None  # when the next one comes; None: never

    @property
    def digest_at(self) -> time | None:
        return self.telling.digest_at(self.hearer, self.hours)

    def mute_of(self, topic: Topic | None, now: datetime) -> Mute | None:
        return self.telling.mute_of(topic, now)


Listener = Person | Rollout
Decide = Callable[[Telling, datetime], tuple[Telling, Event]]


class Tellings(Lookup):
    async def telling_of(self, actor: Actor, channel: Conversation | None = None) -> Heard:
        """What the actor wants to hear, or the channel. Errors: `NotConnected`."""
        listener = await self._listener(actor, channel)
        return await self._heard(listener)

    async def mute(
        self, actor: Actor, topic: Topic | None, until: datetime | None, channel: Conversation | None = None
    ) -> Heard:
        """Nothing of a topic (None: of any) is told, until a moment or for good; nor what waits already.

        Errors: `InvalidChoice` for a topic that this reader hears nothing of.
        """

        def decide(telling: Telling, now: datetime) -> tuple[Telling, Event]:
            fact = MessagesMuted(at=now, actor=actor.id, subject="", topic=topic or EVERYTHING, until=until)
            return telling.muted(topic, until, now), fact

        return await self._choose(actor, channel, decide, (topic,) if topic else ())

    async def unmute(self, actor: Actor, topic: Topic | None, channel: Conversation | None = None) -> Heard:
        """A topic (None: everything) is told again. Errors: as `mute`."""

        def decide(telling: Telling, now: datetime) -> tuple[Telling, Event]:
            fact = MessagesUnmuted(at=now, actor=actor.id, subject="", topic=topic or EVERYTHING)
            return telling.unmuted(topic, now), fact

        return await self._choose(actor, channel, decide, (topic,) if topic else ())

    async def choose_digest(
        self, actor: Actor, digest: DigestHour | None, channel: Conversation | None = None
    ) -> Heard:
        """The hour of the daily digest; one chosen is not muted. None: as by default."""

        def decide(telling: Telling, now: datetime) -> tuple[Telling, Event]:
            return _chosen(actor, _with_digest(telling, digest, now), now)

        return await self._choose(actor, channel, decide)

    async def choose_quiet(self, actor: Actor, quiet: QuietHours | None, channel: Conversation | None = None) -> Heard:
        """Hours in which nothing that can wait is told; None: the deployment's. What waits is timed anew."""

        def decide(telling: Telling, now: datetime) -> tuple[Telling, Event]:
            return _chosen(actor, replace(telling, quiet=quiet), now)

        return await self._choose(actor, channel, decide)

    async def choose_telling(
        self,
        actor: Actor,
        topics: Collection[Topic],
        digest: DigestHour | None,
        quiet: QuietHours | None,
        channel: Conversation | None = None,
    ) -> Heard:
        """All of it at once: the topics that are told, the digest's hour, the quiet hours."""
        heard = await self.telling_of(actor, channel)

        def decide(telling: Telling, now: datetime) -> tuple[Telling, Event]:
            told = telling.hearing(topics, heard.topics, now)
            changed = told if telling.digest == digest else _with_digest(told, digest, now)
            return _chosen(actor, replace(changed, quiet=quiet), now)

        return await self._choose(actor, channel, decide)

    # -------------------------------------------------------------- one reader

    async def _listener(self, actor: Actor, channel: Conversation | None) -> Listener:
        """Everybody with a role for themselves, admins for a channel."""
        require(actor, Permission.CONNECT_CHANNELS if channel else Permission.FOLLOW_ROLLOUT)
        if channel is None:
            known = await self.store.get(Person, actor.id)
            return known or Person(id=actor.id, name=actor.name, tenant=actor.tenant)
        rollout = await self.store.get(Rollout, channel.id)
        if rollout is None:
            raise NotConnected
        return rollout

    async def _choose(
        self, actor: Actor, channel: Conversation | None, decide: Decide, topics: tuple[Topic, ...] = ()
    ) -> Heard:
        async def change() -> tuple[Change, Listener]:
            now, listener = self.now(), await self._listener(actor, channel)
            known = self._topics_of(listener)
            for topic in topics:
                if topic not in known:
                    raise InvalidChoice(text=topic, choices=", ".join(known))
            telling, fact = decide(listener.telling, now)
            if telling == listener.telling:
                return Change(), listener
            zone = await self._zone_of(listener)
            fresh = replace(listener, telling=telling, digested_on=self._told_on(listener, telling, zone))
            retimed = await self._retimed(fresh, zone) if telling.quiet != listener.telling.quiet else ()
            change = Change(puts=(fresh, *retimed), events=(replace(fact, subject=listener.key),))
            return change, stored(fresh)

        return await self._heard(await self.unit(actor, change))

    def _told_on(self, listener: Listener, telling: Telling, zone: tzinfo) -> str:
        """A new hour counts from its next coming: it is not made up for where it is just over."""
        hearer, hours = self.hearer_of(listener), self.policy.hours
        at = telling.digest_at(hearer, hours)
        if at is None or at == listener.telling.digest_at(hearer, hours):
            return listener.digested_on
        day = due_day(at, self.now(), zone, hours.workdays)
        yesterday = self.now().astimezone(zone).date() - timedelta(days=1)
        return day.isoformat() if day else listener.digested_on or yesterday.isoformat()

    async def _retimed(self, listener: Listener, zone: tzinfo) -> tuple[OutboxMessage, ...]:
        """What waits for the end of the former quiet hours waits for that of the new ones, or goes out now."""
        now, reader = self.now(), Hearing(listener.telling, zone)
        waiting = await self.store.find(OutboxMessage, recipient=listener.key, status="waiting", limit=MOST_HELD)
        held = (row for row in waiting.rows if row.lane.startswith("quiet:") and row.leased_until is None)
        return tuple(replace(row, due_at=self.due(row.kind, reader, now)) for row in held)

    def hearer_of(self, listener: Listener) -> Hearer:
        if isinstance(listener, Rollout):
            return Hearer.CHANNEL
        return Hearer.ADMIN if Role.ADMIN in self.roles_of(listener) else Hearer.TECHNICIAN

    def _topics_of(self, listener: Listener) -> tuple[Topic, ...]:
        """An admin who is a technician too hears what both do."""
        if isinstance(listener, Rollout):
            return topics_of(Hearer.CHANNEL)
        works = Role.TECHNICIAN in self.roles_of(listener)
        return topics_of(self.hearer_of(listener), *((Hearer.TECHNICIAN,) if works else ()))

    async def _zone_of(self, listener: Listener) -> tzinfo:
        if isinstance(listener, Person):
            return self.speech_of(listener).timezone
        hearing = await self.hearing(listener.key)
        return hearing.zone if hearing else self.policy.timezone

    async def _heard(self, listener: Listener) -> Heard:
        hearer, hours = self.hearer_of(listener), self.policy.hours
        at, zone = listener.telling.digest_at(hearer, hours), await self._zone_of(listener)
        told_on = listener.digested_on or self.now().astimezone(zone).date().isoformat()
        due = next_digest(at, told_on, self.now(), zone, hours.workdays) if at else None
        topics = tuple(topic for topic in self._topics_of(listener) if topic is not Topic.DIGEST)
        return Heard(listener.key, listener.telling, hearer, hours, topics, due)


def _with_digest(telling: Telling, digest: DigestHour | None, now: datetime) -> Telling:
    return replace(telling.unmuted(Topic.DIGEST, now) if digest and digest.at else telling, digest=digest)


def _chosen(actor: Actor, telling: Telling, now: datetime) -> tuple[Telling, Event]:
    muted = tuple(mute.topic or EVERYTHING for mute in telling.mutes if mute.holds(now))
    fact = TellingChosen(
        at=now,
        actor=actor.id,
        subject="",
        muted=muted,
        digest=digest_word(telling.digest),
        quiet=quiet_word(telling.quiet),
    )
    return telling, fact


def digest_word(digest: DigestHour | None) -> str:
    """As it is typed."""
    return DEFAULT if digest is None else f"{digest.at:%H:%M}" if digest.at else OFF


def quiet_word(quiet: QuietHours | None) -> str:
    """As it is typed."""
    if quiet is None:
        return DEFAULT
    return f"{quiet.span[0]:%H:%M}-{quiet.span[1]:%H:%M}" if quiet.span else OFF


def mute_until(length: timedelta, now: datetime) -> datetime:
    """Errors: ValueError for nothing, and for more than `LONGEST_MUTE`."""
    if not timedelta() < length <= LONGEST_MUTE:
        raise ValueError(length)
    return now + length
