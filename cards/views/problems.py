"""Problems on site: the form, and what its reader and the admins see of it."""

from __future__ import annotations

from datetime import datetime

from cards.view import Button, ChoiceInput, FormCard, Notice, Style, TextInput, Tone
from cards.views.common import answer_words, place_words, problem_words, what_and_mac
from cards.words import escape
from provisioning.errors import BadInput
from provisioning.model import Device
from provisioning.onsite import Answered
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


def problem_told(device: Device, now: datetime) -> Notice:
    """To admins: the problem, and what was said to it; redrawn as that changes."""
    place, problem = place_words(device), device.problem
    if problem is None:
        return Notice(title=_("Solved: {place}", place=place), tone=Tone.GOOD, lines=(what_and_mac(device),))
    answer = answer_words(device, now)
    data = {"device": device.mac}
    again = _("Answer again") if answer else _("Answer")
    return Notice(
        title=_("Problem: {place}", place=place),
        summary=_("{name} reports a problem, {place}", name=escape(problem.by_name), place=place),
        tone=Tone.ATTENTION,
        lines=(problem_words(device), *((answer,) if answer else ()), what_and_mac(device)),
        buttons=(
            Button("answer_form", again, data, style=Style.POSITIVE),
            Button("device", _("Show it"), data),
            Button("solve", _("Solved"), data),
        ),
        small=(_("Or type: answer {place} …, solved {place}", place=escape(device.place)),),
        subject=device.mac,
        revision=device.version,
    )


def answer_form(device: Device, fault: BadInput | None = None, words: str = "") -> FormCard:
    return FormCard(
        title=_("Answer: {place}", place=place_words(device)),
        lines=(problem_words(device),),
        inputs=(
            TextInput(
                id="words",
                label=_("What should be done?"),
                limit=200,
                lines=True,
                value=words,
                required=True,
                required_message=_("Write what the technician should do."),
                error=escape(fault.sentence) if fault else "",
            ),
        ),
        buttons=(
            Button("answer_save", _("Send"), {"device": device.mac}, style=Style.POSITIVE),
            Button("problem_back", _("Back"), {"device": device.mac}, inputs=False),
        ),
        small=(_("Or type: answer {place} and what to do", place=escape(device.place)),),
        subject=device.mac,
        revision=device.version,
    )


def answered_push(device: Device, answer: Answered) -> str:
    """What the technician's phone says."""
    return _("{name} answers about {place}", name=escape(answer.by_name), place=place_words(device))
