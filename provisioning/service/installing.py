"""The technician's word that a device is mounted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.codes import masked
from provisioning.errors import BadInput
from provisioning.model import Actor, Change, Device, stored
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
    message = N_("Not ticked. If the screen does not show {organisation} yet, choose Mounting only.")


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
        photo: bool = False,
    ) -> Saved:
        """The technician's word that it is mounted, and of a companion device what its screen shows.

        A second time changes nothing and says who was first; the screen can still be confirmed after the mounting.
        `photo`: until one came, or is skipped, the next device is not told.
        Errors: `NotCalledIn` where the device has not called in, `ScreenNotSeen` where the screen of a companion
        device was not confirmed, unless `mounting_only` was said.
        """
        require(actor, Permission.WORK_ON_SITE)
        note = masked(clean(note), self.policy.code_digits)

        async def decide() -> tuple[Change, Saved]:
            device = await self.device(actor, text)
            seen = screen and lifecycle.awaits_word(device)
            if device.installed and not seen:
                change = lifecycle.solve_problem(device, self.now(), actor)
                fresh = stored(replace(device, problem=None)) if change else device
                return change, Saved(fresh, device.installed, again=True)
            known = seen or device.provisioned
            if not (known or mounting_only):
                raise self._not_known(device)
            word = Installation(
                by=actor.id,
                by_name=actor.name,
                at=self.now(),
                note=note,
                mounting_only=not known,
                checked=checked,
                screen=seen,
            )
            change = lifecycle.confirm_install(device, word, photo=photo)
            (fresh,) = (record for record in change.puts if isinstance(record, Device))
            return change + await self.photo_wait(actor, device.mac if photo else ""), Saved(stored(fresh), word)

        return await self.unit(actor, decide)

    def _not_known(self, device: Device) -> BadInput:
        """Why more than the mounting cannot be confirmed."""
        if lifecycle.companion(device):
            return ScreenNotSeen(organisation=self.policy.organisation)
        return NotCalledIn(place=device.place)
