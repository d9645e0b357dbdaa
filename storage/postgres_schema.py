"""The schema of a PostgreSQL store: migrations that run forward, once, whichever instance starts first."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from provisioning.errors import Unavailable
from provisioning.texts import to_operator
from storage.kinds import KINDS, Kind
from storage.postgres_sql import arrays_of, columns_written, many_parameters, queries
from storage.records import decode

log = structlog.get_logger(__name__)

_FOLDER = Path(__file__).with_name("migrations")
_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_ROWS = 1000  # worked out at once
_OLDEST = 130_000  # PostgreSQL 13, as the server counts its versions


@cache
def migrations() -> Mapping[int, Path]:
    """Number → file, in their order."""
    found = {int(name[1]): path for path in _FOLDER.iterdir() if (name := _FILE.fullmatch(path.name))}
    return dict(sorted(found.items()))


async def examine(connection: AsyncConnection[Any], where: str) -> None:
    """Refuses a server on which nothing can be kept safely; tells of one that does less than it could.

    Raises `Unavailable`.
    """
    (row,) = await (await connection.execute(queries()["examine_server"])).fetchall()
    version, encoding, fsync, full_pages, checksums, standby, schema = row
    faults = {
        to_operator("version 13 or newer is needed."): version < _OLDEST,
        to_operator("the database's encoding must be UTF8, not {encoding}.", encoding=encoding): encoding != "UTF8",
        to_operator("this server is a standby, which takes no writes."): standby,
        to_operator("its search_path names no schema that exists."): schema is None,
    }
    for said, wrong in faults.items():
        if wrong:
            raise Unavailable(f"{where}: {said}")
    if (fsync, full_pages) != ("on", "on"):
        log.warning("the database may lose what it acknowledged", fsync=fsync, full_page_writes=full_pages)
    if checksums != "on":
        log.info("the database keeps no checksums of its pages", data_checksums=checksums)


async def migrate(connection: AsyncConnection[Any], where: str) -> None:
    """Brings the schema up to this program's version, each step a transaction.

    Raises `Unavailable` where the schema is newer than this program.
    """
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute("SET LOCAL lock_timeout = 0")  # another instance that migrates is waited for
        await connection.execute(queries()["wait_for_migrations"])
        await connection.execute("SET LOCAL lock_timeout = '1s'")
        applied = await applied_migration(connection)
        newest = max(migrations())
        if applied > newest:
            said = to_operator(
                "the schema was made by a newer version of this program (schema {applied}, this one knows {newest}). "
                "Start the newer version, or restore a dump made with this one.",
                applied=applied,
                newest=newest,
            )
            raise Unavailable(f"{where}: {said}")
        if not applied:
            await connection.execute(queries()["make_migrations"])
        for number, path in migrations().items():
            if number > applied:
                await connection.execute(path.read_text("utf-8"), prepare=False)
                await connection.execute(queries()["add_migration"], (number, path.stem))
        stands: dict[str, int] = dict(await (await connection.execute(queries()["revisions"])).fetchall())
        for kind in KINDS.values():
            if stands.get(kind.table, 1) != kind.revision:
                await _work_out(connection, kind)
                await connection.execute(queries()["revised"], (kind.table, kind.revision))


async def _work_out(connection: AsyncConnection[Any], kind: Kind) -> None:
    """What stands beside each document is worked out again, as this version does it."""
    began, count = time.monotonic(), 0
    types = {name: type_ for name, type_ in columns_written(kind).items() if name not in {"version", "doc"}}
    settings = ", ".join(f"{name} = given.{name}" for name in types if name != "key")
    statement = queries()["work_out"].format(
        table=kind.table, settings=settings, arrays=arrays_of(types), columns=", ".join(types)
    )
    async with connection.cursor(name="work_out") as cursor:
        await cursor.execute(queries()["everything"].format(table=kind.table, columns="key"))
        while rows := await cursor.fetchmany(_ROWS):
            given = many_parameters(decode(kind.cls, plain) for plain, _ in rows)
            await connection.execute(statement, {name: given[name] for name in types})
            count += len(rows)
    if count:
        seconds = round(time.monotonic() - began, 1)
        log.info("a table was brought to this version", table=kind.table, rows=count, seconds=seconds)


async def applied_migration(connection: AsyncConnection[Any]) -> int:
    """The number of the last migration that ran; 0 for a schema that is not ours yet."""
    there = await (await connection.execute("SELECT to_regclass('migrations') IS NOT NULL")).fetchone()
    if there != (True,):
        return 0
    try:
        row = await (await connection.execute(queries()["applied_migrations"])).fetchone()
    except psycopg.errors.UndefinedColumn as error:
        raise Unavailable(to_operator('the table "migrations" there is another program\'s.')) from error
    return int(row[0]) if row else 0


async def current_schema(connection: AsyncConnection[Any]) -> str:
    """The schema this connection's search_path leads to: the store's own."""
    ((name,),) = await (await connection.execute("SELECT current_schema()")).fetchall()
    return str(name)
