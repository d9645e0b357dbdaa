"""The page of local mode at `/`: its files and what it needs to know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from bot.demo.connector import LocalConnector
from bot.demo.page_texts import SUGGESTIONS, negotiated, page_texts
from bot.demo.people import LOCAL_BOT, LOCAL_DEVICE_MACS, LOCAL_SERVICE_PATH, LOCAL_TENANT, LocalPerson
from provisioning.languages import offered
from provisioning.texts import Speech, speaking

STATIC: Final = Path(__file__).with_name("static")
CONTENT_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
BY_LANGUAGE: Final = {"Vary": "Accept-Language"}


def routes(connector: LocalConnector, *, organisation: str, people: Sequence[LocalPerson]) -> list[web.RouteDef]:
    """Every route of local mode's page, the connector's included."""
    page = Page(connector, organisation, people)
    return [
        web.get("/", page.index),
        web.get("/demo/config.json", page.config),
        web.get("/demo/static/{name}", page.static),
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

    async def config(self, request: web.Request) -> web.Response:
        """In the language that was chosen on the page, or of whoever's browser asks."""
        locale = negotiated(request.query.get("lang", "") or request.headers.get("Accept-Language", ""))
        with speaking(Speech.of(locale, None)):
            return web.json_response({"locale": locale, **self.table()}, headers={**PAGE_HEADERS, **BY_LANGUAGE})

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
            "suggestions": dict(SUGGESTIONS),
            "languages": [{"tag": tag, "name": name} for tag, name in offered()],
            "texts": page_texts(),
        }


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
