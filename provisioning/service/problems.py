"""Something on site is wrong: reported, told, solved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.codes import masked
from provisioning.errors import BadInput, Refused
from provisioning.model import Actor, Change, Device, Person, stored
from provisioning.onsite import Answered, Problem
from provisioning.service.handover import Handover
from provisioning.texts import N_
from provisioning.untrusted import clean

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


class NoAnswer(BadInput):
    code = "no_answer"
    field = "words"
    message = N_("Write what the technician should do.")


class NoProblem(Refused):
    code = "no_problem"
    message = N_("No problem is reported at {place} any more.")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A reported problem for those who are told: `owner` answers for the rollout."""

    device: Device
    owner: Person | None


class Problems(Handover):
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

    async def answer(self, actor: Actor, text: str, words: str) -> Device:
        """What an admin says to a problem: its technician is told. Errors: `NoAnswer`, `NoProblem`."""
        require(actor, Permission.EDIT_DEVICES)
        words = masked(clean(words), self.policy.code_digits)
        if not words:
            raise NoAnswer

        async def decide() -> tuple[Change, Device]:
            device = await self.device(actor, text)
            answer = Answered(text=words, by=actor.id, by_name=actor.name, at=self.now())
            change = lifecycle.answer_problem(device, answer)
            if not change:
                raise NoProblem(place=device.place)
            (fresh,) = (record for record in change.puts if isinstance(record, Device))
            return change, stored(fresh)

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
        return Trouble(device, owner)
