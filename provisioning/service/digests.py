"""The daily digest: how things stand, what changed since the workday before, and what is stuck. Counted by indexes."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from functools import partial
from typing import Any

from provisioning.access import Permission, require
from provisioning.conversations import Conversation
from provisioning.errors import NotConnected
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Actor, Change, Device, Person, State
from provisioning.notifications import tell
from provisioning.ports import Span
from provisioning.rollouts import Rollout
from provisioning.service.following import target_of
from provisioning.service.lookup import EVERYTHING
from provisioning.service.telling import Listener, Tellings
from provisioning.telling import LATE, MUTED, TOPIC_OF, Hearer, Topic, due_day, look_back

LOOKED_AT = 500  # people of one page
OLDEST = 3  # problems that are named
LOOKED_THROUGH = 50  # open problems among which the oldest are looked for
NAMED = 3  # people out of reach who are named
ROLLOUTS = 5  # that are told one by one
MOST_HELD = 1000  # dropped messages of one reader that are counted


@dataclass(frozen=True, slots=True)
class Standing:
    """Listed devices of one site or tag, of everything, or in one technician's hands."""

    scope: str  # as it is said; empty for everything
    total: int
    provisioned: int
    installed: int
    called_in: int  # since the workday before …
    confirmed: int
    called_in_before: int  # … and in as long a time before that

    @property
    def moved(self) -> bool:
        return bool(self.called_in or self.confirmed)


@dataclass(frozen=True, slots=True)
class Stuck:
    """What somebody has to see to."""

    problems: int = 0
    offline: int = 0
    ending: int = 0  # codes that end before the next midnight
    waiting: int = 0  # for sign-in
    oldest: tuple[Device, ...] = ()  # of the problems

    def __bool__(self) -> bool:
        return bool(self.problems or self.offline or self.ending or self.waiting)


@dataclass(frozen=True, slots=True)
class Digest:
    """What one reader is told once a day."""

    hearer: Hearer
    since: datetime
    whole: Standing
    stuck: Stuck
    rollouts: tuple[Standing, ...] = ()
    more_rollouts: int = 0
    undelivered: int = 0  # messages
    events: int = 0  # for other systems, that reached none
    unreached: tuple[str, ...] = ()  # names of some of those whom they were for
    held: Mapping[Topic, int] = field(default_factory=dict)  # messages dropped because they were muted

    def __bool__(self) -> bool:
        return bool(self.whole.moved or self.stuck or self.undelivered or self.events or self.held)


class Digests(Tellings):
    # -------------------------------------------------------------- when

    async def tell_digests(self) -> int:
        """Every reader whose hour has come gets theirs, where there is something to say; returns how many do."""
        told = 0
        async for listener in self._listeners():
            if self._day_of(listener, await self._zone_of(listener)):
                told += await self.quietly(partial(self._decide_digest, type(listener), listener.key))
        return told

    async def _listeners(self) -> AsyncIterator[Listener]:
        """Whoever may want one: admins, channels, and technicians who chose an hour."""
        admins = await self.admins()
        for admin in admins:
            yield admin
        for rollout in (await self.store.find(Rollout, limit=1000)).rows:
            yield rollout
        seen, after = {admin.id for admin in admins}, None
        while True:
            page = await self.store.find(Person, technician=True, after=after, limit=LOOKED_AT)
            for person in page.rows:
                if person.telling.digest and person.id not in seen:
                    yield person
            after = page.after
            if after is None:
                return

    def _day_of(self, listener: Listener, zone: tzinfo) -> date | None:
        """The day on this reader's calendar whose digest is due; None where it was seen to.

        Whoever flew west has the same day twice, and gets its digest once.
        """
        at = listener.telling.digest_at(self.hearer_of(listener), self.policy.hours)
        muted = listener.telling.mute_of(Topic.DIGEST, self.now())
        if at is None or muted or not self._listens(listener):
            return None
        day = due_day(at, self.now(), zone, self.policy.hours.workdays)
        known = day and listener.digested_on in (day.isoformat(), (day + timedelta(days=1)).isoformat())
        return None if known else day

    def _listens(self, listener: Listener) -> bool:
        """Whether there is anybody to be reached, and anything that still goes on."""
        if isinstance(listener, Rollout):
            return not listener.finished and not listener.lost
        return listener.reachable and bool(self.roles_of(listener))

    async def _decide_digest(self, kind: type[Listener], key: str) -> tuple[Change, bool]:
        """That the day was looked at is noted with the message, so that no restart and no other instance doubles it.

        Whoever is new gets the first one the workday after: until then there is nothing to compare with.
        """
        listener: Listener | None = await self.store.get(kind, key)
        zone = await self._zone_of(listener) if listener else None
        day = self._day_of(listener, zone) if listener and zone else None
        if listener is None or day is None:
            return Change(), False
        noted = Change(puts=(replace(listener, digested_on=day.isoformat()),))
        if not listener.digested_on or not await self._drawn_digest(listener):
            return noted, False
        message = tell(MessageKind.DIGEST, key, "", self.now(), until=(self.now() + LATE).isoformat())
        return noted + Change(puts=(message,)), True

    # -------------------------------------------------------------- what

    async def digest_now(self, actor: Actor, channel: Conversation | None = None) -> Digest:
        """How things stand now, for whoever asks or for the channel. Errors: `NotConnected`."""
        require(actor, Permission.FOLLOW_ROLLOUT)
        kind: type[Listener] = Rollout if channel else Person
        listener: Listener | None = await self.store.get(kind, channel.id if channel else actor.id)
        if listener is None and channel:
            raise NotConnected
        return await self._drawn_digest(listener or Person(id=actor.id, roles=actor.roles))

    async def digest_for(self, reader: str) -> Digest | None:
        """The same for the outbox, which addresses only those concerned; None where there is nothing to say."""
        listener = await self.store.get(Person, reader) or await self.store.get(Rollout, reader)
        return (await self._drawn_digest(listener) or None) if listener else None

    async def _drawn_digest(self, listener: Listener) -> Digest:
        zone, hearer = await self._zone_of(listener), self.hearer_of(listener)
        since = look_back(self.now(), zone, self.policy.hours.workdays)
        scope, equals = "", dict[str, Any](technician=listener.key) if hearer is Hearer.TECHNICIAN else {}
        if isinstance(listener, Rollout):
            followed = target_of(listener)
            scope, equals = followed.scope, followed.equals
        digest = Digest(
            hearer,
            since,
            await self._standing(scope, equals, since),
            await self._stuck(equals, zone),
            held=await self._held(listener.key, since),
        )
        return await self._for_admin(digest) if hearer is Hearer.ADMIN else digest

    async def _for_admin(self, digest: Digest) -> Digest:
        """With every rollout by itself, and the messages that reached nobody."""
        followed = [target_of(each) for each in (await self.store.find(Rollout, limit=1000)).rows if not each.finished]
        targets = {target.scope.casefold(): target for target in followed if target != EVERYTHING}
        told = list(targets.values())[:ROLLOUTS]
        rollouts = [await self._standing(target.scope, target.equals, digest.since) for target in told]
        lost, events, unreached = await self._undelivered(digest.since)
        return replace(
            digest,
            rollouts=tuple(rollouts),
            more_rollouts=len(targets) - len(told),
            undelivered=lost,
            events=events,
            unreached=unreached,
        )

    async def _standing(self, scope: str, equals: Mapping[str, Any], since: datetime) -> Standing:
        count = partial(self.store.count, Device, removed=False, **equals)
        called_in, before = await self._lately("provisioned_at", equals, since)
        confirmed, _earlier = await self._lately("installed_at", equals, since)
        total, waits = await count(), await count(state=State.WAITING_FOR_ACTIVATION.value)
        return Standing(
            scope,
            total,
            max(0, total - waits),  # they are not counted at one moment
            await count(installed=True),
            called_in,
            confirmed,
            before,
        )

    async def _lately(self, index: str, equals: Mapping[str, Any], since: datetime) -> tuple[int, int]:
        """How many devices reached it since then, and in as long a time before that."""
        span = self.now() - since
        rows = await self.store.timeline(index, since - span, self.now(), span, **equals)
        now = sum(row.count for row in rows if row.start >= since)
        return now, sum(row.count for row in rows) - now

    async def _stuck(self, equals: Mapping[str, Any], zone: tzinfo) -> Stuck:
        count = partial(self.store.count, Device, removed=False, **equals)
        tomorrow = self.now().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        held_up = await self.store.find(Device, removed=False, problem=True, limit=LOOKED_THROUGH, **equals)
        troubled = (device for device in held_up.rows if device.problem)
        return Stuck(
            await count(problem=True),
            await count(span=Span("offline_since")),
            await count(span=Span("code_until", after=self.now(), until=tomorrow)),
            await count(state=State.WAITING_FOR_SIGN_IN.value),
            tuple(sorted(troubled, key=_since_when)[:OLDEST]),
        )

    async def _held(self, reader: str, since: datetime) -> Mapping[Topic, int]:
        """Messages that were not told because their reader did not want to hear them, by topic."""
        span, dropped = Span("settled", after=since), MessageStatus.DROPPED.value
        rows = (await self.store.find(OutboxMessage, recipient=reader, status=dropped, span=span, limit=MOST_HELD)).rows
        return Counter(TOPIC_OF[row.kind] for row in rows if row.failure == MUTED)

    async def _undelivered(self, since: datetime) -> tuple[int, int, tuple[str, ...]]:
        """Messages and events that reached nobody, and names of some of those whom the messages were for."""
        span, status = Span("settled", after=since), MessageStatus.UNDELIVERABLE.value
        events = await self.store.count(OutboxMessage, status=status, kind=MessageKind.WEBHOOK.value, span=span)
        count = await self.store.count(OutboxMessage, status=status, span=span) - events
        rows: Sequence[OutboxMessage] = ()
        if count:
            rows = (await self.store.find(OutboxMessage, status=status, span=span, limit=LOOKED_THROUGH)).rows
        names = await self.names(row.recipient for row in rows)
        return count, events, tuple(names.values())[:NAMED]


def _since_when(device: Device) -> datetime:
    return device.problem.at if device.problem else device.added_at
