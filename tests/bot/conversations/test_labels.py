"""A photo of a label, sent in the chat: that device's card, or what was read and what to do next."""

import pytest

from bot.handlers import photos
from tests.bot.chat import House, Someone
from tests.bot.test_viewing import HEIC, png_of
from tests.labels import encoded, mac_of, photo, scanned, view_of_a_wall

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-44-55-66"
UNKNOWN = "80-5E-C0-44-77-10"


@pytest.fixture(autouse=True)
def a_machine_that_is_never_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "PATIENCE", 60.0)


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    """Sam has 2.14 and 2.16; 3.01 is nobody's yet."""
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Bergen/3/3.01")
    await dana.says("issue oslo to Sam")


async def test_a_photo_of_a_label_answers_with_that_devices_card(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    card = await sam.sends_picture(scanned("805EC0112234", kind="Code128"))
    assert card.title == "Oslo, floor 2, room 2.16" and card.code in house.keys.digits
    assert card.buttons == ["Confirm install", "Problem", "List"]
    assert "CodeShown" in await house.facts("805EC0112234")

    shown = await dana.sends_picture(scanned("MAC: 80:5E:C0:11:22:34"))
    assert shown.title == "2.16: waiting for activation" and "Show code" in shown.buttons


async def test_our_own_sheet_and_a_picture_that_was_attached_as_a_file_are_read_as_well(
    house: House, sam: Someone, day: None
) -> None:
    link = f"https://teams.microsoft.com/l/chat/0/0?users=28:1&message=install%20{A}"
    assert (await sam.sends_picture(scanned(link))).title == "Oslo, floor 2, room 2.14"
    assert (await sam.sends_picture(scanned(f"install {B}"), name="label.PNG")).title == "Oslo, floor 2, room 2.16"
    first, second = scanned("SN 3105C0"), scanned(B)
    assert (await sam.sends_picture(first, second)).title == "Oslo, floor 2, room 2.16"


async def test_a_carton_at_an_angle(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {mac_of(5)} Oslo/2/2.14")
    assert (await dana.sends_picture(photo("Code 128", 5))).title == "2.14: waiting for activation"


async def test_five_barcodes_of_which_two_are_ours(house: House, dana: Someone, sam: Someone, day: None) -> None:
    carton = scanned("SN3105C01", "805EC0112233", "80-5E-C0-44-77-10", "805EC0112234", "PN 1301213")
    asked = await sam.sends_picture(carton)
    assert asked.title == "2 of 5 barcodes are devices here. Which one?"
    assert asked.buttons == ["2.14, ends 22:33", "2.16, ends 22:34"]
    assert (await sam.presses("2.16, ends 22:34")).title == "Oslo, floor 2, room 2.16"
    assert (await dana.sends_picture(carton)).buttons == ["2.14, ends 22:33", "2.16, ends 22:34"]


async def test_what_is_anothers_and_what_is_nobodys_are_answered_alike(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    unknown = await sam.sends_picture(scanned(UNKNOWN))
    assert unknown.title == f"{UNKNOWN} is not on your list"
    assert f"add {UNKNOWN}" in unknown.all and "An admin can add it" in unknown.all
    anothers = await sam.sends_picture(scanned(C))
    assert anothers.all == unknown.all.replace(UNKNOWN, C)


async def test_an_admin_adds_what_is_not_listed_from_its_label(house: House, dana: Someone) -> None:
    card = await dana.sends_picture(scanned(UNKNOWN))
    assert card.title == f"{UNKNOWN} is not on the list" and card.buttons == ["Add"]
    form = await dana.presses("Add")
    assert form.inputs["mac"]["value"] == UNKNOWN
    assert (await dana.presses("Add", on=form, location="Oslo/2/2.20")).title == "1 device saved"


async def test_a_mac_one_digit_off_is_asked_about(house: House, dana: Someone, sam: Someone, day: None) -> None:
    asked = await sam.sends_picture(scanned("80-5E-C0-11-22-73"))
    typed = await sam.says("80-5E-C0-11-22-73")
    assert (asked.title, asked.buttons, asked.texts) == (typed.title, typed.buttons, typed.texts)
    assert asked.title == "Did you mean …22:33 (2.14)?"
    assert (await sam.presses("Yes", on=asked)).title == "Oslo, floor 2, room 2.14"


async def test_a_number_is_a_mac_where_the_list_says_so(house: House, dana: Someone) -> None:
    assert (await dana.sends_picture(scanned("001565112233", kind="Code128"))).title == "No MAC in what I read"
    await dana.says("add 00-15-65-11-22-33 Oslo/2/2.30")
    assert (await dana.sends_picture(scanned("001565112233", kind="Code128"))).title.startswith("2.30")
    assert (await dana.sends_picture(scanned("001565112233", kind="ITF"))).title == "No MAC in what I read"


async def test_a_barcode_without_a_mac_is_said_and_harmless(house: House, sam: Someone, day: None) -> None:
    card = await sam.sends_picture(scanned("4006381333931", kind="EAN13"))
    assert card.title == "No MAC in what I read" and "EAN-13: 4006381333931" in card.all
    hostile = await sam.sends_picture(scanned("[click](https://evil.example) <at>Dana</at> " + "x" * 200))
    assert hostile.title == "No MAC in what I read" and "…" in hostile.all and "x" * 60 not in hostile.all


async def test_nothing_to_read_says_what_to_do(house: House, sam: Someone, day: None) -> None:
    card = await sam.sends_picture(encoded(view_of_a_wall()))
    assert card.title == "I read no barcode in this picture"
    assert "type photo and the room before you send it" in card.all
    assert "Go closer, with more light and without glare. Or type the last 4 digits of the MAC." in card.all
    assert (await sam.says("22:33")).title == "Oslo, floor 2, room 2.14"


# ---------------------------------------------------------------------- what is no such picture


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"MAC id,Location\n", "This is not a picture that I can read."),
        (b"", "This picture is empty."),
        (bytes(20 * 1024 * 1024 + 1), "This picture is larger than 20 MiB."),
        (png_of(30_000, 30_000), "This picture has more than 50 million pixels."),
        (photo("QR", 1)[:30_000], "This picture is damaged or did not arrive whole."),
        (HEIC, "This picture is in the HEIC format"),
    ],
    ids=["text", "empty", "20 MiB and a byte", "bomb", "half", "HEIC"],
)
async def test_it_ends_in_one_friendly_sentence(
    house: House, sam: Someone, day: None, content: bytes, said: str
) -> None:
    before = await house.everything()
    answer = await sam.sends_picture(content)
    assert answer.title.startswith(said) and answer.title.endswith(".")
    assert {kind: rows for kind, rows in (await house.everything()).items() if kind in ("Device", "Photo")} == {
        kind: rows for kind, rows in before.items() if kind in ("Device", "Photo")
    }


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://evil.example/1.jpg", "This picture is not kept where Teams keeps pictures."),
        ("https://10.0.0.1/1.jpg", "This picture is not kept where Teams keeps pictures."),
        ("http://169.254.169.254/metadata", "This picture is not kept where Teams keeps pictures."),
        ("file:///etc/passwd", "This picture is not kept where Teams keeps pictures."),
        ("data:image/png;base64,AAAA", "This picture is not kept where Teams keeps pictures."),
    ],
)
async def test_a_picture_elsewhere_is_not_fetched(house: House, sam: Someone, day: None, url: str, said: str) -> None:
    assert (await sam.sends_picture(url=url)).title.startswith(said)


@pytest.mark.parametrize("path", ["/status/401", "/status/404", "/status/500", "/short"])
async def test_a_picture_that_does_not_come_is_asked_for_again(
    house: House, sam: Someone, day: None, path: str
) -> None:
    assert (await sam.sends_picture(url=house.files.address(path))).title.startswith("The picture did not reach me.")


async def test_a_slow_picture_holds_nobody_up(
    house: House, sam: Someone, day: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer takes the place of the card that said to wait."""
    monkeypatch.setattr(photos, "PATIENCE", 0.0)
    house.by_itself = False
    waiting = await sam.sends_picture(scanned(B))
    assert waiting.title == "Reading the picture…"
    house.by_itself = True
    await house.settled()
    card = house.posts[sam.conversation, waiting.id]
    assert card.title == "Oslo, floor 2, room 2.16" and card.code and card.edits == 1
    await house.device(B).provision(card.code)
    assert card.title == "Provisioned 07:30"  # it stays what it is: that device's card


async def test_in_a_channel_one_sentence_says_where(house: House, dana: Someone, sam: Someone, day: None) -> None:
    channel = house.channel()
    said = await sam.sends_picture(scanned(A), where=channel)
    assert said.text == "I read pictures in our own chat: please send it to me there."
    assert house.files.requests == []


async def test_who_has_no_role_learns_nothing(house: House, dana: Someone, day: None) -> None:
    nobody = house.person("Nobody")
    assert (await nobody.sends_picture(scanned(A))).title == "You have no access yet."
    assert house.files.requests == []


async def test_a_picture_that_is_delivered_twice_is_answered_once(house: House, sam: Someone, day: None) -> None:
    await sam.sends_picture(scanned(B))
    before = len(sam.posts)
    await sam.repeats()
    assert len(sam.posts) == before
