"""Connections as they come in: headers that arrive in time and are not too many, and never more than there is room for.

aiohttp bounds a header's length and number, and bodies are bounded by their doors (bot/limits.py). What it does not
bound is how long the headers take: without this, a client that sends a byte a second holds a connection for hours.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

log = structlog.get_logger(__name__)

BACKLOG: Final = 1024
RESERVE: Final = 256  # file handles for the store, for calls to others and for children
WANTED: Final = 65_536  # file handles, where the system gives so many
FEWEST: Final = 64
OTHERWISE: Final = 4096  # connections, where the system knows no limit of handles


@dataclass(frozen=True, slots=True)
class Patience:
    """What is borne of a client before its request stands."""

    header_seconds: float = 10.0  # from the connection, or from the first byte of a further request, to the last header
    lingering_seconds: float = 2.0  # for the rest of a body that was refused, so that its sender can read why
    header_bytes: int = 32 * 1024  # of one request's headers together
    connections: int = OTHERWISE  # at the same time; beyond, who has waited longest without a request gives way


class Answered(web.StreamResponse):
    """Stands for an answer that was given, on a connection that stays open."""

    @property
    def keep_alive(self) -> bool | None:
        return True


_ANSWERED: Final = Answered()


class Connection(RequestHandler):
    """One client. `waits` while no request of it is under way."""

    __slots__ = ("_bytes", "_deadline", "_house")

    def __init__(self, house: Connections, server: web.Server, **more: Any) -> None:
        super().__init__(server, lingering_time=house.patience.lingering_seconds, **more)
        self._house = house
        self._bytes = 0  # of headers that are not complete
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._house.enter(self):
            self._begin()
        else:
            self.force_close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.waits:  # a whole request is there
            self._house.spoke(self)
            self._end()
            return
        self._begin()
        self._bytes += len(data)
        if self._bytes > self._house.patience.header_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answers, and lets the answer go: aiohttp keeps it until the next one, of a long poll 2 KiB for 30 s.

        Of what is given back aiohttp asks nothing but whether the connection stays open.
        """
        answer, reset = await super().finish_response(request, resp, start_time)
        return _ANSWERED if answer.keep_alive else answer, reset

    def connection_lost(self, exc: BaseException | None) -> None:
        self._end()
        self._house.leave(self)
        super().connection_lost(exc)

    def _begin(self) -> None:
        if self._deadline is None:
            seconds = self._house.patience.header_seconds
            self._deadline = asyncio.get_running_loop().call_later(seconds, self._too_slow)

    def _end(self) -> None:
        self._bytes = 0
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self.waits:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """RFC 9110, 15.5.9 and RFC 6585, 5; whoever has sent nothing yet is answered nothing."""
        self._end_with(status if self._bytes else None)

    def _end_with(self, status: HTTPStatus | None) -> None:
        if status and self.transport:
            head = f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.transport.write(head.encode())
        self.force_close()


class Connections:
    """All connections of one process."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self._silent: dict[Connection, None] = {}  # have not asked anything yet, the oldest first
        self._known: dict[Connection, None] = {}
        self._full = False

    def __len__(self) -> int:
        return len(self._silent) + len(self._known)

    def enter(self, connection: Connection) -> bool:
        """Whether there is room; where there is none, whoever waits longest makes some."""
        if len(self) >= self.patience.connections:
            self._tell_once()
            victim = next((each for each in (*self._silent, *self._known) if each.waits), None)
            if victim is None:
                return False
            self.leave(victim)
            victim.force_close()
        elif len(self) < self.patience.connections // 2:
            self._full = False
        self._silent[connection] = None
        return True

    def spoke(self, connection: Connection) -> None:
        """A whole request came from there."""
        if connection in self._silent:
            del self._silent[connection]
            self._known[connection] = None

    def leave(self, connection: Connection) -> None:
        self._silent.pop(connection, None)
        self._known.pop(connection, None)

    def _tell_once(self) -> None:
        if not self._full:
            self._full = True
            log.warning("no room for more connections: who waits longest gives way", most=self.patience.connections)


class Listener(web.SockSite):
    """Where the service listens, with patience."""

    __slots__ = ("_connections",)

    def __init__(self, runner: web.AppRunner, sock: Any, patience: Patience) -> None:
        super().__init__(runner, sock, backlog=BACKLOG)
        self._connections = Connections(patience)

    async def start(self) -> None:
        await web.BaseSite.start(self)
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert server is not None  # noqa: S101 - the runner was set up

        def connect() -> Connection:
            return Connection(self._connections, server, loop=loop, access_log=None)

        self._server = await loop.create_server(connect, sock=self._sock, backlog=self._backlog)


def raise_handles() -> None:
    """As many files may be open as the system allows, up to `WANTED`: each connection is one."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < WANTED:
        with suppress(ValueError, OSError):  # only root may go beyond it
            resource.setrlimit(resource.RLIMIT_NOFILE, (WANTED, WANTED))
            return
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def patience() -> Patience:
    """With as many connections as there are file handles for, less a reserve."""
    try:
        import resource
    except ImportError:
        return Patience()
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return Patience(connections=WANTED)
    return Patience(connections=max(min(soft, WANTED) - RESERVE, FEWEST))
