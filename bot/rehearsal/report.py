"""From what was written down in a run to what people read: sums, and what to change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from statistics import median

from bot.rehearsal.options import Options
from bot.rehearsal.play import Played
from provisioning.rehearsals import (
    Advice,
    Conflict,
    Counted,
    Cure,
    Dying,
    Found,
    Held,
    Load,
    Peak,
    Report,
    Slip,
    Traffic,
)

HOUR = timedelta(hours=1)
LONG = timedelta(hours=36)  # codes that live longer are worth a word where the work is done by then
MOST_HELD = 5
TO_FIX = frozenset(
    {Conflict.SAME_PLACE, Conflict.NO_TECHNICIAN, Conflict.UNKNOWN_TECHNICIAN, Conflict.NO_CHAT, Conflict.SAME_SERIAL}
)
UNEVEN = 1.5  # times the mean share


def report_of(played: Sequence[Played], options: Options, *, made_up: bool, seconds: float) -> Report:
    """Of the first run; the others, of other seeds, say how far its end may be trusted."""
    first = played[0]
    ends = sorted(end for run in played if (end := _end(run)))
    spread = len(played) > 1 and len(ends) == len(played)
    record = first.record
    return Report(
        scope=first.cast.target.scope,
        made_up=made_up,
        seed=options.seed,
        runs=len(played),
        seconds=round(seconds, 1),
        devices=len(first.cast.devices),
        passed_over=first.cast.passed_over,
        start=first.start,
        end=_end(first),
        earliest=_rank(ends, 0.1) if spread else None,
        latest=_rank(ends, 0.9) if spread else None,
        provisioned=len(record.provisioned),
        installed=len(record.installed),
        signed_in=len(record.signed_in),
        stuck=len(first.stuck),
        unfinished=len(first.left),
        loads=tuple(_loads(first)),
        slips=tuple(Counted(slip, record.slips[slip], round(record.minutes[slip], 1)) for slip in Slip),
        conflicts=(*first.cast.found, *_of_codes(first)),
        dying=_dying(first),
        traffic=_traffic(first),
        advice=tuple(_advice(first)),
    )


def _end(played: Played) -> datetime | None:
    return max(played.record.installed.values(), default=None)


def _rank(ends: Sequence[datetime], part: float) -> datetime:
    """The nearest rank."""
    return ends[max(0, ceil(part * len(ends)) - 1)]


def _loads(played: Played) -> Iterator[Load]:
    for diary in played.record.diaries.values():
        minutes = {name: round(getattr(diary, name), 1) for name in ("work", "walk", "lost", "idle")}
        yield Load(diary.name, diary.devices, diary.installed, **minutes, done_at=diary.done_at, made_up=diary.made_up)


# ------------------------------------------------------------------ codes


def _dying(played: Played) -> Dying:
    record, hours = played.record, Counter(at.replace(minute=0, second=0, microsecond=0) for at in played.record.ended)
    latest = max((record.reached[mac] for mac in record.reached), default=played.issued)
    return Dying(
        count=len(record.ended),
        hours=tuple(sorted(hours.items())),
        lifetime=played.lifetime / HOUR,
        needed=ceil((latest - played.issued) / HOUR) + 1 if record.ended else 0,
        on_site=played.on_site,
    )


def _of_codes(played: Played) -> Iterator[Found]:
    """Codes that live in the data, and when their devices would be reached."""
    reached, places = played.record.reached, {device.mac: device.location for device in played.cast.devices}
    late = [mac for mac, until in played.cast.live.items() if mac not in reached or reached[mac] > until]
    if late and not played.cast.made_up_fleet:
        yield Found(Conflict.SHORT_CODES, len(late), tuple(places[mac] for mac in late[:5]))
    end = _end(played)
    if end and not played.on_site and played.lifetime > LONG and played.issued + played.lifetime > end + LONG:
        yield Found(Conflict.LONG_CODES, round((played.issued + played.lifetime - end) / HOUR))


# ------------------------------------------------------------------ Teams


def _traffic(played: Played) -> Traffic:
    record, teams = played.record, played.teams
    screens = list(teams.screens.values())
    peaks = [Peak(limit.seconds, limit.calls, most) for limit, most in teams.app.peaks.items()]
    for limit in screens[0].meter.peaks if screens else ():
        busiest = max(screens, key=lambda screen: screen.meter.peaks[limit])
        peaks.append(Peak(limit.seconds, limit.calls, busiest.meter.peaks[limit], busiest.name))
    held = sorted((s for s in screens if s.refused), key=lambda screen: -screen.delayed)[:MOST_HELD]
    return Traffic(
        told=tuple(sorted(record.told.items(), key=lambda kind: (-kind[1], kind[0]))),
        answers=record.answers,
        edits_asked=record.edits_asked,
        edits_sent=record.edits_sent + record.edits_over,
        peaks=tuple(peaks),
        held=tuple(Held(screen.name, screen.refused, round(screen.delayed, 1)) for screen in held),
        usual_delay=round(median(record.delays), 2) if record.delays else 0.0,
        longest_delay=round(max(record.delays, default=0.0), 2),
        undelivered=record.undelivered,
    )


# ------------------------------------------------------------------ what to change


def _advice(played: Played) -> Iterator[Advice]:
    dying, end, record = _dying(played), _end(played), played.record
    fix = {found.conflict for found in played.cast.found} & TO_FIX
    advice = [Advice(Cure.FIX_DATA, len(fix))] if fix else []
    if dying.count:
        advice += [Advice(Cure.ON_SITE, dying.count), Advice(Cure.LIFETIME, dying.needed)]
    if end and record.installed:
        advice += _hands(played, end)
    shares = [diary.devices for diary in record.diaries.values()]
    if len(shares) > 1 and max(shares) > UNEVEN * sum(shares) / len(shares) and max(shares) - min(shares) > 1:
        advice.append(Advice(Cure.SPLIT, max(shares)))
    yield from advice or [Advice(Cure.NOTHING)]


def _hands(played: Played, end: datetime) -> Iterator[Advice]:
    """More technicians where it takes longer than a day, fewer where fewer are enough: by the minutes of this run."""
    minutes = sum(diary.work + diary.walk + diary.lost for diary in played.record.diaries.values())
    hands, calendar = len(played.record.diaries), played.calendar
    _begin, evening = calendar.hours(calendar.day(played.start))

    def done_by(people: int) -> datetime:
        return calendar.after(played.start, minutes / people)

    if end > evening:
        more = next((more for more in range(1, 2 * hands + 1) if done_by(hands + more) <= evening), 2)
        yield Advice(Cure.MORE_HANDS, more, done_by(hands + more))
    elif hands > 1 and done_by(hands - 1) <= evening:
        fewer = max(fewer for fewer in range(1, hands) if done_by(hands - fewer) <= evening)
        yield Advice(Cure.FEWER_HANDS, fewer, done_by(hands - fewer))
