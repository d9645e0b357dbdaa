"""Several instances of the service on one PostgreSQL, over real HTTP: they are one service to whoever calls."""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

import app
from bot.settings import load_settings
from provisioning.messages import OutboxMessage
from provisioning.model import Device, State
from provisioning.service.activation import ProvisionCall
from tests.connector import FakeConnector
from tests.provisioning.world import DANA, KIM, SAM, A, B, C, D, World, chat_of, member, wrong
from tests.storage import postgres
from tests.storage.cluster import server

SOON = 10  # seconds; far less than the 25 a poll waits


@dataclass
class Instance:
    """One running service: its use cases as its doors know them, and its address."""

    world: World
    url: str
    http: aiohttp.ClientSession

    async def provisions(self, mac: str, code: str) -> tuple[int, dict[str, Any]]:
        async with self.http.post(f"{self.url}/api/v1/provision", json={"mac": mac, "code": code}) as answer:
            return answer.status, await answer.json(content_type=None)

    async def polls(self, token: str, *, since: int | None = None, wait: int = 25) -> dict[str, Any]:
        question = {"wait": str(wait)} if since is None else {"since": str(since), "wait": str(wait)}
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.get(f"{self.url}/api/v1/device", params=question, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            body: dict[str, Any] = await answer.json()
            return body

    async def asks(self, path: str) -> int:
        async with self.http.get(f"{self.url}{path}") as answer:
            return answer.status


@asynccontextmanager
async def instances(url: str, count: int = 2) -> AsyncIterator[list[Instance]]:
    """Instances with the same settings, which share their keys as they share their database."""
    environ = {
        "STORE_URL": url,
        "CODE_KEYS": f"k1:{b64encode(b'k' * 32).decode()}",
        "ADMINS": DANA,
    }
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        running = []
        for _ in range(count):
            settings = load_settings(environ, None).model_copy(update={"port": 0})
            service = await stack.enter_async_context(app.running(settings))
            core = service.provisioning
            running.append(Instance(World(core.store, core.clock, core), service.url, http))  # type: ignore[arg-type]
        await running[0].world.people()
        yield running


@pytest.fixture
async def two() -> AsyncIterator[list[Instance]]:
    async with instances(postgres.emptied()) as running:
        await running[0].world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"), (C, "Oslo/3/3.01"), (D, "Bergen/1"))
        await running[0].world.issue("all")
        yield running


async def test_what_one_instance_was_told_is_known_to_the_other(two: list[Instance]) -> None:
    here, there = two
    assert (await there.provisions(A, await here.world.digits(A)))[0] == 200
    assert (await here.world.device(A)).state is State.WAITING_FOR_SIGN_IN
    assert (await here.provisions(A, "482913760254"))[0] in {403, 422}


async def test_a_poll_at_one_instance_answers_at_once_when_the_other_changes_the_device(two: list[Instance]) -> None:
    here, there = two
    _, body = await there.provisions(A, await here.world.digits(A))
    revision = (await there.polls(body["token"], wait=0))["revision"]
    polling = asyncio.create_task(there.polls(body["token"], since=revision))
    _, pending = await asyncio.wait([polling], timeout=0.3)
    assert pending
    began = time.monotonic()
    await here.world.core.move(await here.world.dana(), "2.14", "Oslo/9/9.99")
    answer = await polling
    assert time.monotonic() - began < SOON
    assert (answer["location"], answer["revision"] > revision) == ("Oslo/9/9.99", True)


@pytest.mark.parametrize("count", [2, 8])
async def test_the_same_code_at_many_instances_is_accepted_once(count: int) -> None:
    async with instances(postgres.emptied(), count) as running:
        first = running[0].world
        for mac in (A, B, C):
            await first.add((mac, f"Oslo/1/{mac[-2:]}"))
            await first.issue(mac)
            code = await first.digits(mac)
            answers = await asyncio.gather(*(each.provisions(mac, code) for each in running * 2))
            statuses = [status for status, _ in answers]
            assert (statuses.count(200), set(statuses) - {200, 403, 429}) == (1, set()), answers
            assert (await first.facts(mac)).count("DeviceProvisioned") == 1


async def test_wrong_codes_are_counted_over_all_instances(two: list[Instance]) -> None:
    """Five tries are free for a device and a network, wherever they arrive."""
    code = wrong(await two[0].world.digits(A))
    statuses = [(await two[n % 2].provisions(A, code))[0] for n in range(6)]
    assert statuses == [403] * 6
    assert [(await each.provisions(A, code))[0] for each in two] == [429, 429]


async def test_forty_wrong_codes_at_eight_instances_at_once_are_plain_refusals_and_all_counted() -> None:
    async with instances(postgres.emptied(), 8) as running:
        world = running[0].world
        await world.add((A, "Oslo/1/1"))
        await world.issue(A)
        code = wrong(await world.digits(A))
        tries = [each.world.core.provision(ProvisionCall(A, code, f"10.{n}.0.1")) for n, each in enumerate(running * 5)]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        print({getattr(o, "reason", o) for o in outcomes})
        assert {type(outcome).__name__ for outcome in outcomes} == {"CodeRefused"}
        device = await world.device(A)
        assert device.code is not None
        assert device.code.failures == 40


async def test_two_relays_send_each_message_once(two: list[Instance]) -> None:
    here, _ = two
    async with FakeConnector() as connector:
        chats = {id_: replace(chat_of(id_), service_url=connector.url) for id_ in (SAM, KIM)}
        for id_, chat in chats.items():
            await here.world.core.meet(member(id_, "Sam Fox" if id_ == SAM else "Kim Lund"), chat)
        before = len(connector.sends)
        for n, word in enumerate(("2.14", "2.16", "3.01")):
            await two[n % 2].world.issue(word, SAM if n % 2 else KIM)
        while await here.world.told():  # noqa: ASYNC110 - two relays are at work
            await asyncio.sleep(0.05)
        sent = (await here.world.store.find(OutboxMessage, status="sent", limit=1000)).rows
        posted = [message for message in sent if message.recipient in chats]
        assert len(connector.sends) - before == len(posted) >= 3
        bodies = [json.dumps(call.body, sort_keys=True) for call in connector.sends[before:]]
        assert len(set(bodies)) == len(bodies)  # none twice


async def test_while_the_database_is_away_it_is_said_and_then_it_goes_on() -> None:
    with server() as database:
        async with instances(database.url) as (here, there):
            await here.world.add((A, "Oslo/1/1"))
            await here.world.issue(A)
            code = await here.world.digits(A)
            await asyncio.to_thread(database.stop, "immediate")
            for instance in (here, there):
                status, body = await instance.provisions(A, code)
                assert (status, body["code"]) == (503, "unavailable")
                assert await instance.asks("/healthz") == 200
                assert await instance.asks("/readyz") == 503
            await asyncio.to_thread(database.start)
            async with asyncio.timeout(10):
                while (await there.provisions(A, code))[0] == 503:  # noqa: ASYNC110 - a server is asked
                    await asyncio.sleep(0.1)
                while await here.asks("/readyz") != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            device = await here.world.store.get(Device, A)
            assert device is not None
            assert device.state is State.WAITING_FOR_SIGN_IN
