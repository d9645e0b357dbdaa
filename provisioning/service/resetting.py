"""A device's further lives: a factory reset ordered by an admin, and the doubt whether one was done by hand."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from provisioning import lifecycle
from provisioning.access import Permission, may_see, require
from provisioning.errors import BadInput, DeviceNotFound, InvalidCode, OutOfDate, Refused
from provisioning.events import DoubtDismissed, ResetDoubted
from provisioning.lifecycle import Step
from provisioning.mac import normalise
from provisioning.model import Actor, Change, Device, Person, Role, stored
from provisioning.service.activation import DEVICE
from provisioning.service.nearmiss import NearMisses
from provisioning.service.signing import TeamsSignsIn
from provisioning.texts import N_

DOUBT_AGAIN = timedelta(hours=1)  # at most so often somebody is asked whether a device was reset by hand
DOUBT_STANDS = timedelta(days=1)  # so long its technician may say that it was


class NothingToReset(Refused):
    code = "nothing_to_reset"
    message = N_("{place} was not provisioned in this life: it needs a code, no reset.")


class WrongConfirmation(BadInput):
    code = "wrong_confirmation"
    field = "confirm"
    message = N_("Type the last four digits of its MAC, {digits}, to confirm.")


@dataclass(frozen=True, slots=True)
class ResetOutlook:
    """What a reset would end. `digits` are to be typed to confirm it."""

    device: Device

    @property
    def digits(self) -> str:
        return self.device.mac[-4:]


class Resetting(NearMisses):
    async def reset_outlook(self, actor: Actor, text: str) -> ResetOutlook:
        """Errors: `NothingToReset`, `TeamsSignsIn`, and `Forbidden` for a technician who was not asked about it."""
        return ResetOutlook(await self._resettable(actor, text))

    async def order_reset(self, actor: Actor, text: str, confirm: str) -> Device:
        """A new life begins, its history is kept; its registration, sign-in and any live code are dead at once.

        confirm: the last four digits of its MAC. Errors: `WrongConfirmation`, `NothingToReset`, `TeamsSignsIn`.
        """

        async def decide() -> tuple[Change, Device]:
            device = await self._resettable(actor, text)
            if "".join(confirm.split()).replace(":", "").upper() != device.mac[-4:]:
                raise WrongConfirmation(digits=device.mac[-4:])
            change = lifecycle.order_reset(device, self.now(), actor)
            (fresh,) = (record for record in change.puts if isinstance(record, Device))
            return change, stored(fresh)

        return await self.unit(actor, decide)

    async def _resettable(self, actor: Actor, text: str) -> Device:
        require(actor, Permission.SIGN_IN, Permission.WORK_ON_SITE)
        device = await self.device(actor, text)
        if lifecycle.companion(device):
            raise TeamsSignsIn(place=device.place)
        if not lifecycle.can(device, Step.RESET):
            raise NothingToReset(place=device.place)
        if not self._doubted(device):
            require(actor, Permission.SIGN_IN)
        return device

    def _doubted(self, device: Device) -> bool:
        if device.doubted_at is None or device.doubt_ended_by:
            return False
        return self.now() - device.doubted_at < DOUBT_STANDS

    # -------------------------------------------------------------- was it reset by hand?

    async def diagnose(self, mac: str, code: str, source: str) -> bool:
        """After a refusal was answered: whose code it was; else, of one that was provisioned, whether it was reset.

        Its technician, who may stand in front of it, is asked, else the admins: at most hourly, whoever calls. Returns
        whether it was another device's code.
        """
        with suppress(InvalidCode):  # none is given where a device's own token was refused
            if await super().diagnose(mac, code, source):
                return True
        caller = await self.store.get(Device, normalise(mac))
        if caller and not caller.removed and caller.provisioned:
            await self.unit(DEVICE, lambda: self._decide_doubt(caller.mac, source))
        return False

    async def _decide_doubt(self, mac: str, source: str) -> tuple[Change, None]:
        now, device = self.now(), await self.store.get(Device, mac)
        if device is None or device.removed or not device.provisioned:
            return Change(), None
        if device.doubted_at and timedelta(0) <= now - device.doubted_at < DOUBT_AGAIN:
            return Change(), None
        holder = await self.store.get(Person, device.technician) if device.technician else None
        asked = holder.id if holder and holder.chat and Role.TECHNICIAN in self.roles_of(holder) else ""
        fact = ResetDoubted(at=now, actor="device", subject=mac, source=source, technician=asked)
        return Change(puts=(replace(device, doubted_at=now, doubt_ended_by=""),), events=(fact,)), None

    async def doubted(self, actor: Actor, mac: str) -> Device | None:
        """The device somebody is asked about; None where the question is settled."""
        device = await self.store.get(Device, mac)
        if device is None or device.removed or not device.provisioned or not may_see(actor, device):
            return None
        return device if self._doubted(device) else None

    async def dismiss_doubt(self, actor: Actor, text: str) -> Device:
        """It was not reset. Errors: `OutOfDate` where nobody is asked any more."""
        require(actor, Permission.SIGN_IN, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, Device]:
            device = await self.device(actor, text)
            if not may_see(actor, device):
                raise DeviceNotFound(text=text)
            if not device.provisioned or not self._doubted(device):
                raise OutOfDate
            fresh = replace(device, doubt_ended_by=actor.name)
            fact = DoubtDismissed(at=self.now(), actor=actor.id, subject=device.mac)
            return Change(puts=(fresh,), events=(fact,)), stored(fresh)

        return await self.unit(actor, decide)
