"""How a rollout went: few points whatever its length, a line for each large site, never more than there is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.burnup import LINES, LOOK_BACK, MOST_STEPS, QUARTER, STEPS, Count, Span, lines_of
from provisioning.ports import TimelineRow

MORNING = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


# ------------------------------------------------------------------ the time it shows


@pytest.mark.parametrize(
    ("length", "step"),
    [
        (timedelta(), QUARTER),
        (timedelta(hours=29), QUARTER),
        (timedelta(hours=30), HOUR),
        (timedelta(days=4), HOUR),
        (timedelta(days=5), timedelta(hours=6)),
        (timedelta(days=29), timedelta(hours=6)),
        (timedelta(days=30), timedelta(days=1)),
        (timedelta(days=5_000), timedelta(days=1)),
    ],
)
def test_steps_grow_with_the_rollout(length: timedelta, step: timedelta) -> None:
    assert Span.of(MORNING, MORNING + length).step == step


@given(moments, moments)
def test_whatever_its_length_it_has_few_points_and_an_end(one: datetime, other: datetime) -> None:
    began, ends = sorted((one, other))
    span = Span.of(began, ends)
    assert 2 <= len(span.moments) <= MOST_STEPS + 1 and span.step in STEPS
    assert list(span.moments) == sorted(set(span.moments))
    assert span.since == span.moments[0] < span.until == span.moments[-1]
    assert ends <= span.until < ends + QUARTER or span.until == began
    assert span.since <= max(began, span.until - LOOK_BACK)


def test_it_stays_the_same_until_a_quarter_ends() -> None:
    spans = {Span.of(MORNING, MORNING + timedelta(hours=2, minutes=minutes)) for minutes in range(1, 16)}
    assert len(spans) == 1
    assert Span.of(MORNING, MORNING) == Span(MORNING - QUARTER, MORNING, QUARTER)


# ------------------------------------------------------------------ its lines


SPAN = Span(MORNING, MORNING + 3 * HOUR, HOUR)


def row(site: str, hours: int, count: int) -> TimelineRow:
    return TimelineRow(site, MORNING + hours * HOUR, count)


def heights(count: Count, *rows: TimelineRow) -> list[int]:
    (line,) = lines_of([count], rows, {}, SPAN)
    return [done for _at, done in line.points]


def test_a_line_rises_with_what_called_in() -> None:
    assert heights(Count("oslo", 8, 5), row("oslo", 0, 2), row("oslo", 2, 3)) == [0, 2, 2, 5]


def test_what_called_in_before_is_where_it_begins() -> None:
    assert heights(Count("oslo", 8, 6), row("oslo", 1, 3)) == [3, 3, 6, 6]


def test_it_is_never_beyond_its_total_nor_falls() -> None:
    """Counts and steps are not read at one moment; devices may have been reset in between."""
    assert heights(Count("oslo", 3, 2), row("oslo", 0, 3), row("oslo", 1, 3)) == [0, 3, 3, 3]


def test_a_last_step_may_be_shorter() -> None:
    span = Span(MORNING, MORNING + timedelta(hours=1, minutes=15), HOUR)
    (line,) = lines_of([Count("oslo", 8, 3)], [row("oslo", 0, 1), row("oslo", 1, 2)], {}, span)
    assert line.points == ((MORNING, 0), (MORNING + HOUR, 1), (span.until, 3))


def test_no_site_and_one_without_devices_have_no_line() -> None:
    assert lines_of([], [], {}, SPAN) == ()
    assert lines_of([Count("oslo", 0, 0)], [row("oslo", 0, 1)], {}, SPAN) == ()


@pytest.mark.parametrize(("sites", "lines"), [(1, 1), (8, 8), (9, 8), (40, 8)])
def test_the_largest_sites_have_lines_and_the_others_share_one(sites: int, lines: int) -> None:
    counts = [Count(f"s{n:02}", 100 - n, n) for n in range(sites)]
    steps = [row(f"s{n:02}", 0, n) for n in range(sites) if n]
    found = lines_of(counts, steps, {f"s{n:02}": 1 for n in range(sites)}, SPAN)
    assert len(found) == lines <= LINES
    assert sum(line.total for line in found) == sum(count.total for count in counts)
    assert sum(line.done for line in found) == sum(count.done for count in counts)
    assert sum(line.recent for line in found) == sites
    assert [line.site for line in found[:7]] == [f"s{n:02}" for n in range(min(sites, 7))]
    assert found[-1].site == ("" if sites > 8 else f"s{sites - 1:02}")
    assert all(line.points[0][1] == 0 for line in found)


def test_sites_that_nobody_counted_apart_are_among_the_others() -> None:
    counts = [Count("oslo", 10, 4), Count("", 30, 3)]
    oslo, others = lines_of(counts, [row("oslo", 0, 4), row("bergen", 1, 3)], {"bergen": 2}, SPAN)
    assert (oslo.site, oslo.done, oslo.recent) == ("oslo", 4, 0)
    assert (others.site, others.total, others.done, others.recent) == ("", 30, 3, 2)
    assert [done for _at, done in others.points] == [0, 0, 3, 3]
