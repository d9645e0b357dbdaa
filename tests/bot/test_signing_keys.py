"""The whole way of an inbound token over real HTTP; whoever signs it is a process of its own, which comes and goes."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.utils import to_base64url_uint

from bot.adapter import Adapter
from bot.adapter_trust import KEYS_AGAIN, KeysUnavailableError, SigningKeys, UnknownKeyError
from bot.credentials import Credentials
from bot.kept import ASK_EVERY, PATIENCE, PUBLISHED
from tests.bot.echo import Client, Echo, post
from tests.bot.stalls import Stalls
from tests.connector import APP_ID, APP_PASSWORD, SIGNING_KEY, TENANT, FakeConnector, FakeIdentity, press, serving
from tests.issuer import Issuer

DAY = 24 * 3600.0


class House:
    """A bot behind the gate, its issuer, and a clock that a test moves."""

    def __init__(self, issuer: Issuer, connector: FakeConnector, client: Client, bot: Echo, clock: list[float]) -> None:
        self.issuer, self.connector, self.client, self.bot, self.clock = issuer, connector, client, bot, clock

    async def token(self, kid: str = "key-1", called: str = "", **claims: Any) -> str:
        return await self.issuer.token(self.connector.url, kid, called, **claims)

    async def posts(self, token: str) -> int:
        return (await post(self.client, press(self.connector), token)).status

    async def looks(self) -> int:
        """How often the keys were looked up since the issuer's start."""
        asked, _ = await self.issuer.counts()
        return asked.get("keys", 0)


@pytest.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[Issuer]:
    async with Issuer(tmp_path) as issuer:
        yield issuer


@pytest.fixture
async def house(issuer: Issuer) -> AsyncIterator[House]:
    bot, clock = Echo(body={}), [1_000_000.0]
    adapter = Adapter(
        Credentials(APP_ID, APP_PASSWORD, TENANT),
        allowed_service_hosts=("127.0.0.1",),
        cloud=issuer.cloud,
        now=lambda: clock[0],
    )
    async with FakeConnector() as connector, serving(adapter, bot) as client:
        yield House(issuer, connector, client, bot, clock)


# ---------------------------------------------------------------------- while it is there


async def test_its_tokens_are_believed_and_others_are_not(house: House) -> None:
    assert await house.posts(await house.token()) == 200
    await house.issuer.rotate("slack", "slack")
    house.clock[0] += ASK_EVERY
    bad = {
        "of a key for another channel": await house.token("slack"),
        "of another key under a good name": await house.token("slack", "key-1"),
        "of an invented key": await house.token("key-1", "invented"),
        "expired": await house.token(exp=int(time.time()) - 3600),
        "for another bot": await house.token(aud="another-app"),
        "for another service": await house.token(serviceurl="https://smba.trafficmanager.net/"),
        "without an end": await house.token(exp=None),
    }
    assert {name: await house.posts(token) for name, token in bad.items()} == dict.fromkeys(bad, 401)
    assert house.bot.turns == 1


async def test_no_part_of_the_sdk_fetches_keys(house: House) -> None:
    """It would with `requests`, blocking the loop: every look has to be ours."""
    for _ in range(10):
        assert await house.posts(await house.token()) == 200
    asked, agents = await house.issuer.counts()
    assert asked == {"openidconfiguration": 1, "keys": 1}
    assert {agent.split("/")[0] for agent in agents} == {"Python"}
    assert "requests" not in str(agents)


async def test_a_new_key_counts_after_a_minute_at_most_and_a_withdrawn_one_no_longer(house: House) -> None:
    old = await house.token()
    assert await house.posts(old) == 200
    await house.issuer.rotate("key-2", withdraw=True)
    new = await house.token("key-2")
    assert await house.posts(new) == 401  # looked a moment ago
    house.clock[0] += ASK_EVERY
    assert (await house.posts(new), await house.posts(old)) == (200, 401)
    assert await house.looks() == 2


async def test_a_withdrawn_key_is_noticed_within_a_day(house: House) -> None:
    old = await house.token()
    assert await house.posts(old) == 200
    await house.issuer.rotate("key-2", withdraw=True)
    house.clock[0] += DAY - 1
    assert await house.posts(old) == 200
    house.clock[0] += 1
    assert await house.posts(old) == 401


async def test_strangers_with_invented_keys_hide_no_new_key_and_cause_a_look_a_minute(house: House) -> None:
    """Ten minutes of a stranger who asks each second, and in the middle of it a key that is truly new."""
    assert await house.posts(await house.token()) == 200
    invented = [await house.token("key-1", f"invented-{number}") for number in range(5)]
    found_after: int | None = None
    for second in range(600):
        house.clock[0] += 1
        assert await house.posts(invented[second % 5]) == 401
        if second == 301:
            await house.issuer.rotate("key-2")
            new = await house.token("key-2")
        if second >= 301 and found_after is None and await house.posts(new) == 200:
            found_after = second - 301
    assert found_after is not None
    assert found_after <= ASK_EVERY
    assert await house.looks() <= 11
    print(f"a new key was found after {found_after} s, with {await house.looks()} looks in 600 s of strangers")


# ---------------------------------------------------------------------- while it is away


async def test_known_keys_serve_for_five_days_of_an_outage(house: House) -> None:
    good, unknown = await house.token(), await house.token("key-1", "invented")
    assert await house.posts(good) == 200
    await house.issuer.stop()
    for passed in (DAY, DAY, DAY, DAY, DAY - 1):
        house.clock[0] += passed
        assert (await house.posts(good), await house.posts(unknown)) == (200, 401)
    house.clock[0] += 1
    assert await house.posts(good) == 503
    await house.issuer.start()
    house.clock[0] += KEYS_AGAIN
    assert (await house.posts(good), await house.posts(unknown)) == (200, 401)
    assert PUBLISHED.usable == 5 * DAY


async def test_a_bot_that_starts_before_its_issuer_believes_nobody_and_then_everybody(house: House) -> None:
    good = await house.token()
    await house.issuer.stop()
    assert [await house.posts(good) for _ in range(3)] == [503] * 3
    assert house.bot.turns == 0
    await house.issuer.start()
    house.clock[0] += KEYS_AGAIN
    assert await house.posts(good) == 200


async def test_a_frozen_issuer_stalls_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and never answers: callers with known keys are served, the loop goes on."""
    monkeypatch.setattr("bot.adapter_trust.FETCH_SECONDS", 4.0)
    good, unknown = await house.token(), await house.token("key-1", "invented")
    assert await house.posts(good) == 200
    house.clock[0] += DAY
    house.issuer.freeze()
    try:
        async with Stalls() as stalls:
            strangers = [asyncio.create_task(house.posts(unknown)) for _ in range(20)]
            began = time.monotonic()
            assert await asyncio.gather(*(house.posts(good) for _ in range(40))) == [200] * 40
            waited = time.monotonic() - began
            assert await asyncio.gather(*strangers) == [401] * 20
            assert await house.posts(good) == 200
    finally:
        house.issuer.thaw()
    assert waited < PATIENCE + 2  # the moment that anybody waits for news
    assert stalls.longest < 1  # four, if it were kept from its work; a busy machine may hold it up
    print(f"longest stall of the loop: {stalls.longest * 1000:.1f} ms; 40 good callers waited {waited:.2f} s")


# ---------------------------------------------------------------------- what it may publish

GOOD = FakeIdentity()._jwk("key-1")
SHORT = {**GOOD, "n": to_base64url_uint(rsa.generate_private_key(65537, 1024).public_key().public_numbers().n).decode()}
KEY_SETS: dict[str, tuple[Any, bool]] = {
    "one good key": ({"keys": [GOOD]}, True),
    "a good key among bad ones": ({"keys": [{**GOOD, "n": 5, "kid": "a"}, None, GOOD, {"kid": "b"}]}, True),
    "bad ones alone": (
        {
            "keys": [
                None,
                5,
                "x",
                [],
                {},
                {"kty": "RSA"},
                {**GOOD, "n": 5, "kid": "a"},
                {**GOOD, "n": "!", "kid": "b"},
                GOOD,
            ]
        },
        True,
    ),
    "a key without endorsements": ({"keys": [{**GOOD, "endorsements": None}]}, False),
    "a key endorsed for a word": ({"keys": [{**GOOD, "endorsements": "msteams"}]}, False),
    "a key endorsed for nobody": ({"keys": [{**GOOD, "endorsements": []}]}, False),
    "a key that is too short": ({"keys": [SHORT]}, False),
    "a key for encryption": ({"keys": [{**GOOD, "use": "enc"}]}, False),
    "a key without a name": ({"keys": [{**GOOD, "kid": ""}]}, False),
    "a key whose name is a number": ({"keys": [{**GOOD, "kid": 5}]}, False),
    "a symmetric key": ({"keys": [{"kty": "oct", "k": "AAAA", "kid": "key-1", "endorsements": ["msteams"]}]}, False),
    "no keys": ({"keys": []}, False),
    "keys that are no list": ({"keys": {"key-1": GOOD}}, False),
    "a list": ([GOOD], False),
    "a number": (5, False),
    "nothing": (None, False),
}


@pytest.mark.parametrize("case", KEY_SETS)
async def test_what_is_published_is_read_strictly(case: str) -> None:
    published, usable = KEY_SETS[case]

    async def document(request: web.Request) -> web.Response:
        return web.json_response({"jwks_uri": f"http://{request.host}/keys"})

    async def keys(request: web.Request) -> web.Response:
        return web.json_response(published)

    app = web.Application()
    app.router.add_get("/openid", document)
    app.router.add_get("/keys", keys)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        found = SigningKeys(str(server.make_url("/openid")), lambda: session)
        if not usable:
            with pytest.raises(KeysUnavailableError):
                await found.get("key-1")
            return
        assert (await found.get("key-1")).public_key == SIGNING_KEY.public_key()
        for unknown in (None, "", "a", "b", "KEY-1"):
            with pytest.raises(UnknownKeyError):
                await found.get(unknown)


DOCUMENTS: dict[str, Any] = {
    "no address of keys": {},
    "an address that is a number": {"jwks_uri": 5},
    "an address that is none": {"jwks_uri": "nowhere"},
    "a list": [],
    "a text": "keys",
    "nothing": None,
}


@pytest.mark.parametrize("case", DOCUMENTS)
async def test_a_document_that_leads_nowhere_is_an_outage(case: str) -> None:
    async def document(request: web.Request) -> web.Response:
        return web.json_response(DOCUMENTS[case])

    app = web.Application()
    app.router.add_get("/openid", document)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        keys = SigningKeys(str(server.make_url("/openid")), lambda: session)
        with pytest.raises(KeysUnavailableError):
            await keys.get("key-1")
