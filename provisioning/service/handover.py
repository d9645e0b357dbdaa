"""From the admin's hands into the technician's: who has which devices, and the one code a phone shows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from provisioning import codes
from provisioning.access import Permission, may_see, require
from provisioning.bookkeeping import Operation
from provisioning.errors import AlreadyDone, DeviceNotFound, Refused
from provisioning.events import CodeShown, DeviceAssigned
from provisioning.messages import MessageKind, OutboxMessage, Post
from provisioning.model import ActivationCode, Actor, Change, Device, Person, Role
from provisioning.notifications import edit, tell
from provisioning.ports import Span
from provisioning.service.following import Following
from provisioning.service.lookup import Target
from provisioning.texts import N_

Beside = Callable[[int, int, Mapping[str, int]], Awaitable[Change]]  # (left, of how many, what the part did)

CHUNK = 100  # devices in one durable unit, so that others wait for it hardly at all


@dataclass(frozen=True, slots=True)
class InHand:
    """One device as its technician (or an admin) holds it; `digits` "" where no code is to be shown."""

    device: Device
    digits: str = ""
    technician: str = ""  # name


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a technician has been reached: the ledger line of a hand-over."""

    person: Person
    delivered_at: datetime | None = None
    opened_at: datetime | None = None


class NotATechnician(Refused):
    code = "not_a_technician"
    message = N_("{name} is not a technician yet. Say: grant {name} technician")


class OfTeams(Refused):
    """Refused to an admin, with the cure."""

    code = "of_the_teams_admin_centre"
    message = N_("{place} has its codes from the Teams admin centre: make a new one there and upload the file.")


class LiveOfTeams(OfTeams):
    """Refused to a technician."""

    message = N_("{place} has a live code of the Teams admin centre. If it is refused, report a problem.")


class Handover(Following):
    def fresh_code(self, device: Device, actor: Actor, lifetime: timedelta | None = None) -> ActivationCode:
        digits = codes.generate(self.policy.code_digits)
        return self.keys.issue(
            device.mac, digits, device.issued + 1, self.now(), lifetime or self.policy.code_lifetime, actor.id
        )

    def assigned(self, device: Device, technician: str, actor: Actor, now: datetime) -> Change:
        """The device in this technician's hands; nothing where it is already."""
        if not technician or device.technician == technician:
            return Change()
        fact = DeviceAssigned(
            at=now, actor=actor.id, subject=device.mac, technician=technician, former=device.technician
        )
        return Change(puts=(replace(device, technician=technician, request=None),), events=(fact,))

    async def assign(self, actor: Actor, target: Target, technician: Person, beside: Beside | None = None) -> int:
        """The target's open devices go to this technician, codes and all; returns how many changed hands."""
        require(actor, Permission.ISSUE_CODES)
        self.require_technician(technician)

        async def decide(chunk: Sequence[str]) -> tuple[Change, Counter[str]]:
            change, now = Change(), self.now()
            async for device in self._one_by_one(chunk):
                if not device.removed:
                    change += self.assigned(device, technician.id, actor, now)
            return change, Counter(changed=len(change.puts))

        devices = await self.devices_of(target, **({} if target.device else {"open": True}))
        return (await self.in_parts(actor, [device.mac for device in devices], decide, beside))["changed"]

    async def in_parts(
        self,
        actor: Actor,
        macs: Sequence[str],
        decide: Callable[[Sequence[str]], Awaitable[tuple[Change, Counter[str]]]],
        beside: Beside | None = None,
    ) -> Counter[str]:
        """A long job in durable parts, so that others get their turns in between; `decide` gets the MACs of a part and
        counts what it does to them, `beside` says what else is to be saved in the same piece.

        The same press finishes a job that broke off. Errors: `AlreadyDone` where nothing of it was left to do, unless
        somebody keeps count beside it.
        """
        done, ran, heard = Counter[str](), 0, set[str]()
        whole = f"{actor.operation}:whole" if actor.operation and macs and beside is None else ""
        await self.require_new(whole)

        async def part(start: int, chunk: Sequence[str]) -> tuple[Change, Counter[str]]:
            change, counts = await decide(chunk)
            left = len(macs) - start - len(chunk)
            noted = await beside(left, len(macs), counts) if beside else Change()
            if whole and not left:
                await self.require_new(whole)
                noted += Change(puts=(Operation(id=whole, at=self.now()),))
            return change + noted, counts

        for start in range(0, len(macs), CHUNK):
            chunk = macs[start : start + CHUNK]
            name = codes.hash_token(",".join(chunk))  # by each device: the list may be another one since it broke off
            with suppress(AlreadyDone):
                done += await self.unit(actor, partial(part, start, chunk), part=name, heard=heard)
                ran += 1
        if macs and not ran and beside is None:
            raise AlreadyDone
        return done

    async def _one_by_one(self, macs: Sequence[str]) -> AsyncIterator[Device]:
        """The devices as they stand now; others get their turns after each."""
        for mac in macs:
            await asyncio.sleep(0)
            if device := await self.store.get(Device, mac):
                yield device

    def require_technician(self, person: Person) -> None:
        """Errors: `NotATechnician` for somebody who is none: devices go to technicians only."""
        if Role.TECHNICIAN not in self.roles_of(person):
            raise NotATechnician(name=person.name or person.upn)

    async def technicians(self) -> Sequence[Person]:
        listed = (await self.store.find(Person, technician=True, limit=1000)).rows
        return [person for person in listed if Role.TECHNICIAN in self.roles_of(person)]

    # -------------------------------------------------------------- one code at a time

    async def hold(self, actor: Actor, mac: str) -> InHand:
        """Unseal a live code for the actor's phone: audited first, and the card that showed another loses it.

        A code that died while its audit row was being written is not shown.
        """
        require(actor, Permission.ISSUE_CODES, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, Device]:
            device, person = await self.store.get(Device, mac), await self.store.get(Person, actor.id)
            if device is None or device.removed or not may_see(actor, device):
                raise DeviceNotFound(text=mac)
            code = device.live_code(self.now())
            if code is None:
                return Change(), device
            fact = CodeShown(at=self.now(), actor=actor.id, subject=mac, issue=code.issue, reader=actor.id)
            change = Change(events=(fact,))
            if person:
                change += Change(puts=await self._phone_turns_to(actor, person, mac))
            return change, device

        return await self._unsealed(await self.unit(replace(actor, operation=""), decide))

    async def _phone_turns_to(self, actor: Actor, person: Person, mac: str) -> tuple[Person | OutboxMessage, ...]:
        """From now on their phone shows this device's code and no other; nothing where it does already."""
        if person.current == mac:
            return ()
        return (replace(person, current=mac), *await self._codes_to_hide(actor, mac))

    async def _codes_to_hide(self, actor: Actor, mac: str) -> tuple[OutboxMessage, ...]:
        """Edits for the actor's cards that still show another device's code."""
        page = await self.store.find(Post, reader=actor.id, shows_code=True, limit=50)
        now = self.now()
        return tuple(edit(post, now) for post in page.rows if post.subject != mac and post.key != actor.post)

    async def _unsealed(self, audited: Device) -> InHand:
        """The device as it stands now, with its digits where the code is the one that was audited and still lives."""
        device = await self.store.get(Device, audited.mac) or audited
        return await self._in_hand(device, unseal=device.issued == audited.issued)

    async def _in_hand(self, device: Device, *, unseal: bool) -> InHand:
        """A code whose key is gone from the keyring cannot be shown, only reissued."""
        code = device.live_code(self.now()) if unseal else None
        names, digits = await self.names((device.technician,)), ""
        if code:
            with suppress(ValueError):
                digits = self.keys.unseal(device.mac, code)
        return InHand(device, digits, names.get(device.technician, ""))

    async def live_of(self, person: str) -> Sequence[Device]:
        """Devices in this person's hands that have a live code."""
        return await self.devices_of(Target(), technician=person, span=Span("code_until", after=self.now()))

    async def jobs_of(self, person: str) -> Sequence[Device]:
        """Devices in this person's hands that are not installed, in walking order."""
        return await self.devices_of(Target(), technician=person, open=True)

    # -------------------------------------------------------------- the ledger

    async def delivery(self, person: Person, since: datetime) -> Delivery:
        """When this person's phone last got a card since then, and whether it was opened."""
        page = await self.store.find(Post, reader=person.id, limit=1)
        post = page.rows[0] if page.rows and page.rows[0].posted_at >= since else None
        return Delivery(person, post.posted_at if post else None, post.opened_at if post else None)

    async def remind(self, actor: Actor, person: Person) -> None:
        """Send a technician their next device once more, though all of theirs may rest."""
        require(actor, Permission.ISSUE_CODES)
        message = tell(MessageKind.NEW_JOBS, person.id, "", self.now(), asked="yes")

        async def decide() -> tuple[Change, None]:
            return Change(puts=await self.in_time((message,))), None

        await self.unit(actor, decide)
