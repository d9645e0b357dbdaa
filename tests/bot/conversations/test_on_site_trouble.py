"""What goes wrong in a technician's day: each ends in one sentence with the next step, and nothing is lost."""

import pytest

from tests.bot.chat import House, Someone

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35"


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Oslo/3/3.01")
    await dana.says("issue oslo to Sam")


async def test_install_for_somebody_elses_device(house: House, dana: Someone, sam: Someone, day: None) -> None:
    kim = await house.technician("Kim")
    answer = await kim.says("install 2.14")
    assert answer.all.startswith("I know no device") and (await house.record(A)).installed is None
    forged = await sam.presses("Confirm install")
    await kim.acts(forged, "install_save", {"device": A.replace("-", ""), "mounting_only": "true"})
    assert (await house.record(A)).installed is None


async def test_a_code_asked_for_in_a_channel(house: House, dana: Someone, sam: Someone, day: None) -> None:
    channel = house.channel()
    before = len(sam.posts)
    said = await channel.says("code 2.16", by=sam)
    assert said.text == "I wrote to you in chat." and not said.card
    assert len(sam.posts) == before + 1 and sam.card.code


async def test_a_card_from_yesterday(house: House, dana: Someone, sam: Someone, day: None) -> None:
    old = sam.card.copy()
    await house.passes(hours=26)
    form = await sam.presses("Confirm install", on=old)
    assert form.title == "Not called in yet. Confirm the mounting only?"
    assert (await sam.presses("List", on=old)).title == "0 of 3 done"
    assert house.posts[sam.conversation, old.id].code == ""


async def test_the_same_tap_twice(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await house.device(A).provision(sam.card.code)
    form = (await sam.presses("Confirm install")).copy()
    await sam.presses("Save", on=form, note="left wall")
    await sam.repeats()
    await sam.repeats(new_id=True)
    again = await sam.presses("Save", on=form, note="right wall")
    assert again.title == "Already saved 07:30 by you."
    assert (await house.facts(A.replace("-", ""))).count("InstallConfirmed") == 1
    assert (await house.record(A)).installed.note == "left wall"  # type: ignore[union-attr]


async def test_the_same_problem_sent_twice_is_one(house: House, dana: Someone, sam: Someone, day: None) -> None:
    form = (await sam.presses("Problem")).copy()
    await sam.presses("Send", on=form, kind="network")
    await sam.repeats()
    await sam.repeats(new_id=True)
    assert (await house.facts(A.replace("-", ""))).count("ProblemReported") == 1
    assert dana.titles.count("Problem: Oslo, floor 2, room 2.14") == 1


async def test_a_person_with_two_roles(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await dana.says("grant Sam admin")
    assert (await sam.says("next")).code  # their own devices as a technician's
    assert (await sam.says("devices oslo")).title == "3 devices: Oslo"  # and everything as an admin
    kim = await house.technician("Kim")
    await dana.says("assign 3.01 to Kim")
    shown = await sam.says("3.01")  # somebody else's: the admin's card
    assert shown.title == "3.01: waiting for activation"
    await house.device(A).provision((await sam.says("code 2.14")).code)
    assert (await sam.says("install 2.14")).title == "Saved 07:30."
    assert (await sam.says("problem 2.16 no power")).title == "Problem sent"
    assert kim.card.title == "Next: Oslo, floor 3, room 3.01"


async def test_a_device_reassigned_while_its_card_is_open(house: House, dana: Someone, sam: Someone, day: None) -> None:
    kim = await house.technician("Kim")
    card = sam.card
    old = card.copy()
    await dana.says("assign 2.14 to Kim")
    assert not card.code and "This device is with somebody else now." in card.all
    for button in ("Confirm install", "Problem"):
        late = await sam.presses(button, on=old)
        assert late.texts == ["This device is with somebody else now."] and late.buttons == ["Next device", "List"]
    assert (await sam.says("next")).title == "Next: Oslo, floor 2, room 2.16"
    assert kim.card.title == "Next: Oslo, floor 2, room 2.14" and kim.card.code
    assert (await house.record(A)).installed is None and (await house.record(A)).problem is None


async def test_a_form_that_is_open_while_the_device_goes_to_somebody_else(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    await house.device(A).provision(sam.card.code)
    form = (await sam.presses("Confirm install")).copy()
    await house.technician("Kim")
    await dana.says("assign 2.14 to Kim")
    late = await sam.presses("Save", on=form, note="left wall")
    assert "I know no device" in late.all or "with somebody else now" in late.all
    assert (await house.record(A)).installed is None


async def test_a_room_of_two_hundred_characters(house: House, dana: Someone, sam: Someone, day: None) -> None:
    await house.device(A).provision(sam.card.code)
    form = await sam.presses("Confirm install")
    again = await sam.presses("Save", on=form, room="x" * 201, note="left wall")
    assert "That is too long: 201 characters" in again.all and again.inputs["note"]["value"] == "left wall"
    assert (await house.record(A)).installed is None


async def test_a_sheet_that_names_another_technician_ends_the_wish_for_a_code(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    kim = await house.technician("Kim")
    for _again in range(6):
        await sam.says("new code 2.14")
    await dana.says("revoke 2.14")
    await sam.says("new code 2.14")
    assert (await house.record(A)).request
    await dana.sends_file("oslo.csv", f"MAC id,Location,Technician\n{A},Oslo/2/2.14,kim@contoso.com\n")
    await dana.says("upload add update")
    device = await house.record(A)
    assert (device.technician, device.request) == (kim.object_id, None)
