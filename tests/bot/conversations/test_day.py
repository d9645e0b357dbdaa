"""Conversation 4: the day begins with a message, its progress is its own, and nobody is woken at night."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.hours import Hours
from tests.bot.chat import House, Someone, restarted

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35"


@pytest.fixture
async def evening(house: House, dana: Someone, sam: Someone) -> None:
    """Monday, half past five in the afternoon: Sam has three devices for tomorrow. Local mode knows no quiet hours."""
    house.provisioning.policy = replace(house.provisioning.policy, hours=Hours())
    await house.passes(hours=10)
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.9\n{C} Oslo/3/3.01")
    await dana.says("issue oslo to Sam")


async def test_the_morning_message_is_the_next_devices_card(house: House, sam: Someone, evening: None) -> None:
    before = len(sam.posts)
    await house.passes(hours=13, minutes=59)
    assert len(sam.posts) == before
    await house.passes(minutes=1)
    assert len(sam.posts) == before + 1
    assert sam.card.summary == "Oslo, 3 devices today, first on floor 2"
    assert sam.card.title == "Next: Oslo, floor 2, room 2.9" and sam.card.code
    assert sam.card.buttons == ["Confirm install", "Problem", "List"]
    assert "1 of 3." in sam.card.all
    await house.passes(minutes=1)
    async with restarted(house):
        await house.passes(minutes=1)
    assert len(sam.posts) == before + 1


async def test_progress_is_that_of_the_day(house: House, sam: Someone, evening: None) -> None:
    await sam.says("install 2.9")
    await sam.presses("Mounting only")
    await sam.presses("Save", checked="false")
    assert "2 of 3." in sam.card.all
    await house.passes(hours=14)
    assert sam.card.summary == "Oslo, 2 devices today, first on floor 2" and "1 of 2." in sam.card.all
    assert (await sam.says("list")).title == "0 of 2 done"


async def test_at_the_end_of_the_day_it_is_said_and_the_next_day_is_empty(
    house: House, sam: Someone, evening: None
) -> None:
    for mac in (A, B, C):
        await house.device(mac).provision((await sam.says(f"code {mac}")).code)
        await sam.says(f"install {mac}")
    assert sam.card.title == "All done" and "All your 3 devices are installed." in sam.card.all
    before = len(sam.posts)
    await house.passes(hours=14)
    assert len(sam.posts) == before  # nobody without open devices is written to
    assert (await sam.says("next")).title == "No devices today. I will write when there are."


async def test_a_single_device_and_sites_without_floors_are_said_as_they_are(
    house: House, dana: Someone, evening: None
) -> None:
    kim, lee = await house.technician("Kim"), await house.technician("Lee")
    await dana.says("add 80-5E-C0-11-33-01 Bergen/4/4.02\n80-5E-C0-11-33-02 Rome/Hall\n80-5E-C0-11-33-03 Turin/Hall")
    await dana.says("issue bergen to Kim")
    await dana.says("issue rome to Lee")
    await dana.says("issue turin to Lee")
    await house.passes(hours=14)
    assert kim.card.summary == "Bergen, 1 device today, on floor 4"
    assert lee.card.summary == "2 devices today, first Rome, Hall"


async def test_jobs_of_the_night_come_with_the_morning_and_whoever_writes_is_awake(
    house: House, dana: Someone, sam: Someone, evening: None
) -> None:
    await house.passes(hours=4)
    before = len(sam.posts)
    await dana.says("add 80-5E-C0-11-33-01 Oslo/1/1.01")
    await dana.says("issue 1.01 to Sam")
    assert len(sam.posts) == before
    assert (await sam.says("1.01")).code
    await sam.says("problem 1.01 box is empty")
    assert sam.card.title.startswith("Next: ")  # an answer, in the middle of the night
    before = len(sam.posts)
    await house.passes(hours=10)
    assert sam.card.summary == "Oslo, 4 devices today, first on floor 1" and len(sam.posts) == before + 1


async def test_a_day_of_problems_alone_is_said_as_it_is(house: House, sam: Someone, evening: None) -> None:
    for place in ("2.14", "2.9", "3.01"):
        await sam.says(f"problem {place} box is empty")
    await house.passes(hours=14)
    assert sam.card.title == "3 devices left, each with a problem"


async def test_a_morning_message_that_gets_through_a_day_late_is_not_said(
    house: House, sam: Someone, evening: None
) -> None:
    house.by_itself = False
    before = len(sam.posts)
    await house.passes(hours=14)
    house.clock.advance(timedelta(days=1))
    await house.settled()
    assert [post for post in sam.posts[before:] if "today" in post.summary] == []
