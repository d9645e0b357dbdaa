"""Cards of the list: one device, what an add did, what is asked before a change."""

from __future__ import annotations

from datetime import datetime, timedelta

from cards.view import Button, Fact, FormCard, Notice, Style, TextInput, Tone
from cards.views.commanding import history_words, waiting_words
from cards.views.common import (
    answer_words,
    cancel,
    installed_words,
    live_words,
    place_words,
    problem_words,
    short,
    state_words,
    tag_words,
    tone_of,
    what,
)
from cards.views.photos import photo_words, with_photo
from cards.views.silent import offline_words
from cards.words import age, clock, escape, mac_dashed, until
from provisioning.access import Permission, allowed
from provisioning.commands import CommandName
from provisioning.errors import BadInput, ProvisioningError
from provisioning.lifecycle import Step, can, companion
from provisioning.model import ActivationCode, Actor, Device, State
from provisioning.service.devices import Added, Undone
from provisioning.service.finding import DeviceFacts
from provisioning.sheets.faults import say
from provisioning.texts import N_, _, ngettext

SHOWN_FAULTS = 10


def device_card(facts: DeviceFacts, actor: Actor, now: datetime, notice: str = "") -> Notice:
    """Everything about one device, with the buttons its state and the reader's rights allow."""
    device = facts.device
    tone = tone_of(device)
    return Notice(
        title=_device_title(device),
        tone=tone,
        notice=notice,
        facts=_facts(facts, now),
        buttons=with_photo(_device_buttons(device, actor, now), facts),
        small=_typed(device, actor),
        subject=device.mac,
        revision=device.version,
    )


def _typed(device: Device, actor: Actor) -> tuple[str, ...]:
    """What else can be done with it."""
    place, lines = escape(device.place), list[str]()
    if allowed(actor, Permission.SIGN_IN) and device.provisioned:
        step = (
            _("Or type: sign out {place}, restart {place} at 03:00, diagnose {place}, reset {place}", place=place)
            if can(device, Step.SIGN_OUT)
            else _("Or type: sign in {place}, restart {place} at 03:00, diagnose {place}, reset {place}", place=place)
        )
        lines.append(step)
    if allowed(actor, Permission.SIGN_IN) and device.waiting_commands:
        lines.append(_("Or type: take back {place}", place=place))
    if allowed(actor, Permission.EDIT_DEVICES):
        lines.append(_("Or type: move {place} to …, replace {place} with …, remove {place}", place=place))
    return tuple(lines)


def _device_title(device: Device) -> str:
    place, state = escape(device.place), state_words(device)
    if device.problem:
        return _("{place}: {state}, problem", place=place, state=state)
    return _("{place}: {state}", place=place, state=state)


def _facts(facts: DeviceFacts, now: datetime) -> tuple[Fact, ...]:
    device = facts.device
    rows = (
        (N_("Location"), place_words(device)),
        (N_("MAC"), f"{mac_dashed(device.mac)} ({what(device)})"),
        (N_("Code"), _code_words(device, now)),
        (N_("Technician"), escape(facts.technician)),
        (N_("Called in"), _called_words(device, now)),
        *_remote_facts(device, now),
        (N_("Last seen"), age(facts.last_seen, now) if facts.last_seen else ""),
        (N_("Contact"), _contact_words(facts, now)),
        (N_("Installed"), installed_words(device, facts.organisation)),
        (N_("Photo"), photo_words(facts.photo, now) if facts.photo else ""),
        (N_("Problem"), problem_words(device)),
        (N_("Answer"), answer_words(device, now)),
        (N_("Tags"), tag_words(device)),
        (N_("Life"), str(device.life) if device.life > 1 else ""),
        (N_("Asked"), waiting_words(device, now)),
        (N_("History"), history_words(device, now)),
        (N_("Model"), escape(" ".join(filter(None, (device.model, device.software, device.serial))))),
    )
    return tuple(Fact(_(label), value) for label, value in rows if value)


def _remote_facts(device: Device, now: datetime) -> tuple[tuple[str, str], ...]:
    """The account that is meant for it, and whether it is signed in."""
    flow = device.live_sign_in
    under_way = _("asked by {name} {time}", name=escape(flow.by_name), time=clock(flow.asked_at, now)) if flow else ""
    return (
        (N_("Account"), escape(device.account)),
        (N_("Signed in"), _signed_in_words(device, now)),
        (N_("Sign-in under way"), under_way),
        (N_("Factory reset"), _("asked; the device has not said yet that it was done") if device.reset_awaited else ""),
    )


def _signed_in_words(device: Device, now: datetime) -> str:
    if device.state is State.SIGNED_IN and device.signed_in_at:
        return _("as {account} {time}", account=escape(device.signed_in_as), time=clock(device.signed_in_at, now))
    if device.state is State.SIGNED_OUT and device.signed_in_as:
        return _("no longer; last as {account}", account=escape(device.signed_in_as))
    return ""


def _contact_words(facts: DeviceFacts, now: datetime) -> str:
    """Whether it calls, as a fact with its age; of a companion device nobody here knows."""
    device = facts.device
    if not device.provisioned:
        return ""
    if device.cut_off:
        return _("none: it was off the list, and needs a factory reset")
    if device.offline_since is None:
        return _("online") if facts.last_seen else ""
    words = offline_words(device, now)
    return _("{words}; not heard of for long", words=words) if device.stale else words


def _called_words(device: Device, now: datetime) -> str:
    """A companion device calls Microsoft's service, never this one."""
    if device.provisioned_at:
        return clock(device.provisioned_at, now)
    return "" if companion(device) else _("not yet")


def _code_words(device: Device, now: datetime) -> str:
    code = device.code
    if device.provisioned:
        return _("used")
    if code is None:
        return _("none")
    if companion(device):
        return live_words(device, now) or _teams_code_words(device, code, now)
    if code.live(now):
        return _("live until {time}", time=until(code.expires_at, now))
    return _("ended {time}", time=clock(code.expires_at, now))


def _teams_code_words(device: Device, code: ActivationCode, now: datetime) -> str:
    """Of a code of Microsoft's that does not live here any more."""
    if device.installed and device.installed.screen:
        return _("of the Teams admin centre, used, as said on site")
    if code.expires_at <= now:
        return _("of the Teams admin centre, ended {time}", time=clock(code.expires_at, now))
    return _("of the Teams admin centre, erased here")


def _device_buttons(device: Device, actor: Actor, now: datetime) -> tuple[Button, ...]:
    data = {"device": device.mac}
    buttons: list[Button] = []
    solve = [Button("solve", _("Solved"), data)] if device.problem and allowed(actor, Permission.EDIT_DEVICES) else []
    if allowed(actor, Permission.ISSUE_CODES) and can(device, Step.ISSUE_CODE):
        if device.live_code(now):
            buttons.append(Button("code", _("Show code"), data, style=Style.POSITIVE))
            if not companion(device):
                buttons.append(Button("reissue", _("New code"), {**data, "target": device.mac}))
            buttons += solve or [Button("revoke", _("Revoke code"), {"target": device.mac})]
            return tuple(buttons)  # three stand in a row on a phone; the rest is typed
        if not companion(device):
            buttons.append(Button("issue", _("Issue code"), {"target": device.mac}, style=Style.POSITIVE))
    if allowed(actor, Permission.SIGN_IN) and device.provisioned:
        buttons += _remote_buttons(device)
    if allowed(actor, Permission.EDIT_DEVICES):
        buttons += [*solve, Button("move_form", _("Move"), data), Button("remove_ask", _("Remove"), data)]
    return tuple(buttons[:3])


def _remote_buttons(device: Device) -> list[Button]:
    """The next step from afar."""
    asked = next((each for each in device.waiting_commands if each.name is CommandName.SIGN_OUT), None)
    if asked:
        return [Button("take_back", _("Take back"), {"target": device.mac, "command": asked.id})]
    if can(device, Step.SIGN_OUT):
        return [Button("sign_out", _("Sign out"), {"target": device.mac})]
    return [Button("sign_in", _("Sign in"), {"device": device.mac}, style=Style.POSITIVE)]


def go_on() -> tuple[Button, ...]:
    """What a technician does instead."""
    return (Button("next", _("Next device"), style=Style.POSITIVE), Button("jobs", _("List")))


# ------------------------------------------------------------------ adding


def add_form(mac: str = "", location: str = "", fault: BadInput | None = None) -> FormCard:
    def error(field: str) -> str:
        return escape(fault.sentence) if fault and (fault.field or "mac") == field else ""

    return FormCard(
        title=_("Add a device"),
        inputs=(
            TextInput(
                id="mac",
                label=_("MAC id"),
                value=mac,
                placeholder="80-5E-C0-11-22-33",
                required=True,
                required_message=_("The MAC stands on the device's label."),
                error=error("mac"),
                limit=60,
            ),
            TextInput(
                id="location",
                label=_("Location"),
                value=location,
                placeholder="Oslo/2/2.14",
                required=True,
                required_message=_("Where will it stand? The first part is the site."),
                error=error("location"),
            ),
        ),
        buttons=(Button("add_save", _("Add"), style=Style.POSITIVE), cancel()),
        small=(_("Or type: add 80-5E-C0-11-22-33 Oslo/2/2.14 (one device a line)"),),
    )


def added_card(added: Added, now: datetime, undo: timedelta) -> Notice:
    """What an add did; with faults nothing is saved and every wrong line is named."""
    if added.faults:
        return _faults_card(added.faults)
    new, same = len(added.new), len(added.same)
    if not new:
        title = ngettext("No change, it was already here", "No change, all {n} were already here", same)
        return Notice(title=title, buttons=(_see(added.same[0]),) if same == 1 else ())
    title = ngettext("{n} device saved", "{n} devices saved", new)
    lines = [short(device) for device in added.new[:SHOWN_FAULTS]]
    if same:
        lines.append(ngettext("{n} was already here.", "{n} were already here.", same))
    if any(device.state is not State.WAITING_FOR_ACTIVATION for device in added.new):
        lines.append(
            _("One was here before and keeps its state: it needs a factory reset before it can be provisioned.")
        )
    return Notice(
        title=title,
        tone=Tone.GOOD,
        lines=("\n\n".join(lines),),
        small=(
            _(
                "by {name} {time}. Undo until {until}.",
                name=escape(added.batch.by_name),
                time=clock(now, now),
                until=clock(added.batch.at + undo, now),
            ),
            _("Or type: issue, undo"),
        ),
        buttons=(
            _issue_button(added),
            Button("undo", _("Undo"), {"batch": added.batch.id}),
            Button("add_form", _("Add another")),
        ),
    )


def _issue_button(added: Added) -> Button:
    sites = {device.site.casefold(): device.site for device in added.new}
    target = added.new[0].mac if len(added.new) == 1 else next(iter(sites.values())) if len(sites) == 1 else "all"
    return Button("issue_form", _("Issue codes"), {"target": target}, style=Style.POSITIVE)


def _see(device: Device) -> Button:
    return Button("device", _("Show it"), {"device": device.mac})


def _faults_card(faults: tuple[tuple[int, ProvisioningError], ...]) -> Notice:
    lines = [
        _("Line {number}: {fault}", number=number, fault=escape(fault.sentence))
        for number, fault in faults[:SHOWN_FAULTS]
    ]
    if len(faults) > SHOWN_FAULTS:
        lines.append(_("… and {n} more.", n=len(faults) - SHOWN_FAULTS))
    if len(faults) == 1 and faults[0][0] == 1:
        lines = [escape(faults[0][1].sentence)]
    return Notice(
        title=ngettext(
            "One line needs fixing. Nothing is saved.", "{n} lines need fixing. Nothing is saved.", len(faults)
        ),
        tone=Tone.ATTENTION,
        lines=("\n\n".join(lines),),
        small=(_("Send the whole list again when it is right; what is here already does not change."),),
    )


def undone_card(undone: Undone) -> Notice:
    lines = [f"{escape(title)}: {say(reason)}." for title, reason in undone.stayed[:SHOWN_FAULTS]]
    stayed = len(undone.stayed)
    taken = ngettext("Undone: {n} device taken off the list", "Undone: {n} devices taken off the list", undone.count)
    left = ngettext("{n} stays, it has moved on since", "{n} stay, they have moved on since", stayed)
    return Notice(title=f"{taken}. {left}" if stayed else taken, lines=("\n\n".join(lines),) if lines else ())


# ------------------------------------------------------------------ changing


def move_form(device: Device, location: str = "", fault: BadInput | None = None) -> FormCard:
    return FormCard(
        title=_("Move {place}", place=escape(device.place)),
        inputs=(
            TextInput(
                id="location",
                label=_("New location"),
                value=location or device.location,
                required=True,
                required_message=_("Where will it stand?"),
                error=escape(fault.sentence) if fault else "",
            ),
        ),
        buttons=(
            Button("move", _("Move"), {"device": device.mac}, style=Style.POSITIVE),
            Button("device", _("Back"), {"device": device.mac}, inputs=False),
        ),
        small=(_("Or type: move {place} to Oslo/2/2.15", place=escape(device.place)),),
        subject=device.mac,
        revision=device.version,
    )


def remove_card(device: Device, now: datetime) -> Notice:
    lines = [what(device) + ", " + mac_dashed(device.mac)]
    if device.live_code(now):
        lines.append(_("Its code is erased here.") if companion(device) else _("Its live code dies at once."))
    if device.provisioned:
        lines.append(_("It was provisioned. If it comes back it keeps its state and needs a factory reset."))
    data = {"device": device.mac, "rev": str(device.version)}
    return Notice(
        title=_("Remove {place}?", place=place_words(device)),
        lines=("\n\n".join(lines),),
        buttons=(
            Button("remove", _("Remove"), data, style=Style.DESTRUCTIVE),
            Button("device", _("Keep it"), {"device": device.mac}),
        ),
        small=(_("Or type: remove {mac}", mac=mac_dashed(device.mac)),),
        subject=device.mac,
        revision=device.version,
    )


def removed_card(device: Device) -> Notice:
    return Notice(
        title=_("{place} is off the list", place=place_words(device)),
        lines=(_("Adding {mac} again brings it back with its history.", mac=mac_dashed(device.mac)),),
    )


def swapped_card(one: Device, other: Device) -> Notice:
    return Notice(
        title=_("Swapped"),
        tone=Tone.GOOD,
        lines=("\n\n".join((short(one), short(other))), _("Codes stay with their MAC.")),
    )
