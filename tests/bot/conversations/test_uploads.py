"""A sheet from the message that brings it to the devices on the list: its preview, the decision, what needs fixing."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

import pytest
from openpyxl import Workbook, load_workbook

from tests.bot.chat import House, Post, Someone, restarted
from tests.connector import file_attachment

HEADER = ("MAC id", "Location")
YEALINK, POLY = "805EC0", "482567"
A, B = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34"

Rows = list[tuple[str, ...]]


def workbook(*rows: tuple[str, ...]) -> bytes:
    """A workbook as Excel saves it."""
    book, out = Workbook(), BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def csv(*rows: tuple[str, ...]) -> str:
    return "".join(f"{','.join(row)}\r\n" for row in rows)


def mac(number: int, vendor: str = YEALINK) -> str:
    digits = f"{vendor}{number:06X}"
    return "-".join(digits[i : i + 2] for i in range(0, 12, 2))


def phones(first: int, last: int, site: str = "Oslo", vendor: str = YEALINK) -> Rows:
    return [(mac(n, vendor), f"{site}/{n % 5}/{n}") for n in range(first, last + 1)]


def with_errors() -> Rows:
    """200 rows as conversation 2 has them: rows 17, 88 and 141 are wrong."""
    rows = [HEADER, *phones(2, 154), *phones(155, 184, "Bergen"), *phones(185, 201, "Bergen", POLY)]
    rows[16] = ("805EC01122", "Oslo/1/17")
    rows[87] = ("1.23E+11", "Oslo/1/88")
    rows[140] = (rows[11][0], "Oslo/3F")
    return rows


THREE = phones(1, 3)
SHEET = csv(HEADER, *THREE)


async def previewed(someone: Someone, content: bytes | str = SHEET, name: str = "oslo.csv") -> Post:
    await someone.sends_file(name, content)
    return someone.card


async def listed(house: House) -> int:
    """Devices that anybody can see."""
    return len((await house.everything("Device"))["Device"])


async def uploads(house: House) -> int:
    return len((await house.everything("Upload"))["Upload"])


# ---------------------------------------------------------------------- conversation 2


async def test_a_sheet_with_three_wrong_rows(house: House, dana: Someone) -> None:
    rows = with_errors()
    await dana.says("add " + "\n".join(" ".join(row) for row in rows[1:8]))
    house.clock.advance(timedelta(hours=3, minutes=12))
    before = len(dana.posts)
    first = await dana.sends_file("oslo.xlsx", workbook(*rows))
    assert (first.title, first.edits, len(dana.posts)) == ("Reading oslo.xlsx", 0, before + 1)
    preview = dana.card
    assert preview.id == first.id and preview.edits > 0
    assert preview.title == "197 ready, 3 need fixing. Nothing is saved yet."
    assert 'Row 17 "805EC01122": 10 digits, a MAC has 12.' in preview.all
    assert 'Row 88 "1.23E+11": Excel changed this to a number; format the column as Text.' in preview.all
    assert "Row 141: same MAC as row 12 (Oslo/2/12), here Oslo/3F." in preview.all
    assert "New 190; already here 7. Oslo 150, Bergen 47. Yealink 180, Poly 17." in preview.all
    assert preview.buttons == ["Add 190", "Get error file", "Cancel"]
    assert await listed(house) == 7

    saved = await dana.presses("Add 190")
    assert saved.title == "190 saved, 7 were already here"
    assert "by Dana 10:42. Undo until 10:52." in saved.all
    assert saved.buttons == ["Issue codes", "Undo", "Get error file"]
    assert (saved.id, await listed(house)) == (first.id, 197)

    await dana.presses("Get error file")
    assert dana.offered.offer and dana.offered.offer["name"] == "oslo - to fix.xlsx"
    book = load_workbook(BytesIO(await dana.accepts_file()))
    sheet = book.active
    values = list(sheet.values)
    assert values[0] == ("MAC id", "Location", "Reason")
    assert [row[0] for row in values[1:]] == ["805EC01122", "1.23E+11", rows[140][0]]
    assert values[1][2] == '"805EC01122": 10 digits, a MAC has 12.'
    for row, good in zip((2, 3, 4), (501, 502, 503), strict=True):
        sheet.cell(row, 1).value = mac(good)
    corrected = BytesIO()
    book.save(corrected)
    assert (await previewed(dana, corrected.getvalue(), "oslo - to fix.xlsx")).title == "3 ready. Nothing is saved yet."
    assert (await dana.presses("Add 3")).title == "3 saved"
    assert await listed(house) == 200


async def test_the_same_file_again_changes_nothing(house: House, dana: Someone) -> None:
    sheet = workbook(HEADER, *phones(1, 197))
    await previewed(dana, sheet, "oslo.xlsx")
    await dana.presses("Add 197")
    before, facts = await house.everything("Device"), await house.facts()
    house.clock.advance(timedelta(minutes=1))
    again = await previewed(dana, sheet, "oslo.xlsx")
    assert (again.title, again.buttons) == ("No change, 197 already here", [])
    assert (await dana.says("upload add")).title == "No change, 197 already here"
    assert (await house.everything("Device"), await house.facts()) == (before, facts)
    assert (await dana.says("undo")).title == "Undone: 197 devices taken back"


async def test_undo_takes_back_exactly_what_it_added(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await previewed(dana)
    await dana.presses("Add 3")
    await dana.says(f"move {THREE[0][0]} to Oslo/9/9.99")
    undone = await dana.presses("Undo", on=dana.titled("3 saved"))
    assert undone.title == "Undone: 2 devices taken back. 1 stays, it has moved on since"
    assert "9.99, ends 00:01: it was changed." in undone.all
    assert await listed(house) == 2
    assert (await house.record(A)).location == "Oslo/2/2.14"


# ---------------------------------------------------------------------- who may


async def test_a_technician_is_refused_in_words(house: House, sam: Someone) -> None:
    said = await sam.sends_file("oslo.csv", SHEET)
    assert said.texts == ["Only admins can do that. Ask one of your admins."]
    assert (await uploads(house), house.files.requests) == (0, [])


async def test_somebody_without_a_role_is_refused_in_words(house: House, dana: Someone) -> None:
    kim = house.person("Kim")
    said = await kim.sends_file("oslo.csv", SHEET)
    assert said.title == "You have no access yet."
    assert (await uploads(house), house.files.requests) == (0, [])


@pytest.mark.parametrize("button", ["Add 3", "Cancel"])
async def test_another_admin_decides_nothing(house: House, dana: Someone, button: str) -> None:
    lee = await house.admin("Lee")
    preview = await previewed(dana)
    action = preview.action(button)
    card = await lee.says("upload")
    answer = await lee.acts(card, action["verb"], dict(action["data"]))
    assert "Somebody else sent this file. Only they can decide on it." in answer.all
    assert await listed(house) == 0
    assert (await dana.presses("Add 3")).title == "3 saved"


# ---------------------------------------------------------------------- ways in


@pytest.mark.parametrize(
    "text",
    [
        "MAC id,Location\n" + "\n".join(",".join(row) for row in THREE),
        "MAC id\tLocation\n" + "\n".join("\t".join(row) for row in THREE),
        "\n".join("\t".join(row) for row in THREE),
        "\n".join(";".join(row) for row in THREE),
        "\n".join(" ".join(row) for row in THREE),
        "\r\n\r\n".join(" ".join(row) for row in THREE),
    ],
)
async def test_rows_pasted_into_a_message(house: House, dana: Someone, text: str) -> None:
    first = await dana.says(text)
    assert first.title == "Reading your rows"
    assert (dana.card.id, dana.card.title) == (first.id, "3 ready. Nothing is saved yet.")
    assert (await dana.presses("Add 3")).title == "3 saved"
    assert sorted([(await house.record(row[0])).location for row in THREE]) == sorted(row[1] for row in THREE)


async def test_rows_pasted_into_the_form(house: House, dana: Someone) -> None:
    form = await dana.says("upload")
    assert form.title == "Upload devices"
    read = await dana.presses("Read rows", rows=SHEET)
    assert (read.id, read.title) == (form.id, "Reading your rows")
    assert (dana.card.id, dana.card.title) == (form.id, "3 ready. Nothing is saved yet.")
    assert (await dana.presses("Add 3")).title == "3 saved"


async def test_an_empty_form_comes_back(house: House, dana: Someone) -> None:
    await dana.says("upload")
    await dana.presses("Read rows", rows="  ")
    assert "There is nothing in this file" in dana.card.all
    assert "broke off" not in str(house.logs)


async def test_more_than_an_add_takes_is_read_as_a_sheet(house: House, dana: Someone) -> None:
    first = await dana.says("add " + "\n".join(" ".join(row) for row in phones(1, 201)))
    assert first.title == "Reading your rows"
    assert dana.card.title == "201 ready. Nothing is saved yet."
    assert "Oslo 201." in dana.card.all
    await dana.presses("Add 201")
    assert await listed(house) == 201


async def test_one_file_at_a_time(house: House, dana: Someone) -> None:
    urls = [house.files.shares(name, SHEET.encode()) for name in ("a.csv", "b.csv")]
    before = len(dana.posts)
    await dana.says("", attachments=[file_attachment(url, url[-5:]) for url in urls])
    assert dana.titles[before:] == [
        "One file at a time: I read a.csv. Send the next one after it.",
        "3 ready. Nothing is saved yet.",
    ]
    assert (await uploads(house), len(house.files.requests)) == (1, 1)


async def test_a_file_in_a_channel_is_previewed_in_the_own_chat(house: House, dana: Someone) -> None:
    channel, url = house.channel(), house.files.shares("oslo.csv", SHEET.encode())
    base = dana._activity("message", channel, text="<at>Provisioning Bot</at> here")
    said = await dana._sends({**base, "attachments": [file_attachment(url)]}, channel)
    assert said.texts == ["I wrote to you in chat."]
    assert dana.card.title == "3 ready. Nothing is saved yet."
    assert [post.title for post in channel.posts if post.card] == []


async def test_two_uploads_at_once(house: House, dana: Someone) -> None:
    one = await previewed(dana, csv(HEADER, *phones(1, 2)), "one.csv")
    two = await previewed(dana, csv(HEADER, *phones(2, 4)), "two.csv")
    assert one.id != two.id
    assert (await dana.presses("Add 2", on=one)).title == "2 saved"
    assert (await dana.presses("Add 3", on=two)).title == "2 saved, 1 was already here"
    assert await listed(house) == 4


# ---------------------------------------------------------------------- typed


async def test_the_latest_upload_is_decided_on_by_typing(house: House, dana: Someone) -> None:
    await previewed(dana, csv(HEADER, *phones(1, 2)))
    house.clock.advance(timedelta(minutes=1))
    await previewed(dana, csv(HEADER, ("805EC01122", "Oslo/1/1"), *phones(3, 5)))
    assert 'Row 2 "805EC01122": 10 digits' in (await dana.says("upload rows")).all
    await dana.says("upload errors")
    assert dana.offered.offer and dana.offered.offer["name"] == "oslo - to fix.csv"
    assert (await dana.says("upload add")).title == "3 saved"
    assert await listed(house) == 3


async def test_a_typed_cancel(house: House, dana: Someone) -> None:
    await previewed(dana)
    assert (await dana.says("upload cancel")).title == "Cancelled: nothing of oslo.csv is saved"
    assert "over" in (await dana.says("upload add")).all
    assert await listed(house) == 0


@pytest.mark.parametrize("first", ["-5", "0", "999999999999", "x"])
async def test_a_page_that_is_none(house: House, dana: Someone, first: str) -> None:
    preview = await previewed(dana, csv(HEADER, ("805EC01122", "Oslo/1/1"), *THREE))
    data = {"upload": preview.action("Add 3")["data"]["upload"], "first": first}
    assert (await dana.acts(preview, "upload_rows", data)).all.strip()


async def test_nothing_to_decide_on(house: House, dana: Someone) -> None:
    said = [(await dana.says(f"upload {word}")).all for word in ("add", "cancel", "errors", "rows")]
    assert said == [said[0]] * 4 and said[0].strip(), said


# ---------------------------------------------------------------------- what is here, but different


def elsewhere() -> str:
    """One new device, and one of THREE in another place."""
    return csv(HEADER, (THREE[0][0], "Oslo/7/7.07"), (mac(9), "Oslo/9/9.09"))


@pytest.fixture
async def three(house: House, dana: Someone) -> None:
    await previewed(dana)
    await dana.presses("Add 3")
    house.clock.advance(timedelta(minutes=1))


@pytest.mark.parametrize(
    ("choice", "title", "place"),
    [("keep", "1 saved, 1 was already here", THREE[0][1]), ("update", "1 saved, 1 updated", "Oslo/7/7.07")],
)
@pytest.mark.parametrize("typed", [False, True])
async def test_a_choice_is_made(
    house: House, dana: Someone, three: None, choice: str, title: str, place: str, typed: bool
) -> None:
    preview = await previewed(dana, elsewhere())
    assert "00:01 is at Oslo/1/1, in the file at Oslo/7/7.07." in preview.all
    saved = await (dana.says(f"upload add {choice}") if typed else dana.presses("Add 1", different=choice))
    assert saved.title == title
    assert (await house.record(THREE[0][0])).location == place


async def test_without_a_choice_the_card_comes_back(house: House, dana: Someone, three: None) -> None:
    await previewed(dana, elsewhere())
    answer = await dana.presses("Add 1")
    assert answer.title == "2 ready. Nothing is saved yet."
    assert "Here, but different: 1. Choose one" in answer.all
    said = await dana.says("upload add")
    assert "upload add keep, or upload add update" in said.all
    assert await listed(house) == 3
    assert (await dana.presses("Add 1", different="keep")).title == "1 saved, 1 was already here"


async def test_only_differences_are_updated_in_one_press(house: House, dana: Someone, three: None) -> None:
    preview = await previewed(dana, csv(HEADER, (THREE[0][0], "Oslo/7/7.07")))
    assert preview.buttons == ["Update 1", "Cancel"]
    assert (await dana.presses("Update 1")).title == "1 updated"
    undone = await dana.presses("Undo")
    assert undone.title.startswith("Undone: 1 device")
    assert (await house.record(THREE[0][0])).location == THREE[0][1]


# ---------------------------------------------------------------------- codes of the Teams admin centre

CODES = csv(("MAC id", "Location", "Verification code"), (A, "Oslo/2/2.14", "482913"))


async def test_codes_count_down_from_the_time_that_is_stated(house: House, dana: Someone) -> None:
    zone = [{"type": "clientInfo", "locale": "en-GB", "country": "GB", "timezone": "Europe/Oslo"}]
    house.clock.advance(timedelta(hours=2))  # 09:30 UTC
    await dana.says("hi", entities=zone)
    preview = await previewed(dana, CODES)
    action = preview.action("Add 1")
    value = {
        "action": {"type": "Action.Execute", "verb": action["verb"], "data": preview.filled(action, {"made": "08:30"})}
    }
    press = dana._activity(
        "invoke", name="adaptiveCard/action", value={**value, "trigger": "manual"}, replyToId=preview.id
    )
    saved = await dana._sends({**press, "entities": zone}, dana, post=preview)
    assert saved.title.startswith("1 saved")
    assert "valid until Tue 3 Mar 08:30" in saved.all
    code = (await house.record(A)).code
    assert code and code.expires_at.isoformat() == "2026-03-03T07:30:00+00:00"


@pytest.mark.parametrize("made", ["25:99", "soon", "2026-03-01 06:00", "2027-01-01 08:30"])
async def test_a_time_that_cannot_be_brings_the_card_back(house: House, dana: Someone, made: str) -> None:
    await previewed(dana, CODES)
    answer = await dana.presses("Add 1", made=made)
    assert answer.title == "1 ready. Nothing is saved yet."
    assert made in answer.all
    assert await listed(house) == 0


# ---------------------------------------------------------------------- again, late, out of order


async def test_a_double_tap_adds_once(house: House, dana: Someone) -> None:
    preview = (await previewed(dana)).copy()
    await dana.presses("Add 3", on=preview)
    facts, devices = await house.facts(), await house.everything("Device")
    again = await dana.presses("Add 3", on=preview)
    assert again.title == "3 saved"
    assert (await house.facts(), await house.everything("Device")) == (facts, devices)


@pytest.mark.parametrize("new_id", [False, True])
async def test_a_decision_delivered_again_is_carried_out_once(house: House, dana: Someone, new_id: bool) -> None:
    await previewed(dana)
    await dana.presses("Add 3")
    facts, devices = await house.facts(), await house.everything("Device")
    await dana.repeats(new_id=new_id)
    assert (await house.facts(), await house.everything("Device")) == (facts, devices)
    assert dana.card.title == "3 saved"


async def test_a_file_delivered_again_is_read_once(house: House, dana: Someone) -> None:
    await previewed(dana)
    await dana.repeats()
    assert (await uploads(house), len(house.files.requests)) == (1, 1)


@pytest.mark.parametrize("button", ["Add 3", "Cancel"])
async def test_a_button_of_an_upload_that_is_over(house: House, dana: Someone, button: str) -> None:
    preview = (await previewed(dana)).copy()
    await dana.presses("Cancel")
    answer = await dana.presses(button, on=preview)
    assert (answer.title, answer.buttons) == ("Cancelled: nothing of oslo.csv is saved", [])
    assert await listed(house) == 0


async def test_cancel_after_it_was_added_changes_nothing(house: House, dana: Someone) -> None:
    preview = (await previewed(dana)).copy()
    await dana.presses("Add 3")
    answer = await dana.presses("Cancel", on=preview)
    assert answer.title == "3 saved" and "This upload is over" in answer.all
    assert await listed(house) == 3


async def test_add_after_a_restart(house: House, dana: Someone) -> None:
    await previewed(dana)
    async with restarted(house):
        assert (await dana.presses("Add 3")).title == "3 saved"
        assert await listed(house) == 3


async def test_an_import_that_came_to_nothing_does_not_stand_between_undo_and_the_one_before(
    house: House, dana: Someone
) -> None:
    first, second = await previewed(dana), await previewed(dana)
    await dana.presses("Add 3", on=first)
    assert (await dana.presses("Add 3", on=second)).title == "3 were already here"
    assert (await dana.says("undo")).title == "Undone: 3 devices taken back"
    assert await listed(house) == 0


@pytest.mark.parametrize("words", ["upload add", "upload cancel", "upload errors", "upload rows"])
async def test_without_an_upload_there_is_nothing_to_decide_on(house: House, dana: Someone, words: str) -> None:
    assert "There is no upload of yours to decide on" in (await dana.says(words)).all


async def test_a_preview_older_than_a_day_says_so_and_has_no_buttons_any_more(house: House, dana: Someone) -> None:
    preview = await previewed(dana)
    await house.passes(hours=24, minutes=5)
    await dana.presses("Add 3", on=preview)
    assert "Send the file, or send it again." in preview.all
    assert preview.buttons == []
    assert await listed(house) == 0
