"""Limits on wrong codes outlive the process, in both stores; instances share them, and what admins decided."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.bookkeeping import Attempts
from provisioning.errors import CodeRefused, SlowDown
from provisioning.model import Change
from provisioning.service import Provisioning
from provisioning.service.activation import ProvisionCall
from provisioning.throttle import EXEMPT_SLOT, FLEET, FLEET_SLOT, NETWORK
from storage import open_store
from tests.fakes import FakeClock
from tests.provisioning.world import KEYS, POLICY, A, B, C, World
from tests.storage import postgres
from tests.storage.cluster import server

MAC = "805EC0FF{:04X}"


@pytest.fixture(params=["files", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"tinydb:{tmp_path}/store" if request.param == "files" else postgres.emptied()


@asynccontextmanager
async def instance(url: str, clock: FakeClock) -> AsyncIterator[World]:
    """A process that has just started: nothing of a former one is left but the store."""
    store = await open_store(url, clock=clock)
    try:
        yield World(store, clock, Provisioning(store, clock, KEYS, POLICY))
    finally:
        await store.close()


async def met(world: World, source: str, mac: str = A) -> str:
    """The limit that a wrong code from there met; empty where it was heard and refused."""
    try:
        await world.core.provision(ProvisionCall(mac, "000000000000", source))
    except SlowDown as refusal:
        return refusal.limit
    except CodeRefused:
        return ""
    raise AssertionError("a wrong code was accepted")


async def nearly(world: World, slot: str) -> None:
    known = await world.store.get(Attempts, slot) or Attempts(slot=slot)
    spent = replace(known, failures=FLEET.free - 1, since=world.clock.now(), blocked_until=None)
    await world.store.save(Change(puts=(spent,)))


async def test_each_limit_and_each_word_is_kept_over_restarts(url: str) -> None:
    clock = FakeClock()
    async with instance(url, clock) as world:
        await world.people()
        for _ in range(6):
            assert await met(world, "10.1.1.1") == ""
        for n in range(NETWORK.free):
            assert await met(world, "10.2.2.2", MAC.format(n)) == ""
        await nearly(world, FLEET_SLOT)
        await nearly(world, EXEMPT_SLOT)
        await world.core.allow_network(await world.dana(), "10.5.5.0/24")
        await world.core.deny_network(await world.dana(), "10.6.6.0/24")
        assert await met(world, "10.3.3.3", B) == ""
    async with instance(url, clock) as world:
        assert await met(world, "10.1.1.9", A) == "fleet"  # the longest of its stops is named
        assert await met(world, "10.4.4.4", C) == "fleet"
        assert await met(world, "10.6.6.6", C) == "fleet"
        assert await met(world, "10.5.5.5", C) == ""
        assert await met(world, "10.5.5.5", B) == "exempt"
        siege = await world.core.siege(await world.dana())
        assert siege.attack.on and siege.attack.spent == 2
        assert [(v.network, v.allowed) for v in siege.attack.verdicts] == [
            ("10.5.5.0/24", True),
            ("10.6.6.0/24", False),
        ]
    clock.advance(FLEET.window)
    async with instance(url, clock) as world:
        assert await met(world, "10.4.4.4", C) == ""


async def test_a_pause_of_a_device_and_a_stop_of_a_network_outlive_the_process(url: str) -> None:
    clock = FakeClock()
    async with instance(url, clock) as world:
        for _ in range(6):
            assert await met(world, "10.1.1.1") == ""
        for n in range(NETWORK.free):
            assert await met(world, "10.2.2.2", MAC.format(n)) == ""
    async with instance(url, clock) as world:
        assert await met(world, "10.1.1.9") == "pair"
        assert await met(world, "10.2.2.200", MAC.format(999)) == "network"


async def test_they_outlive_the_database_server_too() -> None:
    clock = FakeClock()
    with server() as database:
        async with instance(database.url, clock) as world:
            await nearly(world, FLEET_SLOT)
            assert await met(world, "10.1.1.1") == ""
        await asyncio.to_thread(database.stop, "immediate")
        await asyncio.to_thread(database.start)
        async with instance(database.url, clock) as world:
            assert await met(world, "10.4.4.4", C) == "fleet"


async def test_instances_on_one_database_share_every_limit_and_every_word() -> None:
    clock, url = FakeClock(), postgres.emptied()
    async with instance(url, clock) as here, instance(url, clock) as there:
        await here.people()
        both = (here, there)
        for n in range(NETWORK.free):
            assert await met(both[n % 2], "10.2.2.2", MAC.format(n)) == ""
        assert [await met(each, "10.2.2.3", MAC.format(999)) for each in both] == ["network"] * 2
        await nearly(here, FLEET_SLOT)
        assert await met(there, "10.3.3.3", B) == ""
        assert [await met(each, "10.4.4.4", C) for each in both] == ["fleet"] * 2
        await here.core.allow_network(await here.dana(), "10.4.4.4")
        assert [await met(each, "10.4.4.4", C) for each in both] == [""] * 2
        await there.core.deny_network(await here.dana(), "10.4.4.4")
        assert [await met(each, "10.4.4.4", C) for each in both] == ["fleet"] * 2
        assert (await here.facts("attack")) == ["AttackBegan", "NetworkAllowed", "NetworkDenied"]
