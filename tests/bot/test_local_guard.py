"""Local mode checks no sign-in: a table of who is let in, and of the ways a foreign page tries."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDict

from bot.limits import local_guard, parse_address
from bot.loopback import is_loopback_address, is_loopback_name
from bot.problems import problems

Client = TestClient[web.Request, web.Application]
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client(aiohttp_client: Callable[..., Awaitable[Client]], unused_tcp_port: int) -> Client:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="let in")

    app = web.Application(middlewares=[problems, local_guard(unused_tcp_port)])
    app.add_routes([web.route("*", "/{path:.*}", answer)])
    return await aiohttp_client(TestServer(app, port=unused_tcp_port))


async def knock(client: Client, method: str, path: str, *headers: tuple[str, str]) -> int:
    """`PORT` in a header stands for the service's own port."""
    sent = CIMultiDict((name, value.replace("PORT", str(client.port))) for name, value in headers)
    answer = await client.request(method, path, headers=sent, data=b"{}" if method == "POST" else None)
    if answer.status == 403:
        assert answer.content_type == "application/problem+json"
        assert (await answer.json())["code"] == "not_local"
    return answer.status


OWN_HOSTS = [
    *("localhost", "localhost:PORT", "LOCALHOST:PORT", "127.0.0.1", "127.0.0.1:PORT", "[::1]", "[::1]:PORT"),
    "127.0.0.2:PORT",  # the service may be bound to any loopback address
]
FOREIGN_HOSTS = [
    *("evil.example", "evil.example:PORT", "localhost.evil.example:PORT", "127.0.0.1.evil.example", "a.localhost:PORT"),
    *("127.0.0.1.nip.io:PORT", "localhost.localdomain", "localhost.", "0.0.0.0:PORT", "10.0.0.1:PORT", "[::]:PORT"),
    *("127.1:PORT", "2130706433:PORT", "0x7f000001:PORT", "0177.0.0.1:PORT", "127.000.000.001", "[::ffff:7f00:1]"),
    *("localhost:1", "localhost:", "localhost:PORT:PORT", "127.0.0.1:80000", "[::1", "::1", "[localhost]:PORT"),
    *(
        "",
        "user@localhost:PORT",
        "localhost/evil.example",
        "localhost evil.example",
        "evil.example,localhost",
        "ⅼocalhost",
    ),
]


@pytest.mark.parametrize("host", OWN_HOSTS)
async def test_our_own_names_are_let_in(client: Client, host: str) -> None:
    assert await knock(client, "GET", "/", ("Host", host)) == 200


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("path", ["/", "/api/messages", "/api/v1/device", "/openapi.json"])
async def test_a_rebound_name_is_not(client: Client, host: str, path: str) -> None:
    assert await knock(client, "GET", path, ("Host", host)) == 403


async def raw(client: Client, *lines: str) -> int:
    """The status for header lines that no HTTP client would send."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    try:
        text = "\r\n".join(("GET / HTTP/1.1", *lines, "Connection: close", "", ""))
        writer.write(text.replace("PORT", str(client.port)).encode())
        return int((await reader.read()).split()[1])
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "lines",
    [
        ("X: no host at all",),
        ("Host: localhost", "Host: localhost"),
        ("Host: localhost", "Host: evil.example"),
        ("Host: localhost:PORT", "Origin: http://localhost:PORT", "Origin: http://evil.example"),
        ("Host: localhost:PORT", "Origin: http://evil.example", "Origin: http://localhost:PORT"),
    ],
)
async def test_what_is_said_twice_or_not_at_all_is_not_believed(client: Client, lines: tuple[str, ...]) -> None:
    assert await raw(client, "Host: localhost:PORT") == 200
    assert await raw(client, *lines) in (400, 403)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:PORT", "http://localhost:PORT"),
        ("LocalHost:PORT", "HTTP://localhost:PORT"),
        ("127.0.0.1:PORT", "http://127.0.0.1:PORT"),
        ("[::1]:PORT", "http://[::1]:PORT"),
    ],
)
async def test_our_own_page_is_let_in(client: Client, host: str, origin: str) -> None:
    assert await knock(client, "POST", "/api/messages", ("Host", host), ("Origin", origin), *JSON.items()) == 200


FOREIGN_ORIGINS = [
    *("null", "", "http://evil.example", "http://evil.example:PORT", "https://localhost:PORT", "http://localhost"),
    *("http://localhost:1", "http://127.0.0.1:PORT", "http://[::1]:PORT", "http://localhost:PORT/", "localhost:PORT"),
    *("http://localhost:PORT.evil.example", "http://localhost.evil.example:PORT", "file://", "chrome-extension://abc"),
    *("http://localhost:PORT http://evil.example", "http://user@localhost:PORT", "ws://localhost:PORT"),
]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/messages"),
        ("GET", "/"),
        ("PUT", "/demo/connector/v3/conversations/a/activities/1"),
        ("POST", "/demo/files"),
        ("GET", "/demo/files/key"),
        ("POST", "/demo/places"),
        ("PUT", "/demo/places/key"),
        ("GET", "/demo/saved/key"),
    ],
)
async def test_a_foreign_page_is_not(client: Client, method: str, path: str, origin: str) -> None:
    headers = (("Host", "localhost:PORT"), ("Origin", origin), *JSON.items())
    assert await knock(client, method, path, *headers) == 403


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        ("application/json; charset=utf-7", 403),
        ("text/plain", 403),
        ("text/plain; application/json", 403),
        ("application/x-www-form-urlencoded", 403),
        ("multipart/form-data; boundary=x", 403),
        ("", 403),
    ],
)
async def test_what_is_posted_to_the_bot_is_json(client: Client, content_type: str, status: int) -> None:
    headers = (("Host", "localhost:PORT"), ("Content-Type", content_type))
    assert await knock(client, "POST", "/api/messages", *headers) == status
    assert await knock(client, "POST", "/api/%6dessages", *headers) == status


async def test_other_calls_may_post_what_they_take(client: Client) -> None:
    assert await knock(client, "POST", "/api/v1/device/factory-reset", ("Host", "localhost:PORT")) == 200


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.255.255.254", "[::1]"])
def test_loopback_names(name: str) -> None:
    assert is_loopback_name(name)


@pytest.mark.parametrize("name", ["example.org", "128.0.0.1", "[::2]", "localhost6", "", "0.0.0.0", "127.0.0.256"])
def test_other_names(name: str) -> None:
    assert not is_loopback_name(name)
    assert not is_loopback_address(name)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (' "192.0.2.7" ', "192.0.2.7"),
        ("192.0.2.7:80", "192.0.2.7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2", None),
        ("_hidden", None),
        ("", None),
    ],
)
def test_addresses_as_proxies_write_them(text: str, address: str | None) -> None:
    parsed = parse_address(text)
    assert (str(parsed) if parsed else None) == address
