"""The technician's day: the next device, the list, one device as its technician holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from provisioning.access import Permission, may_see, require
from provisioning.hours import midnight
from provisioning.model import Actor, Device, Person
from provisioning.ports import Span
from provisioning.service.handover import Handover, InHand


@dataclass(frozen=True, slots=True)
class Asked:
    """The admin who was asked for a code last, and when; or who refused one, and when."""

    name: str  # empty where there is nobody to ask
    at: datetime
    refused: bool = False
    again: bool = False  # they may ask once more


@dataclass(frozen=True, slots=True)
class Job:
    """A device in its technician's hands, and where it stands in their list: the `number`th of `total`."""

    held: InHand
    number: int
    total: int
    asked: Asked | None = None  # an admin was asked for a code

    @property
    def device(self) -> Device:
        return self.held.device


@dataclass(frozen=True, slots=True)
class Day:
    """A technician's open devices in walking order, and how many were installed today."""

    open: tuple[Device, ...]
    done: int

    @property
    def total(self) -> int:
        return len(self.open) + self.done


class Days(Handover):
    async def day(self, actor: Actor) -> Day:
        require(actor, Permission.WORK_ON_SITE)
        return Day(tuple(await self.jobs_of(actor.id)), await self._installed_today(actor.id))

    async def _installed_today(self, person_id: str) -> int:
        """Devices in this person's hands that were confirmed since their own midnight, by whomever."""
        person = await self.store.get(Person, person_id)
        begun = midnight(self.now(), self.speech_of(person).timezone if person else self.policy.timezone)
        since = Span("installed_at", after=begun - timedelta(microseconds=1))  # that moment itself belongs to the day
        return await self.store.count(Device, technician=person_id, removed=False, span=since)

    async def next_job(self, actor: Actor) -> Job | None:
        """The next open device that no problem holds up, with its code in hand; None at the end of the day."""
        day = await self.day(actor)
        current = self._foremost([device for device in day.open if not device.held_up])
        return await self._job(actor, current, day) if current else None

    def _foremost(self, free: Sequence[Device]) -> Device | None:
        """One that called in but is not confirmed, else the first on the way that has a live code, else the first.

        Where an admin has to help first, any other goes before.
        """
        now = self.now()
        begun = [device for device in free if device.provisioned]
        ready = [device for device in free if device.live_code(now)]
        stuck = [device for device in free if device.request and device.request.stands(now)]
        return next(iter((*begun, *ready, *(device for device in free if device not in stuck), *stuck)), None)

    async def job(self, actor: Actor, text: str) -> Job:
        """One device as its technician sees it, its code in hand where one lives."""
        require(actor, Permission.WORK_ON_SITE)
        return await self._job(actor, await self.device(actor, text), await self.day(actor))

    async def _job(self, actor: Actor, device: Device, day: Day) -> Job:
        live = device.live_code(self.now())
        held = await self.hold(actor, device.mac) if live else await self._in_hand(device, unseal=False)
        return await self._numbered(held, day)

    async def _numbered(self, held: InHand, day: Day) -> Job:
        return Job(held, self._number(held.device, day), day.total, await self._asked(held.device))

    async def _asked(self, device: Device) -> Asked | None:
        request = device.request
        if request is None or not request.stands(self.now()):
            return None
        again = not request.asking(self.now())
        if request.refused_at:
            return Asked(request.refused_by, request.refused_at, refused=True, again=again)
        admin, at = request.latest(self.now())
        return Asked((await self.names((admin,))).get(admin, ""), at, again=again)

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
        return await self._numbered(await self._in_hand(device, unseal=False), day)

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
