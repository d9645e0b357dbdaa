"""The sealer of a PostgreSQL store: committed audit rows become segments of a chain (see audit.py)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from provisioning.bookkeeping import Segment
from provisioning.events import FactsRedacted
from storage.audit import Unsealed, Words, named, next_segment, redacted, without_rows
from storage.postgres_connection import at_one_go
from storage.postgres_sql import about, parameters, queries
from storage.postgres_unit import facts
from storage.records import decode, record_json


@dataclass(frozen=True, slots=True)
class _Look:
    newest: int = 0  # the newest fact that was seen
    units: frozenset[str] = frozenset()  # those that ran then and may have taken a lower number


class Settled:
    """Up to which number nothing can be added any more. Nobody waits for it, unlike for the sealer.

    Numbers are taken before the commit, so that a unit which still runs may bring a fact in front of one that is seen.
    But each holds a lock from before it takes numbers until what it did is seen: once all who ran at one look have
    ended by a later one, everything up to the first look's newest fact is there. And so is what follows without a gap.
    """

    def __init__(self) -> None:
        self._last = 0
        self._look = _Look()

    async def last(self, ask: Callable[[str, Any], Awaitable[list[Any]]]) -> int:
        """The number, as it is now."""
        before = self._look  # was there before this look begins, whoever else looks meanwhile
        ((newest, sealed, units),) = await ask(queries()["look_at_facts"], ())
        now = _Look(newest, frozenset(units))
        if not before.units & now.units:
            self._last = max(self._last, before.newest)
            if self._look is before:
                self._look = now
        self._last = max(self._last, sealed, 0 if now.units else newest)
        if self._last < newest:
            values = {"behind": self._last, "newest": newest}
            ((gapless,),) = await ask(queries()["last_without_a_gap"], values)
            self._last = max(self._last, gapless)
        return self._last


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


async def redact(connection: AsyncConnection[Any], numbers: Sequence[int], words: Words, fact: FactsRedacted) -> int:
    """As `Store.redact`. The rows are held until it is committed, so that two at once redact one after the other."""
    async with connection.transaction():
        await connection.execute(queries()["begin_unit"])
        found = await (await connection.execute(queries()["facts_to_redact"], (list(numbers),))).fetchall()
        plains = [(number, plain) for number, doc in found if (plain := redacted(doc, words)) is not None]
        for number, plain in plains:
            said = record_json(plain), plain["subject"], number
            await connection.execute(queries()["say_otherwise"], said)
        if plains:
            rows = tuple(named(number, plain) for number, plain in plains)
            for statement, values in facts((replace(fact, rows=rows),)):
                await connection.execute(statement, values)
    return len(plains)


async def _segment(connection: AsyncConnection[Any], question: str) -> Segment | None:
    row = await (await connection.execute(queries()[question])).fetchone()
    return decode(Segment, row[0]) if row else None
