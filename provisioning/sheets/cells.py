"""What stands in one cell, as text and as what the column wants."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from types import MappingProxyType

from provisioning.errors import TextTooLong
from provisioning.mac import normalise
from provisioning.sheets import limits
from provisioning.sheets.columns import Column, key
from provisioning.sheets.faults import RowRefused
from provisioning.sheets.guard import unguarded
from provisioning.sheets.rows import RowFault
from provisioning.untrusted import LIMIT, clean, clean_location

Cell = str | int | float | bool | date | datetime | time | timedelta

TYPES = ("phone", "display", "panel", "room", "sip")
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        key(word): kind
        for kind, words in {
            "phone": (
                "phone",
                "phones",
                "Teams phone",
                "desk phone",
                "IP phone",
                "Telefon",
                "Tischtelefon",
                "Téléphone",
            ),
            "display": ("display", "displays", "Teams display", "Anzeige", "Écran", "Pantalla"),
            "panel": ("panel", "panels", "Teams panel", "room panel", "scheduling panel", "Raumpanel"),
            "room": ("room", "rooms", "Teams room", "Teams Rooms", "MTR", "MTRoA", "Teams Rooms on Android", "Raum"),
            "sip": ("sip", "SIP phone", "SIP device", "SIP-Telefon", "SIP gateway"),
        }.items()
        for word in words
    }
)
TAG = 40  # characters
_ACCOUNT = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")
_LONGEST_ACCOUNT = 113  # of a user principal name
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015\u2212_.·•/]+")
_CODE = re.compile(r"[0-9A-Z]{4,16}")
# A line that neither cleaning nor taking a guard away would change; nearly all of them, in a tenth of the time.
_PLAIN = re.compile("[!-&(-.0-~\u00a1-\u00ac\u00ae-\u02af]+(?:[ /][!-&(-.0-~\u00a1-\u00ac\u00ae-\u02af]+)*")
_SCIENTIFIC = re.compile(r"\d+([.,]\d+)?[eE][+]?\d+")


def refused(code: str, **values: object) -> RowRefused:
    return RowRefused(RowFault.of(code, values))


def text_of(cell: Cell) -> str:
    """The cell as a person would have typed it."""
    if isinstance(cell, str):
        return unguarded(cell) if "'" in cell else cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return str(cell)


def shown(cell: Cell) -> str:
    """The beginning of a cell, to be quoted in a sentence."""
    return "".join(c if c.isprintable() else " " for c in text_of(cell)[:40]).strip()


def mac_of(cell: Cell) -> str:
    """Errors: `InvalidMac` and its kinds, `RowRefused`."""
    if isinstance(cell, str):
        if cell and not cell.isspace():
            return normalise(unguarded(cell) if "'" in cell else cell)
        raise refused("mac_missing")
    if isinstance(cell, date | time | timedelta):
        raise refused("mac_date", text=shown(cell))
    raise refused("mac_number", text=shown(cell))


def is_plain(text: str) -> bool:
    """Whether it is a line, and a location, as it stands."""
    return len(text) <= LIMIT and _PLAIN.fullmatch(text) is not None


def location_of(cells: Sequence[Cell]) -> str:
    """The levels in one; empty where all are. Errors: `InvalidLocation`, `RowRefused`."""
    for cell in cells:
        if isinstance(cell, date | time | timedelta):
            raise refused("location_date", text=shown(cell))
    levels = [text for cell in cells if (text := text_of(cell)).strip()]
    return clean_location("/".join(levels)) if levels else ""


def words_of(cell: Cell, column: Column, limit: int = LIMIT) -> str:
    """Errors: `RowRefused`."""
    try:
        return clean(text_of(cell), limit)
    except TextTooLong as error:
        raise refused("too_long", column=column.value, **error.values) from None


def type_of(cell: Cell) -> str:
    """Errors: `RowRefused`."""
    text = text_of(cell)
    if not text.strip():
        return ""
    kind = _TYPES.get(key(text[: limits.CELL]))
    if not kind:
        raise refused("type", text=shown(cell), choices=", ".join(TYPES))
    return kind


def account_of(cell: Cell) -> str:
    """Errors: `RowRefused`."""
    text = words_of(cell, Column.ACCOUNT)
    if text and (len(text) > _LONGEST_ACCOUNT or not _ACCOUNT.fullmatch(text)):
        raise refused("account", text=shown(cell))
    return text


def tags_of(cell: Cell) -> tuple[str, ...]:
    """Errors: `RowRefused`."""
    tags: dict[str, str] = {}
    for part in re.split("[,;]", text_of(cell)):
        try:
            tag = clean(part, TAG)
        except TextTooLong:
            raise refused("tag", text=shown(part)) from None
        if "/" in tag:
            raise refused("tag", text=tag)
        if tag:
            tags.setdefault(tag.casefold(), tag)
    return tuple(tags.values())


def code_of(cell: Cell, digits: int) -> str:
    """A code of the Teams admin centre, upper case, without what separates its groups; `digits` is what others have.

    Microsoft documents neither its length nor its alphabet. A number is taken only where it cannot have lost a zero.
    Errors: `RowRefused`.
    """
    if isinstance(cell, bool | date | time | timedelta) or (isinstance(cell, float) and not cell.is_integer()):
        raise refused("code_number")
    text = text_of(cell)
    if _SCIENTIFIC.fullmatch(text.strip()) and ("+" in text or "." in text or "," in text):
        raise refused("code_number")
    code = _SEPARATORS.sub("", text).upper()
    if not code:
        return ""
    wanted = digits or (0 if isinstance(cell, str) else 6)
    if code.isdecimal() and len(code) < wanted:
        raise refused("code_zeros")
    if not _CODE.fullmatch(code) or (not isinstance(cell, str) and len(code) != wanted):
        raise refused("code")
    return code
