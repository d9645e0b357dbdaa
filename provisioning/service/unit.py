"""The recipe every use case follows: authorise · load · decide · save · return; re-run when somebody was faster."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from random import random
from typing import TypeVar

from provisioning import notifications
from provisioning.bookkeeping import Operation
from provisioning.cloudevents import cloud_event, source_of
from provisioning.codes import Keyring
from provisioning.errors import AlreadyDone, Conflict, Duplicate, Unavailable
from provisioning.events import (
    DeviceMoved,
    DeviceTagged,
    Event,
)
from provisioning.hours import Hours
from provisioning.memberships import mapping_of
from provisioning.messages import MessageKind, OutboxMessage, Post
from provisioning.model import Actor, Change, Device, Person, Record, Role, site_of
from provisioning.notifications import held_back
from provisioning.ports import Clock, Directory, IdentityProvider, Store, Watch
from provisioning.rollouts import Rollout
from provisioning.service.redrawing import HELPING, MOVING, QUIET
from provisioning.telling import CAN_WAIT, WAITS_IF_CHOSEN, Telling
from provisioning.texts import Speech
from provisioning.webhooks import Endpoint, deliveries

T = TypeVar("T")

TRIES = 32  # re-runs of a unit whose records somebody else was changing at the same moment
BOARDS_PER_SUBJECT = 200  # lists of many that are: one for each admin
EVENTS_AT_ONCE = 500  # made for webhooks before others get their turns
SUBJECTS_AT_ONCE = 64  # whose cards are looked up before others get their turns, at some 10 µs each
POSTS_PER_SUBJECT = 20  # the newest cards of one thing that are kept up to date
READERS_AT_ONCE = 100  # that are looked up at one go
SAMPLES = (
    ("0281B6100001", "Samples/1/1.01"),
    ("0281B6100002", "Samples/1/1.02"),
    ("0281B6100003", "Samples/2/2.01"),
)  # MACs that no maker gives out (IEEE 802: locally administered), so no real device is meant
HOURS = Hours()
BOARDS = frozenset(notifications.BOARDS.values())
_MAY_WAIT = CAN_WAIT | WAITS_IF_CHOSEN


@dataclass(frozen=True)
class Policy:
    """What a deployment decides."""

    organisation: str
    tenant: str = ""
    admins: frozenset[str] = frozenset()
    code_digits: int = 12
    code_lifetime: timedelta = timedelta(hours=24)
    renewals: int = 5  # new codes a technician may make for one device in 24 h
    undo: timedelta = timedelta(minutes=10)
    trusted_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    any_tenant: bool = False  # local mode
    samples: tuple[tuple[str, str], ...] = SAMPLES
    keep_audit: timedelta | None = timedelta(days=730)  # None: for ever
    revoke_leavers: bool = False  # whoever removes or blocks the app loses access by itself
    timezone: tzinfo = UTC  # of whoever's client names none
    hours: Hours = HOURS
    teams_accounts: bool = False  # the identity provider is Teams' own: a person's object id is the same with both
    offline_after: timedelta | None = timedelta(minutes=30)  # without a call, a device counts as offline; None: never
    stale_after: timedelta | None = timedelta(days=30)  # and as stale; None: never
    invite_link: str = ""  # where somebody installs the app for themselves; empty in local mode
    chat_link: str = ""  # opens the chat with the bot; `&message=` types something there; empty in local mode
    webhooks: tuple[Endpoint, ...] = ()  # who else is told of facts
    admin_groups: frozenset[str] = frozenset()  # object ids of Entra groups whose members have this role
    technician_groups: frozenset[str] = frozenset()

    @property
    def groups(self) -> Mapping[Role, frozenset[str]]:
        return {Role.ADMIN: self.admin_groups, Role.TECHNICIAN: self.technician_groups}

    @cached_property
    def mapping(self) -> str:
        """Names this choice of groups; empty where there are none."""
        return mapping_of({role.value: ids for role, ids in self.groups.items()})


@dataclass(frozen=True, slots=True)
class Hearing:
    """One reader's wishes and their clock."""

    telling: Telling
    zone: tzinfo


class UseCases:
    """What all use cases stand on: the store, the clock, the keys and the policy."""

    def __init__(
        self, store: Store, clock: Clock, keys: Keyring, policy: Policy, provider: IdentityProvider | None = None
    ) -> None:
        """provider: for remote sign-in; without one it is refused in words."""
        self.store, self.clock, self.keys, self.policy = store, clock, keys, policy
        self.provider = provider
        self.directory: Directory | None = None  # asked for groups; without one they give nobody a role
        self.instance = secrets.token_hex(8)  # tells this one from others on the same store
        self._slower = asyncio.Lock()
        self._seen: dict[str, datetime] = {}  # MAC → last call, not yet in the store
        self._waiting: set[Watch] = set()  # of calls that wait for a change
        self._waiting_networks: dict[tuple[str, bool], int] = {}  # (network, exempt) → calls turned away; as above

    def now(self) -> datetime:
        return self.clock.now()

    def speech_of(self, person: Person) -> Speech:
        """How to speak to them, wherever they read: in the language they chose, else their client's; by their clock."""
        return Speech.of(person.language or person.locale, person.timezone, self.policy.timezone)

    async def faults(self) -> list[str]:
        """What keeps the service from being ready, in sentences for the operator; empty: ready."""
        try:
            await self.store.check()
        except Unavailable as fault:
            return [fault.reason]
        return []

    def roles_of(self, person: Person) -> frozenset[Role]:
        """Granted roles, those of groups, and admin for those named in the configuration; none for guests."""
        if person.guest:
            return frozenset()
        configured = {Role.ADMIN} if person.id in self.policy.admins else frozenset()
        return person.roles | configured | self.group_roles_of(person)

    def group_roles_of(self, person: Person) -> frozenset[Role]:
        """What the directory vouches for now; nothing where it has been silent for too long."""
        known = person.membership
        if known is None or person.guest or not known.counts(self.now(), self.policy.mapping):
            return frozenset()
        return frozenset(map(Role, known.roles))

    def actor_of(self, person: Person) -> Actor:
        return Actor(id=person.id, name=person.name, tenant=person.tenant, roles=self.roles_of(person))

    async def admins(self) -> list[Person]:
        """Everybody who is an admin now, by grant, group or configuration, as far as they are known."""
        listed = (await self.store.find(Person, admin=True, limit=200)).rows
        granted = [person for person in listed if Role.ADMIN in self.roles_of(person)]
        configured = [await self.store.get(Person, id_) for id_ in sorted(self.policy.admins)]
        known = {person.id: person for person in (*configured, *granted) if person}
        return list(known.values())

    async def redrawn(self, subject: str, now: datetime) -> tuple[OutboxMessage, ...]:
        """Edits of the newest cards of one thing."""
        posts = await self.store.find(Post, subject=subject, limit=10)
        return tuple(notifications.edit(post, now) for post in posts.rows)

    async def unit(
        self,
        actor: Actor,
        decide: Callable[[], Awaitable[tuple[Change, T]]],
        *,
        part: str = "",
        heard: set[str] | None = None,
    ) -> T:
        """Run `decide` and save what it returns in one piece; where somebody was faster, again on fresh records.

        Whoever was slower takes turns, so that a crowd at one record gets through one by one. An actor's operation
        takes effect once: `AlreadyDone` the second time. Long jobs name their `part`s, and whoever `heard` of new
        devices by one of them hears of it once.
        """
        operation = f"{actor.operation}:{part}" if actor.operation and part else actor.operation
        return await self._persistently(
            lambda: self._attempt(actor, decide, operation, set() if heard is None else heard)
        )

    async def quietly(self, decide: Callable[[], Awaitable[tuple[Change, T]]]) -> T:
        """As `unit`, for the service's own steps: no person is told but by what `decide` itself returns."""

        async def attempt() -> T:
            change, result = await decide()
            if change:
                await self.store.save(change + await self._for_endpoints(change.events))
            return result

        return await self._persistently(attempt)

    async def _persistently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        with suppress(Conflict, Duplicate):
            return await attempt()
        async with self._slower:
            for tried in range(TRIES - 1):
                with suppress(Conflict, Duplicate):
                    return await attempt()
                # other instances take no turns with this one: they are let past for some milliseconds, longer each time
                await asyncio.sleep(random() * min(0.001 * 2**tried, 0.1))  # noqa: S311 - nothing to guess
            return await attempt()

    async def require_new(self, operation: str) -> None:
        """Errors: `AlreadyDone` where this operation took effect before."""
        if operation and await self.store.get(Operation, operation):
            raise AlreadyDone

    async def _attempt(
        self, actor: Actor, decide: Callable[[], Awaitable[tuple[Change, T]]], operation: str, heard: set[str]
    ) -> T:
        await self.require_new(operation)
        change, result = await decide()
        if not change:
            return result
        if operation:
            change += Change(puts=(Operation(id=operation, at=self.now()),))
        told = (await self._told(change, actor)).puts
        heard_first = Change(puts=tuple(each for each in told if _hears(each) not in heard))
        outside = await self._for_endpoints(change.events)
        await self.store.save(heard_first + change + outside)  # what became of one thing is told before the next one is
        heard.update(filter(None, map(_hears, told)))
        return result

    async def _told(self, change: Change, actor: Actor) -> Change:
        """The messages that the facts of a change give rise to, to be saved with it.

        Facts that tell nobody load nobody: a refusal for a listed MAC takes no longer than for an unknown one.
        """
        if all(isinstance(event, QUIET) and type(event) not in notifications.TOLD for event in change.events):
            return Change()
        audience = await self._audience(change, actor)
        told = notifications.messages(change.events, audience, self.now())
        return Change(puts=await self.in_time(told, await self._at_work(change.events)))

    async def _for_endpoints(self, events: Sequence[Event]) -> Change:
        """The facts of a change as events for webhooks, to be saved with it; without endpoints there is nothing to do.

        What is saved past a unit are facts about who looked at something: none of them goes out.
        """
        if not self.policy.webhooks:
            return Change()
        puts, source = list[OutboxMessage](), source_of(self.policy.tenant)
        for start in range(0, len(events), EVENTS_AT_ONCE):
            if start:
                await asyncio.sleep(0)  # others get their turns: an import may change twenty thousand devices
            made = (cloud_event(event, source) for event in events[start : start + EVENTS_AT_ONCE])
            puts += deliveries([event for event in made if event], self.policy.webhooks, self.now())
        return Change(puts=tuple(puts))

    async def in_time(
        self, messages: Sequence[OutboxMessage], at_work: Collection[str] = ()
    ) -> tuple[OutboxMessage, ...]:
        """The messages, each for when its reader may be written to: what can wait waits for the end of quiet hours."""
        now, timed = self.now(), list[OutboxMessage]()
        readers = await self.hearings({m.recipient for m in messages if m.kind in _MAY_WAIT} - set(at_work))
        for message in messages:
            reader = readers.get(message.recipient) if message.kind in _MAY_WAIT else None
            due = self.due(message.kind, reader, now) if reader else now
            timed.append(held_back(message, due) if due > now else message)
        return tuple(timed)

    def due(self, kind: MessageKind, reader: Hearing, now: datetime) -> datetime:
        """When it may be told: now, or after the reader's quiet hours where it is one that waits for their end."""
        hours = reader.telling.hours_for(kind, self.policy.hours)
        return hours.told_at(now, reader.zone, with_the_morning=kind is MessageKind.NEW_JOBS)

    async def hearing(self, reader: str) -> Hearing | None:
        """What a person or a channel wants to hear, and their clock; a channel's is that of whoever connected it.

        None where neither is known.
        """
        return (await self.hearings((reader,))).get(reader)

    async def hearings(self, readers: Collection[str]) -> Mapping[str, Hearing]:
        """The same of many."""
        found, asked = dict[str, Hearing](), sorted(readers)
        for start in range(0, len(asked), READERS_AT_ONCE):
            people = await self.store.get_many(Person, asked[start : start + READERS_AT_ONCE])
            found |= {id_: Hearing(each.telling, self.speech_of(each).timezone) for id_, each in people.items()}
        for reader in asked:
            rollout = None if reader in found else await self.store.get(Rollout, reader)
            owner = await self.store.get(Person, rollout.connected_by) if rollout else None
            if rollout:
                zone = self.speech_of(owner).timezone if owner else self.policy.timezone
                found[reader] = Hearing(rollout.telling, zone)
        return found

    async def _at_work(self, events: Sequence[Event]) -> set[str]:
        """Technicians who reported a problem within these quiet hours, where the events are about it."""
        found = set[str]()
        for event in events if self.policy.hours.quiet else ():
            device = await self.store.get(Device, event.subject) if isinstance(event, HELPING) else None
            person = await self.store.get(Person, device.technician) if device and device.problem else None
            if person and device and device.problem:
                zone, hours = self.speech_of(person).timezone, self.policy.hours
                if hours.quiet_until(device.problem.at, zone) == hours.quiet_until(self.now(), zone):
                    found.add(person.id)
        return found

    async def _audience(self, change: Change, actor: Actor) -> notifications.Audience:
        devices = {record.mac: record for record in change.puts if isinstance(record, Device)}
        known = (await self.store.find(Rollout, limit=1000)).rows if devices else ()
        rollouts = tuple(rollout for rollout in known if not rollout.finished)
        told = any(type(event) in notifications.TOLD for event in change.events)  # else cards are redrawn, and no more
        audience = notifications.Audience(
            admins=tuple(person.id for person in await self.admins()) if told else (),
            rollouts=rollouts,
            technicians={mac: device.technician for mac, device in devices.items()},
            sites={mac: device.site.casefold() for mac, device in devices.items()},
            tags={mac: notifications.folded(device.tags) for mac, device in devices.items()},
            pressed=actor.post,
        )
        return replace(audience, posts=await self._posts_to_redraw(change.events, audience))

    async def _posts_to_redraw(self, events: Sequence[Event], audience: notifications.Audience) -> tuple[Post, ...]:
        loud = [event for event in events if not isinstance(event, QUIET)]
        subjects = {event.subject: None for event in loud}
        subjects |= {board: None for event in loud if (board := notifications.BOARDS.get(type(event)))}
        moving = [event for event in loud if isinstance(event, MOVING)]
        places = {(audience.sites.get(e.subject), audience.tags.get(e.subject)): e.subject for e in moving}
        channels = {rollout.key: None for mac in places.values() for rollout in audience.channels(mac)}
        left = _left(moving)
        channels |= {r.key: None for r in audience.rollouts if r.scope and r.scope.casefold() in left}
        boards = [subject for subject in subjects if subject in BOARDS]
        others = [subject for subject in subjects | channels if subject not in BOARDS]
        posts: dict[str, Post] = {}
        for limit, about in ((BOARDS_PER_SUBJECT, boards), (POSTS_PER_SUBJECT, others)):
            for start in range(0, len(about), SUBJECTS_AT_ONCE):
                await asyncio.sleep(0)  # others get their turns
                piece = about[start : start + SUBJECTS_AT_ONCE]
                posts |= {post.key: post for post in await self.store.find_each(Post, "subject", piece, limit=limit)}
        return tuple(posts.values())


def _hears(record: Record) -> str:
    """Who hears by it that there are new devices for them; empty for everything else."""
    return record.recipient if isinstance(record, OutboxMessage) and record.kind is MessageKind.NEW_JOBS else ""


def _left(events: Sequence[Event]) -> set[str]:
    """Sites and tags that devices no longer belong to, as rollouts name them, case-folded."""
    sites = {site_of(event.before).casefold() for event in events if isinstance(event, DeviceMoved)}
    return sites | {f"#{event.tag}".casefold() for event in events if isinstance(event, DeviceTagged) and event.removed}
