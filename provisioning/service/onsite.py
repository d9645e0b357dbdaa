"""The technician's day: the next device, its code, a new code, the install, a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from provisioning import lifecycle
from provisioning.access import Permission, may_see, require
from provisioning.codes import masked
from provisioning.errors import BadInput, ResetRequired
from provisioning.events import CodeRequested
from provisioning.model import Actor, Change, Device, Installation, Person, Problem, stored
from provisioning.service.handover import Handover, InHand, LiveOfTeams
from provisioning.texts import N_
from provisioning.untrusted import clean

RENEWAL_WINDOW = timedelta(hours=24)

PROBLEMS = {
    "network": N_("No network"),
    "menu": N_("No Provision item"),
    "refused": N_("Code refused"),
    "broken": N_("Broken"),
    "missing": N_("Not here"),
    "other": N_("Something else"),
}


class UnknownProblem(BadInput):
    code = "unknown_problem"
    field = "kind"
    message = N_("Choose what is wrong.")


class NotCalledIn(BadInput):
    code = "not_called_in"
    message = N_("{place} has not called in yet. Confirm the mounting only?")


class ScreenNotSeen(BadInput):
    code = "screen_not_seen"
    field = "screen"
    message = N_("Not ticked. If the screen does not show {organisation} yet, choose Mounting only.")


@dataclass(frozen=True, slots=True)
class Job:
    """A device in its technician's hands, and where it stands in their list: the `number`th of `total`."""

    held: InHand
    number: int
    total: int
    asked: bool = False  # an admin was asked for a code just now

    @property
    def device(self) -> Device:
        return self.held.device


@dataclass(frozen=True, slots=True)
class Day:
    """A technician's open devices in walking order."""

    open: tuple[Device, ...]
    done: int

    @property
    def total(self) -> int:
        return len(self.open) + self.done


@dataclass(frozen=True, slots=True)
class Saved:
    """An install as it stands: `again` where it had been confirmed before."""

    device: Device
    word: Installation
    again: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """A reported problem for those who are told: `owner` answers for the rollout."""

    device: Device
    reporter: str
    owner: Person | None


class OnSite(Handover):
    async def day(self, actor: Actor) -> Day:
        require(actor, Permission.WORK_ON_SITE)
        jobs = await self.jobs_of(actor.id)
        installed = await self.store.count(Device, technician=actor.id, removed=False, installed=True)
        return Day(tuple(jobs), installed)

    async def next_job(self, actor: Actor) -> Job | None:
        """The next open device without a reported problem, with its code in hand; None at the end of the day."""
        day = await self.day(actor)
        current = self._foremost([device for device in day.open if not device.problem])
        return await self._job(actor, current, day) if current else None

    def _foremost(self, free: Sequence[Device]) -> Device | None:
        """One that called in but is not confirmed, else the first on the way that has a live code, else the first."""
        now = self.now()
        begun = [device for device in free if device.provisioned]
        ready = [device for device in free if device.live_code(now)]
        return next(iter((*begun, *ready, *free)), None)

    async def job(self, actor: Actor, text: str) -> Job:
        """One device as its technician sees it, its code in hand where one lives."""
        require(actor, Permission.WORK_ON_SITE)
        return await self._job(actor, await self.device(actor, text), await self.day(actor))

    async def _job(self, actor: Actor, device: Device, day: Day) -> Job:
        live = device.live_code(self.now())
        held = await self.hold(actor, device.mac) if live else await self._in_hand(device, unseal=False)
        return Job(held, self._number(device, day), day.total)

    async def redraw_job(self, actor: Actor, mac: str) -> Job | None:
        """The job as its card should stand now: the code only where this is the device the phone shows.

        None where the device left this person's hands.
        """
        device, person = await self.store.get(Device, mac), await self.store.get(Person, actor.id)
        if device is None or person is None or device.removed or not may_see(actor, device):
            return None
        day = await self.day(actor) if actor.is_technician else Day((), 0)
        if person.current == mac:
            return await self._job(actor, device, day)
        return Job(await self._in_hand(device, unseal=False), self._number(device, day), day.total)

    async def whereabouts(self, mac: str) -> tuple[Device | None, Device | None]:
        """A device that a card was about, as it is now, and the one that took its place where it was replaced."""
        device = await self.store.get(Device, mac)
        if device is None or not device.removed_at:
            return device, None
        there = await self._listed(location=device.location.casefold())
        return device, next((other for other in there if other.added_at == device.removed_at), None)

    def _number(self, device: Device, day: Day) -> int:
        places = [other.mac for other in day.open]
        return day.done + (places.index(device.mac) + 1 if device.mac in places else 0)

    # -------------------------------------------------------------- a new code

    async def renew(self, actor: Actor, text: str) -> Job:
        """A new code for an own device, at most 5 in 24 h; beyond that an admin is asked. The former code is dead.

        Where its codes come from the Teams admin centre, an admin is asked too. Errors: `LiveOfTeams`.
        """
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, tuple[Device, bool]]:
            now, device = self.now(), await self.device(actor, text)
            if device.provisioned:
                raise ResetRequired(place=device.place)
            if lifecycle.companion(device) and device.live_code(now):
                raise LiveOfTeams(place=device.place)
            recent = _recent(device, now)
            if self.renewals_left(device) <= 0:
                fact = CodeRequested(at=now, actor=actor.id, subject=device.mac)
                return Change(puts=(replace(device, renewals=recent),), events=(fact,)), (stored(device), True)
            counted = replace(device, renewals=(*recent, now))
            change = lifecycle.issue_code(counted, self.fresh_code(device, actor), actor)
            return change, (stored(device), False)

        device, asked = await self.unit(actor, decide)
        job = await self.job(actor, device.mac)
        return replace(job, asked=asked)

    def renewals_left(self, device: Device) -> int:
        """How often its technician may still make a new code without an admin."""
        return 0 if lifecycle.companion(device) else self.policy.renewals - len(_recent(device, self.now()))

    # -------------------------------------------------------------- the install

    async def confirm(
        self,
        actor: Actor,
        text: str,
        note: str = "",
        *,
        checked: bool = False,
        screen: bool = False,
        mounting_only: bool = False,
    ) -> Saved:
        """The technician's word that it is mounted, and of a companion device what its screen shows.

        A second time changes nothing and says who was first; the screen can still be confirmed after the mounting.
        Errors: `NotCalledIn` where the device has not called in, `ScreenNotSeen` where the screen of a companion
        device was not confirmed, unless `mounting_only` was said.
        """
        require(actor, Permission.WORK_ON_SITE)
        note = masked(clean(note), self.policy.code_digits)

        async def decide() -> tuple[Change, Saved]:
            device = await self.device(actor, text)
            seen = screen and lifecycle.awaits_word(device)
            if device.installed and not seen:
                change = lifecycle.solve_problem(device, self.now(), actor)
                fresh = stored(replace(device, problem=None)) if change else device
                return change, Saved(fresh, device.installed, again=True)
            known = seen or device.provisioned
            if not (known or mounting_only):
                raise self._not_known(device)
            word = Installation(
                by=actor.id,
                by_name=actor.name,
                at=self.now(),
                note=note,
                mounting_only=not known,
                checked=checked,
                screen=seen,
            )
            change = lifecycle.confirm_install(device, word)
            (fresh,) = (record for record in change.puts if isinstance(record, Device))
            return change, Saved(stored(fresh), word)

        return await self.unit(actor, decide)

    def _not_known(self, device: Device) -> BadInput:
        """Why more than the mounting cannot be confirmed."""
        if lifecycle.companion(device):
            return ScreenNotSeen(organisation=self.policy.organisation)
        return NotCalledIn(place=device.place)

    async def report(self, actor: Actor, text: str, kind: str, note: str = "") -> Device:
        """Something on site is wrong: the admins and the channel's thread are told, the next device comes up."""
        require(actor, Permission.WORK_ON_SITE)
        if kind not in PROBLEMS:
            raise UnknownProblem
        note = masked(clean(note), self.policy.code_digits)

        async def decide() -> tuple[Change, Device]:
            device = await self.device(actor, text)
            problem = Problem(kind=kind, note=note, by=actor.id, by_name=actor.name, at=self.now())
            return lifecycle.report_problem(device, problem), stored(replace(device, problem=problem))

        return await self.unit(actor, decide)

    async def solve(self, actor: Actor, text: str) -> tuple[Device, bool]:
        """An admin's word that a problem is over, and whether there was one; its technician gets the device again."""
        require(actor, Permission.EDIT_DEVICES)

        async def decide() -> tuple[Change, tuple[Device, bool]]:
            device = await self.device(actor, text)
            change = lifecycle.solve_problem(device, self.now(), actor)
            return change, (stored(replace(device, problem=None)) if change else device, bool(change))

        return await self.unit(actor, decide)

    async def problem_of(self, mac: str) -> Trouble | None:
        """The device's open problem; None where it is over. For the outbox, which addresses only those concerned."""
        device = await self.store.get(Device, mac)
        if device is None or device.removed or device.problem is None:
            return None
        owner = await self.store.get(Person, device.code.issued_by) if device.code else None
        owner = owner or await self.store.get(Person, device.added_by)
        return Trouble(device, device.problem.by_name, owner)


def _recent(device: Device, now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in device.renewals if now - at < RENEWAL_WINDOW)
