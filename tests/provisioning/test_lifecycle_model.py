"""A machine that adds, issues, provisions, resets, removes and adds again in any order, against the promises made."""

from contextlib import suppress

from hypothesis import settings

from provisioning.codes import Keyring
from provisioning.errors import CodeExpired, CodeRefused, ProvisioningError, ResetRequired, TokenRefused
from provisioning.ports import Store
from provisioning.service import Provisioning
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock
from tests.profiles import examples
from tests.provisioning.lives import Life
from tests.provisioning.world import KEYS, POLICY, SAM, World


class UseCases:
    """The hands of the machine at the use cases themselves."""

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def store(self) -> Store:
        return self.world.store

    @property
    def clock(self) -> FakeClock:
        return self.world.clock

    @property
    def keys(self) -> Keyring:
        return self.world.core.keys

    async def adds(self, mac: str, place: str) -> None:
        await self.world.add((mac, place))

    async def issues(self, mac: str, *, void: bool) -> str:
        try:
            done = await self.world.issue(mac, SAM, void=void)
        except ResetRequired:
            return "reset required"
        assert bool(done.kept) != bool(done.issued)
        return await self.world.digits(mac) if done.issued else "kept"

    async def calls(self, mac: str, code: str, source: str) -> str:
        try:
            return (await self.world.calls(mac, code, source)).token
        except (CodeRefused, CodeExpired):
            return ""

    async def resets(self, token: str) -> bool:
        try:
            await self.world.core.report_reset(token)
        except TokenRefused:
            return False
        return True

    async def removes(self, mac: str) -> None:
        await self.world.core.remove(await self.world.dana(), mac)

    async def undoes(self) -> None:
        with suppress(ProvisioningError):
            await self.world.core.undo(await self.world.dana())

    async def revokes(self) -> None:
        await self.world.core.revoke_of(await self.world.dana(), await self.world.person(SAM))

    async def sweeps(self) -> None:
        await self.world.core.sweep()

    async def passes(self, hours: int) -> None:
        self.world.later(hours=hours)


class DeviceLife(Life):
    async def begins(self) -> UseCases:
        clock, store = FakeClock(), MemoryStore()
        return UseCases(await World(store, clock, Provisioning(store, clock, KEYS, POLICY)).people())


TestDeviceLife = DeviceLife.TestCase
TestDeviceLife.settings = settings(max_examples=examples(40), stateful_step_count=30)
