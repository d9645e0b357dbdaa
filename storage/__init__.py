"""Where state is kept. `open_store` is the only door; nothing of TinyDB, SQL or a driver leaves this room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.errors import Unavailable

if TYPE_CHECKING:
    from provisioning.ports import Clock, Store

_FORMS = "STORE_URL takes tinydb:PATH, where PATH is a folder on a local disk, for example tinydb:var/store."


async def open_store(url: str, *, clock: Clock) -> Store:
    """Opens the store that `url` names, making it where it is missing.

    Raises `Unavailable`, whose `reason` says what to do: for an address of no known form, and where the store is in
    use by another process, damaged, newer than this program, or on a network file system.
    """
    form, _, rest = url.partition(":")
    if form in ("postgresql", "postgres"):
        raise Unavailable(f"PostgreSQL comes later; this version cannot open it. {_FORMS}")
    if form != "tinydb" or not rest:
        raise Unavailable(f"{url!r} names no store. {_FORMS}")
    from storage.tinydb_store import open_tiny_store

    return await open_tiny_store(Path(rest), clock=clock)
