"""The technician's word that a device is mounted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.codes import masked
from provisioning.errors import BadInput
from provisioning.model import Actor, Change, Device, room_of, stored
from provisioning.onsite import Installation
from provisioning.service.photographing import Photographing
from provisioning.texts import N_
from provisioning.untrusted import clean


class NotCalledIn(BadInput):
    code = "not_called_in"
    message = N_("{place} has not called in yet. Confirm the mounting only?")


class ScreenNotSeen(BadInput):
    code = "screen_not_seen"
    field = "screen"
    message = N_("Not ticked. If it does not show that yet, choose Mounting only.")


class RoomOfAnother(BadInput):
    code = "room_of_another"
    field = "room"
    message = N_(
        "The list has another of your devices in {room} (ends {end}). Are they swapped? Say: swap {place} {room}"
    )


@dataclass(frozen=True, slots=True)
class Saved:
    """An install as it stands: `again` where it had been confirmed before."""

    device: Device
    word: Installation
    again: bool = False


class Installing(Photographing):
    async def confirm(
        self,
        actor: Actor,
        text: str,
        note: str = "",
        *,
        checked: bool = False,
        screen: bool = False,
        mounting_only: bool = False,
        room: str = "",
        photo: bool = False,
    ) -> Saved:
        """The technician's word that it is mounted, and of a companion device what its screen shows.

        A second time changes nothing and says who was first; the screen can still be confirmed after the mounting.
        `room` is where they see it hang: one that the list does not say is kept beside it, and the admins are told.
        `photo`: until one came, or is skipped, the next device is not told. Errors: `RoomOfAnother` where another
        device of theirs belongs there, and those of `_not_known`, unless `mounting_only` was said.
        """
        require(actor, Permission.WORK_ON_SITE)
        note = masked(clean(note), self.policy.code_digits)
        room = masked(room_of(clean(room)), self.policy.code_digits)

        async def decide() -> tuple[Change, Saved]:
            device = await self.device(actor, text)
            seen = screen and lifecycle.awaits_word(device)
            if device.installed and not seen:
                return self._again(actor, device, device.installed)
            known = seen or device.provisioned
            if not (known or mounting_only):
                raise self._not_known(device)
            await self._check_room(device, room)
            said = Installation(actor.id, actor.name, self.now(), note, checked=checked, screen=seen, room=room)
            former = device.installed.photo if device.installed else ""
            word = replace(said, mounting_only=not known, photo=former)
            change = lifecycle.confirm_install(device, word, photo=photo)
            (fresh,) = (record for record in change.puts if isinstance(record, Device))
            return change + await self.photo_wait(actor, device.mac if photo else ""), Saved(stored(fresh), word)

        return await self.unit(actor, decide)

    def _again(self, actor: Actor, device: Device, word: Installation) -> tuple[Change, Saved]:
        """What was confirmed before stays so; a problem reported since is over with it."""
        change = lifecycle.solve_problem(device, self.now(), actor)
        return change, Saved(stored(replace(device, problem=None)) if change else device, word, again=True)

    async def _check_room(self, device: Device, room: str) -> None:
        """Errors: `RoomOfAnother`."""
        if not room or room.casefold() == room_of(device.place).casefold():
            return
        there: list[Device] = []
        for name in (room, f"room {room}", f"raum {room}"):
            there += await self._listed(
                place=name.casefold(), site=device.site.casefold(), technician=device.technician
            )
        if other := next((other for other in there if other.mac != device.mac), None):
            raise RoomOfAnother(room=other.place, end=f"{other.mac[-4:-2]}:{other.mac[-2:]}", place=device.place)

    def _not_known(self, device: Device) -> BadInput:
        """Why more than the mounting cannot be confirmed."""
        if lifecycle.companion(device):
            return ScreenNotSeen()
        return NotCalledIn(place=device.place)
