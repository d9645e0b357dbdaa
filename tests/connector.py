"""A Teams connector service as a real server on loopback: it records every call and fails on request.

async with FakeConnector() as connector:
    connector.answers(Fault(429, {"Retry-After": "2"}), Fault(hang=True))  # the next two calls
    … the bot sends to `connector.url` …
    (post,) = await connector.sent(1)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Fault:
    """How one call is answered instead of well. `drop`: carried out, then the line is cut before the answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    content_type: str = "application/json"
    hang: bool = False
    drop: bool = False


@dataclass(frozen=True)
class Call:
    """One call as it arrived. `conversation` is decoded and without the thread, which stands in `thread`."""

    method: str
    path: str
    conversation: str
    thread: str = ""
    activity_id: str = ""
    body: Any = None
    authorization: str = ""

    @property
    def card(self) -> Any:
        """The adaptive card of the activity, or None."""
        cards = [a["content"] for a in (self.body or {}).get("attachments", ()) if "card.adaptive" in a["contentType"]]
        return cards[0] if cards else None


class FakeConnector:
    """Sends, edits, members and new chats, as under `/v3/conversations` of Teams."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.members: dict[str, dict[str, Any]] = {}
        self.page_size = 0  # of the member list; 0 is everybody on one page
        self.connections: set[int] = set()
        self._faults: deque[Fault] = deque()
        self._changed = asyncio.Condition()
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._count = 0
        self.url = ""

    # ------------------------------------------------------------------ what a test says and asks

    def answers(self, *faults: Fault) -> None:
        """The next calls, one each, are answered so."""
        self._faults.extend(faults)

    def knows(self, teams_id: str, **fields: Any) -> None:
        self.members[teams_id] = {"id": teams_id, **fields}

    @property
    def sends(self) -> list[Call]:
        return [call for call in self.calls if call.method == "POST" and "/activities" in call.path]

    @property
    def updates(self) -> list[Call]:
        return [call for call in self.calls if call.method == "PUT"]

    async def sent(self, count: int, seconds: float = 5) -> list[Call]:
        """The sends, once there are `count` of them."""
        return await self._until("sends", count, seconds)

    async def updated(self, count: int, seconds: float = 5) -> list[Call]:
        return await self._until("updates", count, seconds)

    async def _until(self, what: str, count: int, seconds: float) -> list[Call]:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(getattr(self, what)) >= count)
        calls: list[Call] = getattr(self, what)
        return calls

    # ------------------------------------------------------------------ the server

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v3/conversations", self._open_chat)
        app.router.add_post("/v3/conversations/{conversation}/activities", self._post)
        app.router.add_post("/v3/conversations/{conversation}/activities/{activity}", self._post)
        app.router.add_put("/v3/conversations/{conversation}/activities/{activity}", self._post)
        app.router.add_get("/v3/conversations/{conversation}/members/{member}", self._member)
        app.router.add_get("/v3/conversations/{conversation}/pagedmembers", self._members)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        if self._runner:
            await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        self._count += 1
        return await self._answer(request, {"id": f"post-{self._count}"}, await request.json())

    async def _open_chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        return await self._answer(request, {"id": f"a:{body['members'][0]['id']}"}, body)

    async def _member(self, request: web.Request) -> web.StreamResponse:
        member = self.members.get(request.match_info["member"])
        if member is None and not self._faults:
            self.answers(Fault(404))
        return await self._answer(request, member)

    async def _members(self, request: web.Request) -> web.StreamResponse:
        everybody = list(self.members.values())
        size = self.page_size or len(everybody) or 1
        start = int(request.query.get("continuationToken", 0))
        page: dict[str, Any] = {"members": everybody[start : start + size]}
        if start + size < len(everybody):
            page["continuationToken"] = str(start + size)
        return await self._answer(request, page)

    async def _answer(self, request: web.Request, good: Any, body: Any = None) -> web.StreamResponse:
        await self._record(request, body)
        fault = self._faults.popleft() if self._faults else None
        if fault is None:
            return web.json_response(good, status=201 if request.method == "POST" else 200)
        if fault.hang:
            await self._released.wait()
        if fault.drop and request.transport:
            request.transport.abort()
        return web.Response(
            status=fault.status, headers=fault.headers, text=fault.body, content_type=fault.content_type
        )

    async def _record(self, request: web.Request, body: Any) -> None:
        conversation, _, thread = request.match_info.get("conversation", "").partition(";messageid=")
        self.connections.add(id(request.transport))
        self.calls.append(
            Call(
                method=request.method,
                path=request.path,
                conversation=conversation,
                thread=thread,
                activity_id=request.match_info.get("activity", ""),
                body=body,
                authorization=request.headers.get("Authorization", ""),
            )
        )
        async with self._changed:
            self._changed.notify_all()
