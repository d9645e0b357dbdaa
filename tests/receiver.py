"""A webhook receiver as a real server on loopback: it checks every signature and answers what a test wants.

async with Receiver() as receiver:
    receiver.answers(500, 204)  # then 204 for ever
    ...
    assert receiver.types == ["provisioning.device.added"]
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

HANGS, DROPS = "hangs", "drops"  # never an answer; the connection ends after the body was taken
SECRET = b"r" * 32


def whsec(secret: bytes = SECRET) -> str:
    return "whsec_" + b64encode(secret).decode()


@dataclass(frozen=True)
class Got:
    """A request as it came, whatever it was answered."""

    path: str
    headers: Mapping[str, str]
    body: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def type(self) -> str:
        return str(self.event["type"])


class Receiver:
    """Everything that came stands in `got`; what was answered with 2xx, without doubles, in `taken`."""

    def __init__(self, secret: bytes = SECRET) -> None:
        self._hook = Webhook(secret)
        self._next: deque[int | str] = deque()
        self._always: int | str = 204
        self.headers: dict[str, str] = {}  # of the answers
        self.got: list[Got] = []
        self.taken: list[Got] = []
        self.url = ""
        self.hanging = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._came = asyncio.Condition()

    def answers(self, *answers: int | str, always: int | str = 204) -> None:
        self._next, self._always = deque(answers), always

    def slow(self) -> None:
        """No answer before it `goes_on`."""
        self._free.clear()

    def goes_on(self) -> None:
        self._free.set()

    async def until(self, count: int) -> None:
        """So many events were taken."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.taken) >= count)

    @property
    def types(self) -> list[str]:
        return [each.type for each in self.taken]

    @property
    def tries(self) -> Counter[str]:
        return Counter(each.id for each in self.got)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        got = Got(request.path_qs, dict(request.headers), body)
        self._check(request, got)
        self.got.append(got)
        answer = self._next.popleft() if self._next else self._always
        if not self._free.is_set():
            self.hanging.set()
            await self._free.wait()
        if answer == HANGS:
            self.hanging.set()
            await asyncio.Event().wait()
        if answer == DROPS:
            self._take(got)
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        assert isinstance(answer, int)
        if 200 <= answer < 300:
            self._take(got)
            async with self._came:
                self._came.notify_all()
        return web.Response(status=answer, headers=self.headers)

    def _take(self, got: Got) -> None:
        if got.id not in {each.id for each in self.taken}:
            self.taken.append(got)

    def _check(self, request: web.Request, got: Got) -> None:
        """As a careful receiver does: the signature by the library of Standard Webhooks, the event by CloudEvents'."""
        assert request.method == "POST"
        moment = datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC)
        assert self._hook.sign(got.id, moment, got.body) in got.headers["webhook-signature"].split(" ")
        event = from_http_event(HTTPMessage(headers=dict(request.headers), body=got.body.encode()))
        assert event.get_id() == got.id
        assert request.content_type == "application/cloudevents+json"
