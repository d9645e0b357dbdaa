"""Restart, at once or at an hour, and diagnostics: through the queue that a device finds with its next call."""

import pytest

from provisioning.codes import generate
from tests.bot.chat import House, Someone
from tests.bot.conversations.remote import MAC, called_in, signed_in, standing
from tests.bot.conversations.test_sign_out import commands


async def test_a_device_restarts_at_an_hour_on_the_admins_clock(house: House, dana: Someone) -> None:
    dana.timezone = "Europe/Oslo"  # one hour ahead of UTC, in which it is 07:30
    device = await called_in(house)
    card = await standing(dana, "restart 2.14 at 03:00")
    assert card.title == "Asked 2.14 to restart. Not done yet."
    assert "It is to do so at 03:00 tomorrow." in card.texts
    assert await commands(device) == {}
    assert "restart at 03:00 tomorrow" in (await dana.says("device 2.14")).facts["Asked"]
    await house.passes(hours=18, minutes=30)
    given = await commands(device)
    assert list(given) == ["restart"]
    assert (await device.settles(given["restart"], detail="up again after 41 s")).status == 204
    assert card.title == "2.14 restarted 03:00"
    assert 'It says: "up again after 41 s"' in card.all


@pytest.mark.parametrize("time", ["25:00", "yesterday", "2026-03-02 07:00", "2026-03-10 03:00", "9"])
async def test_an_hour_that_is_none_is_said_so(house: House, dana: Someone, time: str) -> None:
    await called_in(house)
    said = (await dana.says(f"restart 2.14 at {time}")).text
    assert said == f'"{time}" is not a time within the next 7 days. Write 03:00, or 2026-12-01 03:00.'
    assert (await house.record(MAC)).commands == ()


async def test_a_whole_site_restarts_by_night_after_a_question(house: House, dana: Someone) -> None:
    device = await called_in(house)
    await called_in(house, "80-5E-C0-11-22-34", "Oslo/2/2.15")
    await dana.says("tag oslo lobby")
    asked = await dana.says("restart oslo at 2026-03-04 03:00")
    assert asked.title == "Restart 2 devices of Oslo at Wed 4 Mar 03:00?"
    done = await dana.presses("Restart", on=asked)
    assert done.title == "2 devices asked to restart: Oslo"
    assert "They are to do so at Wed 4 Mar 03:00." in done.texts
    assert await commands(device) == {}
    assert (await dana.says("restart #lobby")).title == "Restart 2 devices of #lobby now?"
    assert (await dana.presses("Restart")).title == "2 devices asked to restart: #lobby"
    assert list(await commands(device)) == ["restart"]


async def test_a_question_is_about_its_hour_and_not_about_the_next_day(house: House, dana: Someone) -> None:
    await called_in(house)
    await called_in(house, "80-5E-C0-11-22-34", "Oslo/2/2.15")
    asked = await dana.says("restart oslo at 07:35")
    await house.passes(minutes=6)
    assert "is not a time within the next 7 days" in (await dana.presses("Restart", on=asked)).toast
    assert (await house.record(MAC)).commands == ()


async def test_hundreds_are_asked_as_a_job(house: House, dana: Someone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.handlers.commanding.LONG", 1)
    for n in range(3):
        await called_in(house, f"80-5E-C0-11-22-4{n}", f"Oslo/2/2.2{n}")
    asked = await dana.says("restart oslo at 03:00")
    done = await dana.presses("Restart", on=asked)
    assert done.title == "3 devices asked to restart: Oslo"
    assert "They are to do so at 03:00 tomorrow." in done.texts


async def test_a_device_says_how_it_is(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    card = await standing(dana, "diagnose 2.14")
    assert card.title == "Asked 2.14 how it is. No answer yet."
    house.keys.digits.append(typed := generate(12))
    note = f"uptime 3 d, software 122.15.0.36, signal -61 dBm, code {typed}"
    await device.settles((await commands(device))["diagnostics"], detail=note)
    assert card.title == "2.14 says how it is"
    assert dana.last.title == card.title, "a note is worth a message"
    assert "signal -61 dBm" in card.all
    assert "code ••••" in card.all, "what looks like a code is masked"
    assert "uptime 3 d" in (await dana.says("device 2.14")).facts["History"]


async def test_a_new_hour_takes_the_place_of_the_one_that_was_set(house: House, dana: Someone) -> None:
    device = await called_in(house)
    card = await standing(dana, "restart 2.14 at 08:00")
    moved = await dana.says("restart 2.14 at 09:00")
    assert "It is to do so at 09:00." in moved.texts and "It is to do so at 09:00." in card.texts
    assert (await dana.says("restart 2.14 at 09:00")).texts[0].startswith("Asked already")
    await dana.says("restart 2.14")
    assert list(await commands(device)) == ["restart"], "at once is an hour too"
    assert (await dana.says("restart 2.14 at 09:00")).texts[0] == "Asked already just now, not done yet."
    assert len((await house.record(MAC)).waiting_commands) == 1


async def test_how_it_is_may_be_asked_of_a_site_and_at_an_hour(house: House, dana: Someone) -> None:
    device = await signed_in(house)
    await called_in(house, "80-5E-C0-11-22-34", "Oslo/2/2.15")
    assert "It is to do so at 08:00." in (await dana.says("diagnose 2.14 at 08:00")).texts
    assert "It is to do so at 08:00." in (await dana.says("sign out 2.14 at 08:00")).texts
    await house.passes(minutes=31)
    assert set(await commands(device)) == {"diagnostics", "sign_out"}
    asked = await dana.says("diagnose oslo at 09:00")
    assert asked.title == "Ask 2 devices of Oslo at 09:00 how they are?"
    assert asked.buttons == ["Ask them", "Cancel"]
    done = await dana.presses("Ask them", on=asked)
    assert done.title == "1 device asked how it is: Oslo", "the other one has it already"
    assert "Or type: take back Oslo" in done.texts


async def test_of_a_site_everything_is_taken_back_after_a_question(house: House, dana: Someone) -> None:
    device = await called_in(house)
    await called_in(house, "80-5E-C0-11-22-34", "Oslo/2/2.15")
    assert (await dana.says("take back oslo")).title == "No device of Oslo is asked for anything"
    card = await standing(dana, "restart 2.14")
    await dana.says("diagnose 2.15")
    asked = await dana.says("take back oslo")
    assert asked.title == "Take back what 2 devices of Oslo are asked for?"
    assert list(await commands(device)) == ["restart"]
    done = await dana.presses("Take back", on=asked)
    assert done.title == "Taken back of 2 devices: Oslo"
    assert await commands(device) == {} and card.title == "Taken back: 2.14 does not restart"
    await dana.says("restart 2.14")
    assert (await dana.says("take back all")).title == "Taken back of 1 device: all sites"


async def test_where_nothing_can_be_asked_it_says_what_can_be_done(house: House, dana: Someone) -> None:
    await dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14")
    none = await dana.says("restart oslo")
    assert none.title == "No device of Oslo has called in yet" and none.texts[-1] == "Or type: issue Oslo"
    none = await dana.says("sign out all")
    assert none.title == "No device of all sites is signed in" and none.texts[-1] == "Or type: sign in all"


async def test_the_same_word_twice_changes_nothing(house: House, dana: Someone) -> None:
    device = await called_in(house)
    card = await standing(dana, "restart 2.14")
    command = (await commands(device))["restart"]
    assert (await device.settles(command)).status == 204
    edits = card.edits
    assert (await device.settles(command, "failed")).status == 204
    assert card.title.startswith("2.14 restarted") and card.edits == edits
    assert (await device.settles("c0ffee")).code == "command_not_found"


async def test_a_scheduled_one_is_not_settled_before_its_hour(house: House, dana: Someone) -> None:
    device = await called_in(house)
    await dana.says("restart 2.14 at 08:00")
    (command,) = (await house.record(MAC)).commands
    assert (await device.settles(command.id)).status == 404
