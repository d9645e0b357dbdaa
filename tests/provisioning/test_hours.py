"""The morning message and the quiet hours on people's own clocks, also when those are put forward or back."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from provisioning.hours import Hours, midnight, moment

OSLO, AUCKLAND, HONOLULU = ZoneInfo("Europe/Oslo"), ZoneInfo("Pacific/Auckland"), ZoneInfo("Pacific/Honolulu")
MONDAY = date(2026, 3, 2)
FORWARD, BACK = date(2026, 3, 29), date(2026, 10, 25)  # two Sundays: 02:00 becomes 03:00, 03:00 becomes 02:00
EVERY_DAY = frozenset(range(7))


def at(text: str, day: date = MONDAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(text), UTC)


def due(hours: Hours, day: date, zone: ZoneInfo) -> Sequence[datetime]:
    """The minutes around this day in which its morning message is due."""
    minutes = (at("00:00", day) + timedelta(minutes=n) for n in range(-24 * 60, 48 * 60))
    return [now for now in minutes if hours.greeted_now(now, zone) == day]


@pytest.mark.parametrize(
    ("zone", "first"),
    [(OSLO, at("06:30")), (AUCKLAND, at("18:30") - timedelta(days=1)), (HONOLULU, at("17:30")), (UTC, at("07:30"))],
)
def test_the_morning_is_everybodys_own_and_is_caught_up_until_noon(zone: ZoneInfo, first: datetime) -> None:
    found = due(Hours(), MONDAY, zone)
    assert (found[0], found[-1]) == (first, first + timedelta(hours=4, minutes=29))


def test_there_is_none_on_the_weekend() -> None:
    saturday = MONDAY + timedelta(days=5)
    assert not due(Hours(), saturday, OSLO)
    assert due(Hours(workdays=frozenset({5})), saturday, OSLO)


@pytest.mark.parametrize(
    ("day", "morning", "first"),
    [
        (FORWARD, "02:30", "01:30"),  # a time that does not exist: 03:30 by the clock
        (BACK, "02:30", "00:30"),  # one that comes twice: the first
        (FORWARD, "07:30", "05:30"),
        (BACK, "07:30", "06:30"),
    ],
)
def test_when_clocks_change_the_morning_comes_once(day: date, morning: str, first: str) -> None:
    found = due(Hours(morning=time.fromisoformat(morning), workdays=EVERY_DAY), day, OSLO)
    assert found[0] == at(first, day)
    assert found[-1] - found[0] == timedelta(minutes=len(found) - 1)  # one span, without a gap


def test_a_late_shift_is_written_to_until_midnight() -> None:
    found = due(Hours(morning=time(13)), MONDAY, OSLO)
    assert (found[0], found[-1]) == (at("12:00"), at("22:59"))


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("17:59", None),
        ("18:00", "06:00+1"),
        ("23:30", "06:00+1"),
        ("05:59", "06:00"),
        ("06:00", None),
        ("12:00", None),
    ],
)
def test_quiet_hours_are_ones_own(now: str, until: str | None) -> None:
    day = MONDAY + timedelta(days=1) if until and until.endswith("+1") else MONDAY
    assert Hours().quiet_until(at(now), OSLO) == (at(until[:5], day) if until else None)


def test_quiet_hours_within_one_day_and_none() -> None:
    siesta = Hours(quiet=(time(12), time(14)))
    assert siesta.quiet_until(at("12:30"), UTC) == at("14:00") == siesta.told_at(at("12:30"), UTC)
    assert siesta.told_at(at("14:00"), UTC) == at("14:00")
    assert Hours(quiet=None).quiet_until(at("03:00"), UTC) is None


@pytest.mark.parametrize(("day", "end"), [(FORWARD, "05:00"), (BACK, "06:00")])
def test_a_night_in_which_clocks_change_ends_by_the_clock(day: date, end: str) -> None:
    assert Hours().quiet_until(at("00:30", day), OSLO) == at(end, day)


def test_a_day_begins_at_its_own_midnight() -> None:
    assert midnight(at("23:30"), OSLO) == at("23:00")
    assert midnight(at("22:30"), OSLO) == at("23:00") - timedelta(days=1)
    assert moment(BACK, time(12), OSLO) == at("11:00", BACK)


@pytest.mark.parametrize(("text", "quiet"), [("06:30", True), ("07:00", False), ("18:59", False), ("19:00", True)])
def test_a_morning_within_the_quiet_hours_is_noticed(text: str, quiet: bool) -> None:
    assert Hours().quiets(time.fromisoformat(text)) is quiet
