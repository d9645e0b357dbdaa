"""One intent, one effect: what happens when a press comes twice, or two people are at it at the same moment."""

import asyncio

import pytest

from provisioning.errors import AlreadyDone, CodeRefused, DeviceExists, SlowDown
from provisioning.service.devices import Wanted
from provisioning.service.lookup import Target
from tests.provisioning.world import DANA, KIM, SAM, A, B, World, chat_of, member


async def test_a_press_delivered_twice_takes_effect_once_and_says_so(world: World) -> None:
    await world.add((A, "Oslo/2/2.14"))
    twice = await world.actor(DANA, "press-1")
    await world.core.remove(twice, A)
    with pytest.raises(AlreadyDone):
        await world.core.remove(twice, A)
    assert (await world.facts(A)).count("DeviceRemoved") == 1


@pytest.mark.parametrize("step", ["add", "move", "undo", "swap"])
async def test_every_kind_of_press_says_already_done_the_second_time(world: World, step: str) -> None:
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    twice, core = await world.actor(DANA, "press-1"), world.core

    async def press() -> object:
        match step:
            case "add":
                return await core.add(twice, [Wanted("805EC0AABBCC", "Oslo/3")])
            case "move":
                return await core.move(twice, A, "Oslo/9")
            case "undo":
                return await core.undo(twice)
            case _:
                return await core.swap(twice, A, B)

    await press()
    before = await world.facts()
    with pytest.raises(AlreadyDone):
        await press()
    assert await world.facts() == before


async def test_the_same_press_delivered_at_the_same_moment_takes_effect_once(world: World) -> None:
    await world.add((A, "Oslo/2/2.14"))
    twice = await world.actor(DANA, "press-1")
    results = await asyncio.gather(world.core.remove(twice, A), world.core.remove(twice, A), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["AlreadyDone", "Device"]


async def test_who_is_slower_acts_on_what_the_faster_one_left(world: World) -> None:
    await world.add((A, "Oslo/2/2.14"))
    await asyncio.gather(
        world.core.move(await world.dana(), A, "Oslo/3"),
        world.core.assign(await world.dana(), Target(device=await world.device(A)), await world.person(SAM)),
    )
    device = await world.device(A)
    assert (device.location, device.technician) == ("Oslo/3", SAM)


async def test_two_people_adding_the_same_device_at_once_get_one_device_and_one_clear_sentence(world: World) -> None:
    adds = [world.core.add(await world.dana(), [Wanted(A, place)]) for place in ("Oslo/1", "Oslo/2")]
    slower, faster = sorted(await asyncio.gather(*adds), key=lambda added: len(added.new))
    assert [device.mac for device in faster.new] == [A]
    assert isinstance(slower.faults[0][1], DeviceExists)


async def test_the_first_two_messages_of_a_new_person_arrive_at_once(world: World) -> None:
    new = member("00000000-0000-4000-8000-0000000000b1", "Mia Holm")
    people = await asyncio.gather(*(world.core.meet(new, chat_of(new.id)) for _ in range(3)))
    assert {person.name for person in people} == {"Mia Holm"}


async def test_forty_wrong_codes_at_the_same_moment_are_forty_plain_refusals(world: World) -> None:
    await world.add((A, "Oslo/2/2.14"))
    await world.issue("oslo", SAM)
    calls = [world.calls(f"805EC0AA{n:04X}", "000000000000", source=f"10.{n}.0.1") for n in range(40)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {CodeRefused}


async def test_one_code_presented_ten_times_at_once_is_worth_one_token(world: World) -> None:
    await world.add((A, "Oslo/2/2.14"))
    await world.issue("oslo", KIM)
    code = await world.digits(A)
    results = await asyncio.gather(*(world.calls(A, code) for _ in range(10)), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert {type(result) for result in results if isinstance(result, BaseException)} <= {CodeRefused, SlowDown}
