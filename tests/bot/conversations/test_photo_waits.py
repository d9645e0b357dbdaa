"""On site, beside the straight way: what ends the wait for a photo, what comes beside one, what is typed instead."""

import asyncio
from datetime import timedelta

import pytest

from bot.handlers import photos
from tests.bot.chat import House, Post, Someone, file_attachment
from tests.bot.conversations.test_companion import brings
from tests.bot.conversations.test_photos import WALL, A, B, C, kept
from tests.connector import Fault

UNKNOWN = "80-5E-C0-44-77-10"


@pytest.fixture(autouse=True)
def a_machine_that_is_never_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "PATIENCE", 60.0)


def now(sam: Someone, post: Post) -> Post:
    """The card as it stands now."""
    return sam.house.posts[sam.conversation, post.id]


@pytest.fixture
async def oslo(house: House, dana: Someone, sam: Someone) -> None:
    """Sam has three devices; 2.14 called in."""
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Oslo/3/3.01")
    await dana.says("issue oslo to Sam")
    await house.device(A).provision(sam.card.code)


@pytest.fixture
async def saved(house: House, sam: Someone, oslo: None) -> Post:
    """Sam confirmed 2.14 and wants to send a photo."""
    await sam.presses("Confirm install")
    return await sam.presses("Save, add photo")


async def test_a_device_that_was_asked_for_ends_no_wait(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    await house.device(UNKNOWN).provision((await sam.says("2.16")).code)
    await sam.presses("Ask admin")
    await sam.says("install 2.14")
    await sam.says("photo 2.14")
    await dana.presses("Add and issue")
    await dana.presses("Add and issue", location="Oslo/2/2.18")
    assert sam.card.title == "Oslo, floor 2, room 2.18"
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.14."


async def test_a_problem_form_that_comes_back_ends_no_wait(house: House, sam: Someone, saved: Post) -> None:
    await sam.acts(saved, "problem_save", {"device": B.replace("-", ""), "kind": "", "note": ""})
    assert (await house.record(B)).problem is None
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.14."


async def test_an_old_skip_is_not_of_another_devices_photo(house: House, sam: Someone, saved: Post) -> None:
    old = saved.copy()
    await sam.says("install 2.16")
    await sam.presses("Mounting only")
    assert (await sam.presses("Save, add photo")).buttons == ["Skip"]
    refused = await sam.presses("Skip", on=old)
    assert refused.title == "Saved 07:30." and refused.buttons == []
    assert "I wait for no photo now. Type photo and the room, for example: photo 2.14" in refused.all
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.16."


async def test_a_kept_photo_takes_skip_off_the_card(house: House, sam: Someone, saved: Post) -> None:
    old = saved.copy()
    await sam.sends_picture(WALL)
    card = now(sam, saved)
    assert card.title == "Saved 07:30." and card.buttons == [] and "Send one photo now" not in card.all
    before = len(sam.posts)
    assert "I wait for no photo now." in (await sam.presses("Skip", on=old)).all
    assert len(sam.posts) == before


async def test_a_typed_skip_takes_the_button_off_as_well(house: House, sam: Someone, saved: Post) -> None:
    await sam.says("skip")
    assert now(sam, saved).title == "Saved 07:30." and now(sam, saved).buttons == []


async def test_the_card_of_a_device_that_was_taken_away(house: House, dana: Someone, sam: Someone, saved: Post) -> None:
    await house.technician("Kim")
    await dana.says("assign 2.14 to Kim")
    assert now(sam, saved).title == "This device is with somebody else now."


async def test_the_same_save_again_waits_for_no_second_photo(house: House, sam: Someone, oslo: None) -> None:
    form = (await sam.presses("Confirm install")).copy()
    await sam.presses("Save, add photo", on=form)
    await sam.sends_picture(WALL)
    again = await sam.presses("Save, add photo", on=form)
    assert again.title == "Already saved 07:30 by you." and again.buttons == []
    before = len(sam.posts)
    await house.passes(minutes=3)
    await house.passes(minutes=13)
    assert len(sam.posts) == before


# ---------------------------------------------------------------------- what comes beside the picture


async def test_words_are_done_and_the_picture_is_not_lost_in_silence(house: House, sam: Someone, oslo: None) -> None:
    said = await sam.sends_picture(WALL, text="install 2.14 cable replaced")
    assert said.title == "Saved 07:30." and "I did not look at the picture: please send it alone." in said.texts
    assert await kept(house) is None
    refused = await sam.sends_picture(WALL, text="install 9.99")
    assert "I did not look at the picture: please send it alone." in refused.all


async def test_a_sheet_is_read_also_where_a_picture_comes_with_it(house: House, dana: Someone) -> None:
    sheet = house.files.shares("oslo.csv", f"MAC id,Location\n{A},Oslo/2/2.14\n".encode())
    picture = {"contentType": "image/*", "contentUrl": house.files.shares("picture", WALL)}
    await dana.says("", attachments=[picture, file_attachment(sheet, "oslo.csv")])
    assert [post.title or post.text for post in dana.posts[-2:]] == [
        "I did not look at the picture: please send it alone.",
        "1 ready. Nothing is saved yet.",
    ]


async def test_more_pictures_than_are_looked_at(house: House, sam: Someone, saved: Post) -> None:
    first = await sam.sends_picture(WALL, WALL)
    assert first.title == "Photo kept with 2.14." and "I looked at the first picture only." in first.texts
    five = await sam.sends_picture(*[WALL] * 5)
    assert "I looked at the first 4 pictures only." in five.texts
    assert "pictures only" not in (await sam.sends_picture(*[WALL] * 4)).all


# ---------------------------------------------------------------------- when Teams does not take the answer


async def until_settled(house: House) -> None:
    """Time goes by until everything that waits for it is done."""
    settled = asyncio.create_task(house.settled())
    while not settled.done():
        await asyncio.wait({settled}, timeout=0.05)
        house.clock.advance(timedelta(seconds=1))
    await settled


@pytest.mark.parametrize("fault", [Fault(429), Fault(502), Fault(drop=True)])
async def test_the_result_is_shown_although_the_first_try_failed(
    house: House, sam: Someone, saved: Post, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(photos, "PATIENCE", 0.0)
    house.by_itself = False
    waiting = await sam.sends_picture(WALL)
    assert waiting.title == "Reading the picture…"
    house.connector.answers(fault)
    await until_settled(house)
    assert now(sam, waiting).title == "Photo kept with 2.14."


async def test_it_comes_as_a_message_where_the_card_cannot_be_changed(
    house: House, sam: Someone, saved: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "PATIENCE", 0.0)
    house.by_itself = False
    waiting = await sam.sends_picture(WALL)
    house.connector.answers(*[Fault(502)] * 4)
    await until_settled(house)
    assert now(sam, waiting).title == "Reading the picture…"
    assert "Photo kept with 2.14." in sam.titles
    assert any(line["event"] == "a card was not changed, a message goes instead" for line in house.logs)


async def test_the_photo_is_kept_where_not_even_the_card_was_sent(
    house: House, sam: Someone, saved: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "PATIENCE", 0.0)
    house.by_itself = False
    house.connector.answers(Fault(502))
    await sam.sends_picture(WALL)
    assert "Reading the picture…" not in sam.titles
    await until_settled(house)
    assert "Photo kept with 2.14." in sam.titles and await kept(house)


# ---------------------------------------------------------------------- many at once


async def test_install_all_ends_a_wait_and_brings_one_next_device(house: House, sam: Someone, oslo: None) -> None:
    await house.device(B).provision((await sam.says("2.16")).code)
    await sam.says("install 2.14")
    await sam.says("photo 2.14")
    before = len(sam.posts)
    await sam.says("install all")
    await house.passes(minutes=3)
    await house.passes(minutes=13)
    assert [post.title for post in sam.posts[before:]] == ["1 install confirmed", "Next: Oslo, floor 3, room 3.01"]
    assert sam.posts[before].buttons == ["List"]


@pytest.mark.parametrize("sign", ["漢", "😀", "*", "_x"])
async def test_long_places_fit_into_the_list(house: House, dana: Someone, sam: Someone, sign: str) -> None:
    macs = [f"80-5E-C0-11-22-{n:02X}" for n in range(0x30, 0x3A)]
    await dana.says("add " + "\n".join(f"{mac} Oslo/{sign * (190 // len(sign))}{mac[-2:]}" for mac in macs))
    await dana.says("issue oslo to Sam")
    listed = await sam.says("list")
    assert listed.title == "0 of 10 done" and "…, ends 22:30" in listed.all
    for mac in macs:
        code = (await sam.says(f"code {mac}")).code
        await house.device(mac).provision(code)
    assert (await sam.says("install all")).title == "10 installs confirmed"
    assert (await sam.says("list")).title == "10 of 10 done"


# ---------------------------------------------------------------------- typed as well as pressed


async def test_the_mounting_alone_can_be_typed(house: House, sam: Someone, oslo: None) -> None:
    asked = await sam.says("install 2.16")
    assert asked.buttons == ["Mounting only", "Wait"]
    assert "Or type: mounted 2.16 and a note, or 2.16 to wait" in asked.texts
    assert "Or type: mounted 2.16 and a note" in (await sam.presses("Mounting only")).texts
    assert (await sam.says("mounted 2.16 cable is short")).title == "Saved 07:30."
    word = (await house.record(B)).installed
    assert word and (word.mounting_only, word.note) == (True, "cable is short")
    assert (await sam.says("mounted 2.16")).title == "Already saved 07:30 by you."
    assert (await sam.says("mounted 2.14")).title == "Saved 07:30."  # it called in: more than the mounting is known
    word = (await house.record(A)).installed
    assert word and not word.mounting_only


async def test_the_photo_of_the_mounting_stays_when_the_screen_is_confirmed(
    house: House, dana: Someone, sam: Someone
) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("assign oslo to Sam")
    await brings(house, A, "482913")
    await sam.says("mounted 2.14")
    await sam.says("photo 2.14")
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.14."
    await sam.says("screen 2.14")
    device, photo = await house.record(A), await kept(house)
    assert device.installed and device.installed.screen and photo and device.installed.photo == photo.key


async def test_which_one_was_mounted_is_asked(house: House, sam: Someone, oslo: None) -> None:
    asked = await sam.says("mounted 80-5E-C0-11-22-75 left")
    assert asked.title == "Did you mean …22:35 (3.01)?"
    assert (await sam.presses("Yes")).title == "Saved 07:30."
    word = (await house.record(C)).installed
    assert word and (word.mounting_only, word.note) == (True, "left")
