"""The `Store` that many instances share: committed state in PostgreSQL, one conditional statement per change."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

import psycopg

from provisioning.errors import Conflict, Duplicate, Unavailable
from provisioning.events import FactsRedacted
from provisioning.messages import OutboxMessage
from provisioning.model import Change, Device, Record, State
from provisioning.ports import AuditRow, IndexValue, Page, Span, TallyRow, TimelineRow, Watch
from provisioning.texts import to_operator
from storage import calls, timelines
from storage.audit import Words, bounded
from storage.kinds import (
    KINDS,
    Kind,
    check_keys,
    check_question,
    check_values,
    is_tallied,
    names_asked,
    numbered,
    place_of,
    sum_tally,
)
from storage.loop import off_the_loop
from storage.postgres_audit import Settled, drop, redact, seal
from storage.postgres_connection import (
    ANSWER_SECONDS,
    ConnectionLost,
    Connections,
    at_one_go,
    connect,
    parameters_of,
    shown,
    trouble,
)
from storage.postgres_query import matching
from storage.postgres_schema import current_schema, examine, migrate
from storage.postgres_sql import about, about_heads, queries, seen
from storage.postgres_unit import Unit
from storage.postgres_verify import first_fault
from storage.postgres_wake import Wakes, channel_of
from storage.records import check_text, decode, decode_event, from_micros, micros, time_text
from storage.where import Where

R = TypeVar("R", bound=Record)

_CHECK_SECONDS = 1.0
_MANY_DIFFERENCES = 500  # rows of the tally beyond its groups, and they are folded together
_CHUNK = 500
_ROWS_A_SECOND = 200  # of a unit, at least: a large one gets so much more time than others before it is given up


class PostgresStore:
    """Reads see committed state; a unit is acknowledged once PostgreSQL committed it. Belongs to one event loop.

    Several instances may share one database, each schema of which holds one store. Errors as the port says.
    """

    def __init__(self, connections: Connections, wakes: Wakes) -> None:
        self._connections, self._wakes = connections, wakes
        self._checked = float("-inf")  # when a write was last seen to work, by the loop's clock
        self._settled = Settled()

    # ------------------------------------------------------------------ reading

    async def get(self, kind: type[R], key: str) -> R | None:
        check_text(key)
        rows = await self._ask(about(kind).get, (key,))
        return self._decoded(kind, rows[0][0]) if rows else None

    async def get_many(self, kind: type[R], keys: Sequence[str], *, hidden: bool = False) -> Mapping[str, R]:
        check_keys(keys)
        statement = queries()["get_many"].format(table=KINDS[kind].table, seen=seen(kind, hidden=hidden))
        rows = await self._ask(statement, (list(keys),))
        records = await off_the_loop(len(rows), lambda: [self._decoded(kind, plain) for (plain,) in rows])
        return {record.key: record for record in records}

    async def find(
        self,
        kind: type[R],
        /,
        *,
        contains: str | None = None,
        span: Span | None = None,
        after: str | None = None,
        limit: int = 50,
        **equals: IndexValue,
    ) -> Page[R]:
        """As the port says; ValueError for an index the kind does not have or a limit outside 1 … 1000."""
        entry = check_question(kind, names_asked(contains, span, equals), limit)
        where = matching(entry, contains, span, equals)
        order = "place" if where.by_list else "ord" if entry.order else "id"
        if after is not None:
            check_text(after)
            place = after if entry.order else numbered(after)
            if place is None:
                return Page((), None)
            where &= Where((f"{order} > %s",), (place,))
        statement = queries()["find"].format(table=_rows(entry, where), order=order, where=where)
        rows = await self._ask(statement, (*where.values, limit + 1))
        records = await off_the_loop(len(rows), lambda: tuple(self._decoded(kind, plain) for plain, _ in rows[:limit]))
        return Page(records, str(rows[limit - 1][1]) if len(rows) > limit else None)

    async def find_each(self, kind: type[R], index: str, values: Collection[str], *, limit: int = 50) -> Sequence[R]:
        entry = check_values(kind, index, values, limit)
        statement = queries()["find_each"].format(table=entry.table, index=index, seen=seen(kind, hidden=False))
        rows = await self._ask(statement, (list(dict.fromkeys(values)), limit)) if values else []
        return await off_the_loop(len(rows), lambda: [self._decoded(kind, plain) for (plain,) in rows])

    def _decoded(self, kind: type[R], plain: Any) -> R:
        """What somebody wrote behind the store's back may be no record: nothing but our own errors leaves."""
        try:
            return decode(kind, plain)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            key = next((plain[name] for name in ("mac", "id", "slot") if name in plain), "?") if plain else "?"
            said = to_operator('row {row} of "{table}" is no record', row=key, table=KINDS[kind].table)
            raise Unavailable(f"{self._connections.where}: {said}") from error

    async def count(
        self,
        kind: type[R],
        /,
        *,
        contains: str | None = None,
        span: Span | None = None,
        ahead_of: R | None = None,
        **equals: IndexValue,
    ) -> int:
        entry = check_question(kind, names_asked(contains, span, equals))
        if ahead_of is None and is_tallied(kind, contains, span, equals):
            site = equals.get("site")
            return sum_tally(await self.tally(str(site) if site is not None else None), equals)
        where = matching(entry, contains, span, equals)
        if ahead_of is not None:
            where &= Where((f"{'place' if where.by_list else 'ord'} < %s",), (place_of(kind, ahead_of),))
        rows = await self._ask(queries()["count"].format(table=_rows(entry, where), where=where), where.values)
        return int(rows[0][0])

    async def tally(self, site: str | None = None) -> Sequence[TallyRow]:
        """Summed from differences, some hundred at most; whoever meets more folds them."""
        where = Where() if site is None else Where(("site = %s",), (site,))
        if site is not None:
            check_text(site)
        rows = await self._ask(queries()["tally"].format(where=where), where.values)
        if sum(row[5] for row in rows) > _MANY_DIFFERENCES:
            await self._ask(queries()["fold_tally"])
        return [TallyRow(row[0], State(row[1]), row[2], row[3], row[4]) for row in rows if row[4]]

    async def timeline(
        self, index: str, since: datetime, until: datetime, step: timedelta, **equals: IndexValue
    ) -> Sequence[TimelineRow]:
        steps = timelines.steps(index, since, until, step, equals)
        where = matching(KINDS[Device], None, steps.span, {**equals, "removed": False})
        statement = queries()["timeline"].format(table=_rows(KINDS[Device], where), time=f"ix_{index}", where=where)
        rows = await self._ask(statement, (steps.begin, steps.width, *where.values))
        return await off_the_loop(len(rows), lambda: steps.rows(rows))

    async def tags(self) -> Sequence[tuple[str, int]]:
        statement = queries()["tags"].format(tagged=queries()["tagged_devices"], seen=seen(Device))
        return await self._ask(statement)

    async def history(self, subject: str | None = None, *, after: str | None = None, limit: int = 50) -> Page[AuditRow]:
        check_question(Device, set(), limit)
        where = Where()
        if subject is not None:
            check_text(subject)
            where &= Where(("subject = %s",), (subject,))
        if after is not None:
            where &= Where(("id < %s",), (numbered(after) or 0,))
        found = await self._ask(queries()["history"].format(where=where), (*where.values, limit + 1))
        rows = await off_the_loop(
            len(found), lambda: tuple(AuditRow(number, decode_event(plain)) for number, plain in found[:limit])
        )
        return Page(rows, str(rows[-1].sequence) if len(found) > limit else None)

    async def facts(self, after: int = 0, *, limit: int = 500) -> Sequence[AuditRow]:
        check_question(Device, set(), limit)
        settled = await self._settled.last(self._ask)
        found = await self._ask(queries()["facts"], (bounded(after), settled, limit))
        return await off_the_loop(
            len(found), lambda: [AuditRow(number, decode_event(plain)) for number, plain in found]
        )

    async def newest_fact(self) -> int:
        return await self._settled.last(self._ask)

    async def last_seen(self, macs: Sequence[str]) -> Mapping[str, datetime]:
        for mac in macs:
            check_text(mac)
        rows = await self._ask(queries()["last_seen"], (list(macs),))
        return {mac: from_micros(at) for mac, at in rows}

    async def silent(
        self, after: datetime | None, until: datetime, *, beyond: str | None = None, limit: int = 500
    ) -> Page[calls.Call]:
        check_question(Device, set(), limit)
        where = calls.silent(after, until, beyond, "%s")
        rows = await self._ask(queries()["silent"].format(where=where), (*where.values, limit + 1))
        return calls.page([(mac, from_micros(at)) for mac, at in rows[:limit]], more=len(rows) > limit)

    async def _ask(self, statement: str, values: Any = ()) -> list[Any]:
        """For what may be said twice: a connection that was lost while it lay idle is no reason to refuse anybody."""
        try:
            return await self._ask_once(statement, values)
        except ConnectionLost:
            await self._connections.weeded()
            return await self._ask_once(statement, values)

    async def _ask_once(self, statement: str, values: Any) -> list[Any]:
        async with self._connections.take() as connection:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall() if cursor.description else []

    # ------------------------------------------------------------------ writing

    async def save(self, change: Change) -> None:
        """As the port says: one round trip. A cancelled call may have taken effect, and wakes as if it had."""
        rows = len(change.puts) + len(change.events)
        unit = await off_the_loop(rows, lambda: Unit.of(change))
        seconds = ANSWER_SECONDS + (len(change.deletes) + rows) / _ROWS_A_SECOND
        try:
            async with self._connections.take(writing=True, seconds=seconds) as connection:
                await unit.write(connection)
        except (asyncio.CancelledError, ConnectionLost):
            self._wakes.wake(unit.topics)
            raise
        except Unavailable:
            self._checked = float("-inf")
            raise
        self._wakes.wake(unit.topics)

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> Sequence[OutboxMessage]:
        until = now + lease
        values = {"now": micros(now), "until": micros(until), "until_text": time_text(until), "limit": limit}
        async with self._connections.take(writing=True) as connection:
            async with at_one_go(connection):
                await connection.execute(queries()["begin_unit"])
                await connection.execute(queries()["wait_for_claims"])
                cursor = await connection.execute(about_heads("claim"), values)
            rows = await cursor.fetchall()
        return [decode(OutboxMessage, plain) for _, _, plain in sorted(rows, key=lambda row: row[:2])]

    async def next_due(self) -> datetime | None:
        ((moment,),) = await self._ask(about_heads("next_due"))
        return None if moment is None else from_micros(moment)

    async def record_seen(self, seen: Mapping[str, datetime]) -> None:
        """In units of 500 devices. An earlier time than the one known changes nothing."""
        rows = sorted(seen.items())
        for mac, _ in rows:
            check_text(mac)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            values = {"macs": [mac for mac, _ in chunk], "times": [micros(at) for _, at in chunk]}
            await self._ask(queries()["record_seen"], values)

    async def seal(self, now: datetime, limit: int = 5000) -> int:
        with suppress(Duplicate, Conflict):  # another instance made this very segment, or units take too long just now
            async with self._connections.take() as connection:
                return await seal(connection, now, limit)
        return 0

    async def drop_audit(self, before: datetime, now: datetime) -> int:
        with suppress(Conflict):  # another instance drops this very segment
            async with self._connections.take() as connection:
                return await drop(connection, before, now)
        return 0

    async def redact(self, numbers: Sequence[int], words: Words, fact: FactsRedacted) -> int:
        try:
            async with self._connections.take(writing=True) as connection:
                return await redact(connection, numbers, words, fact)
        finally:
            self._wakes.wake({"facts"})

    # ------------------------------------------------------------------ the rest

    def watch(self, *topics: str) -> AbstractAsyncContextManager[Watch]:
        return self._wakes.watch(*topics)

    async def clock(self) -> datetime:
        ((moment,),) = await self._ask(queries()["clock"])
        return from_micros(moment)

    async def check(self) -> None:
        """Writes at most once a second, so that it may be asked at any rate."""
        now = asyncio.get_running_loop().time()
        if now < self._checked + _CHECK_SECONDS:
            return
        self._wakes.check()
        for (fault,) in await self._ask(queries()["beat"]):
            if fault:
                raise Unavailable(fault)
        self._checked = now

    async def verify(self, *, deep: bool = False) -> None:
        """Counts, versions and the audit's chain; `deep` works every column and digest out again.

        What is found is remembered in the database: no instance writes until a deep verification finds nothing.
        """
        async with self._connections.take(seconds=None) as connection:
            found = await first_fault(connection, deep=deep)
            said = f"{self._connections.where}: {found}" if found else None
            cursor = await connection.execute(queries()["remember_fault"], {"fault": said, "deep": deep})
            stands = await cursor.fetchone()
        self._checked = float("-inf")
        if stands and stands[0]:
            raise Unavailable(stands[0])

    async def close(self) -> None:
        """Releases the watchers, and the connections once they are back. May be called twice."""
        await self._wakes.close()
        await self._connections.close()


def _rows(kind: Kind, where: Where) -> str:
    """What a question is put to: a table, or the one of its tags with it."""
    return queries()["tagged_devices"] if where.by_list else kind.table


async def open_postgres_store(url: str) -> PostgresStore:
    """Opens the store at this address, making or migrating its schema. Raises `Unavailable` with the reason."""
    parameters = parameters_of(url)
    first = await connect(parameters)
    try:
        await examine(first, shown(parameters))
        await migrate(first, shown(parameters))
        channel = channel_of(await current_schema(first))
    except (psycopg.Error, OSError) as error:
        raise trouble(error, shown(parameters)) from error
    finally:
        await first.close()
    connections = Connections(parameters)
    await connections.open()
    wakes = Wakes(connections, parameters, channel)
    try:
        await wakes.open()
    except BaseException:
        await connections.close()
        raise
    return PostgresStore(connections, wakes)
