"""A unit of work on its way to disk: encoded on the event loop, applied in the writer's thread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, TypeGuard

from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.model import Change, Record
from storage.kinds import KINDS
from storage.records import Plain, encode, micros, record_json, time_text, to_json
from storage.tinydb_audit import fact_written
from storage.tinydb_engine import RowTable
from storage.tinydb_layout import values_of

Row = tuple[str, tuple[Any, ...]]  # its text and its columns, of which the second is the version it will have


@dataclass(frozen=True, slots=True)
class _Put:
    table: RowTable
    row: Row

    @property
    def adds(self) -> bool:
        return bool(self.row[1][1] == 1)


@dataclass(frozen=True, slots=True)
class _Adding:
    """An outbox message that is added where its word does not wait yet. Of a busy morning's nearly all do: it is made
    a row, in 25 µs, once it is wanted.
    """

    table: RowTable
    message: OutboxMessage
    adds: bool = True

    @property
    def row(self) -> Row:
        return _row(self.message)

    @property
    def waits(self) -> bool:
        return self.message.status is MessageStatus.WAITING and self.message.leased_until is None


@dataclass(frozen=True, slots=True)
class Unit:
    """What `save` was given, as text and columns."""

    puts: tuple[_Put | _Adding, ...]
    deletes: tuple[tuple[RowTable, str, int], ...]
    events: tuple[tuple[str, tuple[Any, ...]], ...]
    audit: RowTable
    topics: frozenset[str]

    @classmethod
    def of(cls, change: Change, tables: Mapping[type[Any], RowTable], audit: RowTable) -> Unit:
        """Raises `UnreadableText` and `TextTooLong` for a string that cannot be stored; of a message `write` does."""
        topics = {record.key for record in change.puts}
        if change.events:
            topics.add("facts")
        return cls(
            tuple(_put(record, tables[type(record)]) for record in change.puts),
            tuple((tables[type(record)], record.key, record.version) for record in change.deletes),
            tuple(map(fact_written, change.events)),
            audit,
            frozenset(topics),
        )

    def write(self, connection: sqlite3.Connection) -> frozenset[str]:
        """Applies all of it; returns the topics that it changed.

        `Conflict` and `Duplicate` undo the unit, and so do `UnreadableText` and `TextTooLong` in a message.
        """
        outbox = False
        for table, key, version in self.deletes:
            table.writing.delete(connection, key, version)
        for added_to, run in groupby(self.puts, key=_added_to):
            if added_to is None:
                for put in run:
                    put.table.writing.replace(connection, *put.row)
                    outbox = outbox or put.table.name == _OUTBOX
            elif wanted := _wanted(connection, list(run)):
                added_to.add(connection, [put.row for put in wanted])
                outbox = outbox or added_to.name == _OUTBOX
        if self.events:
            self.audit.add(connection, self.events)
        return self.topics | {"outbox"} if outbox else self.topics


_OUTBOX = KINDS[OutboxMessage].table


def _added_to(put: _Put | _Adding) -> RowTable | None:
    """The table of a record that is added; of such, many follow each other."""
    return put.table if put.adds else None


def worked_out(change: Change) -> int:
    """How many rows `Unit.of` works out: not those of messages that may wait already, half of an activation."""
    return len(change.events) + sum(not _may_wait(record) for record in change.puts)


def _may_wait(record: Record) -> TypeGuard[OutboxMessage]:
    """A message that is added where its word does not wait yet."""
    return isinstance(record, OutboxMessage) and record.version == 0 and bool(record.unique)


def _put(record: Record, table: RowTable) -> _Put | _Adding:
    if _may_wait(record):
        return _Adding(table, record)
    return _Put(table, _row(record))


def _row(record: Record) -> Row:
    version = record.version + 1
    plain: Plain = encode(record)
    plain["version"] = version
    return record_json(plain), values_of(KINDS[type(record)], record, version)


# The index is named and the status said literally: where a bound value may fit the condition of an index or not,
# SQLite prepares the statement anew for each value, 11 µs instead of 2.
_WORDS_WAITING = """SELECT ix_unique FROM "doc:outbox" INDEXED BY "outbox.unique"
    WHERE ix_unique IN (SELECT value FROM json_each(?)) AND ix_status = 'waiting' AND leased_until IS NULL"""


def _wanted(connection: sqlite3.Connection, adding: Sequence[_Put | _Adding]) -> Sequence[_Put | _Adding]:
    """Without the messages whose unique word waits already, be it from before or from this unit."""
    words = [put.message.unique for put in adding if isinstance(put, _Adding)]
    if not words:
        return adding
    waiting = {word for (word,) in connection.execute(_WORDS_WAITING, (json.dumps(words),))}
    wanted = list[_Put | _Adding]()
    for put in adding:
        if not isinstance(put, _Adding):
            wanted.append(put)
            continue
        if put.message.unique not in waiting:
            wanted.append(put)
        if put.waits:
            waiting.add(put.message.unique)
    return wanted


_FORMER_CALL = 'SELECT id, doc, crc FROM "doc:seen" WHERE key = ?'


def write_seen(connection: sqlite3.Connection, table: RowTable, seen: Iterable[tuple[str, datetime]]) -> None:
    """Notes calls within a unit; one that is older than what is known changes nothing."""
    for mac, at in seen:
        former = connection.execute(_FORMER_CALL, (mac,)).fetchone()  # as units before in the same commit left it
        text, values = to_json({"mac": mac, "at": time_text(at)}), (mac, micros(at))
        if former is None:
            table.add(connection, [(text, values)])
        elif datetime.fromisoformat(table.rows.open_row(table.name, former)["at"]) < at:
            table.writing.overwrite(connection, former[0], text, values)
