"""Conversations 4 and 7: the technician's day, next device first; the install confirmed, a problem told."""

from datetime import timedelta

import pytest

from tests.bot.chat import House, Someone

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35"
OSLO = f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Oslo/3/3.01"


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    """Sam has three devices in Oslo, each with a live code."""
    await dana.says(OSLO)
    await dana.says("issue oslo to Sam")


async def test_the_day_begins_with_the_next_device_and_its_code(house: House, sam: Someone, day: None) -> None:
    card = sam.card
    assert card.title == "Next: Oslo, floor 2, room 2.14"
    assert "MAC ends 22:33 (80-5E-C0-11-22-33)" in card.all
    assert card.code in house.keys.digits
    assert "valid until 07:30 tomorrow" in card.all
    assert "On the device: Settings, Provision device, type the code." in card.all
    assert card.buttons == ["Confirm install", "Problem", "List"]
    assert "1 of 3." in card.all and "list" in card.texts[-1]
    assert card.summary == "Next: Oslo, floor 2, room 2.14, 1 of 3"


async def test_the_list_holds_no_code_and_one_code_shows_at_a_time(house: House, sam: Someone, day: None) -> None:
    first = sam.card
    listed = await sam.presses("List", on=first)
    assert listed.title == "0 of 3 done"
    assert "2.14, ends 22:33, waiting" in listed.texts
    assert not any(digits in listed.all.replace(" ", "") for digits in house.keys.digits)

    next_card = await sam.says("next")
    other = await sam.says("2.16")
    assert next_card.code and other.code and next_card.code != other.code
    showing = [post for post in sam.posts if post.code]
    assert [post.code for post in showing] == [other.code]
    assert "The code is hidden while another one is shown." in house.posts[sam.conversation, next_card.id].all


async def test_the_card_itself_changes_when_the_device_calls_in(house: House, sam: Someone, day: None) -> None:
    code, card, before = sam.card.code, sam.card, len(sam.posts)
    house.clock.advance(timedelta(minutes=22))
    done = await house.device(A).provision(code)
    assert done.status == 200 and done.body["tenant"]["name"] == "Contoso"

    assert card.edits == 1 and card.title == "Provisioned 07:52" and not card.code
    assert "The screen should show Contoso." in card.texts
    assert card.buttons == ["Confirm install", "Problem", "List"]
    assert len(sam.posts) == before  # an edit, no further push


async def test_confirm_the_install_and_the_next_device_comes_by_itself(house: House, sam: Someone, day: None) -> None:
    card = sam.card
    await house.device(A).provision(card.code)
    await house.passes(minutes=28)
    form = await sam.presses("Confirm install")
    assert form.title == "Confirm install" and form.inputs["room"]["value"] == "2.14"
    assert form.inputs["note"]["maxLength"] == 200
    assert form.inputs["checked"]["title"] == "Mounted, cabled, screen on"

    saved = await sam.presses("Save", note="cable is short")
    assert saved.title == "Saved 07:58." and "cable is short" in saved.all
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16" and "2 of 3." in sam.card.all
    word = (await house.record(A)).installed
    assert word and (word.by_name, word.note, word.checked, word.mounting_only) == (
        "Sam",
        "cable is short",
        True,
        False,
    )


async def test_a_note_that_is_too_long_brings_the_form_back_filled_in(house: House, sam: Someone, day: None) -> None:
    await house.device(A).provision(sam.card.code)
    await sam.presses("Confirm install")
    again = await sam.presses("Save", note="x" * 201)
    assert "That is too long: 201 characters, at most 200." in again.texts
    assert again.inputs["note"]["value"].startswith("xxx")
    assert (await house.record(A)).installed is None
    assert (await sam.presses("Save", note="short")).title == "Saved 07:30."


async def test_back_from_the_form_to_the_card(house: House, sam: Someone, day: None) -> None:
    await house.device(A).provision(sam.card.code)
    await sam.presses("Confirm install")
    assert (await sam.presses("Back")).title == "Provisioned 07:30"


async def test_a_second_tap_on_an_old_card_says_what_was_saved(house: House, sam: Someone, day: None) -> None:
    await house.device(A).provision(sam.card.code)
    old = sam.card.copy()
    form = await sam.presses("Confirm install")
    await sam.presses("Save", on=form)
    await house.passes(minutes=3)
    assert (await sam.presses("Save", on=form)).title == "Already saved 07:30 by you."
    assert (await sam.presses("Confirm install", on=old)).title == "Already saved 07:30 by you."
    assert (await house.facts(A.replace("-", ""))).count("InstallConfirmed") == 1


async def test_mounting_only_where_the_device_has_not_called_in(house: House, sam: Someone, day: None) -> None:
    asked = await sam.presses("Confirm install")
    assert asked.title == "Not called in yet. Confirm the mounting only?"
    assert set(asked.buttons) == {"Mounting only", "Wait"}
    waiting = await sam.presses("Wait")
    assert waiting.code

    await sam.presses("Confirm install")
    form = await sam.presses("Mounting only")
    assert form.facts["Device"] == "has not called in"
    assert (await sam.presses("Save")).title == "Saved 07:30."
    word = (await house.record(A)).installed
    assert word and word.mounting_only
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"


async def test_a_problem_goes_to_the_admins_and_the_next_device_comes(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    form = await sam.presses("Problem")
    choices = [choice["title"] for choice in form.inputs["kind"]["choices"]]
    assert choices[:5] == ["No network", "No Provision item", "Code refused", "Broken", "Not here"]

    again = await sam.presses("Send", note="socket is dead")
    assert "Choose what is wrong." in again.texts and again.inputs["note"]["value"] == "socket is dead"
    sent = await sam.presses("Send", kind="network")
    assert sent.title == "Problem sent" and "No network: socket is dead" in sent.all

    assert dana.card.title == "Problem: Oslo, floor 2, room 2.14"
    assert "No network: socket is dead (Sam 07:30)" in dana.card.texts
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"
    assert "problem" in (await sam.says("list")).all
    shown = await dana.presses("Show it")
    assert shown.title == "2.14: waiting for activation, problem" and "No network" in shown.facts["Problem"]


async def test_the_day_ends_and_says_so(house: House, sam: Someone, day: None) -> None:
    for mac in (A, B, C):
        await house.device(mac).provision(sam.card.code)
        await sam.says(f"install {mac}")
    assert sam.card.title == "All done" and "All your 3 devices are installed." in sam.card.all


async def test_only_problems_left_says_so(house: House, sam: Someone, day: None) -> None:
    for place in ("2.14", "2.16", "3.01"):
        await sam.says(f"problem {place} box is empty")
    assert sam.card.title == "3 devices left, each with a problem"


async def test_everything_can_be_typed(house: House, sam: Someone, day: None) -> None:
    await house.device(A).provision(sam.card.code)
    assert (await sam.says("install 2.14 on the left wall")).title == "Saved 07:30."
    assert (await house.record(A)).installed.note == "on the left wall"  # type: ignore[union-attr]
    assert (await sam.says("problem 2.16 no power here")).title == "Problem sent"
    assert (await house.record(B)).problem.note == "no power here"  # type: ignore[union-attr]
    assert (await sam.says("problem 3.01")).title == "Problem with 3.01"
    assert (await sam.says("code 3.01")).code
    assert (await sam.says("/list")).title == "1 of 3 done"
    assert (await sam.says("my devices")).title == "1 of 3 done"


async def test_install_typed_before_the_device_called_in_asks(house: House, sam: Someone, day: None) -> None:
    assert (await sam.says("install 2.14")).title == "Not called in yet. Confirm the mounting only?"
    assert (await house.record(A)).installed is None


async def test_devices_of_others_are_not_there(house: House, dana: Someone, sam: Someone, day: None) -> None:
    kim = await house.technician("Kim")
    for words in ("code 2.14", f"code {A}", "install 2.14", "problem 2.14 x", "new code 2.14", "2.14"):
        answer = await kim.says(words)
        assert "I know no device" in answer.all and not answer.code, words


async def test_opening_the_card_gets_its_present_state(house: House, sam: Someone, day: None) -> None:
    stale = sam.card.copy()
    house.by_itself = False
    await house.device(A).provision(stale.code)
    opened = await sam.opens(stale)
    assert opened.title == "Provisioned 07:30" and not opened.code


async def test_swapped_devices_change_places_and_keep_their_codes(house: House, sam: Someone, day: None) -> None:
    code = sam.card.code
    assert (await sam.says("swap 2.14 2.16")).title == "Swapped"
    assert (await house.record(A)).place == "2.16"
    assert (await house.device(A).provision(code)).status == 200


async def test_a_second_life_after_a_factory_reset(house: House, dana: Someone, sam: Someone, day: None) -> None:
    device = house.device(A)
    await device.provision(sam.card.code)
    await sam.says("install 2.14")
    assert (await device.is_reset()).status == 204
    assert (await device.status()).code == "token_refused"
    await dana.says("issue 2.14 to Sam")
    again = await sam.says("code 2.14")
    done = await device.provision(again.code)
    assert done.status == 200 and done.body["device"]["life"] == 2


async def test_removed_and_added_again_keeps_state(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await house.device(A).provision(sam.card.code)
    await dana.says("remove 2.14")
    assert (await dana.presses("Remove")).title == "Oslo, floor 2, room 2.14 is off the list"
    back = await dana.says(f"add {A} Oslo/2/2.20")
    assert "it needs a factory reset before it can be provisioned" in back.all
    refused = await dana.says("issue 2.20")
    assert "cannot be provisioned again until it is reset" in refused.all


async def test_the_note_of_an_install_stays_through_mounting_only(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says("add 80-5E-C0-77-00-01 Rome/1/1.01")
    await dana.says("issue rome to Sam")
    await sam.says("install 1.01 behind the pillar")
    form = await sam.presses("Mounting only")
    assert form.inputs["note"]["value"] == "behind the pillar"
    saved = await sam.presses("Save", on=form, checked="false")
    assert "behind the pillar" in saved.all


async def test_another_room_than_the_list_says_is_kept_and_told(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    await house.device(A).provision(sam.card.code)
    form = await sam.presses("Confirm install")
    saved = await sam.presses("Save", on=form, room="room 2.20")
    assert saved.title == "Saved 07:30." and "It hangs in 2.20, as you see it. The admins are told." in saved.texts
    told = dana.titled("Installed in 2.20 instead of 2.14")
    assert "Sam 07:30: it hangs in 2.20." in told.texts
    assert (await dana.says("device 2.14")).facts["Installed"] == "Sam 07:30, in 2.20"

    moved = await dana.presses("Correct the list", on=told)
    assert moved.facts["Location"] == "Oslo, floor 2, room 2.20" and moved.facts["Installed"] == "Sam 07:30"
    assert (await house.record(A)).location == "Oslo/2/2.20"


async def test_the_room_of_another_own_device_asks_whether_they_are_swapped(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    await house.device(A).provision(sam.card.code)
    form = await sam.presses("Confirm install")
    again = await sam.presses("Save", on=form, room="2.16", note="left wall")
    said = "The list has another of your devices in 2.16 (ends 22:34). Are they swapped? Say: swap 2.14 2.16"
    assert said in again.texts and again.inputs["room"]["value"] == "2.16"
    assert again.inputs["note"]["value"] == "left wall" and not (await house.record(A)).installed
    assert (await sam.says("swap 2.14 2.16")).title == "Swapped"
    assert (await sam.presses("Save", on=again, room="2.16")).title == "Saved 07:30."
    assert "Installed in" not in " ".join(dana.titles)


@pytest.mark.parametrize("room", ["", "2.14", " Room 2.14 ", "oslo/2/2.14"])
async def test_the_same_room_in_other_words_is_the_same(
    house: House, dana: Someone, sam: Someone, day: None, room: str
) -> None:
    await house.device(A).provision(sam.card.code)
    await sam.presses("Confirm install")
    saved = await sam.presses("Save", room=room)
    assert "It hangs in" not in saved.all and "Installed in" not in " ".join(dana.titles)


@pytest.mark.parametrize("place", ["Oslo/2/Room 101", "Oslo/2/" + "x" * 180, "Oslo"])
async def test_an_unchanged_room_is_no_other_room(house: House, dana: Someone, sam: Someone, place: str) -> None:
    await dana.says(f"add {A} {place}")
    await dana.says("issue oslo to Sam")
    await house.device(A).provision(sam.card.code)
    await sam.presses("Confirm install")
    saved = await sam.presses("Save")
    assert saved.title == "Saved 07:30." and "It hangs in" not in saved.all
    assert "Installed in" not in " ".join(dana.titles)
