"""Rows to the bytes of a sheet: what people take away, fill in and send back. Every cell is a text."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from io import BytesIO, StringIO
from typing import TYPE_CHECKING

from provisioning.sheets.guard import guarded
from provisioning.texts import N_, _

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

MOST_ROWS = 1_048_575  # of a worksheet, below its headings
REASON = "Reason"  # never translated: it is known by this name when the file comes back
TYPES = ("phone", "display", "panel", "room", "sip")
_MOST_UNITS = 32_767  # UTF-16 code units of a cell
_LONGEST_NAME = 31  # of a worksheet
_MOST_TITLE, _MOST_HINT = 32, 255  # characters of what shows beside a cell
_NO_NAME = re.compile(r"[\[\]:*?/\\]")
_NO_CELL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ODD_STARTS = frozenset(" '<=+-@＝＋－＠")  # of what is printable
_BREAK = re.compile(r"\r\n?")
_UNDATED = datetime(1980, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # the zero of a zip file: equal rows, equal bytes
_TEXT_ONLY = {
    "in_memory": True,  # codes are in some of these rows: no part of them may lie in a temporary file
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


class Form(StrEnum):
    XLSX = "xlsx"
    CSV = "csv"


@dataclass(frozen=True)
class Heading:
    """A column; `hint` shows beside a selected cell of it in a workbook."""

    title: str
    width: int = 18  # in characters
    hint: str = ""


@dataclass(frozen=True)
class _Column:
    """A column of the template; its hint is translated when it is shown, its title never."""

    title: str
    width: int
    hint: str
    rule: tuple[tuple[str, object], ...] = ()
    complaint: str = ""


_COLUMNS = (
    _Column(
        "MAC id",
        22,
        N_("12 hex digits as on the label, for example 80-5E-C0-11-22-33"),
        (("validate", "length"), ("criteria", "between"), ("minimum", 12), ("maximum", 17), ("error_type", "warning")),
        N_("A MAC has 12 hex digits, for example 80-5E-C0-11-22-33."),
    ),
    _Column("Location", 32, N_("Site, floor and room, for example Oslo/2/2.14")),
    _Column(
        "Type",
        12,
        N_("Choose from the list, or leave it empty"),
        (("validate", "list"), ("source", list(TYPES)), ("error_type", "warning")),
        N_("Choose one of the list: phone, display, panel, room or sip."),
    ),
    _Column("Account", 32, N_("Who is signed in on the device, for example lobby@contoso.com")),
    _Column("Technician", 24, N_("Who installs it: a name or a sign-in name")),
    _Column("Tag", 18, N_("A word to find it by; several with commas between")),
    _Column("Asset tag", 18, N_("The number on your own sticker")),
    _Column("Notes", 40, N_("Up to 200 characters")),
)

_Rules = Mapping[int, Mapping[str, object]]  # by column, what may be typed into it


def table(form: Form, title: str, headings: Sequence[Heading], rows: Iterable[Sequence[str]]) -> bytes:
    """A sheet with these columns; `title` names the worksheet. Errors: ValueError above `MOST_ROWS` rows.

    MACs should come with dashes: a CSV cannot say that 805E10112233 is no number.
    """
    return _WRITERS[form](title, headings, rows, {})


def template(form: Form) -> bytes:
    """An empty sheet to fill in: the two columns of the Teams admin centre's own template, then ours.

    Examples stand in the hints and not in rows, which people would forget to delete.
    """
    headings = [Heading(column.title, column.width, _(column.hint)) for column in _COLUMNS]
    rules = {
        number: {**dict(column.rule), "error_title": column.title, "error_message": _(column.complaint)[:_MOST_HINT]}
        for number, column in enumerate(_COLUMNS)
        if column.rule
    }
    return _WRITERS[form](_("Devices"), headings, (), rules)


def errors(form: Form, header: Sequence[str], rows: Iterable[tuple[Sequence[str], str]]) -> bytes:
    """The bad rows as they were and, last, why; of a file that came back with reasons the old ones are left out.

    Rows that were pasted have no header: they get the template's.
    """
    titles = list(header) or [column.title for column in _COLUMNS]
    old = len(titles) - 1 if titles[-1].strip().casefold() == REASON.casefold() else len(titles)
    bad = [([*cells[:old], *cells[old + 1 :]] if old < len(titles) else list(cells), why) for cells, why in rows]
    width = max([old, *(len(cells) for cells, _why in bad)])
    headings = [Heading(titles[n] if n < old else "") for n in range(width)]
    filled = ([*cells, *[""] * (width - len(cells)), why] for cells, why in bad)
    return table(form, _("To correct"), [*headings, Heading(REASON, 60)], filled)


def _csv(title: str, headings: Sequence[Heading], rows: Iterable[Sequence[str]], rules: _Rules) -> bytes:
    """RFC 4180 with a byte order mark, without which Excel takes the text for Windows-1252.

    Separated by commas. Excel opens by a double click what its region separates lists by, so no sign suits all;
    `sep=` would, but is a row of rubbish to every other reader and makes Excel forget the encoding. The comma is what
    the Teams admin centre gives and takes, and where `;` is the custom there is the workbook.
    """
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_cell(heading.title) for heading in headings)
    for _number, row in _counted(rows):
        writer.writerow([_cell(value) for value in row])
    return text.getvalue().encode("utf-8-sig")


def _xlsx(title: str, headings: Sequence[Heading], rows: Iterable[Sequence[str]], rules: _Rules) -> bytes:
    from xlsxwriter import Workbook  # 40 ms and 4 MB: a service that never writes a workbook spares them

    out = BytesIO()
    book = Workbook(out, _TEXT_ONLY)
    book.set_properties({"title": _cell(title), "created": _UNDATED})
    sheet = book.add_worksheet(_sheet_name(title))
    text, bold = book.add_format({"num_format": "@"}), book.add_format({"num_format": "@", "bold": True})
    for column, heading in enumerate(headings):
        sheet.set_column(column, column, heading.width, text)
        sheet.write_string(0, column, _cell(heading.title), bold)
    last = 0
    for last, row in _counted(rows):
        for column, value in enumerate(row):
            sheet.write_string(last, column, _cell(value))
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)  # on paper: all columns side by side
    sheet.autofilter(0, 0, last, len(headings) - 1)
    for column, heading in enumerate(headings):
        _advise(sheet, column, heading, rules.get(column, {}))
    book.close()
    return out.getvalue()


def _advise(sheet: Worksheet, column: int, heading: Heading, rule: Mapping[str, object]) -> None:
    """The hint beside a selected cell, and what may be typed into it."""
    if heading.hint or rule:
        hint = {"input_title": heading.title[:_MOST_TITLE], "input_message": heading.hint[:_MOST_HINT]}
        shown = hint if heading.hint else {}
        sheet.data_validation(1, column, MOST_ROWS, column, {"validate": "any", **shown, **rule})


def _counted(rows: Iterable[Sequence[str]]) -> Iterable[tuple[int, Sequence[str]]]:
    for number, row in enumerate(rows, start=1):
        if number > MOST_ROWS:
            raise ValueError(f"a sheet holds at most {MOST_ROWS} rows")
        yield number, row


def _cell(value: str) -> str:
    """What a cell can hold, without control characters and safe from being computed."""
    if value.isprintable() and value[:1] not in _ODD_STARTS and ";" not in value and len(value) <= _MOST_UNITS // 2:
        return value  # nearly all of them, in a tenth of the time
    kept = guarded(_NO_CELL.sub("", _BREAK.sub("\n", value)))
    if len(kept) <= _MOST_UNITS // 2:
        return kept
    return kept.encode("utf-16-le")[: _MOST_UNITS * 2].decode("utf-16-le", "ignore")


def _sheet_name(title: str) -> str:
    """What Excel takes for a name: no `[]:*?/\\`, no quote at either end, at most 31 characters."""
    name = _NO_NAME.sub(" ", _NO_CELL.sub("", title))[:_LONGEST_NAME].strip().strip("'").strip()
    return name if name and name.casefold() != "history" else "Sheet1"


_Writer = Callable[[str, Sequence[Heading], Iterable[Sequence[str]], _Rules], bytes]
_WRITERS: dict[Form, _Writer] = {Form.XLSX: _xlsx, Form.CSV: _csv}
