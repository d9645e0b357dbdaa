"""Codes for one device or many, for one technician or several; the ledger of each hand-over."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from provisioning import lifecycle, shares
from provisioning.access import Permission, require
from provisioning.batches import Batch
from provisioning.codes import hash_token
from provisioning.errors import AlreadyDone, Ambiguous, BadInput, Choice, PersonNotFound, ResetRequired
from provisioning.lifecycle import Step
from provisioning.model import Actor, Change, Device, Person
from provisioning.service.following import Underway
from provisioning.service.handover import Beside, Delivery, Handover, OfTeams
from provisioning.service.lookup import Target
from provisioning.texts import N_

MOST = 10  # technicians of one order: as many as one card has rows
USUAL = 40  # devices a technician installs on a day, where their own days do not tell
DAYS = 14  # how many of their latest days with an install are looked at
FEWEST_DAYS = 2  # below which they tell nothing
LOOKED_AT = 4_000  # of a technician's installed devices
LOOKED_AT_ONCE = 250

_BETWEEN = re.compile(r"\s*[,;&]\s*|\s+and\s+", re.IGNORECASE)


class NobodyThere(BadInput):
    code = "nobody_there"
    field = "technician"
    message = N_("Codes start on site, so somebody has to be there. Say: issue {place} to Sam on site")


class TooManyHands(BadInput):
    code = "too_many_hands"
    field = "technician"
    message = N_("That is {count} technicians at once; at most {limit}. Issue one site after another.")


@dataclass(frozen=True, slots=True)
class IssueOrder:
    """What to issue: for which target, floor ("" = all), to whom (nobody = as assigned), how long, voiding or keeping.

    Several technicians share: in even runs on the way, or whole floors. `first` stops after so many, 0 does not.
    """

    target: Target
    floor: str = ""
    technicians: tuple[str, ...] = ()
    by_floor: bool = False
    first: int = 0
    lifetime: timedelta | None = None
    void: bool = False  # reissue: live codes die
    on_site: bool = False  # no codes yet: whoever stands before a device starts its code
    own: bool = False  # one of ours for a device whose codes came from the Teams admin centre


@dataclass(frozen=True, slots=True)
class Issued:
    """What came of an order: a ledger row for each technician who got something, or one where none was named.

    `refused` were provisioned already; `teams` have no live code and get theirs from the Teams admin centre; `nobody`
    has those whose codes would start on site.
    """

    target: Target
    batches: tuple[Batch, ...]
    refused: int = 0
    teams: int = 0
    nobody: int = 0

    @property
    def issued(self) -> int:
        return sum(len(batch.macs) for batch in self.batches)

    @property
    def kept(self) -> int:
        return sum(len(batch.kept) for batch in self.batches)


@dataclass(frozen=True, slots=True)
class Ledger:
    """One hand-over as it stands: how far its technician was reached, and how many kept codes are ours to reissue."""

    batch: Batch
    delivery: Delivery | None = None
    renewable: int = 0
    first: str = ""  # places on the way
    last: str = ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """More codes than their technicians usually use up while they live, and what to begin with instead."""

    total: int
    usual: int
    people: tuple[Person, ...]
    lifetime: timedelta
    leading: shares.Leading


def _for(order: IssueOrder, underway: Underway, device: Device) -> IssueOrder:
    """The order as it is for this device: unless it says itself how long codes live, the device's rollout does."""
    return order if order.lifetime else replace(order, lifetime=underway.lifetime(device))


@dataclass(frozen=True, slots=True)
class _Run:
    """One order on its way: whose each device becomes, and the name its ledger rows go by."""

    order: IssueOrder
    name: str
    hands: Mapping[str, str]  # MAC → technician; nobody: as assigned

    def ledger(self, technician: str) -> str:
        return hash_token(f"{self.name}\x1f{technician}")[:16]


class Issuing(Handover):
    async def issue(self, actor: Actor, order: IssueOrder, beside: Beside | None = None) -> Issued:
        """A code for every device of the target that still waits for activation; live codes are kept unless `void`.

        Assigns them to the technicians where any are named, and tells whoever holds them. Where codes come from the
        Teams admin centre, live ones are handed over as they are and none of ours is made, unless one such device is
        named with `own`. Errors: `ResetRequired`, `OfTeams` for a single device; those of a receiver.
        """
        require(actor, Permission.ISSUE_CODES)
        devices = await self._ordered(order)
        ready = [device for device in devices if lifecycle.can(device, Step.ISSUE_CODE)]
        able = [device for device in ready if self._gets_something(device, order)]
        held = [device for device in able if self._is_held(device, order)]
        if device := order.target.device:
            if not ready:
                raise ResetRequired(place=device.place)
            if not able:
                raise OfTeams(place=device.place)
            if not held:
                raise NobodyThere(place=device.place)
        for technician in order.technicians:
            await self._check_receiver(technician)
        chosen = self._first(held, order, await self._noted_before(actor, order) if order.first else ())
        batches = await self._issue_all(actor, order, chosen, beside)
        return Issued(order.target, batches, len(devices) - len(ready), len(ready) - len(able), len(able) - len(held))

    def _is_held(self, device: Device, order: IssueOrder) -> bool:
        """By somebody who can start its code, where codes start on site."""
        return not order.on_site or bool(order.technicians or device.technician or device.live_code(self.now()))

    async def _ordered(self, order: IssueOrder) -> list[Device]:
        floor = order.floor.casefold()
        return [d for d in await self.devices_of(order.target) if not floor or d.floor.casefold() == floor]

    def _gets_something(self, device: Device, order: IssueOrder) -> bool:
        """A code of ours, or the live one of Microsoft's that it has."""
        if not lifecycle.companion(device):
            return True
        live = device.live_code(self.now()) is not None
        return (live and not (order.void and order.target.device)) or bool(order.own and order.target.device)

    async def _noted_before(self, actor: Actor, order: IssueOrder) -> set[str]:
        """What the same order did before it broke off."""
        run = _Run(order, actor.operation, {})
        rows = [await self.store.get(Batch, run.ledger(technician)) for technician in order.technicians or ("",)]
        return {mac for row in rows if row for mac in row.macs}

    def _first(self, devices: Sequence[Device], order: IssueOrder, before: Collection[str]) -> Sequence[Device]:
        """All of them, or the first of those that need a code; those that got theirs `before` count among them."""
        needing = [device for device in devices if device.mac in before or not device.live_code(self.now())]
        return shares.leading(needing, order.first).devices if order.first else devices

    async def _issue_all(
        self, actor: Actor, order: IssueOrder, devices: Sequence[Device], beside: Beside | None = None
    ) -> tuple[Batch, ...]:
        """In parts, each a unit of its own that notes in the ledger what it did: so others get their turns in between,
        and a job that broke off and is finished by the same press has done it all in its books.
        """
        hands = {device.mac: technician for technician, run in _parted(devices, order) for device in run}
        run = _Run(order, actor.operation or secrets.token_hex(8), hands)
        await self.in_parts(actor, list(hands), lambda macs: self._decide_issue(actor, run, macs), beside)
        rows = [await self.store.get(Batch, run.ledger(technician)) for technician in order.technicians or ("",)]
        return tuple(row for row in rows if row)

    async def _check_receiver(self, technician: str) -> None:
        """Errors: `PersonNotFound`, `NotATechnician`."""
        person = await self.store.get(Person, technician)
        if person is None:
            raise PersonNotFound(text=technician[:60])
        self.require_technician(person)

    async def _decide_issue(self, actor: Actor, run: _Run, macs: Sequence[str]) -> tuple[Change, Counter[str]]:
        holders, underway = {person.id for person in await self.technicians()}, await self.underway()
        rows = {whose: await self._row(actor, run, whose) for whose in run.order.technicians or ("",)}
        noted = {mac for row in rows.values() for mac in (*row.macs, *row.kept)}  # by this very order
        steps, books = list[Change](), dict[str, tuple[list[Device], list[Device]]]()
        async for device in self._one_by_one([mac for mac in macs if mac not in noted]):
            if not (lifecycle.can(device, Step.ISSUE_CODE) and self._gets_something(device, run.order)):
                continue
            technician = run.hands[device.mac]
            if not self._is_held(device, run.order):
                continue
            step, after = self._step(actor, _for(run.order, underway, device), device, technician, holders)
            done, kept = books.setdefault(technician, ([], []))
            (kept if self._keeps(device, run.order) else done).append(after)
            steps.append(step)
        fresh = [_noted(rows[whose], whose, *book) for whose, book in books.items()]
        devices = tuple(record for step in steps for record in step.puts)
        events = tuple(event for step in steps for event in step.events)
        return Change(puts=(*devices, *fresh), events=events), Counter(issued=len(steps))

    def _step(
        self, actor: Actor, order: IssueOrder, device: Device, technician: str, holders: set[str]
    ) -> tuple[Change, Device]:
        """One device: its live code handed over, or a new one. Returns how it stands after that."""
        if self._keeps(device, order):
            moved = self.assigned(device, technician, actor, self.now())
            return moved, replace(device, technician=technician or device.technician)
        holder = technician or device.technician
        ready = replace(device, technician=holder if holder in holders else "", renewals=(), problem=None)
        if order.on_site:
            handed = lifecycle.hand_over(device, ready.technician, self.now(), actor)
            return handed, replace(device, technician=ready.technician)
        step = lifecycle.issue_code(ready, self.fresh_code(device, actor, order.lifetime), actor)
        (fresh,) = (record for record in step.puts if isinstance(record, Device))
        return step, fresh

    def _keeps(self, device: Device, order: IssueOrder) -> bool:
        """Its live code stays. Of Microsoft's, only Microsoft can make another."""
        return device.live_code(self.now()) is not None and not (order.void and not lifecycle.companion(device))

    async def _row(self, actor: Actor, run: _Run, technician: str) -> Batch:
        key = run.ledger(technician)
        known = await self.store.get(Batch, key)
        return known or Batch(
            id=key,
            kind="issue",
            by=actor.id,
            by_name=actor.name,
            at=self.now(),
            macs=(),
            technician=technician,
            on_site=run.order.on_site,
        )

    async def reissue_kept(self, actor: Actor, batch: Batch, beside: Beside | None = None) -> Issued:
        """New codes for the devices whose live code an issue had kept; those die. Microsoft's stay as they are."""
        require(actor, Permission.ISSUE_CODES)
        hands = (batch.technician,) if batch.technician else ()
        order = IssueOrder(target=Target(), technicians=hands, void=True)
        found = [device async for device in self._one_by_one(batch.kept)]
        own = [device for device in found if not device.removed and not lifecycle.companion(device)]
        return Issued(Target(), await self._issue_all(actor, order, own, beside))

    async def assign_batch(self, actor: Actor, batch: Batch, technician: Person, beside: Beside | None = None) -> Batch:
        """Hand the devices of an issue to a technician; the ledger row follows them."""
        require(actor, Permission.ISSUE_CODES)
        self.require_technician(technician)

        async def follow() -> tuple[Change, None]:
            known = await self.store.get(Batch, batch.key) or batch
            return Change(puts=(replace(known, technician=technician.id),)), None

        async def decide(macs: Sequence[str]) -> tuple[Change, Counter[str]]:
            change = Change()
            async for device in self._one_by_one(macs):
                if device.open_job:
                    change += self.assigned(device, technician.id, actor, self.now())
            return change, Counter(changed=len(change.puts))

        with suppress(AlreadyDone):
            await self.unit(actor, follow, part="ledger")
        await self.in_parts(actor, (*batch.macs, *batch.kept), decide, beside)
        return await self.store.get(Batch, batch.key) or batch

    # -------------------------------------------------------------- the ledger

    async def batch(self, actor: Actor, key: str) -> Batch | None:
        """What an issue did, for the card that tells of it."""
        require(actor, Permission.ISSUE_CODES)
        return await self.store.get(Batch, key)

    async def ledger(self, actor: Actor, batch: Batch) -> Ledger:
        require(actor, Permission.ISSUE_CODES)
        person = await self.store.get(Person, batch.technician) if batch.technician else None
        delivery = await self.delivery(person, batch.at) if person else None
        kept = await self.store.get_many(Device, batch.kept[:1000])
        theirs = sum(lifecycle.companion(device) for device in kept.values())
        ends = [await self.store.get(Device, mac) for mac in (*batch.macs[:1], *batch.macs[-1:])]
        places = [device.place for device in ends if device] or [""]
        return Ledger(batch, delivery, len(batch.kept) - theirs, places[0], places[-1])

    # -------------------------------------------------------------- to whom

    async def receivers(self, text: str) -> tuple[Person, ...]:
        """One name, or several with commas or "and" between them. Errors: those of `person`, `NotATechnician`,
        `TooManyHands`; an ambiguous name offers whole lists, so that no other name is lost.
        """
        words = [word for word in _BETWEEN.split(text.strip()) if word]
        try:
            found = [await self.person(text)]
        except PersonNotFound:
            if len(words) < 2:
                raise
            found = [await self._receiver(words, place) for place in range(len(words))]
        people = tuple({person.id: person for person in found}.values())
        if len(people) > MOST:
            raise TooManyHands(count=len(people), limit=MOST)
        for person in people:
            self.require_technician(person)
        return people

    async def _receiver(self, words: Sequence[str], place: int) -> Person:
        try:
            return await self.person(words[place])
        except Ambiguous as question:
            before, behind = words[:place], words[place + 1 :]
            choices = [Choice(", ".join((*before, c.value, *behind)), c.title) for c in question.choices]
            raise type(question)("person", question.text, choices) from None

    # -------------------------------------------------------------- how much is wise

    async def outlook(self, actor: Actor, order: IssueOrder) -> Outlook | None:
        """Where an order makes more codes than its technicians usually use up while these live; None where not."""
        require(actor, Permission.ISSUE_CODES)
        if not order.technicians or order.first or order.target.device or order.void or order.on_site:
            return None
        lifetime = order.lifetime or self.policy.code_lifetime
        devices = [d for d in await self._ordered(order) if lifecycle.can(d, Step.ISSUE_CODE)]
        needing = [d for d in devices if not d.live_code(self.now()) and not lifecycle.companion(d)]
        people = [person for id_ in order.technicians if (person := await self.store.get(Person, id_))]
        if len(needing) <= len(people):
            return None
        usual = sum([await self.usual(person) for person in people]) * max(lifetime // timedelta(days=1), 1)
        if len(needing) <= usual:
            return None
        return Outlook(len(needing), usual, tuple(people), lifetime, shares.leading(needing, usual))

    async def usual(self, person: Person) -> int:
        """Devices this person installs on a day that has any, today left out: it is not over yet."""
        zone = self.speech_of(person).timezone
        today, days = self.now().astimezone(zone).date(), dict[object, int]()
        after: str | None = None
        for _ in range(LOOKED_AT // LOOKED_AT_ONCE):
            page = await self.store.find(
                Device, technician=person.id, installed=True, removed=False, after=after, limit=LOOKED_AT_ONCE
            )
            for word in (device.installed for device in page.rows):
                if word and word.by == person.id and (day := word.at.astimezone(zone).date()) != today:
                    days[day] = days.get(day, 0) + 1
            after = page.after
            if after is None:
                break
        latest = [days[day] for day in sorted(days, key=str, reverse=True)[:DAYS]]
        return round(sum(latest) / len(latest)) if len(latest) >= FEWEST_DAYS else USUAL


def _parted(devices: Sequence[Device], order: IssueOrder) -> list[tuple[str, Sequence[Device]]]:
    """Who gets which devices, in walking order."""
    hands = order.technicians
    if len(hands) < 2:
        return [(hands[0] if hands else "", devices)]
    part = shares.by_floor if order.by_floor else shares.evenly
    return list(zip(hands, part(devices, len(hands)), strict=True))


def _noted(row: Batch, technician: str, done: Sequence[Device], kept: Sequence[Device]) -> Batch:
    """The ledger row with these devices in it, each once. Where nobody was named it is whose all its devices are."""
    known = {*row.macs, *row.kept}
    holders = {device.technician for device in (*done, *kept)}
    sole = holders.pop() if len(holders) == 1 else ""
    ends = [device.code.expires_at for device in (*done, *kept) if device.code]
    return replace(
        row,
        macs=(*row.macs, *(device.mac for device in done if device.mac not in known)),
        kept=(*row.kept, *(device.mac for device in kept if device.mac not in known)),
        technician=technician or (sole if row.technician == sole or not row.version else ""),
        expires_at=max((*ends, *([row.expires_at] if row.expires_at else [])), default=None),
    )
