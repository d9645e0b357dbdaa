"""Every card of the product in each of its states, held against the rules of phones, also with hostile texts."""

import pytest

from cards.render import render
from tests.cards import rules
from tests.cards.real_cards import real_cards
from tests.cards.samples import HOSTILE

ROW = 40  # characters of a row of buttons that a phone shows whole, when it has two or three of them
CARDS = real_cards()


def faults(card):
    return [f"{rule.__name__}: {fault}" for rule in rules.RULES for fault in rule(card)]


@pytest.mark.parametrize("name", CARDS)
def test_a_card_keeps_the_rules_of_phones(name: str) -> None:
    assert faults(render(CARDS[name], operation="op-1")) == []


@pytest.mark.parametrize("name", CARDS)
def test_its_buttons_stand_in_a_row(name: str) -> None:
    titles = [button.title for button in CARDS[name].buttons]
    assert len(titles) <= 4 and sum(map(len, titles)) <= ROW, titles


@pytest.mark.parametrize("text", HOSTILE[:6])
def test_what_people_typed_breaks_no_card(text: str) -> None:
    for name, view in real_cards(location=text[:200] or "-", name=text[:200], words=text[:200]).items():
        assert faults(render(view, operation="op-1")) == [], name


def test_no_push_line_holds_a_code() -> None:
    assert not [name for name, view in CARDS.items() if "4829" in view.push or "4829" in view.title]
