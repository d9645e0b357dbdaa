"""When technicians are written to unasked: the morning message and the quiet hours, on each reader's own clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

NOON = time(12)
DAY = timedelta(days=1)
GRACE = timedelta(minutes=5)
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_LENGTH = re.compile(r"([0-9]{1,5}) ?(m|h|d)", re.IGNORECASE)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": DAY}


@dataclass(frozen=True, slots=True)
class Hours:
    """What a deployment decides."""

    morning: time = time(7, 30)
    quiet: tuple[time, time] | None = (time(19), time(7))  # from, to; None: never
    workdays: frozenset[int] = frozenset(range(5))  # on which there is a morning message; Monday is 0

    def morning_of(self, day: date, zone: tzinfo) -> datetime:
        return moment(day, self.morning, zone)

    def greeted_now(self, now: datetime, zone: tzinfo) -> date | None:
        """The day whose morning message is to be sent now; None where it is no workday, too early or too late.

        Whoever was down in the morning catches up until noon, or until the day ends where the message comes later.
        """
        today = now.astimezone(zone).date()
        end = moment(today, NOON, zone) if self.morning < NOON else moment(today + DAY, time(), zone)
        due = today.weekday() in self.workdays and self.morning_of(today, zone) <= now < end
        return today if due else None

    def quiet_until(self, now: datetime, zone: tzinfo) -> datetime | None:
        """When the quiet hours end that it is now in; None outside of them."""
        if self.quiet is None:
            return None
        begin, end = self.quiet
        today = now.astimezone(zone).date()
        for day in (today - DAY, today):
            until = moment(day + DAY if end <= begin else day, end, zone)
            if moment(day, begin, zone) <= now < until:
                return until
        return None

    def quiets(self, at: time) -> bool:
        """Whether this time of day lies within the quiet hours."""
        if self.quiet is None:
            return False
        begin, end = self.quiet
        return begin <= at < end if begin < end else not end <= at < begin

    def told_at(self, now: datetime, zone: tzinfo, *, with_the_morning: bool = False) -> datetime:
        """When news that can wait goes out: now, or when the quiet hours are over.

        What the morning message of that day tells as well waits for it, and a little longer, so as not to come twice.
        """
        until = self.quiet_until(now, zone)
        if until is None or not with_the_morning:
            return until or now
        day = until.astimezone(zone).date()
        return max(until, self.morning_of(day, zone) + GRACE) if day.weekday() in self.workdays else until


def moment(day: date, at: time, zone: tzinfo) -> datetime:
    """When clocks there show `at` on this day: the first time where it comes twice, and just after the gap where it is
    skipped (PEP 495).
    """
    return datetime.combine(day, at, zone).astimezone(UTC)


def parse_time(text: str) -> time:
    """`07:30`. Errors: ValueError."""
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError(text)
    return time(int(match[1]), int(match[2]))


def parse_span(text: str) -> tuple[time, time]:
    """`19:00-07:00`, over midnight or not. Errors: ValueError."""
    begin, _dash, end = (part.strip() for part in text.partition("-"))
    span = parse_time(begin), parse_time(end)
    if span[0] == span[1]:
        raise ValueError(text)
    return span


def parse_length(text: str) -> timedelta:
    """`90m`, `2h`, `3d`. Errors: ValueError."""
    match = _LENGTH.fullmatch(text.strip())
    if not match:
        raise ValueError(text)
    return int(match[1]) * _UNITS[match[2].lower()]


def midnight(now: datetime, zone: tzinfo) -> datetime:
    """When the present day began there."""
    return moment(now.astimezone(zone).date(), time(), zone)
