"""Cards before a file is offered: what there is to take, and the question where codes are in it."""

from __future__ import annotations

from collections.abc import Mapping

from cards.view import Button, ChoiceInput, FormCard, Notice, Style, Tone
from cards.words import amount, escape
from provisioning.texts import _, ngettext


def export_form(title: str, devices: int, codes: int, form: str, about: Mapping[str, str]) -> FormCard:
    buttons = [Button("export_devices", _("Devices"), about, style=Style.POSITIVE)]
    if codes:
        buttons.append(Button("export_codes", _("Live codes"), about))
    buttons.append(Button("print", _("Print"), about, inputs=False))
    counted = ngettext("{count} device", "{count} devices", devices, count=amount(devices))
    live = ngettext("{count} live code", "{count} live codes", codes, count=amount(codes))
    return FormCard(
        title=_("Export: {title}", title=escape(title)),
        lines=(f"{counted}, {live}.",),
        inputs=(
            ChoiceInput(id="form", label=_("As"), choices=(("xlsx", _("Excel (XLSX)")), ("csv", "CSV")), value=form),
        ),
        buttons=tuple(buttons),
        small=(_("Or type: export codes Oslo, print Oslo; csv at the end for CSV"),),
    )


def ask_codes(title: str, codes: int, verb: str, about: Mapping[str, str]) -> Notice:
    return Notice(
        title=ngettext(
            "{count} live code of {title} in a file?",
            "{count} live codes of {title} in a file?",
            codes,
            count=amount(codes),
            title=escape(title),
        ),
        tone=Tone.WARNING,
        lines=(_("Codes are secrets. The file goes to you only and is logged."),),
        buttons=(Button(verb, _("Yes"), {**about, "sure": "yes"}), Button("dismiss", _("No"))),
    )


def print_form(title: str, codes: int, about: Mapping[str, str]) -> Notice:
    buttons = [Button("print", _("Without codes"), {**about, "codes": "no"}, style=Style.POSITIVE)]
    if codes:
        buttons.append(Button("print", _("With codes"), {**about, "codes": "yes"}))
    return Notice(
        title=_("Sheet to print: {title}", title=escape(title)),
        lines=(
            _("A PDF with a block for each device: place, MAC, and a QR code that opens the chat with install typed."),
            _("Codes are secrets, on paper as well. A sheet with codes goes to you only and is logged."),
        ),
        buttons=tuple(buttons),
        small=(_("Or type: print Oslo"),),
    )


def template_form() -> Notice:
    return Notice(
        title=_("Template for an upload"),
        lines=(_("Columns MAC id and Location; the others are optional."),),
        buttons=(
            Button("template", "Excel", {"form": "xlsx"}, style=Style.POSITIVE),
            Button("template", "CSV", {"form": "csv"}),
        ),
        small=(_("Or type: template xlsx, template csv"),),
    )


def nothing_to_take(title: str) -> Notice:
    return Notice(title=_("Nothing of {title} to take away.", title=escape(title)))


def not_handed_over(name: str, reason: str, again: Mapping[str, str]) -> Notice:
    return Notice(
        title=_("{name} could not be handed over", name=escape(name)),
        tone=Tone.ATTENTION,
        lines=(escape(reason), _("The file is not kept.")),
        buttons=(Button("file_again", _("Try again"), again),),
    )


def no_files_here(name: str, verb: str, title: str, data: Mapping[str, str]) -> Notice:
    """Files cannot be offered everywhere: government clouds know none."""
    return Notice(
        title=_("I cannot give you {name} here", name=escape(name)),
        lines=(_("This chat takes no files. Here it comes as cards, page by page:"),),
        buttons=(Button(verb, title, data, style=Style.POSITIVE),),
    )


def no_sheet_here(name: str) -> Notice:
    """The same of a sheet to fill in: what would stand in it can be pasted."""
    return Notice(
        title=_("I cannot give you {name} here", name=escape(name)),
        lines=(_("This chat takes no files. Copy your rows and paste them here: a column MAC id, a column Location."),),
        buttons=(Button("upload_form", _("Paste rows"), style=Style.POSITIVE),),
    )
