"""Every language is complete: no text missing, no place of one lost, no button too long for a phone."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message

from cards.render import render
from provisioning.texts import Speech, _, languages, ngettext, speaking
from tests.cards.real_cards import real_cards
from tests.cards.rules import TITLE, check
from tests.cards.test_real_cards import ROW
from tests.messages import TEMPLATE, catalogs, compiled, read

HOUSE = Path(__file__).parents[1]
CATALOGS = {language: read(path) for language, path in catalogs().items()}


def texts_of(language: str) -> Iterator[Message]:
    return (message for message in CATALOGS[language] if message.id)


def forms(message: Message) -> Iterator[tuple[str, str]]:
    """(English, translated) of each plural form; a language with more forms than two repeats the English plural."""
    if isinstance(message.id, str):
        yield message.id, message.string
        return
    said = message.string if isinstance(message.string, tuple | list) else (message.string,)
    for number, text in enumerate(said):
        yield message.id[min(number, 1)], text


def places(text: str) -> set[str]:
    return {name for _text, name, _format, _conversion in string.Formatter().parse(text) if name is not None}


# ── complete ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_german_is_spoken() -> None:
    assert {"de", "en"} <= languages()
    with speaking(Speech.of("de-AT", None)):
        assert _("Cancel") == "Abbrechen"
        assert [ngettext("{n} device", "{n} devices", n) for n in (1, 2)] == ["1 Gerät", "2 Geräte"]


@pytest.mark.parametrize("language", CATALOGS)
def test_no_text_is_missing(language: str) -> None:
    there = {message.id: message for message in texts_of(language)}
    wanted = {message.id for message in read(TEMPLATE) if message.id}
    missing = [text for text in wanted if text not in there or not all(said for _en, said in forms(there[text]))]
    assert not missing, f"{language} lacks {len(missing)}: {missing}\nrun make messages, then translate them"
    assert not [text for text in there if text not in wanted], "run make messages"
    assert not [message.id for message in there.values() if message.fuzzy], "guessed, and read by nobody"
    count = CATALOGS[language].num_plurals
    assert not [id for id, message in there.items() if isinstance(id, tuple) and len(message.string) != count]


@pytest.mark.parametrize("language", CATALOGS)
def test_every_place_of_a_text_is_kept(language: str) -> None:
    wrong = [(en, said) for message in texts_of(language) for en, said in forms(message) if places(en) != places(said)]
    assert wrong == []


@pytest.mark.parametrize("language", CATALOGS)
def test_spaces_at_the_ends_and_ends_of_lines_are_kept(language: str) -> None:
    def ends(text: str) -> tuple[bool, bool, int]:
        return text.startswith(" "), text.endswith(" "), text.count("\n")

    wrong = [en for message in texts_of(language) for en, said in forms(message) if ends(en) != ends(said)]
    assert wrong == []


@pytest.mark.parametrize("language", CATALOGS)
def test_what_is_typed_stays_as_it_is(language: str) -> None:
    """`Or type: move {place} to …`: a command is understood in English alone."""
    words = re.compile(r"(?:Or type|Say|Type): ((?:[a-z#…]+|\{\w+\}|[A-Z]\w*(?= )|[,;:/.\d-])(?: |$))")
    wrong = [
        (en, said)
        for message in texts_of(language)
        for en, said in forms(message)
        if (found := words.search(en)) and found[1].strip(" ,.") not in said
    ]
    assert wrong == []


@pytest.mark.parametrize("language", CATALOGS)
def test_what_is_compiled_is_what_was_translated(language: str) -> None:
    assert catalogs()[language].with_suffix(".mo").read_bytes() == compiled(CATALOGS[language]), "run make messages"


def test_one_place_says_how_a_person_is_spoken_to() -> None:
    """`speech_of(person)`: whoever asks for the client's locale alone forgets what the person chose."""
    alone = re.compile(r"Speech\.of\((\w+)\.locale, *\1\.timezone\b")
    sources = [path for folder in ("bot", "cards", "provisioning") for path in (HOUSE / folder).rglob("*.py")]
    found = {(path.name, name) for path in sources for name in alone.findall(path.read_text(encoding="utf-8"))}
    assert found == {("door.py", "incoming")}  # before it is known who that is


# ── buttons ──────────────────────────────────────────────────────────────────────────────────────────────────────


def titles_of_buttons() -> Iterator[str]:
    """Every text that code hands to a button as its title."""
    for folder in ("cards", "bot"):
        for path in (HOUSE / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Button":
                    yield from _translated(node.args[1:2] + [k.value for k in node.keywords if k.arg == "title"])


def _translated(nodes: list[Any]) -> Iterator[str]:
    for part in (part for node in nodes for part in ast.walk(node)):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in ("_", "N_", "ngettext"):
            yield from (argument.value for argument in part.args[:1] if isinstance(argument, ast.Constant))


def test_the_buttons_of_the_code_are_found() -> None:
    assert {"Confirm install", "Cancel", "Save", "Yes"} <= set(titles_of_buttons())


@pytest.mark.parametrize("language", CATALOGS)
def test_a_button_is_short_in_every_language(language: str) -> None:
    titles = set(titles_of_buttons())
    said = [pair for message in texts_of(language) for pair in forms(message) if pair[0] in titles]
    assert {text for en, text in said if "{" not in en and len(text) > TITLE} == set()


# ── cards ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("language", CATALOGS)
def test_every_card_is_good_in_every_language(language: str) -> None:
    with speaking(Speech.of(language, "Europe/Berlin")):
        views = real_cards()
        cards = {name: render(view, operation="op-1", locale=language) for name, view in views.items()}
    assert {name: faults for name, card in cards.items() if (faults := check(card))} == {}
    rows = {name: [button.title for button in view.buttons] for name, view in views.items()}
    assert {name: titles for name, titles in rows.items() if sum(map(len, titles)) > ROW} == {}
    assert {card["lang"] for card in cards.values()} == {language}
