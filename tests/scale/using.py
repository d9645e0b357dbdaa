"""What people and devices do, through the use cases, and what the service does by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count, cycle, islice

from provisioning.errors import ProvisioningError
from provisioning.messages import OutboxMessage
from provisioning.model import Actor, Change, Device, Person, Role, State
from provisioning.ports import Store
from provisioning.service import Provisioning
from provisioning.service.activation import ProvisionCall
from provisioning.service.devices import Wanted
from provisioning.service.issuing import IssueOrder
from provisioning.service.lookup import Target as What
from tests.fakes import FakeClock
from tests.provisioning.world import KEYS, POLICY, TENANT
from tests.scale.asking import LARGEST, SMALL
from tests.scale.measuring import LONG, TURN, Book, Line, beside, stalls
from tests.scale.state import (
    ADMIN,
    NOW,
    Scene,
    channel_of,
    mac_of,
    save_all,
    technician_of,
    token_of,
)

LEASE = timedelta(seconds=60)
TECHNICIAN = frozenset({Role.TECHNICIAN})
TOGETHER = 32  # messages that one claim takes


class Using:
    def __init__(self, store: Store, scene: Scene, book: Book) -> None:
        self.store, self.scene, self.book = store, scene, book
        self.core = Provisioning(store, FakeClock(NOW), KEYS, POLICY)
        live = [*islice(scene.live_numbers(), 400)]
        self.live, self.shown = live[: len(live) // 2], cycle(live[len(live) // 2 :])
        self.called = iter([*scene.numbers(State.SIGNED_IN)])
        self.new = count(1)

    async def everything(self) -> None:
        await self._admins()
        await self._technicians()
        await self._devices()
        await self._outbox()
        await self._long_jobs()

    async def _admins(self) -> None:
        core, ask = self.core, self.book.ask
        for words in ("", "waiting", f"waiting {LARGEST}", LARGEST, "problems", "t57", "at-000077"):
            await ask(f"`devices {words}`".replace(" `", "`"), lambda words=words: core.listing(ADMIN, words))
        await ask("`device <mac>`", lambda: core.facts(ADMIN, mac_of(next(self.shown))))
        await ask("`device <unknown mac>`: near misses", lambda: _refused(core.facts(ADMIN, "80:5E:CF:FF:FF:FF")))
        await ask("`device <place>`", self._by_place)
        await ask("`rollout`", lambda: core.progress(ADMIN, ""))
        await ask(f"`rollout {LARGEST}`", lambda: core.progress(ADMIN, LARGEST))
        await ask("a rollout's living card", lambda: core.followed_in(channel_of("Oslo").id))
        await ask("`codes`", lambda: core.codes(ADMIN))
        await ask(f"`codes {LARGEST}`", lambda: core.codes(ADMIN, What(site=LARGEST)))
        await ask("`people`", lambda: core.roster(ADMIN))
        await ask("ending access: what it would touch", lambda: core.workload(ADMIN, technician_of(1)))
        await ask("`move <mac> to …`", self._move)
        await ask("`issue <mac>`", self._issue)
        await ask("`add` of 200 devices", self._add, LONG, times=5)

    async def _by_place(self) -> object:
        return await self.core.facts(ADMIN, self.scene.device(next(self.shown)).location)

    async def _move(self) -> object:
        return await self.core.move(ADMIN, mac_of(next(self.shown)), f"Oslo/1/1.{next(self.new)}")

    async def _issue(self) -> object:
        device = await self.core.device(ADMIN, mac_of(next(self.shown)))
        return await self.core.issue(ADMIN, IssueOrder(What(device=device), void=True))

    async def _add(self) -> object:
        return await self.core.add(ADMIN, [Wanted(f"00156{next(self.new):07X}", "Oslo/3/3.1") for _ in range(200)])

    async def _technicians(self) -> None:
        core, ask = self.core, self.book.ask
        people = cycle([await self._actor(n) for n in range(min(self.scene.size.technicians, 40))])
        await ask("`my devices`", lambda: core.day(next(people)))
        await ask("`next`", lambda: core.next_job(next(people)))
        await ask("`code <mac>`", self._show)

    async def _show(self) -> object:
        number = next(self.shown)
        holder = await self.store.get(Device, mac_of(number))
        assert holder
        return await self.core.show_code(Actor(holder.technician, "", TENANT, TECHNICIAN), mac_of(number))

    async def _actor(self, number: int) -> Actor:
        person = await self.store.get(Person, technician_of(number))
        assert person
        return self.core.actor_of(person)

    async def _devices(self) -> None:
        ask = self.book.ask
        await ask("a device presents MAC and code", self._provision, times=len(self.live) - 1)
        await ask("a device presents a wrong code", self._wrong)
        await ask("a device asks how it stands", self._status, times=200)

    async def _provision(self) -> object:
        mac = mac_of(self.live.pop())
        device = await self.store.get(Device, mac)
        assert device
        assert device.code
        code = KEYS.unseal(mac, device.code)
        return await self.core.provision(ProvisionCall(mac, code, f"10.0.{next(self.new) % 250}.7"))

    async def _wrong(self) -> object:
        number = next(self.new)
        call = ProvisionCall(mac_of(number % self.scene.size.devices), "000000000000", f"10.1.{number % 250}.7")
        return await _refused(self.core.provision(call))

    async def _status(self) -> object:
        number = next(n for n in self.called if n % 100 != 99)  # those were taken off the list
        return await self.core.device_status(token_of(number), since=None, wait=0)

    # ------------------------------------------------------------------ the outbox

    async def _outbox(self) -> None:
        ask, due = self.book.ask, self.scene.size.due
        await self._drain()
        await ask("when the next message is due, none", self.store.next_due)
        await ask("claim, none due", lambda: self.store.claim(NOW, LEASE, TOGETHER))
        lanes = max(due // 10, 1)
        for each, what in ((lanes, f"{due:,} due in {lanes} lanes"), (1, f"{due:,} due in one lane")):
            await save_all(self.store, self.scene.due(each))
            await ask(f"when the next message is due, {what}", self.store.next_due)
            await ask(f"claim {TOGETHER}, {what}", self.core.claim, times=10)
            await ask(f"when the next message is due, {what}, some under way", self.store.next_due)
            await ask(f"claim and settle, {what}", self._deliver, times=30)
            await self._drain()

    async def _deliver(self) -> object:
        for message in await self.store.claim(NOW + LEASE, LEASE, 1):
            return await self.core.sent(message, None)
        return None

    async def _drain(self) -> None:
        """Away with what waits, so that the next question finds it as it was."""
        while rows := (await self.store.find(OutboxMessage, status="waiting", limit=1000)).rows:
            await self.store.save(Change(deletes=rows))

    # ------------------------------------------------------------------ what takes long

    async def _long_jobs(self) -> None:
        site = await self.core.target(ADMIN, SMALL)
        heir = await self.core.person(technician_of(2))
        await self.long("`issue` for the smallest site, voiding", lambda: self._issue_all(site))
        await self.long("assigning the smallest site to somebody", lambda: self.core.assign(ADMIN, site, heir))
        await self.long("sealing 5 000 facts", lambda: self.store.seal(NOW, 5000))
        await self.long("the sweep", self.core.sweep)
        await self.long("the sweep, nothing to do", self.core.sweep)
        before = NOW - timedelta(days=397)
        await self.long("dropping a segment of facts", lambda: self.store.drop_audit(before, NOW))
        await self.long("verifying everything", self.store.verify)

    async def _issue_all(self, site: What) -> object:
        return await self.core.issue(ADMIN, IssueOrder(site, void=True))

    async def long(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Once, with the turns of somebody else beside it: a device's card, and a durable fact about it."""
        async with stalls() as stalled:
            taken, turns = await beside(work(), self._turn)
        self.book.note(Line(name, [taken], max(stalled), LONG))
        if turns:
            self.book.note(Line(f"… a turn beside it ({len(turns)})", turns, 0.0, TURN))

    async def _turn(self) -> None:
        await self.core.facts(ADMIN, mac_of(next(self.shown)))
        await self.core.redraw(mac_of(next(self.shown)))
        await self._show()


async def _refused(asked: Awaitable[object]) -> object:
    try:
        return await asked
    except ProvisioningError as refusal:
        return refusal
