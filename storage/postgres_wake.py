"""Wakes whoever waits, in every instance: LISTEN on a connection of its own, NOTIFY after the commit.

A NOTIFY inside a unit would make all commits wait for each other (PostgreSQL queues them one at a time), so it is sent
afterwards, for all units together that were committed meanwhile. An instance that dies in between wakes nobody, which
costs those who wait elsewhere no more than their own time limit: nobody waits for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from hashlib import blake2b
from secrets import token_hex
from typing import Any

import psycopg
import structlog
from psycopg import sql

from provisioning.errors import StoreError, Unavailable
from provisioning.ports import Watch
from provisioning.texts import to_operator
from storage.postgres_connection import CARRIED, Connections, at_one_go, connect, trouble
from storage.postgres_sql import queries
from storage.watch import Topics

log = structlog.get_logger(__name__)

_PAYLOAD = 7_900  # bytes; PostgreSQL takes less than 8 000
_AGAIN_SECONDS = 1.0  # until a lost listener is opened again, or a wake-up that could not be sent


def _word(topic: str) -> str:
    """A short form, so that many topics fit into one notification. Two that share one are woken together."""
    return blake2b(topic.encode(), digest_size=6).hexdigest()


def channel_of(schema: str) -> str:
    """Where the instances on one schema hear each other; a name of PostgreSQL's has 63 bytes at most."""
    return f"provisioning_{_word(schema)}"


class Wakes:
    """The watchers of this instance, and its line to the others. Belongs to one event loop."""

    def __init__(self, connections: Connections, parameters: dict[str, Any], channel: str) -> None:
        self._connections, self._parameters, self._channel = connections, parameters, channel
        self._topics = Topics()
        self._instance = token_hex(4)
        self._unsent: set[str] = set()
        self._some = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._line: psycopg.AsyncConnection[Any] | None = None
        self._closed = False
        self._deaf = ""  # why other instances are not heard just now

    def check(self) -> None:
        """Raises `Unavailable` while other instances are not heard: a device that polls here would wait in vain."""
        if self._deaf and not self._closed:
            raise Unavailable(self._deaf)

    async def open(self) -> None:
        """Returns once other instances are heard. Raises `Unavailable`, also while the store is being carried."""
        self._line = await self._opened()
        self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._listen(self._line))]

    def watch(self, *topics: str) -> AbstractAsyncContextManager[Watch]:
        return self._topics.watch(*map(_word, topics))

    def wake(self, topics: Iterable[str]) -> None:
        """Whoever waits here at once, whoever waits elsewhere as soon as it can be said."""
        words = {_word(topic) for topic in topics}
        if words:
            self._topics.wake(words)
            self._unsent |= words
            self._some.set()

    async def close(self) -> None:
        """Says what is still to be said, then ends. May be called twice."""
        self._topics.wake_all()
        self._closed = True
        self._some.set()
        for task, patience in zip(self._tasks, (_AGAIN_SECONDS, 0), strict=False):  # the listener would wait for ever
            await _ended(task, patience)
        if self._line:
            with suppress(psycopg.Error, OSError):  # the server would notice a little later that it is gone
                await self._line.execute(queries()["be_gone"])
            await self._line.close()

    # ------------------------------------------------------------------ saying it

    async def _send(self) -> None:
        while not self._closed:
            await self._some.wait()
            self._some.clear()
            words, self._unsent = self._unsent, set()
            try:
                await self._say(words)
            except StoreError as error:
                log.warning("other instances are told later", reason=error.values.get("reason"))
                await self._again(words)
            except Exception:  # whatever it was: nobody would wake the others any more
                log.exception("other instances are told later")
                await self._again(words)

    async def _again(self, words: set[str]) -> None:
        self._unsent |= words
        self._some.set()
        await self._pause()

    async def _say(self, words: set[str]) -> None:
        if words:
            async with self._connections.take() as connection, at_one_go(connection):
                for payload in self._payloads(words):
                    await connection.execute(queries()["wake"], (self._channel, payload))

    async def _pause(self) -> None:
        if not self._closed:
            await asyncio.sleep(_AGAIN_SECONDS)

    def _payloads(self, words: set[str]) -> Iterator[str]:
        """As many as it takes; each begins with who says it, for whoever says it has been woken already."""
        waiting, at_once = sorted(words), (_PAYLOAD - len(self._instance)) // (len(_word("")) + 1)
        for start in range(0, len(waiting), at_once):
            yield " ".join((self._instance, *waiting[start : start + at_once]))

    # ------------------------------------------------------------------ hearing it

    async def _listen(self, line: psycopg.AsyncConnection[Any]) -> None:
        while not self._closed:
            try:
                self._topics.wake_all()  # whatever was said while nobody listened
                await self._hear(line)
            except StoreError as error:
                log.warning("other instances are not heard", reason=error.values.get("reason"))
                await line.close()
                self._deaf = str(error.values.get("reason"))
                line = self._line = await self._opened_again()
                self._deaf = ""

    async def _hear(self, line: psycopg.AsyncConnection[Any]) -> None:
        try:
            async for notice in line.notifies():
                who, *words = notice.payload.split() or [""]  # anybody may say anything here
                if who != self._instance:
                    self._topics.wake(words)
        except (psycopg.Error, OSError) as error:
            self._connections.weed()  # nobody else may have noticed yet
            raise trouble(error, self._connections.where) from error
        raise Unavailable(to_operator("{where}: the line was closed.", where=self._connections.where))

    async def _opened_again(self) -> psycopg.AsyncConnection[Any]:
        while True:
            await asyncio.sleep(_AGAIN_SECONDS)
            if self._closed:
                raise asyncio.CancelledError
            try:
                return await self._opened()
            except StoreError as error:
                self._deaf = str(error.values.get("reason"))

    async def _opened(self) -> psycopg.AsyncConnection[Any]:
        """A connection that listens, and that holds a lock with those of the other instances: while it does, nobody
        carries the store elsewhere.
        """
        line = await connect(self._parameters)
        try:
            await line.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            ((held,),) = await (await line.execute(queries()["be_an_instance"])).fetchall()
            if not held:
                raise Unavailable(f"{self._connections.where}: {to_operator(CARRIED)}")
        except BaseException as error:
            await line.close()
            if isinstance(error, psycopg.Error | OSError):
                raise trouble(error, self._connections.where) from error
            raise
        return line


async def _ended(task: asyncio.Task[None], patience: float) -> None:
    """Cancels a task that does not end by itself, until it has ended: a driver may swallow one cancellation."""
    await asyncio.wait({task}, timeout=patience)
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=1)
