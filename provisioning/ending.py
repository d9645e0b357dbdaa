"""When a code is near its end: what its card says then, and what one tap makes anew. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from provisioning.model import ActivationCode, Device

AHEAD = timedelta(hours=1)  # before its end somebody is told of a code
TOGETHER = timedelta(minutes=10)  # what ends so soon after that is told in the same message
STAGES = tuple(timedelta(minutes=n) for n in (5, 15, 30, 60))  # in which a card counts down


def near(code: ActivationCode, now: datetime, more: timedelta = timedelta()) -> bool:
    """Whether it is time to tell of its end: an hour before, or in the second half of a life that is short."""
    return code.expires_at - now <= min(AHEAD, (code.expires_at - code.issued_at) / 2) + more


def stage(code: ActivationCode, now: datetime) -> timedelta | None:
    """Less than this is left of it; None before its last hour."""
    return next((left for left in STAGES if code.expires_at - now <= left), None)


def said_of(code: ActivationCode, now: datetime, zone: tzinfo) -> tuple[timedelta | None, int]:
    """What the words for its end depend on: how little is left, and whether it is today, tomorrow or later."""
    days = (code.expires_at.astimezone(zone).date() - now.astimezone(zone).date()).days
    return stage(code, now), min(days, 2)


def ending(device: Device, now: datetime, told_since: datetime | None = None) -> bool:
    """Whether it waits on site with a code that ends soon or ended unused; of those that somebody was told of since.

    Where a problem is reported, a new code helps nobody before that is solved.
    """
    code = device.code
    if code is None or not device.open_job or device.provisioned or device.problem:
        return False
    if told_since and not (code.told_at and code.told_at >= told_since):
        return False
    taken_back = code.sealed is None and code.expires_at > now
    return not taken_back and near(code, now, TOGETHER)
