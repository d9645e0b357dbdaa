"""The technician's day at phone width: one device, one thumb, at most three buttons; and the list."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from cards.view import Button, CodeCard, ListCard, Notice, Row, Style, Tone, View
from cards.views.common import (
    SIP,
    answer_words,
    brief,
    dial_words,
    how_words,
    installed_words,
    more,
    place_words,
    problem_words,
    reset_words,
    short,
    shows_words,
    state_words,
    valid_words,
    what_and_mac,
)
from cards.words import clock, code_groups, escape, mac_end
from provisioning.lifecycle import awaits_word, companion
from provisioning.model import Device, Person
from provisioning.service.day import Asked, Day, Job
from provisioning.service.offline import to_confirm
from provisioning.texts import N_, _, ngettext

PAGE = 10


def job_card(
    job: Job, now: datetime, organisation: str, *, upcoming: bool = False, readers: tuple[str, ...] = ()
) -> CodeCard:
    """A device as it stands now: its code, or that the code ended, or that it called in, or that it is installed."""
    device = job.device
    place = place_words(device)
    title, tone, lines = _headline(job, now, organisation)
    live = device.live_code(now)
    shows = bool(job.held.digits) and live is not None
    upcoming = upcoming and shows == (live is not None)  # a card whose code is hidden is not the next one any more
    return CodeCard(
        title=title or (_("Next: {place}", place=place) if upcoming else place),
        summary=_push(job, upcoming=upcoming),
        tone=tone,
        notice=answer_words(device, now) or reset_words(device),  # first of all: what they waited for, or do first
        device=place if title else what_and_mac(device),
        code=code_groups(job.held.digits) if shows else "",
        valid=valid_words(device, live, now) if shows and live else "",
        dial=dial_words(device, job.held.digits) if shows else "",
        how=_how(device, organisation) if shows else "",
        lines=lines,
        buttons=_job_buttons(device, shows=shows, now=now, asked=job.asked is not None and not job.asked.again),
        small=(*((what_and_mac(device),) if title else ()), _job_footer(job, device, now)),
        subject=device.mac,
        revision=device.version,
        readers=readers,
        refresh_verb="refresh" if readers else "",
    )


def _push(job: Job, *, upcoming: bool) -> str:
    place = place_words(job.device)
    if upcoming and job.number:
        return _("Next: {place}, {number} of {total}", place=place, number=job.number, total=job.total)
    return _("{place}: {state}", place=place, state=state_words(job.device))


def _how(device: Device, organisation: str) -> str:
    how = how_words(device)
    if companion(device) and device.type == SIP:
        return how
    if companion(device):
        shows = escape(organisation)
        then = _("Then Microsoft's sign-in page shows {organisation}: confirm that here.", organisation=shows)
    else:
        then = _("Only once: sign-in later needs nobody on site.")
    return f"{how} {then}"


def _headline(job: Job, now: datetime, organisation: str) -> tuple[str, Tone, tuple[str, ...]]:
    """Title (empty: the place is the title), its tone, and the sentences under it."""
    device, code = job.device, job.device.code
    if device.problem:
        answer = answer_words(device, now)
        title = _("Answer to your problem") if answer else _("Problem reported")
        tone = Tone.ACCENT if answer else Tone.ATTENTION
        return title, tone, (problem_words(device),)
    if device.provisioned_at and device.provisioned:
        title = _("Provisioned {time}", time=clock(device.provisioned_at, now))
        lines = [shows_words(device, organisation)]
        if device.installed:
            lines.append(_("Installed: {word}", word=installed_words(device)))
        return title, Tone.GOOD, tuple(lines)
    if companion(device) and device.installed and device.installed.screen:
        title = _("Confirmed {time}", time=clock(device.installed.at, now))
        return title, Tone.GOOD, (_("Installed: {word}", word=installed_words(device, organisation)),)
    if job.asked:
        return _asked(job.asked, now)
    if device.locked_at:
        title = _("Too many wrong codes: this code was ended {time}.", time=clock(device.locked_at, now))
        check = _("Get a new code, and type it on the device whose MAC ends {end}.", end=mac_end(device.mac))
        return title, Tone.WARNING, (check,)
    if code is None and not device.installed:
        return "", Tone.PLAIN, (_("Code starts when you are at the device."),)
    if code is None or (code.sealed is None and code.expires_at > now):
        return "", Tone.PLAIN, (_("No code yet."),)
    if not code.live(now):
        ended = _("This code ended at {time}.", time=clock(code.expires_at, now))
        return (
            ended,
            Tone.WARNING,
            (_("An admin has to make a new one in the Teams admin centre."),) if companion(device) else (),
        )
    if not job.held.digits:
        return "", Tone.PLAIN, (_("The code is hidden while another one is shown."),)
    return "", Tone.PLAIN, ()


def _asked(asked: Asked, now: datetime) -> tuple[str, Tone, tuple[str, ...]]:
    words = {"name": escape(asked.name), "time": clock(asked.at, now)}
    if asked.refused:
        help_ = _("If something is wrong here, report a problem. Or call {name}.", **words)
        return _("{name} refused a new code {time}", **words), Tone.ATTENTION, (help_,)
    if not asked.name:
        return (
            _("No admin can be asked here"),
            Tone.ATTENTION,
            (_("Call one of your admins: this code is theirs to make."),),
        )
    return _("Asked {name} {time}, you get it here.", **words), Tone.WARNING, ()


def _job_buttons(device: Device, *, shows: bool, now: datetime, asked: bool) -> tuple[Button, ...]:
    data = {"device": device.mac}
    listing = Button("jobs", _("List"), inputs=False)
    problem = Button("problem_form", _("Problem"), data)
    confirm = Button("install_form", _("Confirm install"), data, style=Style.POSITIVE)
    if device.installed and not (awaits_word(device) and shows):
        return (Button("next", _("Next device"), style=Style.POSITIVE), problem, listing)
    if device.provisioned or shows:
        return (confirm, problem, listing)
    if device.live_code(now):
        return (Button("code", _("Show code"), data, style=Style.POSITIVE), problem, listing)
    renew = {**data, "issue": str(device.issued)}
    if asked and not companion(device):
        return (Button("next", _("Next device"), style=Style.POSITIVE), problem, listing)
    if companion(device):  # it may have been used at the last minute: only its screen tells
        ask = (Button("renew", _("Ask admin"), renew),)
        return (*(() if asked else ask), Button("install_form", _("Confirm"), data), problem)
    if _need(device, now) == "start":
        return (Button("start", _("I'm at the device"), data, style=Style.POSITIVE), problem, listing)
    return (Button("renew", _("Get new code"), renew, style=Style.POSITIVE), problem, listing)


_TYPED = {
    "start": N_("Or type: start {place}, problem {place} …, list"),
    "renew": N_("Or type: new code {place}, problem {place} …, list"),
    "": N_("Or type: install {place}, problem {place} …, list"),
}


def _need(device: Device, now: datetime) -> str:
    """What its technician does about its code first."""
    if device.installed or device.provisioned or device.live_code(now):
        return ""
    return "renew" if device.code or device.locked_at else "start"


def _job_footer(job: Job, device: Device, now: datetime) -> str:
    words = _(_TYPED[_need(device, now)], place=escape(device.place))
    if job.number:
        return _("{number} of {total}. {words}", number=job.number, total=job.total, words=words)
    return words


def from_words(giver: Person, count: int) -> str:
    """The push line of devices that were somebody else's."""
    name = escape(giver.name)
    return (
        ngettext("{n} device from {name}", "{n} devices from {name}", count, name=name)
        if count
        else _("Devices from {name}", name=name)
    )


def answered(card: View, job: Job) -> View:
    """The same card with a push line that says what an admin decided."""
    place = place_words(job.device)
    said = (
        _("{place}: {title}", place=place, title=card.title)
        if job.asked
        else _("The code for {place} is here", place=place)
    )
    return replace(card, summary=said)


def morning_words(day: Day) -> str:
    """The push line of the morning: `Oslo, 12 devices today, first on floor 2`."""
    first, count = day.open[0], len(day.open)
    places = {"site": escape(first.site), "floor": escape(first.floor), "place": place_words(first)}
    if {device.site for device in day.open} == {first.site} and first.floor.isdigit():
        return ngettext(
            "{site}, {n} device today, on floor {floor}",
            "{site}, {n} devices today, first on floor {floor}",
            count,
            **places,
        )
    return ngettext("{n} device today: {place}", "{n} devices today, first {place}", count, **places)


def no_jobs(day: Day) -> Notice:
    """The empty state, and the end of the day."""
    if day.done and not day.open:
        return Notice(
            title=_("All done"),
            tone=Tone.GOOD,
            lines=(ngettext("Your device is installed.", "All your {n} devices are installed.", day.done),),
            small=(_("I will write when there are more."),),
        )
    if day.open:
        return Notice(
            title=ngettext("{n} device left, with a problem", "{n} devices left, each with a problem", len(day.open)),
            lines=(_("Nothing else to do until somebody has helped."),),
            buttons=(Button("jobs", _("List")),),
        )
    return Notice(title=_("No devices today. I will write when there are."))


def jobs_card(day: Day, now: datetime, start: int = 0) -> ListCard:
    """Ten rows, no codes."""
    rows = day.open[start : start + PAGE]
    following = str(start + PAGE) if start + PAGE < len(day.open) else None
    return ListCard(
        title=_("{done} of {total} done", done=day.done, total=day.total),
        rows=tuple(
            Row(
                title=f"{short(device)}, {_job_state(device, now)}",
                detail=brief(place_words(device)),
                tone=Tone.ATTENTION if device.problem else Tone.PLAIN,
            )
            for device in rows
        ),
        lines=_called_in_words(day),
        buttons=(
            Button("next", _("Next device"), style=Style.POSITIVE),
            *_confirm_all(day),
            *more("jobs", following, start, PAGE),
        ),
        small=(
            (
                _("Type a room, like {place}, for its code.", place=escape(rows[0].place)),
                _("No signal there? offline makes a sheet. install all confirms what called in."),
            )
            if rows
            else ()
        ),
        empty="" if rows else _("No devices today. I will write when there are."),
    )


def _called_in_words(day: Day) -> tuple[str, ...]:
    """What happened while nobody was looking, on a sheet for instance, and waits for a word."""
    count = sum(map(to_confirm, day.open))
    if not count:
        return ()
    return (ngettext("{n} called in, not confirmed.", "{n} called in, not confirmed.", count),)


def _confirm_all(day: Day) -> tuple[Button, ...]:
    count = sum(map(to_confirm, day.open))
    return (Button("install_all", _("Confirm all {n}", n=count)),) if count > 1 else ()


def _job_state(device: Device, now: datetime) -> str:
    if device.problem:
        return _("problem")
    if device.provisioned:
        return _("called in")
    if device.live_code(now):
        return _("waiting")
    return _("code ended") if device.code or device.locked_at else _("code starts on site")
