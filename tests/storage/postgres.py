"""A PostgreSQL server for tests, where one answers: each store has a schema of its own, gone afterwards.

TEST_DATABASE_URL names the server; without it, one that lets `postgres` in on this machine without a password.
"""

import asyncio
import atexit
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import cache

import psycopg
import pytest

from storage import open_store
from tests.fakes import FakeClock

SERVER = os.environ.get("TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"


@cache
def why_not() -> str:
    """Why no server can be used; empty: one can."""
    try:
        psycopg.connect(SERVER, connect_timeout=2).close()
    except psycopg.OperationalError as error:
        return f"no PostgreSQL for tests: {str(error).splitlines()[0]}"
    return ""


def need_server() -> None:
    if reason := why_not():
        pytest.skip(reason)


@contextmanager
def schema() -> Iterator[str]:
    """The address of an empty schema."""
    need_server()
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{SERVER}{'&' if '?' in SERVER else '?'}options=-csearch_path%3D{name}"
        finally:
            connection.execute("SET lock_timeout = '30s'")  # of what a test left open
            connection.execute(f"DROP SCHEMA {name} CASCADE")


@cache
def _shared() -> tuple[str, str]:
    """A schema that outlives its tests: making one takes longer than most of them."""
    made = schema()
    url = made.__enter__()
    atexit.register(made.__exit__, None, None, None)

    async def make() -> None:
        await (await open_store(url, clock=FakeClock())).close()

    asyncio.run(make())
    with psycopg.connect(url, autocommit=True) as connection:
        tables = [name for (name,) in connection.execute(_TABLES)]
    # what triggers count comes last
    emptied = sorted(set(tables) - {"migrations", "pulse", "revisions"}, key="tally".__eq__)
    return url, ";".join(f"DELETE FROM {name}" for name in emptied)


def emptied() -> str:
    """The address of a schema whose tables are there and empty; it is every such test's, one after the other."""
    need_server()
    with ThreadPoolExecutor(1) as thread:  # a loop may be running here already
        url, empty = thread.submit(_shared).result()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"{empty};UPDATE pulse SET fault = NULL")
    return url


@asynccontextmanager
async def client(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A look at the tables themselves."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection
