"""From Teams' HTTP request to the receiver and back, with a receiver that does what the test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from bot.adapter import Adapter
from bot.messenger import TeamsMessenger
from bot.teams_bot import REMEMBERED, REMEMBERED_FOR, Deliveries, TeamsBot
from bot.turn import Answer, Chat, Incoming, SearchResult, Trigger
from provisioning.delivery_errors import TryAgain
from provisioning.ports import Member, Message
from tests.connector import (
    BOT_ID,
    TENANT,
    FakeConnector,
    Fault,
    activity,
    channel_fields,
    consent,
    press,
    search,
    serving,
)

CARD = {"type": "AdaptiveCard", "version": "1.5", "fallbackText": "Saved", "body": []}
CARD_TYPE = "application/vnd.microsoft.card.adaptive"
TOAST_TYPE = "application/vnd.microsoft.activity.message"
Does = Callable[[Incoming, Chat], Awaitable[Answer | None]]


class Handlers:
    """A receiver: what it heard, and what it does."""

    def __init__(self) -> None:
        self.heard: list[Incoming] = []
        self.does: Does = self.nothing

    async def nothing(self, incoming: Incoming, chat: Chat) -> Answer | None:
        return None

    async def receive(self, incoming: Incoming, chat: Chat) -> Answer | None:
        self.heard.append(incoming)
        return await self.does(incoming, chat)

    def answers(self, answer: Answer | None) -> None:
        async def does(incoming: Incoming, chat: Chat) -> Answer | None:
            return answer

        self.does = does


class Phone:
    """Posts activities to the bot as Teams would."""

    def __init__(self, client: TestClient[web.Request, web.Application], connector: FakeConnector) -> None:
        self._client, self._connector = client, connector

    async def says(self, text: str, **fields: Any) -> Any:
        return await self.posts(activity(self._connector, text=text, **fields))

    async def presses(self, verb: str = "confirm", **fields: Any) -> Any:
        return await self.posts(press(self._connector, verb, **fields))

    async def posts(self, body: dict[str, Any]) -> Any:
        """The JSON answered, None for an empty one; anything but 200 fails."""
        response = await self._client.post("/api/messages", json=body)
        assert response.status == 200, await response.text()
        return await response.json() if response.content_type == "application/json" else None


@asynccontextmanager
async def conversation(
    connector: FakeConnector, handlers: Handlers, now: Callable[[], float] | None = None
) -> AsyncIterator[Phone]:
    adapter = Adapter(None, allowed_service_hosts=())
    messenger = TeamsMessenger(adapter.connectors, seconds=1)
    bot = TeamsBot(handlers, messenger, local=True, now=now) if now else TeamsBot(handlers, messenger, local=True)
    async with serving(adapter, bot) as client:
        yield Phone(client, connector)


@pytest.fixture
async def connector() -> AsyncIterator[FakeConnector]:
    async with FakeConnector() as connector:
        yield connector


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def phone(connector: FakeConnector, handlers: Handlers) -> AsyncIterator[Phone]:
    async with conversation(connector, handlers) as phone:
        yield phone


# ---------------------------------------------------------------------- the answer


async def test_a_message_reaches_the_receiver_and_its_reply_the_chat(
    connector: FakeConnector, handlers: Handlers, phone: Phone
) -> None:
    async def does(incoming: Incoming, chat: Chat) -> None:
        first = await chat.send(Message(summary="s", text=f"heard {incoming.text}"))
        await chat.update(first, Message(summary="s", card=CARD))

    handlers.does = does
    assert await phone.says("issue oslo") is None
    (sent,), (updated,) = connector.sends, connector.updates
    assert (sent.conversation, sent.body["text"]) == ("a:sam", "heard issue oslo")
    assert (updated.activity_id, updated.card) == ("post-1", CARD)


async def test_a_reply_in_a_channel_goes_into_the_thread(
    connector: FakeConnector, handlers: Handlers, phone: Phone
) -> None:
    async def does(incoming: Incoming, chat: Chat) -> None:
        await chat.send(Message(summary="s", text="ok"))

    handlers.does = does
    await phone.says("<at>Provisioning Bot</at> connect oslo", **channel_fields("1699"))
    (sent,) = connector.sends
    assert (sent.conversation, sent.thread) == ("19:rollout@thread.tacv2", "1699")
    assert handlers.heard[0].text == "connect oslo"


async def test_the_sender_as_teams_knows_them(connector: FakeConnector, handlers: Handlers, phone: Phone) -> None:
    connector.knows("29:sam", name="Sam", aadObjectId="sam-id", userPrincipalName="sam@contoso.example")
    found: list[Member] = []

    async def does(incoming: Incoming, chat: Chat) -> None:
        found.append(await chat.member())

    handlers.does = does
    await phone.says("hello")
    assert found == [Member("sam-id", "29:sam", "Sam", "sam@contoso.example", TENANT)]


async def test_a_press_is_answered_in_line_with_the_fresh_card(
    connector: FakeConnector, handlers: Handlers, phone: Phone
) -> None:
    handlers.answers(Answer(card=CARD))
    assert await phone.presses("confirm", data={"mac": "805EC0112233"}) == {
        "statusCode": 200,
        "type": CARD_TYPE,
        "value": CARD,
    }
    (heard,) = handlers.heard
    assert (heard.trigger, heard.verb, heard.data) == (Trigger.PRESS, "confirm", {"mac": "805EC0112233"})
    assert connector.calls == []


async def test_a_refresh_is_told_from_a_click(handlers: Handlers, phone: Phone) -> None:
    """`trigger` exists only in the raw value; the SDK's model of it has no such field."""
    handlers.answers(Answer(card=CARD))
    await phone.presses("device", id="1", trigger="automatic")
    await phone.presses("device", id="2", trigger="manual")
    assert [heard.trigger for heard in handlers.heard] == [Trigger.REFRESH, Trigger.PRESS]


async def test_a_toast_is_a_string(handlers: Handlers, phone: Phone) -> None:
    """`AdaptiveCardInvokeResponse.value` must be a dict for the SDK, so its model cannot say a word."""
    handlers.answers(Answer(toast="Saved already"))
    assert await phone.presses() == {"statusCode": 200, "type": TOAST_TYPE, "value": "Saved already"}


async def test_no_answer_is_an_empty_200(handlers: Handlers, phone: Phone) -> None:
    """Without an answer in the turn the SDK says 501 Not Implemented."""
    assert await phone.presses() is None
    assert len(handlers.heard) == 1


async def test_a_failing_press_is_answered_with_a_sentence(
    connector: FakeConnector, handlers: Handlers, phone: Phone
) -> None:
    async def does(incoming: Incoming, chat: Chat) -> None:
        raise LookupError("805EC0112233")

    handlers.does = does
    answer = await phone.presses(id="1")
    assert answer["type"] == TOAST_TYPE
    assert "805E" not in answer["value"]
    await phone.says("hello", id="2")
    (sent,) = connector.sends
    assert sent.body["text"] == answer["value"]


async def test_a_chat_that_cannot_be_reached_is_no_failure_of_the_request(
    connector: FakeConnector, handlers: Handlers, phone: Phone
) -> None:
    async def does(incoming: Incoming, chat: Chat) -> None:
        await chat.send(Message(summary="s", text="x"))

    handlers.does = does
    connector.answers(Fault(403))
    await phone.says("hello")
    assert len(connector.calls) == 1


async def test_a_short_throttling_does_not_lose_the_reply(
    connector: FakeConnector, handlers: Handlers, phone: Phone
) -> None:
    async def does(incoming: Incoming, chat: Chat) -> None:
        await chat.update(await chat.send(Message(summary="s", text="x")), Message(summary="s", text="y"))

    handlers.does = does
    connector.answers(Fault(429, {"Retry-After": "0"}))
    await phone.says("hello", id="1")
    assert (len(connector.sends), len(connector.updates)) == (2, 1)
    connector.answers(Fault(429, {"Retry-After": "60"}))
    await phone.says("hello", id="2")  # too long to wait
    connector.answers(Fault(502))
    await phone.says("hello", id="3")  # may have arrived
    connector.answers(Fault(429, {"Retry-After": "0"}))
    await phone.presses(id="4")  # somebody waits for the answer
    assert (len(connector.sends), len(connector.updates)) == (5, 1)


async def test_what_a_search_found_is_a_list_of_previews_and_cards(
    connector: FakeConnector, handlers: Handlers
) -> None:
    handlers.answers(Answer(results=(SearchResult("2.14", "Oslo · provisioned", CARD),)))
    async with conversation(connector, handlers) as phone:
        found = await phone.posts(search(connector, "2.14", **channel_fields()))
    assert handlers.heard[0].text == "2.14"
    assert found == {
        "composeExtension": {
            "type": "result",
            "attachmentLayout": "list",
            "attachments": [
                {
                    "contentType": CARD_TYPE,
                    "content": CARD,
                    "preview": {
                        "contentType": "application/vnd.microsoft.card.thumbnail",
                        "content": {"title": "2.14", "text": "Oslo · provisioned"},
                    },
                }
            ],
        }
    }


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (Answer(text="Nothing found."), {"type": "message", "text": "Nothing found."}),
        (Answer(toast="You have no access yet."), {"type": "message", "text": "You have no access yet."}),
        (Answer(results=()), {"type": "result", "attachmentLayout": "list", "attachments": []}),
        (None, {"type": "result", "attachmentLayout": "list", "attachments": []}),
    ],
)
async def test_a_search_without_results_says_so(
    connector: FakeConnector, handlers: Handlers, answer: Answer | None, shown: dict[str, Any]
) -> None:
    handlers.answers(answer)
    async with conversation(connector, handlers) as phone:
        assert await phone.posts(search(connector)) == {"composeExtension": shown}


async def test_a_failing_search_says_so_where_the_results_would_stand(
    connector: FakeConnector, handlers: Handlers
) -> None:
    async def fails(incoming: Incoming, chat: Chat) -> None:
        raise RuntimeError("4829 1376 0257")

    handlers.does = fails
    async with conversation(connector, handlers) as phone:
        shown = (await phone.posts(search(connector, "x")))["composeExtension"]
    assert shown["type"] == "message"
    assert "logged" in shown["text"]
    assert connector.sends == []


async def test_a_consent_is_answered_with_nothing_and_its_card_can_be_taken_away(
    connector: FakeConnector, handlers: Handlers
) -> None:
    async def takes_away(incoming: Incoming, chat: Chat) -> None:
        await chat.delete(incoming.card_id)

    handlers.does = takes_away
    async with conversation(connector, handlers) as phone:
        assert await phone.posts(consent(connector, context={"export": "7"})) is None
    assert handlers.heard[0].consent
    assert [call.activity_id for call in connector.deletes] == ["post-7"]


async def test_a_fault_after_a_consent_is_a_message(connector: FakeConnector, handlers: Handlers) -> None:
    async def fails(incoming: Incoming, chat: Chat) -> None:
        raise RuntimeError("4829 1376 0257")

    handlers.does = fails
    async with conversation(connector, handlers) as phone:
        assert await phone.posts(consent(connector)) is None
    (call,) = connector.sends
    assert "logged" in call.body["text"]


async def test_foreign_invokes_are_answered_as_teams_expects(connector: FakeConnector, handlers: Handlers) -> None:
    async with conversation(connector, handlers) as phone:
        body = activity(connector, type="invoke", name="task/fetch", value={}, text=None)
        response = await phone._client.post("/api/messages", json=body)
        assert response.status == 501
    assert handlers.heard == []


@pytest.mark.parametrize("kind", ["typing", "messageReaction", "endOfConversation"])
async def test_the_rest_is_acknowledged_and_ignored(
    connector: FakeConnector, handlers: Handlers, phone: Phone, kind: str
) -> None:
    assert await phone.posts(activity(connector, type=kind, text=None)) is None
    assert handlers.heard == []


async def test_the_bot_joins_and_leaves(connector: FakeConnector, handlers: Handlers, phone: Phone) -> None:
    joined = activity(connector, id="1", type="conversationUpdate", text=None, membersAdded=[{"id": BOT_ID}])
    left = activity(connector, id="2", type="installationUpdate", text=None, action="remove")
    await phone.posts(joined)
    await phone.posts(left)
    assert [heard.trigger for heard in handlers.heard] == [Trigger.JOINED, Trigger.LEFT]


async def test_expected_replies_hold_card_and_text(connector: FakeConnector, handlers: Handlers, phone: Phone) -> None:
    async def does(incoming: Incoming, chat: Chat) -> None:
        mentions = (("29:dana", "Dana"),)
        await chat.send(Message(summary="push", text="<at>Dana</at>: look", card=CARD, mentions=mentions))

    handlers.does = does
    text, card = (await phone.says("hello", deliveryMode="expectReplies"))["activities"]
    assert (text["text"], text["entities"][0]["mentioned"]["id"]) == ("<at>Dana</at>: look", "29:dana")
    assert (card["summary"], card["attachments"][0]["content"]) == ("push", CARD)
    assert connector.calls == []


# ---------------------------------------------------------------------- the fallback button


async def submits(phone: Phone, connector: FakeConnector, **fields: Any) -> Any:
    value = {"verb": "confirm", "mac": "805EC0112233"}
    return await phone.posts(activity(connector, text=None, value=value, **{"replyToId": "post-7", **fields}))


async def test_the_fallback_button_edits_the_card(connector: FakeConnector, handlers: Handlers, phone: Phone) -> None:
    handlers.answers(Answer(card=CARD))
    assert await submits(phone, connector) is None
    (heard,) = handlers.heard
    assert (heard.verb, heard.data, heard.invoke) == ("confirm", {"mac": "805EC0112233"}, False)
    (updated,) = connector.updates
    assert (updated.activity_id, updated.card) == ("post-7", CARD)


async def test_the_short_word_of_a_fallback_button_is_sent(
    connector: FakeConnector, handlers: Handlers, phone: Phone
) -> None:
    handlers.answers(Answer(toast="Saved already"))
    await submits(phone, connector)
    (sent,) = connector.sends
    assert sent.body["text"] == "Saved already"


@pytest.mark.parametrize("gone", [True, False])
async def test_a_card_that_is_gone_or_unknown_is_posted_anew(
    connector: FakeConnector, handlers: Handlers, phone: Phone, gone: bool
) -> None:
    handlers.answers(Answer(card=CARD))
    if gone:
        connector.answers(Fault(404))
    await submits(phone, connector, **({} if gone else {"replyToId": None}))
    (sent,) = connector.sends
    assert (sent.card, sent.body["summary"]) == (CARD, "Saved")


# ---------------------------------------------------------------------- delivered again


async def test_a_message_delivered_again_takes_effect_once(
    connector: FakeConnector, handlers: Handlers, phone: Phone
) -> None:
    for _ in range(3):
        assert await phone.says("issue oslo") is None
    assert len(handlers.heard) == 1
    await phone.says("issue oslo", id="another")
    await phone.says("issue oslo", conversation={"id": "a:another"})  # ids are unique within their chat only
    assert len(handlers.heard) == 3


async def test_a_message_delivered_again_while_it_is_under_way(handlers: Handlers, phone: Phone) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def does(incoming: Incoming, chat: Chat) -> None:
        begun.set()
        await go.wait()

    handlers.does = does
    first = asyncio.create_task(phone.says("upload"))
    await begun.wait()
    await phone.says("upload")  # acknowledged at once
    assert not first.done()
    go.set()
    await first
    assert len(handlers.heard) == 1


async def test_a_press_delivered_again_waits_and_gets_its_answer_anew(handlers: Handlers, phone: Phone) -> None:
    """Its first answer was lost on the way; the business tells one intent from two by the operation key."""
    under_way: list[int] = []

    async def does(incoming: Incoming, chat: Chat) -> Answer:
        under_way.append(1)
        assert len(under_way) == 1
        await asyncio.sleep(0.02)
        under_way.pop()
        return Answer(card=CARD)

    handlers.does = does
    answers = await asyncio.gather(*(phone.presses() for _ in range(4)))
    assert [answer["type"] for answer in answers] == [CARD_TYPE] * 4
    assert len(handlers.heard) == 4


async def test_after_ten_minutes_it_is_forgotten(connector: FakeConnector, handlers: Handlers) -> None:
    clock = [0.0]
    async with conversation(connector, handlers, lambda: clock[0]) as phone:
        await phone.says("hello")
        clock[0] = REMEMBERED_FOR - 1
        await phone.says("hello")
        assert len(handlers.heard) == 1
        clock[0] = REMEMBERED_FOR
        await phone.says("hello")
        assert len(handlers.heard) == 2


async def test_a_failed_message_is_not_carried_out_again(handlers: Handlers, phone: Phone) -> None:
    async def does(incoming: Incoming, chat: Chat) -> None:
        raise TryAgain

    handlers.does = does
    await phone.says("hello")
    await phone.says("hello")
    assert len(handlers.heard) == 1


def test_the_memory_of_deliveries_is_bounded() -> None:
    deliveries = Deliveries()
    for number in range(REMEMBERED + 10):
        with deliveries.under_way(str(number)):
            pass
    assert deliveries.earlier("9") is None
    assert deliveries.earlier("10")


def test_what_is_over_is_not_kept_beyond_ten_minutes() -> None:
    clock = [0.0]
    deliveries = Deliveries(lambda: clock[0])
    for number in range(100):
        clock[0] = number * REMEMBERED_FOR / 10
        with deliveries.under_way(str(number)):
            pass
    clock[0] = 0.0  # to a clock that went back all are young: what is kept still shows
    assert [number for number in range(100) if deliveries.earlier(str(number))] == [*range(90, 100)]


def test_each_delivery_is_told_of_its_own_end_and_what_is_over_takes_little() -> None:
    deliveries = Deliveries()
    with deliveries.under_way("x"):
        first = deliveries.earlier("x")
        with deliveries.under_way("y"):
            assert first
            assert not first.is_set()
    assert first.is_set()
    over = {id(deliveries.earlier(key)) for key in "xy"}
    assert len(over) == 1
    assert deliveries.earlier("x") is not first


@pytest.mark.parametrize("end", [None, asyncio.CancelledError])
def test_what_comes_again_after_ten_minutes_is_under_way_by_itself(end: type[BaseException] | None) -> None:
    clock = [0.0]
    deliveries = Deliveries(lambda: clock[0])
    first, second = deliveries.under_way("x"), deliveries.under_way("x")
    first.__enter__()
    clock[0] = REMEMBERED_FOR + 1
    second.__enter__()
    first.__exit__(end, end() if end else None, None)
    known = deliveries.earlier("x")
    assert known
    assert not known.is_set()
    second.__exit__(None, None, None)
    assert known.is_set()


def test_a_cancelled_turn_may_come_again() -> None:
    deliveries = Deliveries()
    with pytest.raises(asyncio.CancelledError), deliveries.under_way("x"):
        raise asyncio.CancelledError
    assert deliveries.earlier("x") is None
