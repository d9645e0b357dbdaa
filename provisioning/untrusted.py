"""Text from people and devices before it is kept: length, control characters, characters that turn text around."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta, tzinfo

from provisioning.errors import InvalidDuration, InvalidLocation, InvalidMoment, InvalidTag, TextTooLong

LIMIT = 200  # characters of a location, note or name (security.md)
TAG_LIMIT, MOST_TAGS = 40, 20  # characters of a tag, tags of a device
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=7)
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, format (bidi, zero width), surrogates, private, unassigned
_JOINER = "\u200d"  # holds composed emoji together
_DURATION = re.compile(r"(\d{1,3})\s*(h|hours?|d|days?)?", re.IGNORECASE)


def clean(text: str, limit: int = LIMIT) -> str:
    """One line without hidden characters. Errors: `TextTooLong`."""
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
