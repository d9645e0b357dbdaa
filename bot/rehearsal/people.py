"""The people of a rehearsal: technicians who walk, type and err; an admin who answers after a while."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, MutableSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from bot.rehearsal import options as usual
from bot.rehearsal.calendar import Calendar
from bot.rehearsal.measure import Diary, Record
from bot.rehearsal.options import MISTAKES, Options
from bot.rehearsal.phone import Phone
from bot.rehearsal.virtual_time import VirtualClock
from provisioning import codes
from provisioning.errors import DeviceRefusal, SlowDown
from provisioning.lifecycle import companion
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Actor, Device, State
from provisioning.rehearsals import Slip
from provisioning.service import Provisioning
from provisioning.service.activation import ProvisionCall

Approve = Callable[[str], None]  # somebody types the latest code at the provider's page, as this account

TRIES = 8  # at one device, before its technician reports a problem
SHORT_VISIT = 2.0  # minutes at a device that was set up before
TO_BE_ANSWERED = frozenset({MessageKind.CODE_WANTED, MessageKind.PROBLEM_REPORTED})
FOR_GOOD = frozenset({"missing", "broken"})  # problems that no word of an admin ends on the same day


@dataclass(slots=True)
class Scene:
    """What everybody shares."""

    provisioning: Provisioning
    clock: VirtualClock
    calendar: Calendar
    options: Options
    record: Record
    start: datetime  # before which nobody goes there
    over: bool = False

    async def device(self, mac: str) -> Device:
        found = await self.provisioning.store.get(Device, mac)
        if found is None:
            raise AssertionError("nobody takes a device off the list in a rehearsal")
        return found

    def chance(self, what: str) -> Random:
        """The same for the same seed, whatever else happens."""
        return Random(f"{self.options.seed}:{what}")  # noqa: S311 - a simulation, no secret

    async def calls(self, mac: str, code: str, site: str, retry_key: str = "") -> str:
        """A device presents its MAC and a code: empty where it is in, else the code of the refusal."""
        network = self.chance(f"network:{site.casefold()}").randrange(65_536)
        call = ProvisionCall(mac, code, f"10.{network >> 8}.{network & 255}.20", retry_key=retry_key)
        try:
            await self.provisioning.provision(call)
        except SlowDown as refusal:
            await self.clock.sleep(refusal.retry_after)
            return refusal.code
        except DeviceRefusal as refusal:
            if refusal.code == "code_refused":
                await self.provisioning.diagnose(mac, code, call.source)
            return refusal.code
        return ""


class Technician:
    """Works through what their phone shows, one device after the other."""

    def __init__(self, scene: Scene, phone: Phone, diary: Diary) -> None:
        self._scene, self._phone, self._diary = scene, phone, diary
        self._chance = scene.chance(phone.person.id)
        self._where = ("", "")
        self._paused: set[datetime] = set()
        self._met: set[str] = set()  # devices that they stood before
        self._dead: set[str] = set()

    async def works(self) -> None:
        await self._scene.clock.until(self._scene.start)
        while not self._scene.over:
            await self._comes_to_work()
            mac = await self._chooses()
            await (self._installs(mac) if mac else self._waits())

    # -------------------------------------------------------------- their day

    async def _comes_to_work(self) -> None:
        """Not before the morning, not for a device that would take longer than the day, and not in a break."""
        clock, calendar = self._scene.clock, self._scene.calendar
        short = timedelta(minutes=self._scene.options.minutes)
        if calendar.begins(clock.now()) == clock.now() and calendar.left(clock.now()) < short:
            await clock.sleep((calendar.left(clock.now()) + timedelta(seconds=1)).total_seconds())
        if (begin := calendar.begins(clock.now())) > clock.now():
            await clock.until(begin)
            self._where = ("", "")
        for at, pause in calendar.pauses(clock.now()):
            if at <= clock.now() and at not in self._paused:
                self._paused.add(at)
                if clock.now() - at < pause:
                    await clock.sleep(pause.total_seconds())

    async def _chooses(self) -> str:
        """What the phone shows as next and is still to do; else what it says when it is asked."""
        for asked in (False, True):
            if asked:
                await self._phone.says("next")
            if (mac := self._phone.device) and await self._is_mine(mac):
                return mac
        return ""

    async def _is_mine(self, mac: str) -> bool:
        device = await self._scene.device(mac)
        open_ = device.open_job and not device.held_up and not companion(device)
        asked = device.request is not None and device.request.stands(self._scene.clock.now())
        return open_ and device.technician == self._phone.person.id and not (asked and not device.provisioned)

    async def _waits(self) -> None:
        since = self._scene.clock.now()
        await self._phone.looks_up(usual.LATEST_LOOK * 60)
        if self._diary.installed < self._diary.devices:
            self._diary.idle += (self._scene.clock.now() - since).total_seconds() / 60

    async def _spends(self, minutes: float, on: str) -> None:
        setattr(self._diary, on, getattr(self._diary, on) + minutes)
        await self._scene.clock.sleep(minutes * 60)

    async def _errs(self, slip: Slip) -> None:
        rate = MISTAKES[slip]
        minutes = self._chance.uniform(rate.least, rate.longest)
        self._scene.record.slip(slip, minutes)
        await self._spends(minutes, "lost")

    async def _walks(self, device: Device) -> None:
        site, floor = self._where
        self._where = (device.site.casefold(), device.floor.casefold())
        way = usual.WALK_TO_ROOM
        if site and site != self._where[0]:
            way = usual.WALK_TO_SITE
        elif floor != self._where[1]:
            way = usual.WALK_TO_FLOOR
        await self._spends(self._chance.uniform(*way), "walk")

    # -------------------------------------------------------------- one device

    async def _installs(self, mac: str) -> None:
        device, options = await self._scene.device(mac), self._scene.options
        await self._walks(device)
        self._scene.record.reached.setdefault(mac, self._scene.clock.now())
        slips, minutes = self._drawn(mac)
        for slip, kind in ((Slip.MISSING, "missing"), (Slip.BROKEN, "broken")):
            if slip in slips:
                return await self._gives_up(mac, kind, slip)
        await self._spends(max(minutes, options.minutes / 4), "work")
        if Slip.PROBLEM in slips:
            return await self._gives_up(mac, "network", Slip.PROBLEM)
        if Slip.NO_NETWORK in slips:
            await self._errs(Slip.NO_NETWORK)
        if not device.provisioned:
            mac = await self._activates(mac, slips)
        if mac:
            await self._confirms(mac, slips)
        return None

    def _drawn(self, mac: str) -> tuple[set[Slip], float]:
        """What goes wrong there, and how long it takes: the same in every run of a seed. Only the first time."""
        if mac in self._met:
            return set(), SHORT_VISIT
        self._met.add(mac)
        chance, options = self._scene.chance(mac), self._scene.options
        slips = {slip for slip in MISTAKES if chance.random() < options.rate(slip)}
        return slips, chance.gauss(options.minutes, options.minutes * options.spread)

    async def _gives_up(self, mac: str, kind: str, slip: Slip) -> None:
        await self._errs(slip)
        await self._phone.submits("problem_save", {"device": mac, "kind": kind, "note": ""})

    async def _activates(self, mac: str, slips: MutableSet[Slip]) -> str:
        """Types codes until the device is in; its MAC, another where two were swapped, empty where it went wrong."""
        for _try in range(TRIES):
            code = await self._code(mac)
            if not code:
                return ""
            await self._spends(self._chance.uniform(*usual.TYPE_CODE), "work")
            if Slip.SWAP in slips:
                slips.discard(Slip.SWAP)
                mac = await self._types_on_the_other(mac, code)
            elif Slip.TYPO in slips:
                await self._mistypes(mac, Slip.TYPO, _mistyped(code), slips)
            elif Slip.WRONG_CODE in slips:
                await self._mistypes(mac, Slip.WRONG_CODE, _guessed(code), slips)
            elif not await self._types(mac, code, slips):
                return mac
        await self._gives_up(mac, "refused", Slip.PROBLEM)
        return ""

    async def _code(self, mac: str) -> str:
        """From the phone; made now where none lives, as its button says."""
        device = await self._scene.device(mac)
        ended = device.code is not None and device.code.expires_at <= self._scene.clock.now()
        if ended and mac not in self._dead:
            self._dead.add(mac)
            minutes = self._chance.uniform(0.5, 1.5)
            self._scene.record.slip(Slip.DEAD_CODE, minutes)
            await self._spends(minutes, "lost")
        if device.live_code(self._scene.clock.now()) and (code := self._phone.code_of(mac)):
            return code
        await self._phone.says(f"start {mac}")
        return self._phone.code_of(mac)

    async def _types(self, mac: str, code: str, slips: MutableSet[Slip]) -> str:
        """The right code on the right device. A device whose answer was lost asks again with the same key."""
        site, key = (await self._scene.device(mac)).site, secrets.token_hex(16)
        refused = await self._scene.calls(mac, code, site, key)
        if Slip.ANSWER_LOST in slips and not refused:
            slips.discard(Slip.ANSWER_LOST)
            await self._errs(Slip.ANSWER_LOST)
            refused = await self._scene.calls(mac, code, site, key)
        return refused

    async def _mistypes(self, mac: str, slip: Slip, typed: str, slips: MutableSet[Slip]) -> None:
        slips.discard(slip)
        await self._errs(slip)
        await self._scene.calls(mac, typed, (await self._scene.device(mac)).site)

    async def _types_on_the_other(self, mac: str, code: str) -> str:
        """Two labels were exchanged. The phone tells which device called, and the two change rooms in the list."""
        mine = [each for each in await self._scene.provisioning.jobs_of(self._phone.person.id) if self._untouched(each)]
        places = [each.mac for each in mine]
        after = places.index(mac) + 1 if mac in places else 0
        other = next((each.mac for each in (*mine[after:], *mine[:after]) if each.mac != mac), "")
        if not other:
            return mac
        await self._errs(Slip.SWAP)
        await self._scene.calls(other, code, (await self._scene.device(other)).site)
        await self._phone.looks_up(30)
        if not await self._phone.presses("stray_swap"):
            await self._phone.says(f"swap {mac} {other}")
        self._met.add(other)
        return other

    def _untouched(self, device: Device) -> bool:
        waits = device.state is State.WAITING_FOR_ACTIVATION and not device.held_up
        return waits and not companion(device) and device.mac not in self._met - {self._phone.device}

    async def _confirms(self, mac: str, slips: MutableSet[Slip]) -> None:
        await self._spends(self._chance.uniform(*usual.CONFIRM), "work")
        if Slip.PHONE_OFFLINE in slips:
            await self._errs(Slip.PHONE_OFFLINE)
        self._phone.screen.changed.clear()
        if not (await self._phone.presses("install_form", device=mac) and await self._phone.presses("install_save")):
            await self._phone.says(f"install {mac}")
        if (await self._scene.device(mac)).installed:
            self._diary.installed += 1
            self._diary.done_at = self._scene.clock.now()
            await self._phone.looks_up(60)  # the next device comes by itself


class Admin:
    """Looks at what they are told after a while, and signs in what waits for it."""

    def __init__(self, scene: Scene, phone: Phone, approve: Approve) -> None:
        self._scene, self._phone, self._approve = scene, phone, approve
        self._chance = scene.chance(phone.person.id)
        self._told: asyncio.Queue[OutboxMessage] = asyncio.Queue()

    def hears(self, message: OutboxMessage) -> None:
        if message.recipient == self._phone.person.id and message.kind in TO_BE_ANSWERED:
            self._told.put_nowait(message)

    async def answers(self) -> None:
        while True:
            message = await self._told.get()
            await self._scene.clock.until(self._scene.calendar.begins(self._scene.clock.now()))
            await self._scene.clock.sleep(self._chance.uniform(*usual.ADMIN_REACTS) * 60)
            if message.kind is MessageKind.CODE_WANTED:
                await self._phone.says(f"issue {message.subject}")
            elif message.kind is MessageKind.PROBLEM_REPORTED:
                problem = (await self._scene.device(message.subject)).problem
                if problem and problem.kind not in FOR_GOOD:
                    await self._phone.says(f"solved {message.subject}")

    async def signs_in(self) -> None:
        """One device after the other, as an admin at their desk does."""
        while True:
            await self._scene.clock.until(self._scene.calendar.begins(self._scene.clock.now()))
            device = await self._scene.provisioning.next_to_sign_in(self._actor)
            if device is None:
                await self._scene.clock.sleep(60)
                continue
            account = device.account or f"{device.mac.lower()}@rehearsal.example"
            await self._phone.says(f"sign in {device.mac} as {account}")
            await self._scene.clock.sleep(self._chance.uniform(*usual.ADMIN_SIGNS_IN) * 60)
            flow = (await self._scene.device(device.mac)).live_sign_in
            if flow:
                self._approve(account)
                answer = await self._scene.provisioning.ask_provider(device.mac, flow.id)
                if answer is not None:
                    await self._scene.provisioning.take_answer(device.mac, flow.id, answer, 0)

    @property
    def _actor(self) -> Actor:
        return self._scene.provisioning.actor_of(self._phone.person)


def _mistyped(code: str) -> str:
    """One digit off, which the check digit tells."""
    return code[:-1] + str((int(code[-1]) + 1) % 10)


def _guessed(code: str) -> str:
    """A well-formed code that is another one."""
    other = code
    while other == code:
        other = codes.generate(len(code))
    return other
