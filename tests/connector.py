"""A Teams connector service as a real server on loopback: it records every call and fails on request.

async with FakeConnector() as connector:
    connector.answers(Fault(429, {"Retry-After": "2"}), Fault(hang=True))  # the next two calls
    … the bot sends to `connector.url` …
    (post,) = await connector.sent(1)

With `limits` and `weather` (see teams_limits.py) it behaves as Teams does: 429 with Retry-After, 412, 502, 504, answers
that are lost, calls that hang.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import jwt
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from bot.adapter import Adapter, Bot
from bot.clouds import Cloud
from tests.teams_limits import TeamsLimits, Weather

TENANT = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001"
BOT_ID = "28:provisioning-bot"
APP_ID = "11111111-2222-3333-4444-555555555555"
APP_PASSWORD = "the-password-of-the-tests"
SIGNING_KEY = rsa.generate_private_key(65537, 2048)


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
    traceparent: str = ""

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
        self.connections: set[object] = set()
        self.seconds = 0.0  # that each answer takes
        self.slow: dict[str, float] = {}  # seconds that an answer takes in these conversations
        self.refused: set[str] = set()  # authorizations that are answered 401
        self.limits: TeamsLimits | None = None  # set: more calls than Teams takes are answered 429
        self.weather: Weather | None = None  # set: some calls fail as they do on a bad day
        self.taken: list[Call] = []  # calls that were carried out, whatever their caller heard of it
        self._faults: deque[Fault] = deque()
        self._changed = asyncio.Condition()
        self._released = asyncio.Event()
        self._held: dict[str, asyncio.Event] = {}
        self._runner: web.AppRunner | None = None
        self._count = 0
        self.url = ""

    # ------------------------------------------------------------------ what a test says and asks

    def answers(self, *faults: Fault) -> None:
        """The next calls, one each, are answered so."""
        self._faults.extend(faults)

    def holds(self, conversation: str) -> asyncio.Event:
        """Its calls are answered once the event is set."""
        return self._held.setdefault(conversation, asyncio.Event())

    def knows(self, teams_id: str, **fields: Any) -> None:
        self.members[teams_id] = {"id": teams_id, **fields}

    @property
    def sends(self) -> list[Call]:
        return [call for call in self.calls if call.method == "POST" and "/activities" in call.path]

    @property
    def updates(self) -> list[Call]:
        return [call for call in self.calls if call.method == "PUT"]

    @property
    def deletes(self) -> list[Call]:
        return [call for call in self.calls if call.method == "DELETE"]

    async def sent(self, count: int, seconds: float = 30) -> list[Call]:
        """The sends, once there are `count` of them."""
        return await self._until("sends", count, seconds)

    async def called(self, count: int, seconds: float = 30) -> list[Call]:
        return await self._until("calls", count, seconds)

    async def updated(self, count: int, seconds: float = 30) -> list[Call]:
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
        app.router.add_post("/v3/conversations/{conversation:[^/]+}/activities", self._post)
        app.router.add_post("/v3/conversations/{conversation:[^/]+}/activities/{activity}", self._post)
        app.router.add_put("/v3/conversations/{conversation:[^/]+}/activities/{activity}", self._post)
        app.router.add_delete("/v3/conversations/{conversation:[^/]+}/activities/{activity}", self._delete)
        app.router.add_get("/v3/conversations/{conversation:[^/]+}/members/{member}", self._member)
        app.router.add_get("/v3/conversations/{conversation:[^/]+}/pagedmembers", self._members)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for gate in (self._released, *self._held.values()):
            gate.set()
        if self._runner:
            await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        self._count += 1
        return await self._answer(request, {"id": f"post-{self._count}"}, await request.json())

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, None)

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
        call = self.calls[-1]
        if seconds := self.slow.get(call.conversation, self.seconds):
            await asyncio.sleep(seconds)
        if gate := self._held.get(call.conversation):
            await gate.wait()
        fault = self._faults.popleft() if self._faults else self._trouble(call)
        if call.authorization in self.refused:
            fault = Fault(401)
        if fault is None or fault.drop:
            self.taken.append(call)
        if fault is None:
            return web.json_response(good, status=201 if request.method == "POST" else 200)
        if fault.hang:
            await self._released.wait()
        if fault.drop and request.transport:
            request.transport.abort()
        return web.Response(
            status=fault.status, headers=fault.headers, text=fault.body, content_type=fault.content_type
        )

    def _trouble(self, call: Call) -> Fault | None:
        """What Teams' limits and the weather make of a write."""
        if call.method == "GET":
            return None
        if self.limits and (wait := self.limits.take(call.conversation or "new chats")):
            return Fault(429, {"Retry-After": str(wait)})
        what = self.weather.next() if self.weather else None
        if isinstance(what, int):
            return Fault(what)
        return Fault(503, drop=what == "drop", hang=what == "hang") if what else None

    async def _record(self, request: web.Request, body: Any) -> None:
        conversation, _, thread = request.match_info.get("conversation", "").partition(";messageid=")
        self.connections.add(request.transport and request.transport.get_extra_info("peername"))
        self.calls.append(
            Call(
                method=request.method,
                path=request.path,
                conversation=conversation,
                thread=thread,
                activity_id=request.match_info.get("activity", ""),
                body=body,
                authorization=request.headers.get("Authorization", ""),
                traceparent=request.headers.get("traceparent", ""),
            )
        )
        async with self._changed:
            self._changed.notify_all()


# ---------------------------------------------------------------------- the bot's side of the wire


def activity(connector: FakeConnector, **fields: Any) -> dict[str, Any]:
    """A message as Teams sends it in a 1:1 chat; `fields` replace or, being None, remove parts of it."""
    message = {
        "type": "message",
        "id": "1700000000001",
        "channelId": "msteams",
        "serviceUrl": connector.url,
        "conversation": {"id": "a:sam", "conversationType": "personal", "tenantId": TENANT},
        "from": {"id": "29:sam", "name": "Sam Technician", "aadObjectId": "6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a3e"},
        "recipient": {"id": BOT_ID, "name": "Provisioning Bot"},
        "channelData": {"tenant": {"id": TENANT}},
        "entities": [{"type": "clientInfo", "locale": "nb-NO", "country": "NO", "timezone": "Europe/Oslo"}],
        "text": "help",
    }
    merged = {**message, **{("from" if name == "from_" else name): value for name, value in fields.items()}}
    return {name: value for name, value in merged.items() if value is not None}


def press(connector: FakeConnector, verb: str = "confirm", **fields: Any) -> dict[str, Any]:
    """A press of an Action.Execute button; `trigger="automatic"` makes it a refresh, `data` are its inputs."""
    value = {"action": {"type": "Action.Execute", "verb": verb, "data": fields.pop("data", {})}}
    if "trigger" in fields:
        value["trigger"] = fields.pop("trigger")
    invoke = {"type": "invoke", "name": "adaptiveCard/action", "value": value, "replyToId": "post-7", "text": None}
    return activity(connector, **{**invoke, **fields})


def file_attachment(url: str, name: str = "oslo.csv") -> dict[str, Any]:
    """What Teams adds to a message for a file that was sent along."""
    return {
        "contentType": "application/vnd.microsoft.teams.file.download.info",
        "contentUrl": f"https://contoso-my.sharepoint.com/personal/sam/Documents/{name}",
        "name": name,
        "content": {"downloadUrl": url, "uniqueId": "1150D938-8870-4044-9F2C-5BBDEBA70C9D", "fileType": name[-3:]},
    }


def consent(connector: FakeConnector, accepted: bool = True, **fields: Any) -> dict[str, Any]:
    """What Teams tells once somebody took (or declined) an offered file; `upload` goes over the place to put it."""
    upload = {
        "name": "codes.xlsx",
        "uploadUrl": "https://contoso-my.sharepoint.com/upload/1",
        "contentUrl": "https://contoso-my.sharepoint.com/personal/sam/Documents/codes.xlsx",
        "uniqueId": "1150D938-8870-4044-9F2C-5BBDEBA70C9D",
        "fileType": "xlsx",
        **fields.pop("upload", {}),
    }
    value = {"type": "fileUpload", "action": "accept" if accepted else "decline", "context": fields.pop("context", {})}
    value |= {"uploadInfo": upload} if accepted else {}
    invoke = {"type": "invoke", "name": "fileConsent/invoke", "value": value, "replyToId": "post-7", "text": None}
    return activity(connector, **{**invoke, **fields})


def search(connector: FakeConnector, query: str | None = None, **fields: Any) -> dict[str, Any]:
    """A query of the compose box; None is the box just opened."""
    word = {"name": "initialRun", "value": "true"} if query is None else {"name": "query", "value": query}
    options = {"skip": fields.pop("skip", 0), "count": fields.pop("count", 25)}
    value = {"commandId": "find", "parameters": [word], "queryOptions": options}
    invoke = {"type": "invoke", "name": "composeExtension/query", "value": value, "text": None}
    return activity(connector, **{**invoke, **fields})


def channel_fields(root: str = "1699") -> dict[str, Any]:
    """What a message in a thread of a team channel has instead of a 1:1 chat's fields."""
    return {
        "conversation": {
            "id": f"19:rollout@thread.tacv2;messageid={root}",
            "conversationType": "channel",
            "isGroup": True,
            "tenantId": TENANT,
        },
        "channelData": {
            "tenant": {"id": TENANT},
            "team": {"id": "19:oslo-office@thread.tacv2"},
            "channel": {"id": "19:rollout@thread.tacv2", "name": "Rollout"},
        },
    }


@asynccontextmanager
async def serving(adapter: Adapter, bot: Bot) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """`/api/messages` of this adapter and bot as a real server, and a client to post to it."""

    async def messages(request: web.Request) -> web.Response:
        return await adapter.process(request, bot)

    app = web.Application()
    app.router.add_post("/api/messages", messages)
    async with TestClient(TestServer(app)) as client:
        try:
            yield client
        finally:
            await adapter.close()


class FakeIdentity:
    """The issuer of Teams' tokens and of ours: OpenID document, signing keys and token endpoint, on loopback."""

    issuer = "https://issuer.example"

    def __init__(self) -> None:
        self.keys = {"key-1": SIGNING_KEY}
        self.endorsements: dict[str, list[str]] = {}
        self.key_fetches = self.token_fetches = 0
        self.down = False
        self.asked = asyncio.Event()  # somebody fetches keys
        self.hanging = asyncio.Event()  # cleared: the keys are not given out
        self.hanging.set()
        self.token_asked = asyncio.Event()  # somebody fetches a token
        self.token_free = asyncio.Event()  # cleared: no token is given out
        self.token_free.set()
        self.token_seconds = 0.0  # that each token takes
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/openid", self._document)
        app.router.add_get("/keys", self._keys)
        app.router.add_post(f"/{TENANT}/oauth2/v2.0/token", self._token)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.hanging.set()
        self.token_free.set()
        if self._runner:
            await self._runner.cleanup()

    def cloud(self) -> Cloud:
        return Cloud(self.issuer, f"{self.url}/openid", "https://api.example", self.url)

    def token(self, connector: FakeConnector, *, kid: str | None = "key-1", key: Any = None, **claims: Any) -> str:
        """A token as Teams sends it to this bot; a claim given as None is left out."""
        now = int(time.time())
        everything = {
            "iss": self.issuer,
            "aud": APP_ID,
            "serviceurl": connector.url,
            "nbf": now - 60,
            "exp": now + 3600,
            **claims,
        }
        said = {name: value for name, value in everything.items() if value is not None}
        return jwt.encode(said, key or self.keys["key-1"], "RS256", headers={"kid": kid} if kid else {})

    async def _document(self, request: web.Request) -> web.Response:
        self.key_fetches += 1
        self.asked.set()
        await self.hanging.wait()
        if self.down:
            raise web.HTTPServiceUnavailable
        return web.json_response({"issuer": self.issuer, "jwks_uri": f"{self.url}/keys"})

    async def _keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": [self._jwk(kid) for kid in self.keys]})

    def _jwk(self, kid: str) -> dict[str, Any]:
        public = json.loads(RSAAlgorithm.to_jwk(self.keys[kid].public_key()))
        return {**public, "kid": kid, "endorsements": self.endorsements.get(kid, ["msteams"])}

    async def _token(self, request: web.Request) -> web.Response:
        self.token_fetches += 1
        number = self.token_fetches
        form = await request.post()
        self.token_asked.set()
        await self.token_free.wait()
        if self.token_seconds:
            await asyncio.sleep(self.token_seconds)
        if self.down:
            raise web.HTTPServiceUnavailable
        if form["client_secret"] != APP_PASSWORD:
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response({"access_token": f"token-{number}", "expires_in": 3600})
