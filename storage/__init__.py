"""Where state is kept. `open_store` is the only door; nothing of TinyDB, SQL or a driver leaves this room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.errors import Unavailable
from provisioning.texts import N_, to_operator

if TYPE_CHECKING:
    from datetime import datetime

    from psycopg import AsyncConnection

    from provisioning.ports import Clock, Store

DATABASES = ("postgresql:", "postgres:")
_FORMS = N_(
    "STORE_URL takes tinydb:PATH, where PATH is a folder on a local disk, for example tinydb:var/store, "
    "or postgresql://USER:PASSWORD@HOST/DATABASE."
)


async def open_store(url: str, *, clock: Clock) -> Store:
    """Opens the store that `url` names, making it where it is missing.

    Raises `Unavailable`, whose `reason` says what to do: for an address of no known form; where an embedded store is
    in use by another process, damaged, or on a network file system; where a database cannot be reached or used; and
    where the store is newer than this program.
    """
    form, _, rest = url.partition(":")
    if form in ("postgresql", "postgres"):
        from storage.postgres_store import open_postgres_store

        return await open_postgres_store(url)
    if form != "tinydb" or not rest:
        raise Unavailable(to_operator('"{form}" names no store. {forms}', form=form, forms=to_operator(_FORMS)))
    from storage.tinydb_store import open_tiny_store

    return await open_tiny_store(Path(rest), clock=clock)


async def fault_of(url: str) -> str:
    """Why the database that `url` names cannot hold a store, for the operator; empty where it can.

    Nothing is made or changed. Of an embedded store only opening it tells.
    """
    if not url.startswith(DATABASES):
        return ""
    from storage.postgres_schema import examine

    try:
        async with _connected(url) as (connection, shown):
            await examine(connection, shown)
    except Unavailable as error:
        return error.reason
    return ""


async def clock_of(url: str) -> datetime | None:
    """What time it is at the database that `url` names; None for an embedded store, whose clock is this machine's.

    Errors: `Unavailable`.
    """
    if not url.startswith(DATABASES):
        return None
    from storage.postgres_sql import queries
    from storage.records import from_micros

    async with _connected(url) as (connection, _shown):
        ((moment,),) = await (await connection.execute(queries()["clock"])).fetchall()
        return from_micros(moment)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[tuple[AsyncConnection[Any], str]]:
    """A connection of its own, and how it may be shown. Errors: `Unavailable`."""
    from storage.postgres_connection import connect, parameters_of, shown

    parameters = parameters_of(url)
    connection = await connect(parameters)
    try:
        yield connection, shown(parameters)
    finally:
        await connection.close()
