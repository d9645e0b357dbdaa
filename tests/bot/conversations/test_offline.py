"""Where there is no signal: the sheet is taken along, devices call in while nobody looks, and all of it fits after."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from provisioning.service import offline
from tests.bot.chat import House, Someone
from tests.bot.conversations.test_companion import brings
from tests.connector import Fault
from tests.labels import scanned
from tests.provisioning.test_documents import words_of

A, B, C, D = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-11-22-35", "80-5E-C0-11-22-36"
BROUGHT = "482913"  # as the Teams admin centre makes them
SEAL = re.compile(r"PBS1\.[0-9A-Z]{8}\.[0-9A-F]{20}")


@pytest.fixture
async def day(house: House, dana: Someone, sam: Someone) -> None:
    """Sam has four devices in Oslo; 3.02 has no code."""
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16\n{C} Oslo/3/3.01\n{D} Oslo/3/3.02")
    await dana.says("issue oslo to Sam")
    await dana.says("revoke 3.02")


async def taken(house: House, who: Someone) -> list[str]:
    """What is written on the sheet."""
    await who.says("offline")
    return [text for page in words_of(await who.accepts_file()) for text in page]


def codes_on(words: list[str]) -> list[str]:
    return [word.replace(" ", "") for word in words if re.fullmatch(r"\d{4} \d{4} \d{4}", word)]


def seal_on(words: list[str]) -> str:
    return next(found[0] for word in words if (found := SEAL.search(word)))


# ------------------------------------------------------------------ taken along


async def test_the_sheet_holds_the_own_devices_and_makes_the_missing_codes(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    kim = await house.technician("Kim")
    await dana.says("add 80-5E-C0-77-00-01 Oslo/2/2.15")
    await dana.says("issue 2.15 to Kim")
    await sam.says("offline")
    offer = sam.offered.offer
    assert offer and offer["name"] == "offline Sam.pdf"
    assert offer["description"].startswith("Your 4 open devices with codes. 1 gets a new code.")
    before = len(house.keys.digits)
    content = await sam.accepts_file()
    words = [text for page in words_of(content) for text in page]
    assert {A, B, C, D} <= set(words) and "80-5E-C0-77-00-01" not in words
    assert len(house.keys.digits) == before + 1 and house.keys.digits[-1] in codes_on(words)
    assert len(codes_on(words)) == 4 and set(codes_on(words)) <= set(house.keys.digits)
    assert (await house.record(D)).renewals == (house.clock.now(),)
    assert "2.15" not in words and kim.card.code not in codes_on(words)


async def test_the_audit_has_it_first(house: House, sam: Someone, day: None) -> None:
    await taken(house, sam)
    made = [f for f in await house.facts() if f in ("CodesExported", "SheetMade", "CodeShown", "CodeIssued")]
    assert made[-7:] == ["CodeIssued", "CodesExported", "SheetMade", *["CodeShown"] * 4]


async def test_a_sheet_taken_twice_makes_no_code_twice(house: House, sam: Someone, day: None) -> None:
    first, second = codes_on(await taken(house, sam)), codes_on(await taken(house, sam))
    assert first == second


async def test_beyond_the_limit_no_code_is_made_and_the_sheet_says_so(
    house: House, dana: Someone, sam: Someone
) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await dana.says("issue oslo to Sam")
    for _again in range(5):
        await sam.says("new code 2.14")
    await dana.says("revoke 2.14")
    words = await taken(house, sam)
    assert codes_on(words) == [] and "Oslo/2/2.14 · no code: ask an admin" in words
    assert sam.posts and (await house.record(A)).code is None


async def test_what_called_in_before_stands_on_it_without_a_code(house: House, sam: Someone, day: None) -> None:
    await house.device(A).provision(sam.card.code)
    words = await taken(house, sam)
    assert len(codes_on(words)) == 3 and "Oslo/2/2.14 · called in 07:30" in words


async def test_codes_of_the_teams_admin_centre_come_as_they_are(house: House, dana: Someone, sam: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14")
    await brings(house, A, BROUGHT)
    await dana.says("assign oslo to Sam")
    words = await taken(house, sam)
    assert any(BROUGHT in word.replace(" ", "") for word in words) and "Teams admin centre" in words
    assert (await house.record(A)).issued == 1


async def test_two_hundred_and_no_more(house: House, sam: Someone, day: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "MOST", 2)
    await sam.says("pack")
    assert sam.offered.offer and "2 more are left out." in sam.offered.offer["description"]
    content = await sam.accepts_file()
    words = [text for page in words_of(content) for text in page]
    assert len(codes_on(words)) == 2 and any("2 more devices are not on it." in word for word in words)


async def test_nothing_open_nothing_to_take(house: House, dana: Someone, sam: Someone) -> None:
    assert (await sam.says("offline")).title == "No devices today. I will write when there are."
    assert "Only technicians" in (await dana.says("pack")).text
    assert (await dana.says("offline")).title == "No device is offline"  # what the word means to an admin


async def test_asked_in_a_channel_it_comes_in_the_own_chat(house: House, sam: Someone, day: None) -> None:
    channel = house.channel()
    assert (await channel.says("offline", by=sam)).texts == ["I wrote to you in chat."]
    assert sam.offered.offer


async def test_cards_where_teams_takes_no_files(house: House, sam: Someone, day: None) -> None:
    house.expected_errors.add("Teams refused a call")
    house.connector.troubled(sam.conversation, Fault(403))
    answer = await sam.says("offline")
    assert answer.title == "I cannot give you offline Sam.pdf here"
    assert (await sam.presses("List", on=answer)).title == "0 of 4 done"


async def test_a_file_that_did_not_arrive_is_offered_again(house: House, sam: Someone, day: None) -> None:
    await sam.says("offline")
    await sam.accepts_file(None, 500, 500, 500, 500)
    assert "could not be handed over" in sam.card.title
    await sam.presses("Try again")
    assert (await sam.accepts_file()).startswith(b"%PDF")


async def test_a_sheet_of_somebody_else_cannot_be_taken(house: House, sam: Someone, day: None) -> None:
    kim = await house.technician("Kim")
    await sam.says("offline")
    context = sam.offered.offer["acceptContext"]  # type: ignore[index]
    place = house.files.place()
    upload = {"name": "x.pdf", "uploadUrl": place, "contentUrl": "https://contoso-my.sharepoint.com/x"}
    value = {"type": "fileUpload", "action": "accept", "context": context, "uploadInfo": upload}
    await kim.decides(name="fileConsent/invoke", value=value)
    assert not any(house.files.uploads.values()) and "SheetMade" not in await house.facts()


# ------------------------------------------------------------------ genuine or not


async def test_a_sheet_is_genuine_and_says_how_it_stands(house: House, dana: Someone, sam: Someone, day: None) -> None:
    words = await taken(house, sam)
    seal, codes = seal_on(words), codes_on(words)
    await house.passes(minutes=40)
    await house.device(A).provision(codes[0])
    await sam.says("install 2.14")
    for someone in (sam, dana):
        answer = await someone.says(f"sheet {seal}")
        assert answer.title == "Genuine: made 07:30 for Sam" and "4 devices, 3 still open." in answer.texts
    photo = await sam.sends_picture(scanned(seal, f"install {A}"))
    assert photo.title == "Genuine: made 07:30 for Sam"
    typed = f"sheet {seal.lower().replace('.', '. ')}"
    assert (await sam.says(typed)).title == "Genuine: made 07:30 for Sam"


async def test_a_sheet_of_somebody_elses_says_no_more_than_that(house: House, sam: Someone, day: None) -> None:
    kim = await house.technician("Kim")
    seal = seal_on(await taken(house, sam))
    answer = await kim.says(f"sheet {seal}")
    assert answer.title == "Genuine, but made for somebody else" and "Sam" not in answer.all
    nobody = house.person("Nobody")
    assert "You have no access yet." in (await nobody.says(f"sheet {seal}")).all


async def test_what_was_changed_or_made_up_is_not_ours(house: House, sam: Someone, day: None) -> None:
    seal = seal_on(await taken(house, sam))
    other = seal_on(await taken(house, sam))
    head, number, signature = seal.split(".")
    last = "0" if signature[-1] != "0" else "1"
    forged = (
        f"{head}.{number}.{signature[:-1]}{last}",
        f"{head}.{other.split('.')[1]}.{signature}",
        f"{head}.AAAAAAAA.{signature}",
        f"{head}.{number}",
        "oslo",
        "x" * 5000,
    )
    for text in forged:
        answer = await sam.says(f"sheet {text}")
        assert "That is not one of our sheets, or it was changed." in answer.all, text


def qr_codes_of(content: bytes, path: Path) -> list[str]:
    """Those of the first page, read from a print without colours."""
    path.write_bytes(content)
    run = ["pdftoppm", "-r", "100", "-gray", "-f", "1", "-l", "1", "-png", str(path)]
    picture = subprocess.run(run, check=True, capture_output=True, timeout=60).stdout
    return [code.text for code in zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))]


@pytest.mark.skipif(not shutil.which("pdftoppm"), reason="pdftoppm is not installed")
async def test_the_qr_code_of_the_first_page_says_the_same(
    house: House, sam: Someone, day: None, tmp_path: Path
) -> None:
    await sam.says("offline")
    content = await sam.accepts_file()
    (seal,) = (text for text in qr_codes_of(content, tmp_path / "sheet.pdf") if text.startswith("PBS1"))
    assert (await sam.says(f"sheet {seal}")).title == "Genuine: made 07:30 for Sam"


# ------------------------------------------------------------------ and back


async def test_what_happened_meanwhile_reconciles_by_itself(
    house: House, dana: Someone, sam: Someone, day: None
) -> None:
    codes = codes_on(await taken(house, sam))
    house.by_itself = False  # nobody is reached for hours
    await house.passes(hours=3)
    for mac, code in zip((A, B, C), codes, strict=False):
        assert (await house.device(mac).provision(code)).status == 200
    await house.passes(hours=1)
    house.by_itself = True
    await house.settled()

    listed = await sam.says("list")
    assert listed.title == "0 of 4 done" and "3 called in, not confirmed." in listed.texts
    assert "2.14, ends 22:33, called in" in listed.texts and "Confirm all 3" in listed.buttons
    following = await sam.says("next")
    assert following.title == "Provisioned 10:30" and following.buttons[0] == "Confirm install"
    done = await sam.presses("Confirm all 3", on=listed)
    assert done.title == "3 installs confirmed"
    assert "Oslo, floor 2, room 2.14, Oslo, floor 2, room 2.16 and Oslo, floor 3, room 3.01" in done.texts
    for mac in (A, B, C):
        word = (await house.record(mac)).installed
        assert word and word.by_name == "Sam" and not word.mounting_only
    assert sam.card.title == "Next: Oslo, floor 3, room 3.02"
    assert (await house.facts()).count("InstallConfirmed") == 3


async def test_all_of_it_is_typed_and_a_second_time_changes_nothing(house: House, sam: Someone, day: None) -> None:
    codes = codes_on(await taken(house, sam))
    for mac, code in zip((A, B), codes, strict=False):
        await house.device(mac).provision(code)
    await sam.says("problem 2.16 screen is cracked")
    assert (await sam.says("install all")).title == "1 install confirmed"
    assert (await house.record(B)).installed is None  # somebody has to look at it
    again = await sam.says("install all")
    assert again.title == "Nothing to confirm: no device of yours has called in since."
    assert (
        "No signal there? offline makes a sheet. install all confirms what called in." in (await sam.says("list")).texts
    )


async def test_each_may_be_confirmed_by_itself(house: House, sam: Someone, day: None) -> None:
    codes = codes_on(await taken(house, sam))
    await house.device(A).provision(codes[0])
    listed = await sam.says("list")
    assert "1 called in, not confirmed." in listed.texts and listed.buttons == ["Next device"]
    assert (await sam.says("install 2.14 by the window")).title == "Saved 07:30."


async def test_the_same_tap_twice_confirms_once(house: House, sam: Someone, day: None) -> None:
    codes = codes_on(await taken(house, sam))
    for mac, code in zip((A, B), codes, strict=False):
        await house.device(mac).provision(code)
    await sam.says("list")
    await sam.presses("Confirm all 2")
    await sam.repeats()
    await sam.repeats(new_id=True)
    assert (await house.facts()).count("InstallConfirmed") == 2
