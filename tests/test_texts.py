"""Every text that a person reads can be translated, and translators are given all of them."""

import ast
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po

from bot.handlers import all_routes
from cards.render import render
from cards.view import Button, ChoiceInput, Fact, FormCard, Notice, TextInput
from cards.words import age, clock, until
from provisioning.texts import (
    N_,
    Speech,
    _,
    current_speech,
    ngettext,
    speaking,
    speech_of,
    to_operator,
)
from tests.cards.test_words import NOW
from tests.messages import TEMPLATE, extract
from tests.pseudo import pseudo, pseudo_operator, untranslated

HOUSE = Path(__file__).parents[1]
WHO_SPEAKS = ("app.py", "bot", "cards", "provisioning", "storage")
KEYWORDS = {"_": None, "N_": None, "to_operator": None, "ngettext": (1, 2)}
REFRESH = "make messages"

MessageId = str | tuple[str, ...]


# ── speaking ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_places_are_filled_and_braces_of_users_stay() -> None:
    assert _("Next: {place}", place="{x} {{7*7}}") == "Next: {x} {{7*7}}"
    assert ngettext("{n} device", "{n} devices", 1) == "1 device"
    assert ngettext("{n} device", "{n} devices", 12) == "12 devices"
    assert N_("Waiting") == "Waiting"


def test_speech_lasts_as_long_as_its_block() -> None:
    before = current_speech()
    with speaking(Speech.of("de-DE", "Europe/Berlin")):
        assert current_speech().locale == "de-DE"
    assert current_speech() is before


@pytest.mark.parametrize(
    "zone", [None, "", "Nowhere/Never", "../../etc/passwd", "/etc/localtime", "a\x00b", "W" * 9999]
)
def test_an_unknown_zone_is_utc(zone: str | None) -> None:
    assert str(Speech.of("en", zone).timezone) == "UTC"


@pytest.mark.parametrize("locale", ["xx", "../../etc", "", "en-US-x-evil", "a\x00b", "W" * 9999, "zh-Hant-TW"])
def test_an_unknown_language_is_english(locale: str) -> None:
    with speaking(Speech.of(locale, None)):
        assert _("just now") == "just now"
        assert clock(NOW, NOW) == "09:45"


@pytest.mark.parametrize(
    ("environ", "locale"),
    [
        ({"LANG": "de_DE.UTF-8"}, "de_DE"),
        ({"LANG": "de_DE.UTF-8@euro", "LC_MESSAGES": "nb_NO@x"}, "nb_NO"),
        ({"LANG": "de_DE", "LC_MESSAGES": "nb_NO", "LC_ALL": "fr"}, "fr"),
        ({"LANG": "de_DE", "LC_ALL": ""}, "de_DE"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "POSIX"}, "en"),
        ({}, "en"),
    ],
)
def test_the_operator_is_spoken_to_as_the_environment_says(environ: dict[str, str], locale: str) -> None:
    assert speech_of(environ) == Speech(locale)


def test_a_reason_is_in_the_operators_language_whoever_asked() -> None:
    with speaking(Speech.of("en", None)), pseudo_operator():
        assert _("Saved {time}.", time="09:45") == "Saved 09:45."
        assert to_operator("{path} was closed.", path="/srv") == "⟦/srv was closed.⟧"
    with pseudo():
        assert to_operator("{path} was closed.", path="/srv") == "/srv was closed."


def test_where_nobody_else_reads_the_operator_does_in_every_thread() -> None:
    with pseudo_operator(), ThreadPoolExecutor(1) as other:
        assert _("Saved {time}.", time="09:45") == "⟦Saved 09:45.⟧"
        assert other.submit(_, "just now").result() == "⟦just now⟧"


# ── nothing forgotten ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_pseudo_language_brackets_what_is_translated() -> None:
    with pseudo():
        assert _("Next: {place}", place="2.14") == "⟦Next: 2.14⟧"
        assert ngettext("{n} device", "{n} devices", 2) == "⟦2 devices⟧"
        assert age(NOW, NOW) == "⟦just now⟧"
        assert until(NOW.replace(day=23), NOW) == "⟦Mon 23 Nov 09:45⟧"


def test_forgotten_texts_are_found_wherever_they_stand() -> None:
    with pseudo():
        view = FormCard(
            title="Forgotten title",
            lines=(_("Found by {who}", who=_("Dana")), "80-5E-C0-11-22-33", "2.14: 07:52", "Oslo"),
            facts=(Fact(_("Site"), "Oslo"), Fact("Forgotten label", "12")),
            inputs=(
                TextInput(id="a", label=_("Note"), placeholder="Forgotten hint", required_message="Forgotten message"),
                ChoiceInput(id="b", label="Forgotten input", choices=(("x", "Forgotten choice"), ("y", "Sam Berg"))),
            ),
            buttons=(Button("a", _("Save")), Button("b", "Forgotten button")),
        )
        found = untranslated(render(view, operation="op"), "Oslo", "Sam Berg")
    assert sorted(found) == sorted(
        f"Forgotten {word}" for word in ("title", "label", "hint", "message", "input", "choice", "button")
    )


def test_a_translated_card_has_nothing_to_find() -> None:
    with pseudo():
        view = Notice(title=_("Saved {time}.", time=clock(NOW)), small=(_("Or type *help*."),))
        assert untranslated(render(view, operation="op")) == []


# ── what translators are given ───────────────────────────────────────────────────────────────────────────────────


def sources() -> Iterator[Path]:
    for name in WHO_SPEAKS:
        yield from (HOUSE / name).rglob("*.py") if (HOUSE / name).is_dir() else (HOUSE / name,)


def messages_of_the_code() -> Iterator[tuple[MessageId, str]]:
    for path in sources():
        for line, message, _comments, _context in extract_from_file(extract, path, keywords=KEYWORDS):
            yield message, f"{path.relative_to(HOUSE).as_posix()}:{line}"


def test_translators_are_given_every_text() -> None:
    with TEMPLATE.open("rb") as file:
        known = {message.id for message in read_po(file) if message.id}
    missing = {message: place for message, place in messages_of_the_code() if message not in known}
    assert not missing, f"{TEMPLATE.name} lacks {missing}\nrun: {REFRESH}"


def test_the_command_collects_what_is_collected_here() -> None:
    command = (
        (HOUSE / "Makefile").read_text(encoding="utf-8").partition("\nmessages:")[2].partition("\t$(PY) -m tests")[0]
    )
    assert command.split()[-len(WHO_SPEAKS) :] == list(WHO_SPEAKS)
    assert {name.partition(":")[0] for name in re.findall(r"-k (\S+)", command)} == KEYWORDS.keys()


def test_translators_are_given_the_help_of_every_command() -> None:
    found = {message for message, _place in messages_of_the_code()}
    assert {route.summary for route in all_routes().routes.values() if route.summary} - found == set()


def texts_made_at_run_time(source: str) -> Iterator[int]:
    """Lines that translate an f-string or a sum: no translator is ever given what they make."""
    for node in ast.walk(ast.parse(source)):
        named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEYWORDS
        if named and any(isinstance(part, ast.JoinedStr | ast.BinOp) for part in node.args[:2]):
            yield node.lineno


def test_a_text_is_whole_where_it_is_translated() -> None:
    found = {
        path.relative_to(HOUSE).as_posix(): lines
        for path in sources()
        if (lines := list(texts_made_at_run_time(path.read_text(encoding="utf-8"))))
    }
    assert found == {}
    assert list(texts_made_at_run_time('_(f"{n} devices")\n_("a" + b)\n_("fine {n}", n=a + b)')) == [1, 2]
