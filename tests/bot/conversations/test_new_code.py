"""Conversation 5: the code ended on site, and a new one is one tap away."""

from datetime import timedelta

import pytest

from tests.bot.chat import House, Someone
from tests.provisioning.world import wrong

A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")
    await dana.says("issue oslo to Sam")


async def test_an_ended_code_says_so_on_the_card_and_to_the_device(house: House, sam: Someone, day: None) -> None:
    card, code = sam.card, sam.card.code
    await house.passes(hours=25)
    assert card.title == "This code ended at 07:30."
    assert card.buttons[0] == "Get new code" and not card.code

    late = await house.device(A).provision(code)
    assert (late.status, late.code) == (410, "code_expired")
    assert (await house.device(A).provision(wrong(code))).code == "code_refused"

    fresh = await sam.presses("Get new code", on=card)
    assert fresh.code and fresh.code != code
    assert (await house.device(A).provision(code)).code == "code_refused"
    assert (await house.device(A).provision(fresh.code)).status == 200
    assert card.title.startswith("Provisioned")


async def test_five_new_codes_a_day_then_an_admin_is_asked_and_issues_a_new_one(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    for _again in range(5):
        renewed = await sam.says("new code 2.14")
        assert renewed.code and renewed.code == house.keys.digits[-1]
    asked = await sam.says("new code 2.14")
    assert asked.title == "Asked Dana 07:30, you get it here." and asked.code == house.keys.digits[-1]
    await sam.says("new code 2.14")
    wanted = [post for post in dana.posts if post.title == "Sam needs a code, Oslo, floor 2, room 2.14"]
    assert wanted and len(house.keys.digits) == 2 + 5
    live = sam.card.code
    await dana.presses("Issue", on=wanted[0])
    assert sam.card.code == house.keys.digits[-1] != live
    assert (await house.device(A).provision(live)).code == "code_refused"
    assert (await house.device(A).provision(sam.card.code)).status == 200


async def test_the_sixth_time_after_its_end_the_admin_issues_and_sam_gets_it(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    for _again in range(5):
        await sam.says("new code 2.14")
    await dana.says("revoke 2.14")
    asked = await sam.says("new code 2.14")
    assert asked.title == "Asked Dana 07:30, you get it here."
    assert dana.card.title == "Sam needs a code, Oslo, floor 2, room 2.14"
    assert dana.card.buttons == ["Issue", "Refuse"]
    await dana.presses("Issue")
    assert sam.card.code == house.keys.digits[-1]


async def test_a_day_later_a_technician_may_renew_again(house: House, sam: Someone, day: None) -> None:
    for _again in range(5):
        await sam.says("new code 2.14")
    await house.passes(hours=24, seconds=1)
    assert (await sam.says("new code 2.14")).code


async def test_no_new_code_for_what_was_provisioned(house: House, sam: Someone, day: None) -> None:
    await house.device(A).provision(sam.card.code)
    assert "was provisioned already" in (await sam.says("new code 2.14")).all


async def test_a_code_dies_under_wrong_tries_and_the_admin_is_told(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    code, device = sam.card.code, house.device(A)
    for _try in range(400):
        if not (await house.record(A)).code:
            break
        house.clock.advance(timedelta(seconds=301))
        await device.provision(wrong(code))
    else:
        pytest.fail("the code is alive after 400 wrong tries")
    assert dana.card.title == "Too many wrong codes for Oslo, floor 2, room 2.14"
    assert not any(post.code == code for post in sam.posts)
    assert (await dana.presses("New code")).title == "1 code issued to Sam"
