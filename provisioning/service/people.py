"""People: who they are, what they may do, how access is asked for, granted and ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.conversations import Conversation
from provisioning.errors import AlreadyDone, LastAdmin, OutOfDate, PersonNotFound, Refused
from provisioning.events import (
    AccessAsked,
    AccessGranted,
    AccessRefused,
    AccessRevoked,
    DeviceFreed,
    Event,
    PersonUnreachable,
)
from provisioning.meeting import as_met
from provisioning.messages import OutboxMessage, Post
from provisioning.model import Actor, Change, Device, Person, Role, stored
from provisioning.notifications import edit
from provisioning.ports import Member, Span
from provisioning.service.handover import Delivery, Handover
from provisioning.texts import N_

SERVICE = Actor(id="service", name="", tenant="")
PAGE = 10
PENDING = "upn:"  # id of a grant that waits for the account with this UPN


class NotYourTenant(Refused):
    code = "other_tenant"
    message = N_("You are signed in to another organisation. I only work for {organisation}.")


class GuestsHaveNoRole(Refused):
    code = "guest"
    message = N_("{name} is a guest in your organisation. Guests cannot have a role; choose one of your own people.")


class SamePerson(Refused):
    code = "same_person"
    message = N_("Choose somebody else: the jobs are with {name} already.")


@dataclass(frozen=True, slots=True)
class Workload:
    """What would be left behind if this person lost access."""

    person: Person
    live: int
    open: int
    reached: Delivery | None = None  # the latest card they were sent


@dataclass(frozen=True, slots=True)
class Ended:
    """An access that ended: codes that died, jobs that moved to `heir` with new codes."""

    person: Person
    codes: int
    jobs: int
    heir: Person | None


@dataclass(frozen=True, slots=True)
class Roster:
    people: tuple[Person, ...]
    total: int
    after: str | None
    first: int


class People(Handover):
    # -------------------------------------------------------------- meeting

    async def meet(self, member: Member, chat: Conversation | None, locale: str = "", timezone: str = "") -> Person:
        """Whoever writes is known from now on, under the verified id; a grant that waited for their UPN binds now.

        Errors: `NotYourTenant`.
        """
        return (await self.encounter(member, chat, locale, timezone))[0]

    async def encounter(
        self, member: Member, chat: Conversation | None, locale: str = "", zone: str = "", read: Person | None = None
    ) -> tuple[Person, bool]:
        """As `meet`; and whether it is the first of their own chat: of two at once, one is. `read`: as just read."""
        if not self.policy.any_tenant and member.tenant != self.policy.tenant:
            raise NotYourTenant(organisation=self.policy.organisation)
        known_so = read is not None and read.version and as_met(read, member, chat, locale, zone) is read
        if read and known_so and await self._waiting_grant(read) is None:
            return read, False  # nothing is to be saved, as in nearly every turn
        at_hand = [read] if read else []  # for the first try only

        async def decide() -> tuple[Change, tuple[Person, bool]]:
            known = at_hand.pop() if at_hand else await self.store.get(Person, member.id) or Person(id=member.id)
            first = chat is not None and known.chat is None
            fresh = as_met(known, member, chat, locale, zone)
            if bound := await self._waiting_grant(fresh):
                fresh, change = self._bound(fresh, bound)
                return change, (stored(fresh), first)
            if fresh == known and known.version:
                return Change(), (known, False)
            gone = self.roles_of(known) and not self.roles_of(fresh)  # a guest since
            fact = AccessRevoked(at=self.now(), actor=SERVICE.id, subject=fresh.id, codes=0, jobs=0)
            return Change(puts=(fresh,), events=(fact,) if gone else ()), (stored(fresh), first)

        return await self.unit(Actor(id=member.id, name=member.name, tenant=member.tenant), decide)

    async def _waiting_grant(self, person: Person) -> Person | None:
        if not person.upn or person.guest:
            return None
        return await self.store.get(Person, PENDING + person.upn.casefold())

    def _bound(self, person: Person, waiting: Person) -> tuple[Person, Change]:
        """The grant that waited for this account is theirs now; the audit says for whom it turned out to be."""
        fresh = replace(
            person,
            roles=person.roles | waiting.roles,
            granted_by=waiting.granted_by,
            granted_at=self.now(),
            asked_at=None,
        )
        facts = tuple(
            AccessGranted(at=self.now(), actor=waiting.granted_by, subject=person.id, role=role)
            for role in sorted(waiting.roles - person.roles)
        )
        return fresh, Change(puts=(fresh,), deletes=(waiting,), events=facts)

    async def acquaint(self, members: Sequence[Member]) -> None:
        """The roster of a team the bot is in: its people can be named; guests and strangers are left out."""
        for member in members:
            ours = self.policy.any_tenant or member.tenant == self.policy.tenant
            if ours and not member.guest and await self.store.get(Person, member.id) is None:
                await self.meet(member, None)

    async def found_chat(self, person_id: str, chat: Conversation) -> None:
        """Their 1:1 chat was opened by the bot."""

        async def decide() -> tuple[Change, None]:
            person = await self.store.get(Person, person_id)
            return Change(puts=(replace(person, chat=chat, reachable=True),) if person else ()), None

        await self.unit(SERVICE, decide)

    async def left(self, person_id: str) -> None:
        """The app was removed for this person, or their chat answered 403: the admins are told once."""
        await self.end_leaver(person_id)

        async def decide() -> tuple[Change, None]:
            return await self.departed(person_id), None

        await self.unit(SERVICE, decide)

    async def departed(self, person_id: str, why: str = "") -> Change:
        """This person is out of reach; nothing where that is known."""
        if not (person := await self.store.get(Person, person_id)) or not person.reachable:
            return Change()
        fact = PersonUnreachable(at=self.now(), actor="service", subject=person.id, why=why)
        return Change(puts=(replace(person, reachable=False),), events=(fact,))

    # -------------------------------------------------------------- asking and granting

    async def ask_access(self, actor: Actor) -> Sequence[Person]:
        """The admins are asked for access, once; returns who they are."""

        async def decide() -> tuple[Change, None]:
            person = await self.store.get(Person, actor.id)
            if person is None or person.asked_at or self.roles_of(person):
                return Change(), None
            fact = AccessAsked(at=self.now(), actor=actor.id, subject=actor.id)
            return Change(puts=(replace(person, asked_at=self.now()),), events=(fact,)), None

        await self.unit(actor, decide)
        return await self.admins()

    async def who(self, person_id: str) -> Person | None:
        return await self.store.get(Person, person_id)

    async def choose_language(self, actor: Actor, tag: str) -> Person:
        """From now on they are spoken to in this language wherever they read; empty: as their client says."""

        async def decide() -> tuple[Change, Person]:
            person = await self.store.get(Person, actor.id) or Person(id=actor.id, name=actor.name, tenant=actor.tenant)
            if person.language == tag:
                return Change(), person
            fresh = replace(person, language=tag)
            return Change(puts=(fresh, *await self._cards_of(person))), stored(fresh)

        return await self.unit(actor, decide)

    async def grant(self, actor: Actor, text: str, role: Role, *, answering: bool = False) -> Person:
        """Give a role. Somebody unknown is named by object id, or by UPN: that grant waits for its account.

        Errors: `OutOfDate` where it is `answering` somebody who has been answered.
        """
        require(actor, Permission.MANAGE_PEOPLE)

        async def decide() -> tuple[Change, Person]:
            person = await self._grantee(text)
            if person.guest:
                raise GuestsHaveNoRole(name=person.name)
            if answering and not person.asked_at:
                raise OutOfDate
            if role in person.roles and not person.asked_at:
                return Change(), person
            fresh = replace(
                person,
                roles=person.roles | {role},
                granted_by=actor.id,
                granted_at=self.now(),
                asked_at=None,
                access_ended_at=None,
            )
            fact = AccessGranted(at=self.now(), actor=actor.id, subject=person.id, role=role)
            return Change(puts=(fresh,), events=(fact,)), stored(fresh)

        return await self.unit(actor, decide)

    async def _grantee(self, text: str) -> Person:
        word = text.strip()
        try:
            return await self.person(word)
        except PersonNotFound:
            if _object_id(word):
                return Person(id=word.casefold(), name=word, tenant=self.policy.tenant)
            if "@" in word and "." in word.partition("@")[2] and " " not in word:
                upn = word.casefold()
                return Person(id=PENDING + upn, name=upn, upn=upn, tenant=self.policy.tenant)
            raise

    async def refuse(self, actor: Actor, text: str) -> Person:
        """An asking person gets no access; they may ask again. Errors: `OutOfDate` for somebody who was answered."""
        require(actor, Permission.MANAGE_PEOPLE)

        async def decide() -> tuple[Change, Person]:
            person = await self.person(text)
            if person.asked_at is None:
                raise OutOfDate
            fact = AccessRefused(at=self.now(), actor=actor.id, subject=person.id)
            return Change(puts=(replace(person, asked_at=None),), events=(fact,)), person

        return await self.unit(actor, decide)

    async def roster(self, actor: Actor, *, after: str | None = None, first: int = 1) -> Roster:
        """Everybody known, ten a page."""
        require(actor, Permission.MANAGE_PEOPLE)
        page = await self.store.find(Person, after=after, limit=PAGE)
        return Roster(page.rows, await self.store.count(Person), page.after, first)

    # -------------------------------------------------------------- ending

    async def workload(self, actor: Actor, text: str) -> Workload:
        """What ending this person's access would touch. Errors: `LastAdmin` for admins by configuration."""
        require(actor, Permission.MANAGE_PEOPLE)
        person = await self.person(text)
        if person.id in self.policy.admins:
            raise LastAdmin(name=person.name)
        return await self._workload_of(person)

    async def _workload_of(self, person: Person) -> Workload:
        alive = Span("code_until", after=self.now())
        live = await self.store.count(Device, technician=person.id, removed=False, span=alive)
        jobs = await self.store.count(Device, technician=person.id, removed=False, open=True)
        return Workload(person, live, jobs, await self.delivery(person, datetime.min.replace(tzinfo=UTC)))

    async def revoke_access(self, actor: Actor, text: str, heir: str = "", revision: int | None = None) -> Ended:
        """Access ends now; then live codes die and open jobs go to `heir` with new codes, or to nobody, in parts.

        The same press finishes a job that broke off.
        """
        person = (await self.workload(actor, text)).person
        return await self._end(actor, person, await self.heir_of(person, heir) if heir else None, revision)

    async def end_leaver(self, person_id: str) -> None:
        """Whoever is out of reach loses access by itself, where the deployment wants that; their jobs are nobody's.

        Somebody who never opened a chat has not left.
        """
        person = await self.store.get(Person, person_id) if self.policy.revoke_leavers else None
        if person and person.chat and person.roles and person.id not in self.policy.admins:
            await self._end(SERVICE, person, None, None)

    async def ended_by_itself(self, person: Person) -> Ended | None:
        """What came of an access that the service ended; None where it did not."""
        rows = (await self.store.history(person.id)).rows
        fact = next((row.event for row in rows if isinstance(row.event, AccessRevoked)), None)
        ours = fact is not None and fact.actor == SERVICE.id and not person.roles
        return Ended(person, fact.codes, fact.jobs, None) if fact and ours else None

    async def _end(self, actor: Actor, person: Person, successor: Person | None, revision: int | None) -> Ended:
        try:
            await self.unit(actor, lambda: self._decide_leave(actor, person.id, successor, revision))
        except AlreadyDone:
            if person.roles:  # granted anew since
                raise
        await self._pass_all_on(actor, person, successor)
        ended = [r.event for r in (await self.store.history(person.id)).rows if isinstance(r.event, AccessRevoked)]
        return Ended(await self.store.get(Person, person.id) or person, ended[0].codes, ended[0].jobs, successor)

    async def _pass_all_on(self, actor: Actor, former: Person, heir: Person | None) -> None:
        """Their live codes die and their open jobs go to the heir with new ones, or to nobody, in parts."""
        left = {device.mac: None for device in (*await self.live_of(former.id), *await self.jobs_of(former.id))}
        await self.in_parts(actor, list(left), lambda chunk: self._decide_pass_on(actor, chunk, former, heir))

    async def handed_on(self, person_id: str, heir: str) -> int:
        """How many jobs this person left to the heir when their access ended; 0 where it did not."""
        rows = (await self.store.history(person_id)).rows
        ended = (row.event for row in rows if isinstance(row.event, AccessRevoked))
        return next((fact.jobs for fact in ended if fact.heir == heir), 0)

    async def heir_of(self, person: Person, text: str) -> Person:
        """Who takes somebody's jobs. Errors: `SamePerson`, `NotATechnician`."""
        heir = await self.person(text)
        if heir.id == person.id:
            raise SamePerson(name=heir.name)
        self.require_technician(heir)
        return heir

    async def _decide_leave(
        self, actor: Actor, person_id: str, heir: Person | None, revision: int | None
    ) -> tuple[Change, None]:
        """The role and every open card. Errors: `OutOfDate`."""
        now, person = self.now(), await self.person(person_id)
        if revision is not None and person.version != revision:
            raise OutOfDate
        work = await self._workload_of(person)
        fresh = replace(person, roles=frozenset(), access_ended_at=now, current="", asked_at=None)
        fact = AccessRevoked(
            at=now,
            actor=actor.id,
            subject=person.id,
            codes=work.live,
            jobs=work.open,
            heir=heir.id if heir else "",
        )
        return Change(puts=(fresh, *await self._cards_of(person)), events=(fact,)), None

    async def _decide_pass_on(
        self, actor: Actor, macs: Sequence[str], former: Person, heir: Person | None
    ) -> tuple[Change, Counter[str]]:
        change, underway = Change(), await self.underway()
        async for device in self._one_by_one(macs):
            live = device.live_code(self.now()) is not None
            if device.technician == former.id and (live or device.open_job):
                # one mounted before it called in is no job, but may have a code
                goes_on = heir if device.open_job else None
                keeps = goes_on and lifecycle.companion(device)  # only Microsoft can make it anew
                lifetime = underway.lifetime(device)
                change += self._pass_on(device, goes_on, actor, renew=live and not keeps, lifetime=lifetime)
        return change, Counter(passed=len(change.puts))

    def _pass_on(
        self, device: Device, heir: Person | None, actor: Actor, *, renew: bool, lifetime: timedelta | None
    ) -> Change:
        """One job: its code dies; an heir gets the device, with a new code where one was alive."""
        now = self.now()
        change = lifecycle.revoke_code(device, now, actor) if renew else Change(puts=(device,))
        bare = next(record for record in change.puts if isinstance(record, Device))
        moved = replace(bare, technician=heir.id if heir else "", request=None)
        events: tuple[Event, ...] = change.events
        if heir and renew:
            step = lifecycle.issue_code(moved, self.fresh_code(moved, actor, lifetime), actor)
            moved = next(record for record in step.puts if isinstance(record, Device))
            events += step.events
        if heir is None:
            events += (DeviceFreed(at=now, actor=actor.id, subject=device.mac, former=device.technician),)
            return Change(puts=(moved,), events=events)
        return Change(puts=(moved,), events=events + self.assigned(device, heir.id, actor, now).events)

    async def _cards_of(self, person: Person) -> tuple[OutboxMessage, ...]:
        """Every card this person still has open is edited: codes gone and access ended, or in another language."""
        showing = await self.store.find(Post, reader=person.id, shows_code=True, limit=1000)
        newest = await self.store.find(Post, reader=person.id, limit=50)
        posts = {post.key: post for post in (*showing.rows, *newest.rows)}
        return tuple(edit(post, self.now()) for post in posts.values())


def _object_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text.casefold()
    except ValueError:
        return False
