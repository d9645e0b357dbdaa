"""Files of local mode, in memory and for a while: what people send to the bot, and what they let it put for them."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from bot.activity import FILE_TYPE

Json = dict[str, Any]

MIB: Final = 1024 * 1024
CAMERA_TYPE: Final = "image/*"
SENT_PATH: Final = "/demo/files"
PLACE_PATH: Final = "/demo/places"
SAVED_PATH: Final = "/demo/saved"
BYTES: Final = "application/octet-stream"
CONTENT_TYPES: Final[Mapping[str, str]] = {
    "csv": "text/csv; charset=utf-8",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
DOWNLOAD_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
NAME_LENGTH: Final = 200
_NOT_IN_A_NAME: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
_RANGE: Final = re.compile(r"bytes ([0-9]{1,12})-([0-9]{1,12})/([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What bounds the memory of all files together. One file may be larger than what the bot takes: it says so."""

    file_bytes: int = 32 * MIB
    total_bytes: int = 96 * MIB
    seconds: float = 15 * 60


@dataclass(slots=True)
class _Kept:
    """One file. `size` is what it will have once it is whole; unknown before its first part."""

    name: str
    ends: float
    content: bytearray = field(default_factory=bytearray)
    size: int | None = None

    @property
    def whole(self) -> bool:
        return self.size == len(self.content)


class LocalFiles:
    """Keeps what is sent and put, as the file store of Teams does; the oldest makes room for the newest."""

    def __init__(self, limits: FileLimits | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._now = limits or FileLimits(), now
        self._kept: dict[str, _Kept] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(SENT_PATH, self.send),
            web.get(SENT_PATH + "/{key}", self.hand_out, allow_head=False),
            web.post(PLACE_PATH, self.make_place),
            web.put(PLACE_PATH + "/{key}", self.put_part),
            web.get(PLACE_PATH + "/{key}", self.tell_missing),
            web.get(SAVED_PATH + "/{key}", self.download),
        ]

    @property
    def held(self) -> int:
        """Bytes in memory."""
        self._sweep()
        return sum(len(kept.content) for kept in self._kept.values())

    def clear(self) -> None:
        self._kept.clear()

    # What people send to the bot.

    async def send(self, request: web.Request) -> web.Response:
        """The page hands over a file; the answer is the attachment that Teams would make of it."""
        if request.content_type != BYTES:  # which no foreign page can send without asking first
            raise web.HTTPUnsupportedMediaType(text="a file comes as application/octet-stream")
        key, kept = self._keep(request.query.get("name", ""))
        try:
            await self._read(request, kept, self._limits.file_bytes)
        except BaseException:
            self._kept.pop(key, None)
            raise
        kept.size = len(kept.content)
        address = f"{request.url.origin()}{SENT_PATH}/{key}"
        if "picture" in request.query:  # taken with the camera of the chat: its kind is all that is said of it
            return web.json_response({"contentType": CAMERA_TYPE, "contentUrl": address}, status=201)
        content = {"downloadUrl": address, "uniqueId": key, "fileType": _ending(kept.name)}
        return web.json_response({"contentType": FILE_TYPE, "name": kept.name, "content": content}, status=201)

    async def hand_out(self, request: web.Request) -> web.Response:
        """Once: the link has ended after that."""
        kept = self._find(request)
        if not kept.whole:
            raise web.HTTPNotFound
        del self._kept[request.match_info["key"]]
        return web.Response(body=bytes(kept.content), content_type=BYTES, headers=DOWNLOAD_HEADERS)

    # What people let the bot put for them.

    async def make_place(self, request: web.Request) -> web.Response:
        """Somebody pressed [Allow]: the answer is what Teams tells the bot then."""
        key, kept = self._keep(await _asked_name(request))
        origin = request.url.origin()
        place = {
            "name": kept.name,
            "uploadUrl": f"{origin}{PLACE_PATH}/{key}",
            "contentUrl": f"{origin}{SAVED_PATH}/{key}",
            "uniqueId": key,
            "fileType": _ending(kept.name),
        }
        return web.json_response(place, status=201)

    async def put_part(self, request: web.Request) -> web.Response:
        """A part of a file, in order, as an upload session takes it."""
        kept = self._find(request)
        match = _RANGE.fullmatch(request.headers.get("Content-Range", ""))
        first, last, size = map(int, match.groups()) if match else (0, -1, 0)
        if not first <= last < size or kept.size not in (None, size) or size > self._limits.file_bytes:
            raise web.HTTPBadRequest(text="the Content-Range is wrong")
        if first != len(kept.content):
            raise web.HTTPRequestRangeNotSatisfiable
        kept.size = size
        await self._read(request, kept, last + 1)
        return web.json_response(_missing(kept), status=201 if kept.whole else 202)

    async def tell_missing(self, request: web.Request) -> web.Response:
        return web.json_response(_missing(self._find(request)))

    async def download(self, request: web.Request) -> web.Response:
        """For the browser, under the file's own name."""
        kept = self._find(request)
        if not kept.whole:
            raise web.HTTPNotFound
        headers = {
            **DOWNLOAD_HEADERS,
            "Content-Type": CONTENT_TYPES.get(_ending(kept.name), BYTES),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(kept.name, safe='')}",  # RFC 6266, 4.3
        }
        return web.Response(body=bytes(kept.content), headers=headers)

    # How it is kept.

    def _keep(self, name: str) -> tuple[str, _Kept]:
        self._sweep()
        kept = _Kept(
            _NOT_IN_A_NAME.sub("_", name).strip(". ")[-NAME_LENGTH:] or "file", self._now() + self._limits.seconds
        )
        key = secrets.token_urlsafe(16)
        self._kept[key] = kept
        return key, kept

    def _find(self, request: web.Request) -> _Kept:
        self._sweep()
        kept = self._kept.get(request.match_info["key"])
        if kept is None:
            raise web.HTTPNotFound
        return kept

    async def _read(self, request: web.Request, kept: _Kept, limit: int) -> None:
        """Appends the body, to `limit` bytes in all."""
        async for chunk in request.content.iter_chunked(64 * 1024):
            if len(kept.content) + len(chunk) > limit:
                raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=len(kept.content) + len(chunk))
            kept.content += chunk
            self._make_room(kept)

    def _make_room(self, newest: _Kept) -> None:
        held = sum(len(kept.content) for kept in self._kept.values())
        for key, kept in list(self._kept.items()):
            if held <= self._limits.total_bytes:
                return
            if kept is not newest:
                held -= len(kept.content)
                del self._kept[key]

    def _sweep(self) -> None:
        for key in [key for key, kept in self._kept.items() if kept.ends <= self._now()]:
            del self._kept[key]


async def _asked_name(request: web.Request) -> str:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="the body is application/json")
    try:
        body = await request.json()
    except ValueError:  # neither JSON nor UTF-8
        body = None
    name = body.get("name") if isinstance(body, dict) else None
    if not isinstance(name, str):
        raise web.HTTPBadRequest(text="a place needs a name")
    return name


def _missing(kept: _Kept) -> Json:
    return {"nextExpectedRanges": [] if kept.whole else [f"{len(kept.content)}-"]}


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""
