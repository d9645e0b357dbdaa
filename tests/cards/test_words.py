"""Words as people read them; and user text that stays what it is: text."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cards.words import (
    age,
    bar,
    by_every_rule,
    clock,
    code_groups,
    escape,
    listing,
    mac_dashed,
    mac_end,
    plain,
    until,
)
from provisioning.texts import Speech, speaking
from tests.cards.samples import HOSTILE

OSLO = Speech.of("en", "Europe/Oslo")
NOW = datetime(2026, 11, 21, 9, 45, tzinfo=UTC)  # a Saturday, 10:45 in Oslo


# ── user text ────────────────────────────────────────────────────────────────────────────────────────────────────

COMMONMARK = MarkdownIt("js-default")  # desktop: what Teams' own renderer is made of, with tables and strike-through

# What phones read as Markdown, whether or not a backslash stands before it (AdaptiveCards, shared object model).
PHONE_LINK = re.compile(r"\[[^\[\]]*\]\([^\s()]*\)")
PHONE_LIST = re.compile(r"^(-|\d+\.) ", re.MULTILINE)
CLIENT_LINK = re.compile(r"https?://|\bwww\.", re.IGNORECASE)
TAG = re.compile(r"<[A-Za-z/!?]")


def shown(markdown: str) -> str:
    """What a reader sees of one paragraph; fails when it is anything but text."""
    blocks = COMMONMARK.parse(markdown)
    assert [block.type for block in blocks] == ["paragraph_open", "inline", "paragraph_close"], blocks
    pieces = blocks[1].children or []
    assert {piece.type for piece in pieces} <= {"text", "text_special"}, pieces
    return "".join(piece.content for piece in pieces).replace("\u200b", "")


def visible(text: str) -> str:
    """Letters and marks of a text, without what nobody can see and without the kind of its spaces."""
    return re.sub(r"\s+", "", "".join(c for c in text if c.isprintable() or c in "\u200c\u200d"))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:12]))
def test_hostile_text_is_read_as_it_was_typed(text: str) -> None:
    assert visible(shown(escape(text))) == visible(text)


MARKUP = st.text(alphabet="ab1 .)-+*_`~#>|[](){}<&;:/!\\\"'=wW@\n\t\u200b\u202e👩é", min_size=1)


@given(MARKUP)
def test_no_text_becomes_markup_on_a_desktop(text: str) -> None:
    if escape(text):
        assert visible(shown(escape(text))) == visible(text)
        assert visible(shown(f"Next: {escape(text)} ({escape(text)})"))


@given(MARKUP)
def test_no_text_becomes_a_link_a_list_or_a_mention_on_a_phone(text: str) -> None:
    for line in (escape(text), f"{escape(text)} {escape(text)}", f"{escape(text)}{escape(text)}"):
        for construct in (PHONE_LINK, PHONE_LIST, CLIENT_LINK, TAG):
            assert not construct.search(line), (construct.pattern, line)


@pytest.mark.parametrize(
    "text",
    [
        "Oslo/Floor 2/2.14",
        "R&D (north)",
        "room_2_14@contoso.com",
        "80-5E-C0-11-22-33",
        "+47 22 33",
        "Plan B: #3",
        "5 > 3",
    ],
)
def test_everyday_text_stays_as_it_is(text: str) -> None:
    assert escape(text) == text


def test_lines_and_invisible_characters_go() -> None:
    assert escape(" a\r\n\tb\x00\u202ec\u2028d\ud800 ") == "a bc d"
    assert escape("👩‍🔧") == "👩‍🔧"


def test_a_long_word_may_wrap() -> None:
    assert escape("W" * 45).split("\u200b") == ["W" * 20, "W" * 20, "W" * 5]


@given(
    MARKUP
    | st.text("aZ09 ,./-wW", max_size=30)
    | st.lists(st.sampled_from(("www", "1.", "7", " ", "a" * 20))).map("".join)
)
def test_harmless_text_is_what_every_rule_leaves_alone(text: str) -> None:
    assert escape(text) == by_every_rule(text)


@given(MARKUP)
def test_plain_is_what_was_escaped(text: str) -> None:
    assert visible(plain(escape(text)).replace("\u200b", "")) == visible(text)


def test_plain_drops_the_marks_of_views() -> None:
    assert plain("**Bold**, *help*, _now_, a_b, [site](https://example.com)") == (
        "Bold, help, now, a_b, site (https://example.com)"
    )


# ── codes and addresses ──────────────────────────────────────────────────────────────────────────────────────────


def test_codes_and_macs() -> None:
    assert code_groups("482913760257") == "4829 1376 0257"
    assert code_groups("4829137602") == "4829 1376 02"
    assert code_groups("H7KQ2MPN") == "H7KQ 2MPN"
    assert code_groups("482913") == "482 913"
    assert code_groups("48291") == "4829 1"
    assert mac_dashed("805EC0112233") == "80-5E-C0-11-22-33"
    assert mac_end("805EC0112233") == "22:33"


# ── times ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_clock_is_the_reader_s() -> None:
    moment = datetime(2026, 11, 21, 6, 52, tzinfo=UTC)
    assert clock(moment) == "06:52"
    with speaking(OSLO):
        assert clock(moment) == clock(moment, NOW) == "07:52"
    with speaking(Speech.of("en", "Asia/Kolkata")):
        assert clock(moment) == "12:22"


def test_another_day_has_its_date() -> None:
    with speaking(OSLO):
        assert clock(NOW + timedelta(days=1), NOW) == "Sun 22 Nov 10:45"
        assert clock(NOW + timedelta(days=365), NOW) == "Sun 21 Nov 2027 10:45"


def test_a_day_changes_at_the_reader_s_midnight() -> None:
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)  # 00:30 on Sunday in Oslo
    assert until(late, NOW) == "23:30"
    with speaking(OSLO):
        assert until(late, NOW) == "00:30 tomorrow"
    with speaking(Speech.of("en", "America/Los_Angeles")):
        assert until(late, NOW) == "15:30"


def test_until() -> None:
    with speaking(OSLO):
        assert until(datetime(2026, 11, 22, 6, 30, tzinfo=UTC), NOW) == "07:30 tomorrow"
        assert until(datetime(2026, 11, 21, 18, 30, tzinfo=UTC), NOW) == "19:30"
        assert until(NOW + timedelta(days=2), NOW) == "Mon 23 Nov 10:45"


def test_twenty_four_hours_across_a_change_of_the_clocks() -> None:
    """On 25 October 2026 Europe goes back an hour, on 29 March forward: the same 24 h end at another o'clock."""
    with speaking(OSLO):
        autumn = datetime(2026, 10, 24, 10, 0, tzinfo=UTC)
        assert (clock(autumn), until(autumn + timedelta(hours=24), autumn)) == ("12:00", "11:00 tomorrow")
        spring = datetime(2026, 3, 28, 11, 0, tzinfo=UTC)
        assert (clock(spring), until(spring + timedelta(hours=24), spring)) == ("12:00", "13:00 tomorrow")
        twice = [clock(datetime(2026, 10, 25, hour, 30, tzinfo=UTC)) for hour in (0, 1, 2)]
        assert twice == ["02:30", "02:30", "03:30"]


def test_dates_speak_no_language_that_our_texts_do_not() -> None:
    with speaking(Speech.of("xx-unknown", "Nowhere/Never")):
        assert clock(NOW + timedelta(days=1), NOW) == "Sun 22 Nov 09:45"
        assert listing(["Dana", "Lee", "Kim"]) == "Dana, Lee and Kim"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3 * 60 + 59, "3 min ago"),
        (3600, "1 h ago"),
        (86_399, "23 h ago"),
        (86_400, "1 day ago"),
        (3 * 86_400, "3 days ago"),
    ],
)
def test_age(seconds: int, words: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == words


# ── amounts and lists ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("done", "total", "words"),
    [
        (38, 150, "■■□□□□□□□□ 25 %"),
        (0, 0, "□□□□□□□□□□ 0 %"),
        (999, 1000, "■■■■■■■■■□ 99 %"),
        (1000, 1000, "■■■■■■■■■■ 100 %"),
        (7, 5, "■■■■■■■■■■ 100 %"),
    ],
)
def test_bar(done: int, total: int, words: str) -> None:
    assert bar(done, total) == words


def test_listing() -> None:
    assert listing([]) == ""
    assert listing(["Dana"]) == "Dana"
    assert listing(["Dana", "Lee"]) == "Dana and Lee"
