"""Conversation 5: cards count down, ends are told once before they come, and one tap renews what is still open."""

from dataclasses import replace

import pytest

from provisioning.hours import Hours
from provisioning.model import Change
from tests.bot.chat import House, Someone, restarted

PLACES = ("2.09", "2.14", "2.16", "3.01", "3.02", "3.03", "3.04", "3.05")
MACS = {place: f"80-5E-C0-22-00-{number:02X}" for number, place in enumerate(PLACES, 1)}


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    """Eight devices in Sam's hands, whose codes end at half past seven tomorrow; no morning message comes between."""
    house.provisioning.policy = replace(house.provisioning.policy, hours=Hours(quiet=None, workdays=frozenset()))
    await dana.says("add " + "\n".join(f"{mac} Oslo/{place[0]}/{place}" for place, mac in MACS.items()))
    await dana.says("issue oslo to Sam")


def valid(text: str) -> str:
    """What a card says about how long its code lives."""
    return next((line for line in text.splitlines() if line.startswith(("valid until", "ends "))), "")


async def test_the_card_counts_down_without_a_push(house: House, sam: Someone, day: None) -> None:
    card, pushes = sam.card, []
    said = [valid(card.all)]
    await house.passes(hours=16, minutes=29)
    assert valid(card.all) == said[-1]  # a minute to midnight
    for minutes in (1, 6 * 60 + 29, *[1] * 60):
        await house.passes(minutes=minutes)
        pushes += [post for post in sam.posts if "codes end" in post.title and post not in pushes]
        if valid(card.all) != said[-1]:
            said.append(valid(card.all))
    assert said == [
        "valid until 07:30 tomorrow",
        "valid until 07:30",
        "ends 07:30, less than an hour left",
        "ends 07:30, less than 30 min left",
        "ends 07:30, less than 15 min left",
        "ends 07:30, less than 5 min left",
    ]
    assert card.edits == 5 and card.code and len(pushes) == 1
    await house.passes(minutes=1)
    assert card.title == "This code ended at 07:30." and card.buttons[0] == "Get new code"


async def test_technician_and_admin_are_told_once_and_the_tap_renews_the_open_ones(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    await house.passes(hours=23)
    told, heard = sam.card, len(sam.posts)
    assert told.title == told.summary == "8 codes end by 07:30"
    assert "2.09, 2.14, 2.16, 3.01, 3.02 and 3 more" in told.texts
    assert told.buttons == ["Renew the 8", "List"] and "Or type: renew" in told.texts
    assert dana.card.summary == "Oslo: 8 codes end by 07:30" and "Sam 8" in dana.card.texts
    assert dana.card.buttons == ["Extend by new codes"] and "Or type: extend Oslo" in dana.card.texts
    await house.passes(minutes=5)
    assert len(sam.posts) == heard

    await house.device(MACS["3.05"]).provision((await sam.says("3.05")).code)
    await sam.says("problem 3.04 box is empty")
    before = len(house.keys.digits)
    renewed = await sam.presses("Renew the 8", on=told)
    assert renewed.title == "6 new codes"
    assert len(house.keys.digits) == before + 6
    assert (await sam.says("2.14")).code in house.keys.digits[before:]
    again = await sam.says("renew")
    assert again.title == "No open code ends within the hour" and len(house.keys.digits) == before + 6
    await house.passes(hours=1)
    assert not any("ended" in post.title for post in sam.posts)


async def test_a_restart_tells_nobody_again(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await house.passes(hours=23)
    heard = len(sam.posts), len(dana.posts)
    async with restarted(house):
        await house.passes(minutes=5)
    assert (len(sam.posts), len(dana.posts)) == heard


async def test_an_admin_extends_with_one_tap(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await house.passes(hours=23)
    ends = sam.card
    extended = await dana.presses("Extend by new codes")
    assert extended.title == "8 new codes" and "Technicians get the new codes by themselves." in extended.texts
    assert (await dana.says("extend")).title == "No open code ends within the hour"
    assert (await dana.says("extend oslo")).title == "No open code ends within the hour"
    assert (await sam.presses("Renew the 8", on=ends)).title == "No open code ends within the hour"
    assert len(house.keys.digits) == 16


async def test_the_same_tap_twice_renews_once(house: House, sam: Someone, day: None) -> None:
    await house.passes(hours=23)
    await sam.presses("Renew the 8")
    await sam.repeats()
    await sam.repeats(new_id=True)
    assert len(house.keys.digits) == 16


async def test_devices_that_changed_hands_since_are_not_renewed_by_an_old_card(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    kim = await house.technician("Kim")
    await house.passes(hours=23)
    await dana.says("assign 2.14 to Kim")
    assert (await sam.presses("Renew the 8")).title == "7 new codes"
    assert (await kim.says("renew")).title == "1 new code"


async def test_a_card_from_yesterday_renews_what_is_still_open(house: House, sam: Someone, day: None) -> None:
    await house.passes(hours=23)
    old = sam.card.copy()
    await house.passes(hours=24)
    await sam.says("start 2.14")
    assert (await sam.presses("Renew the 8", on=old)).title == "7 new codes"
    assert (await sam.presses("Renew the 8", on=old)).title == "No open code ends within the hour"


async def test_whoever_is_admin_and_technician_reads_both_and_either_tap_does(house: House, dana: Someone) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, hours=Hours(quiet=None, workdays=frozenset()))
    await dana.says("grant Dana technician")
    await dana.says("add " + "\n".join(f"{mac} Oslo/{place[0]}/{place}" for place, mac in MACS.items()))
    await dana.says("issue oslo to Dana")
    await house.passes(hours=23)
    assert {"Renew the 8", "Extend by new codes"} <= {button for post in dana.posts for button in post.buttons}
    assert (await dana.presses("Extend by new codes")).title == "8 new codes"
    assert (await dana.presses("Renew the 8")).title == "No open code ends within the hour"


async def test_a_message_that_waited_too_long_is_not_sent(house: House, dana: Someone, sam: Someone, day: None) -> None:
    house.by_itself = False
    await house.passes(hours=23)
    for place, mac in MACS.items():
        await house.device(mac).provision((await sam.says(f"code {place}")).code)
    await house.settled()
    assert not any("codes end" in title for title in (*sam.titles, *dana.titles))


async def test_at_night_the_technician_sleeps_and_reads_in_the_morning_what_ended(
    house: House, dana: Someone, sam: Someone
) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, hours=Hours(workdays=frozenset()))
    await house.passes(hours=10)
    await dana.says(f"add {MACS['2.14']} Oslo/2/2.14\n{MACS['2.16']} Oslo/2/2.16")
    await dana.says("issue oslo to Sam for 6h")
    await sam.says("next")
    heard = len(sam.posts)
    for _hour in range(13):
        await house.passes(hours=1)
    assert len(sam.posts) == heard
    await house.passes(minutes=30)
    told = sam.card
    assert told.title == "2 codes ended" and "2.14 and 2.16" in told.texts
    assert (await sam.presses("Renew the 2")).title == "2 new codes"


async def test_the_limit_of_each_device_is_said(house: House, sam: Someone, day: None) -> None:
    await house.passes(hours=22)
    used_up = replace(await house.record(MACS["2.16"]), renewals=(house.clock.now(),) * 5)
    await house.store.save(Change(puts=(used_up,)))
    await house.passes(hours=1)
    assert sam.card.buttons == ["Renew the 7", "List"] and "1 needs an admin." in sam.card.texts
    renewed = await sam.presses("Renew the 7")
    assert renewed.title == "7 new codes"
    assert "1 had its new codes of the day already: ask an admin there with new code." in renewed.texts


async def test_renew_names_one_device_as_well(house: House, sam: Someone, day: None) -> None:
    assert (await sam.says("renew 2.16")).code == house.keys.digits[-1]


async def test_a_site_without_a_technician_is_the_admins_to_extend(house: House, dana: Someone) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, hours=Hours(quiet=None, workdays=frozenset()))
    await dana.says(f"add {MACS['2.14']} Oslo/2/2.14")
    await dana.says("issue 2.14")
    await house.passes(hours=23)
    assert dana.card.title == "1 code ends by 07:30" and "nobody 1" in dana.card.texts
    assert "1 cannot be renewed on site." in dana.card.texts
    assert (await dana.presses("Extend by new codes")).title == "1 new code"


async def test_many_are_extended_as_long_work(house: House, dana: Someone, sam: Someone) -> None:
    house.provisioning.policy = replace(house.provisioning.policy, hours=Hours(quiet=None, workdays=frozenset()))
    lines = [f"80-5E-C0-33-{n // 256:02X}-{n % 256:02X} Oslo/1/{n:04}" for n in range(320)]
    for start in range(0, len(lines), 80):
        await dana.says("add " + "\n".join(lines[start : start + 80]))
    await dana.says("issue oslo to Sam")
    if "All 320" in dana.card.buttons:
        await dana.presses("All 320")
    await house.settled()
    await house.passes(hours=23)
    assert "Oslo: 320 codes end by 07:30" in [post.summary for post in dana.posts]
    await dana.presses("Extend by new codes")
    await house.settled()
    assert "320 new codes" in dana.titles
    assert len(house.keys.digits) == 640


async def test_a_forged_moment_is_an_old_card(house: House, sam: Someone, day: None) -> None:
    await house.passes(hours=23)
    for forged in ("yesterday", "2026-03-02", "9" * 40):
        answer = await sam.acts(sam.card, "renew_ends", {"since": forged, "op": house.next_id()})
        assert "out of date" in answer.all or "new code" not in answer.title
    assert len(house.keys.digits) == 8
