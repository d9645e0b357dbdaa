"""Codes: issue for a device, a site or all; reissue, show, revoke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.errors import NoLiveCode, OutOfDate, PersonNotFound, ResetRequired
from provisioning.events import CodeShown
from provisioning.lifecycle import Step
from provisioning.model import Actor, Batch, Change, Device, Person, stored
from provisioning.ports import Span
from provisioning.service.handover import Handover, InHand
from provisioning.service.lookup import EVERYTHING, Target

PAGE = 10


@dataclass(frozen=True, slots=True)
class IssueOrder:
    """What to issue: for which target, floor ("" = all), to whom ("" = as assigned), how long, voiding or keeping."""

    target: Target
    floor: str = ""
    technician: str = ""
    lifetime: timedelta | None = None
    void: bool = False  # reissue: live codes die


@dataclass(frozen=True, slots=True)
class Issued:
    """`issued` got a code now, `kept` had a live one, `refused` were provisioned already."""

    batch: Batch
    target: Target
    issued: int
    kept: int
    refused: int
    technician: Person | None


@dataclass(frozen=True, slots=True)
class CodePage:
    codes: tuple[InHand, ...]
    total: int
    after: str | None
    scope: str  # the site, or the tag with its sign
    first: int


class Codes(Handover):
    async def issue(self, actor: Actor, order: IssueOrder) -> Issued:
        """A code for every device of the target that still waits for activation; live codes are kept unless `void`.

        Assigns them to the technician where one is named, and tells whoever holds them. Errors: `ResetRequired` for
        a single device that was provisioned already.
        """
        require(actor, Permission.ISSUE_CODES)
        devices = [d for d in await self.devices_of(order.target) if _on_floor(d, order.floor)]
        ready = [device for device in devices if lifecycle.can(device, Step.ISSUE_CODE)]
        if order.target.device and not ready:
            raise ResetRequired(place=order.target.device.place)
        await self._check_receiver(order.technician)
        return await self._issue_all(actor, order, [d.mac for d in ready], refused=len(devices) - len(ready))

    async def _issue_all(self, actor: Actor, order: IssueOrder, macs: Sequence[str], refused: int) -> Issued:
        """In chunks, each a unit of its own, so that others get their turns; then the ledger row."""
        parts = await self.in_parts(actor, macs, lambda chunk: self._decide_issue(actor, order, chunk))
        done = [device for fresh, _ in parts for device in fresh]
        kept = [device for _, had in parts for device in had]
        batch = self._ledger_row(actor, order, done, kept)
        await self.store.save(Change(puts=(batch,)))
        technician = await self.store.get(Person, batch.technician) if batch.technician else None
        return Issued(stored(batch), order.target, len(done), len(kept), refused, technician)

    async def _check_receiver(self, technician: str) -> None:
        """Errors: `PersonNotFound`, `NotATechnician`."""
        person = await self.store.get(Person, technician) if technician else None
        if person:
            self.require_technician(person)
        elif technician:
            raise PersonNotFound(text=technician[:60])

    async def _decide_issue(
        self, actor: Actor, order: IssueOrder, macs: Sequence[str]
    ) -> tuple[Change, tuple[list[Device], list[Device]]]:
        now, change, holders = self.now(), Change(), {person.id for person in await self.technicians()}
        done: list[Device] = []
        kept: list[Device] = []
        async for device in self._one_by_one(macs):
            if not lifecycle.can(device, Step.ISSUE_CODE):
                continue
            if device.live_code(now) and not order.void:
                moved = self.assigned(device, order.technician, actor, now)
                change += moved
                kept.append(stored(device) if moved else device)
                continue
            holder = order.technician or device.technician
            holder = holder if holder in holders else ""
            assigned = replace(device, technician=holder, renewals=(), problem=None)  # the admin has helped
            step = lifecycle.issue_code(assigned, self.fresh_code(device, actor, order.lifetime), actor)
            change += step
            done += [stored(record) for record in step.puts if isinstance(record, Device)]
        return change, (done, kept)

    def _ledger_row(self, actor: Actor, order: IssueOrder, done: list[Device], kept: list[Device]) -> Batch:
        readers = list(dict.fromkeys(d.technician for d in (*done, *kept) if d.technician))
        return Batch(
            kind="issue",
            by=actor.id,
            by_name=actor.name,
            at=self.now(),
            macs=tuple(device.mac for device in done),
            kept=tuple(device.mac for device in kept),
            technician=order.technician or (readers[0] if len(readers) == 1 else ""),
            expires_at=max((d.code.expires_at for d in (*done, *kept) if d.code), default=None),
        )

    async def reissue_kept(self, actor: Actor, batch: Batch) -> Issued:
        """New codes for the devices whose live code an issue had kept; those die."""
        require(actor, Permission.ISSUE_CODES)
        order = IssueOrder(target=Target(), technician=batch.technician, void=True)
        return await self._issue_all(actor, order, batch.kept, refused=0)

    async def assign_batch(self, actor: Actor, batch: Batch, technician: Person) -> Batch:
        """Hand the devices of an issue to a technician; the ledger row follows them."""
        require(actor, Permission.ISSUE_CODES)
        self.require_technician(technician)

        async def decide() -> tuple[Change, Batch]:
            change, known = Change(), await self.store.get(Batch, batch.key) or batch
            for mac in (*known.macs, *known.kept):
                device = await self.store.get(Device, mac)
                if device and device.open_job:
                    change += self.assigned(device, technician.id, actor, self.now())
            fresh = replace(known, technician=technician.id)
            return change + Change(puts=(fresh,)), stored(fresh)

        return await self.unit(actor, decide)

    async def batch(self, actor: Actor, key: str) -> Batch | None:
        """What an issue did, for the card that tells of it."""
        require(actor, Permission.ISSUE_CODES)
        return await self.store.get(Batch, key)

    # -------------------------------------------------------------- showing

    async def show_code(self, actor: Actor, text: str) -> InHand:
        """The device's live code, for an admin or its technician; from now on their phone shows this one only.

        Errors: `NoLiveCode`, `ResetRequired`.
        """
        require(actor, Permission.ISSUE_CODES, Permission.WORK_ON_SITE)
        device = await self.device(actor, text)
        if device.provisioned:
            raise ResetRequired(place=device.place)
        if not device.live_code(self.now()):
            raise NoLiveCode(place=device.place)
        held = await self.hold(actor, device.mac)
        if not held.digits:
            raise NoLiveCode(place=device.place)
        return held

    async def codes(
        self, actor: Actor, target: Target = EVERYTHING, *, after: str | None = None, first: int = 1
    ) -> CodePage:
        """Live codes, ten a page; each page is audited before it is unsealed."""
        require(actor, Permission.ISSUE_CODES)
        now = self.now()
        alive = Span("code_until", after=now)
        page = await self.store.find(Device, span=alive, after=after, limit=PAGE, removed=False, **target.equals)
        total = await self.store.count(Device, span=alive, removed=False, **target.equals)
        facts = tuple(
            CodeShown(at=now, actor=actor.id, subject=d.mac, issue=d.issued, reader=actor.id) for d in page.rows
        )
        if facts:
            await self.store.save(Change(events=facts))
        shown = [await self._unsealed(device) for device in page.rows]
        return CodePage(tuple(shown), total, page.after, target.scope, first)

    # -------------------------------------------------------------- ending

    async def revoke(self, actor: Actor, target: Target, revision: int | None = None) -> int:
        """Live codes of the target die at once; returns how many."""
        require(actor, Permission.ISSUE_CODES)
        if target.device and revision is not None and target.device.version != revision:
            raise OutOfDate
        devices = await self.devices_of(target)
        return await self._revoke_all(actor, [d.mac for d in devices if d.live_code(self.now())])

    async def revoke_of(self, actor: Actor, person: Person) -> int:
        """Every live code in this person's hands dies."""
        require(actor, Permission.ISSUE_CODES)
        return await self._revoke_all(actor, [d.mac for d in await self.live_of(person.id)])

    async def _revoke_all(self, actor: Actor, macs: Sequence[str]) -> int:
        async def decide(chunk: Sequence[str]) -> tuple[Change, int]:
            alive = [device async for device in self._one_by_one(chunk) if device.live_code(self.now())]
            change = Change()
            for device in alive:
                change += lifecycle.revoke_code(device, self.now(), actor)
            return change, len(alive)

        return sum(await self.in_parts(actor, macs, decide))


def _on_floor(device: Device, floor: str) -> bool:
    return not floor or device.floor.casefold() == floor.casefold()
