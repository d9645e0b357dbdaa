"""The end of a service as its callers see it: what was sent is answered, and nothing new is taken.

A connection that stays open between two requests may be closed just while the next one is on its way, which its caller
then sees as a reset (RFC 9112, 9.5). So the callers are asked first to make new connections (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final
from weakref import WeakSet

from aiohttp import hdrs, web

QUIET_SECONDS: Final = 0.25  # without a new request on connections that were answered; then they are closed
DRAIN_SECONDS: Final = 2.0  # at most, until then
PASSES: Final = 3  # of the event loop, from taking a connection until it belongs to the server


class Draining:
    """Knows whether the end has begun. Made before the application starts."""

    def __init__(self, app: web.Application) -> None:
        self._begun = False
        self._answered: WeakSet[asyncio.Transport] = WeakSet()  # connections, at least once
        app.on_response_prepare.append(self._ask_to_close)

    async def _ask_to_close(self, request: web.Request, response: web.StreamResponse) -> None:
        if request.transport:
            self._answered.add(request.transport)
        if self._begun:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"

    async def drain(self, runner: web.AppRunner, listener: socket.socket) -> None:
        """No new connection; those that are open are answered until they are quiet. Then comes `runner.cleanup()`."""
        self._begun = True
        loop, server = asyncio.get_running_loop(), runner.server
        if server is None:
            return
        await _let_in(listener)
        late = _waiting(listener)  # they are connected already, and closing the listener would reset them
        for site in list(runner.sites):
            await site.stop()
        for connection in late:
            await loop.connect_accepted_socket(server, connection)
        await _passes()
        end, asked = loop.time() + DRAIN_SECONDS, -1
        while self._awaited(server, asked) and loop.time() < end:
            asked = server.requests_count
            await asyncio.sleep(QUIET_SECONDS)

    def _awaited(self, server: web.Server, asked: int) -> bool:
        """Somebody asked since the count was `asked`, or made a connection and has no answer yet."""
        transports = [connection.transport for connection in server.connections if connection.transport]
        return bool(transports) and (server.requests_count != asked or not self._answered.issuperset(transports))


async def _let_in(listener: socket.socket) -> None:
    """Who was taken a moment ago comes to be the server's, three passes of the loop later.

    Where the listener is closed before that, asyncio loses the connection without a word; so there nobody is taken
    any more. uvloop loses none, and goes on taking them until the listener is closed.
    """
    with suppress(NotImplementedError):  # Windows: its loop takes connections in another way
        asyncio.get_running_loop().remove_reader(listener)
    await _passes()


async def _passes() -> None:
    for _ in range(PASSES):
        await asyncio.sleep(0)


def _waiting(listener: socket.socket) -> list[socket.socket]:
    """Connections that the kernel made and nobody took yet."""
    found = list[socket.socket]()
    while True:
        try:
            connection, _address = listener.accept()
        except OSError:  # none is left
            return found
        connection.setblocking(False)
        found.append(connection)
