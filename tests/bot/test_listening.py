"""Clients that take their time, send without end or come in crowds, over raw sockets: each is bounded."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from weakref import WeakSet

import pytest
from aiohttp import web
from structlog.testing import capture_logs

import app
from bot import device_api, listening
from bot.listening import Listener, Patience
from bot.problems import problems
from bot.settings import load_settings
from tests.bot.test_device_api import BODY, Door

QUICK = Patience(header_seconds=0.3, header_bytes=4096, connections=20, lingering_seconds=0.1)
ASKS = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def device_door() -> web.Application:
    application = web.Application(middlewares=[problems])
    application.add_routes(device_api.routes(Door(), body_seconds=0.3))
    return application


@asynccontextmanager
async def listening_with(
    patience: Patience, door: Callable[[], web.Application] = device_door
) -> AsyncIterator[Callable[[], Awaitable[Pair]]]:
    """The device's door, or another, behind a listener of this patience; what comes back connects to it."""
    application = door()
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    socket = app._listen("127.0.0.1", 0)
    await Listener(runner, socket, patience).start()
    port = socket.getsockname()[1]
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> Pair:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in opened:
            writer.close()
        await runner.cleanup()
        await asyncio.gather(*(writer.wait_closed() for writer in opened), return_exceptions=True)


async def answer(pair: Pair, sent: bytes) -> int:
    """The status of the answer to what is sent; 0 where the connection ended without one."""
    reader, writer = pair
    writer.write(sent)
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0
    status, _, fields = head.partition(b"\r\n")
    length = next((line for line in fields.lower().split(b"\r\n") if line.startswith(b"content-length")), b": 0")
    await reader.readexactly(int(length.split(b":")[1]))
    return int(status.split()[1])


async def ended(pair: Pair, within: float = 5) -> bool:
    """Whether the other side closes it."""
    try:
        async with asyncio.timeout(within):
            while await pair[0].read(65_536):
                pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


# ------------------------------------------------------------------ slow headers


async def test_a_byte_at_a_time_is_cut_off_with_408() -> None:
    async with listening_with(QUICK) as connect:
        reader, writer = await connect()
        began, sent = time.monotonic(), b"GET / HTTP/1.1\r\nX-Slow: " + b"a" * 1000
        for byte in sent:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
            if reader._buffer or reader.at_eof():  # type: ignore[attr-defined]
                break
        head = await asyncio.wait_for(reader.read(), 5)
        assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\nConnection: close")
        assert time.monotonic() - began < 2


async def test_who_says_nothing_is_cut_off_too() -> None:
    async with listening_with(QUICK) as connect:
        reader, _writer = await connect()
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_further_request_on_the_same_connection_has_its_own_time() -> None:
    async with listening_with(QUICK) as connect:
        pair = await connect()
        for _ in range(3):
            assert await answer(pair, ASKS) == 200
            assert not await ended(pair, 0.4)  # it may wait as long as it likes between two requests
        pair[1].write(b"GET /openapi.json HTTP/1.1\r\nHo")
        assert (await asyncio.wait_for(pair[0].read(), 5)).startswith(b"HTTP/1.1 408")


async def test_a_request_in_two_parts_is_answered() -> None:
    async with listening_with(QUICK) as connect:
        pair = await connect()
        pair[1].write(ASKS[:20])
        await asyncio.sleep(0.05)
        assert await answer(pair, ASKS[20:]) == 200


# ------------------------------------------------------------------ large headers


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(200)) + b"\r\n", 400),
    ],
    ids=["line", "field", "number"],
)
async def test_headers_that_are_too_large_are_400(head: bytes, status: int) -> None:
    async with listening_with(QUICK) as connect:
        assert await answer(await connect(), head) == status


async def test_headers_without_end_are_431_before_they_fill_the_memory() -> None:
    async with listening_with(QUICK) as connect:
        pair = await connect()
        head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: %s\r\n" % (n, b"y" * 900) for n in range(6))
        assert await answer(pair, head) == 431
        assert await ended(pair)


# ------------------------------------------------------------------ bodies


def request(size: int, *, announced: bool = True, sent: int | None = None) -> bytes:
    body = json.dumps(BODY).encode().ljust(size)
    length = f"Content-Length: {size}" if announced else "Transfer-Encoding: chunked"
    head = f"POST /api/v1/provision HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n".encode()
    body = body[:sent]
    return head + (body if announced else b"%x\r\n%s\r\n" % (len(body), body))


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_beyond_its_limit_is_413_and_the_connection_ends(announced: bool) -> None:
    async with listening_with(QUICK) as connect:
        pair = await connect()
        assert await answer(pair, request(1025, announced=announced)) == 413
        assert await ended(pair)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_stops_is_408(announced: bool) -> None:
    async with listening_with(QUICK) as connect:
        pair = await connect()
        assert await answer(pair, request(200, announced=announced, sent=50)) == 408
        assert await ended(pair)


async def test_a_large_body_behind_small_headers_is_no_large_header() -> None:
    async with listening_with(QUICK) as connect:
        pair = await connect()
        assert await answer(pair, request(100_000)) == 413


async def test_every_door_of_the_service_has_its_limit(tmp_path: Path) -> None:
    """Over the whole service: 256 KiB of an activity, 1 KiB of a device; nothing where there is no body to be read."""
    settings = load_settings({"STORE_URL": f"tinydb:{tmp_path}", "EVENTS_TOKEN": "e" * 43}, None)
    async with app.running(settings.model_copy(update={"port": 0})) as service:
        port = int(service.url.rpartition(":")[2])
        for path, size, status in (
            ("/api/messages", 256 * 1024 + 1, 413),
            ("/api/v1/provision", 1025, 413),
            ("/api/v1/device/commands/x", 1025, 413),
            ("/api/v1/device/factory-reset", 1025, 413),
        ):
            pair = await asyncio.open_connection("127.0.0.1", port)
            head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            head += "Authorization: Bearer x\r\n"
            assert await answer(pair, f"{head}Content-Length: {size}\r\n\r\n".encode()) == status, path
            pair[1].close()
        pair = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {'e' * 43}\r\n"
        assert await answer(pair, f"{head}Content-Length: 5\r\n\r\nhello".encode()) == 200
        pair[1].close()


# ------------------------------------------------------------------ crowds


async def test_who_waits_longest_gives_way_and_whoever_asks_is_answered() -> None:
    async with listening_with(replace(QUICK, header_seconds=30)) as connect:
        asked = await connect()
        assert await answer(asked, ASKS) == 200
        with capture_logs() as logs:
            slow = [await connect() for _ in range(60)]
            for _reader, writer in slow:
                writer.write(b"GET /")
            for _ in range(10):
                assert await answer(await connect(), ASKS) == 200
        assert await ended(slow[0])
        assert await answer(asked, ASKS) == 200  # it had asked before: those that never did give way first
        assert [entry["event"] for entry in logs] == ["no room for more connections: who waits longest gives way"]


async def test_where_everybody_is_being_served_the_next_one_has_to_come_again() -> None:
    async with listening_with(replace(QUICK, connections=3)) as connect:
        busy = [await connect() for _ in range(3)]
        for _reader, writer in busy:
            writer.write(request(200, sent=50))  # its body is waited for
        await asyncio.sleep(0.05)
        assert await answer(await connect(), ASKS) == 0
        assert [await answer(pair, b"") for pair in busy] == [408] * 3
        assert [await ended(pair) for pair in busy] == [True] * 3
        assert await answer(await connect(), ASKS) == 200


def test_there_are_as_many_connections_as_file_handles_less_a_reserve() -> None:
    import resource

    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    listening.raise_handles()
    raised, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert raised == min(listening.WANTED, hard) or raised == soft
    assert listening.patience().connections == min(raised, listening.WANTED) - listening.RESERVE


# ------------------------------------------------------------------ long polls


async def test_an_answer_is_let_go_before_the_next_request_is_answered() -> None:
    """aiohttp would keep it. `finish_response` is the seam; where a library update closes it, this fails."""
    answers, alive = WeakSet[web.Response](), []

    async def answers_again(_request: web.Request) -> web.Response:
        alive.append(len(answers))
        response = web.Response(text="done")
        answers.add(response)
        return response

    def door() -> web.Application:
        application = web.Application()
        application.router.add_get("/", answers_again)
        return application

    async with listening_with(QUICK, door) as connect:
        pair = await connect()
        for _ in range(3):
            assert await answer(pair, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == 200
        assert await answer(pair, b"GET / HTTP/1.0\r\nHost: x\r\n\r\n") == 200
        assert await ended(pair)  # as its caller wanted
    assert alive == [0, 0, 0, 0]
