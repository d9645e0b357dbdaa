"""A PostgreSQL store as source and as target of a transfer (see transfer.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection

from provisioning.bookkeeping import Segment
from provisioning.errors import ProvisioningError
from provisioning.texts import N_, to_operator
from provisioning.trail import KeptFact, KeptSegment
from storage.audit import digest
from storage.kinds import KINDS, Kind
from storage.postgres_connection import connect, parameters_of, shown, trouble
from storage.postgres_schema import applied_migration, examine, migrate, migrations
from storage.postgres_sql import columns_written, queries, row_of
from storage.records import Plain, decode, decode_event, from_micros, micros, record_json, time_text
from storage.transfer import AUDIT, CHUNK, SEEN, TABLES, Chunk, TransferFault, bad_row, check_counts

_BY_TABLE = {kind.table: kind for kind in KINDS.values()}
_TRIES, _PAUSE = 20, 0.1
_IN_USE = N_("{where} is in use by a running service. Stop every instance first.")
_OTHER_VERSION = N_("{where} was written by another version of this program. Use that one, or start this service once.")
_NOT_EMPTY = N_('{where} is not empty: there are rows in "{table}". Name another database or schema.')


class _Held:
    """One connection in one transaction, from entering to leaving. `alone` keeps every instance of the service away."""

    def __init__(self, url: str, *, alone: bool = False) -> None:
        self._parameters = parameters_of(url)
        self._where, self._alone = shown(self._parameters), alone
        self._stack = AsyncExitStack()
        self._connection: AsyncConnection[Any] | None = None

    async def __aenter__(self) -> Self:
        connection = await connect(self._parameters)
        self._stack.push_async_callback(connection.close)
        try:
            await self._begin(connection)
        except psycopg.Error as error:
            await self._stack.aclose()
            raise trouble(error, self._where) from error
        except BaseException:
            await self._stack.aclose()
            raise
        self._connection = connection
        return self

    async def _begin(self, connection: AsyncConnection[Any]) -> None:
        await connection.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        for _ in range(_TRIES if self._alone else 0):
            if await _one(connection, queries()["keep_instances_away"]):
                break
            await asyncio.sleep(_PAUSE)  # one that has just ended is still known to the server for a moment
        else:
            if self._alone:
                raise TransferFault(to_operator(_IN_USE, where=self._where))

    async def __aexit__(self, *_: object) -> None:
        if self._connection:
            with suppress(psycopg.Error, OSError):
                await self._connection.rollback()
                await self._connection.execute(queries()["be_gone"])
        await self._stack.aclose()

    def _held(self) -> AsyncConnection[Any]:
        if self._connection is None:
            raise AssertionError("entered before it is used")
        return self._connection


class PostgresSource(_Held):
    """One committed state: a transaction that sees what stood there when it began.

    It is brought to this version first, or refused `as_is` where it is of another.
    """

    def __init__(self, url: str, *, alone: bool = False, as_is: bool = False) -> None:
        super().__init__(url, alone=alone)
        self._as_is = as_is

    async def _begin(self, connection: AsyncConnection[Any]) -> None:
        await super()._begin(connection)
        applied = await applied_migration(connection)
        if not applied:
            raise TransferFault(to_operator("{folder} holds no store.", folder=self._where))
        if not self._as_is:
            await migrate(connection, self._where)
        elif applied != max(migrations()):
            raise TransferFault(to_operator(_OTHER_VERSION, where=self._where))
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    async def sizes(self) -> Mapping[str, int]:
        return await _counts(self._held())

    async def rows(self, table: str) -> AsyncIterator[Chunk]:
        async with self._held().cursor(name="transfer") as cursor:
            await cursor.execute(_everything(table))
            while rows := await cursor.fetchmany(CHUNK):
                yield [(number, _document(table, row)) for number, *row in rows]

    async def segments(self) -> Sequence[KeptSegment]:
        rows = await (await self._held().execute(queries()["segments"])).fetchall()
        return [KeptSegment(place, _segment(plain)) for place, (plain,) in enumerate(rows, start=1)]

    async def facts(self) -> AsyncIterator[Sequence[KeptFact]]:
        async with self._held().cursor(name="facts") as cursor:
            await cursor.execute(queries()["every_digest"])
            while rows := await cursor.fetchmany(CHUNK):
                yield [KeptFact(*row) for row in rows]


def _segment(plain: Plain) -> Segment | None:
    try:
        return decode(Segment, plain)
    except (ProvisioningError, LookupError, TypeError, ValueError, AttributeError):
        return None


def _everything(table: str) -> str:
    if table == AUDIT:
        return queries()["every_fact"]
    if table == SEEN:
        return queries()["every_call"]
    order = "ord" if _BY_TABLE[table].order else "id"
    number = "id" if order == "id" else "row_number() OVER (ORDER BY ord)"
    return queries()["every_record"].format(table=table, number=number, order=order)


def _document(table: str, row: Sequence[Any]) -> Plain:
    if table == SEEN:
        mac, at = row
        return {"mac": mac, "at": time_text(from_micros(at))}
    plain: Plain = row[0]
    return plain


class PostgresTarget(_Held):
    """A new or empty schema, filled in one transaction."""

    async def _begin(self, connection: AsyncConnection[Any]) -> None:
        await super()._begin(connection)
        await examine(connection, self._where)
        await migrate(connection, self._where)
        for table, count in (await _counts(connection)).items():
            if count:
                raise TransferFault(to_operator(_NOT_EMPTY, where=self._where, table=table))

    async def fill(self, tables: Mapping[str, AsyncIterator[Chunk]], sizes: Mapping[str, int]) -> Mapping[str, int]:
        connection = self._held()
        try:
            async with connection.transaction():
                for table, chunks in tables.items():
                    await _copy_in(connection, table, chunks)
                await connection.execute(queries()["fold_tally"])
                for table in ("audit", "outbox"):
                    await connection.execute(queries()["go_on_counting"].format(table=table))
                counts = await _counts(connection)
                check_counts(sizes, counts)
            await connection.execute("ANALYZE")
        except psycopg.Error as error:
            raise trouble(error, self._where) from error
        return counts


async def _copy_in(connection: AsyncConnection[Any], table: str, chunks: AsyncIterator[Chunk]) -> None:
    columns = _columns(table)
    async with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        async for chunk in chunks:
            for number, plain in chunk:
                try:
                    row = _row(table, number, plain)
                except (KeyError, TypeError, ValueError, ProvisioningError) as error:
                    raise bad_row(table, number, error) from error
                await copy.write_row(row)


def _columns(table: str) -> Iterable[str]:
    if table == AUDIT:
        return ("id", "subject", "at", "digest", "doc")
    if table == SEEN:
        return ("key", "at")
    kind = _BY_TABLE[table]
    return (*columns_written(kind), *(() if kind.order else ("id",)))


def _row(table: str, number: int, plain: Plain) -> tuple[Any, ...]:
    if table == AUDIT:
        return number, plain["subject"], micros(decode_event(plain).at), digest(plain), record_json(plain)
    if table == SEEN:
        return plain["mac"], micros(datetime.fromisoformat(plain["at"]))
    kind: Kind = _BY_TABLE[table]
    record = decode(kind.cls, plain)
    return (*row_of(record, plain["version"], record_json(plain)), *(() if kind.order else (number,)))


async def _counts(connection: AsyncConnection[Any]) -> dict[str, int]:
    return {table: await _one(connection, queries()["count"].format(table=table, where="TRUE")) for table in TABLES}


async def _one(connection: AsyncConnection[Any], statement: str) -> Any:
    row = await (await connection.execute(statement)).fetchone()
    return row[0] if row else None


def postgres_source(url: str, *, alone: bool = False, as_is: bool = False) -> PostgresSource:
    """What a database holds; `alone` refuses one that a service is using, and keeps services away meanwhile."""
    return PostgresSource(url, alone=alone, as_is=as_is)


def postgres_target(url: str) -> PostgresTarget:
    """An empty database, or schema, to fill; its tables are made where they are missing."""
    return PostgresTarget(url, alone=True)
