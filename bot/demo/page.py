"""The page of local mode at `/`: its files, what it needs to know, and a drop for files sent in the chats."""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from bot.demo.connector import LocalConnector
from bot.demo.people import LOCAL_BOT, LOCAL_DEVICE_MACS, LOCAL_SERVICE_PATH, LOCAL_TENANT, LocalPerson

STATIC: Final = Path(__file__).with_name("static")
CONTENT_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
FILE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
SAFE_IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
MAX_FILE_BYTES: Final = 20 * 1024 * 1024
MAX_DROP_BYTES: Final = 64 * 1024 * 1024
MAX_DROP_FILES: Final = 100


def routes(connector: LocalConnector, *, organisation: str, people: Sequence[LocalPerson]) -> list[web.RouteDef]:
    """Every route of local mode's page, the connector's included."""
    page = Page(connector, organisation, people)
    drop = FileDrop()
    return [
        web.get("/", page.index),
        web.get("/demo/config.json", page.config),
        web.get("/demo/static/{name}", page.static),
        web.post("/demo/files", drop.add),
        web.put("/demo/files/{id}/{name}", drop.fill),
        web.get("/demo/files/{id}/{name}", drop.fetch),
        *connector.routes(),
    ]


class Page:
    """The page's own files and its table of who is who."""

    def __init__(self, connector: LocalConnector, organisation: str, people: Sequence[LocalPerson]) -> None:
        self._connector = connector
        self._organisation = organisation
        self._people = people

    async def index(self, _: web.Request) -> web.StreamResponse:
        return _static_file("index.html")

    async def static(self, request: web.Request) -> web.StreamResponse:
        return _static_file(request.match_info["name"])

    async def config(self, _: web.Request) -> web.Response:
        return web.json_response(self.table(), headers=PAGE_HEADERS)

    def table(self) -> dict[str, Any]:
        """What the page must know before it can draw itself."""
        channel = self._connector.channel
        return {
            "organisation": self._organisation,
            "tenantId": LOCAL_TENANT,
            "servicePath": LOCAL_SERVICE_PATH,
            "bot": {"id": LOCAL_BOT.id, "name": LOCAL_BOT.name},
            "people": [_person(person) for person in self._people],
            "channel": {"id": channel.id, "name": channel.name},
            "team": {"id": channel.team_id, "name": channel.team_name},
            "deviceMacs": list(LOCAL_DEVICE_MACS),
        }


@dataclass(slots=True)
class DroppedFile:
    """One file on its way between a chat and the bot."""

    name: str
    content_type: str
    content: bytearray


class FileDrop:
    """Files sent in the chats, both ways; the oldest go when the drop is full."""

    def __init__(self) -> None:
        self._files: dict[str, DroppedFile] = {}

    async def add(self, request: web.Request) -> web.Response:
        """Take a file of the page (base64 in JSON), or open an empty place for one that the bot will send."""
        raw = await _limited(request, MAX_FILE_BYTES * 4 // 3 + 4096)
        try:
            body = json.loads(raw)
            name = _file_name(str(body["name"]))
            content = base64.b64decode(str(body.get("content") or ""), validate=True)
            content_type = str(body.get("type") or "application/octet-stream")
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            raise web.HTTPBadRequest(text="a file needs a name and base64 content") from None
        file_id = secrets.token_urlsafe(12)
        self._files[file_id] = DroppedFile(name, content_type, bytearray(content))
        self._trim()
        return web.json_response({"id": file_id, "name": name, "path": f"/demo/files/{file_id}/{name}"}, status=201)

    async def fill(self, request: web.Request) -> web.Response:
        """The bot uploads a file that its reader accepted, whole or in ranges."""
        file = self._find(request)
        content = await _limited(request, MAX_FILE_BYTES)
        start = re.match(r"bytes (\d{1,12})-", request.headers.get("Content-Range", ""))
        offset = int(start[1]) if start else 0
        if offset > len(file.content):
            raise web.HTTPRequestRangeNotSatisfiable(text="a part before this one is missing")
        if offset + len(content) > MAX_FILE_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_FILE_BYTES, offset + len(content))
        file.content[offset:] = content
        self._trim()
        return web.json_response({"id": request.match_info["id"], "name": file.name}, status=201)

    async def fetch(self, request: web.Request) -> web.Response:
        """A file's bytes; only plain pictures are ever shown by the browser itself."""
        file = self._find(request)
        headers = dict(FILE_HEADERS)
        shown = file.content_type if file.content_type in SAFE_IMAGES else "application/octet-stream"
        if shown not in SAFE_IMAGES:
            headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
        return web.Response(body=bytes(file.content), content_type=shown, headers=headers)

    def _find(self, request: web.Request) -> DroppedFile:
        file = self._files.get(request.match_info["id"])
        if file is None or file.name != request.match_info["name"]:
            raise web.HTTPNotFound(text="this file is no longer here")
        return file

    def _trim(self) -> None:
        while len(self._files) > MAX_DROP_FILES or sum(len(f.content) for f in self._files.values()) > MAX_DROP_BYTES:
            del self._files[next(iter(self._files))]


def _static_file(name: str) -> web.StreamResponse:
    path = STATIC / name
    if path.parent != STATIC or path.suffix not in CONTENT_TYPES or not path.is_file():
        raise web.HTTPNotFound(text="there is no such file", headers=PAGE_HEADERS)
    return web.FileResponse(
        path, headers={**PAGE_HEADERS, "Content-Type": CONTENT_TYPES[path.suffix] + "; charset=utf-8"}
    )


def _person(person: LocalPerson) -> dict[str, str]:
    return {
        "id": person.id,
        "aadObjectId": person.aad_object_id,
        "name": person.name,
        "upn": person.upn,
        "role": person.role_hint,
        "conversation": person.conversation_id,
    }


def _file_name(name: str) -> str:
    """A name that is safe in a path and in a header."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[-80:] or "file"


async def _limited(request: web.Request, limit: int) -> bytes:
    """The body, refused as soon as it is larger than `limit` bytes."""
    body = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > limit:
            raise web.HTTPRequestEntityTooLarge(limit, len(body))
    return bytes(body)
