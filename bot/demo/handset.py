"""A device in the story: somebody types a code on it; later it does what it is asked from afar."""

from __future__ import annotations

from bot.demo.device import STATES, DeviceProblem, DeviceView, SimulatedDevice
from bot.demo.stage import Stage, StoryFault, only_digits
from bot.demo.terminal import Lane
from cards.words import code_groups
from provisioning.codes import generate
from provisioning.texts import _


class Handset:
    """A device on a wall: somebody types a code on it."""

    def __init__(self, stage: Stage, mac: str, place: str) -> None:
        self._stage = stage
        self._lane = Lane(_("Device {end}, {place}", end=f"{mac[-5:-3]}:{mac[-2:]}", place=place), 10, "yellow")
        self._device = SimulatedDevice(stage.url, mac, session=stage.session, sleep=stage.clock.sleep)

    async def refused(self, code: str, wanted: str) -> None:
        """It presents MAC and code and is refused with this problem code."""
        self._types(code)
        try:
            await self._device.provision(code)
        except DeviceProblem as problem:
            if problem.code != wanted:
                raise StoryFault(f"{problem.status} {problem.code}: {problem.detail}") from None
            self._stage.terminal.hears(self._lane, f"{problem.status} {problem.code}. {problem.detail}")
            return
        raise StoryFault(_("The device was let in with a code that must not work."))

    async def provisioned(self, code: str, organisation: str) -> None:
        """It presents MAC and code and shows the organisation's name."""
        self._types(code)
        try:
            view = await self._device.provision(code)
        except DeviceProblem as problem:
            raise StoryFault(f"{problem.status} {problem.code}: {problem.detail}") from None
        if view.tenant != organisation:
            raise StoryFault(_("The device shows {tenant}.", tenant=view.tenant))
        self._stage.terminal.screen(self._lane, view.tenant, _("Sign in to continue"))

    async def shows(self, state: str, account: str = "") -> None:
        """It asks how it stands, as it does all the time, and shows it."""
        view = await self._looks()
        if (view.state, view.account) != (state, account):
            raise StoryFault(_("The device shows {tenant}.", tenant=f"{view.state} {view.account}"))
        self._stage.terminal.screen(self._lane, view.tenant, f"{_(STATES[state])} {account}".strip())

    async def does(self, name: str) -> None:
        """It finds what it was asked for, and does it."""
        for command, asked in (await self._looks()).commands:
            if asked == name and await self._device.carry_out(command, asked):
                self._stage.terminal.hears(self._lane, _("{command}: done", command=name))
                return
        raise StoryFault(_("The device was not asked for it: {command}", command=name))

    async def learns_of_its_reset(self) -> None:
        """Its token is of a life that is over: somebody sets it back to factory settings."""
        try:
            await self._device.status()
        except DeviceProblem as problem:
            if problem.code == "reset_required":
                self._stage.terminal.hears(self._lane, f"{problem.status} {problem.code}. {problem.detail}")
                await self._device.factory_reset()
                self._stage.terminal.screen(self._lane, _("Factory settings"), _("Enter the code"))
                return
        raise StoryFault(_("The device does not know that it has to be reset."))

    async def _looks(self) -> DeviceView:
        try:
            return await self._device.status()
        except DeviceProblem as problem:
            raise StoryFault(f"{problem.status} {problem.code}: {problem.detail}") from None

    def _types(self, code: str) -> None:
        self._stage.terminal.says(self._lane, _("sends its MAC and the code {code}", code=code))


def mistyped(code: str) -> str:
    """The code with one digit off: not a code at all, which its check digit tells."""
    return code[:-1] + str((int(code[-1]) + 1) % 10)


def guessed(code: str) -> str:
    """A well-formed code that is another one."""
    right = other = only_digits(code)
    while other == right:
        other = generate(len(right))
    return code_groups(other)
