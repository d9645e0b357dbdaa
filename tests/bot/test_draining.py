"""Whoever sent something before the service ends is answered, and asked to come back elsewhere."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from bot.draining import DRAIN_SECONDS, Draining

ASKED = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass
class Served:
    """A service whose answers wait until they are let go."""

    runner: web.AppRunner
    listener: socket.socket
    draining: Draining
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked.set()
        await self.may.wait()
        return web.Response(text="done")

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.listener.getsockname()[:2])

    async def ends(self) -> None:
        await self.draining.drain(self.runner, self.listener)
        await self.runner.cleanup()


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
    one = Served(runner, socket.create_server(("127.0.0.1", 0)), Draining(app))
    app.router.add_get("/", one.answer)
    await runner.setup()
    await web.SockSite(runner, one.listener).start()
    try:
        yield one
    finally:
        one.may.set()
        await runner.cleanup()


async def test_what_is_under_way_is_answered_and_its_caller_asked_to_close() -> None:
    async with served() as one:
        reader, writer = await one.connect()
        writer.write(ASKED)
        await one.asked.wait()
        ending = asyncio.create_task(one.ends())
        await asyncio.sleep(0)
        one.may.set()
        said = await reader.read()
        await ending
        writer.close()
    assert said.startswith(b"HTTP/1.1 200") and b"Connection: close" in said and said.endswith(b"done")


async def test_a_question_on_an_open_connection_is_still_answered_after_the_end_has_begun() -> None:
    async with served() as one:
        one.may.set()
        reader, writer = await one.connect()
        writer.write(ASKED)
        first = await reader.readuntil(b"done")
        ending = asyncio.create_task(one.ends())
        await asyncio.sleep(0)
        writer.write(ASKED)
        said = await reader.read()
        await ending
        writer.close()
    assert b"Connection: close" not in first
    assert said.startswith(b"HTTP/1.1 200") and b"Connection: close" in said


async def test_a_connection_that_nobody_took_yet_is_answered_and_later_ones_are_refused() -> None:
    async with served() as one:
        one.may.set()
        with socket.create_connection(one.listener.getsockname()) as caller:  # the loop has no turn to take it
            address = one.listener.getsockname()
            caller.sendall(ASKED)
            await one.ends()
            said = caller.recv(1000)
        refused = await asyncio.gather(asyncio.open_connection(*address), return_exceptions=True)
    assert said.startswith(b"HTTP/1.1 200") and b"Connection: close" in said
    assert isinstance(refused[0], ConnectionRefusedError)


async def test_a_connection_that_was_taken_in_the_moment_of_the_end_is_answered() -> None:
    """asyncio takes it in one pass of the loop, and makes it the server's in a later one."""
    async with served() as one:
        one.may.set()
        with socket.create_connection(one.listener.getsockname()[:2]) as caller:
            caller.sendall(ASKED)
            end = asyncio.Event()
            asyncio.get_running_loop().call_soon(end.set)  # in the pass in which the connection is taken
            await end.wait()
            await one.ends()
            caller.settimeout(10)
            assert b" 200 " in await asyncio.to_thread(caller.recv, 4096)


async def test_a_caller_who_keeps_asking_and_never_closes_does_not_hold_up_the_end() -> None:
    async with served() as one:
        one.may.set()
        idle = [await one.connect() for _ in range(3)]
        began = asyncio.get_running_loop().time()
        await one.ends()
        assert asyncio.get_running_loop().time() - began < DRAIN_SECONDS + 1
        for reader, writer in idle:
            assert await reader.read() == b""
            writer.close()
