"""Photos of installs: waited for, kept, done without, shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from provisioning.access import Permission, allowed, may_see, require
from provisioning.documents.evidence import Evidence
from provisioning.errors import NotFound, Refused
from provisioning.events import PhotoKept, PhotoShown, PhotoSkipped
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Actor, Change, Device, Person, stored
from provisioning.notifications import tell
from provisioning.photos import Photo, pieces_of
from provisioning.service.handover import Handover
from provisioning.texts import N_

REMIND = timedelta(minutes=3)  # after which it is said that no picture came
WAIT = timedelta(minutes=15)  # after which the next device comes all the same


class NoPhoto(NotFound):
    code = "no_photo"
    message = N_("No photo is kept with {place}.")


class NotInstalled(Refused):
    code = "not_installed"
    message = N_("A photo belongs to an install. Confirm the install of {place} first: install {place}")


class PhotoNotKept(Refused):
    """What it belongs to is not there any more."""

    code = "photo_not_kept"
    message = N_(
        "The photo was not kept: {place} was reset or taken off your list meanwhile. next shows your next device."
    )


class NoPhotoAwaited(Refused):
    code = "no_photo_awaited"
    message = N_("I wait for no photo now. Type photo and the room, for example: photo 2.14")


@dataclass(frozen=True, slots=True)
class Shown:
    """A kept photo and the device it shows."""

    device: Device
    photo: Photo


class Photographing(Handover):
    async def photo_awaited(self, actor: Actor) -> Device | None:
        """The device whose photo this person is to send now."""
        require(actor, Permission.WORK_ON_SITE, Permission.SEE_DEVICES)
        person = await self.store.get(Person, actor.id)
        if person is None or not self._waits(person):
            return None
        return await self.store.get(Device, person.photo_for)

    def _waits(self, person: Person) -> bool:
        return bool(person.photo_for and person.photo_until and self.now() < person.photo_until)

    async def photo_wait(self, actor: Actor, mac: str) -> Change:
        """From now on this person's next picture is the photo of this device; of none where there is no MAC."""
        person = await self.store.get(Person, actor.id)
        if person is None or (not mac and not person.photo_for):
            return Change()
        if not mac:
            return Change(puts=(replace(person, photo_for="", photo_until=None),))
        until = self.now() + WAIT
        waiting = replace(person, photo_for=mac, photo_until=until)
        stamp = until.isoformat()
        missed = tell(MessageKind.PHOTO_MISSING, actor.id, mac, self.now(), until=stamp)
        over = tell(MessageKind.PHOTO_MISSING, actor.id, mac, self.now(), until=stamp, over="true")
        later = ((missed, self.now() + REMIND), (over, until))
        return Change(puts=(waiting, *(_on_its_own_lane(message, due) for message, due in later)))

    async def await_photo(self, actor: Actor, text: str) -> Device:
        """The next picture goes with this device's install. Errors: `NotInstalled`."""
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, Device]:
            device = await self.device(actor, text)
            if device.installed is None:
                raise NotInstalled(place=device.place)
            return await self.photo_wait(actor, device.mac), device

        return await self.unit(actor, decide)

    async def keep_photo(self, actor: Actor, mac: str, picture: Evidence) -> Device:
        """With the install it was taken of, in the place of a former one, also where they moved on while it came.

        Errors: `PhotoNotKept`.
        """
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, Device]:
            now, person = self.now(), await self.store.get(Person, actor.id)
            device = await self.store.get(Device, mac)
            if device is None or device.removed or device.installed is None or not _of(actor, device):
                raise PhotoNotKept(place=device.place if device else mac)
            awaited = person is not None and person.photo_for == mac
            photo = Photo(
                device=device.mac,
                life=device.life,
                by=actor.id,
                by_name=actor.name,
                at=now,
                width=picture.width,
                height=picture.height,
                pieces=pieces_of(picture.content),
            )
            known = await self.store.get(Photo, photo.key)
            fresh = replace(device, installed=replace(device.installed, photo=photo.key))
            change = Change(
                puts=(replace(photo, version=known.version if known else 0), fresh),
                events=(PhotoKept(at=now, actor=actor.id, subject=mac, life=device.life, awaited=awaited),),
            )
            waited = await self.photo_wait(actor, "") if awaited else Change()
            return change + waited, stored(fresh)

        return await self.unit(actor, decide)

    async def skip_photo(self, actor: Actor, mac: str = "") -> Device:
        """No photo comes, of this device where one is named: on with the next. Errors: `NoPhotoAwaited`."""
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, Device]:
            person = await self.store.get(Person, actor.id)
            device = await self.store.get(Device, person.photo_for) if person and person.photo_for else None
            if device is None or mac not in ("", device.mac):
                raise NoPhotoAwaited
            fact = PhotoSkipped(at=self.now(), actor=actor.id, subject=device.mac)
            return Change(events=(fact,)) + await self.photo_wait(actor, ""), device

        return await self.unit(actor, decide)

    async def forget_photo(self, actor: Actor) -> None:
        """They moved on: nothing is waited for, and nothing is said about it."""
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, None]:
            return await self.photo_wait(actor, ""), None

        await self.unit(replace(actor, operation=""), decide)

    async def labelled(self, actor: Actor, macs: Sequence[str]) -> Sequence[Device]:
        """Those of these MACs that are devices this person may see."""
        require(actor, Permission.SEE_DEVICES, Permission.WORK_ON_SITE)
        found = [await self.store.get(Device, mac) for mac in macs]
        return [device for device in found if device and not device.removed and may_see(actor, device)]

    async def photo_missing(self, actor: Actor, mac: str, until: str) -> Device | None:
        """The device whose photo is still waited for since then; None where it came, or is not wanted any more."""
        require(actor, Permission.WORK_ON_SITE)
        person = await self.store.get(Person, actor.id)
        waits = person and person.photo_for == mac and person.photo_until and person.photo_until.isoformat() == until
        return await self.store.get(Device, mac) if waits else None

    async def show_photo(self, actor: Actor, text: str) -> Shown:
        """The photo of a device as it is now; whoever sees it is named in the audit first. Errors: `NoPhoto`."""
        require(actor, Permission.SEE_DEVICES, Permission.WORK_ON_SITE)
        device = await self.device(actor, text)
        photo = await self.store.get(Photo, device.installed.photo) if device.installed else None
        if photo is None:
            raise NoPhoto(place=device.place)
        fact = PhotoShown(at=self.now(), actor=actor.id, subject=device.mac, life=photo.life)
        await self.store.save(Change(events=(fact,)))
        return Shown(device, photo)


def _of(actor: Actor, device: Device) -> bool:
    """Whoever installed it may send the photo, also where the device is with somebody else since."""
    by = device.installed.by if device.installed else ""
    return actor.id in (by, device.technician) and allowed(actor, Permission.WORK_ON_SITE)


def _on_its_own_lane(message: OutboxMessage, due: datetime) -> OutboxMessage:
    return replace(message, due_at=due, lane=f"photo:{message.recipient}:{message.unique}")
