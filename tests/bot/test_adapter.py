"""The Teams door over real HTTP: answers serialised once, failures told in a sentence, one client and one token."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from botbuilder.schema import AdaptiveCardInvokeResponse

from bot.adapter import CALLS_AT_ONCE, Bot
from provisioning.delivery_errors import TryAgain
from provisioning.errors import NoAccess
from tests.bot.echo import Echo, guarded, local, post
from tests.connector import FakeConnector, FakeIdentity, Fault, activity, press, serving


@pytest.fixture
async def connector() -> AsyncIterator[FakeConnector]:
    async with FakeConnector() as connector:
        yield connector


@pytest.fixture
async def identity() -> AsyncIterator[FakeIdentity]:
    async with FakeIdentity() as identity:
        yield identity


async def test_a_message_is_acknowledged_and_answered(connector: FakeConnector) -> None:
    async with serving(local(), Echo()) as client:
        response = await post(client, activity(connector, text="hei \U0001f600"))
        assert (response.status, await response.text()) == (200, "")
    (call,) = await connector.sent(1)
    assert call.body["text"] == "you said hei \U0001f600"
    assert call.conversation == "a:sam"
    assert call.authorization == ""


# ---------------------------------------------------------------------- answers

CARD = {"type": "AdaptiveCard", "version": "1.5", "body": [{"type": "TextBlock", "text": "Saved"}]}
BODIES = {
    "a dict": (lambda: {"statusCode": 200, "value": CARD}, {"statusCode": 200, "value": CARD}),
    "a list": (lambda: [CARD, "x"], [CARD, "x"]),
    "a model": (
        lambda: AdaptiveCardInvokeResponse(status_code=200, type="application/vnd.microsoft.card.adaptive", value=CARD),
        {"statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": CARD},
    ),
    "a model in a dict": (
        lambda: {"outer": [AdaptiveCardInvokeResponse(status_code=200, type="t", value=CARD)]},
        {"outer": [{"statusCode": 200, "type": "t", "value": CARD}]},
    ),
}


@pytest.mark.parametrize("case", BODIES)
async def test_the_answer_to_an_invoke_is_serialised_once(connector: FakeConnector, case: str) -> None:
    """botbuilder-integration-aiohttp serialises twice: it answers 500 to every invoke that returns a body."""
    make, expected = BODIES[case]
    async with serving(local(), Echo(make())) as client:
        response = await post(client, press(connector))
        assert response.status == 200
        assert response.content_type == "application/json"
        assert await response.json() == expected


async def test_an_empty_answer_is_an_empty_200(connector: FakeConnector) -> None:
    async with serving(local(), Echo(None)) as client:
        response = await post(client, press(connector))
        assert (response.status, await response.text()) == (200, "")


async def test_expected_replies_come_in_the_answer(connector: FakeConnector) -> None:
    """botbuilder-integration-aiohttp answers 500 to `deliveryMode: expectReplies`: the same double serialisation."""
    async with serving(local(), Echo()) as client:
        response = await post(client, activity(connector, text="hello", deliveryMode="expectReplies"))
        (reply,) = (await response.json())["activities"]
    assert reply["text"] == "you said hello"
    assert connector.calls == []


async def test_expected_replies_hold_the_answer_to_an_invoke(connector: FakeConnector) -> None:
    async with serving(local(), Echo({"a": 1})) as client:
        response = await post(client, press(connector, deliveryMode="expectReplies"))
        (reply,) = (await response.json())["activities"]
    assert reply["type"] == "invokeResponse"
    assert reply["value"] == {"status": 200, "body": {"a": 1}}


async def test_a_failing_turn_says_one_plain_sentence(connector: FakeConnector) -> None:
    async with serving(local(), Echo(fails=RuntimeError("secret detail"))) as client:
        response = await post(client, activity(connector))
        assert (response.status, await response.text()) == (200, "")
    (call,) = await connector.sent(1)
    assert "try again" in call.body["text"]
    assert "secret" not in json.dumps(call.body)


async def test_a_refusal_that_nobody_caught_is_said_in_its_own_words(connector: FakeConnector) -> None:
    async with serving(local(), Echo(fails=NoAccess())) as client:
        await post(client, activity(connector))
    (call,) = await connector.sent(1)
    assert call.body["text"] == "You have no access yet."


async def test_a_failing_invoke_is_answered_all_the_same(connector: FakeConnector) -> None:
    """The SDK answers 501 where on_turn_error swallows an exception: the answer must be put into the turn there."""
    async with serving(local(), Echo(fails=RuntimeError("secret detail"))) as client:
        response = await post(client, press(connector))
        answer = await response.json()
    assert response.status == 200
    assert answer["type"] == "application/vnd.microsoft.activity.message"
    assert "try again" in answer["value"]
    assert "secret" not in json.dumps(answer)


async def test_an_answer_that_is_no_json_is_a_failure_like_any_other(connector: FakeConnector) -> None:
    async with serving(local(), Echo({"card": object()})) as client:
        response = await post(client, press(connector))
        assert response.status == 200
        assert "try again" in (await response.json())["value"]


async def test_a_turn_that_cannot_even_apologise_is_still_acknowledged(connector: FakeConnector) -> None:
    connector.answers(Fault(502, body="<html>bad gateway</html>", content_type="text/html"))
    async with serving(local(), Echo(fails=RuntimeError())) as client:
        assert (await post(client, activity(connector))).status == 200
    async with serving(local(), Echo(fails=TryAgain())) as client:
        assert (await post(client, activity(connector))).status == 200
    assert len(connector.sends) == 1  # what could not be delivered is not followed by another message


# ---------------------------------------------------------------------- clients


async def test_a_good_token_is_let_in_and_ours_is_fetched_once(
    connector: FakeConnector, identity: FakeIdentity
) -> None:
    """The SDK makes an MSAL application, so asks for a token, on every turn, blocking the event loop."""
    bot = Echo()
    async with serving(guarded(identity), bot) as client:
        for number in range(5):
            message = activity(connector, id=f"m{number}")
            assert (await post(client, message, identity.token(connector))).status == 200
        await asyncio.gather(*(post(client, activity(connector), identity.token(connector)) for _ in range(10)))
    assert bot.turns == len(connector.sends) == 15
    assert {call.authorization for call in connector.calls} == {"Bearer token-1"}
    assert (identity.token_fetches, identity.key_fetches) == (1, 1)


async def test_a_refused_token_of_ours_is_replaced_once(connector: FakeConnector, identity: FakeIdentity) -> None:
    connector.answers(Fault(401))
    async with serving(guarded(identity), Echo()) as client:
        assert (await post(client, activity(connector), identity.token(connector))).status == 200
    assert [call.authorization for call in connector.sends] == ["Bearer token-1", "Bearer token-2"]


async def test_a_wrong_password_of_ours_fails_the_sending_alone(
    connector: FakeConnector, identity: FakeIdentity
) -> None:
    async with serving(guarded(identity, password="wrong"), Echo()) as client:
        assert (await post(client, activity(connector), identity.token(connector))).status == 200
    assert connector.calls == []


async def test_turns_share_one_client_and_one_connection(connector: FakeConnector) -> None:
    """The SDK makes two REST clients and a new connection per turn; its retry policy alone costs 6 ms each."""
    adapter = local()
    async with serving(adapter, Echo()) as client:
        first = await adapter.connectors.create(connector.url)
        for _ in range(20):
            await post(client, activity(connector))
        assert await adapter.connectors.create(connector.url + "/") is first
    assert len(connector.sends) == 20
    assert len(connector.connections) == 1


async def test_the_clients_are_bounded(connector: FakeConnector) -> None:
    adapter = local()
    first = await adapter.connectors.create("http://127.0.0.1/0")
    for number in range(200):
        await adapter.connectors.create(f"http://127.0.0.1/{number}")
    assert await adapter.connectors.create("http://127.0.0.1/0") is not first
    await adapter.close()


async def test_calls_that_hang_keep_nobody_from_keys_and_tokens(
    connector: FakeConnector, identity: FakeIdentity
) -> None:
    adapter = guarded(identity)
    assert adapter.tokens
    await adapter.tokens.get("https://api.example")
    free = connector.holds("a:sam")
    url = f"{connector.url}/v3/conversations/a:sam/activities"
    hanging = [asyncio.create_task(adapter.session().post(url, json={})) for _ in range(CALLS_AT_ONCE + 20)]
    await connector.called(CALLS_AT_ONCE)
    assert await adapter.tokens.get("https://graph.example") == "token-2"
    assert len(connector.calls) == CALLS_AT_ONCE
    free.set()
    for answer in await asyncio.gather(*hanging):
        answer.release()
    await adapter.close()


_: type[Bot] = Echo  # the test's bot is what the adapter asks for
