"""What others wait for while somebody is slow: a token endpoint of 50 ms, a connector that takes a second in one chat.

    python -m tests.benchmarks --only tokens

The service runs in this process. Teams, its connector and the token endpoint run in another, which posts the turns.
The anchor is the stock SDK with the same credentials: its MSAL finds the same endpoint by the way of AD FS, over TLS,
as MSAL takes no other.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, TCPConnector, web
from botframework.connector.auth import (
    AuthenticationConfiguration,
    BotFrameworkAuthenticationFactory,
    JwtTokenExtractor,
    PasswordServiceClientCredentialFactory,
)

from app import running
from bot.adapter import Adapter
from bot.clouds import Cloud
from bot.credentials import Credentials
from bot.settings import load_settings
from tests import certificates
from tests.benchmarks import Row
from tests.benchmarks.bare import stock_app
from tests.benchmarks.children import Child, child, obey
from tests.benchmarks.driving import DANA, SAM, Post
from tests.benchmarks.echo import our_app
from tests.benchmarks.measuring import quantile
from tests.benchmarks.turns import MACS, Typing, calls, device_turns, environment, fill, serving
from tests.connector import APP_ID, APP_PASSWORD, TENANT, FakeConnector, FakeIdentity

TURNS, STOCK_TURNS = 1_000, 40
AT_ONCE = 40
TOKEN_SECONDS = 0.05
SLOW_SECONDS = 1.0
OTHERS = 150
ROUNDS = 2
BEAT = 0.001  # seconds
SCOPE = "https://api.example"


# ------------------------------------------------------------------ how long the loop is held


class Held:
    """The longest time that a task of the loop could not go on, in seconds, beyond its beat.

    A thread that waits for a processor which others use is not held by its own work: where the system tells how long
    that was (Linux), it does not count. Elsewhere only the work of the thread counts.
    """

    SCHEDULE: Final = Path("/proc/thread-self/schedstat")

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        before = self._elapsed()
        while True:
            await asyncio.sleep(BEAT)
            now = self._elapsed()
            self.longest = max(self.longest, now - before - BEAT)
            before = now

    def _elapsed(self) -> float:
        try:
            waited = int(self.SCHEDULE.read_text().split()[1]) / 1e9
        except OSError:
            return time.thread_time() + BEAT
        return time.perf_counter() - waited


@asynccontextmanager
async def holding() -> AsyncIterator[Held]:
    held = Held()
    watching = asyncio.create_task(held.watch())
    try:
        yield held
    finally:
        watching.cancel()


# ------------------------------------------------------------------ the two services


def our_door(outside: Mapping[str, str]) -> web.Application:
    credentials, hosts = Credentials(APP_ID, APP_PASSWORD, TENANT), ("127.0.0.1",)
    place = Cloud(FakeIdentity.issuer, f"{outside['identity']}/openid", SCOPE, outside["identity"])
    return our_app(Adapter(credentials, allowed_service_hosts=hosts, cloud=place))


def stock_door(outside: Mapping[str, str]) -> web.Application:
    openid = f"{outside['identity']}/openid"
    JwtTokenExtractor.metadataCache.pop(openid, None)  # our adapter's keys are none of the stock SDK's
    authentication = BotFrameworkAuthenticationFactory.create(
        validate_authority=False,
        to_channel_from_bot_login_url=outside["login"],
        to_channel_from_bot_oauth_scope=SCOPE,
        to_bot_from_channel_token_issuer=FakeIdentity.issuer,
        oauth_url=SCOPE,
        to_bot_from_channel_open_id_metadata_url=openid,
        to_bot_from_emulator_open_id_metadata_url=openid,
        credential_factory=PasswordServiceClientCredentialFactory(APP_ID, APP_PASSWORD),
        auth_configuration=AuthenticationConfiguration(),
    )
    return stock_app(authentication)


@dataclass(frozen=True)
class Crowd:
    """What `turns` turns at once did: seconds that the loop was held at most, tokens asked for, connections opened."""

    turns: int
    held: float
    tokens: int
    connections: int


async def crowd(outside: Child, door: web.Application, turns: int) -> Crowd:
    """A token is there from the first of them, the connections from as many as go at once."""
    typing = Typing(outside.hello["connector"])
    tokens = (await outside.does("seen"))["tokens"]
    gc.freeze()  # as `serve` does
    async with serving(door) as url, holding() as held:
        warm, told = [[typing.says(SAM, f"hello {number}") for number in range(count)] for count in (AT_ONCE, turns)]
        await posts(outside, url, warm, at_once=AT_ONCE)
        connections = (await outside.does("seen"))["connections"]
        await posts(outside, url, told, at_once=AT_ONCE)
    seen = await outside.does("seen")
    return Crowd(turns, held.longest, seen["tokens"] - tokens, seen["connections"] - connections)


async def posts(
    outside: Child, url: str, wanted: Sequence[Post], *, at_once: int = 1, beside: Sequence[Post] = ()
) -> list[float]:
    """Seconds of each; as long as they go, those `beside` them are posted too, as many at once as ever."""
    one, other = ([[post.path, post.body] for post in some] for some in (wanted, beside))
    taken: list[float] = await outside.does("posts", url, one, at_once, other)
    return taken


# ------------------------------------------------------------------ the rows


async def slow_tokens(outside: Child) -> list[Row]:
    stock = await crowd(outside, stock_door(outside.hello), STOCK_TURNS)
    ours = await crowd(outside, our_door(outside.hello), TURNS)
    ms, share = TOKEN_SECONDS * 1e3, ours.connections / ours.turns
    what = f"{AT_ONCE} turns at once, a token endpoint of {ms:.0f} ms"
    return [
        _beside(f"longest hold of the loop: {what}", ours.held * 1e6, stock.held * 1e6, 50_000, "≤ 50 ms", "µs"),
        _beside(f"token requests in one lifetime: {TURNS:,} turns", ours.tokens, stock.tokens, 1, "≤ 1", "requests"),
        _beside(
            f"new connections for 100 replies: {TURNS:,} turns",
            share * 100,
            stock.connections / stock.turns * 100,
            1,
            "≤ 1",
            "connections",
        ),
    ]


async def slow_chat(outside: Child, folder: Path) -> list[Row]:
    """Of one chat each answer of the connector takes a second, and forty turns of it are always under way."""
    typing = Typing(outside.hello["connector"])
    turns: tuple[list[float], list[float]] = [], []
    devices: tuple[list[float], list[float]] = [], []
    async with running(load_settings(environment(folder))) as service:
        await posts(outside, service.url, [typing.says(DANA, "hi"), typing.says(SAM, "hi")])
        await posts(outside, service.url, [typing.says(DANA, f"grant {SAM['aadObjectId']} technician")])
        await fill(service)
        await outside.does("slows", SAM["id"].replace("29:", "a:"), SLOW_SECONDS)
        macs = iter(MACS)
        for number in range(2 * ROUNDS):
            slow = number % 2
            beside = [typing.says(SAM, "whoami") for _ in range(AT_ONCE * 20)] if slow else []
            asked = await calls(service, [next(macs) for _ in range(OTHERS)])
            turns[slow].extend(await posts(outside, service.url, device_turns(typing, OTHERS), beside=beside))
            beside = [typing.says(SAM, "whoami") for _ in range(AT_ONCE * 20)] if slow else []
            devices[slow].extend(await posts(outside, service.url, asked, beside=beside))
    what = f"while {AT_ONCE} turns of another chat hang for {SLOW_SECONDS:g} s"
    return [
        _beside(f"p99 of {kind} {what}", quantile(slow, 99) * 1e6, quantile(free, 99) * 1e6, 50_000, "≤ 50 ms", "µs")
        for kind, (free, slow) in (("other chats' turns", turns), ("device calls", devices))
    ]


def _beside(name: str, ours: float, anchor: float, most: float, target: str, unit: str) -> Row:
    """Held to a limit; the anchor stands beside it."""
    of = "the same without" if "hang" in name else "stock botbuilder"
    margin = most / ours if ours else None
    return Row(name, ours, anchor, ours / anchor, f"{target} (beside: {of})", ours <= most, unit, margin=margin)


async def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        async with child("tests.benchmarks.tokens", name) as outside:
            os.environ["REQUESTS_CA_BUNDLE"] = outside.hello["trusted"]  # for MSAL
            try:
                return [*await slow_tokens(outside), *await slow_chat(outside, Path(name))]
            finally:
                del os.environ["REQUESTS_CA_BUNDLE"]


# ------------------------------------------------------------------ the other process


class Outside:
    """Teams, its connector and the token endpoint, and who posts turns and device calls."""

    def __init__(self, connector: FakeConnector, identity: FakeIdentity, session: ClientSession) -> None:
        self.connector, self._identity, self._session = connector, identity, session
        self._tokens = 0

    async def adfs(self, request: web.Request) -> web.Response:
        place = f"https://{request.host}/adfs"
        return web.json_response(
            {"issuer": place, "authorization_endpoint": f"{place}/a", "token_endpoint": f"{place}/token"}
        )

    async def seen(self) -> dict[str, int]:
        return {"tokens": self._identity.token_fetches, "connections": len(self.connector.connections)}

    async def slows(self, conversation: str, seconds: float) -> None:
        self.connector.slow[conversation] = seconds

    async def posts(self, url: str, wanted: list[Any], at_once: int, beside: list[Any]) -> list[float]:
        over, each = asyncio.Event(), list[float]()
        others = itertools.takewhile(lambda _post: not over.is_set(), beside)
        hanging = [asyncio.create_task(self._later(n, url, others)) for n in range(AT_ONCE if beside else 0)]
        waiting = iter(wanted)
        await asyncio.gather(*(self._post(url, waiting, each) for _ in range(at_once)))
        over.set()
        await asyncio.gather(*hanging)
        return each

    async def _later(self, number: int, url: str, others: Iterator[Any]) -> None:
        """They hang evenly, not in step."""
        await asyncio.sleep(number * SLOW_SECONDS / AT_ONCE)
        await self._post(url, others, [])

    async def _post(self, url: str, waiting: Iterator[Any], each: list[float]) -> None:
        headers = {"Authorization": f"Bearer {self._identity.token(self.connector)}"}
        for path, body in waiting:
            began = time.perf_counter()
            async with self._session.post(url + path, json=body, headers=headers) as response:
                text = await response.text()
            each.append(time.perf_counter() - began)
            if response.status not in (200, 201):
                raise RuntimeError(f"{response.status}: {text}")


def trusted(folder: Path) -> Path:
    """A certificate of this machine with its key, in a PEM file."""
    key = certificates.rsa_key("login")
    return certificates.written(folder, key, certificates.certificate_for(key, address="127.0.0.1"))


async def main(folder: Path) -> None:
    pem = trusted(folder)
    over_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    over_tls.load_cert_chain(pem)
    async with (
        FakeConnector() as connector,
        FakeIdentity() as identity,
        ClientSession(connector=TCPConnector(limit=0)) as session,
    ):
        identity.token_seconds = TOKEN_SECONDS
        for person in (SAM, DANA):
            connector.knows(person["id"], **{**person, "tenantId": TENANT})
        outside = Outside(connector, identity, session)
        app = web.Application()
        app.router.add_get("/adfs/.well-known/openid-configuration", outside.adfs)
        app.router.add_post("/adfs/token", identity._token)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=over_tls).start()
        login = f"https://127.0.0.1:{runner.addresses[0][1]}/adfs"
        hello = {"connector": connector.url, "identity": identity.url, "login": login, "trusted": str(pem)}
        does = {each.__name__: each for each in (outside.seen, outside.slows, outside.posts)}
        await obey(hello, does)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
