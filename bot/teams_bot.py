"""Activity in, answer out: `Incoming` → receiver → `Answer` → message or invoke response."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import structlog
from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ChannelAccount, Mention

from bot.activity import Json, read
from bot.adapter import TOAST_TYPE, answer_invoke, search_message
from bot.bodies import CARD_TYPE, bodies
from bot.turn import Answer, Incoming, Receiver, Trigger
from provisioning.delivery_errors import PostGone, Throttled
from provisioning.ports import Member, Message, Messenger

log = structlog.get_logger(__name__)

PREVIEW_TYPE: Final = "application/vnd.microsoft.card.thumbnail"
REMEMBERED_FOR: Final = 600.0  # seconds; Teams gives up on a delivery long before
REMEMBERED: Final = 10_000
PATIENCE: Final = 5.0  # seconds a reply may wait; Teams delivers its question again after about fifteen
T = TypeVar("T")


class Deliveries:
    """The activities in flight or done within ten minutes: Teams sends again what was not acknowledged in time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: OrderedDict[str, tuple[float, asyncio.Event]] = OrderedDict()  # the oldest first
        self._over = asyncio.Event()  # of all that are done: each of its own takes 0.9 KiB
        self._over.set()

    def earlier(self, key: str) -> asyncio.Event | None:
        """Set once the earlier delivery is done; None when this is the first."""
        entry = self._seen.get(key)
        return entry[1] if entry and self._now() - entry[0] < REMEMBERED_FOR else None

    @contextmanager
    def under_way(self, key: str) -> Iterator[None]:
        now, done = self._now(), asyncio.Event()
        self._seen[key] = (now, done)
        self._seen.move_to_end(key)
        self._forget(now)
        try:
            yield
        except asyncio.CancelledError:
            if self._is_latest(key, done):
                del self._seen[key]  # it was not carried out: the next delivery is the first again
            raise
        finally:
            done.set()
            if self._is_latest(key, done):
                self._seen[key] = (now, self._over)

    def _is_latest(self, key: str, done: asyncio.Event) -> bool:
        """Whether it did not come again meanwhile: what is under way after ten minutes is another matter."""
        entry = self._seen.get(key)
        return entry is not None and entry[1] is done

    def _forget(self, now: float) -> None:
        """Those of more than ten minutes ago, and beyond so many the oldest."""
        while len(self._seen) > REMEMBERED or now - next(iter(self._seen.values()))[0] >= REMEMBERED_FOR:
            self._seen.popitem(last=False)


class _Chat:
    """The conversation of one turn. Replies go into the thread they were asked in."""

    def __init__(self, context: TurnContext, incoming: Incoming, messenger: Messenger) -> None:
        self._context, self._incoming, self._messenger = context, incoming, messenger

    async def send(self, message: Message) -> str:
        if self._context.activity.delivery_mode == "expectReplies":
            replies = bodies(self._incoming.conversation, message)
            await self._context.send_activities([_model(reply) for reply in replies])
            return ""
        place, thread = self._incoming.conversation, self._incoming.thread
        return await self._patiently(lambda: self._messenger.send(place, message, thread=thread))

    async def update(self, activity_id: str, message: Message) -> None:
        place = self._incoming.conversation
        await self._patiently(lambda: self._messenger.update(place, activity_id, message))

    async def delete(self, activity_id: str) -> None:
        place = self._incoming.conversation
        await self._patiently(lambda: self._messenger.delete(place, activity_id))

    async def member(self) -> Member:
        return await self._messenger.member(self._incoming.conversation, self._incoming.sender.teams_id)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Once more after a short throttling, as the question is acknowledged and nobody else would answer it.

        Not for what may have arrived, and not while a press waits for its answer.
        """
        try:
            return await call()
        except Throttled as throttled:
            seconds = throttled.retry_after if throttled.retry_after is not None else 1.0
            if self._incoming.invoke or seconds > PATIENCE:
                raise
            await asyncio.sleep(seconds + random.uniform(0, 0.5))  # noqa: S311 - so that not all come back at once
            return await call()


class TeamsBot:
    """Hands every activity to the receiver once. `local`: somebody without an object id is known by the chat id."""

    def __init__(
        self,
        receiver: Receiver,
        messenger: Messenger,
        *,
        local: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receiver, self._messenger, self._local = receiver, messenger, local
        self._deliveries = Deliveries(now)

    async def on_turn(self, context: TurnContext, raw: Json) -> None:
        incoming = read(raw, local=self._local)
        if incoming is None:
            if raw["type"] == "invoke":
                await answer_invoke(context, None, status=501)  # what Teams expects for "not one of mine"
            return
        # Activity ids are unique within their conversation only.
        key = f"{incoming.conversation.id}|{incoming.activity_id}"
        while (earlier := self._deliveries.earlier(key) if incoming.activity_id else None) is not None:
            if not incoming.invoke:
                log.info("delivered again")
                return
            if earlier.is_set():
                break  # its answer was lost; the business knows the operation and answers with its result
            await earlier.wait()  # then look again: of several that waited, one goes first
        with self._deliveries.under_way(key):
            await self._carry_out(context, incoming)

    async def _carry_out(self, context: TurnContext, incoming: Incoming) -> None:
        chat = _Chat(context, incoming, self._messenger)
        answer = await self._receiver.receive(incoming, chat)
        if incoming.invoke:
            await answer_invoke(context, _INVOKE_BODIES[incoming.trigger](answer))
        elif answer is not None:
            await _answer_by_message(chat, incoming, answer)


def _model(body: Json) -> Activity:
    """For replies that the SDK collects. Its entity model drops who is mentioned, its mention model does not."""
    activity = Activity.deserialize(body)
    activity.entities = [
        Mention(mentioned=ChannelAccount(**entity["mentioned"]), text=entity["text"], type="mention")
        for entity in body.get("entities", ())
    ] or None
    return activity


def _card_body(answer: Answer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    if answer.card is not None:
        return {"statusCode": 200, "type": CARD_TYPE, "value": answer.card}
    return {"statusCode": 200, "type": TOAST_TYPE, "value": answer.toast}


def _search_body(answer: Answer | None) -> dict[str, Any]:
    """What the compose box lists: a line of each result, and the card that choosing it puts into the message."""
    found = answer or Answer()
    if found.results is None and (sentence := found.text or found.toast):
        return search_message(sentence)
    attachments = [
        {
            "contentType": CARD_TYPE,
            "content": result.card,
            "preview": {"contentType": PREVIEW_TYPE, "content": {"title": result.title, "text": result.text}},
        }
        for result in found.results or ()
    ]
    return {"composeExtension": {"type": "result", "attachmentLayout": "list", "attachments": attachments}}


def _no_body(_answer: Answer | None) -> None:
    """Teams wants nothing but a 200; what there is to say is a message."""


_INVOKE_BODIES: Final[Mapping[Trigger, Callable[[Answer | None], dict[str, Any] | None]]] = {
    Trigger.PRESS: _card_body,
    Trigger.REFRESH: _card_body,
    Trigger.SEARCH: _search_body,
    Trigger.CONSENT: _no_body,
}


async def _answer_by_message(chat: _Chat, incoming: Incoming, answer: Answer) -> None:
    """A press that came as a message waits for no answer: the card is edited, the short word is sent.

    In a channel the card is everybody's, and what one presses is not: there the answer is a message of its own.
    """
    if answer.card is not None:
        message = Message(summary=str(answer.card.get("fallbackText", "")), card=answer.card)
        try:
            if not (incoming.card_id and incoming.conversation.personal):
                raise PostGone
            await chat.update(incoming.card_id, message)
        except PostGone:
            await chat.send(message)
    if answer.toast:
        await chat.send(Message(summary=answer.toast, text=answer.toast))
