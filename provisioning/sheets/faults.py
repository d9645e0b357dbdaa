"""What can be wrong with a sheet or with one of its rows, and how each of it is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from provisioning.errors import (
    InvalidLocation,
    InvalidMac,
    MacNotADevice,
    MacWasNumber,
    MacWrongLength,
    ProvisioningError,
    TextTooLong,
)
from provisioning.sheets.rows import RowFault
from provisioning.texts import N_, _, ngettext


class SheetError(ProvisioningError):
    """The sheet as a whole cannot be read."""

    code = "sheet"
    message = N_("This file cannot be read. Save it as XLSX or CSV and send it again.")


class NotASheet(SheetError):
    code = "not_a_sheet"
    message = N_("This is not a table. Send an XLSX or CSV file with the columns MAC id and Location.")


class Picture(NotASheet):
    code = "sheet_picture"
    message = N_("This is a picture, whatever its name says. Send the table itself, as XLSX or CSV.")


class Pdf(NotASheet):
    code = "sheet_pdf"
    message = N_("This is a PDF. Send the table it was made from, as XLSX or CSV.")


class OldWorkbook(NotASheet):
    code = "sheet_xls"
    message = N_("This workbook has the format of Excel 2003 (.xls). Open it, save it as XLSX and send that.")


class BinaryWorkbook(NotASheet):
    code = "sheet_xlsb"
    message = N_("This is a binary workbook (.xlsb). Open it, save it as XLSX and send that.")


class OpenDocument(NotASheet):
    code = "sheet_ods"
    message = N_("This is an OpenDocument file (.ods). Open it, save it as XLSX or CSV and send that.")


class Numbers(NotASheet):
    code = "sheet_numbers"
    message = N_("This is a Numbers file. Export it to Excel or CSV there and send that.")


class Archive(NotASheet):
    code = "sheet_archive"
    message = N_("This is an archive, not a workbook. Unpack it and send the XLSX or CSV file in it.")


class Encrypted(SheetError):
    code = "sheet_encrypted"
    message = N_("This workbook has a password. Save it without one and send it again.")


class Damaged(SheetError):
    code = "sheet_damaged"
    message = N_("This file is damaged or did not arrive whole. Open it, save it again and send that.")


class Suspicious(SheetError):
    """Built in a way that no spreadsheet program builds a workbook."""

    code = "sheet_suspicious"
    message = N_("This workbook was not built by a spreadsheet program. Copy its table into a new one and send that.")


class EmptySheet(SheetError):
    code = "sheet_empty"
    message = N_("There is nothing in this file. Send one with the columns MAC id and Location.")


class NoMacColumn(SheetError):
    code = "sheet_no_mac"
    message = N_("No column holds MACs. Call one MAC id and another Location; template sends you a sheet to fill in.")


class TwoColumns(SheetError):
    code = "sheet_two_columns"
    message = N_('"{first}" and "{second}" both mean {column}. Rename or delete one of them.')


class TooManyRows(SheetError):
    code = "sheet_rows"
    message = N_("There are more than {limit} rows. Split the file into several.")


class TooManyColumns(SheetError):
    code = "sheet_columns"
    message = N_("Row {row} has more than {limit} columns. Delete those to the right of the table.")


class LineTooLong(SheetError):
    code = "sheet_line"
    message = N_("Line {line} has more than {limit} characters. Is this the right file?")


class LoneQuote(SheetError):
    code = "sheet_quote"
    message = N_('In row {row} a quotation mark (") opens and never closes. Delete or double it.')


class TooLarge(SheetError):
    code = "sheet_large"
    message = N_("This file is larger than {limit} MB. Split it, or save it as XLSX without pictures.")


class TooMuchInside(SheetError):
    code = "sheet_unpacked"
    message = N_("Unpacked, this workbook is too large. Copy its table into a new workbook and send that.")


class TooMuchMemory(SheetError):
    code = "sheet_memory"
    message = N_(
        "This workbook takes too much memory. Often a single cell far from the table does that:"
        " copy the table into a new workbook and send that."
    )


class TookTooLong(SheetError):
    code = "sheet_time"
    message = N_("Reading this file takes too long. Save the table alone as CSV, or split it, and send that.")


class RowRefused(ProvisioningError):
    """A row that cannot be taken; its fault says why."""

    code = "row"

    def __init__(self, fault: RowFault) -> None:
        super().__init__()
        self.fault = fault


Values = Mapping[str, str]
Sentence = Callable[[Values], str]


def _plain(message: str) -> Sentence:
    return lambda values: _(message, **values)


_CURE = N_('"{text}": Excel changed this to a number; format the column as Text.')

# Of one row. A sentence that begins with a quotation stands behind "Row 17", every other one behind "Row 17:".
ROWS: Mapping[str, Sentence] = MappingProxyType(
    {
        "mac": _plain(N_('"{text}": not a MAC, which has 12 digits from 0 to 9 and A to F.')),
        "mac_missing": _plain(N_("no MAC.")),
        "mac_length": lambda values: ngettext(
            '"{text}": {n} digit, a MAC has 12.', '"{text}": {n} digits, a MAC has 12.', int(values["digits"]), **values
        ),
        "mac_kind": _plain(N_('"{text}": a {kind} address, which no device has; copy it from the label.')),
        "mac_number": _plain(_CURE),
        "mac_date": _plain(N_('"{text}": Excel changed this to a date; format the column as Text.')),
        "same_mac": _plain(N_("same MAC as row {row} ({there}), here {here}.")),
        "same_mac_else": _plain(N_("same MAC as row {row}, with something else in another column.")),
        "location_missing": _plain(N_("no location.")),
        "location": _plain(N_("the location is not one: at most 200 characters, its parts separated by /.")),
        "location_date": _plain(N_('"{text}": Excel changed this location to a date; format the column as Text.')),
        "too_long": _plain(N_("{column} has {length} characters, at most {limit} fit.")),
        "type": _plain(N_('"{text}": not a type; write one of {choices}.')),
        "account": _plain(N_('"{text}": not an account; it looks like room-2.14@contoso.com.')),
        "tag": _plain(N_('"{text}": a tag has at most 40 characters and no /.')),
        "code": _plain(N_("the verification code is not one: 4 to 16 letters and digits.")),
        "code_number": _plain(N_("Excel changed the verification code to a number; format the column as Text.")),
        "code_zeros": _plain(N_("the verification code may have lost its first zeros; format the column as Text.")),
        "tags": _plain(N_("it would have more than {limit} tags.")),
        "location_needed": _plain(N_("no location, and no device with this MAC is on the list.")),
        "provisioned": _plain(N_("{place} was provisioned already; it needs no code before a factory reset.")),
        "person": _plain(N_('"{text}": I know nobody of this name; ask them to say hi to me.')),
        "persons": _plain(N_('"{text}": several people have this name; write their e-mail.')),
        "no_technician": _plain(N_('"{text}" is not a technician yet. Say: grant {text} technician')),
    }
)

# Of what was passed over.
REMARKS: Mapping[str, Sentence] = MappingProxyType(
    {
        "unknown_columns": _plain(N_("Passed over, as I do not know these columns: {columns}.")),
        "above_header": _plain(N_("Passed over above the header: rows {rows}.")),
        "notes_below": _plain(N_("Passed over at the end, as there is no MAC: rows {rows}.")),
        "no_header": _plain(N_("There is no header: I took {mac} as MAC id and {location} as Location.")),
        "counted_once": lambda values: ngettext(
            "{n} row stands there twice and counts once: {rows}.",
            "{n} rows stand there twice and count once: {rows}.",
            int(values["count"]),
            **values,
        ),
        "other_sheets": _plain(N_('Only the sheet "{sheet}" was read, not: {others}.')),
    }
)

# How reading can end without a fault of the sheet.
ENDS: Mapping[str, Sentence] = MappingProxyType(
    {"broke_off": _plain(N_("Reading broke off. Nothing was saved; please send it again."))}
)

# Why a device stays where an import is undone.
STAYS: Mapping[str, Sentence] = MappingProxyType(
    {
        "stays_provisioned": _plain(N_("it was provisioned")),
        "stays_installed": _plain(N_("it was installed")),
        "stays_problem": _plain(N_("a problem was reported")),
        "stays_code": _plain(N_("a code was issued")),
        "stays_removed": _plain(N_("it was removed")),
        "stays_changed": _plain(N_("it was changed")),
    }
)

# Errors that several classes share the code of, or that are said shorter in a list of rows.
_CODES: Mapping[type[ProvisioningError], str] = MappingProxyType(
    {
        InvalidMac: "mac",
        MacWrongLength: "mac_length",
        MacNotADevice: "mac_kind",
        MacWasNumber: "mac_number",
        InvalidLocation: "location",
        TextTooLong: "too_long",
    }
)


def fault_of(error: ProvisioningError) -> RowFault:
    """The error as something that is kept and said later, to anybody."""
    if isinstance(error, RowRefused):
        return error.fault
    return RowFault.of(_CODES.get(type(error), error.code), error.values)


def say(fault: RowFault) -> str:
    """The fault in the language of whoever is being spoken to."""
    known = ROWS.get(fault.code) or STAYS.get(fault.code) or sentences()[fault.code]
    return known(dict(fault.values))


def say_row(number: int, fault: RowFault) -> str:
    """`Row 17 "805EC01122": 10 digits, a MAC has 12.`"""
    said = say(fault)
    if said.startswith(('"', "„", "“", "«")):
        return _("Row {number} {fault}", number=number, fault=said)
    return _("Row {number}: {fault}", number=number, fault=said)


def sentences() -> Mapping[str, Sentence]:
    """The sentence of every code a fault can have; an error's own message where there is no shorter one.

    Worked out anew each time: errors come with the modules that raise them.
    """
    errors = {kind.code: _plain(kind.message) for kind in reversed(list(_kinds(ProvisioningError)))}
    return MappingProxyType({**errors, **ENDS, **REMARKS, **STAYS, **ROWS})


def _kinds(root: type[ProvisioningError]) -> Iterator[type[ProvisioningError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


def sheet_error(code: str) -> type[SheetError]:
    """The error of this code. Errors: `KeyError`."""
    return {kind.code: kind for kind in _kinds(SheetError) if issubclass(kind, SheetError)}[code]
