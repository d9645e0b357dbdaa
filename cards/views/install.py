"""The form that confirms an install, and what stands once it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cards.view import Button, Fact, FormCard, Input, Notice, Style, TextInput, ToggleInput, Tone
from cards.views.common import SIP, installed_words, place_words, what_and_mac
from cards.views.photos import skip
from cards.words import clock, escape
from provisioning.errors import BadInput
from provisioning.lifecycle import companion
from provisioning.model import Device
from provisioning.service.installing import Saved
from provisioning.texts import _

LIMIT = 200  # characters of a room, as of a location


def install_form(
    device: Device,
    organisation: str,
    *,
    mounting_only: bool,
    fault: BadInput | None = None,
    note: str = "",
    screen: bool = False,
    room: str = "",
) -> FormCard:
    """What only the technician can see of a companion device is asked, and never assumed."""
    data = {"device": device.mac, "mounting_only": "true" if mounting_only else "false"}
    errors = {fault.field or "note": escape(fault.sentence)} if fault else {}
    inputs: list[Input] = [
        TextInput(id="room", label=_("Room"), value=room or device.place, limit=LIMIT, error=errors.get("room", "")),
        TextInput(id="note", label=_("Note"), value=note, limit=200, lines=True, error=errors.get("note", "")),
        ToggleInput(id="checked", label=_("Check"), title=_("Mounted, cabled, screen on"), value=True),
    ]
    if companion(device):
        shows, error = _shows(device, organisation), errors.get("screen", "")
        inputs.insert(1, ToggleInput(id="screen", label=_("Screen"), title=shows, value=screen, error=error))
    return FormCard(
        title=_("Confirm install"),
        facts=(Fact(_("Device"), _known_words(device)),),
        inputs=tuple(inputs),
        buttons=_save_buttons(device, data),
        small=(_typed(device, mounting_only=mounting_only),),
        subject=device.mac,
        revision=device.version,
    )


def _shows(device: Device, organisation: str) -> str:
    if device.type == SIP:
        return _("The display shows that it is registered")
    return _("The screen shows {organisation}", organisation=escape(organisation))


def _save_buttons(device: Device, data: Mapping[str, str]) -> tuple[Button, ...]:
    """Three stand on a phone's card: of a companion device the way back is typed."""
    save = (
        Button("install_save", _("Save"), data, style=Style.POSITIVE),
        Button("install_save", _("Save, add photo"), {**data, "photo": "true"}),
    )
    if companion(device):
        return (*save, Button("install_save", _("Mounting only"), {**data, "mounting_only": "true"}))
    return (*save, Button("job", _("Back"), {"device": device.mac}, inputs=False))


def _typed(device: Device, *, mounting_only: bool) -> str:
    place = escape(device.place)
    if companion(device):
        return _("Or type: screen {place} and a note, mounted {place} and a note, or {place} to go back", place=place)
    if mounting_only and not device.provisioned:
        return _("Or type: mounted {place} and a note", place=place)
    return _("Or type: install {place} and a note", place=place)


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
        small=(_("Or type: mounted {place} and a note, or {place} to wait", place=escape(device.place)),),
        subject=device.mac,
        revision=device.version,
    )


def saved_card(saved: Saved, now: datetime, actor: str, organisation: str, *, photo: bool = False) -> Notice:
    """`photo`: one is waited for now."""
    word = saved.word
    by = _("you") if word.by == actor else escape(word.by_name)
    time = clock(word.at, now)
    title = _("Already saved {time} by {by}.", time=time, by=by) if saved.again else _("Saved {time}.", time=time)
    lines = [_standing(saved, now, organisation)]
    if room := saved.device.elsewhere:
        lines.append(_("It hangs in {room}, as you see it. The admins are told.", room=escape(room)))
    if not word.checked:
        lines.append(_("Not ticked: mounted, cabled, screen on."))
    if word.note:
        lines.append(escape(word.note))
    if photo:
        lines.append(_("Send one photo now, or skip it."))
    return Notice(
        title=title,
        tone=Tone.GOOD,
        lines=tuple(lines),
        buttons=(skip(saved.device.mac),) if photo else (),
        small=(_("Or type: skip"),) if photo else (),
        subject=saved.device.mac,
        revision=saved.device.version,
    )


def _standing(saved: Saved, now: datetime, organisation: str) -> str:
    """What is known: by this service, or of a companion device by the technician's word alone."""
    place, server = place_words(saved.device), saved.device.provisioned_at
    if saved.word.screen:
        word = installed_words(saved.device, organisation)
        return _("{place}: installed; {word}.", place=place, word=word)
    if companion(saved.device) and saved.device.type == SIP:
        return _("{place}: mounted; whether its display shows that it is registered was not said.", place=place)
    if companion(saved.device):
        return _(
            "{place}: mounted; whether the screen shows {organisation} was not said.",
            place=place,
            organisation=escape(organisation),
        )
    known = _("called in {time}", time=clock(server, now)) if server else _("has not called in yet")
    return _("{place}: installed; the device {known}.", place=place, known=known)


def room_differs(device: Device, now: datetime) -> Notice:
    """To admins: the list and the wall disagree."""
    word, room = device.installed, escape(device.elsewhere)
    by = {"name": escape(word.by_name), "time": clock(word.at, now)} if word else {}
    return Notice(
        title=_("Installed in {room} instead of {place}", room=room, place=escape(device.place)),
        tone=Tone.WARNING,
        lines=(
            _("{name} {time}: it hangs in {room}.", room=room, **by),
            _("The list says: {place}.", place=place_words(device)),
            what_and_mac(device),
        ),
        buttons=(
            Button("room_take", _("Correct the list"), {"device": device.mac}, style=Style.POSITIVE),
            Button("dismiss", _("Leave it"), inputs=False),
        ),
        small=(_("Or type: move {place} to …", place=escape(device.place)),),
        subject=device.mac,
        revision=device.version,
    )
