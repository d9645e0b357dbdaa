"""Roles by Entra groups: when the directory is asked about somebody, and what follows from its answer.

Whoever is in a configured group has its role for as long as the directory says so. The directory is asked beside the
turns: the last answer counts meanwhile, for a day at the most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import partial
from typing import Any

from provisioning.access import Permission, require
from provisioning.directory_errors import DirectoryAway
from provisioning.errors import Refused
from provisioning.events import AccessRevoked, GroupJoined, GroupLeft
from provisioning.memberships import ASK_EVERY, COUNTS_FOR, LOOK_EVERY, Membership
from provisioning.messages import MessageKind
from provisioning.model import Actor, Change, Person, Role
from provisioning.notifications import tell
from provisioning.service.people import SERVICE, Ended, People, Workload
from provisioning.texts import N_

PEOPLE_AT_ONCE = 200  # of one page
ASKED_AT_ONCE = 50  # people of one look
GROUPS = "groups"  # name of the lease
PATIENCE = 1.5  # seconds that a turn waits for the directory, where it waits at all


class RoleByGroup(Refused):
    code = "role_by_group"
    message = N_(
        "{name} has a role through an Entra group. Take them out of the group, then say this again: it ends here at "
        "once. To move only their devices, use assign."
    )


class Wait(Enum):
    """What a turn does about a question to the directory."""

    NOT = auto()  # there is none
    BESIDE = auto()  # asked beside the turn: what is known counts
    FIRST = auto()  # asked first: nothing is known that would let them do anything


class Groups(People):
    def question_about(self, person: Person) -> Wait:
        """Whether the directory is to be asked, now that they write; never about whom Teams has not vouched for."""
        if self.directory is None or not self.policy.mapping or person.guest or not person.upn:
            return Wait.NOT
        if person.membership and not person.membership.due(self.now(), self.policy.mapping, ASK_EVERY):
            return Wait.NOT
        return Wait.BESIDE if self.roles_of(person) else Wait.FIRST

    async def look_up(self, person_id: str, every: timedelta = ASK_EVERY, patience: float | None = None) -> bool:
        """Asks the directory about somebody, unless it was asked lately; False where it gave no answer.

        That it is asked is saved first, so that a silent directory is asked by one turn of one instance at a time.
        patience: seconds that whoever asks waits for it.
        """
        asked = await self.quietly(lambda: self._decide_asking(person_id, every)) if self.directory else None
        if self.directory is None or asked is None:
            return True
        groups = self.policy.groups
        try:
            async with asyncio.timeout(patience):
                found = await self.directory.groups_of(person_id, frozenset().union(*groups.values()))
        except (DirectoryAway, TimeoutError):
            return False
        roles = frozenset(role for role, ids in groups.items() if ids & found)
        ended = await self.unit(SERVICE, lambda: self._decide_roles(person_id, roles, asked))
        if ended:
            await self._take_back(ended)
        return True

    async def _decide_asking(self, person_id: str, every: timedelta) -> tuple[Change, datetime | None]:
        """Returns when it was asked; None where it is not to be."""
        person = await self.store.get(Person, person_id)
        if person is None or person.guest:
            return Change(), None
        known, now = person.membership, self.now()
        if known and not known.due(now, self.policy.mapping, every):
            return Change(), None
        asked = replace(known, asked_at=now) if known else Membership(asked_at=now)
        return Change(puts=(replace(person, membership=asked),)), now

    async def _decide_roles(
        self, person_id: str, roles: frozenset[Role], asked: datetime
    ) -> tuple[Change, Person | None]:
        """Returns whose access ended. What was `asked` before a question that has its answer says nothing any more."""
        person = await self.store.get(Person, person_id)
        if person is None or person.guest:
            return Change(), None
        known, now = person.membership or Membership(asked_at=asked), self.now()
        if known.answers_later_than(asked):
            return Change(), None
        answer = Membership(
            asked_at=known.asked_at,
            answered_at=now,
            mapping=self.policy.mapping,
            roles=frozenset(roles),
            ending=known.ending,
        )
        fresh = replace(person, membership=answer)
        joined = tuple(GroupJoined(at=now, actor=SERVICE.id, subject=person.id, role=r) for r in roles - known.roles)
        if joined:
            fresh = replace(fresh, asked_at=None, access_ended_at=None)
        gone = sorted(known.roles - roles)
        if gone and not self.roles_of(fresh):
            return await self._ending(person, answer, gone), person
        left = tuple(GroupLeft(at=now, actor=SERVICE.id, subject=person.id, role=role) for role in gone)
        cards = await self._cards_of(person) if left else ()
        return Change(puts=(fresh, *cards), events=(*joined, *left)), None

    async def _ending(self, person: Person, answer: Membership, gone: list[str]) -> Change:
        """As `revoke access` does it: role and cards at once; codes and jobs follow, after a crash as well."""
        ended, _none = await self._decide_leave(SERVICE, person.id, None, None)
        over = replace(answer, ending=True)
        puts = tuple(replace(put, membership=over) if isinstance(put, Person) else put for put in ended.puts)
        left = (GroupLeft(at=self.now(), actor=SERVICE.id, subject=person.id, role=gone[0], ended=True),)
        more = (GroupLeft(at=self.now(), actor=SERVICE.id, subject=person.id, role=role) for role in gone[1:])
        return Change(puts=puts, events=(*left, *more, *ended.events))

    async def _take_back(self, person: Person) -> None:
        """Their codes die and their jobs are nobody's, unless they have a role again by now."""
        now = await self.store.get(Person, person.id)
        if now and not self.roles_of(now):
            await self._pass_all_on(SERVICE, now, None)

        async def decide() -> tuple[Change, None]:
            fresh = await self.store.get(Person, person.id)
            if fresh is None or fresh.membership is None or not fresh.membership.ending:
                return Change(), None
            return Change(puts=(replace(fresh, membership=replace(fresh.membership, ending=False)),)), None

        await self.quietly(decide)

    # -------------------------------------------------------------- unasked

    async def look_again(self) -> int:
        """Asks about people who have a role by a group and have not written for a while; returns about how many.

        Where the directory is silent, whoever it has not vouched for within a day loses the role; their codes and jobs
        stay with them, for nothing says that they have left. One silent call ends the look; so that somebody about whom
        nothing is ever said holds nobody up, whoever was not asked about for longest comes first.
        """
        due, lapsed = list[tuple[datetime, str]](), list[str]()
        async for person, known in self._by_group():
            if known.ending:
                await self._take_back(person)
            if known.roles and known.due(self.now(), self.policy.mapping, LOOK_EVERY):
                due.append((known.asked_at, person.id))
            if _lapsed(known, self.now()):
                lapsed.append(person.id)
        asked = 0
        for _asked_at, person_id in sorted(due)[:ASKED_AT_ONCE] if self.directory and self.policy.mapping else ():
            asked += 1
            if not await self.look_up(person_id, LOOK_EVERY):
                break
        for person_id in lapsed:
            await self.unit(SERVICE, partial(self._decide_lapse, person_id))
        return asked

    async def _by_group(self) -> AsyncIterator[tuple[Person, Membership]]:
        """Everybody who has, or had until now, a role by a group."""
        seen = set[str]()
        for index in ("admin", "technician"):
            listed: dict[str, Any] = {index: True}
            after: str | None = None
            while True:
                page = await self.store.find(Person, after=after, limit=PEOPLE_AT_ONCE, **listed)
                for person in page.rows:
                    known = person.membership
                    if known and (known.roles or known.ending) and person.id not in seen:
                        seen.add(person.id)
                        yield person, known
                after = page.after
                if after is None:
                    break

    async def _decide_lapse(self, person_id: str) -> tuple[Change, None]:
        person, now = await self.store.get(Person, person_id), self.now()
        known = person.membership if person else None
        if person is None or known is None or not _lapsed(known, now):
            return Change(), None
        left = tuple(
            GroupLeft(at=now, actor=SERVICE.id, subject=person.id, role=role, unconfirmed=True)
            for role in sorted(known.roles)
        )
        fresh = replace(person, membership=replace(known, roles=frozenset()))
        return Change(puts=(fresh, *await self._cards_of(person)), events=left), None

    async def revoke_access(self, actor: Actor, text: str, heir: str = "", revision: int | None = None) -> Ended:
        await self.revocable(actor, text)
        return await super().revoke_access(actor, text, heir, revision)

    # -------------------------------------------------------------- what people are told of it

    def by_group_alone(self, person: Person) -> frozenset[Role]:
        """The roles that somebody has by a group, and by nothing else."""
        configured = {Role.ADMIN} if person.id in self.policy.admins else frozenset()
        return self.group_roles_of(person) - person.roles - configured

    async def revocable(self, actor: Actor, text: str) -> Workload:
        """As `workload`, of somebody whose access can be ended here; the directory is asked first.

        Errors: `RoleByGroup` where the group would give it back, `DirectoryAway` where it may well be that.
        """
        require(actor, Permission.MANAGE_PEOPLE)
        work, answered = await self.workload(actor, text), True
        if work.person.membership and work.person.membership.roles:
            answered = await self.look_up(work.person.id, timedelta(), PATIENCE)
            work = await self.workload(actor, text)
        if self.group_roles_of(work.person):
            if not answered:
                raise DirectoryAway
            raise RoleByGroup(name=work.person.name or work.person.upn)
        return work

    async def ended_by_group(self, person: Person) -> Ended | None:
        """What came of the access that ended with their last group; None where they have one, or it ended otherwise."""
        if self.roles_of(person):
            return None
        facts = [row.event for row in (await self.store.history(person.id)).rows]
        ended = next((fact for fact in facts if isinstance(fact, AccessRevoked)), None)
        by_group = ended and any(isinstance(fact, GroupLeft) and fact.ended and fact.at == ended.at for fact in facts)
        return Ended(person, ended.codes, ended.jobs, None) if ended and by_group else None

    async def welcome(self, person_id: str) -> None:
        """Somebody was told that they have no access, and the directory says otherwise by now: they hear of it."""

        async def decide() -> tuple[Change, None]:
            person = await self.store.get(Person, person_id)
            if person is None or not self.group_roles_of(person):
                return Change(), None
            return Change(puts=(tell(MessageKind.ACCESS_GRANTED, person.id, person.id, self.now()),)), None

        await self.quietly(decide)


def _lapsed(known: Membership, now: datetime) -> bool:
    """Whether the directory has not vouched for these roles for too long."""
    return bool(known.roles) and known.answered_at is not None and now - known.answered_at > COUNTS_FOR
