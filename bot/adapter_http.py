"""What an inbound request must look like before anybody reads it, and where our calls may go. Pure but for reading."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import hdrs, web

from bot.activity import MalformedError, check
from bot.limits import is_json
from bot.loopback import is_loopback_name

BODY_LIMIT: Final = 256 * 1024  # bytes, after decompression
BODY_SECONDS: Final = 10.0
DEPTH_LIMIT: Final = 64
INTEGER_DIGITS: Final = 20

_BEARER: Final = re.compile(r"Bearer [A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SUSPECT: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_URL: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~%:/-]*)?")


class RefusedError(Exception):
    """The request is answered with this status and goes no further; `str()` is safe to say to a stranger."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def bearer(request: web.Request) -> str:
    """The Authorization header, if it can hold a signed token at all. Errors: `RefusedError` 401.

    Asked before the body is read, so that nobody fills our memory without one. One header, one token of three parts in
    plain base64url (RFC 6750, 2.1; RFC 7515, 7.1): decoders forgive more, each in its own way.
    """
    headers = request.headers.getall(hdrs.AUTHORIZATION, ())
    if not headers:
        raise RefusedError(401, "a token is needed")
    if len(headers) > 1 or not _BEARER.fullmatch(headers[0]):
        raise RefusedError(401, "the token is not valid")
    return headers[0]


async def read_activity(request: web.Request, seconds: float) -> Mapping[str, Any]:
    """The checked JSON of an activity. Errors: `RefusedError` with 400, 408, 413 or 415, never anything else."""
    if not is_json(request):
        raise RefusedError(415, "the body is not application/json in UTF-8")
    body = await _read_body(request, seconds)
    try:
        return check(parse(body))
    except MalformedError as error:
        raise RefusedError(400, str(error)) from None


async def _read_body(request: web.Request, seconds: float) -> bytes:
    """At most the limit, counted after decompression, so that a small body cannot become a big one."""
    if (request.content_length or 0) > BODY_LIMIT:
        raise RefusedError(413, "the body is too large")
    body, patience = bytearray(), None if request.content.is_eof() else seconds  # nearly always all of it is there
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.content.iter_chunked(BODY_LIMIT):
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise RefusedError(413, "the body is too large")
    except TimeoutError:
        raise RefusedError(408, "the body came too slowly") from None
    except (web.RequestPayloadError, aiohttp.ClientError, aiohttp.http.HttpProcessingError, ValueError):
        raise RefusedError(400, "the body does not match its headers") from None
    return bytes(body)


def parse(body: bytes) -> Any:
    """Strict JSON: UTF-8, each name once, no NaN, no number or depth beyond reason, no half surrogates."""
    try:
        value = _STRICT.decode(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise MalformedError("the body is not valid JSON") from None
    # Counting brackets is cheap and settles nearly every body; only a suspect one is walked. So with texts.
    if body.count(b"{") + body.count(b"[") > DEPTH_LIMIT and _deeper_than(value, DEPTH_LIMIT):
        raise MalformedError("the body is nested too deeply")
    if _SUSPECT.search(body) and not _encodable(value):
        raise MalformedError("the body holds half a surrogate pair")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that stands there twice, whoever looked at the body before us may have read the other one."""
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name twice")
    return value


def _encodable(value: Any) -> bool:
    """UTF-8 has no half surrogates. An escaped NUL passes: stores refuse it themselves, which is told in words."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _integer(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS:
        raise ValueError("huge number")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("huge number")
    return number


_STRICT: Final = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_integer, parse_float=_number, object_pairs_hook=_object
)  # made once: that takes as long as to read a body


def _deeper_than(value: Any, limit: int) -> bool:
    layer = [value]
    for _ in range(limit):
        layer = [
            part
            for item in layer
            if isinstance(item, dict | list)
            for part in (item.values() if isinstance(item, dict) else item)
        ]
        if not layer:
            return False
    return True


class ServiceHosts:
    """Where the bot's token may go: https on the allowed hosts and below them, http on loopback alone."""

    def __init__(self, allowed: Collection[str], *, local: bool) -> None:
        self._allowed = tuple(host.strip().lower().removeprefix("*.").strip(".") for host in allowed if host.strip())
        self._local = local
        self.check = lru_cache(256)(self._check)  # a turn asks three times; refusals are not kept

    def _check(self, url: str) -> str:
        """The same URL without a trailing slash. Errors: `RefusedError` 403."""
        # Only plain characters pass: no user part, query, brace (the SDK formats URLs) or backslash to disagree about.
        if not _URL.fullmatch(url):
            raise RefusedError(403, "serviceUrl is not allowed")
        try:
            parts = urlsplit(url)
            host, _ = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            raise RefusedError(403, "serviceUrl is not allowed") from None
        loopback = is_loopback_name(host)
        known = any(host == allowed or host.endswith("." + allowed) for allowed in self._allowed)
        if not (known or (self._local and loopback)) or (parts.scheme != "https" and not loopback):
            raise RefusedError(403, "serviceUrl is not allowed")
        return url.rstrip("/")
