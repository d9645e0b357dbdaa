"""The Teams door over real HTTP: strict bodies, checked callers, answers serialised once, one client and one token."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from botbuilder.core import TurnContext
from botbuilder.schema import AdaptiveCardInvokeResponse
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bot.activity import Json
from bot.adapter import Adapter, Bot, answer_invoke
from bot.adapter_http import RefusedError, ServiceHosts
from bot.adapter_trust import KeysUnavailableError, SigningKeys, UnknownKeyError
from bot.credentials import Credentials
from bot.kept import ASK_EVERY, PUBLISHED
from provisioning.delivery_errors import TryAgain
from provisioning.errors import NoAccess
from tests.connector import (
    APP_ID,
    APP_PASSWORD,
    TENANT,
    FakeConnector,
    FakeIdentity,
    Fault,
    activity,
    press,
    serving,
)

Client = TestClient[web.Request, web.Application]


class Echo:
    """Says what it hears; an invoke is answered with `body`. `fails` is raised instead."""

    def __init__(self, body: Any = None, fails: Exception | None = None) -> None:
        self.body, self.fails = body, fails
        self.turns = 0

    async def on_turn(self, context: TurnContext, raw: Json) -> None:
        self.turns += 1
        if self.fails:
            raise self.fails
        if raw["type"] == "invoke":
            await answer_invoke(context, self.body)
        else:
            await context.send_activity(f"you said {raw['text']}")


@pytest.fixture
async def connector() -> AsyncIterator[FakeConnector]:
    async with FakeConnector() as connector:
        yield connector


@pytest.fixture
async def identity() -> AsyncIterator[FakeIdentity]:
    async with FakeIdentity() as identity:
        yield identity


def local() -> Adapter:
    return Adapter(None, allowed_service_hosts=(), body_seconds=1.0)


def guarded(identity: FakeIdentity, password: str = APP_PASSWORD) -> Adapter:
    credentials = Credentials(APP_ID, password, TENANT)
    return Adapter(credentials, allowed_service_hosts=("127.0.0.1",), cloud=identity.cloud())


async def post(client: Client, body: Any, token: str | None = None) -> aiohttp.ClientResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await client.post("/api/messages", json=body, headers=headers)


# ---------------------------------------------------------------------- bodies

JSON = {"Content-Type": "application/json"}


def without(name: str) -> Callable[[FakeConnector], bytes]:
    return lambda connector: json.dumps(activity(connector, **{name: None})).encode()


def but(**fields: Any) -> Callable[[FakeConnector], bytes]:
    return lambda connector: json.dumps(activity(connector, **fields)).encode()


def raw(body: bytes) -> Callable[[FakeConnector], bytes]:
    return lambda connector: body


def spliced(part: str) -> Callable[[FakeConnector], bytes]:
    """A good activity with one more field, written by hand."""
    return lambda connector: json.dumps(activity(connector)).encode()[:-1] + b", " + part.encode() + b"}"


HOSTILE = {
    "empty": (raw(b""), 400),
    "not JSON": (raw(b"hello"), 400),
    "cut off": (raw(b'{"type": "message"'), 400),
    "two documents": (raw(b"{}{}"), 400),
    "null": (raw(b"null"), 400),
    "a string": (raw(b'"message"'), 400),
    "a number": (raw(b"42"), 400),
    "a list": (raw(b"[]"), 400),
    "a list of activities": (lambda connector: json.dumps([activity(connector)]).encode(), 400),
    "an empty object": (raw(b"{}"), 400),
    "UTF-16": (raw('{"type": "message"}'.encode("utf-16")), 400),
    "broken UTF-8": (raw(b'{"type": "\xff\xfe"}'), 400),
    "no type": (without("type"), 400),
    "type a number": (but(type=5), 400),
    "type empty": (but(type=""), 400),
    "no conversation": (without("conversation"), 400),
    "conversation a string": (but(conversation="a:sam"), 400),
    "conversation without id": (but(conversation={"name": "x"}), 400),
    "conversation id a list": (but(conversation={"id": ["a:sam"]}), 400),
    "conversation id a path": (but(conversation={"id": ".."}), 400),
    "no from": (but(from_=None), 400),
    "from without id": (but(from_={"name": "Sam"}), 400),
    "from a list": (but(from_=[1]), 400),
    "from id endless": (but(from_={"id": "x" * 5000}), 400),
    "no serviceUrl": (without("serviceUrl"), 400),
    "serviceUrl a number": (but(serviceUrl=1), 400),
    "serviceUrl elsewhere": (but(serviceUrl="http://evil.example/"), 403),
    "serviceUrl with a user": (but(serviceUrl="http://127.0.0.1@evil.example/"), 403),
    "serviceUrl with a brace": (but(serviceUrl="http://127.0.0.1/{0}"), 403),
    "serviceUrl of a file": (but(serviceUrl="file:///etc/passwd"), 403),
    "text an object": (but(text={"a": 1}), 400),
    "id a number": (but(id=7), 400),
    "id endless": (but(id="1" * 5000), 400),
    "recipient a list": (but(recipient=["28:bot"]), 400),
    "channelData a list": (but(channelData=["tenant"]), 400),
    "entities an object": (but(entities={"type": "mention"}), 400),
    "entities of strings": (but(entities=["mention"]), 400),
    "membersAdded a number": (but(membersAdded=3), 400),
    "NaN": (spliced('"value": NaN'), 400),
    "infinity by exponent": (spliced('"value": 1e999'), 400),
    "a huge number": (spliced('"value": ' + "9" * 5000), 400),
    "a long number": (spliced('"value": ' + "9" * 400), 400),
    "half a surrogate": (spliced('"name": "\\ud800"'), 400),
    "nested beyond the parser": (spliced('"value": ' + "[" * 100_000 + "]" * 100_000), 400),
    "nested beyond reason": (spliced('"value": ' + '{"a":' * 200 + "1" + "}" * 200), 400),
    "invoke without name": (but(type="invoke", value={}), 400),
    "press without value": (but(type="invoke", name="adaptiveCard/action"), 400),
    "press with a list": (but(type="invoke", name="adaptiveCard/action", value=[]), 400),
    "press with action a string": (but(type="invoke", name="adaptiveCard/action", value={"action": "x"}), 400),
    "press with verb a number": (but(type="invoke", name="adaptiveCard/action", value={"action": {"verb": 1}}), 400),
    "press with data a list": (but(type="invoke", name="adaptiveCard/action", value={"action": {"data": [1]}}), 400),
    "too large": (but(text="x" * 300_000), 413),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_body_is_refused_and_reaches_nobody(connector: FakeConnector, case: str) -> None:
    """The SDK answers 500 to malformed bodies: its deserialiser raises where nobody catches."""
    make, status = HOSTILE[case]
    bot = Echo()
    async with serving(local(), bot) as client:
        response = await client.post("/api/messages", data=make(connector), headers=JSON)
        assert response.status == status
        assert "error" in await response.json()
    assert bot.turns == 0
    assert connector.calls == []


async def test_only_json_is_read(connector: FakeConnector) -> None:
    async with serving(local(), Echo()) as client:
        response = await client.post("/api/messages", data=b"{}", headers={"Content-Type": "text/plain"})
        assert response.status == 415


async def test_a_body_that_never_ends_is_cut_at_the_limit(connector: FakeConnector) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 1024

    async with serving(local(), Echo()) as client:
        response = await client.post("/api/messages", data=endless(), headers=JSON)
        assert response.status == 413


async def test_a_small_body_cannot_become_a_big_one(connector: FakeConnector) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    async with serving(local(), Echo()) as client:
        bomb = await client.post("/api/messages", data=gzip.compress(b" " * 20_000_000), headers=headers)
        assert bomb.status == 413
        broken = await client.post("/api/messages", data=b"not gzip at all", headers=headers)
        assert broken.status == 400


async def test_a_slow_body_is_not_waited_for(connector: FakeConnector) -> None:
    async def dripping() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" "
            await asyncio.sleep(0.05)

    async with serving(local(), Echo()) as client:
        response = await client.post("/api/messages", data=dripping(), headers=JSON)
        assert response.status == 408


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


# ---------------------------------------------------------------------- callers


def by_hand(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    def part(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    signed = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(sign(signed))).decode()


def claims_of(connector: FakeConnector) -> dict[str, Any]:
    return {
        "iss": FakeIdentity.issuer,
        "aud": APP_ID,
        "serviceurl": connector.url,
        "exp": int(time.time()) + 3600,
    }


def hs256(identity: FakeIdentity, connector: FakeConnector) -> str:
    """Signed with the public key as if it were a shared secret."""
    public = identity.keys["key-1"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "kid": "key-1", "typ": "JWT"}
    return by_hand(header, claims_of(connector), lambda data: hmac.digest(public, data, hashlib.sha256))


def unsigned(identity: FakeIdentity, connector: FakeConnector) -> str:
    return by_hand({"alg": "none", "kid": "key-1"}, claims_of(connector), lambda data: b"")


STRANGER = rsa.generate_private_key(65537, 2048)
HOUR_AGO = int(time.time()) - 3600
EMULATOR = "https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/"
BAD_TOKENS: dict[str, Callable[[FakeIdentity, FakeConnector], str | None]] = {
    "none at all": lambda identity, connector: None,
    "garbage": lambda identity, connector: "garbage",
    "three parts of garbage": lambda identity, connector: "a.b.c",
    "two words": lambda identity, connector: identity.token(connector) + " x",
    "expired": lambda identity, connector: identity.token(connector, exp=HOUR_AGO),
    "never ending": lambda identity, connector: identity.token(connector, exp=None),
    "not yet valid": lambda identity, connector: identity.token(connector, nbf=int(time.time()) + 3600),
    "wrong signature": lambda identity, connector: identity.token(connector, key=STRANGER),
    "unknown key": lambda identity, connector: identity.token(connector, kid="key-9", key=STRANGER),
    "no key named": lambda identity, connector: identity.token(connector, kid=None),
    "HS256 with the public key": hs256,
    "algorithm none": unsigned,
    "other issuer": lambda identity, connector: identity.token(connector, iss="https://evil.example"),
    "no issuer": lambda identity, connector: identity.token(connector, iss=None),
    "other bot": lambda identity, connector: identity.token(connector, aud="another-app"),
    "no audience": lambda identity, connector: identity.token(connector, aud=None),
    "other service": lambda identity, connector: identity.token(connector, serviceurl="https://evil.example"),
    "no service": lambda identity, connector: identity.token(connector, serviceurl=None),
    "an emulator's": lambda identity, connector: identity.token(connector, iss=EMULATOR, ver="1.0", appid=APP_ID),
    "another bot's": lambda identity, connector: identity.token(connector, iss=EMULATOR, ver="1.0", appid="other"),
    "a key endorsed for nobody": lambda identity, connector: identity.token(
        connector, kid="loose", key=identity.keys["loose"]
    ),
    "a key endorsed for another channel": lambda identity, connector: identity.token(
        connector, kid="slack", key=identity.keys["slack"]
    ),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
async def test_a_bad_token_is_401(connector: FakeConnector, identity: FakeIdentity, case: str) -> None:
    """The SDK answers 500 to bad tokens, and lets seven kinds through (no end, key without endorsements …)."""
    identity.keys |= {"loose": STRANGER, "slack": STRANGER}
    identity.endorsements |= {"loose": [], "slack": ["slack"]}
    bot = Echo()
    async with serving(guarded(identity), bot) as client:
        response = await post(client, activity(connector), BAD_TOKENS[case](identity, connector))
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert bot.turns == 0
    assert connector.calls == []


async def test_another_scheme_is_401(connector: FakeConnector, identity: FakeIdentity) -> None:
    async with serving(guarded(identity), Echo()) as client:
        for header in ("Basic dTpw", "Bearer", "bearer x", "Bearer  ", identity.token(connector)):
            response = await client.post("/api/messages", json=activity(connector), headers={"Authorization": header})
            assert response.status == 401, header


NOT_ALLOWED = {
    "another organisation": {"channelData": {"tenant": {"id": "99999999-3c4e-4d0b-9a51-0c7a5be0d001"}}},
    "no organisation": {"channelData": {}, "conversation": {"id": "a:sam"}},
    "another channel": {"channelId": "webchat"},
    "no channel": {"channelId": None},
}


@pytest.mark.parametrize("case", NOT_ALLOWED)
async def test_a_verified_stranger_is_refused(connector: FakeConnector, identity: FakeIdentity, case: str) -> None:
    """The SDK lets a token through for another tenant and for no channel."""
    bot = Echo()
    async with serving(guarded(identity), bot) as client:
        response = await post(client, activity(connector, **NOT_ALLOWED[case]), identity.token(connector))
        assert response.status in (401, 403)
    assert bot.turns == 0


async def test_the_bots_token_goes_to_allowed_hosts_only(connector: FakeConnector, identity: FakeIdentity) -> None:
    adapter = Adapter(
        Credentials(APP_ID, APP_PASSWORD, TENANT), allowed_service_hosts=("teams.example",), cloud=identity.cloud()
    )
    async with serving(adapter, Echo()) as client:
        assert (await post(client, activity(connector), identity.token(connector))).status == 403
    assert connector.calls == []
    assert identity.token_fetches == 0


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://smba.trafficmanager.net/emea/", True),
        ("https://eu.smba.trafficmanager.net", True),
        ("https://SMBA.trafficmanager.net/emea/6f1d1a52/", True),
        ("http://smba.trafficmanager.net/", False),
        ("https://evilsmba.trafficmanager.net.evil.example/", False),
        ("https://xsmba.trafficmanager.net/", False),
        ("https://smba.trafficmanager.net@evil.example/", False),
        ("https://smba.trafficmanager.net\\@evil.example/", False),
        ("https://smba.trafficmanager.net/?x=1", False),
        ("https://smba.trafficmanager.net/#x", False),
        ("https://smba.trafficmanager.net:99999/", False),
        ("https://[::1", False),
        ("https://127.0.0.1/", False),
        ("http://localhost:3978/", False),
        ("", False),
    ],
)
def test_service_hosts(url: str, good: bool) -> None:
    hosts = ServiceHosts(("smba.trafficmanager.net",), local=False)
    try:
        assert hosts.check(url) == url.rstrip("/")
        assert good
    except RefusedError as refused:
        assert refused.status == 403
        assert not good


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


async def test_a_new_signing_key_is_found(connector: FakeConnector, identity: FakeIdentity) -> None:
    """The SDK raises IndexError for an unknown key id before it looks for new keys."""
    clock = [1000.0]
    async with aiohttp.ClientSession() as session:
        keys = SigningKeys(f"{identity.url}/openid", lambda: session, lambda: clock[0])
        assert (await keys.get("key-1")).endorsements == ["msteams"]
        identity.keys["key-2"] = STRANGER
        with pytest.raises(UnknownKeyError):
            await keys.get("key-2")  # asked a moment ago: an invented id must not make us ask again and again
        for _ in range(20):
            with pytest.raises(UnknownKeyError):
                await keys.get("invented")
        assert identity.key_fetches == 1
        clock[0] += ASK_EVERY
        assert (await keys.get("key-2")).public_key == STRANGER.public_key()
        assert identity.key_fetches == 2


async def test_known_keys_outlive_an_outage_of_the_key_server(connector: FakeConnector, identity: FakeIdentity) -> None:
    """The SDK ignores its cached keys while the key server is down."""
    clock = [1000.0]
    async with aiohttp.ClientSession() as session:
        keys = SigningKeys(f"{identity.url}/openid", lambda: session, lambda: clock[0])
        identity.down = True
        with pytest.raises(KeysUnavailableError):
            await keys.get("key-1")
        identity.down = False
        await keys.get("key-1")
        clock[0] += PUBLISHED.fresh + 1
        identity.down = True
        assert await keys.get("key-1")


async def test_nobody_can_be_verified_while_no_keys_are_known(connector: FakeConnector, identity: FakeIdentity) -> None:
    identity.down = True
    async with serving(guarded(identity), Echo()) as client:
        assert (await post(client, activity(connector), identity.token(connector))).status == 503
        identity.down = False
        assert (await post(client, activity(connector), identity.token(connector))).status == 200


async def test_a_hanging_key_server_holds_up_nobody_else(connector: FakeConnector, identity: FakeIdentity) -> None:
    """The SDK fetches keys with a blocking call without a time limit on the event loop."""
    identity.hanging.clear()
    async with serving(guarded(identity), Echo()) as client:
        waiting = asyncio.create_task(post(client, activity(connector), identity.token(connector)))
        await identity.asked.wait()
        assert (await post(client, activity(connector))).status == 401
        assert not waiting.done()
        identity.hanging.set()
        assert (await waiting).status == 200


# ---------------------------------------------------------------------- clients


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


async def test_a_password_is_never_printed() -> None:
    assert APP_PASSWORD not in repr(Credentials(APP_ID, APP_PASSWORD, TENANT))


_: type[Bot] = Echo  # the test's bot is what the adapter asks for
