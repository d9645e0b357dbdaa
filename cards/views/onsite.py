"""The technician's cards: judged at phone width, one thumb, at most three buttons."""

from __future__ import annotations

from datetime import datetime

from cards.view import (
    Button,
    ChoiceInput,
    CodeCard,
    Fact,
    FormCard,
    Input,
    ListCard,
    Notice,
    Row,
    Style,
    TextInput,
    ToggleInput,
    Tone,
)
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
from cards.words import clock, code_groups, escape
from provisioning.errors import BadInput
from provisioning.lifecycle import awaits_word, companion
from provisioning.model import Device
from provisioning.service.onsite import PROBLEMS, Day, Job, Saved
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
        buttons=(
            Button("next", _("Next device"), style=Style.POSITIVE),
            *more("jobs", following, start, PAGE),
        ),
        small=(_("Type a room, like {place}, for its code.", place=escape(rows[0].place)),) if rows else (),
        empty="" if rows else _("No devices today. I will write when there are."),
    )


def _job_state(device: Device, now: datetime) -> str:
    if device.problem:
        return _("problem")
    if device.provisioned:
        return _("called in")
    return _("waiting") if device.live_code(now) else _("no live code")


# ------------------------------------------------------------------ the install


def install_form(
    device: Device,
    organisation: str,
    *,
    mounting_only: bool,
    fault: BadInput | None = None,
    note: str = "",
    screen: bool = False,
) -> FormCard:
    """What only the technician can see of a companion device is asked, and never assumed."""
    data = {"device": device.mac, "mounting_only": "true" if mounting_only else "false"}
    errors = {fault.field or "note": escape(fault.sentence)} if fault else {}
    inputs: list[Input] = [
        TextInput(id="note", label=_("Note"), value=note, limit=200, lines=True, error=errors.get("note", "")),
        ToggleInput(id="checked", label=_("Check"), title=_("Mounted, cabled, screen on"), value=True),
    ]
    buttons = [Button("install_save", _("Save"), data, style=Style.POSITIVE)]
    if companion(device):
        shows, error = _("The screen shows {organisation}", organisation=escape(organisation)), errors.get("screen", "")
        inputs.insert(0, ToggleInput(id="screen", label=_("Screen"), title=shows, value=screen, error=error))
        buttons.append(Button("install_save", _("Mounting only"), {**data, "mounting_only": "true"}))
    return FormCard(
        title=_("Confirm install"),
        facts=(Fact(_("Room"), escape(device.place)), Fact(_("Device"), _known_words(device))),
        inputs=tuple(inputs),
        buttons=(*buttons, Button("job", _("Back"), {"device": device.mac}, inputs=False)),
        small=(_("Or type: install {place} and a note", place=escape(device.place)),),
        subject=device.mac,
        revision=device.version,
    )


def _known_words(device: Device) -> str:
    """What this service itself knows of it."""
    if companion(device):
        return _("calls Microsoft's service, not this one")
    called = device.provisioned_at
    return _("called in {time}", time=clock(called)) if called else _("has not called in")


def not_called_in(device: Device, note: str = "") -> Notice:
    data = {"device": device.mac}
    return Notice(
        title=_("Not called in yet. Confirm the mounting only?"),
        tone=Tone.WARNING,
        lines=(place_words(device),),
        buttons=(
            Button("install_form", _("Mounting only"), {**data, "mounting_only": "true", "note": note[:200]}),
            Button("job", _("Wait"), data),
        ),
        subject=device.mac,
        revision=device.version,
    )


def saved_card(saved: Saved, now: datetime, actor: str, organisation: str) -> Notice:
    word = saved.word
    by = _("you") if word.by == actor else escape(word.by_name)
    time = clock(word.at, now)
    title = _("Already saved {time} by {by}.", time=time, by=by) if saved.again else _("Saved {time}.", time=time)
    lines = [_standing(saved, now, organisation)]
    if not word.checked:
        lines.append(_("Not ticked: mounted, cabled, screen on."))
    if word.note:
        lines.append(escape(word.note))
    return Notice(
        title=title, tone=Tone.GOOD, lines=tuple(lines), subject=saved.device.mac, revision=saved.device.version
    )


def _standing(saved: Saved, now: datetime, organisation: str) -> str:
    """What is known: by this service, or of a companion device by the technician's word alone."""
    place, server = place_words(saved.device), saved.device.provisioned_at
    if saved.word.screen:
        word = installed_words(saved.device, organisation)
        return _("{place}: installed; {word}.", place=place, word=word)
    if companion(saved.device):
        return _(
            "{place}: mounted; whether the screen shows {organisation} was not said.",
            place=place,
            organisation=escape(organisation),
        )
    known = _("called in {time}", time=clock(server, now)) if server else _("has not called in yet")
    return _("{place}: installed; the device {known}.", place=place, known=known)


# ------------------------------------------------------------------ problems


def problem_form(device: Device, fault: BadInput | None = None, note: str = "") -> FormCard:
    return FormCard(
        title=_("Problem with {place}", place=escape(device.place)),
        inputs=(
            ChoiceInput(
                id="kind",
                label=_("What is wrong?"),
                choices=tuple((kind, _(title)) for kind, title in PROBLEMS.items()),
                required=True,
                required_message=_("Choose what is wrong."),
                error=escape(fault.sentence) if fault and fault.field == "kind" else "",
                expanded=True,
            ),
            TextInput(
                id="note",
                label=_("Note"),
                limit=200,
                lines=True,
                value=note,
                error=escape(fault.sentence) if fault and fault.field != "kind" else "",
            ),
        ),
        buttons=(
            Button("problem_save", _("Send"), {"device": device.mac}, style=Style.POSITIVE),
            Button("job", _("Back"), {"device": device.mac}, inputs=False),
        ),
        small=(_("Or type: problem {place} and what is wrong", place=escape(device.place)),),
        subject=device.mac,
        revision=device.version,
    )


def problem_sent(device: Device) -> Notice:
    return Notice(
        title=_("Problem sent"),
        tone=Tone.WARNING,
        lines=(f"{place_words(device)}: {problem_words(device)}", _("The admins are told.")),
        subject=device.mac,
        revision=device.version,
    )


def problem_told(device: Device, technician: str) -> Notice:
    """To admins."""
    return Notice(
        title=_("Problem: {place}", place=place_words(device)),
        summary=_("{name} reports a problem, {place}", name=escape(technician), place=place_words(device)),
        tone=Tone.ATTENTION,
        lines=(problem_words(device), what_and_mac(device)),
        buttons=(
            Button("device", _("Show it"), {"device": device.mac}, style=Style.POSITIVE),
            Button("solve", _("Solved"), {"device": device.mac}),
        ),
    )
