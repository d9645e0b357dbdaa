"""What was typed → which function, with which arguments; what is near; what is half. Nothing is run here."""

from __future__ import annotations

import time

import pytest

from bot.handlers import all_routes
from bot.routing import LONGEST, Half, Match, Router
from bot.turn import Reply, Turn
from provisioning.errors import OutOfDate, TextTooLong
from provisioning.model import Actor, Role

TABLE = all_routes()
ADMIN = Actor("a", "Dana", "t", frozenset({Role.ADMIN}))
TECHNICIAN = Actor("s", "Sam", "t", frozenset({Role.TECHNICIAN}))
STRANGER = Actor("x", "Kim", "t")

SAID = {
    "help": ("help", {}),
    "HELP Issue": ("help", {"command": "Issue"}),
    "/hi": ("hi", {}),
    "  hello  ": ("hi", {}),
    "whoami": ("whoami", {}),
    "add": ("add", {}),
    "add 80-5E-C0-11-22-33 Oslo/2": ("add", {"lines": "80-5E-C0-11-22-33 Oslo/2"}),
    "add\n80-5E-C0-11-22-33 Oslo\n\n\n  80-5E-C0-11-22-34 Oslo  ": (
        "add",
        {"lines": "80-5E-C0-11-22-33 Oslo\n80-5E-C0-11-22-34 Oslo"},
    ),
    "devices": ("devices", {}),
    "devices waiting oslo": ("devices", {"words": "waiting oslo"}),
    "find 2.14": ("find", {"words": "2.14"}),
    "tag oslo lobby": ("tag", {"target": "oslo", "word": "lobby"}),
    "untag 2.14 East wing": ("untag", {"target": "2.14", "word": "East wing"}),
    "tags": ("tags", {}),
    "device 80 5e c0 11 22 33": ("device", {"device": "80 5e c0 11 22 33"}),
    "Move 2.14 To Oslo/2/2.15": ("move", {"device": "2.14", "location": "Oslo/2/2.15"}),
    "move room to let to Oslo/2": ("move", {"device": "room", "location": "let to Oslo/2"}),
    "replace 2.14 with 80-5E-C0-11-22-34": ("replace", {"device": "2.14", "mac": "80-5E-C0-11-22-34"}),
    "swap 2.14 2.16": ("swap", {"device": "2.14", "other": "2.16"}),
    "swap 2.14 and 2.16": ("swap", {"device": "2.14", "other": "2.16"}),
    "swap 2.14 with 2.16": ("swap", {"device": "2.14", "other": "2.16"}),
    "remove 2.14": ("remove_ask", {"device": "2.14"}),
    "undo": ("undo", {}),
    "issue": ("issue", {}),
    "issue oslo": ("issue", {"target": "oslo"}),
    "issue codes oslo": ("issue", {"target": "codes oslo"}),
    "issue all to Sam for 48h": ("issue", {"target": "all", "person": "Sam", "lifetime": "48h"}),
    "issue oslo for 2d": ("issue", {"target": "oslo", "lifetime": "2d"}),
    "issue oslo to Sam Fox": ("issue", {"target": "oslo", "person": "Sam Fox"}),
    "reissue oslo": ("reissue", {"target": "oslo"}),
    "assign oslo to Sam": ("assign", {"target": "oslo", "person": "Sam"}),
    "codes": ("codes", {}),
    "codes oslo": ("codes", {"site": "oslo"}),
    "code 2.14": ("code", {"device": "2.14"}),
    "new code 2.14": ("new_code", {"device": "2.14"}),
    "revoke 2.14": ("revoke", {"target": "2.14"}),
    "revoke access Sam": ("revoke_access", {"person": "Sam"}),
    "revoke access Sam to Kim": ("revoke_access", {"person": "Sam", "heir": "Kim"}),
    "people": ("people", {}),
    "grant sam@contoso.com technician": ("grant", {"person": "sam@contoso.com", "role": "technician"}),
    "next": ("next_device", {}),
    "list": ("my_devices", {}),
    "my   devices": ("my_devices", {}),
    "install 2.14": ("install", {"device": "2.14"}),
    "install 2.14 on the wall": ("install", {"device": "2.14", "note": "on the wall"}),
    "problem 2.14 no power": ("problem", {"device": "2.14", "note": "no power"}),
    "connect": ("connect", {}),
    "connect oslo": ("connect", {"site": "oslo"}),
    "disconnect": ("disconnect", {}),
    "rollout oslo": ("rollout", {"site": "oslo"}),
}


@pytest.mark.parametrize("said", SAID)
def test_what_is_said_finds_its_function_and_arguments(said: str) -> None:
    match = TABLE.match(said)
    assert isinstance(match, Match), match
    assert (match.route.name, dict(match.arguments)) == SAID[said]


@pytest.mark.parametrize("route", [r for r in TABLE.routes.values() if r.commands], ids=lambda route: route.name)
def test_every_command_finds_itself_as_help_shows_it(route) -> None:  # type: ignore[no-untyped-def]
    for command in route.commands:
        said = command.usage.replace("[", "").replace("]", "").replace("and|with", "and")
        match = TABLE.match(said)
        assert isinstance(match, Match) and match.route.name == route.name, said


@pytest.mark.parametrize(
    ("said", "name"),
    [("move 2.14", "move"), ("assign", "assign"), ("device", "device"), ("grant Sam", "grant"), ("revoke", "revoke"),
     ("swap 2.14", "swap"), ("new code", "new_code"), ("revoke access", "revoke")],
)  # fmt: skip
def test_half_a_command(said: str, name: str) -> None:
    found = TABLE.match(said)
    assert isinstance(found, Half | Match) and found.route.name == name


@pytest.mark.parametrize("said", ["", "2.14", "issueoslo", "good morning", "80-5E-C0-11-22-33", "listen", "nextdoor"])
def test_what_is_no_command(said: str) -> None:
    assert TABLE.match(said) is None


@pytest.mark.parametrize(
    ("said", "actor", "suggestion"),
    [
        ("isue oslo", ADMIN, "issue"),
        ("devcies", ADMIN, "devices"),
        ("hlep", ADMIN, "help"),
        ("instal 2.14", TECHNICIAN, "install"),
        ("nxt", TECHNICIAN, "next"),
        ("remvoe 2.14", TECHNICIAN, ""),
        ("remvoe 2.14", STRANGER, ""),
        ("whomai", STRANGER, "whoami"),
        ("make me a sandwich", ADMIN, ""),
        ("", ADMIN, ""),
        ("x" * 5000, ADMIN, ""),
    ],
)
def test_the_nearest_command_one_may_use(said: str, actor: Actor, suggestion: str) -> None:
    assert TABLE.suggest(said, actor).split(" ")[0] == suggestion


@pytest.mark.parametrize(
    ("said", "suggestion"),
    [
        ("strat 1.02", "start 1.02"),
        ("instal  2.14 left", "install 2.14 left"),
        ("nwe code 2.14", "new code 2.14"),
        ("strat", "start <device>"),
        ("nxt 2.14", "next"),
        ("instal 2.14 " + "x" * 500, "install <device> [<note>]"),
    ],
)
def test_a_suggestion_keeps_what_else_was_typed(said: str, suggestion: str) -> None:
    assert TABLE.suggest(said, TECHNICIAN) == suggestion


def test_help_lists_what_one_may_say() -> None:
    names = {who: {route.name for route in TABLE.help_for(actor)} for who, actor in
             (("admin", ADMIN), ("technician", TECHNICIAN), ("stranger", STRANGER))}  # fmt: skip
    assert {"issue", "remove_ask", "grant"} <= names["admin"] and "install" not in names["admin"]
    assert {"next_device", "install", "swap"} <= names["technician"] and "issue" not in names["technician"]
    assert names["stranger"] <= {"help", "hi", "language", "whoami", "rollout"}


def test_card_data_becomes_what_the_handler_takes() -> None:
    router = Router()

    @router.action("x")
    async def handler(turn: Turn, text: str, number: int = 0, yes: bool = False, maybe: str | None = None) -> Reply:
        """X."""
        return Reply()

    route = router.routes["handler"]
    assert route.arguments({"text": 7, "number": "12", "yes": "true", "else": "x", "maybe": None}) == {
        "text": "7",
        "number": 12,
        "yes": True,
    }
    forged = ({}, {"text": None}, {"text": {}}, {"text": []}, {"text": "a", "number": "-1"}, {"text": "x" * 40_000})
    for data in forged:
        with pytest.raises(OutOfDate):
            route.arguments(data)  # type: ignore[arg-type]


def test_two_functions_of_one_name_are_a_mistake() -> None:
    one, other = Router(), Router()

    async def handler(turn: Turn) -> Reply:
        """X."""
        return Reply()

    one.command("x")(handler)
    other.command("y")(handler)
    with pytest.raises(ValueError, match="two handlers"):
        one.include(other)


@pytest.mark.parametrize("filler", ["\n", " \n", "to ", "\n to\n", "for x ", "x "])
def test_a_long_message_is_read_in_no_time(filler: str) -> None:
    said = ("issue x" + filler * LONGEST)[: LONGEST - 2] + " y"
    begin = time.process_time()
    TABLE.match(said)
    TABLE.match(said.replace("issue", "move"))
    assert time.process_time() - begin < 1


def test_a_longer_message_is_refused_whole() -> None:
    with pytest.raises(TextTooLong):
        TABLE.match("add " + "x" * LONGEST)


def test_a_command_begins_with_a_word_that_finds_it() -> None:
    for usage in ("<device> please", "[now] go", "start|begin <device>", ""):
        with pytest.raises(ValueError, match="no word of its own"):
            Router().command(usage)(_do_nothing)


@pytest.mark.parametrize("said", ["ISSUE oslo", "ıſſue oslo", "issue\u2003oslo"])
def test_a_word_is_the_same_in_every_case_that_python_knows_of_it(said: str) -> None:
    match = TABLE.match(said)
    assert isinstance(match, Match)
    assert match.route.name == "issue"


async def _do_nothing(turn: Turn) -> Reply | None:
    return None
