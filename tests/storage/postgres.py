"""A PostgreSQL server for tests, where one answers: each store has a schema of its own, gone afterwards.

TEST_DATABASE_URL names the server; without it, one that lets `postgres` in on this machine without a password.
"""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache

import psycopg
import pytest

SERVER = os.environ.get("TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


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
            connection.execute(f"DROP SCHEMA {name} CASCADE")


@asynccontextmanager
async def client(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A look at the tables themselves."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection
