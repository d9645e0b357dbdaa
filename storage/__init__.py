"""Where state is kept. `open_store` is the only door; nothing of TinyDB, SQL or a driver leaves this room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.errors import Unavailable
from provisioning.texts import N_, to_operator

if TYPE_CHECKING:
    from provisioning.ports import Clock, Store

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
    if not url.startswith(("postgresql:", "postgres:")):
        return ""
    from storage.postgres_connection import connect, parameters_of, shown
    from storage.postgres_schema import examine

    try:
        parameters = parameters_of(url)
        connection = await connect(parameters)
        try:
            await examine(connection, shown(parameters))
        finally:
            await connection.close()
    except Unavailable as error:
        return error.reason
    return ""
