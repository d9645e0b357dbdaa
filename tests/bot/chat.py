"""Conversations as tests: people type and press, devices call in, a channel listens; all of it through the real doors.

async def test_x(house):
    sam = await house.technician("Sam")
    await house.dana.says("add 80-5E-C0-11-22-33 Oslo/2/2.14")
    assert (await sam.says("next")).title == "Next: Oslo, floor 2, room 2.14"

The service is the whole one over a real store; the clock and Teams are ours. Time stands still, so the test moves the
outbox: it is empty after every step unless the test says otherwise. What every step holds: each card is good, nobody
is answered 5xx, and no digit of a code stands where it must not.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import socket
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from structlog.testing import capture_logs

from bot.adapter import Adapter
from bot.composition import build_provisioning, compose
from bot.diagnosing import DIAGNOSES, Diagnoses
from bot.handlers import all_routes
from bot.jobs import JOBS, Jobs
from bot.messenger import TeamsMessenger
from bot.relay import Relay
from bot.settings import Settings, load_keys, load_settings
from bot.webhooks import HOOKS, Hooks
from cards.words import plain
from provisioning.codes import Keyring
from provisioning.messages import OutboxMessage
from provisioning.model import ActivationCode, Device, Record
from provisioning.ports import Store
from provisioning.provider_errors import ProviderAway
from provisioning.service import Provisioning
from storage import open_store
from storage.kinds import KINDS
from storage.records import encode
from tests.audited import audited
from tests.cards.rules import assert_good, of_type
from tests.connector import BOT_ID, TENANT, Call, FakeConnector, Fault, file_attachment
from tests.fakes import FakeClock, FakeProvider
from tests.file_host import FileHost
from tests.storage import postgres

MORNING = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
DANA_ID = "00000000-0000-4000-8000-00000000da0a"
VERBS = {*all_routes().actions, "refresh"}
NUMBER = web.RequestKey("number", int)
_TWELVE = re.compile(rb"(?=(\d{12}|\d{4} \d{4} \d{4}))")  # wherever one begins, within longer runs as well
OTHER_TENANT = "99999999-9999-4999-8999-999999999999"


class Teams(FakeConnector):
    """The connector, with faults for one conversation alone and messages that people deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.troubles: dict[str, deque[Fault]] = {}
        self.deleted: set[str] = set()
        self.verdicts: dict[int, str] = {}  # number of a call → the id it was given, empty where it was refused

    def troubled(self, conversation: str, *faults: Fault) -> None:
        """The next calls for this conversation are answered so."""
        self.troubles.setdefault(conversation, deque()).extend(faults)

    async def _answer(self, request: web.Request, good: Any, body: Any = None) -> web.StreamResponse:
        conversation = request.match_info.get("conversation", "").partition(";messageid=")[0]
        if request.match_info.get("activity") in self.deleted and request.method == "PUT":
            self.answers(Fault(404))
        elif self.troubles.get(conversation):
            self.answers(self.troubles[conversation].popleft())
        answer = await super()._answer(request, good, body)
        self.verdicts[request[NUMBER]] = (good or {}).get("id", "-") if answer.status < 300 else ""
        return answer

    async def next_call(self) -> None:
        async with self._changed:
            await self._changed.wait()

    async def _record(self, request: web.Request, body: Any) -> None:
        request[NUMBER] = len(self.calls)
        await super()._record(request, body)


class RememberingKeyring(Keyring):
    """Seals as ever, and keeps the digits of every code for the search at the end of a test."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.digits: list[str] = []

    def issue(self, mac: str, digits: str, *args: Any, **kwargs: Any) -> ActivationCode:
        self.digits.append(digits)
        return super().issue(mac, digits, *args, **kwargs)

    def receive(self, mac: str, digits: str, *args: Any, **kwargs: Any) -> ActivationCode:
        self.digits.append(digits)
        return super().receive(mac, digits, *args, **kwargs)


# ---------------------------------------------------------------------- what stands in a chat


@dataclass
class Post:
    """A message as its readers see it now; `edits` counts how often it was changed by the bot."""

    id: str
    conversation: str
    card: dict[str, Any] | None = None
    text: str = ""
    summary: str = ""
    thread: str = ""
    edits: int = 0
    toast: str = ""  # the short word over the card, of the latest press
    mentions: list[str] = field(default_factory=list)
    at: datetime = MORNING
    offer: dict[str, Any] | None = None  # a file to take or to decline: name, description, sizeInBytes, contexts
    link: dict[str, Any] | None = None  # a file that was put: name, contentUrl, uniqueId, fileType
    picture: bytes = b""  # that stands in the message
    alt: str = ""  # what it shows, in words

    def copy(self) -> Post:
        """As it stands now on a client that is not told of changes."""
        return replace(self)

    @property
    def title(self) -> str:
        blocks = (b for b in of_type(self.card or {"type": ""}, "TextBlock") if b.get("style") == "heading")
        return _shown(next((b["text"] for b in blocks), ""))

    @property
    def texts(self) -> list[str]:
        """Everything on the card that is read, or the message's text."""
        if self.card is None:
            return [_shown(self.text)]
        read = [b["text"] for b in of_type(self.card, "TextBlock")]
        return [_shown(text) for text in (*read, *(f"{k}: {v}" for k, v in self.facts.items()))]

    @property
    def all(self) -> str:
        return "\n".join((*self.texts, self.toast))

    @property
    def facts(self) -> dict[str, str]:
        sets = of_type(self.card or {"type": ""}, "FactSet")
        return {_shown(fact["title"]): _shown(fact["value"]) for part in sets for fact in part["facts"]}

    @property
    def code(self) -> str:
        """The digits it shows, without blanks."""
        blocks = (b["text"] for b in of_type(self.card or {"type": ""}, "TextBlock") if b.get("id") == "code")
        return next(blocks, "").replace(" ", "")

    @property
    def buttons(self) -> list[str]:
        return [action["title"] for action in (self.card or {}).get("actions", ())]

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        return {part["id"]: part for part in of_type(self.card or {"type": ""}, "Input.")}

    def action(self, title: str) -> dict[str, Any]:
        found = [action for action in (self.card or {}).get("actions", ()) if action["title"] == title]
        assert found, f"no button {title!r} on {self.title!r}: {self.buttons}"
        return found[0]

    def filled(self, action: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What a client sends: the button's data, and the inputs as they stand unless the button leaves them out."""
        if action.get("associatedInputs") == "None":
            return dict(action["data"])
        shown = {name: part.get("value", "") for name, part in self.inputs.items()}
        return {**action["data"], **shown, **inputs}


def _shown(text: str) -> str:
    return plain(text).replace("\u200b", "")


def _file_part(body: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
    """The one attachment of this kind, with the fields of its content beside its own."""
    ending = f"teams.card.file.{kind}"
    found = [each for each in body.get("attachments", ()) if each["contentType"].endswith(ending)]
    return (
        {name: value for name, value in (found[0] | found[0]["content"]).items() if name != "content"}
        if found
        else None
    )


def _picture_part(body: Mapping[str, Any]) -> tuple[bytes, str]:
    """The picture in a message, and what it is called."""
    found = [each for each in body.get("attachments", ()) if each["contentType"].startswith("image/")]
    if not found:
        return b"", ""
    assert len(json.dumps(body)) < 100_000, "more than Teams takes"
    head, _, content = found[0]["contentUrl"].partition(",")
    assert head == f"data:{found[0]['contentType']};base64"
    return base64.b64decode(content), found[0]["name"]


@dataclass
class Found:
    """What the compose box shows: lines of results with the card behind each, or a sentence."""

    titles: list[str]
    texts: list[str]
    cards: list[dict[str, Any]]
    text: str = ""


class Chat:
    """One conversation and everything that stands in it, oldest first."""

    def __init__(self, house: House, conversation: str) -> None:
        self.house, self.conversation = house, conversation
        self.posts: list[Post] = []

    @property
    def card(self) -> Post:
        """The newest card."""
        cards = [post for post in self.posts if post.card]
        assert cards, f"no card in {self.conversation}"
        return cards[-1]

    @property
    def last(self) -> Post:
        assert self.posts, f"nothing in {self.conversation}"
        return self.posts[-1]

    @property
    def offered(self) -> Post:
        """The newest file that waits for a decision."""
        offers = [post for post in self.posts if post.offer]
        assert offers, f"no file is offered among {self.titles}"
        return offers[-1]

    @property
    def titles(self) -> list[str]:
        """What stands there: titles of cards, and texts."""
        return [post.title or _shown(post.text) for post in self.posts]

    def titled(self, title: str) -> Post:
        """The newest card with this title."""
        found = [post for post in self.posts if post.title == title]
        assert found, f"no card {title!r} among {self.titles}"
        return found[-1]

    def with_button(self, title: str) -> Post:
        found = [post for post in self.posts if title in post.buttons]
        assert found, f"no card with {title!r} among {self.titles}"
        return found[-1]


class Someone(Chat):
    """A person and their 1:1 chat with the bot."""

    def __init__(self, house: House, name: str, object_id: str, tenant: str, *, upn: str = "", guest: bool = False):
        self.name, self.object_id, self.tenant = name, object_id, tenant
        self.teams_id = f"29:{object_id}"
        self.locale, self.timezone = "en-GB", "Europe/London"  # as their client says
        self.sent: dict[str, Any] = {}
        super().__init__(house, f"a:{object_id}")
        known = {"name": name, "aadObjectId": object_id, "tenantId": tenant, "userPrincipalName": upn}
        house.connector.knows(self.teams_id, **known, **({"userRole": "guest"} if guest else {}))

    # ------------------------------------------------------------------ typing

    async def says(self, text: str, **fields: Any) -> Post:
        """Types in the own chat; returns what the bot answered (the newest where it was more)."""
        return await self._sends({**self._activity("message"), "text": text, **fields}, self)

    async def installs(self) -> Post | None:
        """Adds the app."""
        before = len(self.posts)
        await self._post({**self._activity("installationUpdate"), "action": "add"})
        await self.house.after_step()
        return self.posts[-1] if len(self.posts) > before else None

    async def uninstalls(self) -> None:
        await self._post({**self._activity("installationUpdate"), "action": "remove"})
        await self.house.after_step()

    # ------------------------------------------------------------------ pressing

    async def presses(
        self, title: str, *, on: Post | None = None, chat: Chat | None = None, submit: bool = False, **inputs: Any
    ) -> Post:
        """Presses a button of the newest card that has it (or of `on`); returns the card as it stands then."""
        post = on or (chat or self).with_button(title)
        action = post.action(title)
        return await self.acts(post, action["verb"], post.filled(action, inputs), chat=chat, submit=submit)

    async def acts(
        self, post: Post, verb: str, data: Mapping[str, Any], *, chat: Chat | None = None, submit: bool = False
    ) -> Post:
        """What a client sends for a press; with data of one's own, what a forger sends."""
        where = chat or self
        base = self._activity("message" if submit else "invoke", where)
        if submit:
            activity = {**base, "value": {**data, "verb": verb}, "replyToId": post.id}
        else:
            action = {"type": "Action.Execute", "verb": verb, "data": dict(data)}
            value = {"action": action, "trigger": "manual"}
            activity = {**base, "name": "adaptiveCard/action", "value": value, "replyToId": post.id}
        return await self._sends(activity, where, post=post)

    async def opens(self, post: Post) -> Post:
        """Their client draws the card and asks for its present state, where the card wants that."""
        refresh = (post.card or {}).get("refresh")
        assert refresh and self.teams_id in refresh["userIds"], "this card asks for no refresh by this reader"
        value = {"action": refresh["action"], "trigger": "automatic"}
        where = self.house.chats.get(post.conversation, self)
        activity = {**self._activity("invoke", where), "name": "adaptiveCard/action"}
        return await self._sends({**activity, "value": value, "replyToId": post.id}, where, post=post)

    async def repeats(self, *, new_id: bool = False) -> Post | None:
        """Teams delivers the latest activity once more: with its own id, or later with a new one."""
        activity = {**self.sent, **({"id": self.house.next_id()} if new_id else {})}
        await self._post(activity)
        await self.house.after_step()
        return self.posts[-1] if self.posts else None

    # ------------------------------------------------------------------ files and searches

    async def sends_file(self, name: str, content: bytes | str = b"", text: str = "", *, url: str = "") -> Post:
        """Attaches a file in the own chat; with a `url`, one that stands elsewhere."""
        raw = content.encode() if isinstance(content, str) else content
        place = url or self.house.files.shares(name, raw)
        return await self.says(text, attachments=[file_attachment(place, name)])

    async def sends_picture(
        self, *contents: bytes, text: str = "", name: str = "", url: str = "", where: Chat | None = None
    ) -> Post:
        """Takes pictures with the camera of the chat; with a `name`, attaches them as files of that name."""
        places = [url] if url else [self.house.files.shares(name or "picture", content) for content in contents]
        attachments = [
            file_attachment(place, name) if name else {"contentType": "image/*", "contentUrl": place}
            for place in places
        ]
        return await self._sends(
            {**self._activity("message", where), "text": text, "attachments": attachments}, where or self
        )

    async def accepts_file(self, offer: Post | None = None, *faults: int | str, url: str = "") -> bytes:
        """[Allow]: the client tells where the file may go; returns what was put there, nothing where nothing was.

        `faults` are the answers to the parts that the bot puts; with a `url`, the place is elsewhere.
        """
        post = offer or self.offered
        assert post.offer
        place = url or self.house.files.place()
        self.house.files.faults.extend(faults)
        upload = {
            "name": post.offer["name"],
            "uploadUrl": place,
            "contentUrl": f"https://contoso-my.sharepoint.com/personal/{self.name}/Documents/{post.offer['name']}",
            "uniqueId": f"unique-{post.id}",
            "fileType": post.offer["name"].rpartition(".")[2],
        }
        await self._decides(post, "accept", post.offer["acceptContext"], uploadInfo=upload)
        return bytes(self.house.files.uploads.get(urlsplit(place).path, b""))

    async def declines_file(self, offer: Post | None = None) -> None:
        post = offer or self.offered
        assert post.offer
        await self._decides(post, "decline", post.offer["declineContext"])

    async def _decides(self, post: Post, action: str, context: Any, **more: Any) -> None:
        value = {"type": "fileUpload", "action": action, "context": context, **more}
        await self.decides(name="fileConsent/invoke", value=value, replyToId=post.id)

    async def decides(self, **fields: Any) -> None:
        """A consent as the client sends it; with fields of one's own, as a forger does."""
        self.sent = self._activity("invoke", **fields)
        assert await self._post(self.sent) is None, "Teams wants an empty answer"
        await self.house.after_step()

    async def searches(
        self, text: str | None = None, *, where: Chat | None = None, skip: int = 0, **more: Any
    ) -> Found:
        """Types into the compose box, there or in the own chat; nothing typed yet is the box just opened."""
        word = {"name": "initialRun", "value": "true"} if text is None else {"name": "query", "value": text}
        value = {"commandId": "find", "parameters": [word], "queryOptions": {"skip": skip, "count": 25}}
        self.sent = self._activity("invoke", where, name="composeExtension/query", value=value, **more)
        answer = await self._post(self.sent)
        await self.house.after_step()
        assert answer
        self.house.no_code_in(json.dumps(answer), "a search")
        told = answer["composeExtension"]
        if told["type"] == "message":
            return Found([], [], [], told["text"])
        assert (told["type"], told["attachmentLayout"]) == ("result", "list")
        previews = [each["preview"]["content"] for each in told["attachments"]]
        cards = [each["content"] for each in told["attachments"]]
        for card in cards:
            assert_good(card)
        return Found([each["title"] for each in previews], [each["text"] for each in previews], cards)

    # ------------------------------------------------------------------ the wire

    def _activity(self, kind: str, where: Chat | None = None, **fields: Any) -> dict[str, Any]:
        base = {
            "type": kind,
            "id": self.house.next_id(),
            "channelId": "msteams",
            "serviceUrl": self.house.connector.url,
            "from": {"id": self.teams_id, "name": self.name, "aadObjectId": self.object_id},
            "recipient": {"id": BOT_ID, "name": "Provisioning Bot"},
            "conversation": {"id": self.conversation, "conversationType": "personal", "tenantId": self.tenant},
            "channelData": {"tenant": {"id": self.tenant}},
            "entities": [{"type": "clientInfo", "locale": self.locale, "timezone": self.timezone}],
        }
        return base | (where.address() if isinstance(where, Channel) else {}) | fields

    async def _sends(self, activity: dict[str, Any], where: Chat, post: Post | None = None) -> Post:
        before = len(where.posts)
        self.sent = activity
        answer = await self._post(activity)
        self.house.collect()
        fresh = where.posts[before:]
        shown = self._answered(answer, post) if post else (fresh[-1] if fresh else None)
        if post and fresh and not (answer or {}).get("value"):
            shown = fresh[-1]
        seen = shown.copy() if shown else Post("", where.conversation)
        await self.house.after_step()
        return seen

    def _answered(self, answer: dict[str, Any] | None, post: Post) -> Post:
        """The pressed card, replaced where the answer holds a card."""
        standing = self.house.posts.get((post.conversation, post.id), post)
        standing.toast = ""
        if answer and answer["type"] == "application/vnd.microsoft.card.adaptive":
            self.house.check_card(answer["value"], post.conversation)
            if isinstance(self.house.chats.get(post.conversation), Channel):
                return replace(post, card=answer["value"])  # in a channel only the presser sees it
            standing.card = answer["value"]
        elif answer:
            assert answer["type"] == "application/vnd.microsoft.activity.message", answer
            standing.toast = answer["value"]
        return standing

    async def _post(self, activity: dict[str, Any]) -> dict[str, Any] | None:
        async with self.house.http.post(f"{self.house.url}/api/messages", json=activity) as answer:
            body = await answer.text()
            assert answer.status == 200, f"{answer.status}: {body}"
        self.house.heard(body)
        return json.loads(body) if body else None


class Channel(Chat):
    """A team channel the bot is in."""

    def __init__(self, house: House, name: str) -> None:
        self.name = name
        super().__init__(house, f"19:{name}@thread.tacv2")
        self.root = ""

    def address(self) -> dict[str, Any]:
        place = f"{self.conversation};messageid={self.root}" if self.root else self.conversation
        return {
            "conversation": {"id": place, "conversationType": "channel", "isGroup": True, "tenantId": TENANT},
            "channelData": {
                "tenant": {"id": TENANT},
                "team": {"id": "19:team@thread.tacv2"},
                "channel": {"id": self.conversation, "name": self.name},
            },
        }

    async def says(self, text: str, by: Someone) -> Post:
        """Somebody writes there and mentions the bot."""
        self.root = self.house.next_id()
        bot = {"id": BOT_ID, "name": "Provisioning Bot"}
        mention = {"type": "mention", "text": "<at>Provisioning Bot</at>", "mentioned": bot}
        activity = by._activity("message", self, text=f"<at>Provisioning Bot</at> {text}", id=self.root)
        activity["entities"] = [*activity["entities"], mention]
        return await by._sends(activity, self)

    def deletes(self, post: Post) -> None:
        """Somebody deletes a message there."""
        self.house.connector.deleted.add(post.id)
        self.posts.remove(post)

    @property
    def replies(self) -> list[Post]:
        """What was said in the thread of a card of the bot's."""
        ours = {post_id for conversation, post_id in self.house.posts if conversation == self.conversation}
        return [post for post in self.posts if post.thread in ours and not post.card]


@dataclass
class DeviceAnswer:
    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        return str(self.body.get("code", ""))


@dataclass
class CallingDevice:
    """A device on somebody's desk, calling the device API."""

    house: House
    mac: str
    token: str = ""

    async def provision(self, code: str, mac: str = "", retry_key: str = "") -> DeviceAnswer:
        headers = {"Idempotency-Key": retry_key} if retry_key else {}
        done = await self._call("POST", "/api/v1/provision", headers, json={"mac": mac or self.mac, "code": code})
        self.token = done.body.get("token", self.token)
        return done

    async def status(self) -> DeviceAnswer:
        return await self._call("GET", "/api/v1/device", {"Authorization": f"Bearer {self.token}"})

    async def settles(self, command: str, status: str = "done", detail: str = "") -> DeviceAnswer:
        """What the device says of a command that it was given."""
        headers = {"Authorization": f"Bearer {self.token}"}
        body = {"status": status, **({"detail": detail} if detail else {})}
        return await self._call("POST", f"/api/v1/device/commands/{command}", headers, json=body)

    async def is_reset(self) -> DeviceAnswer:
        return await self._call("POST", "/api/v1/device/factory-reset", {"Authorization": f"Bearer {self.token}"})

    async def _call(self, method: str, path: str, headers: Mapping[str, str], **fields: Any) -> DeviceAnswer:
        async with self.house.http.request(method, self.house.url + path, headers=headers, **fields) as answer:
            text = await answer.text()
            done = DeviceAnswer(answer.status, json.loads(text) if text else {}, dict(answer.headers))
        assert done.status < 500, text
        await self.house.after_step()
        return done


# ---------------------------------------------------------------------- everything around them


class House:
    """The running service, its clock, its store, and everybody who talks to it. Dana is admin by configuration."""

    def __init__(
        self,
        clock: FakeClock,
        connector: Teams,
        store: Store,
        provisioning: Provisioning,
        keys: RememberingKeyring,
        folder: Path,
    ) -> None:
        self.clock, self.connector, self.store, self.provisioning = clock, connector, store, provisioning
        self.provider = FakeProvider()
        self.keys, self.folder = keys, folder
        self.url = ""
        self.http: aiohttp.ClientSession = None  # type: ignore[assignment]
        self.files: FileHost = None  # type: ignore[assignment]
        self.relay: Relay = None  # type: ignore[assignment]
        self.hooks: Hooks = None  # type: ignore[assignment]
        self.jobs: Jobs = None  # type: ignore[assignment]
        self.diagnoses: Diagnoses = None  # type: ignore[assignment]
        self.settings: Settings = None  # type: ignore[assignment]
        self.by_itself = True  # the outbox is emptied after each step
        self.chats: dict[str, Chat] = {}
        self.posts: dict[tuple[str, str], Post] = {}
        self.logs: list[Any] = []
        self.expected_errors: set[str] = set()
        self.faults_in_a_row: dict[str, int] = {}  # id of a sign-in → polls without an answer
        self.code_readers: dict[str, str] = {}  # user code → the one conversation that shows it
        self._ids, self._read = count(1_700_000_000_001), 0
        self._unread: list[int] = []
        self.dana = self.person("Dana", object_id=DANA_ID)

    def next_id(self) -> str:
        return str(next(self._ids))

    # ------------------------------------------------------------------ people and things

    def person(self, name: str, *, object_id: str = "", tenant: str = TENANT, guest: bool = False) -> Someone:
        object_id = object_id or f"00000000-0000-4000-8000-{len(self.chats) + 1:012x}"
        upn = f"{name.split(maxsplit=1)[0].casefold()}@contoso.com"
        someone = Someone(self, name, object_id, tenant, upn=upn, guest=guest)
        self.chats[someone.conversation] = someone
        return someone

    async def technician(self, name: str) -> Someone:
        """Somebody who said hi and was granted the role."""
        return await self._granted(name, "technician")

    async def admin(self, name: str) -> Someone:
        return await self._granted(name, "admin")

    async def _granted(self, name: str, role: str) -> Someone:
        someone = self.person(name)
        await someone.says("hi")
        await self.dana.says(f"grant {someone.object_id} {role}")
        return someone

    def channel(self, name: str = "rollout") -> Channel:
        channel = Channel(self, name)
        self.chats[channel.conversation] = channel
        return channel

    def device(self, mac: str) -> CallingDevice:
        return CallingDevice(self, mac)

    # ------------------------------------------------------------------ time and the outbox

    async def after_step(self) -> None:
        if self.by_itself:
            await self.settled()
        self.collect()

    async def settled(self) -> None:
        """Everything that was begun is done, and everything that is due has been told."""
        await self.jobs.drain()
        await self.diagnoses.drain()
        await self.relay.drain()
        await self.hooks.drain()
        self.collect()

    async def passes(self, **span: float) -> None:
        """Time goes by, and the loops that run beside the doors have had their turn."""
        self.clock.advance(timedelta(**span))
        await self.provisioning.sweep()
        await self.after_step()

    async def polls(self) -> None:
        """The identity provider is asked once for every sign-in that is under way."""
        for mac, flow in await self.provisioning.live_sign_ins():
            answer = await self.provisioning.ask_provider(mac, flow.id)
            if answer is not None:
                faults = self.faults_in_a_row.get(flow.id, 0)
                await self.provisioning.take_answer(mac, flow.id, answer, faults)
                self.faults_in_a_row[flow.id] = faults + 1 if isinstance(answer, ProviderAway) else 0
        await self.after_step()

    async def stops_telling(self) -> None:
        """Whatever is on its way is given up: the process ends."""
        under_way = list(self.relay._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def stops_working(self) -> None:
        """Jobs that are under way are given up: the process ends."""
        under_way = list(self.jobs._under_way.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def waiting(self) -> list[OutboxMessage]:
        return list((await self.store.find(OutboxMessage, status="waiting", limit=1000)).rows)

    # ------------------------------------------------------------------ reading what the bot did

    def collect(self) -> None:
        """The chats as they stand after the calls that the bot made since."""
        verdicts, calls = self.connector.verdicts, self.connector.calls
        self._unread += range(self._read, len(calls))
        self._read = len(calls)
        answered, self._unread = (
            [n for n in self._unread if n in verdicts],
            [n for n in self._unread if n not in verdicts],
        )
        for number in answered:
            if calls[number].method == "DELETE":
                self._take_away(calls[number], verdicts[number])
            elif calls[number].body and "/activities" in calls[number].path:
                self._put_down(calls[number], verdicts[number])

    def _take_away(self, call: Call, given: str) -> None:
        post = self.posts.pop((call.conversation, call.activity_id), None) if given else None
        if post:
            self.chats[call.conversation].posts.remove(post)

    def _put_down(self, call: Call, given: str) -> None:
        if call.card:
            self.check_card(call.card, call.conversation)
        self.check_words(call)
        key = (call.conversation, call.activity_id)
        if call.method == "PUT":
            if given and key in self.posts:
                post = self.posts[key]
                post.card, post.text = call.card, call.body.get("text", "")
                post.offer, post.link = _file_part(call.body, "consent"), _file_part(call.body, "info")
                post.edits, post.at = post.edits + 1, self.clock.now()
            return
        if not given:
            return
        post = Post(
            id=given,
            conversation=call.conversation,
            card=call.card,
            text=call.body.get("text", ""),
            summary=call.body.get("summary", ""),
            thread=call.thread,
            mentions=[e["mentioned"]["id"] for e in call.body.get("entities", ()) if e["type"] == "mention"],
            at=self.clock.now(),
            offer=_file_part(call.body, "consent"),
            link=_file_part(call.body, "info"),
        )
        post.picture, post.alt = _picture_part(call.body)
        assert post.offer is None or not isinstance(self.chats.get(call.conversation), Channel)
        self.posts[call.conversation, post.id] = post
        chat = self.chats.get(call.conversation)
        assert chat, f"a message into an unknown conversation {call.conversation}"
        chat.posts.append(post)

    # ------------------------------------------------------------------ what always holds

    def check_card(self, card: dict[str, Any], conversation: str) -> None:
        assert_good(card)
        for action in of_type(card, "Action.Execute"):
            assert action["verb"] in VERBS, action["verb"]
        if isinstance(self.chats.get(conversation), Channel):
            self.no_code_in(json.dumps(card), f"a card of {conversation}")
        self.no_code_in(card["fallbackText"], "fallbackText")
        self.shown_to_one_reader(card, conversation)
        self.no_code_in(card["speak"], "what is spoken")

    def check_words(self, call: Call) -> None:
        """No code in a push line, in a text, or anywhere in a channel."""
        self.no_code_in(call.body.get("summary", ""), "a push line")
        self.no_code_in(call.body.get("text", ""), "a text")
        assert call.body.get("summary"), "a message without a push line"
        if isinstance(self.chats.get(call.conversation), Channel):
            self.no_code_in(json.dumps(call.body), f"a message to {call.conversation}")

    def shown_to_one_reader(self, card: dict[str, Any], conversation: str) -> None:
        """A user code stands in one chat alone, that of the admin who asked."""
        shown = [b["text"].replace(" ", "") for b in of_type(card, "TextBlock") if b.get("id") == "code"]
        for code in set(shown) & set(self.user_codes):
            assert self.code_readers.setdefault(code, conversation) == conversation, "a user code in two chats"

    def heard(self, body: str) -> None:
        """No trace of our insides reaches a person."""
        assert "Traceback" not in body and "site-packages" not in body

    def no_code_in(self, text: str, where: str) -> None:
        bare = re.sub(r"[\s\u00a0\u200b\-]", "", text)
        found = [digits for digits in (*self.keys.digits, *self.user_codes) if digits in bare]
        assert not found, f"a code in {where}: {text[:300]}"

    @property
    def user_codes(self) -> list[str]:
        """Codes of sign-ins: secret like those of activation, and seen by the admin alone who asked."""
        return [grant.user_code for grant in self.provider.grants]

    async def everything(self, *names: str) -> dict[str, list[str]]:
        """Every record of the store (or of these kinds) as text: what must not change where nothing is allowed."""
        kinds = [kind for kind in KINDS if not names or kind.__name__ in names]
        return {kind.__name__: await self._rows(kind) for kind in kinds}

    async def _rows(self, kind: type[Record]) -> list[str]:
        rows, after = [], None
        while True:
            page = await self.store.find(kind, after=after, limit=1000)
            rows += [json.dumps(encode(row), sort_keys=True, default=str) for row in page.rows]
            after = page.after
            if after is None:
                return sorted(rows)

    async def facts(self, subject: str | None = None) -> list[str]:
        """Names of the audited facts, oldest first."""
        rows = (await self.store.history(subject, limit=1000)).rows
        return [row.event.name for row in reversed(rows)]

    async def record(self, mac: str) -> Device:
        device = await self.store.get(Device, re.sub(r"[^0-9A-F]", "", mac.upper()))
        assert device is not None
        return device

    def check_the_end(self) -> None:
        """No code in the logs nor anywhere in the files of the store; and no fault that nobody expected."""
        for entry in self.logs:
            self.no_code_in(repr(entry), "the log")
            unexpected = entry["log_level"] == "error" and entry["event"] not in self.expected_errors
            assert not unexpected, entry
        usual = {digits for digits in self.keys.digits if len(digits) == 12 and digits.isdigit()}
        for path in sorted(self.folder.rglob("*")):
            raw = path.read_bytes() if path.is_file() else b""
            for grant in self.provider.grants:
                assert grant.user_code.encode() not in raw, f"a user code in {path.name}"
                assert grant.device_code.encode() not in raw, f"a device code in {path.name}"
            content = path.read_bytes() if path.is_file() else b""
            found = {run.replace(b" ", b"").decode() for run in _TWELVE.findall(content)} if usual else set()
            assert not usual & found, f"a code in {path.name}"
            for digits in set(self.keys.digits) - usual:
                groups = " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))
                assert digits.encode() not in content and groups.encode() not in content, f"a code in {path.name}"


ON_POSTGRES = os.environ.get("TEST_STORE") == "postgres"  # all conversations, over the store of many instances


@asynccontextmanager
async def open_house(folder: Path, *, admins: str = DANA_ID, **more: str) -> AsyncIterator[House]:
    """The whole service as `app` composes it, in local mode for one tenant; the outbox moves when the test says so.

    `more` are further settings.
    """
    with capture_logs() as logs:
        async with Teams() as connector, FileHost() as files:
            clock = FakeClock(MORNING)
            environ = {
                "TENANT_ID": TENANT,
                "ADMINS": admins,
                "STORE_URL": postgres.emptied() if ON_POSTGRES else f"tinydb:{folder}/store",
                "CODE_KEY_FILE": str(folder / "keys.json"),
                **more,
            }
            settings = load_settings(environ, None)
            store = audited(await open_store(settings.store_url, clock=clock))
            provisioning = build_provisioning(settings, store, clock)
            keys = provisioning.keys = RememberingKeyring(load_keys(settings))
            house = House(clock, connector, store, provisioning, keys, folder)
            house.logs, house.files, house.settings = logs, files, settings
            provisioning.provider = house.provider
            try:
                async with _served(house, settings):
                    yield house
                    house.collect()
            finally:
                await store.close()
            house.check_the_end()


@asynccontextmanager
async def restarted(house: House) -> AsyncIterator[None]:
    """The service anew over the same store, with nothing left of what the former process knew by heart."""
    house.provisioning = build_provisioning(house.settings, house.store, house.clock)
    house.provisioning.keys = house.keys
    house.provisioning.provider = house.provider
    async with _served(house, house.settings):
        yield


@asynccontextmanager
async def _served(house: House, settings: Settings) -> AsyncIterator[None]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = compose(settings, house.provisioning, port)
    del app.cleanup_ctx[1:]  # the outbox and the sweep: with a clock that stands still the test gives them their turns
    adapter = Adapter(None, allowed_service_hosts=settings.allowed_service_hosts)
    house.jobs, house.diagnoses = app[JOBS], app[DIAGNOSES]
    house.hooks = app[HOOKS]
    house.relay = Relay(house.provisioning, TeamsMessenger(adapter.connectors), all_routes(), jitter=lambda: 0.0)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    house.url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as house.http:
            yield
    finally:
        await house.stops_working()
        await house.stops_telling()
        house.provisioning.release_polls()
        await runner.cleanup()
        await adapter.close()
