"""Questions in SQL: named indexes and keyset pages for the store, candidates for TinyDB's own queries."""

from __future__ import annotations

from collections.abc import Mapping, Set
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

from provisioning.model import Device
from provisioning.ports import IndexValue, Span
from storage.kinds import KINDS, Kind, sees_hidden
from storage.records import check_text, micros
from storage.tinydb_layout import SEEN_BY_ALL, quoted
from storage.where import NOTHING, Where

_NOTHING = 4  # most rows are a no
_BROAD = 2  # from this rank on, a range of times leads to fewer rows …
_LONG_AGO = (
    "provisioned_at",
    False,
)  # … but for this one without a beginning, which holds nearly everything in the end


def bound(value: IndexValue) -> str | int:
    """A value as it stands in a column."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        check_text(value)
        return value
    return int(value)


class _Shape(NamedTuple):
    """All of a question but its values: what decides how rows are looked for."""

    kind: type[Any]
    equals: tuple[tuple[str, bool | None], ...]  # with what a flag is asked to be, which is said literally
    span: tuple[str, bool, bool] | None  # of a time, with or without a beginning and an end
    contains: bool
    counting: bool


def matching(
    kind: Kind, contains: str | None, span: Span | None, equals: Mapping[str, IndexValue], *, counting: bool = False
) -> Where:
    """The rows that a `find` or, `counting`, a `count` is about."""
    values, asked = list[str | int](), list[tuple[str, bool | None]]()
    for name, value in equals.items():
        if value is None:
            return NOTHING
        is_flag = name in kind.flags
        asked.append((name, bool(value) if is_flag else None))
        if not is_flag:
            values.append(str(bound(value)).casefold() if name in kind.lists else bound(value))
    within = None
    if span:
        within = span.index, span.after is not None, span.until is not None
        values += (micros(moment) for moment in (span.after, span.until) if moment is not None)
    if contains is not None:
        check_text(contains)
        values.append(contains.casefold())
    where = _terms(_Shape(kind.cls, tuple(asked), within, contains is not None, counting))
    return Where(where.terms, tuple(values), where.by_range, where.index, where.by_list)


@lru_cache(maxsize=512)  # the questions that the program asks are some dozens: put together once, 10 µs each time
def _terms(shape: _Shape) -> Where:
    """The conditions of a question, without their values.

    One condition leads to the rows, the most telling; the unary plus hides the others' indexes from SQLite, whose
    planner knows nothing of how rows are spread. A flag is said literally, so that the index of its true rows is seen
    to fit.
    """
    kind, equals, span = KINDS[shape.kind], dict(shape.equals), shape.span
    ranks = {name: _rank(kind, name, flag) for name, flag in equals.items() if name not in kind.lists}
    special, by_list = _special(shape, equals), False
    if special:
        leading, shown = SPECIAL[special]
    elif kind.lists.keys() & equals.keys() and 0 not in ranks.values():
        leading, shown, by_list = "", set(), True
    elif span and min(ranks.values(), default=_BROAD) >= _BROAD and not (span[:2] == _LONG_AGO and "state" in ranks):
        leading, shown = span[0], set()
    else:
        telling = {name: rank for name, rank in ranks.items() if rank < _NOTHING}
        leading, shown = min(telling, key=ranks.__getitem__, default=""), set()
    terms = list[str]()
    for name, flag in equals.items():
        column = ("" if name == leading or name in shown else "+") + quoted(f"ix_{name}")
        if name in kind.lists:
            terms.append("tag = ?" if by_list else _HAS_TAG)
        else:
            terms.append(f"{column} = {'?' if flag is None else int(flag)}")
    if span:
        terms += _within(*span, hidden=span[0] != leading)
    if shape.contains:
        terms.append("instr(ix_text, ?) > 0")
    if not sees_hidden(kind.cls, equals):
        terms.append(SEEN_BY_ALL)
    return Where(
        tuple(terms),
        by_range=span is not None and leading == span[0],
        index=f"{kind.table}.{special}" if special else "",
        by_list=by_list,
    )


_HAS_TAG = "EXISTS (SELECT 1 FROM tagged WHERE tag = ? AND place = ord)"


def _within(index: str, begins: bool, ends: bool, *, hidden: bool) -> list[str]:
    column = quoted(f"ix_{index}")
    compared = f"{'+' * hidden}{column}"
    return [f"{column} IS NOT NULL", *[f"{compared} > ?"] * begins, *[f"{compared} <= ?"] * ends]


# Further index of the devices → which condition leads into it, and which others it must be shown to fit.
SPECIAL: Mapping[str, tuple[str, set[str]]] = {
    "live": ("", set()),
    "site_live": ("site", set()),
    "live_count": ("code_until", {"removed"}),
    "site_problem": ("site", {"problem"}),
    "site_hashed": ("site", set()),
    "site_offline": ("site", set()),
    "technician_open": ("technician", {"open"}),
    "technician_installed": ("installed_at", {"removed", "technician"}),
    "provisioned_at_count": ("provisioned_at", {"removed", "site"}),
    "installed_at_count": ("installed_at", {"removed", "site"}),
    "words": ("", {"removed"}),
}


def _special(shape: _Shape, equals: Mapping[str, bool | None]) -> str:
    """The further index that a question about devices is made for; empty: none."""
    listed, asked = equals.get("removed") is False, equals.keys() - {"removed"}
    if shape.kind is not Device:
        return ""
    if shape.contains:
        return "words" if listed and shape.span is None and not asked else ""
    if shape.span is None:
        return _of_flags(equals, asked)
    index, begins, ends = shape.span
    if index == "provisioned_at" and not begins and not ends:
        return _of_flags(equals, asked)
    if shape.counting:
        return _of_counted(index, asked, begins=begins) if listed else ""
    if index in _TROUBLES:
        return _TROUBLES[index] if "site" in asked and asked <= {*_SPREAD, "open"} else ""
    if index != "code_until" or not begins or ends or asked - {"site", "state"}:
        return ""
    return "site_live" if "site" in asked else "live"


def _of_flags(equals: Mapping[str, bool | None], asked: Set[str]) -> str:
    if equals.get("open") is True and "technician" in asked and asked <= {*_SPREAD, "open"}:
        return "technician_open"
    return "site_problem" if equals.get("problem") is True and "site" in asked and asked <= _SPREAD else ""


def _of_counted(index: str, asked: Set[str], *, begins: bool) -> str:
    if index == "installed_at" and asked == {"technician"}:
        return "technician_installed"
    if asked <= {"site"} and f"{index}_count" in SPECIAL:
        return f"{index}_count"
    return "live_count" if index == "code_until" and begins and asked <= {"site", "technician"} else ""


# Of a site these are few: what stands at times that most devices never have.
_TROUBLES = {"hashed_until": "site_hashed", "offline_since": "site_offline"}
_SPREAD = {"site", "state", "technician", "problem"}


def _rank(kind: Kind, name: str, flag: bool | None) -> int:
    """How little a condition tells, from 0."""
    if flag is not None:
        return _NOTHING if not flag else 0 if name in kind.rare else 3
    return 0 if name in kind.narrow else _BROAD if name in kind.broad else 1


def names_few(kind: Kind, equals: Mapping[str, IndexValue]) -> bool:
    """Whether one of the conditions alone names a handful of records, whatever else is asked of them.

    Of devices a flag does not: where 40 000 are silent, it takes 60 ms to look through them for those of one site.
    """
    rare = kind.rare if kind.cls is not Device else frozenset[str]()
    return any(name in kind.narrow or (name in rare and value) for name, value in equals.items())


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
