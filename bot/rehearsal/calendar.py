"""When people work: from morning to evening on workdays, with breaks, by the clocks of the deployment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from bot.rehearsal.options import BREAKS
from provisioning.hours import DAY, moment


@dataclass(frozen=True, slots=True)
class Calendar:
    """`workdays` as in `Hours`: Monday is 0."""

    begin: time
    finish: time
    zone: tzinfo
    workdays: frozenset[int]

    def day(self, now: datetime) -> date:
        """On the clocks there."""
        return now.astimezone(self.zone).date()

    def hours(self, day: date) -> tuple[datetime, datetime]:
        return moment(day, self.begin, self.zone), moment(day, self.finish, self.zone)

    def days(self, now: datetime) -> Iterator[date]:
        """Workdays, the present day first."""
        day = self.day(now)
        while True:
            if day.weekday() in self.workdays or not self.workdays:
                yield day
            day += DAY

    def begins(self, now: datetime) -> datetime:
        """When somebody who could work now begins to: now, or the next morning of a workday."""
        for day in self.days(now):
            begin, finish = self.hours(day)
            if now < finish:
                return max(now, begin)
        raise AssertionError("days do not end")

    def left(self, now: datetime) -> timedelta:
        """Until the end of this working day; nothing outside of it."""
        begin, finish = self.hours(self.day(now))
        return finish - now if self.begins(now) == now and begin <= now else timedelta(0)

    def pauses(self, now: datetime) -> list[tuple[datetime, timedelta]]:
        """The breaks of this day: when, and how long."""
        day = self.day(now)
        return [(moment(day, at, self.zone), timedelta(minutes=minutes)) for at, minutes in BREAKS]

    def after(self, start: datetime, minutes: float) -> datetime:
        """When so many minutes of work are done by somebody who begins at `start`."""
        left, now = timedelta(minutes=minutes), self.begins(start)
        while True:
            span = self.left(now) - sum((long for at, long in self.pauses(now) if at >= now), timedelta(0))
            if left <= span:
                for at, long in self.pauses(now):
                    if now <= at < now + left:
                        left += long
                return now + left
            left -= max(span, timedelta(0))
            now = self.begins(self.hours(self.day(now))[1])
