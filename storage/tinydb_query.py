"""Questions in SQL: named indexes and keyset pages for the store, candidates for TinyDB's own queries."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from provisioning.model import Device
from provisioning.ports import IndexValue, Span
from storage.kinds import Kind, sees_hidden
from storage.records import check_text, micros
from storage.tinydb_layout import SEEN_BY_ALL, quoted
from storage.where import NOTHING, Where

_NOTHING = 4  # most rows are a no
_BROAD = 2  # from this rank on, a range of times leads to fewer rows


def bound(value: IndexValue) -> str | int:
    """A value as it stands in a column."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        check_text(value)
        return value
    return int(value)


def matching(
    kind: Kind, contains: str | None, span: Span | None, equals: Mapping[str, IndexValue], *, counting: bool = False
) -> Where:
    """The rows that a `find` or, `counting`, a `count` is about.

    One condition leads to them, the most telling; the unary plus hides the others' indexes from SQLite, whose planner
    knows nothing of how rows are spread. A flag is said literally, so that the index of its true rows is seen to fit.
    """
    if None in equals.values():
        return NOTHING
    ranks = {name: _rank(kind, name, value) for name, value in equals.items() if name not in kind.lists}
    special, by_list = _special(kind, contains, span, equals, counting), False
    if special:
        leading, shown = SPECIAL[special]
    elif kind.lists.keys() & equals.keys() and 0 not in ranks.values():
        leading, shown, by_list = "", set(), True
    elif span and min(ranks.values(), default=_BROAD) >= _BROAD:
        leading, shown = span.index, set()
    else:
        telling = {name: rank for name, rank in ranks.items() if rank < _NOTHING}
        leading, shown = min(telling, key=ranks.__getitem__, default=""), set()
    where = Where(index=f"{kind.table}.{special}" if special else "", by_list=by_list)
    for name, value in equals.items():
        column = ("" if name == leading or name in shown else "+") + quoted(f"ix_{name}")
        if name in kind.lists:
            where &= Where(("tag = ?" if by_list else _HAS_TAG,), (str(bound(value)).casefold(),))
        elif name in kind.flags:
            where &= Where((f"{column} = {int(bool(value))}",))
        else:
            where &= Where((f"{column} = ?",), (bound(value),))
    if span:
        where &= _within(span, hidden=span.index != leading)
    if contains is not None:
        check_text(contains)
        where &= Where(("instr(ix_text, ?) > 0",), (contains.casefold(),))
    if not sees_hidden(kind.cls, equals):
        where &= Where((SEEN_BY_ALL,))
    by_range = bool(span) and leading == (span and span.index)
    return where & Where(by_range=by_range)


_HAS_TAG = "EXISTS (SELECT 1 FROM tagged WHERE tag = ? AND place = ord)"


def _within(span: Span, *, hidden: bool) -> Where:
    column = quoted(f"ix_{span.index}")
    compared = f"{'+' * hidden}{column}"
    where = Where((f"{column} IS NOT NULL",))
    if span.after is not None:
        where &= Where((f"{compared} > ?",), (micros(span.after),))
    if span.until is not None:
        where &= Where((f"{compared} <= ?",), (micros(span.until),))
    return where


# Further index of the devices → which condition leads into it, and which others it must be shown to fit.
SPECIAL: Mapping[str, tuple[str, set[str]]] = {
    "live": ("", set()),
    "site_live": ("site", set()),
    "live_count": ("code_until", {"removed"}),
    "site_problem": ("site", {"problem"}),
    "provisioned_at_count": ("provisioned_at", {"removed", "site"}),
    "installed_at_count": ("installed_at", {"removed", "site"}),
    "words": ("", {"removed"}),
}


def _special(
    kind: Kind, contains: str | None, span: Span | None, equals: Mapping[str, IndexValue], counting: bool
) -> str:
    """The further index that a question about devices is made for; empty: none."""
    listed, asked = equals.get("removed") is False, equals.keys() - {"removed"}
    if kind.cls is not Device:
        return ""
    if contains is not None:
        return "words" if listed and span is None and not asked else ""
    if span is None:
        return "site_problem" if equals.get("problem") is True and "site" in asked and asked <= _SPREAD else ""
    if counting and listed and asked <= {"site"} and f"{span.index}_count" in SPECIAL:
        return f"{span.index}_count"
    if span.index != "code_until" or span.after is None or not asked <= _SPREAD:
        return ""
    if counting:
        return "live_count" if listed and asked <= {"site", "technician"} else ""
    if span.until is not None or asked - {"site", "state"}:
        return ""
    return "site_live" if "site" in asked else "live"


_SPREAD = {"site", "state", "technician", "problem"}


def _rank(kind: Kind, name: str, value: IndexValue) -> int:
    """How little a condition tells, from 0."""
    if name in kind.flags:
        return _NOTHING if not value else 0 if name in kind.rare else 3
    return 0 if name in kind.narrow else _BROAD if name in kind.broad else 1


# ------------------------------------------------------------------ TinyDB's queries


def equality(condition: Any) -> dict[str, Any]:
    """Top-level fields that a TinyDB query asks to equal a value, whatever else it asks.

    Read from the form a query is hashed and compared by (`Query.__hash__`): `("==", path, value)`, and
    `("and", {…})` for its parts. Anything else narrows nothing down, which costs time and never a document.
    """
    return _equality(getattr(condition, "_hash", None))


def _equality(form: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    match form:
        case ("==", (str(field),), value):
            found[field] = value
        case ("and", frozenset() as parts):
            for part in parts:
                found |= _equality(part)
    return found


def candidates(condition: Any, plannable: Mapping[str, str]) -> Where:
    """Rows among which every match of a TinyDB query is; the query itself is then asked for each of them."""
    where = Where()
    for field, value in equality(condition).items():
        # an empty text stands as NULL in some columns
        if field in plannable and (isinstance(value, bool) or (isinstance(value, str) and value)):
            values = (int(value),) if isinstance(value, bool) else (value, value.casefold())
            where &= Where((f"{quoted(plannable[field])} IN ({', '.join('?' * len(values))})",), values)
    return where
