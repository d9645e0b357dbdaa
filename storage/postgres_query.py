"""Questions in PostgreSQL's SQL: named indexes, spans of time and keyset pages; every value is bound."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from provisioning.ports import IndexValue, Span
from storage.kinds import Kind, sees_hidden
from storage.postgres_sql import queries
from storage.records import check_text, micros
from storage.where import NOTHING, Where


def matching(kind: Kind, contains: str | None, span: Span | None, equals: Mapping[str, IndexValue]) -> Where:
    """The rows that a `find` or `count` is about. A flag is said literally, as the indexes of its true rows say it."""
    where = Where(by_list=bool(kind.lists.keys() & equals.keys()))
    for name, value in equals.items():
        where &= _equal(kind, name, value)
    if span:
        column = f"ix_{span.index}"
        where &= Where((f"{column} IS NOT NULL",))
        if span.after is not None:
            where &= Where((f"{column} > %s",), (micros(span.after),))
        if span.until is not None:
            where &= Where((f"{column} <= %s",), (micros(span.until),))
    if contains is not None:
        check_text(contains)
        where &= Where(("strpos(ix_text, %s) > 0",), (contains.casefold(),))
    return where if sees_hidden(kind.cls, equals) else where & Where((queries()["seen_by_all"],))


def _equal(kind: Kind, name: str, value: IndexValue | None) -> Where:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        check_text(value)
    if value is None or (name in kind.times and not isinstance(value, int)):
        return NOTHING
    if name in kind.lists:
        return Where(("tag = %s",), (str(value).casefold(),))
    if name in kind.flags:
        return Where((f"{'' if value else 'NOT '}ix_{name}",))
    return Where((f"ix_{name} = %s",), (value,)) if isinstance(value, str) or name in kind.times else NOTHING
