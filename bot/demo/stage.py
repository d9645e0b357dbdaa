"""Where the story plays: people with phones, a channel, devices; all through the service's real doors over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from aiohttp import ClientSession, web

from bot.demo.clock import ForwardClock
from bot.demo.connector import THREAD_MARK, LocalConnector
from bot.demo.files import BYTES, SENT_PATH
from bot.demo.people import LOCAL_BOT, LOCAL_CHANNEL, LOCAL_SERVICE_PATH, LOCAL_TENANT, LocalPerson
from bot.demo.terminal import Lane, Terminal, pressed, shown, texts
from bot.settings import Settings
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.ports import Store
from provisioning.service import Provisioning
from provisioning.texts import _, current_speech

Json = dict[str, Any]

PATIENCE: Final = 8.0  # seconds that a step may take to show what it must
TIMEZONE: Final = "Europe/Oslo"
WAITING: Final = MessageStatus.WAITING.value
CHANNEL_LANE: Final = Lane(LOCAL_CHANNEL.name, 10, "blue")
_DIGITS: Final = re.compile(r"\d(?:[ -]?\d)+")


class StoryFault(Exception):
    """A step did not show what it must; the words say which."""


class RunningService(Protocol):
    """What the story knows of the service it plays with."""

    @property
    def url(self) -> str: ...

    @property
    def provisioning(self) -> Provisioning: ...


OpenService = Callable[[Settings, ForwardClock], AbstractAsyncContextManager[RunningService]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as it stands in a chat."""

    id: str
    conversation: str
    text: str
    push: str
    card: Json
    edited: bool
    thread: str = ""

    @property
    def words(self) -> str:
        return "\n".join([shown(self.text), *texts(self.card)]).strip()

    @property
    def code(self) -> str:
        """The digits of the one element that shows a code; empty where there is none."""
        parts = [element for element in self.card.get("body", ()) if element.get("id") == "code"]
        return str(parts[0]["text"]) if parts else ""

    def button(self, verb: str, **data: str) -> Json | None:
        for action in self.card.get("actions", ()):
            if action.get("verb") == verb and all(action["data"].get(name) == value for name, value in data.items()):
                return dict(action)
        return None


@dataclass(slots=True)
class Stage:
    """The service, the stand-in for Teams, and everything that was posted or edited and not yet looked at."""

    url: str
    teams_url: str
    store: Store
    session: ClientSession
    clock: ForwardClock
    terminal: Terminal
    feed: asyncio.Queue[bytes | None]
    seats: dict[str, Seat] = field(default_factory=dict)
    unseen: list[Shown] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)

    async def later(self, by: timedelta, aside: str = "") -> None:
        """Time passes, once nothing is on its way any more: a message does not take a day."""
        await self._quiet()
        await self.clock.advance(by)
        while not self.feed.empty():  # what was on its way is there by now, before anybody presses on
            self._arrived(self.feed.get_nowait())
        if aside:
            self.terminal.aside(aside)

    async def _quiet(self) -> None:
        """Until the outbox holds nothing that is due or under way."""
        async with self.store.watch("outbox") as watch, asyncio.timeout(PATIENCE):
            while any(self._moves(row) for row in (await self.store.find(OutboxMessage, status=WAITING)).rows):
                await watch.wait(PATIENCE)

    def _moves(self, message: OutboxMessage) -> bool:
        return message.leased_until is not None or message.due_at <= self.clock.now()

    async def post(self, activity: Json) -> Any:
        async with self.session.post(f"{self.url}/api/messages", json=activity) as answer:
            if answer.status >= 300:
                raise StoryFault(_("The service answered {status} to an activity.", status=answer.status))
            return await answer.json() if answer.content_type == "application/json" else None

    async def upload(self, body: Json) -> Json:
        """Keep a person's own message as Teams does; it gives the message its id."""
        async with self.session.post(f"{self.teams_url}/demo/messages", json=body) as answer:
            kept: Json = await answer.json()
            return kept

    async def share(self, name: str, content: bytes) -> Json:
        """Keep a file as Teams does; it gives the attachment that leads to it."""
        url, headers = f"{self.teams_url}{SENT_PATH}", {"Content-Type": BYTES}
        async with self.session.post(url, params={"name": name}, data=content, headers=headers) as answer:
            attachment: Json = await answer.json()
            return attachment

    async def see(self, conversation: str, what: str, fits: Callable[[Shown], bool]) -> Shown:
        """The first message or edit in this chat that fits, waiting for it if need be. Errors: `StoryFault`."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for message in self.unseen:
                        if message.conversation == conversation and fits(message):
                            self.unseen.remove(message)
                            return message
                    self._arrived(await self.feed.get())
        except TimeoutError:
            raise StoryFault(_("Expected, and not seen: {what}", what=what)) from None

    def _arrived(self, frame: bytes | None) -> None:
        """One event of the local Teams: shown to whoever sits there, and checked against what must never be."""
        kind, data = _event(frame)
        if kind not in ("message", "update") or data.get("from", {}).get("id") != LOCAL_BOT.id:
            return
        message = Shown(
            id=data["id"],
            conversation=data["conversation"],
            text=str(data.get("text", "")),
            push=str(data.get("summary", "")),
            card=next((part["content"] for part in data.get("attachments", ())), {}),
            edited=kind == "update",
            thread=str(data.get("root", "")),
        )
        if message.code:
            self.codes.add(only_digits(message.code) or message.code)
        public = message.push if message.conversation != LOCAL_CHANNEL.id else json.dumps(data)
        said = {only_digits(found) for found in _DIGITS.findall(public)}
        if any(code in said or (not code.isdigit() and code in public) for code in self.codes):
            raise StoryFault(_("A code was shown where others can read it."))
        self.unseen.append(message)
        if seat := self.seats.get(message.conversation):
            seat.keep(message)


def _event(frame: bytes | None) -> tuple[str, Json]:
    if frame is None:
        raise StoryFault(_("The local Teams hung up."))
    fields = dict(line.split(": ", 1) for line in frame.decode().splitlines() if ": " in line)
    return fields["event"], json.loads(fields["data"])


def only_digits(text: str) -> str:
    return re.sub(r"\D", "", text)


class Seat:
    """A person in front of one chat: types, presses, sees."""

    def __init__(self, stage: Stage, person: LocalPerson, lane: Lane, *, channel: bool = False) -> None:
        self._stage, self.person, self._lane, self._channel = stage, person, lane, channel
        self.conversation = LOCAL_CHANNEL.id if channel else person.conversation_id
        self._here = CHANNEL_LANE if channel else lane
        self._cards: dict[str, Shown] = {}
        stage.seats.setdefault(self.conversation, self)

    def keep(self, message: Shown) -> None:
        """The newest state of a message, at its old place."""
        self._cards[message.id] = message

    @property
    def code_in_hand(self) -> str:
        """The one code that this phone shows."""
        codes = [card.code for card in self._cards.values() if card.code]
        if len(codes) != 1:
            raise StoryFault(_("{name} sees {n} codes instead of one.", name=self._lane.name, n=len(codes)))
        return codes[0]

    # -------------------------------------------------------------- doing

    async def installs(self) -> None:
        where = _("adds the app to the team") if self._channel else _("installs the app")
        self._stage.terminal.says(self._lane if not self._channel else self._here, where)
        await self._stage.post(self._activity("installationUpdate", action="add"))

    async def says(self, text: str) -> None:
        mention = f"<at>{LOCAL_BOT.name}</at> " if self._channel else ""
        lane = Lane(f"{self._lane.name}, {_('in the channel')}", self._here.indent, self._lane.colour)
        self._stage.terminal.says(lane if self._channel else self._lane, shown(mention and f"@{mention}") + text)
        kept = await self._stage.upload(
            {"conversation": self.conversation, "person": self.person.id, "text": mention + text}
        )
        bot = {"id": LOCAL_BOT.id, "name": LOCAL_BOT.name}
        entities = [{"type": "mention", "mentioned": bot, "text": mention.strip()}] if mention else []
        activity = self._activity("message", id=kept["id"], text=mention + text, entities=entities)
        if self._channel:
            activity["conversation"]["id"] += THREAD_MARK + kept["id"]
        await self._stage.post(activity)

    async def sends_file(self, name: str, content: bytes) -> None:
        self._stage.terminal.says(self._lane, _("sends the file {name}", name=name))
        attachment = await self._stage.share(name, content)
        await self._stage.post(self._activity("message", text="", attachments=[attachment]))

    async def presses(self, verb: str, inputs: Mapping[str, str] | None = None, **data: str) -> Shown:
        """The newest card here that has the button is pressed; what it becomes is drawn and returned."""
        card = next((c for c in reversed(list(self._cards.values())) if c.button(verb, **data)), None)
        action = card.button(verb, **data) if card else None
        if card is None or action is None:
            raise StoryFault(_("{name} has no card with the button {verb}.", name=self._lane.name, verb=verb))
        given = inputs or {}
        self._stage.terminal.says(self._lane, pressed(action["title"], _labels(card.card, given)))
        filled = _filled(card.card) | dict(given) if action.get("associatedInputs") != "None" else {}
        pressed_action = {
            "type": action["type"],
            "id": action["id"],
            "verb": verb,
            "data": {**action["data"], **filled},
        }
        answer = await self._stage.post(
            self._activity(
                "invoke",
                name="adaptiveCard/action",
                replyToId=card.id,
                value={"action": pressed_action, "trigger": "manual"},
            )
        )
        return self._pressed(card, answer)

    def _pressed(self, card: Shown, answer: Any) -> Shown:
        value = answer.get("value") if isinstance(answer, dict) else None
        if not isinstance(value, dict):
            raise StoryFault(_('The press was answered with "{answer}" instead of a card.', answer=value))
        fresh = Shown(card.id, card.conversation, "", card.push, value, edited=True)
        self.keep(fresh)
        self._stage.terminal.card(self._here, value, label=_("the card becomes"))
        return fresh

    def _activity(self, kind: str, **more: Any) -> Json:
        person, channel = self.person, LOCAL_CHANNEL
        entities = [{"type": "clientInfo", "locale": current_speech().locale, "platform": "iOS", "timezone": TIMEZONE}]
        conversation = {"id": self.conversation, "conversationType": "personal", "tenantId": LOCAL_TENANT}
        channel_data: Json = {"tenant": {"id": LOCAL_TENANT}}
        if self._channel:
            conversation |= {"conversationType": "channel"}
            channel_data |= {"team": {"id": channel.team_id, "name": channel.team_name}, "channel": {"id": channel.id}}
        return {
            "type": kind,
            "id": f"f:{secrets.token_hex(8)}",
            "channelId": "msteams",
            "serviceUrl": self._stage.teams_url + LOCAL_SERVICE_PATH,
            "from": {"id": person.id, "name": person.name, "aadObjectId": person.aad_object_id},
            "recipient": {"id": LOCAL_BOT.id, "name": LOCAL_BOT.name},
            "conversation": conversation,
            "channelData": channel_data,
            **more,
            "entities": entities + more.get("entities", []),
        }

    # -------------------------------------------------------------- seeing

    async def gets(self, *words: str, verb: str = "", **data: str) -> Shown:
        """A new message that holds these words, and a card with this button if one is named."""
        return await self._sees(False, words, verb, data)

    async def sees_edited(self, *words: str, verb: str = "", **data: str) -> Shown:
        """A card here that was edited in place."""
        return await self._sees(True, words, verb, data)

    async def _sees(self, edited: bool, words: tuple[str, ...], verb: str, data: Mapping[str, str]) -> Shown:
        def fits(message: Shown) -> bool:
            found = all(word in message.words for word in words)
            return message.edited is edited and found and (not verb or message.button(verb, **data) is not None)

        what = " · ".join((self._here.name, *words, *([f"[{verb}]"] if verb else [])))
        message = await self._stage.see(self.conversation, what, fits)
        label = _("the card is edited") if edited else _("in the thread") if message.thread else _("new card")
        if message.card:
            self._stage.terminal.card(self._here, message.card, label=label)
        else:
            self._stage.terminal.hears(self._here, message.text, label=_("in the thread") if message.thread else "")
        return message


def _filled(card: Json) -> dict[str, str]:
    """The inputs as a client sends them when nobody touched them."""
    return {
        part["id"]: str(part.get("value", "")) for part in card.get("body", ()) if part["type"].startswith("Input.")
    }


def _labels(card: Json, given: Mapping[str, str]) -> dict[str, str]:
    """Inputs by the names and choices that people read."""
    named: dict[str, str] = {}
    for part in card.get("body", ()):
        if part.get("id") in given and part["type"].startswith("Input."):
            value = given[part["id"]]
            titles = {choice["value"]: choice["title"] for choice in part.get("choices", ())}
            named[shown(part["label"])] = shown(titles.get(value, value))
    return named


@asynccontextmanager
async def staged(
    settings: Settings, open_service: OpenService, terminal: Terminal, start: datetime
) -> AsyncIterator[Stage]:
    """The service on a free port, and the local Teams it posts to on another."""
    clock, connector = ForwardClock(start), LocalConnector()
    app = web.Application()
    app.add_routes(connector.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with open_service(settings, clock) as service, ClientSession() as session:
            with connector.feed.reader() as feed:
                store = service.provisioning.store
                yield Stage(service.url, f"http://127.0.0.1:{port}", store, session, clock, terminal, feed)
    finally:
        await runner.cleanup()
