"""A device's further lives: what is asked before a reset, what came of it, and whether one was done by hand."""

from __future__ import annotations

from datetime import datetime

from cards.view import Button, FormCard, Notice, Style, TextInput, Tone
from cards.views.common import cancel, danger, place_words, reset_words, site_and_place, state_words, what_and_mac
from cards.words import clock, escape
from provisioning.errors import BadInput
from provisioning.model import Device
from provisioning.service.resetting import ResetOutlook
from provisioning.texts import _


def reset_form(outlook: ResetOutlook, fault: BadInput | None = None) -> FormCard:
    """Confirmed by typing, because nobody can take it back."""
    device, digits = outlook.device, outlook.digits
    return FormCard(
        title=_("Reset {place}?", place=site_and_place(device)),
        lines=(
            _(
                "A provisioned device cannot be provisioned again until it is reset to factory settings. This ends its "
                "registration, its sign-in and any live code at once."
            ),
            _("Type {digits} to confirm.", digits=digits),
        ),
        inputs=(
            TextInput(
                id="digits",
                label=_("Last four digits of its MAC"),
                limit=12,
                required=True,
                required_message=_("Type {digits} to confirm.", digits=digits),
                error=escape(fault.sentence) if fault else "",
            ),
        ),
        buttons=(danger("reset", _("Reset"), {"device": device.mac}), cancel()),
        small=(
            what_and_mac(device),
            _("Or type: reset {place} confirm {digits}", place=escape(device.place), digits=digits),
        ),
        subject=device.mac,
        revision=device.version,
    )


def reset_card(device: Device, technician: str, at: datetime, now: datetime) -> Notice:
    """A new life has begun; its technician brings the device there."""
    name, place = escape(technician), escape(device.place)
    data = {"target": device.mac, **({"person": device.technician} if technician else {})}
    title = _first(_("Code to {name}", name=technician.partition(" ")[0])) if technician else _("Issue code")
    typed = (
        _("Or type: issue {place} to {name}", place=place, name=name)
        if name
        else _("Or type: issue {place}", place=place)
    )
    return Notice(
        title=_("Reset asked {time}", time=clock(at, now)),
        summary=_("{place}: reset asked", place=place),
        tone=Tone.GOOD,
        lines=(
            _("{place}: {state} (life {life}), history kept.", place=place_words(device), state=state_words(device),
              life=device.life),
            *((reset_words(device),) if device.reset_awaited else (_("The device says that it was reset."),)),
        ),
        buttons=(
            Button("issue", title, data, style=Style.POSITIVE),
            Button("device", _("Show it"), {"device": device.mac}),
        ),
        small=(typed,),
        subject=device.mac,
        revision=device.version,
    )  # fmt: skip


def _first(title: str, limit: int = 20) -> str:
    return title if len(title) <= limit else title[: limit - 1] + "…"


# ------------------------------------------------------------------ was it reset by hand?


def doubt_card(device: Device, now: datetime) -> Notice:
    """To its technician, who may stand in front of it, or to the admins."""
    data, place = {"device": device.mac}, escape(device.place)
    called = clock(device.doubted_at or now, now)
    return Notice(
        title=_("{place} was provisioned already and called again {time}. Was it reset?", place=place, time=called),
        summary=_("{place} called again. Was it reset?", place=place),
        tone=Tone.WARNING,
        lines=(
            _("If it was set back to factory settings, say so: a new life begins, and it can have a new code."),
            _("If you know nothing of a reset, ignore it: nothing was let in, and nothing changes."),
        ),
        buttons=(danger("reset_form", _("Reset"), data), Button("doubt_ignore", _("Ignore"), data)),
        small=(what_and_mac(device), _("Or type: reset {place}, ignore {place}", place=place)),
        subject=device.mac,
        revision=device.version,
    )


def doubt_over(device: Device) -> Notice:
    """What became of that question."""
    place, lines = place_words(device), list[str]()
    if device.provisioned and device.doubt_ended_by:
        title = _("Ignored by {name}: {place} stays as it is", name=escape(device.doubt_ended_by), place=place)
        lines.append(_("If it calls again like this, you are asked again, at most once an hour."))
    elif device.provisioned:
        title = _("Settled: {place} stays as it is", place=place)
    else:
        title = _("Settled: {place} began life {life}", place=place, life=device.life)
    return Notice(title=title, lines=tuple(lines), subject=device.mac, revision=device.version)
