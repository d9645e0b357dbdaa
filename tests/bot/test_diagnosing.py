"""What happens behind a refused call: the answer is out first, and looks as if nothing happened."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from structlog.testing import capture_logs

from bot import device_api
from bot.diagnosing import DIAGNOSES, Diagnoses
from bot.operations import STORE, StoreState
from bot.problems import problems
from provisioning.errors import (
    CodeExpired,
    CodeRefused,
    DeviceResetRequired,
    InvalidCode,
    ProvisioningError,
    SlowDown,
    Unavailable,
)
from tests.bot.test_device_api import BODY, CODE, MAC, Door

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]


class Looking:
    """A diagnosis that takes as long as the test wants."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.seen: list[tuple[str, str]] = []
        self.done, self.may_end, self.fault = 0, asyncio.Event(), fault

    async def __call__(self, mac: str, code: str, source: str) -> None:
        assert source
        self.seen.append((mac, code))
        await self.may_end.wait()
        if self.fault:
            raise self.fault
        self.done += 1


@pytest.fixture
def door() -> Door:
    door = Door()
    door.refusal = CodeRefused()
    return door


@pytest.fixture
def serve(aiohttp_client: Callable[..., Awaitable[Client]], door: Door) -> Serve:
    async def served(looking: Looking | None) -> Client:
        app = web.Application(middlewares=[problems])
        app[STORE] = StoreState()
        diagnoses = Diagnoses(looking, at_once=8) if looking else None
        if diagnoses:
            app[DIAGNOSES] = diagnoses
            app.on_cleanup.append(diagnoses.close)
        app.add_routes(device_api.routes(door, diagnoses=diagnoses))
        return await aiohttp_client(app)

    return served


async def test_a_device_that_has_to_be_reset_is_looked_at_too(serve: Serve, door: Door) -> None:
    """Somebody may have reset it by hand; its answer is the same with and without. The code is nobody's business."""
    looking = Looking()
    door.refusal = DeviceResetRequired()
    client = await serve(looking)
    answer = await call(client)
    looking.may_end.set()
    await client.server.app[DIAGNOSES].drain()  # type: ignore[attr-defined]
    assert answer[0] == 409 and looking.seen == [(MAC, "")]
    assert answer == await call(await serve(None))


async def call(client: Client) -> tuple[int, list[tuple[str, str]], bytes]:
    answer = await client.post("/api/v1/provision", json=BODY)
    return answer.status, [pair for pair in answer.headers.items() if pair[0] != "Date"], await answer.read()


async def test_the_answer_waits_for_no_diagnosis_and_tells_nothing_of_it(serve: Serve) -> None:
    looking = Looking()
    client = await serve(looking)
    answers = [await call(client) for _ in range(3)]  # over one connection, while none of them is done
    assert looking.seen == [] and looking.done == 0  # nor does it begin before a call right behind is answered
    assert answers == [await call(await serve(None))] * 3
    looking.may_end.set()
    await client.server.app[DIAGNOSES].drain()  # type: ignore[attr-defined]
    assert looking.seen == [(MAC, CODE)] * 3 and looking.done == 3


@pytest.mark.parametrize("refusal", [InvalidCode(), SlowDown(5), CodeExpired(), Unavailable("away"), None], ids=repr)
async def test_only_a_refused_code_is_looked_at(serve: Serve, door: Door, refusal: ProvisioningError | None) -> None:
    looking = Looking()
    door.refusal = refusal
    await call(await serve(looking))
    assert looking.seen == []


async def test_so_many_at_once_and_the_others_are_dropped(serve: Serve) -> None:
    looking = Looking()
    client = await serve(looking)
    with capture_logs() as logs:
        for _ in range(11):
            assert (await call(client))[0] == 403
    looking.may_end.set()
    await client.server.app[DIAGNOSES].drain()  # type: ignore[attr-defined]
    assert len(looking.seen) == 8 and len(logs) == 3
    assert "4829" not in repr(logs)


@pytest.mark.parametrize("fault", [KeyError("482913760257"), Unavailable("disk full")], ids=repr)
async def test_what_goes_wrong_is_nobodys_answer_and_no_digit_is_logged(serve: Serve, fault: Exception) -> None:
    looking = Looking(fault)
    looking.may_end.set()
    client = await serve(looking)
    with capture_logs() as logs:
        assert (await call(client))[0] == 403
        await client.server.app[DIAGNOSES].drain()  # type: ignore[attr-defined]
    assert len(logs) == 1 and "4829" not in repr(logs) and "exc_info" not in logs[0]
    assert (await call(client))[0] == 403


async def test_the_end_of_the_service_lets_them_finish(serve: Serve) -> None:
    looking = Looking()
    client = await serve(looking)
    await call(client)
    asyncio.get_running_loop().call_soon(looking.may_end.set)
    await client.close()
    assert looking.done == 1
