"""The sealer of an embedded store: committed audit rows become segments of a chain (see audit.py)."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from provisioning.bookkeeping import Segment
from provisioning.model import Record
from storage.audit import Unsealed, next_segment, without_rows
from storage.kinds import KINDS
from storage.records import decode, encode, record_json
from storage.tinydb_engine import RowTable
from storage.tinydb_layout import values_of

# One writer gives the numbers, so rows are committed in their order: what is sealed ends where the last segment does.
_UNSEALED = 'SELECT id, at, digest FROM "doc:audit" WHERE id > ? ORDER BY id LIMIT ?'
_NEWEST = 'SELECT doc FROM "doc:segments" ORDER BY ord DESC LIMIT 1'
_OLDEST = 'SELECT doc FROM "doc:segments" WHERE +ix_dropped = 0 ORDER BY ord LIMIT 1'
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


def _segment(connection: sqlite3.Connection, question: str) -> Segment | None:
    row = connection.execute(question).fetchone()
    return decode(Segment, json.loads(row[0])) if row else None


def _written(segment: Segment) -> tuple[str, tuple[object, ...]]:
    version = segment.version + 1
    record: Record = segment
    return record_json(encode(record) | {"version": version}), values_of(KINDS[Segment], record, version)
