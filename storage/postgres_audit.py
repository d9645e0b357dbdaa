"""The sealer of a PostgreSQL store: committed audit rows become segments of a chain (see audit.py)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from provisioning.bookkeeping import Segment
from storage.audit import Unsealed, next_segment, without_rows
from storage.postgres_connection import at_one_go
from storage.postgres_sql import about, parameters, queries
from storage.records import decode


async def seal(connection: AsyncConnection[Any], now: datetime, limit: int) -> int:
    """As `Store.seal`. `Duplicate` where another instance is making the same segment."""
    horizon = await _horizon(connection)
    former = await _segment(connection, "last_segment")
    cursor = await connection.execute(queries()["unsealed"], (former.last if former else 0, horizon, limit))
    rows = [Unsealed(*row) for row in await cursor.fetchall()]
    if rows:
        segment = next_segment(former, rows, now)
        async with at_one_go(connection):
            await connection.execute(queries()["begin_unit"])
            await connection.execute(about(Segment).insert, parameters(segment))
    return len(rows)


async def _horizon(connection: AsyncConnection[Any]) -> int:
    """The newest fact below which none can appear any more: whoever has taken a number has committed or given up."""
    async with at_one_go(connection):
        await connection.execute(queries()["wait_for_facts"])
        cursor = await connection.execute(queries()["last_fact"])
    ((last,),) = await cursor.fetchall()
    return int(last)


async def drop(connection: AsyncConnection[Any], before: datetime, now: datetime) -> int:
    """As `Store.drop_audit`. `Conflict` where another instance is dropping the same segment."""
    oldest = await _segment(connection, "oldest_segment")
    dropped = without_rows(oldest, before, now) if oldest else None
    if dropped is None:
        return 0
    async with at_one_go(connection):
        await connection.execute(queries()["begin_unit"])
        await connection.execute(about(Segment).replace, parameters(dropped))
        cursor = await connection.execute(queries()["drop_facts"], (dropped.first, dropped.last))
    return cursor.rowcount


async def _segment(connection: AsyncConnection[Any], question: str) -> Segment | None:
    row = await (await connection.execute(queries()[question])).fetchone()
    return decode(Segment, row[0]) if row else None
