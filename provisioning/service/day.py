"""The technician's day: the next device, the list, one device as its technician holds it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from provisioning.access import Permission, may_see, require
from provisioning.hours import midnight
from provisioning.model import Actor, Device, Person
from provisioning.ports import Span
from provisioning.service.handover import Handover, InHand

FEW = 8  # of a technician's devices that are read at once while the next one is looked for
MANY = 200  # of those behind them: by eights, a thousand without a code take twice as long


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
        require(actor, Permission.WORK_ON_SITE)
        current = await self._foremost(actor.id)
        return await self._job(actor, current) if current else None

    async def _foremost(self, person_id: str) -> Device | None:
        """One that called in but is not confirmed, else the first on the way that has a live code, else the first.

        Where an admin has to help first, any other goes before. Mostly one of the first few is it, so the others of a
        list of 80 are not read: that took a fifth of all that the service worked in a busy morning.
        """
        now, free, stuck = self.now(), None, None
        async for device in self._open_of(person_id, span=Span("provisioned_at")):
            return device
        async for device in self._open_of(person_id):
            if device.live_code(now):
                return device
            if device.request and device.request.stands(now):
                stuck = stuck or device
            else:
                free = free or device
        return free or stuck

    async def _open_of(self, person_id: str, **more: Any) -> AsyncIterator[Device]:
        """Those that no problem holds up, in walking order, a few read at once."""
        after, limit = None, FEW
        while True:
            page = await self.store.find(Device, after=after, limit=limit, **_open(person_id), **more)
            for device in page.rows:
                if not device.held_up:
                    yield device
            after, limit = page.after, MANY
            if after is None:
                return

    async def job(self, actor: Actor, text: str) -> Job:
        """One device as its technician sees it, its code in hand where one lives."""
        require(actor, Permission.WORK_ON_SITE)
        return await self._job(actor, await self.device(actor, text))

    async def _job(self, actor: Actor, device: Device) -> Job:
        live = device.live_code(self.now())
        held = await self.hold(actor, device.mac) if live else await self._in_hand(device, unseal=False)
        return await self._numbered(actor, held)

    async def _numbered(self, actor: Actor, held: InHand) -> Job:
        """Where it stands is counted, not read."""
        mine, done = _open(actor.id), await self._installed_today(actor.id)
        left = await self.store.count(Device, **mine)
        ahead = await self.store.count(Device, ahead_of=held.device, **mine)
        listed = held.device.open_job and held.device.technician == actor.id
        return Job(held, done + (ahead + 1 if listed else 0), done + left, await self._asked(held.device))

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
        live = device.live_code(self.now()) if person.current == mac else None
        held = await self.hold(actor, mac) if live else await self._in_hand(device, unseal=False)
        return (
            await self._numbered(actor, held)
            if actor.is_technician
            else Job(held, 0, 0, await self._asked(held.device))
        )

    async def whereabouts(self, mac: str) -> tuple[Device | None, Device | None]:
        """A device that a card was about, as it is now, and the one that took its place where it was replaced."""
        device = await self.store.get(Device, mac)
        if device is None or not device.removed_at:
            return device, None
        there = await self._listed(location=device.location.casefold())
        return device, next((other for other in there if other.added_at == device.removed_at), None)


def _open(person_id: str) -> dict[str, Any]:
    """What asks for a technician's open devices."""
    return {"technician": person_id, "open": True, "removed": False}
