"""A unit of work on its way to disk: encoded on the event loop, applied in the writer's thread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.model import Change, Record
from storage.kinds import KINDS
from storage.records import Plain, encode, micros, record_json, time_text, to_json
from storage.tinydb_audit import fact_written
from storage.tinydb_engine import RowTable
from storage.tinydb_layout import values_of


@dataclass(frozen=True, slots=True)
class _Put:
    table: RowTable
    text: str
    values: tuple[Any, ...]  # values[1] is the version it will have
    unique: str  # of an outbox message that is added
    waits: str  # the same where it waits, so that none with this word is added after it


@dataclass(frozen=True, slots=True)
class Unit:
    """What `save` was given, as text and columns; whatever cannot be stored was refused before."""

    puts: tuple[_Put, ...]
    deletes: tuple[tuple[RowTable, str, int], ...]
    events: tuple[tuple[str, tuple[Any, ...]], ...]
    audit: RowTable
    topics: frozenset[str]

    @classmethod
    def of(cls, change: Change, tables: Mapping[type[Any], RowTable], audit: RowTable) -> Unit:
        """Raises `UnreadableText` and `TextTooLong` for a string that cannot be stored."""
        topics = {record.key for record in change.puts}
        if any(isinstance(record, OutboxMessage) for record in change.puts):
            topics.add("outbox")
        if change.events:
            topics.add("facts")
        return cls(
            tuple(_put(record, tables[type(record)]) for record in change.puts),
            tuple((tables[type(record)], record.key, record.version) for record in change.deletes),
            tuple(map(fact_written, change.events)),
            audit,
            frozenset(topics),
        )

    def write(self, connection: sqlite3.Connection) -> None:
        """Applies all of it. `Conflict` and `Duplicate` undo the unit."""
        for table, key, version in self.deletes:
            table.writing.delete(connection, key, version)
        for added_to, run in groupby(self.puts, key=_added_to):
            if added_to is None:
                for put in run:
                    put.table.writing.replace(connection, put.text, put.values)
            elif wanted := _wanted(connection, list(run)):
                added_to.add(connection, [(put.text, put.values) for put in wanted])
        if self.events:
            self.audit.add(connection, self.events)


def _added_to(put: _Put) -> RowTable | None:
    """The table of a record that is added; of such, many follow each other."""
    return None if put.values[1] > 1 else put.table


def _put(record: Record, table: RowTable) -> _Put:
    version = record.version + 1
    plain: Plain = encode(record)
    plain["version"] = version
    unique = waits = ""
    if isinstance(record, OutboxMessage) and record.version == 0:
        unique = record.unique
        waits = unique if record.status is MessageStatus.WAITING and record.leased_until is None else ""
    return _Put(table, record_json(plain), values_of(KINDS[type(record)], record, version), unique, waits)


# The index is named and the status said literally: where a bound value may fit the condition of an index or not,
# SQLite prepares the statement anew for each value, 11 µs instead of 2.
_WORDS_WAITING = """SELECT ix_unique FROM "doc:outbox" INDEXED BY "outbox.unique"
    WHERE ix_unique IN (SELECT value FROM json_each(?)) AND ix_status = 'waiting' AND leased_until IS NULL"""


def _wanted(connection: sqlite3.Connection, adding: Sequence[_Put]) -> Sequence[_Put]:
    """Without the messages whose unique word waits already, be it from before or from this unit."""
    words = [put.unique for put in adding if put.unique]
    if not words:
        return adding
    waiting, wanted = {word for (word,) in connection.execute(_WORDS_WAITING, (json.dumps(words),))}, []
    for put in adding:
        if put.unique not in waiting:
            wanted.append(put)
        if put.waits:
            waiting.add(put.waits)
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
