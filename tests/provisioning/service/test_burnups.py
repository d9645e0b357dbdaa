"""How a rollout went, as the store has it: from its start, or from the first device that called in."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.burnup import LOOK_BACK, BurnUp
from provisioning.errors import NothingMatches
from provisioning.model import Change
from tests.provisioning.world import SAM, World, channel


def mac_of(site: int, n: int) -> str:
    return f"805EC01{site}{n:04X}"


@pytest.fixture
async def towns(world: World) -> World:
    """Six devices in Oslo and three in Bergen, all with a code in Sam's hands."""
    await world.add(
        *((mac_of(1, n), f"Oslo/1/{n}") for n in range(6)), *((mac_of(2, n), f"BERGEN/{n}") for n in range(3))
    )
    await world.issue("all", SAM)
    return world


async def asked(world: World, text: str = "") -> BurnUp:
    return await world.core.burn_up(await world.sam(), text)


def told(burn_up: BurnUp) -> list[tuple[str, int, int, int]]:
    return [(line.site, line.done, line.total, line.recent) for line in burn_up.lines]


async def test_nothing_called_in_is_no_line(towns: World) -> None:
    assert (await asked(towns)).lines == ()
    with pytest.raises(NothingMatches):
        await asked(towns, "paris")


async def test_sites_as_they_are_written_the_largest_first(towns: World) -> None:
    await towns.provisions(mac_of(1, 0))
    towns.later(hours=3)
    await towns.provisions(mac_of(2, 0))
    await towns.provisions(mac_of(1, 1))
    assert told(await asked(towns)) == [("Oslo", 2, 6, 1), ("BERGEN", 1, 3, 1)]
    assert told(await asked(towns, "bergen")) == [("BERGEN", 1, 3, 1)]


async def test_it_begins_with_the_first_device_that_called_in(towns: World) -> None:
    towns.later(hours=20, minutes=20)
    await towns.provisions(mac_of(1, 0))
    first = towns.clock.now()
    towns.later(hours=3)
    burn_up = await asked(towns)
    assert burn_up.since <= first <= burn_up.since + timedelta(minutes=30)
    assert [done for _at, done in burn_up.lines[0].points][:3] == [0, 0, 1]


async def test_a_rollout_begins_when_it_was_connected_with_what_called_in_before(towns: World) -> None:
    await towns.provisions(mac_of(1, 0))
    towns.later(hours=5)
    await towns.core.connect(await towns.dana(), channel(), "oslo")
    towns.later(hours=1)
    await towns.provisions(mac_of(1, 1))
    burn_up = await towns.core.burn_up_in("channel-oslo")
    assert burn_up == await asked(towns, "oslo")
    assert burn_up.until - burn_up.since <= timedelta(hours=1, minutes=15)
    assert (burn_up.lines[0].points[0][1], burn_up.done, burn_up.total) == (1, 2, 6)


async def test_a_finished_rollout_ends_there(towns: World) -> None:
    await towns.core.connect(await towns.dana(), channel(), "oslo")
    towns.later(minutes=10)
    await towns.provisions(mac_of(1, 0))
    rollout = await towns.core.rollout_in("channel-oslo")
    await towns.store.save(Change(puts=(replace(rollout, finished_at=towns.clock.now()),)))
    then = await towns.core.burn_up_in("channel-oslo")
    towns.later(days=9)
    assert await towns.core.burn_up_in("channel-oslo") == then


async def test_of_years_the_last_months_are_shown(towns: World) -> None:
    await towns.provisions(mac_of(1, 0))
    towns.later(days=400)
    burn_up = await asked(towns)
    assert (burn_up.lines[0].points[0][1], burn_up.done) == (1, 1)
    assert burn_up.until - burn_up.since <= LOOK_BACK + timedelta(days=1)


async def test_a_tag_has_a_line_for_each_site_where_something_called_in(towns: World) -> None:
    for mac in (mac_of(1, 0), mac_of(1, 1), mac_of(2, 0), mac_of(2, 1)):
        device = await towns.device(mac)
        await towns.store.save(Change(puts=(replace(device, tags=("Lobby",)),)))
    await towns.provisions(mac_of(1, 0))
    await towns.provisions(mac_of(1, 5))  # not among them
    burn_up = await asked(towns, "#lobby")
    assert burn_up.scope == "#Lobby"
    assert told(burn_up) == [("Oslo", 1, 2, 1), ("", 0, 2, 0)]


async def test_a_device_that_was_reset_counts_as_waiting_again(towns: World) -> None:
    await towns.provisions(mac_of(1, 0))
    await towns.provisions(mac_of(1, 1))
    await towns.core.order_reset(await towns.dana(), mac_of(1, 0), mac_of(1, 0)[-4:])
    assert told(await asked(towns, "oslo")) == [("Oslo", 1, 6, 1)]
