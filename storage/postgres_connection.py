"""Connections to PostgreSQL: how they are made, kept and given up, and what went wrong in an operator's words."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, conninfo
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from provisioning.errors import Conflict, Duplicate, ProvisioningError, TextTooLong, Unavailable
from provisioning.texts import N_, to_operator
from storage.kinds import LONGEST_INDEXED
from storage.postgres_sql import queries

_AT_ONCE = 10  # connections of one instance
_READERS = 2  # of them are never taken by those who write, who may wait for each other
ANSWER_SECONDS = 6.0  # for everything that is said while a connection is held; then it is given up
_WAIT_SECONDS = 2.0  # for a connection, before a caller is told that the database is away
_CONFLICT, _DUPLICATE = "PB001", "PB002"  # raised by our own statements
_AGAIN = {"40001", "40P01", "55P03"}  # serialisation failure, deadlock, a lock that did not come: run again
_UNSOUND, _CARRIED = "PB003", "PB004"  # a verification found a fault; the store is being carried elsewhere
_INDEX_ROW_TOO_LONG = "54000"
_READ_ONLY = "25006"  # what once was the primary: the next connection finds the new one
_LOST = {None, "57P01", "57P02", "57P04", "57P05", "25P03"}  # no answer at all; the server, or this connection, ended
CARRIED = N_("the store is being carried to or from another one. Start again when that is done.")
_SAID = {
    "53100": N_("the disk of the database server is full. Free some space there."),
    "53300": N_("the server takes no more connections. Raise its max_connections, or start fewer instances."),
    "57P03": N_("the server is starting up or shutting down."),
    _CARRIED: CARRIED,
    _READ_ONLY: N_(
        "the server takes no writes. If it is a standby, name every host and target_session_attrs=read-write in "
        "STORE_URL; else look at default_transaction_read_only."
    ),
}

_WHILE_CONNECTING = {
    "too many clients": "53300",
    "remaining connection slots": "53300",
    "too many connections": "53300",
}
_ADDRESS = re.compile(r'(?:connection failed: )?connection to server at "[^"]*"(?: \([^)]*\))?, port \d+ failed: ')

# A connection that hangs is given up within some ten seconds; what STORE_URL says about these counts more.
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "provisioning-bot",
}


class ConnectionLost(Unavailable):
    """The connection ended before its answer came. What was said on it may have taken effect."""


def parameters_of(url: str) -> dict[str, Any]:
    """What a connection is made with. Raises `Unavailable` for an address that is none; its password is never shown."""
    try:
        parameters = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        raise _no_address() from None
    ports = str(parameters.get("port", "5432")).split(",")
    places = f"{parameters.get('host', '')}{parameters.get('dbname', '')}"
    if "@" in places or not all(port.isdigit() for port in ports if port):
        raise _no_address()  # a sign of the password that ends it: what follows would be taken for a host, and shown
    return _DEFAULTS | parameters | {"client_encoding": "UTF8"}


def _no_address() -> Unavailable:
    said = N_(
        "STORE_URL is no address of a PostgreSQL database. It looks like postgresql://USER:PASSWORD@HOST/NAME; in the "
        "password write / as %2F, @ as %40, : as %3A, ? as %3F, # as %23 and % as %25."
    )
    return Unavailable(to_operator(said))


def shown(parameters: dict[str, Any]) -> str:
    """The database as an operator knows it, without the password."""
    host = parameters.get("host") or parameters.get("hostaddr") or "localhost"
    return f"postgresql://{host}:{parameters.get('port', 5432)}/{parameters.get('dbname', '')}"


def _in_one_line(error: BaseException) -> str:
    """libpq's words; the address they repeat was said before them, and hints on a line of their own are left out."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    lines = [_ADDRESS.sub("", line.strip()) for line in str(error).splitlines() if not line.startswith("\t")]
    return primary or " ".join(line for line in lines if line) or type(error).__name__


def trouble(error: psycopg.Error | OSError, where: str) -> ProvisioningError:
    """What PostgreSQL, or the way to it, said: as our own error."""
    code = getattr(error, "sqlstate", None)
    primary = (error.diag.message_primary if isinstance(error, psycopg.Error) else None) or ""
    if code == _CONFLICT or code in _AGAIN:
        return Conflict()
    if code == _DUPLICATE:
        return Duplicate("key", primary)
    if code == _INDEX_ROW_TOO_LONG and "index" in primary:
        return TextTooLong(length=LONGEST_INDEXED + 1, limit=LONGEST_INDEXED)
    if code == _UNSOUND:
        return Unavailable(primary)
    said = _in_one_line(error)
    for words, cure in _WHILE_CONNECTING.items():  # a refused connection brings no code, and its text is English
        if code is None and words in said:
            code = cure
    return Unavailable(f"{where}: {to_operator(_SAID[code]) if code in _SAID else said}")


async def _prepare(connection: AsyncConnection[Any]) -> None:
    await connection.execute(queries()["prepare_connection"])


async def connect(parameters: dict[str, Any]) -> AsyncConnection[Any]:
    """A connection of its own, each statement a transaction. Raises `Unavailable`."""
    connection: AsyncConnection[Any] | None = None
    try:
        connection = await AsyncConnection.connect(**parameters, autocommit=True)
        await _prepare(connection)
    except BaseException as error:
        if connection:
            await connection.close()
        if isinstance(error, psycopg.Error | OSError):
            raise trouble(error, shown(parameters)) from error
        raise
    return connection


@asynccontextmanager
async def at_one_go(connection: AsyncConnection[Any]) -> AsyncIterator[None]:
    """What is executed within goes out together and is one transaction, committed at the end: one round trip.

    The first statement that fails undoes all of it and is what is raised
    (https://www.postgresql.org/docs/current/libpq-pipeline-mode.html).
    """
    failure: psycopg.Error | None = None
    try:
        async with connection.pipeline():
            try:
                yield
            except psycopg.Error as error:
                failure = error  # raised below: leaving the pipeline with it would log what follows from it
    except psycopg.Error as error:
        failure = failure or error
    except BaseException:
        await connection.close()  # cancelled in the middle: what it knows of the server's state is not to be relied on
        raise
    if failure:
        if not connection.broken:
            # nothing is left to roll back, but this makes psycopg forget which statements it prepared: those behind the
            # one that failed never were
            async with connection.transaction(force_rollback=True):
                pass
        raise failure


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


@contextmanager
def _hung_up_after(seconds: float | None, connection: AsyncConnection[Any]) -> Iterator[None]:
    """Ends the connection under whoever waits too long: a server that hangs, with its network alive, says nothing.

    The socket is shut down rather than the task cancelled, for then psycopg would ask the same server to cancel.
    """

    def hang_up() -> None:
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = asyncio.get_running_loop().call_later(seconds, hang_up) if seconds else None
    try:
        yield
    finally:
        if timer:
            timer.cancel()


class _Connection(AsyncConnection[Any]):
    """Remembers for the pool why a connection could not be made: the pool itself only says that none came in time."""

    last_failure: BaseException | None = None

    @classmethod
    async def connect(cls, *args: Any, **named: Any) -> Any:
        try:
            made = await super().connect(*args, **named)
        except BaseException as error:
            cls.last_failure = error
            raise
        cls.last_failure = None
        return made


class Connections:
    """A few connections that many use in turn. Errors: `Conflict`, `Duplicate`, `Unavailable`."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.where = shown(parameters)
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # each try of many; whoever asks is told by us
        self._class = type("_Connection", (_Connection,), {})  # so that each pool remembers its own failure
        self._pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            kwargs={**parameters, "autocommit": True, "prepare_threshold": 3},
            connection_class=self._class,
            configure=_prepare,
            min_size=1,
            max_size=_AT_ONCE,
            timeout=_WAIT_SECONDS,
            reconnect_timeout=_WAIT_SECONDS,  # then whoever asks next tries again, so nobody waits for a long pause
            open=False,
            name="store",
        )
        self._writers = asyncio.Semaphore(_AT_ONCE - _READERS)
        self._weeding: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._pool.open()

    @asynccontextmanager
    async def take(
        self, *, writing: bool = False, seconds: float | None = ANSWER_SECONDS
    ) -> AsyncIterator[AsyncConnection[Any]]:
        """One of them, for so many seconds (None: as long as it takes); what goes wrong is told as our own errors.

        Whoever is `writing` may have to wait for others, so that some connections are left for reading.
        """
        try:
            before = _cancellations()
            async with self._writers if writing else nullcontext(), self._pool.connection() as connection:
                if _cancellations() > before:  # while waiting for it: Python before 3.12 may forget that
                    raise asyncio.CancelledError
                with _hung_up_after(seconds, connection):
                    yield connection
        except (PoolTimeout, PoolClosed) as error:
            raise self._no_connection(error) from error
        except (psycopg.Error, OSError) as error:
            raise await self._told(error, connection) from error

    async def _told(self, error: psycopg.Error | OSError, connection: AsyncConnection[Any]) -> ProvisioningError:
        if getattr(error, "sqlstate", None) == _READ_ONLY:
            await connection.close()  # what once was the primary: the next connection finds the new one
        lost = isinstance(error, psycopg.OperationalError) and error.sqlstate in _LOST
        if lost or connection.closed:
            self.weed()
            return ConnectionLost(f"{self.where}: {_in_one_line(error)}")
        return trouble(error, self.where)

    def _no_connection(self, error: psycopg.Error) -> ProvisioningError:
        if isinstance(error, PoolClosed):
            return Unavailable(to_operator("{where}: the store was closed.", where=self.where))
        failure = self._class.last_failure  # type: ignore[attr-defined]
        return trouble(failure if isinstance(failure, psycopg.Error | OSError) else error, self.where)

    def weed(self) -> None:
        """One connection was lost, so the others may be: they are looked at before somebody else takes them."""
        if self._weeding is None or self._weeding.done():
            self._weeding = asyncio.create_task(self._check())

    async def weeded(self) -> None:
        """Returns once the others have been looked at."""
        if self._weeding:
            await asyncio.wait({self._weeding}, timeout=_WAIT_SECONDS)

    async def _check(self) -> None:
        with suppress(psycopg.Error, OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._pool.check()

    async def close(self) -> None:
        if self._weeding:
            self._weeding.cancel()
            await asyncio.wait({self._weeding}, timeout=1)
        await self._pool.close(timeout=_WAIT_SECONDS)
