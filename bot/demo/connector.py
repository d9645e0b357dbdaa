"""An in-memory stand-in for the Teams connector service: the bot posts to it over HTTP, the page listens to it."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from aiohttp import web

from bot.demo.files import LocalFiles
from bot.demo.people import (
    LOCAL_BOT,
    LOCAL_CHANNEL,
    LOCAL_PEOPLE,
    LOCAL_SERVICE_PATH,
    LOCAL_TEAM_MEMBERS,
    LOCAL_TENANT,
    LocalChannel,
    LocalPerson,
)

Json: TypeAlias = dict[str, Any]

THREAD_MARK: Final = ";messageid="
SHOWN_FIELDS: Final = (
    "text", "textFormat", "summary", "attachments", "attachmentLayout", "suggestedActions", "entities", "importance",
)  # fmt: skip
HEARTBEAT_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the memory of one local connector."""

    messages_per_conversation: int = 300
    total_bytes: int = 24 * 1024 * 1024
    activity_bytes: int = 100 * 1024  # the size of one message that Teams takes
    events: int = 200
    readers: int = 12
    waiting_per_reader: int = 256


@dataclass(slots=True)
class Conversation:
    """One chat or channel: its members and the messages that a reload shows again, oldest first."""

    id: str
    members: tuple[LocalPerson, ...]
    messages: dict[str, Json] = field(default_factory=dict)


class Feed:
    """Numbered events for the page; a reader that lost its line resumes from the last number it saw."""

    def __init__(self, limits: Limits) -> None:
        self.boot = secrets.token_hex(6)
        self._limits = limits
        self._log: deque[tuple[int, bytes]] = deque(maxlen=limits.events)
        self._number = 0
        self._readers: set[asyncio.Queue[bytes | None]] = set()

    @property
    def is_full(self) -> bool:
        return len(self._readers) >= self._limits.readers

    def publish(self, kind: str, data: Json) -> None:
        """Keep the event and hand it to every reader; one that does not keep up is cut and may resume."""
        self._number += 1
        frame = self.frame(kind, data)
        self._log.append((self._number, frame))
        for queue in [reader for reader in self._readers if reader.full()]:
            self._cut(queue)
        for queue in self._readers:
            queue.put_nowait(frame)

    def frame(self, kind: str, data: Json) -> bytes:
        """One Server-Sent Event at today's number."""
        body = json.dumps(data, ensure_ascii=False)
        return f"id: {self.boot}-{self._number}\nevent: {kind}\ndata: {body}\n\n".encode()

    def missed_since(self, last_id: str) -> list[bytes] | None:
        """The events after `last_id`; None when it is unknown, too old or of another start of the service."""
        boot, _, digits = last_id.rpartition("-")
        if boot != self.boot or not (digits.isascii() and digits.isdigit()) or len(digits) > 15:
            return None
        number = int(digits)
        oldest = self._log[0][0] if self._log else self._number + 1
        if not oldest - 1 <= number <= self._number:
            return None
        return [frame for at, frame in self._log if at > number]

    @contextmanager
    def reader(self) -> Iterator[asyncio.Queue[bytes | None]]:
        """A queue of event frames; None in it means: the line ends here."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(self._limits.waiting_per_reader)
        self._readers.add(queue)
        try:
            yield queue
        finally:
            self._readers.discard(queue)

    def close(self) -> None:
        for queue in list(self._readers):
            self._cut(queue)

    def _cut(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._readers.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


class LocalConnector:
    """Conversations of local mode, reachable for the bot under `/demo/connector/v3/…` as Teams' service is."""

    def __init__(
        self,
        people: Sequence[LocalPerson] = LOCAL_PEOPLE,
        channel: LocalChannel = LOCAL_CHANNEL,
        *,
        limits: Limits | None = None,
    ) -> None:
        self.channel = channel
        self.people = {person.id: person for person in people}
        self.limits = limits or Limits()
        self.feed = Feed(self.limits)
        self.files = LocalFiles()
        team = tuple(person for person in people if person in LOCAL_TEAM_MEMBERS)
        chats = [Conversation(person.conversation_id, (person,)) for person in people]
        self._conversations = {chat.id: chat for chat in [*chats, Conversation(channel.id, team)]}
        self._sizes: dict[str, int] = {}
        self._last_id = 0

    def routes(self) -> list[web.RouteDef]:
        """The connector's calls for the bot, and those that the page itself uses."""
        v3 = LOCAL_SERVICE_PATH + "v3"
        chat = v3 + "/conversations/{conversation}"
        return [
            web.post(v3 + "/conversations", self.create),
            web.post(chat + "/activities", self.post),
            web.post(chat + "/activities/{activity}", self.post),
            web.put(chat + "/activities/{activity}", self.update),
            web.delete(chat + "/activities/{activity}", self.delete),
            web.get(chat + "/members", self.members),
            web.get(chat + "/members/{member}", self.member),
            web.get(chat + "/pagedmembers", self.paged_members),
            web.get(v3 + "/teams/{team}", self.team),
            web.get(v3 + "/teams/{team}/conversations", self.team_channels),
            web.post("/demo/messages", self.say),
            web.get("/demo/events", self.events),
            *self.files.routes(),
        ]

    async def close(self, _: web.Application | None = None) -> None:
        """End every open event stream at once and let go of all files; fits `app.on_shutdown`."""
        self.feed.close()
        self.files.clear()

    # What the bot calls.

    async def create(self, request: web.Request) -> web.Response:
        """A 1:1 chat with one member, or a new post in the channel."""
        body = await self._body(request)
        chat, root = self._find(self._target(body)), ""
        first = body.get("activity")
        answer: Json = {"id": chat.id}
        if isinstance(first, dict):
            sent = self._take(chat, first, root)
            answer["activityId"] = sent
            if chat.id == self.channel.id:
                answer["id"] = f"{chat.id}{THREAD_MARK}{sent}"
        return web.json_response(answer, status=201)

    async def post(self, request: web.Request) -> web.Response:
        """A message of the bot; in the channel `;messageid=` or the replied-to activity names the thread."""
        chat, root = self._place(request)
        activity = await self._body(request)
        reply_to = request.match_info.get("activity") or str(activity.get("replyToId") or "")
        if chat.id == self.channel.id and not root and reply_to:
            root = str(chat.messages.get(reply_to, {}).get("root") or reply_to)
        return web.json_response({"id": self._take(chat, activity, root)}, status=201)

    async def update(self, request: web.Request) -> web.Response:
        """Replace a message in place."""
        chat, _ = self._place(request)
        old = self._message(request, chat)
        changed = {**_shown(await self._body(request)), **_identity(old), "edited": True, "version": old["version"] + 1}
        self._keep(chat, changed)
        self.feed.publish("update", changed)
        return web.json_response({"id": changed["id"]})

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a message; its replies stay, as in Teams."""
        chat, _ = self._place(request)
        gone = self._message(request, chat)["id"]
        self._drop(chat, gone)
        self.feed.publish("delete", {"conversation": chat.id, "id": gone})
        return web.json_response({})

    async def members(self, request: web.Request) -> web.Response:
        chat, _ = self._place(request)
        return web.json_response([_account(person) for person in chat.members])

    async def paged_members(self, request: web.Request) -> web.Response:
        chat, _ = self._place(request)
        return web.json_response({"members": [_account(person) for person in chat.members]})

    async def member(self, request: web.Request) -> web.Response:
        chat, _ = self._place(request)
        wanted = request.match_info["member"]
        for person in chat.members:
            if wanted in (person.id, person.aad_object_id):
                return web.json_response(_account(person))
        raise _refusal(web.HTTPNotFound, "MemberNotFoundInConversation", "The member is not in this conversation.")

    async def team(self, request: web.Request) -> web.Response:
        self._check_team(request)
        details = {"id": self.channel.team_id, "name": self.channel.team_name, "tenantId": LOCAL_TENANT}
        return web.json_response(details)

    async def team_channels(self, request: web.Request) -> web.Response:
        self._check_team(request)
        return web.json_response({"conversations": [{"id": self.channel.id, "name": self.channel.name}]})

    # What the page calls.

    async def say(self, request: web.Request) -> web.Response:
        """Keep what a person of the page says, so that a reload shows it; the page itself sends it to the bot."""
        body = await self._body(request)
        chat, root = self._split(str(body.get("conversation") or ""))
        author = self.people.get(str(body.get("person") or ""))
        if author is None or author not in chat.members:
            raise _refusal(web.HTTPForbidden, "Forbidden", "This person is not in this conversation.")
        message = self._new(chat, _shown(body), root, {"id": author.id, "name": author.name})
        self.feed.publish("message", message)
        return web.json_response(message, status=201)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Every change as a Server-Sent Event; starts with a snapshot or with what the reader missed."""
        if self.feed.is_full:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"})
        last_id = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        with self.feed.reader() as queue, suppress(ConnectionError):
            missed = self.feed.missed_since(last_id)
            backlog = [self.feed.frame("snapshot", self.snapshot())] if missed is None else missed
            await response.prepare(request)
            await response.write(b": open\n\n" + b"".join(backlog))
            while (frame := await _next(queue)) is not None:
                await response.write(frame)
        return response

    def snapshot(self) -> Json:
        """Everything a page needs to draw itself from nothing."""
        messages = {chat.id: list(chat.messages.values()) for chat in self._conversations.values()}
        return {"boot": self.feed.boot, "conversations": messages}

    # How it is kept.

    def _take(self, chat: Conversation, activity: Json, root: str) -> str:
        """Show one activity of the bot and answer its id; anything but a message is passing news."""
        if activity.get("type", "message") != "message":
            if activity.get("type") == "typing":
                self.feed.publish("typing", {"conversation": chat.id, "root": root})
            return self._next_id()
        author = {"id": LOCAL_BOT.id, "name": LOCAL_BOT.name}
        message = self._new(chat, _shown(activity), root, author)
        self.feed.publish("message", message)
        return str(message["id"])

    def _new(self, chat: Conversation, shown: Json, root: str, author: Json) -> Json:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        own = {"id": self._next_id(), "conversation": chat.id, "root": root, "from": author, "at": at, "version": 1}
        message = {**shown, **own}
        self._keep(chat, message)
        return message

    def _keep(self, chat: Conversation, message: Json) -> None:
        chat.messages[message["id"]] = message
        self._sizes[message["id"]] = len(json.dumps(message))
        while len(chat.messages) > self.limits.messages_per_conversation:
            self._drop(chat, next(iter(chat.messages)))
        while sum(self._sizes.values()) > self.limits.total_bytes:
            filled = [each for each in self._conversations.values() if each.messages]
            oldest = min(filled, key=lambda each: int(next(iter(each.messages))))
            self._drop(oldest, next(iter(oldest.messages)))

    def _drop(self, chat: Conversation, message_id: str) -> None:
        del chat.messages[message_id]
        del self._sizes[message_id]

    def _next_id(self) -> str:
        """Milliseconds since 1970, as Teams numbers its messages, and never the same twice."""
        self._last_id = max(self._last_id + 1, time.time_ns() // 1_000_000)
        return str(self._last_id)

    def _target(self, body: Json) -> str:
        members = body.get("members")
        named = [str(member.get("id") or "") for member in members or [] if isinstance(member, dict)]
        for person in self.people.values():
            if named and named[0] in (person.id, person.aad_object_id):
                return person.conversation_id
        wanted = body.get("channelData")
        channel = wanted.get("channel") if isinstance(wanted, dict) else None
        if not named and isinstance(channel, dict):
            return str(channel.get("id") or "")
        raise _refusal(web.HTTPForbidden, "BotNotInConversationRoster", "The bot is not part of the roster.")

    def _place(self, request: web.Request) -> tuple[Conversation, str]:
        return self._split(request.match_info["conversation"])

    def _split(self, conversation_id: str) -> tuple[Conversation, str]:
        base, _, root = conversation_id.partition(THREAD_MARK)
        return self._find(base), root

    def _find(self, conversation_id: str) -> Conversation:
        chat = self._conversations.get(conversation_id)
        if chat is None:
            raise _refusal(web.HTTPNotFound, "ConversationNotFound", "Conversation not found.")
        return chat

    def _message(self, request: web.Request, chat: Conversation) -> Json:
        message = chat.messages.get(request.match_info["activity"])
        if message is None:
            raise _refusal(web.HTTPNotFound, "ActivityNotFoundInConversation", "The activity does not exist here.")
        return message

    def _check_team(self, request: web.Request) -> None:
        if request.match_info["team"] not in (self.channel.team_id, self.channel.id):
            raise _refusal(web.HTTPNotFound, "NotFound", "The team does not exist.")

    async def _body(self, request: web.Request) -> Json:
        raw = bytearray()
        async for chunk in request.content.iter_chunked(16 * 1024):
            raw += chunk
            if len(raw) > self.limits.activity_bytes:
                raise _refusal(web.HTTPRequestEntityTooLarge, "MessageSizeTooBig", "Message size too large.")
        try:
            body = json.loads(raw)
        except ValueError:  # neither JSON nor UTF-8
            body = None
        if not isinstance(body, dict):
            raise _refusal(web.HTTPBadRequest, "BadSyntax", "The body must be a JSON object.")
        return body


async def _next(queue: asyncio.Queue[bytes | None]) -> bytes | None:
    """The next frame, or a comment when nothing happened for a while: so a dead line is noticed."""
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            return await queue.get()
    except TimeoutError:
        return b": still here\n\n"


def _shown(activity: Mapping[str, Any]) -> Json:
    return {name: activity[name] for name in SHOWN_FIELDS if activity.get(name) not in (None, "", [])}


def _identity(message: Json) -> Json:
    return {name: message[name] for name in ("id", "conversation", "root", "from", "at")}


def _account(person: LocalPerson) -> Json:
    """A person as Teams' member calls describe them."""
    given, _, family = person.name.partition(" ")
    names = {"id": person.id, "name": person.name, "givenName": given, "surname": family}
    ids = {"aadObjectId": person.aad_object_id, "objectId": person.aad_object_id, "tenantId": LOCAL_TENANT}
    return {**names, **ids, "email": person.upn, "userPrincipalName": person.upn, "userRole": "user"}


def _refusal(kind: type[web.HTTPException], code: str, message: str) -> web.HTTPException:
    body = json.dumps({"error": {"code": code, "message": message}})
    if kind is web.HTTPRequestEntityTooLarge:
        return web.HTTPRequestEntityTooLarge(max_size=0, actual_size=1, text=body, content_type="application/json")
    return kind(text=body, content_type="application/json")
