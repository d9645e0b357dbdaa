"""Codes that start on site, and the wish for one that admins are asked for one by one (conversations 4 and 5)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.model import Change, Role
from tests.bot.chat import House, Someone

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    """Two devices in Sam's hands, without codes."""
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    await dana.says("assign oslo to Sam")


@pytest.fixture
async def used_up(house: House, sam: Someone, day: None) -> None:
    """Sam made five codes for 2.14 by himself, and the last of them ended."""
    for _again in range(5):
        await sam.says("new code 2.14")
    await house.dana.says("revoke 2.14")


# ------------------------------------------------------------------ at the device


async def test_a_code_starts_when_the_technician_is_at_the_device(house: House, sam: Someone, day: None) -> None:
    card = sam.card
    assert card.title == "Next: Oslo, floor 2, room 2.14" and not card.code
    assert "Code starts when you are at the device." in card.texts
    assert card.buttons == ["I'm at the device", "Problem", "List"]
    assert "start 2.14" in card.texts[-1]
    await house.passes(hours=60)  # a weekend
    assert house.keys.digits == []

    started = await sam.presses("I'm at the device", on=card)
    assert started.code == house.keys.digits[-1] and "valid until" in started.all
    assert started.buttons == ["Confirm install", "Problem", "List"]
    assert (await house.facts(A.replace("-", "")))[-2:] == ["CodeIssued", "CodeShown"]
    assert (await house.device(A).provision(started.code)).status == 200


async def test_start_can_be_typed_and_shows_a_live_code_as_it_is(house: House, sam: Someone, day: None) -> None:
    first = await sam.says("start 2.16")
    again = await sam.says("start 2.16")
    assert first.code == again.code and len(house.keys.digits) == 1
    await house.device(B).provision(first.code)
    assert (await sam.says("start 2.16")).title.startswith("Provisioned")
    assert len(house.keys.digits) == 1


async def test_the_same_tap_twice_makes_one_code(house: House, sam: Someone, day: None) -> None:
    await sam.presses("I'm at the device")
    await sam.repeats()
    await sam.repeats(new_id=True)
    assert len(house.keys.digits) == 1
    assert len((await house.record(A)).renewals) == 1


async def test_after_the_end_of_a_code_it_is_a_new_one(house: House, sam: Someone, day: None) -> None:
    card, started = sam.card, await sam.presses("I'm at the device")
    await house.passes(hours=24)
    assert card.buttons == ["Get new code", "Problem", "List"] and "new code 2.14" in card.texts[-1]
    assert (await sam.says("start 2.14")).code != started.code


async def test_a_card_from_yesterday_of_a_device_that_is_with_somebody_else(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    old = sam.card.copy()
    kim = await house.technician("Kim")
    await dana.says("assign 2.14 to Kim")
    assert (
        "with somebody else now" in sam.posts[-1].all
        or "with somebody else now" in house.posts[sam.conversation, old.id].all
    )
    told = await sam.presses("I'm at the device", on=old)
    assert "I know no device" in told.all or "with somebody else" in told.all
    assert house.keys.digits == []
    assert (await kim.says("start 2.14")).code


async def test_a_code_in_a_channel_is_written_to_ones_own_chat(house: House, sam: Someone, day: None) -> None:
    said = await house.channel().says("start 2.14", by=sam)
    assert said.text == "I wrote to you in chat." and sam.card.code


async def test_devices_that_call_in_or_have_codes_come_first(house: House, sam: Someone, day: None) -> None:
    await sam.says("start 2.16")
    assert (await sam.says("next")).title == "Next: Oslo, floor 2, room 2.16"


# ------------------------------------------------------------------ beyond the limit


async def test_the_next_admin_is_asked_after_ten_minutes_and_the_card_says_so(
    house: House, dana: Someone, sam: Someone, used_up: None
) -> None:
    lee, channel = await house.admin("Lee"), house.channel()
    await channel.says("connect oslo", by=dana)
    heard = len(channel.posts)
    asked = await sam.says("start 2.14")
    card = house.posts[sam.conversation, asked.id]
    assert asked.title == "Asked Dana 07:30, you get it here."
    assert asked.buttons == ["Next device", "Problem", "List"]
    assert dana.card.title == "Sam needs a code, Oslo, floor 2, room 2.14"
    assert not any("needs a code" in title for title in lee.titles)

    await sam.says("start 2.14")  # asked again is asked once
    await house.passes(minutes=9, seconds=59)
    assert not any("needs a code" in title for title in lee.titles)
    await house.passes(seconds=1)
    assert lee.card.summary == "Sam needs a code, Oslo, floor 2, room 2.14"
    assert card.title == "Asked Lee 07:40, you get it here."
    assert sum("needs a code" in title for title in dana.titles) == 1

    pushes = len(sam.posts)
    await lee.presses("Issue")
    assert card.code == house.keys.digits[-1]  # by itself
    assert len(sam.posts) == pushes + 1 and sam.card.summary == "The code for Oslo, floor 2, room 2.14 is here"
    assert dana.titled("There is a code for Oslo, floor 2, room 2.14 now")
    await house.passes(hours=1)
    assert len(channel.posts) == heard


async def test_an_admin_refuses_and_the_technician_reads_what_to_do(
    house: House, dana: Someone, sam: Someone, used_up: None
) -> None:
    lee = await house.admin("Lee")
    card = house.posts[sam.conversation, (await sam.says("new code 2.14")).id]
    await house.passes(minutes=6)
    refused = await dana.presses("Refuse")
    assert refused.title == "Dana refused a new code for Oslo, floor 2, room 2.14 07:36"
    assert card.title == "Dana refused a new code 07:36"
    assert "If something is wrong here, report a problem. Or call Dana." in card.texts
    assert sam.card.summary == "Oslo, floor 2, room 2.14: Dana refused a new code 07:36"
    assert "CodeDenied" in await house.facts(A.replace("-", ""))
    await house.passes(hours=1)
    assert not any("needs a code" in title for title in lee.titles)
    assert "Nobody asks for a code there any more." in (await dana.says("refuse 2.14")).all
    assert (await sam.says("new code 2.14")).title.startswith("Asked Dana")  # who asks again is asked for again


async def test_a_day_later_a_wish_is_over_and_the_technician_helps_themselves(
    house: House, sam: Someone, used_up: None
) -> None:
    await sam.says("new code 2.14")
    await house.passes(hours=24)
    card = await sam.says("2.14")
    assert card.buttons[0] == "I'm at the device"
    assert (await sam.presses("I'm at the device")).code == house.keys.digits[-1]


async def test_refuse_can_be_typed(house: House, dana: Someone, sam: Someone, used_up: None) -> None:
    await sam.says("new code 2.14")
    assert (await dana.says("refuse 2.14")).title.startswith("Dana refused")
    assert "needs a code" not in dana.card.title


async def test_whoever_made_the_last_code_is_asked_first(house: House, dana: Someone, sam: Someone, day: None) -> None:
    lee = await house.admin("Lee")
    await lee.says("issue 2.14")
    for _again in range(5):
        await sam.says("new code 2.14")
    await lee.says("reissue 2.14")
    for _again in range(5):
        await sam.says("new code 2.14")
    # the last five were Sam's own, so whoever added the device comes first
    assert (await sam.says("new code 2.14")).title == "Asked Dana 07:30, you get it here."
    await lee.says("reissue 2.14")
    used_up = replace(await house.record(A), renewals=(house.clock.now(),) * 5)
    await house.store.save(Change(puts=(used_up,)))
    assert (await sam.says("new code 2.14")).title == "Asked Lee 07:30, you get it here."


async def test_a_device_that_changes_hands_takes_no_wish_along(
    house: House, dana: Someone, sam: Someone, used_up: None
) -> None:
    lee, kim = await house.admin("Lee"), await house.technician("Kim")
    await sam.says("new code 2.14")
    await dana.says("assign 2.14 to Kim")
    assert (await house.record(A)).request is None
    await house.passes(minutes=10)
    assert not any("needs a code" in title for title in lee.titles)
    assert not any(title.startswith("Asked") for title in kim.titles)


async def test_with_nobody_to_ask_the_card_says_so(house: House, dana: Someone, sam: Someone, used_up: None) -> None:
    await dana.uninstalls()
    asked = await sam.says("new code 2.14")
    assert asked.title == "No admin can be asked here"


async def test_whoever_is_an_admin_too_asks_nobody(house: House, dana: Someone, sam: Someone, used_up: None) -> None:
    await dana.says("grant Sam admin")
    made = await sam.says("new code 2.14")
    assert made.code == house.keys.digits[-1]
    assert (await house.record(A)).request is None


async def test_an_admin_who_is_a_technician_too_starts_on_site(house: House, dana: Someone, day: None) -> None:
    await dana.says("grant Dana technician")
    await dana.says("assign 2.16 to Dana")
    assert (await dana.says("start 2.16")).code
    assert Role.TECHNICIAN in (await house.provisioning.who(dana.object_id)).roles  # type: ignore[union-attr]


async def test_two_taps_at_once_ask_once(house: House, dana: Someone, sam: Someone, used_up: None) -> None:
    actor = house.provisioning.actor_of(await house.provisioning.who(sam.object_id))  # type: ignore[arg-type]
    await asyncio.gather(*(house.provisioning.renew(actor, A) for _tap in range(4)))
    house.clock.advance(timedelta(seconds=1))
    await house.settled()
    assert sum("needs a code" in title for title in dana.titles) == 1
