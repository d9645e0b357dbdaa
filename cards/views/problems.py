"""Problems on site: the form, and what its reader and the admins see of it."""

from __future__ import annotations

from cards.view import Button, ChoiceInput, FormCard, Notice, Style, TextInput, Tone
from cards.views.common import place_words, problem_words, what_and_mac
from cards.words import escape
from provisioning.errors import BadInput
from provisioning.model import Device
from provisioning.service.problems import PROBLEMS
from provisioning.texts import _


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
