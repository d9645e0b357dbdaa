"""What a device is asked to do from afar: sign out, restart, tell how it is; and what it says to that."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from provisioning import lifecycle, remote
from provisioning.access import Permission, require
from provisioning.codes import masked
from provisioning.commands import DETAIL_LIMIT, CommandName, CommandStatus, DeviceCommand
from provisioning.errors import DeviceRefusal, NotFound, ProvisioningError, Refused
from provisioning.lifecycle import Step
from provisioning.model import Actor, Change, Device, State, stored
from provisioning.service.activation import DEVICE, Activation
from provisioning.service.handover import Beside, Handover
from provisioning.service.lookup import Target
from provisioning.service.signing import CutOff, TeamsSignsIn
from provisioning.texts import N_
from provisioning.untrusted import clean

_CALLED = frozenset(State) - {State.WAITING_FOR_ACTIVATION}  # a companion device is in none of them


class NothingThere(Refused):
    code = "nothing_there"
    message = N_("{place} has not called in yet, so nothing can be asked of it.")


class NotSignedIn(Refused):
    code = "not_signed_in"
    message = N_("{place} is not signed in.")


class NoCommand(NotFound):
    code = "no_command"
    message = N_("{place} is asked for nothing.")


class CommandUnknown(DeviceRefusal):
    """Not one of this device's, or so old that it is not remembered."""

    code = "command_not_found"
    message = N_("No command with this id waits for this device.")


@dataclass(frozen=True, slots=True)
class Asked:
    """`fresh` False: it had been asked for already and is not done yet."""

    device: Device
    command: DeviceCommand
    fresh: bool = True


class Commanding(Handover, Activation):
    async def ask_device(self, actor: Actor, text: str, name: CommandName, at: datetime | None = None) -> Asked:
        """A device is asked for something, at once or at a moment to come.

        What is due already is not asked twice; what waits for its hour is moved to the new one. Errors:
        `NothingThere`, `NotSignedIn`, `TeamsSignsIn`.
        """
        require(actor, Permission.SIGN_IN)

        async def decide() -> tuple[Change, Asked]:
            device = await self.device(actor, text)
            change, asked = self._decide_ask(actor, device, name, at)
            return change, asked

        return await self.unit(actor, decide)

    def _decide_ask(self, actor: Actor, device: Device, name: CommandName, at: datetime | None) -> tuple[Change, Asked]:
        now = self.now()
        can_be_asked(device, name)
        due = at or now
        waiting = next((each for each in device.waiting_commands if each.name is name), None)
        if waiting and (waiting.due(now) or waiting.due_at == due):
            return Change(), Asked(device, waiting, fresh=False)
        id_ = waiting.id if waiting else secrets.token_hex(8)
        command = DeviceCommand(id=id_, name=name, by=actor.id, by_name=actor.name, asked_at=now, due_at=due)
        change = remote.ask(device, command, actor)
        (fresh,) = (record for record in change.puts if isinstance(record, Device))
        return change, Asked(stored(fresh), command)

    async def asked_of(self, actor: Actor, mac: str, command_id: str) -> Asked:
        """What a device was asked for, as it stands now. Errors: `NotFound` where that is not remembered any more."""
        require(actor, Permission.SIGN_IN)
        device = await self.device(actor, mac)
        command = next((each for each in device.commands if each.id == command_id), None)
        if command is None:
            raise NotFound
        return Asked(device, command, fresh=False)

    async def how_many_can(self, actor: Actor, target: Target, name: CommandName) -> int:
        """How many devices of a site or tag can be asked for this."""
        require(actor, Permission.SIGN_IN)
        states = [State.SIGNED_IN] if name is CommandName.SIGN_OUT else [state for state in State if state in _CALLED]
        counts = [await self.store.count(Device, removed=False, state=state.value, **target.equals) for state in states]
        return sum(counts)

    async def ask_devices(
        self, actor: Actor, target: Target, name: CommandName, at: datetime | None, beside: Beside | None = None
    ) -> int:
        """The same of every device of a site or tag that can do it; returns how many were asked."""
        require(actor, Permission.SIGN_IN)
        devices = await self.devices_of(target)
        macs = [device.mac for device in devices if _can(device, name)]
        counted = await self.in_parts(actor, macs, partial(self._decide_ask_many, actor, name, at), beside)
        return counted["asked"]

    async def _decide_ask_many(
        self, actor: Actor, name: CommandName, at: datetime | None, macs: Sequence[str]
    ) -> tuple[Change, Counter[str]]:
        change, count = Change(), 0
        async for device in self._one_by_one(macs):
            if _can(device, name):
                asked, _said = self._decide_ask(actor, device, name, at)
                change, count = change + asked, count + bool(asked)
        return change, Counter(asked=count)

    async def take_back(self, actor: Actor, text: str, command_id: str = "") -> Asked:
        """An admin takes back what a device has not done yet: the latest, or this one. Errors: `NoCommand`."""
        require(actor, Permission.SIGN_IN)

        async def decide() -> tuple[Change, Asked]:
            device = await self.device(actor, text)
            waiting = [each for each in device.waiting_commands if command_id in ("", each.id)]
            if not waiting:
                raise NoCommand(place=device.place)
            change = remote.withdraw(device, waiting[-1], self.now(), actor)
            (fresh,) = (record for record in change.puts if isinstance(record, Device))
            withdrawn = next(each for each in fresh.commands if each.id == waiting[-1].id)
            return change, Asked(stored(fresh), withdrawn)

        return await self.unit(actor, decide)

    async def how_many_wait(self, actor: Actor, target: Target) -> int:
        """How many devices of a site or tag have not done yet what they were asked for."""
        require(actor, Permission.SIGN_IN)
        return sum(bool(device.waiting_commands) for device in await self.devices_of(target))

    async def take_back_many(self, actor: Actor, target: Target) -> int:
        """Everything that waits for a device of a site or tag; returns of how many devices."""
        require(actor, Permission.SIGN_IN)
        macs = [device.mac for device in await self.devices_of(target) if device.waiting_commands]
        counted = await self.in_parts(actor, macs, partial(self._decide_take_back_many, actor))
        return counted["taken_back"]

    async def _decide_take_back_many(self, actor: Actor, macs: Sequence[str]) -> tuple[Change, Counter[str]]:
        change, count = Change(), 0
        async for device in self._one_by_one(macs):
            taken = remote.withdraw_all(device, self.now(), actor)
            change, count = change + taken, count + bool(taken)
        return change, Counter(taken_back=count)

    async def settle_command(self, token: str, command_id: str, *, done: bool, detail: str = "") -> None:
        """The device's word about a command; the same word again changes nothing.

        detail: at most 200 characters are kept. Errors: `TokenRefused`, `DeviceResetRequired`, `CommandUnknown`.
        """
        said = masked(clean(detail[:DETAIL_LIMIT]), self.policy.code_digits)

        async def decide() -> tuple[Change, str]:
            device = await self._by_token(token)
            command = next((each for each in device.commands if each.id == command_id), None)
            if command is None or not (command.settled_at or command.due(self.now())):
                raise CommandUnknown
            too_late = done and command.status is CommandStatus.WITHDRAWN  # it had done it before it was taken back
            counts = command.open or too_late
            if not counts:
                return Change(), ""
            return remote.settle(device, command, done, said, self.now()), device.mac

        mac = await self.unit(DEVICE, decide)
        # a quick device is done before the card that says it was asked is known: looked for once more, after the fact
        if mac and (edits := await self.redrawn(mac, self.now())):
            await self.store.save(Change(puts=edits))


def can_be_asked(device: Device, name: CommandName) -> None:
    """Errors: `TeamsSignsIn`, `NothingThere`, `NotSignedIn`."""
    if lifecycle.companion(device):
        raise TeamsSignsIn(place=device.place)
    if device.state is State.WAITING_FOR_ACTIVATION:
        raise NothingThere(place=device.place)
    if device.cut_off:
        raise CutOff(place=device.place)
    if name is CommandName.SIGN_OUT and not lifecycle.can(device, Step.SIGN_OUT):
        raise NotSignedIn(place=device.place)


def _can(device: Device, name: CommandName) -> bool:
    try:
        can_be_asked(device, name)
    except ProvisioningError:
        return False
    return True
