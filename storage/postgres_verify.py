"""A PostgreSQL store read through: versions, counts, the audit's chain; PostgreSQL itself looks after its pages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from psycopg import AsyncConnection

from provisioning.bookkeeping import Segment
from provisioning.model import Record
from provisioning.texts import N_, to_operator
from storage.audit import Chain, digest
from storage.kinds import KINDS, Kind
from storage.postgres_sql import columns_written, parameters, queries
from storage.records import decode

_ROWS = 1000  # read at once
_OTHER = N_('what stands beside row {row} of "{table}" does not match it')


async def first_fault(connection: AsyncConnection[Any], *, deep: bool) -> str | None:
    """The first fault found, for the operator; all of it is looked at as it stood at one moment."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await connection.execute("SET LOCAL statement_timeout = 0")
        async with aclosing(_faults(connection, deep)) as faults:
            return await anext(faults, None)


async def _faults(connection: AsyncConnection[Any], deep: bool) -> AsyncGenerator[str, None]:
    for kind in KINDS.values():
        cursor = await connection.execute(queries()["other_versions"].format(table=kind.table))
        for (key,) in await cursor.fetchall():
            yield to_operator(
                'row {row} of "{table}" does not have the version it was written with', row=key, table=kind.table
            )
        if deep:
            async for fault in _columns(connection, kind):
                yield fault
    cursor = await connection.execute(queries()["miscounted"])
    if await cursor.fetchall() != [(0,)]:
        yield to_operator("the counts beside the devices are not those of the devices")
    cursor = await connection.execute(queries()["mistagged"])
    if await cursor.fetchall() != [(0,)]:
        yield to_operator("the tags beside the devices are not those of the devices")
    async for fault in _chain(connection, deep):
        yield fault


async def _columns(connection: AsyncConnection[Any], kind: Kind) -> AsyncIterator[str]:
    """Works out again what stands beside each document."""
    names = [name for name in columns_written(kind) if name not in {"version", "doc"}]
    statement = queries()["everything"].format(columns=", ".join(names), table=kind.table)
    async with connection.cursor(name="verify") as cursor:
        cursor.itersize = _ROWS
        await cursor.execute(statement)
        async for plain, *stands in cursor:
            record: Record = decode(kind.cls, plain)
            values = parameters(record)
            if stands != [values[name] for name in names]:
                yield to_operator(_OTHER, row=record.key, table=kind.table)


async def _chain(connection: AsyncConnection[Any], deep: bool) -> AsyncIterator[str]:
    chain = Chain()
    question = queries()["digests"].format(doc="doc" if deep else "NULL")
    segments = await connection.execute(queries()["segments"])
    for (plain,) in await segments.fetchall():
        segment = decode(Segment, plain)
        rows = await connection.execute(question, (chain.last, segment.last))
        found = await rows.fetchall()
        if fault := chain.fault(segment, [text for _, text, _ in found]):
            yield fault
        for number, text, doc in found if deep else ():
            if digest(doc) != text:
                yield to_operator(
                    'what stands beside row {row} of "{table}" does not match it', row=number, table="audit"
                )
