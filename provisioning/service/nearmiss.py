"""The near-miss doctor: a refused code that is another device's. Looked at after the answer, told to its technician."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

from provisioning import codes, lifecycle
from provisioning.access import Permission, may_see, require
from provisioning.errors import BadInput, OutOfDate, PersonNotFound
from provisioning.events import (
    CodeShown,
    CodeStrayed,
    DeviceAdded,
    DeviceAssigned,
    Event,
    StrayAnswered,
    StrayAsked,
    StrayDismissed,
    StrayFollowed,
)
from provisioning.mac import normalise
from provisioning.messages import MessageKind, OutboxMessage, Post
from provisioning.model import Actor, Authority, Change, Device, Person, State, stored
from provisioning.notifications import tell
from provisioning.onsite import Stray
from provisioning.service.activation import DEVICE, REMEMBER_EXPIRED
from provisioning.service.day import Days
from provisioning.service.devices import Devices, Wanted
from provisioning.service.unit import POSTS_PER_SUBJECT
from provisioning.texts import N_

SHOWN_LATELY = timedelta(minutes=30)
MOST_SHOWN = 500  # devices whose code was shown lately that are looked at
LOOKED_AT = 5_000  # of the newest facts, among which those are
NOBODY = "-"  # no id of a person
AT_ONCE = 50  # codes that are compared before others get their turns
PAGE = 100  # rows that are read at once, so that a device that calls meanwhile waits some milliseconds at most
MOST_IGNORED = 20  # callers that one technician said are not theirs, for one code
CARD = "job_again"  # the view of a technician's card of one device


class NothingAstray(OutOfDate):
    code = "nothing_astray"
    message = N_("Nothing is open about another device and the code of {place}. For help, type: problem {place}")


class RoomMissing(BadInput):
    code = "room_missing"
    field = "location"
    message = N_("Type the room as well, behind the last slash.")


@dataclass(frozen=True, slots=True)
class Astray:
    """A stray code as its technician may know of it: the caller only where they may see that device."""

    device: Device
    stray: Stray
    caller: Device | None = None
    listed: bool = False  # the caller is on the list …
    free: bool = False  # … and with nobody

    @property
    def can_ask(self) -> bool:
        return self.caller is None and (self.free or not self.listed)


@dataclass(frozen=True, slots=True)
class StrayRequest:
    """A technician's question to the admins. `device` is the one whose code was typed on the caller."""

    device: Device
    stray: Stray | None  # None: the matter is settled
    caller: Device | None  # where it is on the list
    technician: str  # name


class NearMisses(Devices, Days):
    async def diagnose(self, mac: str, code: str, source: str) -> bool:
        """Whether it was another device's code that this MAC was refused with. Only that device's technician is told;
        nothing is counted.

        Every diagnosis follows a refusal that the throttle has counted: a network has 30 of those in 10 minutes and
        the fleet 600 (twice, with the trusted ones), and whoever is told to slow down is not diagnosed. So the limit
        per network of provisioning/throttle.py bounds this as well, and a second set of counters would add nothing.
        """
        caller, digits = normalise(mac), codes.normalise(code, self.policy.code_digits)
        known = await self.store.get(Device, caller)
        holder = known.technician if known and not known.removed else ""
        # both are walked through in any case: how long this keeps the service busy tells nothing about the MAC
        held = await self._meant(self._in_hands_of(holder or NOBODY), caller, digits)
        shown = await self._meant(self._shown_lately(), caller, digits)
        meant = held if holder else shown
        if meant:
            await self._strayed(meant, caller, digits, source)
        return bool(meant)

    async def _meant(self, devices: AsyncIterator[Device], caller: str, digits: str) -> str:
        """The MAC of the first device whose code this is; empty for none."""
        compared, found = 0, ""
        async for device in devices:
            if not self._could_be(device, caller):
                continue
            if self.keys.matches(device.mac, device.code, digits):
                found = found or device.mac
            compared += 1
            if compared % AT_ONCE == 0:
                await asyncio.sleep(0)
        return found

    async def _in_hands_of(self, technician: str) -> AsyncIterator[Device]:
        after: str | None = None
        while True:
            page = await self.store.find(
                Device,
                technician=technician,
                state=State.WAITING_FOR_ACTIVATION,
                removed=False,
                after=after,
                limit=PAGE,
            )
            for device in page.rows:
                yield device
            if (after := page.after) is None:
                return

    async def _shown_lately(self) -> AsyncIterator[Device]:
        """Devices whose code was shown in the last half hour, the latest first: the audit has each showing, on a card
        that has changed since, and on paper.
        """
        since, macs, after = self.now() - SHOWN_LATELY, dict[str, None](), None
        for _page in range(LOOKED_AT // PAGE):
            page = await self.store.history(after=after, limit=PAGE)
            facts = [row.event for row in page.rows]
            macs |= dict.fromkeys(fact.subject for fact in facts if isinstance(fact, CodeShown) and fact.at >= since)
            after = page.after
            if after is None or len(macs) >= MOST_SHOWN or (facts and facts[-1].at < since):
                break
        latest = list(macs)[:MOST_SHOWN]
        for start in range(0, len(latest), PAGE):
            found = await self.store.get_many(Device, latest[start : start + PAGE])
            for mac in filter(found.__contains__, latest[start : start + PAGE]):
                yield found[mac]

    def _could_be(self, device: Device, caller: str) -> bool:
        """It waits with a code of our own, live or not long ended, in somebody's hands."""
        code = device.code
        if code is None or code.digest is None or code.authority is not Authority.OWN or device.mac == caller:
            return False
        waits = device.state is State.WAITING_FOR_ACTIVATION and not device.removed
        return waits and bool(device.technician) and self.now() - code.expires_at < REMEMBER_EXPIRED

    async def _strayed(self, mac: str, caller: str, digits: str, source: str) -> None:
        """Noted on the device whose code it is; once for each caller, until something was done about it."""

        async def decide() -> tuple[Change, None]:
            now, device = self.now(), await self.store.get(Device, mac)
            if device is None or not self._could_be(device, caller):
                return Change(), None
            if not self.keys.matches(mac, device.code, digits):  # it got another code meanwhile
                return Change(), None
            former = device.stray
            if former and (caller in former.ignored or (former.mac == caller and _open(device))):
                return Change(), None
            ignored = former.ignored if former else ()
            stray = Stray(mac=caller, at=now, told=device.technician, ignored=ignored)
            fact = CodeStrayed(at=now, actor=DEVICE.id, subject=mac, caller=caller, source=source)
            told = await self._told_by_message(device)
            return Change(puts=(replace(device, stray=stray), *told), events=(fact,)), None

        await self.unit(DEVICE, decide)

    async def _told_by_message(self, device: Device) -> tuple[OutboxMessage, ...]:
        """The card that they look at is drawn anew; where they look at another, or at paper, one is sent."""
        person = await self.store.get(Person, device.technician)
        newest = (await self.store.find(Post, reader=device.technician, limit=1)).rows
        posts = (await self.store.find(Post, subject=device.mac, limit=POSTS_PER_SUBJECT)).rows
        stands = any(post.reader == device.technician and post.view == CARD for post in posts)
        in_sight = (person and person.current == device.mac) or any(post.subject == device.mac for post in newest)
        if stands and in_sight:
            return ()
        return (tell(MessageKind.STRAY, device.technician, device.mac, self.now()),)

    # -------------------------------------------------------------- the technician's answer

    async def astray(self, actor: Actor, device: Device) -> Astray | None:
        """What its technician is to know of a stray code; None where there is nothing, or it is settled."""
        stray = device.stray
        if stray is None or not _open(device) or device.technician != actor.id:
            return None
        caller = await self.store.get(Device, stray.mac)
        if caller is None or caller.removed:
            return Astray(device, stray)
        if caller.provisioned_at and caller.provisioned_at > stray.at:  # it got in with its own code since
            return None
        seen = caller if may_see(actor, caller) else None
        return Astray(device, stray, seen, listed=True, free=not caller.technician)

    async def _as_told(self, actor: Actor, text: str) -> Astray:
        """Errors: `NothingAstray` where the matter is settled."""
        device = await self.device(actor, text)
        found = await self.astray(actor, device)
        if found is None:
            raise NothingAstray(place=device.place)
        return found

    async def follow_stray(self, actor: Actor, text: str) -> Device:
        """The technician goes on with the device that called; returns it. Errors: `OutOfDate`."""
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, Device]:
            found = await self._as_told(actor, text)
            if found.caller is None:
                raise OutOfDate
            over = replace(found.stray, over=True)
            fact = StrayFollowed(at=self.now(), actor=actor.id, subject=found.device.mac, caller=over.mac)
            return Change(puts=(replace(found.device, stray=over),), events=(fact,)), found.caller

        return await self.unit(actor, decide)

    async def swap_stray(self, actor: Actor, text: str) -> Device:
        """The two devices hang in each other's room; returns the one that called. Errors: `OutOfDate`."""
        require(actor, Permission.WORK_ON_SITE)
        await self.require_new(actor.operation)  # a swap that is done twice is undone
        found = await self._as_told(actor, text)
        if found.caller is None:
            raise OutOfDate
        _own, caller = await self.swap(actor, found.device.mac, found.caller.mac)
        return caller

    async def dismiss_stray(self, actor: Actor, text: str) -> Device:
        """That caller is none of theirs: it is not told again for this code. A second time changes nothing."""
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, Device]:
            device = await self.device(actor, text)
            found = await self.astray(actor, device)
            if found is None:
                return Change(), device
            ignored = (*found.stray.ignored, found.stray.mac)[-MOST_IGNORED:]
            over = replace(found.stray, over=True, ignored=ignored, answered_by="", answered_at=None)
            fact = StrayDismissed(at=self.now(), actor=actor.id, subject=device.mac, caller=over.mac)
            return _noted(device, over, fact)

        return await self.unit(actor, decide)

    async def ask_stray(self, actor: Actor, text: str) -> Device:
        """The admins are asked for the device that called, once. Errors: `OutOfDate` where it is somebody's."""
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, Device]:
            found = await self._as_told(actor, text)
            if found.stray.asked_at:
                return Change(), found.device
            if not found.can_ask:
                raise OutOfDate
            asked = replace(found.stray, asked_at=self.now())
            fact = StrayAsked(at=self.now(), actor=actor.id, subject=found.device.mac, caller=asked.mac)
            return _noted(found.device, asked, fact)

        return await self.unit(actor, decide)

    # -------------------------------------------------------------- the admin's answer

    async def stray_request(self, actor: Actor, text: str) -> StrayRequest:
        """What a technician asks for, and how it stands."""
        require(actor, Permission.EDIT_DEVICES)
        device = await self.device(actor, text)
        stray = device.stray
        stray = stray if stray and (stray.answered_at or _waits(device)) else None
        caller = await self.store.get(Device, stray.mac) if stray else None
        names = await self.names((stray.told,)) if stray else {}
        listed = caller if caller and not caller.removed else None
        return StrayRequest(device, stray, listed, names.get(stray.told, "") if stray else "")

    async def grant_stray(self, actor: Actor, text: str, location: str = "") -> StrayRequest:
        """The device that called goes to whoever asked, with a code; where it is not on the list, it is put there.

        Errors: `OutOfDate` where it is settled, `RoomMissing`, those of an add, `ResetRequired`, `NotATechnician`.
        """
        require(actor, Permission.EDIT_DEVICES)

        async def decide() -> tuple[Change, None]:
            device, stray, asker = await self._question(actor, text)
            caller, facts = await self._brought_in(actor, stray, location)
            assigned = DeviceAssigned(
                at=self.now(), actor=actor.id, subject=caller.mac, technician=asker.id, former=caller.technician
            )
            ready = replace(caller, technician=asker.id, problem=None, renewals=())
            lifetime = (await self.underway()).lifetime(ready)
            issue = lifecycle.issue_code(ready, self.fresh_code(ready, actor, lifetime), actor)
            done, _device = self._answered(actor, device, replace(stray, over=True), granted=True)
            told = tell(MessageKind.STRAY_ADDED, asker.id, caller.mac, self.now())
            return done + issue + Change(puts=(told,), events=(*facts, assigned)), None

        # whoever asked gets this very device, not the next one on their list
        heard = {device.technician for device in [await self.device(actor, text)] if device.technician}
        await self.unit(actor, decide, heard=heard)
        return await self.stray_request(actor, text)

    async def _question(self, actor: Actor, text: str) -> tuple[Device, Stray, Person]:
        """A question that waits for its answer, and whose it is. Errors: `OutOfDate`, `NotATechnician`."""
        device = await self.device(actor, text)
        stray = device.stray
        if stray is None or not _waits(device):
            raise NothingAstray(place=device.place)
        asker = await self.store.get(Person, device.technician)
        if asker is None:
            raise PersonNotFound(text=device.technician)
        self.require_technician(asker)
        return device, stray, asker

    async def _brought_in(self, actor: Actor, stray: Stray, location: str) -> tuple[Device, tuple[Event, ...]]:
        """The caller as it stands on the list, or as it is put there. Errors: `OutOfDate` where it is somebody's."""
        now, known = self.now(), await self.store.get(Device, stray.mac)
        if known and not known.removed:
            if known.technician:
                raise OutOfDate
            return known, ()
        if not location.strip() or location.strip().endswith("/"):
            raise RoomMissing
        fresh, _listed = await self._candidate(actor, Wanted(stray.mac, location), now)
        return fresh, (DeviceAdded(at=now, actor=actor.id, subject=fresh.mac, location=fresh.location),)

    async def refuse_stray(self, actor: Actor, text: str) -> StrayRequest:
        """The technician is told on their card. Errors: `OutOfDate` where it was answered."""
        require(actor, Permission.EDIT_DEVICES)

        async def decide() -> tuple[Change, Device]:
            device, stray, _asker = await self._question(actor, text)
            return self._answered(actor, device, stray, granted=False)

        await self.unit(actor, decide)
        return await self.stray_request(actor, text)

    def _answered(self, actor: Actor, device: Device, stray: Stray, *, granted: bool) -> tuple[Change, Device]:
        now = self.now()
        fact = StrayAnswered(at=now, actor=actor.id, subject=device.mac, caller=stray.mac, granted=granted)
        return _noted(device, replace(stray, answered_by=actor.name, answered_at=now), fact)


def _open(device: Device) -> bool:
    """Nothing was done about it yet, the code is still there, and its technician is the one who was told."""
    stray, code = device.stray, device.code
    there = code is not None and code.digest is not None and device.state is State.WAITING_FOR_ACTIVATION
    return stray is not None and not stray.over and there and stray.told == device.technician


def _waits(device: Device) -> bool:
    """An admin is asked, for the technician who was told and still has it; whatever became of the code since."""
    return device.stray is not None and device.stray.waits and device.stray.told == device.technician


def _noted(device: Device, stray: Stray, fact: Event) -> tuple[Change, Device]:
    fresh = replace(device, stray=stray)
    return Change(puts=(fresh,), events=(fact,)), stored(fresh)
