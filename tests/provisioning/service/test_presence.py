"""Whether devices still call: judged only while the service itself was there to be called."""

from dataclasses import replace

import pytest

from provisioning.messages import MessageKind
from provisioning.model import Change, Role
from provisioning.rollouts import Rollout
from provisioning.service import Provisioning
from provisioning.service.lookup import EVERYTHING, Target
from tests.provisioning.remote import asks, called_in
from tests.provisioning.world import DANA, KEYS, LEE, A, B, C, World, channel, chat_of, member


async def runs(world: World, minutes: int, *tokens: str) -> None:
    """The service sweeps every five minutes; these devices call as often."""
    for _ in range(minutes // 5):
        world.later(minutes=5)
        for token in tokens:
            await asks(world, token)
        await world.core.sweep()


async def test_after_half_an_hour_a_device_is_offline_and_with_its_next_call_online(world: World) -> None:
    token, others = await called_in(world, A), await called_in(world, B, "Oslo/2/2.16")
    await runs(world, 60, token, others)
    last = world.clock.now()
    await runs(world, 25, others)
    assert (await world.device(A)).offline_since is None
    await runs(world, 10, others)
    assert (await world.device(A)).offline_since == last
    assert (await world.device(B)).offline_since is None
    assert [d.mac for d in (await world.core.offline(await world.dana())).devices] == [A]
    revision = (await world.device(A)).version
    assert (await asks(world, token)).revision == revision + 1
    assert (await world.device(A)).offline_since is None
    assert (await world.facts(A))[-2:] == ["DeviceOffline", "DeviceOnline"]
    assert (await world.core.offline(await world.dana())).total == 0


async def test_while_the_service_was_away_nobody_could_call(world: World) -> None:
    token = await called_in(world, A)
    await runs(world, 60, token)
    world.later(hours=8)
    restarted = World(world.store, world.clock, Provisioning(world.store, world.clock, KEYS, world.core.policy))
    await restarted.core.sweep()
    await runs(restarted, 25)
    assert (await world.device(A)).offline_since is None
    await runs(restarted, 10)
    assert (await world.device(A)).offline_since is not None


async def test_a_sweep_that_stood_still_judges_nobody_at_once(world: World) -> None:
    token = await called_in(world, A)
    await runs(world, 60, token)
    world.later(hours=8)  # the machine slept
    await world.core.sweep()
    assert (await world.device(A)).offline_since is None
    await runs(world, 35)
    assert (await world.device(A)).offline_since is not None


async def test_all_at_once_are_told_once_to_each(world: World) -> None:
    await world.core.meet(member(LEE, "Lee Moe"), chat_of(LEE))
    await world.core.grant(await world.dana(), LEE, Role.ADMIN)
    followed = Rollout(
        channel=channel(), site="Oslo", connected_by=DANA, connected_by_name="Dana", started_at=world.clock.now()
    )
    await world.store.save(Change(puts=(followed,)))
    for mac, place in ((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"), (C, "Bergen/1/1.01")):
        await called_in(world, mac, place)
    await world.delivers()
    await runs(world, 70)
    told = await world.told(MessageKind.DEVICES_OFFLINE)
    assert sorted(m.recipient for m in told) == sorted([DANA, LEE, followed.key])
    assert (await world.core.silent_of(Target(site="Oslo"))).total == 2
    assert (await world.core.silent_of(EVERYTHING)).total == 3


async def test_what_is_not_expected_to_call_is_not_missed(world: World) -> None:
    await world.add((A, "Oslo/2/2.14"))
    await called_in(world, B, "Oslo/2/2.16")
    await world.core.remove(await world.dana(), B)
    await called_in(world, C, "Oslo/2/2.18")
    await world.core.order_reset(await world.dana(), C, C[-4:])
    await runs(world, 120)
    assert (await world.core.silent_of(EVERYTHING)).total == 0
    assert await world.told(MessageKind.DEVICES_OFFLINE) == []


async def test_after_long_it_is_flagged_told_once_and_never_dropped(world: World) -> None:
    token = await called_in(world, A)
    await runs(world, 70)
    await world.delivers()
    for _ in range(31):
        world.later(days=1)
        await world.core.sweep()
    device = await world.device(A)
    assert device.stale and not device.removed
    assert [m.recipient for m in await world.told(MessageKind.DEVICES_STALE)] == [DANA]
    assert (await world.core.offline(await world.dana(), stale=True)).total == 1
    assert (await world.facts(A)).count("DeviceStale") == 1
    await asks(world, token)
    device = await world.device(A)
    assert (device.stale, device.offline_since) == (False, None)
    assert (await world.core.offline(await world.dana(), stale=True)).total == 0


@pytest.mark.parametrize("never", ["offline_after", "stale_after"])
async def test_never(world: World, never: str) -> None:
    world.core.policy = replace(world.core.policy, **{never: None})
    await called_in(world, A)
    await runs(world, 70)
    assert ((await world.device(A)).offline_since is None) is (never == "offline_after")
    world.later(days=100)
    await world.core.sweep()
    assert not (await world.device(A)).stale
