"""How a rollout went: of each site how many devices had called in by when. What a picture of it is drawn from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning.ports import TimelineRow

STEPS: Final = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
MOST_STEPS: Final = 120
LOOK_BACK: Final = STEPS[-1] * (MOST_STEPS - 1)  # what lies before is counted as a height to begin with
QUARTER: Final = STEPS[0]  # a picture ends at one, so that it stays the same while nothing happens
RECENT: Final = timedelta(hours=2)  # over which a rate is told
LINES: Final = 8  # as many as people tell apart; the smallest sites share the last one
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SiteLine:
    """One site, or several small ones together. `points` are (moment, devices that had called in by then)."""

    site: str  # as it is written on its devices; empty for several together
    total: int
    points: tuple[tuple[datetime, int], ...]
    recent: int = 0  # called in within `RECENT`

    @property
    def done(self) -> int:
        return self.points[-1][1]


@dataclass(frozen=True, slots=True)
class BurnUp:
    """The largest sites first. No lines: nothing has called in, so there is nothing to draw."""

    scope: str  # as it is said: "Oslo", "#lobby"; "" for everything
    since: datetime
    until: datetime
    lines: tuple[SiteLine, ...] = ()

    @property
    def done(self) -> int:
        return sum(line.done for line in self.lines)

    @property
    def total(self) -> int:
        return sum(line.total for line in self.lines)

    @property
    def recent(self) -> int:
        return sum(line.recent for line in self.lines)


@dataclass(frozen=True, slots=True)
class Span:
    """The time a picture shows, in steps that are few enough to draw: `since` is the beginning of one."""

    since: datetime
    until: datetime
    step: timedelta

    @classmethod
    def of(cls, began: datetime, ends: datetime) -> Span:
        """From the step in which it began to the next quarter of an hour; of a long one the last `LOOK_BACK`."""
        until = _EPOCH - (_EPOCH - ends) // QUARTER * QUARTER
        began = max(min(began, until - QUARTER), until - LOOK_BACK)
        step = next((s for s in STEPS if until - began <= s * (MOST_STEPS - 1)), STEPS[-1])
        return cls(_EPOCH + (began - _EPOCH) // step * step, until, step)

    @property
    def moments(self) -> tuple[datetime, ...]:
        """Its beginning and the end of each step; the last one may be shorter."""
        count = -((self.since - self.until) // self.step)
        return (self.since, *(min(self.since + self.step * n, self.until) for n in range(1, count + 1)))


@dataclass(frozen=True, slots=True)
class Count:
    """Of one site, case-folded (or without a name, of all that are not named): devices, and how many have called in."""

    site: str
    total: int
    done: int


def lines_of(
    counts: Iterable[Count], steps: Sequence[TimelineRow], recent: Mapping[str, int], span: Span
) -> tuple[SiteLine, ...]:
    """A line for each of the largest sites, and one for all others; names are still case-folded.

    What has called in before the span, or since the counts were taken, moves a line up as a whole, never beyond its
    total: the store is not read at one moment.
    """
    ordered = sorted((c for c in counts if c.total > 0), key=lambda c: (not c.site, -c.total, c.site))
    named = sum(1 for count in ordered if count.site)
    shown = ordered[:named] if len(ordered) <= LINES else ordered[: LINES - 1]
    rest = ordered[len(shown) :]
    apart = {count.site for count in shown}
    lines = [_line(count.site, [count], {count.site}, steps, recent, span) for count in shown]
    if rest:
        others = {row.site for row in steps} | recent.keys()
        lines.append(_line("", rest, others - apart, steps, recent, span))
    return tuple(lines)


def _line(
    name: str,
    counts: Sequence[Count],
    sites: Collection[str],
    steps: Sequence[TimelineRow],
    recent: Mapping[str, int],
    span: Span,
) -> SiteLine:
    total, done = sum(c.total for c in counts), sum(c.done for c in counts)
    moved: dict[datetime, int] = {}
    for row in steps:
        if row.site in sites:
            moved[row.start] = moved.get(row.start, 0) + row.count
    so_far = max(0, done - sum(moved.values()))
    points = [(span.since, min(total, so_far))]
    for n, end in enumerate(span.moments[1:]):
        so_far += moved.get(span.since + span.step * n, 0)
        points.append((end, min(total, so_far)))
    return SiteLine(name, total, tuple(points), sum(recent.get(site, 0) for site in sites))
