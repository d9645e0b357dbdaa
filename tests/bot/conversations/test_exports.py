"""Files to take away: offered, asked for twice where codes are in them, made on acceptance, never kept."""

from __future__ import annotations

import csv
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any

import pytest
from openpyxl import load_workbook

from bot.files import Patience
from bot.handlers.exports import plain_name
from cards import files
from tests.bot.chat import House, Post, Someone
from tests.bot.conversations.test_uploads import A, B
from tests.connector import Fault

C = "80-5E-C0-11-22-35"
MACS = [A, B, C]


@pytest.fixture
async def stock(house: House, dana: Someone, sam: Someone) -> None:
    """Three devices on two sites; those of Oslo are Sam's, with live codes."""
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Bergen/1/1.01")
    await dana.says("issue oslo to Sam")


def table(content: bytes, form: str) -> list[tuple[str, ...]]:
    """The cells as a program reads them that knows nothing of us."""
    if form == "csv":
        return [tuple(row) for row in csv.reader(StringIO(content.decode("utf-8-sig")))]
    return [tuple(value or "" for value in row) for row in load_workbook(BytesIO(content)).active.values]


def name_of(post: Post) -> str:
    assert post.offer
    return str(post.offer["name"])


async def asked_for_codes(dana: Someone, words: str = "export codes oslo") -> Post:
    """The offer after the question was answered."""
    question = await dana.says(words)
    assert question.buttons == ["Yes", "No"]
    assert "Codes are secrets. The file goes to you only and is logged." in question.all
    await dana.presses("Yes", on=question)
    return dana.offered


async def facts_of(house: House, *names: str) -> list[str]:
    return [name for name in await house.facts() if name in names]


# ---------------------------------------------------------------------- the template


@pytest.mark.parametrize(("form", "button"), [("xlsx", "Excel"), ("csv", "CSV")])
@pytest.mark.parametrize("typed", [False, True])
async def test_a_template(house: House, dana: Someone, form: str, button: str, typed: bool) -> None:
    if typed:
        await dana.says(f"template {form}")
    else:
        card = await dana.says("template")
        await dana.presses(button, on=card)
    assert name_of(dana.offered) == f"devices template.{form}"
    content = await dana.accepts_file()
    assert table(content, form)[0][:2] == ("MAC id", "Location")
    assert dana.last.link and dana.last.link["name"] == f"devices template.{form}"


async def test_a_filled_template_is_taken(house: House, dana: Someone) -> None:
    await dana.says("template xlsx")
    book = load_workbook(BytesIO(await dana.accepts_file()))
    book.active["A2"], book.active["B2"] = A, "Oslo/2/2.14"
    out = BytesIO()
    book.save(out)
    await dana.sends_file("devices template.xlsx", out.getvalue())
    assert (await dana.presses("Add 1")).title == "1 saved"


# ---------------------------------------------------------------------- devices


@pytest.mark.parametrize("form", ["xlsx", "csv"])
@pytest.mark.parametrize(("said", "macs"), [("export", MACS), ("export oslo", [A, B]), ("export Sam", [A, B])])
async def test_devices(house: House, dana: Someone, stock: None, form: str, said: str, macs: list[str]) -> None:
    card = await dana.says(f"{said} {form}")
    assert f"{len(macs)} devices, 2 live codes." in card.all
    assert card.inputs["form"]["value"] == form
    await dana.presses("Devices", on=card)
    rows = table(await dana.accepts_file(), form)
    assert rows[0][:2] == ("MAC id", "Location")
    assert sorted(row[0] for row in rows[1:]) == macs
    assert {row[4] for row in rows[1:] if row[0] != C} == {"sam@contoso.com"}
    assert await facts_of(house, "CodesExported") == []


async def test_what_was_exported_can_be_sent_back(house: House, dana: Someone, stock: None) -> None:
    await dana.presses("Devices", on=await dana.says("export"))
    content = await dana.accepts_file()
    await dana.sends_file("back.xlsx", content)
    assert dana.card.title == "No change, 3 already here"


async def test_the_form_on_the_card_counts(house: House, dana: Someone, stock: None) -> None:
    card = await dana.says("export oslo")
    await dana.presses("Devices", on=card, form="csv")
    assert name_of(dana.offered) == "devices Oslo.csv"
    assert len(table(await dana.accepts_file(), "csv")) == 3


async def test_nothing_to_take(house: House, dana: Someone) -> None:
    assert (await dana.says("export")).title == "Nothing of all sites to take away."
    assert (await dana.says("export codes")).title == "Nothing of all sites to take away."
    assert "bergn" in (await dana.says("export bergn")).all


@pytest.mark.parametrize("words", ["export", "export codes oslo", "print oslo", "template xlsx"])
async def test_a_technician_takes_nothing(house: House, dana: Someone, sam: Someone, stock: None, words: str) -> None:
    assert (await sam.says(words)).texts == ["Only admins can do that. Ask one of your admins."]
    assert [post for post in sam.posts if post.offer] == []


@pytest.mark.parametrize("site", ['a:b*?"<>|\\c', "../../etc", "=1+1", "x" * 190, "👩‍🔧", "CON", "."])
async def test_a_site_of_any_name_makes_a_file_name(house: House, dana: Someone, site: str) -> None:
    await dana.says(f"add {A} {site}/1/2")
    await dana.presses("Devices", on=await dana.says("export"))
    await dana.declines_file()
    name = plain_name((await house.record(A)).location.partition("/")[0])
    assert name and len(name) <= 60 and not set(name) & set('\\/:*?"<>|=') and name not in (".", "..")


# ---------------------------------------------------------------------- codes


@pytest.mark.parametrize("form", ["xlsx", "csv"])
async def test_codes(house: House, dana: Someone, stock: None, form: str) -> None:
    before = await facts_of(house, "CodesExported", "CodeShown")
    offer = await asked_for_codes(dana, f"export codes oslo {form}")
    assert name_of(offer) == f"codes Oslo.{form}"
    assert await facts_of(house, "CodesExported", "CodeShown") == before  # nothing is made yet
    rows = table(await dana.accepts_file(), form)
    assert rows[0] == ("MAC id", "Location", "Technician name", "One-time code", "Valid until", "Accepted by")
    assert [row[0] for row in rows[1:]] == [A, B]
    assert sorted(row[3].replace(" ", "") for row in rows[1:]) == sorted(house.keys.digits)
    assert await facts_of(house, "CodesExported", "CodeShown") == [*before, "CodesExported", "CodeShown", "CodeShown"]
    assert dana.last.link and not [post for post in dana.posts if post.offer]


async def test_one_asks_for_codes_on_the_card_of_an_export(house: House, dana: Someone, stock: None) -> None:
    card = await dana.says("export oslo")
    question = await dana.presses("Live codes", on=card, form="csv")
    assert question.title == "2 live codes of Oslo in a file?"
    await dana.presses("Yes", on=question)
    assert name_of(dana.offered) == "codes Oslo.csv"
    assert len(table(await dana.accepts_file(), "csv")) == 3


async def test_no_is_no(house: House, dana: Someone, stock: None) -> None:
    await dana.presses("No", on=await dana.says("export codes oslo"))
    assert [post for post in dana.posts if post.offer] == []
    assert await facts_of(house, "CodesExported") == []


async def test_the_audit_comes_before_the_file(house: House, dana: Someone, stock: None) -> None:
    """Where the place takes nothing, the codes were unsealed all the same, and the audit says so."""
    await asked_for_codes(dana)
    assert await dana.accepts_file(None, 404) == b""
    assert (await facts_of(house, "CodesExported", "CodeShown"))[-3:] == ["CodesExported", "CodeShown", "CodeShown"]


async def test_a_declined_file_is_never_made(house: House, dana: Someone, stock: None) -> None:
    await asked_for_codes(dana)
    facts = await house.facts()
    await dana.declines_file()
    assert (await house.facts(), dana.last.title or dana.last.text) == (facts, "No file was made.")
    assert not [post for post in dana.posts if post.offer]


@pytest.mark.parametrize("minutes", [10, 60 * 24 * 30])
async def test_an_offer_ends(house: House, dana: Someone, stock: None, minutes: int) -> None:
    await asked_for_codes(dana)
    house.clock.advance(timedelta(minutes=minutes))
    assert await dana.accepts_file() == b""
    assert dana.last.title == "codes Oslo.xlsx could not be handed over"
    assert await facts_of(house, "CodesExported") == []


@pytest.mark.parametrize("new_id", [False, True])
async def test_accepted_twice_is_made_once(house: House, dana: Someone, stock: None, new_id: bool) -> None:
    offer = (await asked_for_codes(dana)).copy()
    await dana.accepts_file(offer)
    facts, posts = await house.facts(), len(dana.posts)
    await dana.repeats(new_id=new_id)
    assert await dana.accepts_file(offer) == b""  # to another place
    assert (await house.facts(), len(dana.posts)) == (facts, posts)


@pytest.mark.parametrize("as_themselves", [False, True])
@pytest.mark.parametrize("who", ["Lee", "Sam"])
async def test_somebody_else_accepts(
    house: House, dana: Someone, sam: Someone, stock: None, who: str, as_themselves: bool
) -> None:
    """Another admin gets nothing of an offer to Dana; a technician neither, whatever they write into it."""
    other = await house.admin("Lee") if who == "Lee" else sam
    offer = await asked_for_codes(dana)
    assert offer.offer
    context = {**offer.offer["acceptContext"], **({"by": other.object_id} if as_themselves else {})}
    forged = Post("post-forged", other.conversation, offer={**offer.offer, "acceptContext": context})
    content = await other.accepts_file(forged)
    if who == "Lee" and as_themselves:  # an admin who forges an offer of their own: the audit says who
        exported = [row.event for row in (await house.store.history(None, limit=1000)).rows]
        assert content and [e.actor for e in exported if e.name == "CodesExported"] == [other.object_id]
        return
    assert content == b""
    assert await facts_of(house, "CodesExported") == []
    assert other.last.title == "codes Oslo.xlsx could not be handed over"


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"kind": "codes"},
        {"kind": ["codes"], "by": 7, "until": None},
        {"kind": "codes", "until": "tomorrow"},
        {"kind": "codes", "until": "2026-03-02T23:00:00"},
        {"kind": "errors", "until": "2026-03-02T23:00:00+00:00", "upload": "../x"},
        {"kind": "devices", "until": "2026-03-02T23:00:00+00:00", "target": "x" * 9000},
    ],
)
async def test_a_forged_offer_gets_nothing(house: House, dana: Someone, stock: None, context: dict[str, Any]) -> None:
    given = {"by": dana.object_id, **context}
    forged = Post("post-forged", dana.conversation, offer={"name": "x.xlsx", "acceptContext": given})
    assert await dana.accepts_file(forged) == b""
    assert "x.xlsx could not be handed over" in dana.last.title


async def test_where_the_file_may_go_is_checked(house: House, dana: Someone, stock: None) -> None:
    await asked_for_codes(dana)
    assert await dana.accepts_file(None, url="https://evil.example/upload") == b""
    assert dana.last.title == "codes Oslo.xlsx could not be handed over"


# ---------------------------------------------------------------------- it cannot be handed over


@pytest.mark.parametrize(
    ("fault", "reason"), [(404, "The place for this file has ended"), (507, "There is no room left")]
)
async def test_a_file_that_could_not_be_put_is_offered_again(
    house: House, dana: Someone, stock: None, fault: int, reason: str
) -> None:
    await asked_for_codes(dana)
    assert await dana.accepts_file(None, fault) == b""
    failed = dana.card
    assert failed.title == "codes Oslo.xlsx could not be handed over"
    assert reason in failed.all and "The file is not kept." in failed.all
    await dana.presses("Try again", on=failed)
    rows = table(await dana.accepts_file(), "xlsx")
    assert sorted(row[3].replace(" ", "") for row in rows[1:]) == sorted(house.keys.digits)


@pytest.mark.parametrize("fault", ["half", "lost", 500])
async def test_a_part_that_was_lost_is_sent_again(house: House, dana: Someone, fault: int | str) -> None:
    house.jobs._files._patience = Patience(pauses=(0.0, 0.0))
    await dana.says("template xlsx")
    content = await dana.accepts_file(None, fault)
    assert table(content, "xlsx")[0][0] == "MAC id"


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize(("words", "button"), [("export oslo", "Devices"), ("export codes oslo", "Yes")])
async def test_cards_where_teams_takes_no_files(
    house: House, dana: Someone, stock: None, status: int, words: str, button: str
) -> None:
    card = await dana.says(words)
    house.expected_errors.add("Teams refused a call")
    house.connector.troubled(dana.conversation, Fault(status))
    answer = await dana.presses(button, on=card)
    assert answer.title.startswith("I cannot give you ")
    assert [post for post in dana.posts if post.offer] == []
    rows = await dana.presses(answer.buttons[0], on=answer)
    assert "2.14" in rows.all and "2.16" in rows.all and "1.01" not in rows.all


async def test_all_devices_where_teams_takes_no_files(house: House, dana: Someone, stock: None) -> None:
    card = await dana.says("export")
    house.expected_errors.add("Teams refused a call")
    house.connector.troubled(dana.conversation, Fault(403))
    rows = await dana.presses("Devices", on=await dana.presses("Devices", on=card))
    assert "2.14" in rows.all and "1.01" in rows.all


async def test_a_sheet_to_print_where_teams_takes_no_files(house: House, dana: Someone, stock: None) -> None:
    card = await dana.says("print oslo")
    house.expected_errors.add("Teams refused a call")
    house.connector.troubled(dana.conversation, Fault(403))
    rows = await dana.presses("Devices", on=await dana.presses("Without codes", on=card))
    assert "2.14" in rows.all and "1.01" not in rows.all


async def test_the_template_where_teams_takes_no_files(house: House, dana: Someone) -> None:
    house.expected_errors.add("Teams refused a call")
    house.connector.troubled(dana.conversation, Fault(403))
    answer = await dana.says("template xlsx")
    form = await dana.presses("Paste rows", on=answer)
    assert form.title == "Upload devices" and "rows" in form.inputs


async def test_rows_to_mend_where_teams_takes_no_files(house: House, dana: Someone) -> None:
    bad = "".join(f"805EC0{n:04X},Oslo/1/{n}\r\n" for n in range(25))
    await dana.sends_file("oslo.csv", f"MAC id,Location\r\n{A},Oslo/1/1\r\n{bad}")
    house.connector.troubled(dana.conversation, Fault(403))
    answer = await dana.presses("Get error file")
    rows = await dana.presses(answer.buttons[0], on=answer)
    assert rows.title == "Rows that need fixing: oslo.csv"
    assert "1 to 10 of 25." in rows.all
    rows = await dana.presses("More", on=rows)
    assert "11 to 20 of 25." in rows.all
    rows = await dana.presses("More", on=rows)
    assert "21 to 25 of 25." in rows.all and "More" not in rows.buttons


# ---------------------------------------------------------------------- on paper


async def test_a_sheet_to_print(house: House, dana: Someone, stock: None) -> None:
    card = await dana.says("print oslo")
    assert card.buttons == ["Without codes", "With codes"]
    await dana.presses("Without codes", on=card)
    assert name_of(dana.offered) == "sheet Oslo.pdf"
    content = await dana.accepts_file()
    assert content.startswith(b"%PDF")
    assert await facts_of(house, "CodesExported") == []


async def test_a_sheet_with_codes_is_asked_about(house: House, dana: Someone, stock: None) -> None:
    question = await dana.presses("With codes", on=await dana.says("print oslo"))
    assert question.buttons == ["Yes", "No"]
    await dana.presses("Yes", on=question)
    content = await dana.accepts_file()
    assert content.startswith(b"%PDF")
    assert (await facts_of(house, "CodesExported", "CodeShown"))[-3:] == ["CodesExported", "CodeShown", "CodeShown"]


# ---------------------------------------------------------------------- asked in a channel


@pytest.mark.parametrize("words", ["export oslo", "export codes oslo", "print oslo", "template xlsx"])
async def test_asked_in_a_channel_it_comes_in_the_own_chat(
    house: House, dana: Someone, stock: None, words: str
) -> None:
    channel = house.channel()
    before = len(dana.posts)
    said = await channel.says(words, dana)
    assert said.texts == ["I wrote to you in chat."]
    assert len(dana.posts) == before + 1
    assert len(channel.posts) == 1


async def test_the_name_of_an_error_file_is_only_a_name(house: House, dana: Someone) -> None:
    sheet = f"MAC id,Location\r\n{A},Oslo/1/1\r\n805EC01122,Oslo/1/2\r\n"
    await dana.sends_file("../../a:b|c.csv", url=house.files.shares("x.csv", sheet.encode()))
    await dana.presses("Get error file")
    assert name_of(dana.offered) == "..-..-a-b-c - to fix.csv".lstrip(".")


async def test_a_fault_of_ours_is_told_to_whoever_waits_for_the_file(house: House, monkeypatch) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("out of paper")

    monkeypatch.setattr(files, "devices_file", broken)
    await house.dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14")
    await house.dana.says("export oslo")
    await house.dana.presses("Devices")
    house.expected_errors.add("a job broke off")
    assert not await house.dana.accepts_file()
    assert "the fault is ours" in house.dana.card.all
    assert "Try again" in house.dana.card.buttons
