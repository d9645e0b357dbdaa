"""The outbox as a queue of lanes: the due heads are leased, oldest first, one at a time from each lane."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from provisioning.messages import OutboxMessage
from storage.kinds import KINDS
from storage.records import decode, encode, from_micros, micros, to_json
from storage.tinydb_engine import RowTable
from storage.tinydb_layout import values_of
from storage.tinydb_rows import RowStorage

# A lane's head is its oldest waiting row. Only heads are ever leased, so a head without a running lease means that
# nothing of its lane is under way. The indexes hold waiting rows alone; they are named because SQLite's planner, which
# knows nothing of how rows are spread, would go by status and sort.
_IS_HEAD = """waiting.ix_status = 'waiting' AND NOT EXISTS (
    SELECT 1 FROM "doc:outbox" AS older INDEXED BY "outbox.heads"
    WHERE older.ix_status = 'waiting' AND older.ix_lane = waiting.ix_lane AND older.id < waiting.id)"""
_DUE_HEADS = f"""SELECT id, doc, crc FROM "doc:outbox" AS waiting INDEXED BY "outbox.due"
    WHERE due_at <= :now AND (leased_until IS NULL OR leased_until <= :now) AND {_IS_HEAD}
    ORDER BY due_at, id LIMIT :limit"""  # noqa: S608 - only a constant is put in
_NEXT_DUE = f"""SELECT min(moment) FROM (
    SELECT * FROM (SELECT due_at AS moment FROM "doc:outbox" AS waiting INDEXED BY "outbox.due"
        WHERE leased_until IS NULL AND {_IS_HEAD} ORDER BY due_at, id LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT leased_until FROM "doc:outbox" INDEXED BY "outbox.leases"
        WHERE ix_status = 'waiting' AND leased_until IS NOT NULL ORDER BY leased_until LIMIT 1))"""  # noqa: S608 - so too


def lease_heads(
    connection: sqlite3.Connection, table: RowTable, now: datetime, until: datetime, limit: int
) -> Sequence[OutboxMessage]:
    """Leases due heads within a unit. Two claims never get the same row: there is one writer."""
    rows = connection.execute(_DUE_HEADS, {"now": micros(now), "limit": limit}).fetchall()
    claimed = []
    for row in rows:
        former = decode(OutboxMessage, table.rows.open_row(table.name, row))
        message = replace(former, leased_until=until, version=former.version + 1)
        values = values_of(KINDS[OutboxMessage], message, message.version)
        table.writing.replace(connection, to_json(encode(message)), values)
        claimed.append(message)
    return claimed


def next_due(rows: RowStorage) -> datetime | None:
    """The earliest moment at which a claim will find something that it does not find before."""
    ((moment,),) = rows.ask(_NEXT_DUE)
    return None if moment is None else from_micros(moment)
