"""Tags: put and taken away in parts, each of them durable, and asked for wherever devices are counted."""

import pytest

from provisioning.errors import AlreadyDone, BadInput, Forbidden, NothingMatches
from provisioning.service.lookup import Target
from provisioning.service.tags import TooManyTags
from tests.provisioning.world import A, B, C, World


@pytest.fixture
async def three(world: World) -> World:
    await world.add((A, "Oslo/1/1.01"), (B, "Oslo/1/1.02"), (C, "Bergen/1"))
    return world


async def test_a_site_is_tagged_and_every_device_says_so(three: World) -> None:
    done = await three.core.tag_devices(await three.dana(), Target(site="Oslo"), "#Lobby")
    assert (done.changed, done.same, done.full) == (2, 0, 0)
    assert ((await three.device(A)).tags, (await three.device(C)).tags) == (("Lobby",), ())
    assert await three.facts(A) == ["DeviceAdded", "DeviceTagged"]


async def test_the_same_press_tags_once(three: World) -> None:
    actor = await three.actor((await three.dana()).id, "press-1")
    await three.core.tag_devices(actor, Target(), "Lobby")
    await three.core.untag_devices(await three.dana(), Target(), "lobby")
    with pytest.raises(AlreadyDone):
        await three.core.tag_devices(actor, Target(), "Lobby")
    assert (await three.device(A)).tags == ()


async def test_more_than_a_part_of_devices_are_tagged(world: World) -> None:
    for start in range(0, 600, 200):
        await world.add(*((f"805EC0{n:06X}", f"Oslo/1/{n}") for n in range(start, start + 200)))
    done = await world.core.tag_devices(await world.dana(), Target(site="Oslo"), "Lobby")
    assert done.changed == 600
    assert await world.core.how_many(await world.dana(), Target(tag="LOBBY")) == 600
    assert await world.core.tags(await world.dana()) == [("lobby", 600)]


async def test_untagging_a_tag_takes_it_from_all(three: World) -> None:
    await three.core.tag_devices(await three.dana(), Target(), "Lobby")
    done = await three.core.untag_devices(await three.dana(), Target(tag="Lobby"), "LOBBY")
    assert (done.changed, done.same, done.removed) == (3, 0, True)
    with pytest.raises(NothingMatches):
        await three.core.scope("#lobby")


async def test_how_many_of_a_site_have_a_tag(three: World) -> None:
    dana = await three.dana()
    await three.core.tag_devices(dana, await three.core.target(dana, A), "Lobby")
    assert await three.core.how_many(dana, Target(site="Oslo"), "lobby") == 1
    assert await three.core.how_many(dana, Target(site="Oslo")) == 2


async def test_what_cannot_be_a_tag_is_refused(three: World) -> None:
    for text in ("", "#", "a,b", "a;b", "x" * 41, "x" * 4000):
        with pytest.raises(BadInput) as refused:
            await three.core.tag_devices(await three.dana(), Target(), text)
        assert refused.value.code in ("invalid_tag", "too_long")
    assert (await three.device(A)).tags == ()


async def test_the_twenty_first_tag_is_refused(three: World) -> None:
    one = await three.core.target(await three.dana(), A)
    for n in range(20):
        await three.core.tag_devices(await three.dana(), one, f"t{n}")
    with pytest.raises(TooManyTags):
        await three.core.tag_devices(await three.dana(), one, "t20")
    assert (await three.core.tag_devices(await three.dana(), one, "T19")).same == 1


async def test_only_admins_tag_and_see_tags(three: World) -> None:
    sam, core = await three.sam(), three.core
    for call in (
        core.tag_devices(sam, Target(), "x"),
        core.untag_devices(sam, Target(), "x"),
        core.tags(sam),
        core.how_many(sam, Target()),
    ):
        with pytest.raises(Forbidden):
            await call


async def test_a_removed_device_has_no_say(three: World) -> None:
    await three.core.tag_devices(await three.dana(), Target(), "Lobby")
    await three.core.remove(await three.dana(), A)
    assert await three.core.how_many(await three.dana(), Target(tag="lobby")) == 2
    assert (await three.core.progress(await three.dana(), "#lobby")).total == 2
