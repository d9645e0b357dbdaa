"""Cards of an upload: reading, the preview and its decision, saving, what came of it, what was taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cards.view import Button, FormCard, ListCard, Notice, Row, Style, TextInput, Tone, View
from cards.views.common import cancel, forecast, more
from cards.views.preview import counted, preview_card
from cards.words import amount, bar, clock, escape
from provisioning.errors import BadInput
from provisioning.sheets.faults import say, say_row
from provisioning.texts import _, ngettext
from provisioning.uploads import BadRow, Upload, UploadState

PASTED = 20_000  # characters of a form's field; a card and its answer carry 28 KB


def upload_card(upload: Upload, now: datetime, undo: timedelta, fault: BadInput | None = None) -> View:
    """The one message of an upload, as it stands now."""
    match upload.state:
        case UploadState.READING:
            return _reading(upload)
        case UploadState.READY:
            return preview_card(upload, fault)
        case UploadState.ADDING:
            return _adding(upload, now)
        case UploadState.ADDED:
            return _added(upload, now, undo)
        case UploadState.UNDOING | UploadState.UNDONE:
            return _undone(upload)
        case UploadState.CANCELLED:
            return _cancelled(upload)
        case UploadState.FAILED:
            return _failed(upload)


def _name(upload: Upload) -> str:
    return escape(upload.name) if upload.name else _("your rows")


def _data(upload: Upload) -> dict[str, str]:
    return {"upload": upload.id}


# ------------------------------------------------------------------ reading


def _reading(upload: Upload) -> Notice:
    rows = upload.total
    title = _("Reading {name}", name=_name(upload))
    if rows:
        title = ngettext(
            "Reading {name}, {rows} row", "Reading {name}, {rows} rows", rows, name=_name(upload), rows=amount(rows)
        )
    return Notice(
        title=title,
        lines=(_("This message becomes the preview. Nothing is saved yet."),),
        buttons=(Button("upload_cancel", _("Cancel"), _data(upload)),),
        subject=upload.id,
        revision=upload.version,
    )


def _failed(upload: Upload) -> Notice:
    said = say(upload.fault) if upload.fault else ""
    return Notice(
        title=_("{name} cannot be read. Nothing is saved.", name=_name(upload)),
        tone=Tone.ATTENTION,
        lines=(escape(said),),
        small=(_("Or type: template, upload"),),
        buttons=(Button("template", _("Template")),),
    )


# ------------------------------------------------------------------ saving


def _adding(upload: Upload, now: datetime) -> Notice:
    done, total = upload.written, upload.parts + 1
    lines = [bar(done, total)]
    if left := _forecast(upload, now, done, total):
        lines.append(left)
    lines.append(_("Nobody sees any of it before all of it is there."))
    count = amount(upload.new or upload.codes or upload.different)
    return Notice(
        title=_("Saving {count} from {name}", count=count, name=_name(upload)),
        lines=tuple(lines),
        buttons=(Button("upload_cancel", _("Cancel"), _data(upload)),),
        small=(_("Or type: upload cancel"),),
        subject=upload.id,
        revision=upload.version,
    )


def _forecast(upload: Upload, now: datetime, done: int, total: int) -> str:
    return forecast(now - upload.decided_at if upload.decided_at else timedelta(), done, total)


def _added(upload: Upload, now: datetime, undo: timedelta) -> Notice:
    at = upload.settled_at or upload.at
    open_ = now < at + undo and bool(upload.added or upload.changed)
    by = _("by {name} {time}.", name=escape(upload.by_name), time=clock(at, now))
    until = _("Undo until {until}.", until=clock(at + undo, now)) if open_ else ""
    buttons = []
    if upload.new or upload.different:
        buttons.append(Button("issue_form", _("Issue codes"), {"target": _target(upload)}, style=Style.POSITIVE))
    if open_:
        buttons.append(Button("undo", _("Undo"), {"batch": upload.batch}))
    if upload.wrong:
        buttons.append(Button("upload_errors", _("Get error file"), _data(upload)))
    return Notice(
        title=_saved_title(upload),
        tone=Tone.GOOD,
        lines=_saved_lines(upload),
        small=(f"{by} {until}".strip(), _("Or type: issue, undo")),
        buttons=tuple(buttons),
        subject=upload.id,
        revision=upload.version,
    )


def _saved_title(upload: Upload) -> str:
    """`190 saved, 7 were already here`."""
    parts = []
    if upload.added:
        parts.append(_("{n} saved", n=amount(upload.added)))
    if upload.changed and not upload.update and upload.codes:
        parts.append(
            ngettext("{count} got its code", "{count} got their codes", upload.changed, count=amount(upload.changed))
        )
    elif upload.changed:
        parts.append(_("{n} updated", n=amount(upload.changed)))
    here = upload.good - upload.added - upload.changed
    if here > 0:
        parts.append(ngettext("{count} was already here", "{count} were already here", here, count=amount(here)))
    return ", ".join(parts) or _("No change")


def _saved_lines(upload: Upload) -> tuple[str, ...]:
    lines = []
    if sites := counted(upload.sites):
        lines.append(f"{sites}.")
    if upload.codes and upload.coded_at:
        until = clock(upload.coded_at + timedelta(hours=24), upload.settled_at)
        lines.append(_("Codes of the Teams admin centre: valid until {until}.", until=until))
    if upload.wrong:
        lines.append(
            ngettext(
                "{count} row needs fixing: correct it in the error file and send that.",
                "{count} rows need fixing: correct them in the error file and send that.",
                upload.wrong,
                count=amount(upload.wrong),
            )
        )
    return tuple(lines)


def _target(upload: Upload) -> str:
    return upload.sites[0][0] if len(upload.sites) == 1 else "all"


# ------------------------------------------------------------------ taken back


def _undone(upload: Upload) -> Notice:
    if upload.state is UploadState.UNDOING and upload.cursor is not None:
        return Notice(
            title=_("Undoing {name}", name=_name(upload)), lines=(_("Looking for devices that have moved on."),)
        )
    count = upload.added + upload.changed - upload.stayed
    lines = [f"{escape(title)}: {say(reason)}." for title, reason in upload.kept]
    if upload.stayed > len(lines):
        lines.append(_("… and {n} more.", n=amount(upload.stayed - len(lines))))
    stayed = ngettext(
        "{count} stays, it has moved on since",
        "{count} stay, they have moved on since",
        upload.stayed,
        count=amount(upload.stayed),
    )
    title = ngettext(
        "Undone: {count} device taken back", "Undone: {count} devices taken back", count, count=amount(count)
    )
    return Notice(
        title=f"{title}. {stayed}" if upload.stayed else title,
        lines=("\n\n".join(lines),) if lines else (),
        subject=upload.id,
        revision=upload.version,
    )


def _cancelled(upload: Upload) -> Notice:
    return Notice(title=_("Cancelled: nothing of {name} is saved", name=_name(upload)))


# ------------------------------------------------------------------ bad rows, one page


def wrong_rows_card(upload: Upload, rows: Sequence[BadRow], first: int, after: str | None) -> ListCard:
    """The rows that were not taken, for whoever cannot get files."""
    return ListCard(
        title=_("Rows that need fixing: {name}", name=_name(upload)),
        rows=tuple(_wrong_row(row) for row in rows),
        empty="" if rows else _("No row needs fixing."),
        small=(_("{first} to {last} of {total}.", first=first, last=first + len(rows) - 1, total=amount(upload.wrong)),)
        if rows
        else (),
        buttons=more("upload_rows", after, first, len(rows), upload=upload.id),
    )


def _wrong_row(row: BadRow) -> Row:
    cells = " · ".join(cell for cell in row.cells if cell)[:120]
    return Row(title=escape(say_row(row.number, row.fault)), detail=escape(cells))


# ------------------------------------------------------------------ how to begin


def upload_form(fault: BadInput | None = None) -> FormCard:
    return FormCard(
        title=_("Upload devices"),
        notice=escape(fault.sentence) if fault else "",
        lines=(
            _("Send me the file here, XLSX or CSV: a column MAC id, a column Location."),
            _(
                "Where files cannot be sent: copy the rows and paste them here."
                " Nothing is saved before you have seen the preview."
            ),
        ),
        inputs=(
            TextInput(
                id="rows",
                label=_("Rows"),
                placeholder=_("MAC id, Location: one device a line"),
                required=True,
                required_message=_("Paste at least one row."),
                limit=PASTED,
                lines=True,
            ),
        ),
        buttons=(
            Button("upload_paste", _("Read rows"), style=Style.POSITIVE),
            Button("template", _("Template"), inputs=False),
            cancel(),
        ),
        small=(_("Or type: add and the rows, one device a line; template"),),
    )
