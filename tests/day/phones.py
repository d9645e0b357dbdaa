"""People's phones: what they type and press goes over the real door, what they read came over the connector."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any

import aiohttp

from tests.benchmarks.children import Child
from tests.connector import TENANT, FakeConnector, activity, channel_fields, press
from tests.day.book import Book

READ_EVERY = 0.05  # seconds; nobody reads faster
REPLY_SECONDS = 30.0
_LATEST = 30  # cards of a chat that somebody may still press
_ids = count(1)


@dataclass
class Card:
    """One message with a card, as it stands."""

    id: str
    content: dict[str, Any]

    def actions(self) -> Iterator[dict[str, Any]]:
        yield from _actions(self.content)

    def button(self, verb: str, **data: str) -> dict[str, Any] | None:
        for action in self.actions():
            if action.get("verb") == verb and data.items() <= action.get("data", {}).items():
                return action
        return None

    @property
    def code(self) -> str:
        """The code that it shows, without what groups it; empty where it shows none."""
        shown = [part["text"] for part in self.content.get("body", ()) if part.get("id") == "code"]
        return "".join(filter(str.isalnum, "".join(shown)))


def _actions(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for each in node:
            yield from _actions(each)
    elif isinstance(node, dict):
        if node.get("type") == "Action.Execute" and node.get("verb"):
            yield node
        for name, each in node.items():
            if name != "refresh":
                yield from _actions(each)


@dataclass
class Teams:
    """Everybody's screens, the doors of the service, and the connector behind them."""

    wire: Child
    doors: list[str]
    book: Book
    http: aiohttp.ClientSession
    screens: dict[str, list[Card]] = field(default_factory=lambda: defaultdict(list))
    posts: dict[str, list[Card | None]] = field(default_factory=lambda: defaultdict(list))  # of each chat, so far
    sends: list[float] = field(default_factory=list)  # when each write was taken
    statuses: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        self._next = cycle(self.doors)
        self.teams = FakeConnector()
        self.teams.url = self.wire.hello
        self.changed = asyncio.Condition()

    def door(self) -> str:
        """As a load balancer shares them out."""
        return next(self._next)

    async def reads(self) -> None:
        """Whatever the connector was given, as long as it lasts."""
        while True:
            news = await self.wire.does("news")
            for each in news:
                self._saw(each)
            if news:
                async with self.changed:
                    self.changed.notify_all()
            await asyncio.sleep(READ_EVERY)

    def _saw(self, news: dict[str, Any]) -> None:
        self.statuses[news["status"]] += 1
        if news["status"] not in (200, 201):
            return
        self.sends.append(news["at"])
        place, content = news["conversation"], news["card"]
        card = self.shows(place, news["id"], content) if content else None
        if news["method"] == "POST":
            self.posts[place].append(card)

    def shows(self, conversation: str, id_: str, content: dict[str, Any]) -> Card:
        screen = self.screens[conversation]
        card = next((each for each in screen if each.id == id_), None)
        if card is None:
            screen.append(card := Card(id_, content))
            del screen[:-_LATEST]
        card.content = content
        return card

    async def posts_to(self, kind: str, due: float, body: dict[str, Any]) -> Any:
        """The answer's body; None where it went wrong, which is written down."""
        try:
            async with self.http.post(f"{self.door()}/api/messages", json=body) as answer:
                said = await answer.json(content_type=None)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            return self.book.fault(kind, repr(error))
        if isinstance(said, dict) and said.get("statusCode", 200) != 200:
            status = said["statusCode"]
        if status not in (200, 201, 202):
            return self.book.fault(kind, f"{status}: {said}")
        self.book.took(kind, due)
        return said if said is not None else {}


class Phone:
    """One person in a chat of their own. `kind` names what is measured; `due` is when they wanted to do it."""

    def __init__(self, teams: Teams, person: str, name: str) -> None:
        self._teams = teams
        self.conversation = f"a:{person}"
        self._sender = {"id": f"29:{person}", "name": name, "aadObjectId": person}
        self._chat = {"id": self.conversation, "conversationType": "personal", "tenantId": TENANT}

    @property
    def cards(self) -> list[Card]:
        """The newest first."""
        return self._teams.screens[self.conversation][::-1]

    def with_button(self, verb: str, **data: str) -> tuple[Card, dict[str, Any]] | None:
        found = ((card, button) for card in self.cards if (button := card.button(verb, **data)))
        return next(found, None)

    async def says(self, kind: str, due: float, text: str, **fields: Any) -> list[Card] | None:
        """The cards that came since, of which one answers it; None where none did, which is written down."""
        seen = len(self._teams.posts[self.conversation])
        if await self._teams.posts_to(kind, due, self._typed(text, **fields)) is None:
            return None
        return await self._reads(kind, text, seen)

    async def says_in(self, channel: str, kind: str, text: str) -> None:
        """In a channel, to the bot."""
        fields = channel_fields(channel)
        fields["conversation"]["id"] = f"19:{channel}@thread.tacv2;messageid={next(_ids)}"
        fields["channelData"]["channel"] = {"id": f"19:{channel}@thread.tacv2", "name": channel}
        await self._teams.posts_to(kind, time.monotonic(), self._typed(text, **fields))

    def _typed(self, text: str, **fields: Any) -> dict[str, Any]:
        base = {"from_": self._sender, "conversation": self._chat, "id": f"t{next(_ids)}", "text": text}
        return activity(self._teams.teams, **{**base, **fields})

    async def _reads(self, kind: str, text: str, seen: int) -> list[Card] | None:
        teams, posts = self._teams, self._teams.posts[self.conversation]
        try:
            async with asyncio.timeout(REPLY_SECONDS), teams.changed:
                await teams.changed.wait_for(lambda: len(posts) > seen)
        except TimeoutError:
            teams.book.fault(kind, f"nothing was said to {text!r}")
            return None
        if not (cards := [card for card in posts[seen:] if card]):
            teams.book.fault(kind, f"{text!r} was answered without a card")
        return cards or None

    async def presses(self, kind: str, due: float, card: Card, button: dict[str, Any], **inputs: Any) -> Card | None:
        """The card as it stands afterwards; None where it was refused."""
        data = {**button.get("data", {}), **inputs}
        said = await self._acts(kind, due, card, verb=button["verb"], data=data)
        if said is None:
            return None
        if not isinstance(value := said.get("value"), dict):
            return card  # a toast
        return self._teams.shows(self.conversation, card.id, value)

    async def opens(self, kind: str, due: float, card: Card) -> None:
        """A client that shows the card asks for how it stands now."""
        if action := card.content.get("refresh", {}).get("action"):
            said = await self._acts(
                kind, due, card, verb=action["verb"], data=action.get("data", {}), trigger="automatic"
            )
            if said and isinstance(value := said.get("value"), dict):
                self._teams.shows(self.conversation, card.id, value)

    async def _acts(self, kind: str, due: float, card: Card, **fields: Any) -> Any:
        base = {"from_": self._sender, "conversation": self._chat, "id": f"p{next(_ids)}", "replyToId": card.id}
        return await self._teams.posts_to(kind, due, press(self._teams.teams, **base, **fields))
