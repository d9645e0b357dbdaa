"""Conversation 7's photo: sent after the install, kept as evidence, done without, missed, seen by the admin."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from PIL import Image

from bot.handlers import photos
from provisioning.model import Change
from provisioning.photos import LARGEST, Photo
from tests.bot.chat import House, Post, Someone, restarted
from tests.labels import encoded, jpeg_with_place, view_of_a_wall

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35"
KEY = A.replace("-", "")
WALL = encoded(view_of_a_wall())


@pytest.fixture(autouse=True)
def a_machine_that_is_never_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "PATIENCE", 60.0)


@pytest.fixture
async def saved(house: House, dana: Someone, sam: Someone) -> Post:
    """Sam confirmed 2.14 at 07:58 and wants to send a photo."""
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Oslo/3/3.01")
    await dana.says("issue oslo to Sam")
    await house.device(A).provision(sam.card.code)
    await house.passes(minutes=28)
    form = await sam.presses("Confirm install")
    assert form.buttons == ["Save", "Save, add photo", "Back"]
    return await sam.presses("Save, add photo")


async def kept(house: House, mac: str = KEY) -> Photo | None:
    rows = (await house.store.find(Photo, device=mac, limit=5)).rows
    return rows[0] if rows else None


async def test_the_photo_is_kept_and_the_next_device_comes_by_itself(house: House, sam: Someone, saved: Post) -> None:
    assert saved.title == "Saved 07:58." and "Send one photo now, or skip it." in saved.all
    assert saved.buttons == ["Skip"] and "Or type: skip" in saved.all
    assert sam.posts[-1].title != "Next: Oslo, floor 2, room 2.16"  # not before the photo

    answer = await sam.sends_picture(jpeg_with_place(1_600, 1_200))
    assert answer.title == "Photo kept with 2.14."
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"
    photo = await kept(house)
    assert photo and (photo.by_name, photo.life, photo.width, photo.height) == ("Sam", 1, 768, 1024)
    assert (await house.record(A)).installed.photo == photo.key  # type: ignore[union-attr]
    assert len(photo.content) <= LARGEST
    assert b"GPS-PROOF" not in photo.content and not Image.open(io.BytesIO(photo.content)).getexif()
    assert (await house.facts(KEY))[-2:] == ["InstallConfirmed", "PhotoKept"]


async def test_skip_goes_on(house: House, sam: Someone, saved: Post) -> None:
    skipped = await sam.presses("Skip")
    assert skipped.title == "Saved 07:58." and skipped.buttons == []
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"
    assert await kept(house) is None
    assert (await sam.says("skip")).text.startswith("I wait for no photo now.")


async def test_skip_can_be_typed(house: House, sam: Someone, saved: Post) -> None:
    assert (await sam.says("skip")).title == "No photo of 2.14, then."
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"


async def test_nothing_came(house: House, sam: Someone, saved: Post) -> None:
    before = len(sam.posts)
    await house.passes(minutes=2, seconds=59)
    assert len(sam.posts) == before
    await house.passes(seconds=1)
    assert sam.card.title == "No picture reached me" and sam.card.buttons == ["Skip"]
    assert "2.14: please use the camera, or skip the photo." in sam.card.all
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.14."
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"
    await house.passes(minutes=30)
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"


async def test_nor_afterwards_and_the_next_device_comes_all_the_same(house: House, sam: Someone, saved: Post) -> None:
    await house.passes(minutes=3)
    await house.passes(minutes=12)
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"
    assert [title for title in sam.titles if title == "No picture reached me"] == ["No picture reached me"]


async def test_whoever_moves_on_is_not_asked_again(house: House, sam: Someone, saved: Post) -> None:
    assert (await sam.says("next")).title == "Next: Oslo, floor 2, room 2.16"
    before = len(sam.posts)
    await house.passes(minutes=20)
    assert len(sam.posts) == before
    assert (await sam.sends_picture(WALL)).title == "I read no barcode in this picture"


async def test_a_problem_told_elsewhere_is_moving_on_too(house: House, sam: Someone, saved: Post) -> None:
    await sam.says("problem 2.16 no power")
    assert (await sam.sends_picture(WALL)).title == "I read no barcode in this picture"


async def test_words_that_come_with_a_picture_are_not_lost(house: House, sam: Someone, saved: Post) -> None:
    assert (await sam.sends_picture(WALL, text="problem 2.16 no power")).title == "Problem sent"
    assert (await house.record(B)).problem


async def test_a_second_wait_has_its_own_reminder(house: House, sam: Someone, saved: Post) -> None:
    await sam.says("skip")
    await house.passes(minutes=2)
    await sam.says("photo 2.14")
    await house.passes(minutes=1)
    assert "No picture reached me" not in sam.titles
    await house.passes(minutes=2)
    assert sam.card.title == "No picture reached me"


async def test_a_message_whose_picture_was_lost(house: House, sam: Someone, saved: Post) -> None:
    """Pictures of the gallery may not arrive; the message that should bring them does."""
    lost = await sam.says("", attachments=[{"contentType": "image/*"}])
    assert lost.title == "No picture reached me" and lost.buttons == ["Skip"]
    assert (await sam.presses("Skip", on=lost)).title == "Saved 07:58."
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"


@pytest.mark.parametrize("content", [b"", b"MAC id,Location\n", WALL[: len(WALL) // 2]], ids=["empty", "text", "half"])
async def test_a_picture_that_cannot_be_kept_can_be_sent_again(
    house: House, sam: Someone, saved: Post, content: bytes
) -> None:
    answer = await sam.sends_picture(content)
    assert answer.buttons == ["Skip"] and answer.title.endswith(".")
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.14."


async def test_the_same_picture_twice_changes_nothing(house: House, sam: Someone, saved: Post) -> None:
    await sam.sends_picture(WALL)
    before = await house.everything("Photo", "Device")
    posts = len(sam.posts)
    await sam.repeats()
    assert len(sam.posts) == posts
    assert (await sam.repeats(new_id=True)).text == "This was done already."  # type: ignore[union-attr]
    assert await house.everything("Photo", "Device") == before
    assert (await house.facts(KEY)).count("PhotoKept") == 1


async def test_a_slow_photo_is_kept_as_well(
    house: House, sam: Someone, saved: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "PATIENCE", 0.0)
    house.by_itself = False
    waiting = await sam.sends_picture(WALL)
    assert waiting.title == "Reading the picture…"
    await house.settled()
    assert house.posts[sam.conversation, waiting.id].title == "Photo kept with 2.14."
    assert sam.card.title == "Next: Oslo, floor 2, room 2.16"


async def test_reset_meanwhile(house: House, dana: Someone, sam: Someone, saved: Post) -> None:
    device = await house.record(A)
    assert device.installed
    await house.store.save(Change(puts=(replace(device, installed=None, life=2),)))
    answer = await sam.sends_picture(WALL)
    assert answer.title.startswith("The photo was not kept: 2.14 was reset") and answer.buttons == ["Next device"]
    assert await kept(house) is None
    assert "2.14" in (await sam.presses("Next device")).all


async def test_reassigned_meanwhile_the_photo_stays_with_its_install(
    house: House, dana: Someone, sam: Someone, saved: Post
) -> None:
    kim = await house.technician("Kim")
    await dana.says("assign 2.14 to Kim")
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.14."
    assert (await kim.says("photo 2.14")).title == "Send the photo of 2.14 now."


async def test_a_photo_can_be_added_later(house: House, sam: Someone, saved: Post) -> None:
    await sam.says("skip")
    asked = await sam.says("photo 2.14")
    assert asked.title == "Send the photo of 2.14 now." and asked.buttons == ["Skip"]
    await sam.sends_picture(WALL)
    first = await kept(house)
    assert (await sam.sends_picture(encoded(view_of_a_wall(400, 300)), text="photo 2.14")).title == (
        "Photo kept with 2.14."
    )
    second = await kept(house)
    assert first and second and (first.width, second.width) == (1024, 400)
    again = await sam.says("photo 2.14")
    assert again.buttons == ["Skip", "Show photo"]
    await sam.presses("Show photo")
    assert sam.last.picture == second.content


async def test_a_photo_belongs_to_an_install(house: House, sam: Someone, saved: Post) -> None:
    answer = await sam.says("photo 2.16")
    assert "Confirm the install of 2.16 first" in answer.all


async def test_with_the_mounting_alone_too(house: House, sam: Someone, saved: Post) -> None:
    await sam.says("next")
    await sam.says("install 2.16")
    await sam.presses("Mounting only")
    assert (await sam.presses("Save, add photo")).buttons == ["Skip"]
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.16."


async def test_an_install_that_was_saved_before_gets_its_photo_all_the_same(
    house: House, sam: Someone, dana: Someone
) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue oslo to Sam")
    await house.device(A).provision(sam.card.code)
    form = await sam.presses("Confirm install")
    await sam.presses("Save", on=form)
    again = await sam.presses("Save, add photo", on=form)
    assert again.title == "Already saved 07:30 by you." and again.buttons == ["Skip"]
    assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.14."


# ---------------------------------------------------------------------- seen by the admin


async def test_the_admin_sees_that_there_is_one_and_looks_at_it(
    house: House, dana: Someone, sam: Someone, saved: Post
) -> None:
    await sam.sends_picture(WALL)
    card = await dana.says("2.14")
    assert card.facts["Photo"] == "Sam 07:58" and "Photo" in card.buttons
    pressed = await dana.presses("Photo")
    assert pressed.toast == "The photo is below."
    photo = await kept(house)
    assert photo and dana.last.picture == photo.content
    assert dana.last.alt == dana.last.summary == "Oslo 2.14, Sam 07:58.jpg"
    assert (await house.facts(KEY))[-1] == "PhotoShown"
    await dana.says("photo 2.14")
    assert dana.last.picture == photo.content
    assert (await house.facts(KEY)).count("PhotoShown") == 2


async def test_there_is_none_to_see(house: House, dana: Someone, sam: Someone, saved: Post) -> None:
    assert "Photo" not in (await dana.says("2.14")).buttons
    assert (await dana.says("photo 2.14")).text == "No photo is kept with 2.14."
    assert "PhotoShown" not in await house.facts(KEY)


async def test_the_photo_of_another_is_not_there(house: House, dana: Someone, sam: Someone, saved: Post) -> None:
    await sam.sends_picture(WALL)
    kim = await house.technician("Kim")
    assert "I know no device" in (await kim.says("photo 2.14")).all
    refused = await kim.acts(saved, "photo_show", {"device": KEY})
    assert "I know no device" in refused.all and not any(post.picture for post in kim.posts)


async def test_asked_for_in_a_channel_it_comes_into_the_own_chat(
    house: House, dana: Someone, sam: Someone, saved: Post
) -> None:
    await sam.sends_picture(WALL)
    channel = house.channel()
    assert (await channel.says("photo 2.14", by=dana)).text == "I wrote to you in chat."
    assert dana.last.picture and not any(post.picture for post in channel.posts)


async def test_it_is_counted_in_the_export(house: House, dana: Someone, sam: Someone, saved: Post) -> None:
    await sam.sends_picture(WALL)
    await dana.says("export oslo as csv")
    await dana.presses("Devices")
    rows = (await dana.accepts_file()).decode("utf-8-sig").splitlines()
    assert rows[0].endswith("Installed,Confirmed by,Mounting only,Photo")
    assert rows[1].endswith(",Sam,,1") and rows[2].endswith(",,,")


async def test_a_restart_forgets_no_wait(house: House, sam: Someone, saved: Post) -> None:
    house.clock.advance(timedelta(minutes=1))
    async with restarted(house):
        assert (await sam.sends_picture(WALL)).title == "Photo kept with 2.14."
