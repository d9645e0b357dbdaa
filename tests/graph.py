"""Microsoft Graph as far as groups go, as a real server on loopback: it answers what a test wants, and counts.

async with Graph() as graph:
    graph.members[person] = {group}
    graph.answers = status(429, "TooManyRequests", {"Retry-After": "7"})  # until another is set
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Answer:
    """JSON, or a text as it is. "hangs" never comes, "drops" closes the connection."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def status(number: int, code: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    return Answer({"error": {"code": code, "message": "words for nobody"}}, number, headers or {})


HANGS, DROPS = Answer("hangs"), Answer("drops")


class Graph:
    def __init__(self) -> None:
        self.members: dict[str, set[str]] = {}  # account → groups, through other groups as well
        self.answers: Answer | None = None  # what it says to everything
        self.turns: deque[Answer | None] = deque()  # to the next calls, before that; None: as ever
        self.calls: list[tuple[str, list[str]]] = []  # account and the groups asked about
        self.tokens: list[str] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1.0/users/{id}/checkMemberGroups", self._check)
        self._over = asyncio.Event()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    async def _check(self, request: web.Request) -> web.StreamResponse:
        account, asked = request.match_info["id"], (await request.json())["groupIds"]
        self.calls.append((account, asked))
        self.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        answer = self.turns.popleft() if self.turns else self.answers
        if answer is None:
            if not 1 <= len(asked) <= 20:
                answer = status(400, "Request_BadRequest")
            elif account not in self.members:
                answer = status(404, "Request_ResourceNotFound")
            else:
                found = [group for group in asked if group in self.members[account]]
                answer = Answer({"@odata.context": f"{self.url}/$metadata#Collection(Edm.String)", "value": found})
        if answer is HANGS:
            await self._over.wait()
        if answer in (HANGS, DROPS):
            assert request.transport
            request.transport.close()
            return web.Response()
        if isinstance(answer.body, str):
            return web.Response(text=answer.body, status=answer.status, headers=answer.headers)
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)
