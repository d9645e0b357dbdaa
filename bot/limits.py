"""What a request may be before anybody reads it: whose it is, how large, how slow, and in local mode from where."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import groupby
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Middleware

from bot.loopback import is_loopback_name
from bot.problems import BodyBroken, BodyTooLarge, BodyTooSlow, NotLocal, NotThisMediaType, problem
from provisioning.throttle import network_name

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

BODY_SECONDS: Final = 10.0
CHUNK_BYTES: Final = 64 * 1024
JSON_ONLY: Final = ("/api/messages",)
HTTP_PORT: Final = 80
LONGEST_ADDRESS: Final = 64  # characters; what is longer is not remembered, for its sender chose it
PLACES: Final = 4096  # addresses that are remembered as they were parsed, which takes some 20 µs
FORWARDING: Final = ("X-Forwarded-For", "Forwarded")  # the latter (RFC 7239) is only noticed, never believed
UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, bidi, half a character, line breaks
_AUTHORITY: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?")


# ------------------------------------------------------------------ the body


async def read_body(request: web.Request, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """The whole body, at most `limit` bytes within `seconds`.

    Errors: `BodyTooLarge` (413; already on the announced length), `BodyTooSlow` (408), `BodyBroken` (400),
    `NotThisMediaType` (415) for a compressed one, whose true size nobody knows before it is unpacked.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower() != "identity":
        raise NotThisMediaType
    if (request.content_length or 0) > limit:
        raise BodyTooLarge(limit=limit)
    try:
        if request.content.is_eof():  # nearly always all of it is there: taken at once, in a tenth of the time
            body = request.content.read_nowait()
            if len(body) > limit:
                raise BodyTooLarge(limit=limit)
            return body
        async with asyncio.timeout(seconds):
            return await _whole(request, limit)
    except TimeoutError:
        raise BodyTooSlow from None
    except (web.RequestPayloadError, HttpProcessingError):
        raise BodyBroken from None


async def _whole(request: web.Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_chunked(CHUNK_BYTES):
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge(limit=limit)
    return bytes(body)


def is_json(request: web.Request) -> bool:
    """RFC 8259, 8.1: JSON is UTF-8; a charset that says otherwise is not ours to guess at."""
    return (
        len(request.headers.getall(hdrs.CONTENT_TYPE, ())) == 1
        and request.content_type == "application/json"
        and (request.charset or "utf-8").lower() == "utf-8"
    )


def seen_alone() -> str:
    """A pattern for text without what nobody sees; on signs beyond 16 bits engines of patterns do not agree."""
    marked = [(number, unicodedata.category(chr(number)) in UNSEEN - {"Cs"}) for number in range(0x10000)]
    runs = [list(run) for unseen, run in groupby(marked, key=lambda each: each[1]) if unseen]
    return "^[^" + "".join(f"\\u{run[0][0]:04x}-\\u{run[-1][0]:04x}" for run in runs) + "]*$"


# ------------------------------------------------------------------ the caller's address


def caller(request: web.Request, trusted_proxies: Sequence[Network] = ()) -> str:
    """The network address a request came from.

    X-Forwarded-For counts only as far as trusted proxies wrote it: from the right, up to the first address that is
    not one of them. Whatever stands left of that was the caller's own claim.
    """
    nearest = parse_address(request.remote or "")
    if nearest is None:
        return request.remote or ""
    hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
    while hops and _within(nearest, trusted_proxies):
        claimed = parse_address(hops.pop())
        if claimed is None:
            break
        nearest = claimed
    return str(nearest)


def unnamed_proxy(request: web.Request, trusted_proxies: Sequence[Network] = ()) -> str:
    """The network of a peer that says for whom it calls and is no trusted proxy; empty where there is none.

    It may be any caller's own claim. Where it is a proxy, all that call through it count as one network.
    """
    claims = any(name in request.headers for name in FORWARDING)
    nearest = parse_address(request.remote or "") if claims else None
    return network_name(str(nearest)) if nearest and not _within(nearest, trusted_proxies) else ""


def parse_address(text: str) -> Address | None:
    """An address as proxies write it: with a port, in brackets, with a zone, or IPv4 within IPv6."""
    return _known_address(text) if len(text) <= LONGEST_ADDRESS else _parsed(text)


def _parsed(text: str) -> Address | None:
    shown = text.strip().strip('"')
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::\d+)?", shown)
    if bracketed:
        shown = bracketed[1]
    elif shown.count(":") == 1:
        shown = shown.split(":")[0]
    try:
        address = ip_address(shown.split("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


_known_address = lru_cache(maxsize=PLACES)(_parsed)


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


# ------------------------------------------------------------------ local mode


def local_guard(port: int) -> Middleware:
    """Local mode checks no sign-in, so nothing but this computer's own programs and page may reach it.

    403 unless Host is a loopback name (a rebound DNS name is not), Origin is absent or our own, and what is posted
    to the bot is application/json, which no foreign page can send without asking first (Fetch, 4.8).
    """

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        return await handler(request) if _is_local(request, port) else problem(NotLocal())

    return guard


def _is_local(request: web.Request, port: int) -> bool:
    hosts = request.headers.getall(hdrs.HOST, ())
    host = _authority(hosts[0]) if len(hosts) == 1 else None
    if host is None or not is_loopback_name(host[0]) or host[1] not in (None, port):
        return False
    origins = request.headers.getall(hdrs.ORIGIN, ())
    if not all(_own_origin(origin, host[0], port) for origin in origins):
        return False
    return request.method != hdrs.METH_POST or request.path not in JSON_ONLY or is_json(request)


def _own_origin(origin: str, name: str, port: int) -> bool:
    """Same scheme, name and port as this request (RFC 6454); another loopback name may be another's program."""
    scheme, _, rest = origin.lower().partition("://")
    authority = _authority(rest)
    return scheme == "http" and authority is not None and (authority[0], authority[1] or HTTP_PORT) == (name, port)


def _authority(text: str) -> tuple[str, int | None] | None:
    """Name and port of `name[:port]` (RFC 9110, 7.2), in lower case; None for anything else."""
    match = _AUTHORITY.fullmatch(text.lower())
    return (match["name"], int(match["port"]) if match["port"] else None) if match else None
