"""How fast a rollout goes and when it will be done: worked out from what happened, never guessed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from provisioning.hours import DAY, Hours, moment

WINDOW = timedelta(hours=2)  # looked back on: long enough for a walk between floors, short enough to follow a change
STEP = timedelta(minutes=5)
SHORTEST = timedelta(minutes=15)  # below which a pace is chance
FEWEST = 3  # devices, so too
FARTHEST = 60  # days ahead that a forecast is worth something


@dataclass(frozen=True, slots=True)
class Pace:
    """What the latest two hours show: devices that called in, how many that is an hour, when the rest is done.

    `done_at` None: nothing is left, or too little happened to tell.
    """

    recent: int = 0
    per_hour: float = 0.0
    done_at: datetime | None = None


def pace(recent: int, since: datetime, left: int, now: datetime, hours: Hours, zone: tzinfo) -> Pace:
    """`recent` devices called in since `since`, which is WINDOW ago or when the first one did; `left` are to come."""
    span = now - since
    if recent < FEWEST or span < SHORTEST:
        return Pace(recent)
    per_hour = recent / (span / timedelta(hours=1))
    work = timedelta(hours=left / per_hour)
    return Pace(recent, per_hour, ahead(now, work, hours, zone) if left > 0 else None)


def ahead(now: datetime, work: timedelta, hours: Hours, zone: tzinfo) -> datetime | None:
    """When so much work is done, from now on and then within working hours: from the morning's message until the quiet
    hours, on workdays. Whoever works now, on whatever day and at whatever hour, is believed to work until that day
    ends. None: more than 60 days ahead.
    """
    today = now.astimezone(zone).date()
    begin, end = now, _evening(today, hours, zone)
    if end <= now:
        end = moment(today + DAY, time(), zone)
    for day in (today + DAY * n for n in range(1, FARTHEST + 2)):
        if work <= end - begin:
            return begin + work
        work -= max(end - begin, timedelta())
        if day.weekday() in hours.workdays:
            begin, end = hours.morning_of(day, zone), _evening(day, hours, zone)
        else:
            begin = end
    return None


def _evening(day: date, hours: Hours, zone: tzinfo) -> datetime:
    """When work ends on this day: as the quiet hours begin, else at midnight."""
    midnight = moment(day + DAY, time(), zone)
    if hours.quiet is None:
        return midnight
    evening = moment(day, hours.quiet[0], zone)
    return evening if evening > hours.morning_of(day, zone) else midnight
