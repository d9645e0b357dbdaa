"""How hundreds of live sign-ins are kept in view: each new one at once, all of them at little cost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from bot.sign_in_polls import TOGETHER, SignInPolls
from provisioning import remote
from provisioning.model import Device
from provisioning.ports import Page
from provisioning.service import Provisioning
from provisioning.signin import SignIn
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock, FakeProvider
from tests.provisioning.world import DANA, KEYS, POLICY, World

MANY = 20
MACS = [f"805EC0{number:06X}" for number in range(MANY + 1)]


class Counting(MemoryStore):
    """How many devices were read."""

    read = 0

    async def find(self, kind: Any, /, **question: Any) -> Page[Any]:
        page: Page[Any] = await super().find(kind, **question)
        self.read += len(page.rows) if kind is Device else 0
        return page


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
async def world(provider: FakeProvider) -> World:
    """Every device was provisioned; an account is known for each."""
    store, clock = Counting(), FakeClock()
    world = await World(store, clock, Provisioning(store, clock, KEYS, POLICY, provider)).people()
    await world.add(*((mac, f"Oslo/1/1.{number:02d}") for number, mac in enumerate(MACS)))
    await world.issue("oslo")
    for mac in MACS:
        await world.provisions(mac)
    return world


@asynccontextmanager
async def polling(provisioning: Provisioning) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(SignInPolls(provisioning).run())
    await _everybody_had_their_turn()
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def signs_in(world: World, mac: str) -> str:
    """The device code of a sign-in that is under way now."""
    await world.core.begin_sign_in(await world.dana(), mac, "room@contoso.com")
    provider = world.core.provider
    assert isinstance(provider, FakeProvider)
    return provider.grants[-1].device_code


async def passes(world: World, seconds: float, step: float = 0.25) -> None:
    for _ in range(round(seconds / step)):
        world.clock.advance(timedelta(seconds=step))
        await _everybody_had_their_turn()


async def _everybody_had_their_turn() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_new_one_is_polled_on_time_among_many(world: World, provider: FakeProvider) -> None:
    for mac in MACS[:MANY]:
        await signs_in(world, mac)
    async with polling(world.core):
        await passes(world, 3)
        new = await signs_in(world, MACS[MANY])
        await passes(world, 4.5)
        assert new not in provider.polled
        await passes(world, 0.5)
        assert new in provider.polled


async def test_begun_in_the_same_moment_as_the_last_one_seen(world: World, provider: FakeProvider) -> None:
    await signs_in(world, MACS[0])
    async with polling(world.core):
        new = await signs_in(world, MACS[1])
        await passes(world, 5)
        assert new in provider.polled


async def test_the_many_are_not_read_each_time(world: World) -> None:
    for mac in MACS[:MANY]:
        await signs_in(world, mac)
        world.later(milliseconds=10)
    async with polling(world.core):
        world.store.read = 0  # type: ignore[attr-defined]
        await passes(world, 10)
        assert world.store.read <= 10  # type: ignore[attr-defined]


async def test_one_without_a_code_is_gone_on_with_after_four_seconds(world: World, provider: FakeProvider) -> None:
    await signs_in(world, MACS[0])
    async with polling(world.core):
        await _left_behind(world, MACS[1])
        await passes(world, 5)
        assert len(provider.grants) == 2


async def _left_behind(world: World, mac: str) -> None:
    """As by an instance that crashed right after it was asked."""
    device, dana = await world.device(mac), await world.dana()
    flow = SignIn(id="f1", account="room@contoso.com", by=DANA, by_name=dana.name, asked_at=world.core.now())
    await world.store.save(remote.request_sign_in(device, flow, dana))


async def test_one_whose_code_ends_before_the_others_is_found_too(world: World, provider: FakeProvider) -> None:
    await signs_in(world, MACS[0])
    async with polling(world.core):
        provider.lifetime = timedelta(minutes=5)
        short = await signs_in(world, MACS[1])
        await passes(world, 5)
        assert short in provider.polled


async def test_those_that_are_taken_over_are_not_polled_all_at_once(world: World, provider: FakeProvider) -> None:
    for mac in MACS:
        await signs_in(world, mac)
    world.later(seconds=60)  # whoever polled them is gone
    async with polling(world.core):
        await passes(world, 4.9, step=0.1)
        assert not provider.polled
        await passes(world, 0.1, step=0.1)
        assert len(provider.polled) == TOGETHER
        await passes(world, 0.1, step=0.1)
        assert len(provider.polled) == TOGETHER
        await passes(world, 0.1, step=0.1)
        assert len(provider.polled) == 2 * TOGETHER
        await passes(world, 0.5, step=0.1)
        assert len(provider.polled) == len(set(provider.polled)) == MANY + 1
