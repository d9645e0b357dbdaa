"""Text from people and devices before it is kept: length, control characters, characters that turn text around."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from provisioning.errors import (
    InvalidDuration,
    InvalidHour,
    InvalidLocation,
    InvalidMoment,
    InvalidStart,
    InvalidTag,
    TextTooLong,
)
from provisioning.hours import moment as moment_of

LIMIT = 200  # characters of a location, note or name (security.md)
TAG_LIMIT, MOST_TAGS = 40, 20  # characters of a tag, tags of a device
AHEAD = timedelta(days=7)  # that a device can be asked for something
PLANNED = timedelta(days=366)  # that a rollout can be planned
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=7)
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, format (bidi, zero width), surrogates, private, unassigned
_JOINER = "\u200d"  # holds composed emoji together
_DURATION = re.compile(r"(\d{1,3})\s*(h|hours?|d|days?)?", re.IGNORECASE)


def clean(text: str, limit: int = LIMIT) -> str:
    """One line without hidden characters. Errors: `TextTooLong`."""
    if text.isascii() and text.isprintable() and " " not in text and len(text) <= limit:
        return text  # nearly every model and serial
    spaced = re.sub(r"\s+", " ", text)
    kept = "".join(c for c in spaced if c == _JOINER or unicodedata.category(c) not in _DROPPED)
    line = " ".join(unicodedata.normalize("NFC", kept).split())
    if len(line) > limit:
        raise TextTooLong(length=len(line), limit=limit)
    return line


def clean_location(text: str) -> str:
    """`Oslo/2/2.14` with its levels trimmed. Errors: `InvalidLocation`."""
    try:
        levels = [clean(level) for level in clean(text).split("/")]
    except TextTooLong:
        raise InvalidLocation from None
    location = "/".join(level for level in levels if level)
    if not location:
        raise InvalidLocation
    return location


def clean_tag(text: str) -> str:
    """A word or a few, as written, without `#`. Errors: `InvalidTag`; commas separate tags in files."""
    tag = clean(text).lstrip("#").strip()
    if not tag or len(tag) > TAG_LIMIT or re.search("[,;|]", tag):
        raise InvalidTag
    return tag


def parse_duration(text: str) -> timedelta:
    """`48h`, `2d`, `36` (hours). Errors: `InvalidDuration` outside 1 h to 7 days."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise InvalidDuration(text=text[:40])
    days = (match[2] or "h").lower().startswith("d")
    span = timedelta(days=int(match[1])) if days else timedelta(hours=int(match[1]))
    if not SHORTEST <= span <= LONGEST:
        raise InvalidDuration(text=text[:40])
    return span


def parse_moment(text: str, now: datetime, zone: tzinfo) -> datetime:
    """`08:30` (the latest there was) or `2026-11-22 08:30`, on the writer's clock. Errors: `InvalidMoment`."""
    said, local = text.strip(), now.astimezone(zone)
    try:
        if len(said) <= len("08:30"):
            time = datetime.strptime(said, "%H:%M")  # noqa: DTZ007 - the zone is put in below
            moment = local.replace(hour=time.hour, minute=time.minute, second=0, microsecond=0)
            moment = moment if moment <= local else moment - timedelta(days=1)
        else:
            moment = datetime.fromisoformat(said).replace(tzinfo=zone)
    except ValueError:
        raise InvalidMoment(text=text.strip()[:40]) from None
    if moment > local:
        raise InvalidMoment(text=text.strip()[:40])
    return moment.astimezone(UTC)


def parse_planned(text: str, now: datetime, zone: tzinfo, usual: time, error: type[InvalidStart]) -> datetime:
    """`2026-12-01 08:00`, or a day at its `usual` time, on the writer's clock. Errors: `error` for what is over."""
    said = " ".join(text.split())
    try:
        day_alone = re.fullmatch(r"\d{4}-\d\d-\d\d", said)
        found = moment_of(date.fromisoformat(said), usual, zone) if day_alone else _ahead(said, now, zone)
    except (ValueError, OverflowError):
        found = now
    if not now < found <= now + PLANNED:
        raise error(text=said[:40])
    return found


def parse_ahead(text: str, now: datetime, zone: tzinfo) -> datetime:
    """`03:00` (the next there is) or `2026-12-01 03:00`, on the writer's clock; buttons say it with its zone.

    Errors: `InvalidHour` for what is over, or more than seven days ahead.
    """
    said = " ".join(text.split())
    try:
        found = _ahead(said, now, zone)
    except (ValueError, OverflowError):
        found = now
    if not now < found <= now + AHEAD:
        raise InvalidHour(text=said[:40], days=AHEAD.days)
    return found


def _ahead(said: str, now: datetime, zone: tzinfo) -> datetime:
    """Errors: ValueError."""
    if len(said) <= len("03:00"):
        hour = datetime.strptime(said, "%H:%M").time()  # noqa: DTZ007 - on the writer's clock
        today = now.astimezone(zone).date()
        days = (today, today + timedelta(days=1), today + timedelta(days=2))
        return next(each for day in days if (each := moment_of(day, hour, zone)) > now)
    if re.fullmatch(r"\d{4}-\d\d-\d\d \d{1,2}:\d\d", said):
        named = datetime.strptime(said, "%Y-%m-%d %H:%M")  # noqa: DTZ007 - so too
        return moment_of(named.date(), named.time(), zone)
    exact = datetime.fromisoformat(said)
    if exact.tzinfo is None:
        raise ValueError(said)
    return exact.astimezone(UTC)
