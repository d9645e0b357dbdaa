"""The statements of queries.sql: by name, and those about a kind of records with its table and columns put in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from provisioning.messages import OutboxMessage
from provisioning.model import Device, Record
from storage.kinds import KINDS, Kind, columns_of
from storage.records import encode, micros, once, record_json

_FILE = Path(__file__).with_name("queries.sql")
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def queries() -> Mapping[str, str]:
    """Name → statement."""
    _head, *parts = _NAME.split(_FILE.read_text("utf-8"))
    without_remarks = (re.sub(r"^--.*\n?", "", text, flags=re.MULTILINE).strip() for text in parts[1::2])
    return dict(zip(parts[::2], without_remarks, strict=True))


@cache
def about_heads(name: str) -> str:
    """A statement about the outbox that begins with the head of each lane."""
    return queries()[name].format(heads=queries()["heads"])


@dataclass(frozen=True, slots=True)
class Statements:
    """What is said about one kind of records."""

    get: str
    insert: str
    insert_many: str
    insert_messages: str  # about the outbox alone
    replace: str
    delete: str


@once
def about(kind: type[Any]) -> Statements:
    entry = KINDS[kind]
    types = columns_written(entry)
    names = ", ".join(types)
    values = ", ".join(f"%({name})s::{type_}" for name, type_ in types.items())
    settings = ", ".join(f"{name} = %({name})s::{type_}" for name, type_ in types.items() if name != "key")

    def filled(name: str) -> str:
        return queries()[name].format(
            table=entry.table,
            columns=names,
            values=values,
            settings=settings,
            seen=seen(kind),
            given=", ".join(f"{name}::{type_}" for name, type_ in types.items()),
            arrays=arrays_of(types),
        )

    return Statements(*map(filled, Statements.__slots__))


def seen(kind: type[Any], *, hidden: bool = False) -> str:
    """What a row must meet to be seen; with `hidden`, every row is."""
    return queries()["seen_by_all"] if kind is Device and not hidden else "TRUE"


def arrays_of(types: Mapping[str, str]) -> str:
    """Columns of many rows as they are bound: a document goes as text."""
    return ", ".join(f"%({name})s::{'text' if type_ == 'jsonb' else type_}[]" for name, type_ in types.items())


def columns_written(kind: Kind) -> dict[str, str]:
    """Every column that is written, in the order of `row_of`, with its type."""
    indexes = {f"ix_{name}": _type(kind, name) for name in (*kind.indexes, *kind.lists)}
    order = {"ord": "text"} if kind.order else {}
    times = {"due_at": "bigint", "leased_until": "bigint"} if kind.cls is OutboxMessage else {}
    return {"key": "text", **order, **indexes, **times, "version": "bigint", "doc": "jsonb"}


def _type(kind: Kind, index: str) -> str:
    return "boolean" if index in kind.flags else "bigint" if index in kind.times else "text"


def parameters(record: Record) -> dict[str, Any]:
    """What a put binds: the record as the version after the one it was read with.

    Errors: `UnreadableText`, `TextTooLong`.
    """
    version = record.version + 1
    row = row_of(record, version, record_json(encode(record) | {"version": version}))
    return dict(zip(columns_written(KINDS[type(record)]), row, strict=True))


def many_parameters(records: Iterable[Record]) -> dict[str, Any]:
    """As `parameters`, of records of one kind: each column as a list. Errors: as there."""
    rows = [parameters(record) for record in records]
    return {name: [row[name] for row in rows] for name in rows[0]}


def row_of(record: Record, version: int, text: str) -> tuple[Any, ...]:
    """A record as its columns in the order of `columns_written`; `text` is its document. Errors: `TextTooLong`."""
    times: tuple[Any, ...] = ()
    if isinstance(record, OutboxMessage):
        leased = record.leased_until
        times = (micros(record.due_at), micros(leased) if leased else None)
    return (*columns_of(KINDS[type(record)], record), *times, version, text)
