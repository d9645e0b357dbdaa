"""The technician's day at phone width: one device, one thumb, at most three buttons; and the list."""

from __future__ import annotations

from datetime import datetime

from cards.view import Button, CodeCard, ListCard, Notice, Row, Style, Tone
from cards.views.common import (
    installed_words,
    more,
    place_words,
    problem_words,
    short,
    state_words,
    valid_words,
    what_and_mac,
)
from cards.words import clock, code_groups, escape, mac_end
from provisioning.lifecycle import awaits_word, companion
from provisioning.model import Device
from provisioning.service.day import Day, Job
from provisioning.service.offline import to_confirm
from provisioning.texts import _, ngettext

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
        summary=_("{place}: {state}", place=place, state=state_words(device)),
        tone=tone,
        device=place if title else what_and_mac(device),
        code=code_groups(job.held.digits) if shows else "",
        valid=valid_words(device, live, now) if shows and live else "",
        how=_how(device, organisation) if shows else "",
        lines=lines,
        buttons=_job_buttons(device, shows=shows, now=now, asked=job.asked),
        small=(*((what_and_mac(device),) if title else ()), _job_footer(job, device)),
        subject=device.mac,
        revision=device.version,
        readers=readers,
        refresh_verb="refresh" if readers else "",
    )


def _how(device: Device, organisation: str) -> str:
    if companion(device):
        return _(
            "On the device: Settings, Provision device, type the code. Then Microsoft's sign-in page shows "
            "{organisation}: confirm that here.",
            organisation=escape(organisation),
        )
    return _("On the device: Settings, Provision device, type the code. Only once: sign-in later needs nobody on site.")


def _headline(job: Job, now: datetime, organisation: str) -> tuple[str, Tone, tuple[str, ...]]:
    """Title (empty: the place is the title), its tone, and the sentences under it."""
    device, code = job.device, job.device.code
    if device.problem:
        return _("Problem reported"), Tone.ATTENTION, (problem_words(device),)
    if device.provisioned_at and device.provisioned:
        title = _("Provisioned {time}", time=clock(device.provisioned_at, now))
        lines = [_("The screen should show {organisation}.", organisation=escape(organisation))]
        if device.installed:
            lines.append(_("Installed: {word}", word=installed_words(device)))
        return title, Tone.GOOD, tuple(lines)
    if companion(device) and device.installed and device.installed.screen:
        title = _("Confirmed {time}", time=clock(device.installed.at, now))
        return title, Tone.GOOD, (_("Installed: {word}", word=installed_words(device, organisation)),)
    if job.asked:
        return _("An admin was asked {time}", time=clock(now, now)), Tone.WARNING, (_("You get the new code here."),)
    if device.locked_at:
        title = _("Too many wrong codes: this code was ended {time}.", time=clock(device.locked_at, now))
        check = _("Get a new code, and type it on the device whose MAC ends {end}.", end=mac_end(device.mac))
        return title, Tone.WARNING, (check,)
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
    if companion(device):  # it may have been used at the last minute: only its screen tells
        ask = (Button("renew", _("Ask admin"), renew),)
        return (*(() if asked else ask), Button("install_form", _("Confirm"), data), problem)
    return (Button("renew", _("Get new code"), renew, style=Style.POSITIVE), problem, listing)


def _job_footer(job: Job, device: Device) -> str:
    words = _("Or type: install {place}, problem {place} …, list", place=escape(device.place))
    if job.number:
        return _("{number} of {total}. {words}", number=job.number, total=job.total, words=words)
    return words


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
                detail=place_words(device),
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
    return _("waiting") if device.live_code(now) else _("no live code")
