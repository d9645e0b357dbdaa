"""Whatever somebody posts: no answer of 5xx, no turn for a token that is not sound, and what passes can be read."""

import asyncio
import base64
import copy
import json
import math
import re
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from botbuilder.core import TurnContext
from hypothesis import assume, event, given
from hypothesis import strategies as st

from bot.activity import Json, read
from bot.adapter import answer_invoke
from tests.bot.echo import Client, guarded
from tests.bot.test_callers import by_hand
from tests.connector import (
    APP_ID,
    FakeConnector,
    FakeIdentity,
    activity,
    channel_fields,
    consent,
    file_attachment,
    press,
    search,
    serving,
)

LEEWAY = 300


class Reader:
    """Reads what it is given, as the real bot does, and notes what it could not read."""

    def __init__(self) -> None:
        self.turns = 0
        self.faults: list[str] = []

    async def on_turn(self, context: TurnContext, raw: Json) -> None:
        self.turns += 1
        try:
            incoming = read(raw)
            json.dumps(repr(incoming)).encode()
            if raw["type"] == "invoke":
                await answer_invoke(context, {"verb": incoming.verb if incoming else ""})
        except Exception as error:
            self.faults.append(f"{type(error).__name__}: {error}")
            raise


class Gate:
    """A guarded adapter over real HTTP, with an event loop of its own, for tests that are not asynchronous."""

    def __init__(self) -> None:
        self._runner, self._stack = asyncio.Runner(), AsyncExitStack()
        self.bot = Reader()
        self.client: Client
        self._runner.run(self._open())

    async def _open(self) -> None:
        self.connector = await self._stack.enter_async_context(FakeConnector())
        self.identity = await self._stack.enter_async_context(FakeIdentity())
        self.client = await self._stack.enter_async_context(serving(guarded(self.identity), self.bot))

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def token(self) -> str:
        return self.identity.token(self.connector)

    def posts(self, body: bytes, authorization: str) -> tuple[int, int]:
        """The status, and how many turns ran."""
        return self._runner.run(self._post(body, authorization))

    async def _post(self, body: bytes, authorization: str) -> tuple[int, int]:
        before = self.bot.turns
        headers = {"Content-Type": "application/json", "Authorization": authorization}
        async with self.client.post("/api/messages", data=body, headers=headers) as response:
            await response.read()
            return response.status, self.bot.turns - before


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


# ---------------------------------------------------------------------- tokens

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**18, max_value=10**30),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([APP_ID, FakeIdentity.issuer, "RS256", "none", "HS256", "key-1", "msteams", "\ud800", "\0"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
CLAIMS = ("iss", "aud", "serviceurl", "exp", "nbf", "iat", "jti", "sub", "appid", "azp", "ver", "tid")
MEMBERS = ("alg", "kid", "typ", "crit", "b64", "zip", "jwk", "jku", "x5c", "cty")
CHANGES = st.dictionaries(st.sampled_from(CLAIMS), st.one_of(st.just(...), VALUES), max_size=3)
HEADERS = st.dictionaries(st.sampled_from(MEMBERS), st.one_of(st.just(...), VALUES), max_size=2)


def changed(sound: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """With these values; `...` leaves one out."""
    return {name: value for name, value in {**sound, **changes}.items() if value is not ...}


def is_moment(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def sound(header: dict[str, Any], claims: dict[str, Any], service: str) -> bool:
    """What has to hold at the very least, said once more and in other words than the adapter's."""
    now = time.time()
    return (
        (header.get("alg"), header.get("kid")) == ("RS256", "key-1")
        and (claims.get("iss"), claims.get("aud"), claims.get("serviceurl")) == (FakeIdentity.issuer, APP_ID, service)
        and is_moment(claims.get("exp"))
        and claims["exp"] > now - LEEWAY - 5
        and ("nbf" not in claims or (is_moment(claims["nbf"]) and claims["nbf"] <= now + LEEWAY + 5))
    )


@given(claims=CHANGES, header=HEADERS)
def test_no_changed_token_runs_a_turn_unless_it_is_sound(
    gate: Gate, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    """Signed with the good key, so that the claims alone decide."""
    service = gate.connector.url
    said = {"iss": FakeIdentity.issuer, "aud": APP_ID, "serviceurl": service, "exp": int(time.time()) + 3600}
    said, members = changed(said, claims), changed({"alg": "RS256", "kid": "key-1", "typ": "JWT"}, header)
    status, turns = gate.posts(json.dumps(activity(gate.connector)).encode(), f"Bearer {by_hand(members, said)}")
    event(f"{status}, {'sound' if sound(members, said, service) else 'not sound'}")
    assert status in (200, 400, 401)  # 400: longer than a header may be
    assert turns == (status == 200)
    assert sound(members, said, service) or turns == 0
    if not claims and not header:
        assert turns == 1


LETTERS = st.text(alphabet=st.sampled_from("ABCabc019-_.=+/ "), max_size=6)


@given(place=st.floats(0, 1), length=st.integers(0, 8), put=LETTERS)
def test_no_bent_token_runs_a_turn(gate: Gate, place: float, length: int, put: str) -> None:
    token = gate.token()
    start = int(place * len(token))
    bent = token[:start] + put + token[start + length :]
    assume(bent.strip() != token and not same_octets(bent, token))
    status, turns = gate.posts(json.dumps(activity(gate.connector)).encode(), f"Bearer {bent}")
    assert (status, turns) == (401, 0)


def same_octets(bent: str, token: str) -> bool:
    """The last letter of a signature holds bits that mean nothing."""
    signed, _, signature = bent.rpartition(".")
    wanted, _, good = token.rpartition(".")
    if signed != wanted or len(signature) != len(good) or not re.fullmatch(r"[A-Za-z0-9_-]+", signature):
        return False
    return base64.urlsafe_b64decode(signature + "==") == base64.urlsafe_b64decode(good + "==")


PRINTED = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=60)


@given(header=st.one_of(PRINTED, PRINTED.map("Bearer ".__add__)))
def test_no_header_of_any_kind_runs_a_turn(gate: Gate, header: str) -> None:
    status, turns = gate.posts(json.dumps(activity(gate.connector)).encode(), header)
    assert status in (400, 401)
    assert turns == 0


# ---------------------------------------------------------------------- bodies


def samples(connector: FakeConnector) -> list[dict[str, Any]]:
    bot = {"id": "28:provisioning-bot"}
    return [
        activity(connector),
        activity(connector, **channel_fields(), text="<at>Bot</at> devices", entities=[{"type": "mention"}]),
        activity(connector, attachments=[file_attachment("https://contoso-my.sharepoint.com/x")]),
        activity(connector, attachments=[{"contentType": "image/png", "contentUrl": "https://smba.example/1"}]),
        activity(connector, text=None, value={"verb": "confirm", "device": "805EC0112233"}),
        activity(connector, type="conversationUpdate", membersAdded=[bot], text=None),
        activity(connector, type="installationUpdate", action="add", text=None),
        activity(connector, deliveryMode="expectReplies"),
        press(connector, data={"device": "805EC0112233", "note": "x"}),
        press(connector, trigger="automatic"),
        consent(connector, context={"export": "1"}),
        search(connector, "oslo"),
    ]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in it: the object or list, and the name or number there."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


SHARDS = (b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\u0000", b"\\ud800", b"1e999", b"NaN", b"\0")
ODD = st.one_of(
    VALUES,
    st.sampled_from(["..", "../../x", "x" * 2000, "\u202e", "a" * 100_000, [], {}, [[]], [{}], -1, 1e308, "msteams"]),
    st.integers(60, 70).map(lambda depth: json.loads("[" * depth + "]" * depth)),
)


@given(data=st.data())
def test_whatever_is_changed_in_an_activity_it_is_read_or_refused(gate: Gate, data: st.DataObject) -> None:
    body = copy.deepcopy(data.draw(st.sampled_from(samples(gate.connector))))
    for _ in range(data.draw(st.integers(1, 3))):
        parent, key = data.draw(st.sampled_from(list(places(body)) or [(body, "type")]))
        if data.draw(st.booleans()) and isinstance(parent, dict):
            parent.pop(key, None)
        else:
            parent[key] = data.draw(ODD)
    check(gate, json.dumps(body).encode())


@given(data=st.data())
def test_whatever_is_cut_and_pasted_into_a_body_it_is_read_or_refused(gate: Gate, data: st.DataObject) -> None:
    body = json.dumps(data.draw(st.sampled_from(samples(gate.connector)))).encode()
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        length = data.draw(st.integers(0, 12))
        token = st.sampled_from(
            [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\u0000", b"\\ud800", b"1e999", b"NaN", b"\0"]
        )
        body = body[:start] + data.draw(st.one_of(st.binary(max_size=6), token)) + body[start + length :]
    check(gate, body)


@given(body=st.one_of(st.binary(max_size=300), VALUES.map(lambda value: json.dumps(value).encode())))
def test_no_other_body_runs_a_turn(gate: Gate, body: bytes) -> None:
    status, turns = gate.posts(body, f"Bearer {gate.token()}")
    assert (status, turns) == (400, 0)


def check(gate: Gate, body: bytes) -> None:
    gate.bot.faults.clear()
    status, turns = gate.posts(body, f"Bearer {gate.token()}")
    event(str(status))
    assert status in (200, 400, 401, 403, 413)
    assert turns == (status == 200)
    assert gate.bot.faults == []
