"""The sealer of an embedded store: committed audit rows become segments of a chain (see audit.py)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from provisioning.bookkeeping import Segment
from provisioning.events import Event, FactsRedacted
from provisioning.model import Record
from storage.audit import Unsealed, Words, digest, named, next_segment, redacted, without_rows
from storage.kinds import KINDS
from storage.records import decode, encode, encode_event, micros, record_json
from storage.tinydb_engine import RowTable
from storage.tinydb_layout import audit_values, values_of

# One writer gives the numbers, so rows are committed in their order: what is sealed ends where the last segment does.
_UNSEALED = 'SELECT id, at, digest FROM "doc:audit" WHERE id > ? ORDER BY id LIMIT ?'
_NEWEST = 'SELECT doc FROM "doc:segments" ORDER BY ord DESC LIMIT 1'
_OLDEST = 'SELECT doc FROM "doc:segments" WHERE +ix_dropped = 0 ORDER BY ord LIMIT 1'
_FACT = 'SELECT id, doc, crc FROM "doc:audit" WHERE id = ?'
_DROP = 'DELETE FROM "doc:audit" WHERE id BETWEEN ? AND ?'


def seal(connection: sqlite3.Connection, segments: RowTable, now: datetime, limit: int) -> int:
    """As `Store.seal`, within a unit."""
    former = _segment(connection, _NEWEST)
    found = connection.execute(_UNSEALED, (former.last if former else 0, limit)).fetchall()
    if found:
        segment = next_segment(former, [Unsealed(*row) for row in found], now)
        segments.add(connection, [_written(segment)])
    return len(found)


def drop(connection: sqlite3.Connection, segments: RowTable, before: datetime, now: datetime) -> int:
    """As `Store.drop_audit`, within a unit."""
    oldest = _segment(connection, _OLDEST)
    dropped = without_rows(oldest, before, now) if oldest else None
    if dropped is None:
        return 0
    segments.writing.replace(connection, *_written(dropped))
    return connection.execute(_DROP, (dropped.first, dropped.last)).rowcount


def redact(
    connection: sqlite3.Connection, audit: RowTable, numbers: Sequence[int], words: Words, fact: FactsRedacted
) -> int:
    """As `Store.redact`, within a unit."""
    rows = list[str]()
    for number in numbers:
        row = connection.execute(_FACT, (number,)).fetchone()
        plain = redacted(audit.rows.open_row(audit.name, row), words) if row else None
        if plain is not None:
            audit.writing.overwrite(connection, number, record_json(plain), audit_values(plain))
            rows.append(named(number, plain))
    if rows:
        audit.add(connection, [fact_written(replace(fact, rows=tuple(rows)))])
    return len(rows)


def fact_written(event: Event) -> tuple[str, tuple[object, ...]]:
    """A fact as text and columns. Errors: `UnreadableText`, `TextTooLong`."""
    plain = encode_event(event)
    return record_json(plain), (event.subject, micros(event.at), digest(plain))


def _segment(connection: sqlite3.Connection, question: str) -> Segment | None:
    row = connection.execute(question).fetchone()
    return decode(Segment, json.loads(row[0])) if row else None


def _written(segment: Segment) -> tuple[str, tuple[object, ...]]:
    version = segment.version + 1
    record: Record = segment
    return record_json(encode(record) | {"version": version}), values_of(KINDS[Segment], record, version)
