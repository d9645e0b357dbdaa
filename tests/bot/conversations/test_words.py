"""What people really type: any notation, half a command, a slip of the finger, a word that can mean two things."""

import pytest

from provisioning.model import Device
from tests.bot.chat import House, Someone
from tests.cards.samples import HOSTILE

A, B, C = "80-5E-C0-11-22-33", "80-5E-C0-11-22-34", "80-5E-C0-77-22-33"
NOTATIONS = (
    "80-5E-C0-11-22-33",
    "80:5e:c0:11:22:33",
    "805e.c011.2233",
    "805EC0112233",
    "80 5e c0 11 22 33",
    "805e c011 2233",
    "８０５ＥＣ０１１２２３３",
    "22:33",
    "2233",
    "Oslo/2/2.14",
    "oslo/2/2.14",
    "2.14",
    "oslo 2.14",
    "the device 2.14",
)
NO_MACS = {
    "80-5E-C0-11-22": "wrong length: 10 digits, a MAC has 12",
    "805EC01122334": "wrong length: 13 digits, a MAC has 12",
    "01-5E-C0-11-22-33": "is a multicast address, which no device has",
    "FF:FF:FF:FF:FF:FF": "is a broadcast address, which no device has",
    "1.23E+11": "was changed to a number by a spreadsheet",
    "80-5G-C0-11-22-33": "is not a MAC address",
}


@pytest.fixture
async def oslo(house: House, dana: Someone) -> None:
    await dana.says(f"add {A} Oslo/2/2.14\n{B} Oslo/2/2.16")


@pytest.mark.parametrize("written", NOTATIONS)
async def test_a_device_in_any_notation(house: House, dana: Someone, oslo: None, written: str) -> None:
    card = await dana.says(f"device {written}")
    assert card.title == "2.14: waiting for activation", card.all
    bare = await dana.says(written)
    assert bare.title == "2.14: waiting for activation", bare.all


@pytest.mark.parametrize("written", NOTATIONS[:7])
async def test_a_mac_is_added_in_any_notation_and_only_once(house: House, dana: Someone, written: str) -> None:
    assert (await dana.says(f"add {written} Oslo/2/2.14")).title == "1 device saved"
    assert (await dana.says(f"add {A} Oslo/2/2.14")).title == "No change, it was already here"
    other = await dana.says(f"add {A} Oslo/2/2.15")
    assert "80-5E-C0-11-22-33 is already on the list, at Oslo/2/2.14. Use move to change its place." in other.all


async def test_what_is_no_mac_gets_an_error_that_says_what_to_do(house: House, dana: Someone) -> None:
    for written, reason in NO_MACS.items():
        answer = await dana.says(f"add {written} Oslo/2/2.14")
        assert answer.title == "One line needs fixing. Nothing is saved." and reason in answer.all, written
    assert (await dana.says("devices")).title == "0 devices"


async def test_several_lines_are_saved_together_or_not_at_all(house: House, dana: Someone) -> None:
    lines = f"add {A} Oslo/2/2.14\n80-5E-C0-11-22 Oslo/2/2.15\nadd {A} Oslo/2/2.17\n\n{B}, Oslo/2/2.16"
    faults = await dana.says(lines)
    assert faults.title == "2 lines need fixing. Nothing is saved."
    assert "Line 2:" in faults.all and "Line 3:" in faults.all
    assert (await dana.says("devices")).title == "0 devices"
    assert (await dana.says(f"add {A} Oslo/2/2.14\n\nadd {B} Oslo/2/2.16")).title == "2 devices saved"


async def test_too_many_lines_for_a_message_are_read_as_a_sheet(house: House, dana: Someone) -> None:
    lines = "\n".join(f"80-5E-C0-22-{n // 256:02X}-{n % 256:02X} Oslo/{n}" for n in range(201))
    await dana.says("add " + lines)
    assert dana.card.title == "201 ready. Nothing is saved yet."
    assert await house.store.count(Device) == 0


@pytest.mark.parametrize(
    ("said", "pressed", "title"),
    [
        ("device 2233", "Oslo/2/2.14 · 22:33", "2.14: waiting for activation"),
        ("2233", "Oslo/2/2.14 · 22:33", "2.14: waiting for activation"),
        ("find 2233", None, "2 devices: 2233"),
        ("issue 2233", "Oslo/2/2.14 · 22:33", "1 code issued"),
        ("remove 2233", "Bergen/1/1.01 · 22:33", "Remove Bergen, floor 1, room 1.01?"),
        ("move 2233 to Oslo/2/2.15", "Oslo/2/2.14 · 22:33", "2.15: waiting for activation"),
        ("replace 2233 with 80-5E-C0-99-99-99", "Oslo/2/2.14 · 22:33", "2.14: waiting for activation"),
        ("swap 2233 2.16", "Oslo/2/2.14 · 22:33", "Swapped"),
        ("swap 2.16 2233", "Oslo/2/2.14 · 22:33", "Swapped"),
    ],
)
async def test_an_ambiguous_device_is_asked_and_the_press_goes_on(
    house: House, dana: Someone, oslo: None, said: str, pressed: str | None, title: str
) -> None:
    await dana.says(f"add {C} Bergen/1/1.01")
    before = await house.everything()
    answer = await dana.says(said)
    if pressed is None:
        assert answer.title == title
        return
    assert answer.title == '"2233" can mean more than one. Which one?', answer.all
    assert "Oslo/2/2.14 · 22:33" in answer.all and "Bergen/1/1.01 · 22:33" in answer.all
    assert (await house.everything())["Device"] == before["Device"]
    button = next(button for button in answer.buttons if button[:12] == pressed[:12])
    assert (await dana.presses(button)).title == title


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("install 2233 on the wall", "Saved 07:30."),
        ("problem 2233 no power", "Problem sent"),
        ("new code 2233", None),
        ("code 2233", None),
        ("2233", None),
    ],
)
async def test_a_technician_is_asked_as_well(
    house: House, dana: Someone, sam: Someone, oslo: None, said: str, title: str | None
) -> None:
    await dana.says(f"add {C} Bergen/1/1.01")
    await dana.says("issue all to Sam")
    first = await sam.says(f"code {A}")
    if said.startswith("install"):
        await house.device(A).provision(first.code)
    answer = await sam.says(said)
    assert answer.title == '"2233" can mean more than one. Which one?', answer.all
    button = next(button for button in answer.buttons if button.startswith("Oslo"))
    done = await sam.presses(button)
    assert done.title == title if title else done.code
    if "wall" in said:
        assert (await house.record(A)).installed.note == "on the wall"  # type: ignore[union-attr]


async def test_one_digit_off_is_asked_never_assumed(house: House, dana: Someone, oslo: None) -> None:
    asked = await dana.says("remove 80-5E-C0-11-22-3B")
    assert asked.title == "80-5E-C0-11-22-3B is not on the list. Did you mean 2.14, ends 22:33?"
    assert (await dana.presses("2.14, ends 22:33")).title == "Remove Oslo, floor 2, room 2.14?"


async def test_two_people_of_one_name_are_told_apart(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    one, other = house.person("Kim Lund"), house.person("Kim Lund")
    await one.says("hi")
    await other.says("hi")
    asked = await dana.says("grant Kim Lund technician")
    assert asked.title == '"Kim Lund" can mean more than one. Which one?' and len(asked.buttons) == 2
    await dana.presses(asked.buttons[0])
    roles = [(await kim.says("whoami")).facts["Role"] for kim in (one, other)]
    assert sorted(roles) == ["Technician", "no access"]


async def test_the_beginning_of_a_name_is_asked_about(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    assert (await dana.says("assign oslo to Sa")).title == 'I know nobody called "Sa". Whom do you mean?'
    assert (await dana.presses(dana.card.buttons[0])).title == "2 devices are with Sam now"


async def test_an_unknown_person_says_how_people_become_known(house: House, dana: Someone, oslo: None) -> None:
    for words in ("issue oslo to Zoe", "assign oslo to Zoe", "grant Zoe admin", "revoke access Zoe"):
        assert 'I know nobody called "Zoe". Ask them to say hi to me' in (await dana.says(words)).all, words


async def test_an_unknown_command_gets_the_nearest_one_which_is_not_run(
    house: House, dana: Someone, oslo: None
) -> None:
    before = await house.everything()
    for said, nearest in (("isue oslo", "issue"), ("remvoe 2.14", "remove"), ("devcies", "devices"), ("undp", "undo")):
        answer = await dana.says(said)
        assert f'I do not know "{said}".' in answer.all
        assert f"Did you mean: {nearest}" in answer.all, answer.all
    assert await house.everything() == before
    assert "help shows what I understand." in (await dana.says("make me a sandwich")).all


async def test_suggestions_never_name_what_one_may_not_use(house: House, dana: Someone, sam: Someone) -> None:
    assert "remove" not in (await sam.says("remvoe")).all


async def test_half_a_command_shows_how_it_goes_on(house: House, dana: Someone, oslo: None) -> None:
    for said, usage in (
        ("move 2.14", "move ‹device› to ‹location›"),
        ("assign", "assign ‹target› to ‹person›"),
        ("replace 2.14", "replace ‹device› with ‹mac›"),
        ("grant", "grant ‹person› ‹role›"),
        ("revoke", "revoke ‹target›"),
        ("device", "device ‹device›"),
        ("find", "find ‹words›"),
    ):
        answer = await dana.says(said)
        assert answer.title == "Something is missing" and usage in answer.all, answer.all


async def test_a_wrong_role_names_the_right_ones(house: House, dana: Someone, sam: Someone) -> None:
    assert '"king" is not one of: admin, technician.' in (await dana.says("grant Sam king")).all


async def test_no_permission_says_who_may(house: House, dana: Someone, sam: Someone, oslo: None) -> None:
    await dana.says("assign 2.14 to Sam")
    for words in (
        f"add {C} Oslo/1",
        "remove 2.14",
        "move 2.14 to x",
        "issue",
        "issue oslo",
        "codes",
        "grant Sam admin",
        "people",
        "undo",
    ):
        assert (await sam.says(words)).text == "Only admins can do that. Ask one of your admins.", words
    for words in ("next", "list", "install 2.14", "problem 2.14 x", "new code 2.14"):
        assert (await dana.says(words)).text == "Only technicians can do that. Ask one of your admins.", words


async def test_help_explains_one_command_and_pages_all(house: House, dana: Someone) -> None:
    page = await dana.says("help")
    assert page.title == "What you can say" and "More" in page.buttons
    assert (await dana.presses("More")).all != page.all
    one = await dana.says("help issue")
    assert "issue ‹target› [to ‹person›] [by ‹split›] [for ‹lifetime›]" in one.all
    assert "Did you mean" in (await dana.says("help isue")).all


async def test_an_empty_message_is_a_greeting(house: House, dana: Someone) -> None:
    assert (await dana.says("   ")).title.startswith("Hello Dana")


async def test_hostile_text_becomes_nothing_but_text(house: House, dana: Someone, sam: Someone) -> None:
    house.by_itself = False
    for number, text in enumerate(HOSTILE):
        flat = " ".join(text.encode("utf-16", "ignore").decode("utf-16").replace("\x00", "").split())[:100]
        await dana.says(f"add 80-5E-C0-33-00-{number:02X} Oslo/{flat}")
        await dana.says(f"device 80-5E-C0-33-00-{number:02X}")
        await dana.says(flat)
        await dana.says(f"find {flat}")
        await dana.says(f"grant {flat} admin")
        await dana.says(f"issue oslo to {flat}")
    await dana.says("devices")
    await house.settled()


async def test_text_no_person_types_is_refused_in_words(house: House, dana: Someone, oslo: None) -> None:
    for text in ("device a\x00b", "find \x00", "grant \x00 admin", "add 80-5E-C0-11-22-39 a\x00b"):
        answer = await dana.says(text)
        assert answer.texts and "fault is ours" not in answer.all, text


@pytest.mark.parametrize("asked", ["devices waiting oslo", "devices oslo waiting", "devices Oslo awaiting activation"])
async def test_state_and_site_are_said_in_either_order(house: House, dana: Someone, asked: str) -> None:
    await dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14\n80-5E-C0-11-22-34 Bergen/1.01")
    listed = await dana.says(asked)
    assert listed.title.startswith("1 device") and "22-33" in listed.all


async def test_a_pasted_row_with_bars_is_split_at_them(house: House, dana: Someone) -> None:
    await dana.says("add 80-5E-C0-11-22-33 | Oslo/2/2.14")
    assert "Oslo, floor 2, room 2.14" in (await dana.says("device 22:33")).all
