"""Text from people and devices: one line, no hidden signs, not too long."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.errors import InvalidDuration, InvalidHour, InvalidLocation, TextTooLong
from provisioning.untrusted import clean, clean_location, parse_ahead, parse_duration


@pytest.mark.parametrize(
    ("hostile", "kept"),
    [
        ("  a \t b\r\nc ", "a b c"),
        ("a\u202eb\u2066c", "abc"),  # turns text around
        ("a\u200bb\ufeffc", "abc"),  # zero width
        ("a\x00b\x1bc", "abc"),
        ("a\ud800b", "ab"),  # half a surrogate pair
        ("e\u0301", "é"),
        ("👩\u200d🔧", "👩\u200d🔧"),  # a composed emoji stays whole
        ("<b>{{7*7}}</b> [x](y) **z**", "<b>{{7*7}}</b> [x](y) **z**"),  # harmless once it is shown as text
        ("\u202e", ""),
    ],
)
def test_hidden_signs_are_taken_out_and_the_rest_stays(hostile: str, kept: str) -> None:
    assert clean(hostile) == kept


def test_two_hundred_characters_are_enough() -> None:
    assert clean("x" * 200) == "x" * 200
    with pytest.raises(TextTooLong, match="201 characters, at most 200"):
        clean("x" * 201)


@given(st.text(max_size=300))
def test_whatever_comes_is_one_clean_line_or_too_long(text: str) -> None:
    try:
        line = clean(text)
    except TextTooLong:
        return
    assert len(line) <= 200
    assert clean(line) == line
    assert not set(line) & set("\n\r\t\x00\u202e\u2066\u200b")
    line.encode()


@pytest.mark.parametrize(
    ("typed", "location"),
    [(" Oslo / 2 /2.14 ", "Oslo/2/2.14"), ("Oslo", "Oslo"), ("/Oslo//2/", "Oslo/2"), ("The Hague/1", "The Hague/1")],
)
def test_the_levels_of_a_location_are_trimmed(typed: str, location: str) -> None:
    assert clean_location(typed) == location


@pytest.mark.parametrize("typed", ["", " ", "/", " / \u200b/ ", "x" * 201])
def test_a_location_that_is_none_is_told_what_one_looks_like(typed: str) -> None:
    with pytest.raises(InvalidLocation, match=r"Oslo/2/2\.14"):
        clean_location(typed)


@pytest.mark.parametrize(
    ("typed", "hours"),
    [("48h", 48), ("2d", 48), ("36", 36), ("1 hour", 1), ("7 days", 168), (" 24H ", 24), ("168", 168), ("1d", 24)],
)
def test_how_long_a_code_lives(typed: str, hours: int) -> None:
    assert parse_duration(typed) == timedelta(hours=hours)


@pytest.mark.parametrize("typed", ["", "0h", "8d", "169h", "1w", "-1h", "1.5h", "9999h", "soon", "h", "１ ０ h"])
def test_a_time_no_code_can_live_is_said_so(typed: str) -> None:
    with pytest.raises(InvalidDuration, match="1h to 7d"):
        parse_duration(typed)


OSLO = ZoneInfo("Europe/Oslo")
EVENING = datetime(2026, 11, 21, 20, 15, tzinfo=UTC)  # 21:15 in Oslo


@pytest.mark.parametrize(
    ("typed", "now", "meant"),
    [
        ("03:00", EVENING, "2026-11-22T02:00"),
        (" 3:00 ", EVENING, "2026-11-22T02:00"),
        ("21:16", EVENING, "2026-11-21T20:16"),
        ("21:15", EVENING, "2026-11-22T20:15"),  # this minute has begun
        ("2026-11-28 21:15", EVENING, "2026-11-28T20:15"),
        ("2026-11-22  3:00", EVENING, "2026-11-22T02:00"),
        ("2026-11-22T02:00:00+00:00", EVENING, "2026-11-22T02:00"),  # as a button says it
        ("02:30", datetime(2026, 3, 28, 20, tzinfo=UTC), "2026-03-29T01:30"),  # skipped: just after the gap
        ("02:30", datetime(2026, 10, 24, 20, tzinfo=UTC), "2026-10-25T00:30"),  # comes twice: the first time
    ],
)
def test_an_hour_ahead_is_on_the_writers_clock(typed: str, now: datetime, meant: str) -> None:
    assert parse_ahead(typed, now, OSLO) == datetime.fromisoformat(meant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "typed",
    [
        *("", "24:00", "3", "0300", "now", "tomorrow", "03:00 tomorrow", "-1:00", "03:00:00"),
        *("2026-11-21 21:15", "2026-11-28 21:16", "2026-11-22", "2026-11-22 25:00", "2026-02-30 03:00"),
        *("2026-11-21T20:00:00+00:00", "2026-11-22T02:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"),
    ],
)
def test_what_is_over_too_far_or_no_time_is_said_so(typed: str) -> None:
    with pytest.raises(InvalidHour, match="within the next 7 days"):
        parse_ahead(typed, EVENING, OSLO)
