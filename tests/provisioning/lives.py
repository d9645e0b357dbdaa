"""What is promised of a device's life, as a machine that breaks no promise whichever way it is driven.

`Life` knows the promises. Its hands, which do what it decides, are the use cases (test_lifecycle_model.py) or the doors
of the running service (tests/bot/test_model.py).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from provisioning.codes import Keyring
from provisioning.model import Device
from provisioning.ports import Store
from tests.fakes import FakeClock
from tests.provisioning.world import A, B

T = TypeVar("T")
MACS = (A, B)
macs = st.sampled_from(MACS)


class Hands(Protocol):
    """An admin, a technician and two devices."""

    @property
    def store(self) -> Store: ...

    @property
    def clock(self) -> FakeClock: ...

    @property
    def keys(self) -> Keyring: ...

    async def adds(self, mac: str, place: str) -> None: ...

    async def issues(self, mac: str, *, void: bool) -> str:
        """The new code's digits, "kept" where a live code stays, or "reset required"."""
        ...

    async def calls(self, mac: str, code: str, source: str) -> str:
        """The token; empty where the code is refused."""
        ...

    async def resets(self, token: str) -> bool:
        """Whether the token was worth a report."""
        ...

    async def removes(self, mac: str) -> None: ...

    async def undoes(self) -> None: ...

    async def revokes(self) -> None:
        """Whatever the technician holds."""
        ...

    async def sweeps(self) -> None: ...

    async def passes(self, hours: int) -> None: ...


class Life(RuleBasedStateMachine):
    """`dead` are codes that must never work again, `live` the one that does, `token` what the device holds."""

    hands: Hands

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.hands = self.does(self.begins())
        self.dead: dict[str, set[str]] = {A: set(), B: set()}
        self.live: dict[str, str] = {}
        self.token: dict[str, str] = {}
        self.spent: dict[str, str] = {}  # tokens of removed devices: worth the report of a reset
        self.provisioned: set[str] = set()
        self.tries = 0

    async def begins(self) -> Any:
        """The hands, with everybody in their place."""
        raise NotImplementedError

    def does(self, story: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(story)

    def device(self, mac: str) -> Device | None:
        return self.does(self.hands.store.get(Device, mac))

    def calls(self, mac: str, code: str) -> str:
        """Each call comes from another network, so that only the code decides."""
        self.tries += 1
        return self.does(self.hands.calls(mac, code, f"10.{self.tries // 250}.{self.tries % 250}.1"))

    def listed(self, mac: str) -> bool:
        device = self.device(mac)
        return device is not None and not device.removed

    def ends(self, mac: str) -> None:
        if mac in self.live:
            self.dead[mac].add(self.live.pop(mac))

    @rule(mac=macs, place=st.sampled_from(["Oslo/1", "Oslo/2"]))
    def add(self, mac: str, place: str) -> None:
        self.does(self.hands.adds(mac, place))

    @rule(mac=macs, void=st.booleans())
    def issue(self, mac: str, void: bool) -> None:
        if not self.listed(mac):
            return
        said = self.does(self.hands.issues(mac, void=void))
        assert (said == "reset required") == (mac in self.provisioned)
        if said == "reset required":
            return
        assert (said == "kept") == (mac in self.live and not void)
        if said != "kept":
            self.ends(mac)
            self.live[mac] = said

    @rule(mac=macs)
    def provision(self, mac: str) -> None:
        if mac in self.live:
            self.token[mac] = self.calls(mac, self.live[mac])
            assert self.token[mac], "a live code was refused"
            self.ends(mac)
            self.provisioned.add(mac)

    @rule(mac=macs)
    def present_every_dead_code(self, mac: str) -> None:
        for code in sorted(self.dead[mac]):
            assert not self.calls(mac, code), f"a dead code of {mac} worked"

    @rule(mac=macs)
    def present_the_others_code(self, mac: str) -> None:
        other = self.live.get(B if mac == A else A)
        if other and other != self.live.get(mac):
            assert not self.calls(mac, other), "the code of another device worked"

    @rule(mac=macs)
    def reset(self, mac: str) -> None:
        token = self.token.pop(mac, "") or self.spent.pop(mac, "")
        before = self.device(mac)
        worth = self.does(self.hands.resets(token))
        assert worth == bool(token)
        if not worth:
            return
        self.provisioned.discard(mac)
        after = self.device(mac)
        assert before is not None
        assert after is not None
        assert after.life == before.life + 1

    @rule(mac=macs)
    def remove(self, mac: str) -> None:
        if self.listed(mac):
            self.does(self.hands.removes(mac))
            self.loses(mac)

    def loses(self, mac: str) -> None:
        self.ends(mac)
        if mac in self.token:
            self.spent[mac] = self.token.pop(mac)

    @rule()
    def undo(self) -> None:
        before = {mac for mac in MACS if self.listed(mac)}
        self.does(self.hands.undoes())
        for mac in before:
            if not self.listed(mac):
                self.loses(mac)

    @rule()
    def revoke(self) -> None:
        self.does(self.hands.revokes())
        for mac in MACS:
            self.ends(mac)

    @rule(hours=st.sampled_from([1, 23, 24, 200]))
    def time_passes(self, hours: int) -> None:
        self.does(self.hands.passes(hours))
        now = self.hands.clock.now()
        for mac in list(self.live):
            device = self.device(mac)
            assert device is not None
            if not device.live_code(now):
                self.ends(mac)

    @rule()
    def sweep(self) -> None:
        self.does(self.hands.sweeps())

    @invariant()
    def the_store_and_the_promises_agree(self) -> None:
        now = self.hands.clock.now()
        for mac in MACS:
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
                assert self.hands.keys.unseal(mac, code) == self.live[mac]

    def teardown(self) -> None:
        self.loop.close()
