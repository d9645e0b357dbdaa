"""Channels that follow a rollout: connected, counted, told of each milestone once."""

import asyncio
from typing import Any

import pytest

from provisioning.errors import Forbidden, NoAccess, NotConnected, NothingMatches
from provisioning.messages import MessageKind
from provisioning.ports import Store
from tests.provisioning.world import LEE, SAM, A, World, channel, member


@pytest.fixture
async def eight(world: World) -> World:
    """Eight devices in Oslo, all with a code in Sam's hands; one in Bergen; the channel follows Oslo."""
    await world.add(*((mac_of(n), f"Oslo/1/{n}") for n in range(8)), (A, "Bergen/1"))
    await world.issue("oslo", SAM)
    await world.core.connect(await world.dana(), channel(), "OSLO")
    await world.delivers()
    return world


def mac_of(n: int) -> str:
    return f"805EC01100{n:02X}"


class Asked:
    """A store that counts how often it is asked for records by key."""

    def __init__(self, store: Store) -> None:
        self._store, self.gets = store, 0

    def __getattr__(self, name: str) -> Any:
        self.gets += name in ("get", "get_many")
        return getattr(self._store, name)


async def milestones(world: World) -> list[str]:
    kinds = (MessageKind.ROLLOUT_STARTED, MessageKind.MILESTONE)
    sent = [m for m in await world.delivers() if m.kind in kinds]
    return [dict(message.params)["percent"] for message in sent]


async def test_a_channel_follows_a_site_as_it_is_written(eight: World) -> None:
    rollout = await eight.core.rollout_in("channel-oslo")
    assert (rollout.site, rollout.connected_by_name) == ("Oslo", "Dana Berg")
    again = await eight.core.connect(await eight.dana(), channel(), "oslo")
    assert again.version == rollout.version


async def test_a_channel_without_a_site_follows_all(eight: World) -> None:
    await eight.core.connect(await eight.dana(), channel(), "")
    assert (await eight.core.followed_in("channel-oslo")).progress.total == 9


async def test_an_unknown_site_is_said_so(eight: World) -> None:
    for call in (
        eight.core.connect(await eight.dana(), channel(), "paris"),
        eight.core.progress(await eight.dana(), "paris"),
    ):
        with pytest.raises(NothingMatches):
            await call


async def test_progress_counts_what_is_known_and_names_the_newest_thing(eight: World) -> None:
    await eight.provisions(mac_of(0))
    await eight.provisions(mac_of(1))
    await eight.core.confirm(await eight.sam(), mac_of(0))
    await eight.core.report(await eight.sam(), mac_of(5), "broken")
    progress = await eight.core.progress(await eight.sam(), "oslo")
    assert (progress.total, progress.provisioned, progress.installed, progress.problems) == (8, 2, 1, 1)
    assert progress.percent == 25
    assert progress.last is not None
    assert (progress.last.mac, progress.last_by, progress.last_fact) == (mac_of(5), "Sam Fox", "ProblemReported")


async def test_the_newest_thing_is_found_behind_others_with_a_few_questions(world: World) -> None:
    await world.people()
    lines = [(mac_of(n), f"Bergen/1/{n}" if n else "Oslo/1/0") for n in range(40)]
    await world.add(*lines)
    await world.issue("all", SAM, void=True)
    for mac, _ in lines:
        await world.provisions(mac)
    dana = await world.dana()
    world.core.store = asked = Asked(world.store)
    progress = await world.core.progress(dana, "oslo")
    assert progress.last is not None
    assert asked.gets < 10
    assert (progress.last.mac, progress.last_fact) == (mac_of(0), "DeviceProvisioned")


async def test_every_milestone_is_told_exactly_once(eight: World) -> None:
    told = []
    for n in range(8):
        await eight.provisions(mac_of(n))
        await asyncio.gather(*(eight.core.followed_in("channel-oslo") for _ in range(3)))
        told += await milestones(eight)
    assert told == ["0", "25", "50", "75", "100"]
    await eight.core.remove(await eight.dana(), mac_of(0))
    await eight.add((mac_of(20), "Oslo/1/20"))
    await eight.core.followed_in("channel-oslo")
    await eight.issue(mac_of(20), SAM)
    await eight.provisions(mac_of(20))
    await eight.core.followed_in("channel-oslo")
    assert await milestones(eight) == []


async def test_a_leap_over_milestones_tells_the_start_and_the_last(eight: World) -> None:
    for n in range(6):
        await eight.provisions(mac_of(n))
    await eight.core.followed_in("channel-oslo")
    assert await milestones(eight) == ["0", "75"]


async def test_what_lay_behind_when_a_channel_began_to_follow_is_not_announced(eight: World) -> None:
    for n in range(5):
        await eight.provisions(mac_of(n))
    await eight.core.connect(await eight.dana(), channel("late"), "oslo")
    await eight.core.followed_in("channel-late")
    assert [m for m in await eight.told() if m.recipient == "channel-late"] == []


async def test_a_site_without_devices_is_no_per_cent_done(eight: World) -> None:
    await eight.core.remove(await eight.dana(), A)
    assert (await eight.core.progress(await eight.dana(), "")).percent == 0


async def test_a_disconnected_channel_follows_nothing(eight: World) -> None:
    await eight.core.disconnect(await eight.dana(), channel())
    with pytest.raises(NotConnected):
        await eight.core.followed_in("channel-oslo")
    with pytest.raises(NotConnected):
        await eight.core.disconnect(await eight.dana(), channel())
    assert (await eight.facts("channel-oslo")) == ["ChannelConnected", "ChannelDisconnected"]


async def test_only_admins_connect_and_only_people_with_a_role_follow(eight: World) -> None:
    await eight.core.meet(member(LEE, "Lee Moe"), None)
    for call in (
        eight.core.connect(await eight.sam(), channel("x"), ""),
        eight.core.disconnect(await eight.sam(), channel()),
    ):
        with pytest.raises(Forbidden):
            await call
    with pytest.raises(NoAccess):
        await eight.core.progress(await eight.actor(LEE), "")


async def test_the_living_card_is_edited_at_most_every_half_minute(eight: World) -> None:
    card = await eight.shows("channel-oslo", "channel-oslo", view="rollout")
    eight.later(seconds=10)
    for n in range(4):
        await eight.provisions(mac_of(n))
    (edit,) = [m for m in await eight.told(MessageKind.EDIT) if m.subject == card.key]
    assert (edit.due_at - card.posted_at).total_seconds() == 30
    assert edit.lane != "channel-oslo"
