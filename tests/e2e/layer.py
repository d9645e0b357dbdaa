"""What stands in front of the real provider: it can slow down, fail, fall silent, lie and forge, and it keeps count.

layer.interval = 7                                    # the next answers to a start carry it
layer.next("poll", "slow_down", 503, "hang", "drop")  # what the next polls get instead of the provider's answer
layer.edit("discovery", lambda answer: answer | {"issuer": "https://elsewhere.example"})
layer.forge("alg none")                               # the ID tokens from now on, see forging.py
layer.times("poll")                                   # when each came, in seconds of time.monotonic
layer.waits_for("poll", 3)

Its address is the issuer; it listens with TLS too, for clients that know it by Entra's name (openid.py). All but
`reset` may be called from any thread.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import ClientConnectionError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, web
from multidict import CIMultiDict

from tests.e2e.entra import Entra
from tests.e2e.forging import Forger
from tests.file_host import server_tls

PLACES = {
    "/.well-known/openid-configuration": "discovery",
    "/jwks": "keys",
    "/device/auth": "start",
    "/token": "poll",
}  # all other paths are pages for people
HOPS = frozenset({"connection", "content-length", "date", "keep-alive", "server", "te", "transfer-encoding", "upgrade"})

Answer = dict[str, Any]
Fault = str | int | Mapping[str, Any]  # a name, a status, or the body of a refusal


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, with what was asked."""

    place: str
    at: float  # time.monotonic
    form: Mapping[str, str] = field(repr=False)
    authorization: str = field(repr=False)


class Layer:
    """A reverse proxy on 127.0.0.1 with faults."""

    def __init__(self) -> None:
        self.interval: int | None = None
        self.entra: Entra | None = None
        self.skew = 0.0  # seconds by which its Date header is ahead of ours
        self.retry_after = 0  # seconds, said with the statuses of `next`
        self.seen: list[Seen] = []
        self.port = self.tls_port = self.upstream = 0
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._edits: dict[str, list[Callable[[Answer], Answer]]] = defaultdict(list)
        self._forger = Forger()
        self._arrivals = threading.Condition()
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._sites: list[web.TCPSite] = []

    # ------------------------------------------------------------------ what a test says

    @property
    def address(self) -> str:
        """The issuer while nothing else is asked for."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        return self.entra.issuer if self.entra else self.address

    def next(self, place: str, *faults: Fault) -> None:
        """Instead of the next answers: a status, "slow_down", "redirect", "drop", "hang", "html", "half", or a
        refusal's body.
        """
        self._faults[place].extend(faults)

    def edit(self, place: str, change: Callable[[Answer], Answer]) -> None:
        """Passes every successful answer of this place through `change`, in the order in which they were given."""
        self._edits[place].append(change)

    def forge(self, kind: str) -> None:
        """From now on every ID token is forged: one of `forging.KINDS`."""
        self.edit("poll", lambda answer: self._forger.forged(kind, answer))

    def claims(self, change: Callable[[Answer], Answer]) -> None:
        """From now on ID tokens are signed by a key that the provider publishes, with changed claims."""
        self.edit("poll", lambda answer: self._forger.resigned(change, answer))

    def times(self, place: str) -> list[float]:
        return [each.at for each in self.seen if each.place == place]

    def count(self, place: str) -> int:
        return len(self.times(place))

    def waits_for(self, place: str, count: int, seconds: float = 5) -> None:
        """Until so many have come; a coroutine asks by `asyncio.to_thread`."""
        with self._arrivals:
            assert self._arrivals.wait_for(lambda: self.count(place) >= count, seconds), (place, self.count(place))

    def reset(self) -> None:
        """Honest again; what hung is let go. In the loop it serves from: `OpenId.reset`."""
        self.interval, self.entra, self.skew, self.retry_after = None, None, 0.0, 0
        self._faults.clear()
        self._edits.clear()
        self.seen.clear()
        self._released.set()
        self._released = asyncio.Event()

    # ------------------------------------------------------------------ its life, in the loop it serves from

    async def opens(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        app.cleanup_ctx.append(self._client)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await self.listens()

    async def listens(self) -> None:
        self._sites = [
            web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True),
            web.TCPSite(self._runner, "127.0.0.1", self.tls_port, reuse_address=True, ssl_context=server_tls()),
        ]
        for site in self._sites:
            await site.start()
        self.port, self.tls_port = (port for _, port in self._runner.addresses)

    async def falls_silent(self) -> None:
        """Connections are refused from now on; those that are open find nobody behind."""
        for site in self._sites:
            await site.stop()

    async def closes(self) -> None:
        self._released.set()
        await self._runner.cleanup()

    async def _client(self, app: web.Application):
        async with ClientSession(
            cookie_jar=DummyCookieJar(), auto_decompress=False, timeout=ClientTimeout(total=20)
        ) as self._session:
            yield

    # ------------------------------------------------------------------ one request

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        path = self.entra.path(request.path) if self.entra else request.path
        place = PLACES.get(path, "page")
        form = dict(parse_qsl(body.decode("latin-1"))) if body else {}
        with self._arrivals:
            self.seen.append(Seen(place, time.monotonic(), form, request.headers.get("Authorization", "")))
            self._arrivals.notify_all()
        if self._faults[place]:
            response = await self._fault(request, self._faults[place].popleft())
        else:
            response = await self._forward(request, place, path, body)
        if self.skew:
            response.headers["Date"] = formatdate(time.time() + self.skew, usegmt=True)
        return response

    async def _fault(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        match fault:
            case int():
                headers = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
                return web.json_response({"message": "sorry"}, status=fault, headers=headers)
            case "slow_down":
                return self._refusal({"error": "slow_down", "error_description": "you poll too fast"})
            case "html":
                return web.Response(text="<html><body>Captive portal</body></html>", content_type="text/html")
            case "half":
                return web.Response(text='{"access_token": "ey', content_type="application/json")
            case "redirect":
                return web.Response(status=307, headers={"Location": f"{self.address}/elsewhere"})
            case "drop":
                request.transport.abort()
            case "hang":
                await self._released.wait()
                request.transport.abort()
            case Mapping():
                return self._refusal(fault)
            case _:
                raise ValueError(fault)
        return web.Response()

    def _refusal(self, body: Mapping[str, Any]) -> web.Response:
        return web.json_response(self.entra.spelled(body) if self.entra else dict(body), status=400)

    async def _forward(self, request: web.Request, place: str, path: str, body: bytes) -> web.StreamResponse:
        """The provider's own answer; where it is gone, the connection is dropped."""
        headers = _end_to_end(request.headers)
        headers["Host"] = f"127.0.0.1:{self.port}"  # what the provider makes its addresses of
        url = f"http://127.0.0.1:{self.upstream}{path}" + (f"?{request.query_string}" if request.query_string else "")
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                return await self._passed_on(request.path, place, answer)
        except (ClientConnectionError, TimeoutError):
            request.transport.abort()
            return web.Response()

    async def _passed_on(self, asked: str, place: str, answer: ClientResponse) -> web.Response:
        body = await answer.read()
        if place != "page":
            body = json.dumps(self._changed(asked, place, answer.status, json.loads(body))).encode()
        return web.Response(body=body, status=answer.status, headers=_end_to_end(answer.headers))

    def _changed(self, asked: str, place: str, status: int, answer: Answer) -> Answer:
        if status >= 400:
            return self.entra.spelled(answer) if self.entra else answer
        if place == "keys":
            answer = {"keys": [*answer["keys"], self._forger.published]}
        if "id_token" in answer:
            self._forger.learns(answer)
        if self.entra:
            answer = self.entra.answered(place, asked, answer, self._forger)
        if place == "start" and self.interval is not None:
            answer = answer | {"interval": self.interval}
        for change in self._edits[place]:
            answer = change(answer)
        return answer


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOPS)
