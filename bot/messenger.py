"""Calls to Teams: posts, edits and looks people up through the connector; its refusals become our errors."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import aiohttp
import structlog
from botbuilder.schema import ChannelAccount, ConversationParameters, ResourceResponse
from botframework.connector import models
from botframework.connector.aio import ConnectorClient
from botframework.connector.aio.operations_async import ConversationsOperations
from botframework.connector.auth import ConnectorFactory
from msrest.exceptions import ClientException
from msrest.pipeline import Response, SansIOHTTPPolicy
from msrest.pipeline.async_abc import AsyncHTTPSender, AsyncPipeline
from msrest.serialization import Deserializer, Model, Serializer
from msrest.universal_http.async_abc import AsyncClientResponse
from yarl import URL

from bot.activity import THREAD_MARK
from bot.adapter_http import RefusedError, ServiceHosts
from bot.adapter_trust import Sessions, Tokens, TokenUnavailableError
from bot.bodies import bodies
from bot.turnstile import Turnstile
from provisioning.conversations import Conversation, ConversationKind
from provisioning.delivery_errors import Blocked, ChatGone, DeliveryError, PostGone, Rejected, Throttled, TryAgain
from provisioning.pacing import Pacing, unlimited
from provisioning.ports import Member, Message

log = structlog.get_logger(__name__)

T = TypeVar("T")
CALL_SECONDS: Final = 10.0
CLIENT_LIMIT: Final = 64
PAGE_SIZE: Final = 500  # members per call, the most Teams gives
LONGEST_WAIT: Final = 3600.0  # seconds; a longer Retry-After is a mistake of the service
UNASKED_WAIT: Final = 1.0  # seconds a conversation is left alone that throttled without a Retry-After

_BY_STATUS: Final[Mapping[int, type[DeliveryError]]] = {
    401: TryAgain,  # also with a new token: ours to repair, as where there is no token, so nothing is given up
    403: Blocked,
    404: ChatGone,
    408: TryAgain,
    412: Throttled,
    429: Throttled,
}


class CallRefusedError(Exception):
    """The connector answered, and not with 2xx."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(f"the connector answered {status}")
        self.status, self.headers = status, headers


@dataclass(frozen=True, slots=True)
class _Answered:
    """What a service said to a call that it took; the body where it is JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Received(AsyncClientResponse):
    def __init__(self, request: Any, status: int, headers: MutableMapping[str, str], body: bytes) -> None:
        super().__init__(request, None)
        self.status_code, self.headers, self._body = status, headers, body

    def body(self) -> bytes:
        return self._body


class _Line:
    """Calls of one service, signed, on the pooled session; a refused token is replaced once.

    A status is raised here, before anybody reads the body: the SDK lets an error page that is not JSON hide it.
    """

    def __init__(self, sessions: Sessions, tokens: Tokens | None, scope: str, turnstile: Turnstile) -> None:
        self._sessions, self._tokens, self._scope, self._turnstile = sessions, tokens, scope, turnstile

    async def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> _Answered:
        """Errors: `CallRefusedError`, `TokenUnavailableError`."""
        if self._tokens is None:
            return await self._send(method, url, headers, body)
        token = await self._tokens.get(self._scope)
        try:
            return await self._send(method, url, {**headers, "Authorization": f"Bearer {token}"}, body)
        except CallRefusedError as error:
            if error.status != 401:
                raise
        self._tokens.forget(self._scope, token)
        token = await self._tokens.get(self._scope)
        return await self._send(method, url, {**headers, "Authorization": f"Bearer {token}"}, body)

    async def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> _Answered:
        await self._turnstile.through()
        async with self._sessions().request(
            method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
        ) as answer:
            if not 200 <= answer.status < 300:
                raise CallRefusedError(answer.status, answer.headers)
            # What was accepted stays accepted, whatever the body says: trying again would post it twice.
            content = await answer.read() if answer.content_type == "application/json" else b""
            return _Answered(answer.status, answer.headers, content)


class _Sender(AsyncHTTPSender[Any, Any]):
    """The SDK's own calls on our line; the SDK's makes a session, so a TLS connection and a thread hop, per turn.

    CPU of one post without TLS: 1.2 ms in that thread, 0.6 in an aiohttp session of its own, 0.16 on the shared one.
    (msrest has an aiohttp sender as well, but it drops headers and body.)
    """

    def __init__(self, line: _Line) -> None:
        self._line = line

    async def __aexit__(self, *_: object) -> None: ...

    async def send(self, request: Any, **_: Any) -> Response[Any, Any]:
        wanted = request.http_request
        headers = {name: value for name, value in wanted.headers.items() if name.lower() != "content-length"}
        body = wanted.data.encode() if isinstance(wanted.data, str) else wanted.data
        answer = await self._line.call(wanted.method, wanted.url, headers, body)
        return Response(request, _Received(wanted, answer.status, dict(answer.headers), answer.body))


class _Conversations(ConversationsOperations):
    """Posts plain dicts as they are. The SDK builds each outgoing activity into a model, checks and copies it.

    CPU of a card of twelve lines: 1.0 ms by way of models, 0.08 more for the copy that a turn makes, 0.3 as it is; 0.1
    less past the SDK's pipeline, which parses the address of each call and asks policies that have nothing to say.
    """

    def __init__(self, client: Any, config: Any, serialize: Any, deserialize: Any, *, line: _Line, url: str) -> None:
        super().__init__(client, config, serialize, deserialize)
        self._line, self._url = line, f"{url}/v3/conversations"
        self._headers = {"Accept": "application/json", "User-Agent": config.user_agent}

    async def send_to_conversation(self, conversation_id: str, activity: Any, **_: Any) -> ResourceResponse:
        return await self._write("POST", f"{_quoted(conversation_id)}/activities", activity)

    async def reply_to_activity(
        self, conversation_id: str, activity_id: str, activity: Any, **_: Any
    ) -> ResourceResponse:
        return await self._write("POST", _activity_path(conversation_id, activity_id), activity)

    async def update_activity(
        self, conversation_id: str, activity_id: str, activity: Any, **_: Any
    ) -> ResourceResponse:
        return await self._write("PUT", _activity_path(conversation_id, activity_id), activity)

    async def delete_activity(self, conversation_id: str, activity_id: str, **_: Any) -> None:
        path = _activity_path(conversation_id, activity_id)
        await self._line.call("DELETE", f"{self._url}/{path}", self._headers, None)

    async def _write(self, method: str, path: str, activity: Any) -> ResourceResponse:
        headers = {**self._headers, "Content-Type": "application/json; charset=utf-8"}
        body = _ENCODE(activity).encode()
        answered = await self._line.call(method, f"{self._url}/{path}", headers, body)
        try:
            answer = json.loads(answered.body or b"{}")
        except ValueError:
            answer = {}
        return ResourceResponse(id=answer.get("id") if isinstance(answer, dict) else None)


def plain(value: object) -> Any:
    """For `json.dumps`: models of the SDK where they stand, frozen mappings as objects."""
    if isinstance(value, Model):
        return value.serialize()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_ENCODE: Final = json.JSONEncoder(default=plain).encode


def _quoted(part: str) -> str:
    return quote(part, safe="")


def _activity_path(conversation_id: str, activity_id: str) -> str:
    return f"{_quoted(conversation_id)}/activities/{_quoted(activity_id)}"


class Connectors(ConnectorFactory):
    """One client per (service URL, audience) for the life of the adapter, the least recently used goes first.

    Making a client costs 3.7 ms of CPU, nearly all in the SDK's retry policy; the SDK makes two per turn.
    """

    def __init__(
        self, sessions: Sessions, hosts: ServiceHosts, tokens: Tokens | None, scope: str, turnstile: Turnstile
    ) -> None:
        """`turnstile`: what each call passes, so that a crowd of them is not made in one moment."""
        self._sessions, self._hosts, self._tokens, self._scope = sessions, hosts, tokens, scope
        self._turnstile = turnstile
        # One pair for all clients. What it writes is ours: to look through a card again costs 0.07 ms.
        known = {name: model for name, model in vars(models).items() if isinstance(model, type)}
        self._serialize, self._deserialize = Serializer(known), Deserializer(known)
        self._serialize.client_side_validation = False
        self._clients: OrderedDict[tuple[str, str], ConnectorClient] = OrderedDict()

    async def create(self, service_url: str, audience: str | None = None) -> ConnectorClient:
        """The client for this service; the bot's token goes to allowed hosts only. Errors: `RefusedError`."""
        key = (self._hosts.check(service_url), audience or self._scope)
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = self._build(*key)
            if len(self._clients) > CLIENT_LIMIT:
                self._clients.popitem(last=False)
        self._clients.move_to_end(key)
        return client

    def _build(self, service_url: str, scope: str) -> ConnectorClient:
        line = _Line(self._sessions, self._tokens, scope, self._turnstile)
        client = ConnectorClient(
            SansIOHTTPPolicy(),  # not ours: the client would chain it into a second pipeline, away from our sender
            base_url=service_url,
            pipeline_type=lambda config: AsyncPipeline([config.user_agent_policy], _Sender(line)),
        )
        client.conversations = _Conversations(
            client._client, client.config, self._serialize, self._deserialize, line=line, url=service_url
        )
        return client


class TeamsMessenger:
    """Implements `provisioning.ports.Messenger`. Calls take ten seconds at most.

    Whoever writes, an answer in its turn or the relay, writes through here: every write is noted, none is held up.
    """

    def __init__(self, connectors: Connectors, pacing: Pacing | None = None, *, seconds: float = CALL_SECONDS) -> None:
        self._connectors, self._seconds = connectors, seconds
        self._pacing = pacing or unlimited(time.monotonic)

    async def send(self, conversation: Conversation, message: Message, *, thread: str = "") -> str:
        place = conversation.id + (THREAD_MARK + thread if thread else "")
        activity_id = ""
        for body in bodies(conversation, message):
            client = await self._client(conversation)
            posted = await self._write(conversation.id, client.conversations.send_to_conversation(place, body))
            activity_id = posted.id or ""
        return activity_id

    async def update(self, conversation: Conversation, activity_id: str, message: Message) -> None:
        body = {**bodies(conversation, message)[-1], "id": activity_id}
        client = await self._client(conversation)
        call = client.conversations.update_activity(conversation.id, activity_id, body)
        await self._write(conversation.id, call, missing=PostGone)

    async def delete(self, conversation: Conversation, activity_id: str) -> None:
        client = await self._client(conversation)
        with suppress(PostGone):
            call = client.conversations.delete_activity(conversation.id, activity_id)
            await self._write(conversation.id, call, missing=PostGone)

    async def open_chat(self, near: Conversation, teams_id: str) -> Conversation:
        client = await self._client(near)
        wanted = ConversationParameters(
            is_group=False,
            bot=ChannelAccount(id=near.bot_id),
            members=[ChannelAccount(id=teams_id)],
            tenant_id=near.tenant or None,
            channel_data={"tenant": {"id": near.tenant}} if near.tenant else None,
        )
        opened = await self._write("", client.conversations.create_conversation(wanted))
        if opened is None or not opened.id:
            raise TryAgain
        return Conversation(
            id=opened.id,
            kind=ConversationKind.PERSONAL,
            service_url=near.service_url,
            tenant=near.tenant,
            bot_id=near.bot_id,
            channel_id=near.channel_id,
        )

    async def member(self, conversation: Conversation, teams_id: str) -> Member:
        client = await self._client(conversation)
        account = await self._call(client.conversations.get_conversation_member(conversation.id, teams_id))
        if account is None or not account.id:
            raise TryAgain
        return _member(account, conversation)

    async def members(self, conversation: Conversation) -> Sequence[Member]:
        client = await self._client(conversation)
        found: list[Member] = []
        token: str | None = None
        while True:
            page = await self._call(
                client.conversations.get_teams_conversation_paged_members(
                    conversation.id, page_size=PAGE_SIZE, continuation_token=token
                )
            )
            found += [_member(account, conversation) for account in (page.members if page else None) or ()]
            following = page.continuation_token if page else None
            if not following or following == token:
                return found
            token = following

    async def _client(self, conversation: Conversation) -> ConnectorClient:
        try:
            return await self._connectors.create(conversation.service_url)
        except RefusedError:
            log.error("a stored service URL is not allowed", conversation=conversation.id)
            raise Rejected from None

    async def _write(self, place: str, call: Awaitable[T], *, missing: type[DeliveryError] = ChatGone) -> T:
        """A call that counts against Teams' limits; `place` is the conversation, empty where it is to be made."""
        self._pacing.note(place)
        try:
            return await self._call(call, missing=missing)
        except Throttled as error:
            self._pacing.throttled(place, UNASKED_WAIT if error.retry_after is None else error.retry_after)
            raise

    async def _call(self, call: Awaitable[T], *, missing: type[DeliveryError] = ChatGone) -> T:
        """Carries out one call in our time limit; its failure becomes one of ours."""
        try:
            async with asyncio.timeout(self._seconds):
                return await call
        except CallRefusedError as refused:
            raise _error(refused, missing) from None
        except TokenUnavailableError as error:
            # Ours to repair, so nothing is given up: the operator reads it, the relay tries again.
            log.error("no token for the connector", error=str(error))
            raise TryAgain from None
        except (TimeoutError, aiohttp.ClientError, OSError, ClientException, ValueError) as error:
            log.warning("a call to Teams failed", error=type(error).__name__)
            raise TryAgain from None


def _error(refused: CallRefusedError, missing: type[DeliveryError]) -> DeliveryError:
    if refused.status == 404:
        return missing()
    kind = _BY_STATUS.get(refused.status, TryAgain if refused.status >= 500 else Rejected)
    if kind is Throttled:
        return Throttled(retry_after(refused.headers.get("Retry-After")))
    if kind is Rejected or refused.status == 401:
        log.error("Teams refused a call", status=refused.status)
    return kind()


def retry_after(value: str | None) -> float | None:
    """Seconds to wait from a header that holds seconds or a date (RFC 9110 section 10.2.3)."""
    if not value:
        return None
    try:
        if value.strip().isdecimal():
            seconds = float(value)
        else:
            seconds = (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError):  # the last one for a date of many digits
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _member(account: Any, conversation: Conversation) -> Member:
    more = account.additional_properties or {}
    upn = _word(account, more, "user_principal_name", "userPrincipalName")
    role = _word(account, more, "user_role", "userRole")
    return Member(
        id=(_word(account, more, "aad_object_id", "objectId") or "").lower(),
        teams_id=account.id,
        name=account.name or "",
        upn=upn,
        tenant=(_word(account, more, "tenant_id", "tenantId") or conversation.tenant).lower(),
        guest=role.casefold() == "guest" or "#ext#" in upn.casefold(),
    )


def _word(account: Any, more: Mapping[str, Any], attribute: str, field: str) -> str:
    """From a model's attribute or, where this model has none for it, from the fields it kept aside."""
    value = getattr(account, attribute, None) or more.get(field)
    return value if isinstance(value, str) else ""
