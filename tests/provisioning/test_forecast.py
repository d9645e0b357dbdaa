"""The forecast: worked out from what happened, within working hours, and silent where too little did."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.forecast import WINDOW, Pace, ahead, pace
from provisioning.hours import Hours

HOURS = Hours()  # 07:30 to 19:00, Monday to Friday
OSLO = ZoneInfo("Europe/Oslo")
MONDAY = datetime(2026, 11, 30, 13, 0, tzinfo=UTC)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_the_pace_is_what_the_last_two_hours_show() -> None:
    found = pace(44, MONDAY - WINDOW, 88, MONDAY, HOURS, UTC)
    assert found.per_hour == 22 and found.done_at == MONDAY + timedelta(hours=4)


def test_of_a_rollout_that_just_began_its_own_time_counts() -> None:
    found = pace(11, MONDAY - minutes(30), 22, MONDAY, HOURS, UTC)
    assert found.per_hour == 22 and found.done_at == MONDAY + minutes(60)


@pytest.mark.parametrize(("recent", "since"), [(2, WINDOW), (0, WINDOW), (10, minutes(14))])
def test_too_little_happened_to_tell(recent: int, since: timedelta) -> None:
    assert pace(recent, MONDAY - since, 88, MONDAY, HOURS, UTC) == Pace(recent)


def test_nothing_left_has_no_end_to_wait_for() -> None:
    found = pace(44, MONDAY - WINDOW, 0, MONDAY, HOURS, UTC)
    assert found.per_hour == 22 and found.done_at is None


def test_what_is_not_done_by_the_evening_goes_on_in_the_morning() -> None:
    assert ahead(MONDAY, timedelta(hours=7), HOURS, UTC) == datetime(2026, 12, 1, 8, 30, tzinfo=UTC)


def test_nobody_works_at_the_weekend_unless_they_do_now() -> None:
    friday, saturday = datetime(2026, 12, 4, 18, tzinfo=UTC), datetime(2026, 12, 5, 10, tzinfo=UTC)
    assert ahead(friday, timedelta(hours=2), HOURS, UTC) == datetime(2026, 12, 7, 8, 30, tzinfo=UTC)
    assert ahead(saturday, timedelta(hours=2), HOURS, UTC) == saturday + timedelta(hours=2)
    assert ahead(saturday, timedelta(hours=15), HOURS, UTC) == datetime(2026, 12, 7, 13, 30, tzinfo=UTC)


def test_whoever_works_at_night_works_until_midnight() -> None:
    night = datetime(2026, 11, 30, 21, tzinfo=UTC)
    assert ahead(night, timedelta(hours=2), HOURS, UTC) == night + timedelta(hours=2)
    assert ahead(night, timedelta(hours=4), HOURS, UTC) == datetime(2026, 12, 1, 8, 30, tzinfo=UTC)


def test_working_hours_are_those_of_the_place() -> None:
    assert ahead(MONDAY, timedelta(hours=6), HOURS, OSLO) == datetime(2026, 12, 1, 7, 30, tzinfo=UTC)


def test_a_day_on_which_clocks_change_is_as_long_as_it_is() -> None:
    every = Hours(morning=time(0), quiet=None, workdays=frozenset(range(7)))
    saturday = datetime(2026, 10, 24, 22, tzinfo=UTC)  # midnight in Oslo; that Sunday has 25 hours
    assert ahead(saturday, timedelta(hours=26), every, OSLO) == saturday + timedelta(hours=26)


def test_what_takes_months_has_no_forecast() -> None:
    assert ahead(MONDAY, timedelta(hours=800), HOURS, UTC) is None
    assert ahead(MONDAY, timedelta(hours=1), Hours(workdays=frozenset()), UTC) == MONDAY + timedelta(hours=1)
    assert ahead(MONDAY, timedelta(hours=99), Hours(workdays=frozenset()), UTC) is None


@given(st.integers(0, 500), st.integers(0, 7 * 24 * 60))
def test_more_work_is_never_done_earlier(hours: int, start: int) -> None:
    now = MONDAY + minutes(start)
    sooner, later = (ahead(now, timedelta(hours=h), HOURS, OSLO) for h in (hours, hours + 1))
    assert later is None or (sooner is not None and now <= sooner < later)
