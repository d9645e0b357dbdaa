"""The preview of a sheet: what it holds, what is wrong with it, and what there is to decide."""

from __future__ import annotations

from collections.abc import Sequence

from cards.view import Button, ChoiceInput, FormCard, Input, Style, TextInput, Tone
from cards.words import amount, escape
from provisioning.errors import BadInput
from provisioning.sheets.faults import say, say_row
from provisioning.texts import _, ngettext
from provisioning.uploads import Upload

ROOMY = 9  # characters of the first button that leave a phone room for a long second one


def preview_card(upload: Upload, fault: BadInput | None) -> FormCard:
    return FormCard(
        title=_title(upload),
        summary=_title(upload),
        notice=escape(fault.sentence) if fault else "",
        tone=Tone.WARNING if upload.wrong else Tone.PLAIN,
        lines=tuple(
            line for line in (_wrong_lines(upload), _facts(upload), _elsewhere(upload), _remarks(upload)) if line
        ),
        inputs=_choices(upload),
        small=_typed(upload),
        buttons=_decisions(upload),
        subject=upload.id,
        revision=upload.version,
    )


def idle(upload: Upload) -> bool:
    """There is nothing in it that is not here just so already."""
    return not (upload.new or upload.different or upload.codes)


def _title(upload: Upload) -> str:
    fixing = ngettext("{count} needs fixing", "{count} need fixing", upload.wrong, count=amount(upload.wrong))
    if not upload.good:
        return _("Nothing can be taken: {fixing}.", fixing=fixing) if upload.wrong else _("There is no row with a MAC.")
    if idle(upload):
        same = ngettext(
            "No change, {count} already here", "No change, {count} already here", upload.same, count=amount(upload.same)
        )
        return _("{same}; {fixing}.", same=same, fixing=fixing) if upload.wrong else same
    ready = amount(upload.good)
    if upload.wrong:
        return _("{ready} ready, {fixing}. Nothing is saved yet.", ready=ready, fixing=fixing)
    return _("{ready} ready. Nothing is saved yet.", ready=ready)


def _wrong_lines(upload: Upload) -> str:
    lines = [escape(say_row(number, fault)) for number, fault in upload.faults]
    if upload.wrong > len(lines):
        lines.append(_("… and {n} more: the error file has all of them.", n=amount(upload.wrong - len(lines))))
    return "\n\n".join(lines)


def _facts(upload: Upload) -> str:
    """`New 190; already here 7. Oslo 150, Bergen 47. Yealink 180, Poly 17.`"""
    if not upload.good:
        return ""
    standing = [
        _("new {n}", n=amount(upload.new)) if upload.new else "",
        _("already here {n}", n=amount(upload.same)) if upload.same else "",
        _("here, but different {n}", n=amount(upload.different)) if upload.different else "",
        _("codes of the Teams admin centre {n}", n=amount(upload.codes)) if upload.codes else "",
    ]
    said = "; ".join(word for word in standing if word)
    counts = [said[:1].upper() + said[1:], counted(upload.sites), counted(upload.vendors)]
    return " ".join(f"{words}." for words in counts if words)


def counted(counts: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{escape(name)} {amount(count)}" for name, count in counts)


def _elsewhere(upload: Upload) -> str:
    lines = [
        _(
            "{end} is at {here}, in the file at {there}.",
            end=f"{mac[-4:-2]}:{mac[-2:]}",
            here=escape(here),
            there=escape(there),
        )
        for mac, here, there in upload.differing
    ]
    if lines and upload.different > len(lines):
        lines.append(_("… and {n} more.", n=amount(upload.different - len(lines))))
    return "\n\n".join(lines)


def _remarks(upload: Upload) -> str:
    return "\n\n".join(escape(say(remark)) for remark in upload.remarks)


def _choices(upload: Upload) -> tuple[Input, ...]:
    inputs: list[Input] = []
    if upload.different and (upload.new or upload.codes):
        question = ngettext(
            "{count} is here, but different",
            "{count} are here, but different",
            upload.different,
            count=amount(upload.different),
        )
        inputs.append(
            ChoiceInput(
                id="different",
                label=question,
                choices=(("keep", _("Keep them as they are")), ("update", _("Take what the file says"))),
                required=True,
                required_message=_("Choose one of the two."),
                expanded=True,
            )
        )
    if upload.codes:
        inputs.append(
            TextInput(
                id="made",
                label=_("When did the Teams admin centre make the codes?"),
                placeholder=_("08:30; empty: when you sent the file"),
                limit=40,
            )
        )
    return tuple(inputs)


def _decisions(upload: Upload) -> tuple[Button, ...]:
    data = {"upload": upload.id}
    buttons: list[Button] = []
    if upload.new:
        buttons.append(Button("upload_add", _("Add {n}", n=amount(upload.new)), data, style=Style.POSITIVE))
    elif upload.codes:
        many = upload.codes >= 1000  # a number that would push the last button off a phone
        take = _("Take codes") if many else ngettext("Take {n} code", "Take {n} codes", upload.codes)
        buttons.append(Button("upload_add", take, data, style=Style.POSITIVE))
    elif upload.different:
        update = {**data, "different": "update"}
        buttons.append(Button("upload_add", _("Update {n}", n=amount(upload.different)), update, style=Style.POSITIVE))
    if upload.wrong:
        crowded = any(len(button.title) > ROOMY for button in buttons)
        file = _("Error file") if crowded else _("Get error file")
        buttons.append(Button("upload_errors", file, data, inputs=False))
    if buttons:
        buttons.append(Button("upload_cancel", _("Cancel"), data, inputs=False))
    return tuple(buttons)


def _typed(upload: Upload) -> tuple[str, ...]:
    words = []
    if not idle(upload):
        asks = upload.different and (upload.new or upload.codes)
        words.append("upload add update, upload add keep" if asks else "upload add")
    if upload.wrong:
        words += ["upload errors", "upload rows"]
    return (_("Or type: {words}", words=", ".join((*words, "upload cancel"))),) if words else ()
