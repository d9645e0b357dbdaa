"""The burn-up of a rollout: what its picture shows, and the same in words for whoever does not see it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from cards.view import CardPicture, PictureCard
from cards.words import amount, clock, day_short, escape, without_controls
from provisioning.burnup import RECENT, BurnUp, SiteLine
from provisioning.documents.plot import LONGEST, Curve, Plot, Tick
from provisioning.hours import moment
from provisioning.texts import _, current_speech, ngettext

DAY = timedelta(days=1)
INTERVALS = (
    *(timedelta(minutes=minutes) for minutes in (15, 30, 60, 120, 180, 360, 720)),
    *(timedelta(days=days) for days in (1, 2, 7, 14)),
)
BETWEEN = 4.5  # intervals at most from one edge of a picture to the other, so that their words do not touch
LONGEST_NAME = 60  # characters of a site's name in words that are listened to


def picture_card(burn_up: BurnUp, picture: CardPicture, now: datetime) -> PictureCard:
    """For a channel, where a picture cannot stand by itself."""
    return PictureCard(
        title=_("{site} rollout", site=escape(burn_up.scope) or _("All sites")),
        summary=escape(heading(burn_up)),
        lines=(_done(burn_up.done, burn_up.total, now, burn_up.until, _rate(burn_up.recent, burn_up, in_full=True)),),
        picture=picture,
        small=(_("Or type: picture"),),
    )


def card_picture(burn_up: BurnUp, png: bytes, now: datetime) -> CardPicture:
    """The picture in the card itself, so that it stands nowhere else."""
    return CardPicture(f"data:image/png;base64,{b64encode(png).decode()}", alt_text(burn_up, now))


def nothing_to_draw(burn_up: BurnUp) -> str:
    site = escape(burn_up.scope) or _("All sites")
    return _("{site}: no device has called in yet, so there is nothing to draw.", site=site)


# ------------------------------------------------------------------ the picture


def plot_of(burn_up: BurnUp) -> Plot:
    """In the language and on the clock of whoever is spoken to; the same until something happens or a quarter ends."""
    ticks = tuple(Tick(_hours(burn_up.since, at), text) for at, text in _ticks(burn_up.since, burn_up.until))
    curves = tuple(_curve(burn_up, line) for line in burn_up.lines)
    return Plot(heading(burn_up)[:LONGEST], _hours(burn_up.since, burn_up.until), curves, ticks)


def heading(burn_up: BurnUp) -> str:
    return _(
        "{site}: {done} of {total} provisioned",
        site=without_controls(burn_up.scope)[:LONGEST_NAME] or _("All sites"),
        done=amount(burn_up.done),
        total=amount(burn_up.total),
    )


def _curve(burn_up: BurnUp, line: SiteLine) -> Curve:
    points = tuple((_hours(burn_up.since, at), done) for at, done in line.points)
    return Curve(_name(line), line.done, line.total, points)


def _hours(since: datetime, at: datetime) -> float:
    return (at - since) / timedelta(hours=1)


def _ticks(since: datetime, until: datetime) -> Iterator[tuple[datetime, str]]:
    """Where clocks show a round time, with the day where that changes."""
    zone, length = current_speech().timezone, until - since
    interval = next((each for each in INTERVALS if length <= each * BETWEEN), INTERVALS[-1] * 2)
    first, last = since.astimezone(zone).date(), until.astimezone(zone).date()
    while first <= last:
        for at in _round_times(interval):
            tick = moment(first, at, zone)
            there = tick.astimezone(zone).time() == at  # not skipped by a change of the clocks
            if there and since <= tick <= until:
                yield tick, _round(first, at, in_days=at == time() and length > DAY)
        first += max(DAY, interval)


def _round_times(interval: timedelta) -> list[time]:
    minutes = interval // timedelta(minutes=1)
    return [time(at // 60, at % 60) for at in range(0, 24 * 60, minutes)]


def _round(day: date, at: time, *, in_days: bool) -> str:
    return day_short(day) if in_days else at.strftime("%H:%M")


# ------------------------------------------------------------------ the same in words


def alt_text(burn_up: BurnUp, now: datetime) -> str:
    """`Oslo: 38 of 150 provisioned by 16:40, about 22 an hour in the last two hours; Bergen: 12 of 47.`"""
    said = [_line_words(burn_up, line, now, first=line is burn_up.lines[0]) for line in burn_up.lines]
    lines = "; ".join(said)
    return _("Burn-up since {time}. {lines}.", time=clock(burn_up.since, now), lines=lines)


def _line_words(burn_up: BurnUp, line: SiteLine, now: datetime, *, first: bool) -> str:
    rate = "" if line.done >= line.total else _rate(line.recent, burn_up, in_full=first)
    if first:
        said = _done(line.done, line.total, now, burn_up.until, rate)
    else:
        said = _("{done} of {total}{rate}", done=amount(line.done), total=amount(line.total), rate=rate)
    return _("{site}: {said}", site=_name(line)[:LONGEST_NAME], said=said)


def _name(line: SiteLine) -> str:
    return " ".join(without_controls(line.site).split())[:LONGEST] or _("others")


def _done(done: int, total: int, now: datetime, until: datetime, rate: str) -> str:
    return _(
        "{done} of {total} provisioned by {time}{rate}",
        done=amount(done),
        total=amount(total),
        time=clock(min(now, until), now),
        rate=rate,
    )


def _rate(recent: int, burn_up: BurnUp, *, in_full: bool) -> str:
    """Of the last two hours, in as many words as are needed; nothing of what is younger than that."""
    if burn_up.until - burn_up.since < RECENT:
        return ""
    if not recent:
        return _(", none in the last two hours") if in_full else _(", none lately")
    if recent < 2 * (RECENT // timedelta(hours=1)):
        return ngettext(", {n} in the last two hours", ", {n} in the last two hours", recent)
    an_hour = round(recent / (RECENT / timedelta(hours=1)))
    return _(", about {n} an hour in the last two hours", n=an_hour) if in_full else _(", about {n} an hour", n=an_hour)
