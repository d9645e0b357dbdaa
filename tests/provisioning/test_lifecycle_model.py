"""A machine that adds, issues, provisions, resets, removes and adds again in any order, against the promises made."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from provisioning.errors import CodeExpired, CodeRefused, ProvisioningError, ResetRequired, TokenRefused
from provisioning.model import Device
from provisioning.service import Provisioning
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock
from tests.profiles import examples
from tests.provisioning.world import KEYS, POLICY, SAM, A, B, World

T = TypeVar("T")
macs = st.sampled_from([A, B])


class DeviceLife(RuleBasedStateMachine):
    """`dead` are codes that must never work again, `live` the one that does, `token` what the device holds."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        clock, store = FakeClock(), MemoryStore()
        self.world = self.does(World(store, clock, Provisioning(store, clock, KEYS, POLICY)).people())
        self.dead: dict[str, set[str]] = {A: set(), B: set()}
        self.live: dict[str, str] = {}
        self.token: dict[str, str] = {}
        self.spent: dict[str, str] = {}  # tokens of removed devices: worth the report of a reset
        self.provisioned: set[str] = set()
        self.tries = 0

    def does(self, story: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(story)

    def device(self, mac: str) -> Device | None:
        return self.does(self.world.store.get(Device, mac))

    def calls(self, mac: str, code: str) -> str:
        """Each call comes from another network, so that only the code decides."""
        self.tries += 1
        return self.does(self.world.calls(mac, code, f"10.{self.tries // 250}.{self.tries % 250}.1")).token

    def listed(self, mac: str) -> bool:
        device = self.device(mac)
        return device is not None and not device.removed

    def ends(self, mac: str) -> None:
        if mac in self.live:
            self.dead[mac].add(self.live.pop(mac))

    @rule(mac=macs, place=st.sampled_from(["Oslo/1", "Oslo/2"]))
    def add(self, mac: str, place: str) -> None:
        self.does(self.world.add((mac, place)))

    @rule(mac=macs, void=st.booleans())
    def issue(self, mac: str, void: bool) -> None:
        if not self.listed(mac):
            return
        try:
            done = self.does(self.world.issue(mac, SAM, void=void))
        except ResetRequired:
            assert mac in self.provisioned
            return
        assert mac not in self.provisioned
        assert done.kept == (mac in self.live and not void)
        if done.issued:
            self.ends(mac)
            self.live[mac] = self.does(self.world.digits(mac))

    @rule(mac=macs)
    def provision(self, mac: str) -> None:
        if mac in self.live:
            self.token[mac] = self.calls(mac, self.live[mac])
            self.ends(mac)
            self.provisioned.add(mac)

    @rule(mac=macs)
    def present_every_dead_code(self, mac: str) -> None:
        for code in sorted(self.dead[mac]):
            try:
                self.calls(mac, code)
            except (CodeRefused, CodeExpired):
                continue
            raise AssertionError(f"a dead code of {mac} worked")

    @rule(mac=macs)
    def present_the_others_code(self, mac: str) -> None:
        other = self.live.get(B if mac == A else A)
        if other and other != self.live.get(mac):
            try:
                self.calls(mac, other)
            except CodeRefused:
                return
            raise AssertionError("the code of another device worked")

    @rule(mac=macs)
    def reset(self, mac: str) -> None:
        token = self.token.pop(mac, "") or self.spent.pop(mac, "")
        before = self.device(mac)
        try:
            self.does(self.world.core.report_reset(token))
        except TokenRefused:
            assert not token
            return
        self.provisioned.discard(mac)
        after = self.device(mac)
        assert before is not None
        assert after is not None
        assert after.life == before.life + 1

    @rule(mac=macs)
    def remove(self, mac: str) -> None:
        if self.listed(mac):
            dana = self.does(self.world.dana())
            self.does(self.world.core.remove(dana, mac))
            self.loses(mac)

    def loses(self, mac: str) -> None:
        self.ends(mac)
        if mac in self.token:
            self.spent[mac] = self.token.pop(mac)

    @rule()
    def undo(self) -> None:
        before = {mac for mac in (A, B) if self.listed(mac)}
        try:
            self.does(self.world.core.undo(self.does(self.world.dana())))
        except ProvisioningError:
            return
        for mac in before:
            if not self.listed(mac):
                self.loses(mac)

    @rule()
    def revoke(self) -> None:
        sam = self.does(self.world.person(SAM))
        self.does(self.world.core.revoke_of(self.does(self.world.dana()), sam))
        for mac in (A, B):
            self.ends(mac)

    @rule(hours=st.sampled_from([1, 23, 24, 200]))
    def time_passes(self, hours: int) -> None:
        self.world.later(hours=hours)
        now = self.world.clock.now()
        for mac in list(self.live):
            device = self.device(mac)
            assert device is not None
            if not device.live_code(now):
                self.ends(mac)

    @rule()
    def sweep(self) -> None:
        self.does(self.world.core.sweep())

    @invariant()
    def the_store_and_the_promises_agree(self) -> None:
        now = self.world.clock.now()
        for mac in (A, B):
            device = self.device(mac)
            if device is None:
                continue
            code = device.live_code(now)
            assert (code is not None) == (mac in self.live), "at most one code lives, and it is the last one issued"
            assert device.provisioned == (mac in self.provisioned), "only a reset ends being provisioned"
            assert not (device.provisioned and code), "a provisioned device has no code"
            assert bool(device.token) == (mac in self.token)
            assert bool(device.reset_token) == (mac in self.spent), "it can still report its reset"
            assert not (device.removed and (device.code or device.token)), "nothing opens a removed device"
            if code:
                assert self.world.core.keys.unseal(mac, code) == self.live[mac]

    def teardown(self) -> None:
        self.loop.close()


TestDeviceLife = DeviceLife.TestCase
TestDeviceLife.settings = settings(max_examples=examples(40), stateful_step_count=30)
