"""The morning message: whoever has devices to install learns so when their working day begins, once a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import partial

from provisioning.access import Permission, require
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Actor, Change, Device, Person, Role
from provisioning.notifications import QUIET_LANE, tell
from provisioning.service.day import Days

LOOKED_AT_ONCE = 500  # people of one page


class Mornings(Days):
    async def greet(self) -> int:
        """Every technician whose day begins now and who has open devices is written to; returns how many."""
        greeted, after = 0, None
        while True:
            page = await self.store.find(Person, technician=True, after=after, limit=LOOKED_AT_ONCE)
            for person in page.rows:
                if self._begins(person):
                    greeted += await self.quietly(partial(self._decide_greeting, person.id))
            after = page.after
            if after is None:
                return greeted

    def _begins(self, person: Person) -> date | None:
        """The day on this person's calendar that begins now; None where it did before, or they cannot be reached.

        Whoever flew west has the same day twice, and gets its message once.
        """
        day = self.policy.hours.greeted_now(self.now(), self.speech_of(person).timezone)
        if day is None or not person.reachable or Role.TECHNICIAN not in self.roles_of(person):
            return None
        known = person.greeted_on in (day.isoformat(), (day + timedelta(days=1)).isoformat())
        return None if known else day

    async def _decide_greeting(self, person_id: str) -> tuple[Change, bool]:
        """That the day was looked at is noted with the message, so that no restart and no other instance doubles it."""
        person = await self.store.get(Person, person_id)
        day = self._begins(person) if person else None
        if person is None or day is None:
            return Change(), False
        noted = Change(puts=(replace(person, greeted_on=day.isoformat()),))
        begun = self.policy.hours.morning_of(day, self.speech_of(person).timezone)
        just_come = person.granted_at is not None and person.granted_at >= begun  # what they have, they heard of since
        if just_come or not await self._has_work(person):
            return noted, False
        message = tell(MessageKind.MORNING, person.id, "", self.now(), day=day.isoformat())
        puts = await self.in_time((message,))
        return noted + Change(puts=puts, deletes=await self._said_by_it(person.id)), True

    async def _has_work(self, person: Person) -> bool:
        """Open devices that do not all belong to rollouts that rest."""
        underway = await self.underway()
        if not underway.any_rests:
            return bool(await self.store.count(Device, technician=person.id, removed=False, open=True))
        return any(not underway.rests(device) for device in await self.jobs_of(person.id))

    async def all_rests(self, actor: Actor) -> bool:
        """Whether the actor has open devices, and all of them belong to rollouts that rest."""
        require(actor, Permission.WORK_ON_SITE)
        underway = await self.underway()
        jobs = await self.jobs_of(actor.id) if underway.any_rests else ()
        return bool(jobs) and all(underway.rests(device) for device in jobs)

    async def _said_by_it(self, person_id: str) -> tuple[OutboxMessage, ...]:
        """News of the night that the morning message tells as well."""
        lane = QUIET_LANE.format(person=person_id, kind=MessageKind.NEW_JOBS)
        waiting = await self.store.find(OutboxMessage, lane=lane, status="waiting")
        return tuple(message for message in waiting.rows if message.leased_until is None)
