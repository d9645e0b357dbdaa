"""What people take away: devices and, audited before they are unsealed, live codes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.access import Permission, require
from provisioning.bookkeeping import Operation
from provisioning.errors import AlreadyDone, Duplicate
from provisioning.events import CodesExported, CodeShown
from provisioning.model import Actor, Change, Device, Person
from provisioning.ports import Span
from provisioning.service.handover import CHUNK, Handover, InHand
from provisioning.service.lookup import SITE_PAGE, Target


@dataclass(frozen=True, slots=True)
class Take:
    """What an export is about: the devices of a target, or those in one technician's hands."""

    target: Target
    person: Person | None = None

    @property
    def title(self) -> str:
        return self.person.name or self.person.upn if self.person else self.target.title

    @property
    def subject(self) -> str:
        """How the audit names it."""
        device = self.target.device
        return self.person.id if self.person else device.mac if device else self.target.word or "all"


class Exporting(Handover):
    async def once(self, actor: Actor) -> None:
        """Errors: `AlreadyDone` where this very wish of the actor's arrived before."""
        try:
            if actor.operation:
                await self.store.save(Change(puts=(Operation(id=actor.operation, at=self.now()),)))
        except Duplicate:
            raise AlreadyDone from None

    async def exported(self, actor: Actor, take: Take) -> AsyncIterator[Sequence[Device]]:
        """The devices, a page at a time, in the order people walk."""
        require(actor, Permission.SEE_DEVICES)
        if take.target.device:
            yield await self.devices_of(take.target)
            return
        equals, after = self._equals(take), None
        while True:
            page = await self.store.find(Device, removed=False, after=after, limit=SITE_PAGE, **equals)
            yield page.rows
            if (after := page.after) is None:
                return

    def _equals(self, take: Take) -> dict[str, Any]:
        return {**take.target.equals, **({"technician": take.person.id} if take.person else {})}

    async def how_many_to_take(self, actor: Actor, take: Take) -> tuple[int, int]:
        """Devices, and live codes among them."""
        require(actor, Permission.SEE_DEVICES)
        if device := take.target.device:
            return 1, int(device.live_code(self.now()) is not None)
        equals, alive = self._equals(take), Span("code_until", after=self.now())
        devices = await self.store.count(Device, removed=False, **equals)
        return devices, await self.store.count(Device, removed=False, span=alive, **equals)

    async def take_codes(self, actor: Actor, take: Take, form: str) -> Sequence[InHand]:
        """Live codes in clear, for a file that goes to the actor and is never kept: the audit has it first."""
        require(actor, Permission.ISSUE_CODES)
        now = self.now()
        live = {} if take.target.device else {**self._equals(take), "span": Span("code_until", after=now)}
        alive = [device for device in await self.devices_of(take.target, **live) if device.live_code(now)]
        fact = CodesExported(at=now, actor=actor.id, subject=take.subject, count=len(alive), form=form)
        await self.store.save(Change(events=(fact,)))
        held: list[InHand] = []
        for start in range(0, len(alive), CHUNK):
            chunk = alive[start : start + CHUNK]
            shown = (CodeShown(at=now, actor=actor.id, subject=d.mac, issue=d.issued, reader=actor.id) for d in chunk)
            await self.store.save(Change(events=tuple(shown)))
            held += [await self._unsealed(device) for device in chunk]
        return [one for one in held if one.digits]
