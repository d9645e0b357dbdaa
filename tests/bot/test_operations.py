"""What an orchestrator asks: alive, ready, which version."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, make_mocked_request
from structlog.testing import capture_logs

from bot import operations

Client = TestClient[web.Request, web.Application]
Start = Callable[[operations.Check], Awaitable[Client]]


@pytest.fixture
def start(aiohttp_client: Callable[..., Awaitable[Client]]) -> Start:
    async def serve(check: operations.Check) -> Client:
        app = web.Application()
        app.add_routes(operations.routes(check, "1.2.3", check_seconds=0.5))
        return await aiohttp_client(app)

    return serve


async def all_well() -> Sequence[str]:
    return ()


async def disk_full() -> Sequence[str]:
    return ("The disk of var/store is full. Free some space.",)


async def hangs() -> Sequence[str]:
    await asyncio.Event().wait()
    return ()


async def breaks() -> Sequence[str]:
    raise OSError("postgresql://user:secret@db/x")


async def test_ready(start: Start) -> None:
    answer = await (await start(all_well)).get("/readyz")
    assert (answer.status, await answer.json()) == (200, {"status": "ready"})
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("check", "said"),
    [(disk_full, "The disk of var/store is full"), (hangs, "took longer than 0.5 s"), (breaks, "failed (OSError)")],
)
async def test_not_ready_says_why_and_the_process_is_still_healthy(
    start: Start, check: operations.Check, said: str
) -> None:
    client = await start(check)
    with capture_logs():
        answer = await client.get("/readyz")
    assert answer.status == 503
    text = await answer.text()
    assert said in text
    assert "secret" not in text
    alive = await client.get("/healthz")
    assert (alive.status, await alive.json()) == (200, {"status": "ok"})


async def test_readiness_says_when_the_store_was_verified_and_the_log_hears_of_trouble_once(
    aiohttp_client: Callable[..., Awaitable[Client]],
) -> None:
    faults: list[str] = []
    state = operations.StoreState()

    async def check() -> Sequence[str]:
        return faults

    app = web.Application()
    app[operations.STORE] = state
    app.add_routes(operations.routes(check, "1.2.3"))
    client = await aiohttp_client(app)

    async def ready() -> object:
        return await (await client.get("/readyz")).json()

    assert await ready() == {"status": "ready", "verified": None}
    state.verified_at = datetime(2026, 3, 2, 8, 0, 1, 5, tzinfo=UTC)
    assert await ready() == {"status": "ready", "verified": "2026-03-02T08:00:01+00:00"}
    with capture_logs() as logs:
        faults.append("The disk is full.")
        for _ in range(5):
            assert await ready() == {"status": "not ready", "faults": ["The disk is full."]}
        faults.clear()
        for _ in range(5):
            await ready()
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [
        ("error", "the service is not ready"),
        ("info", "the service is ready again"),
    ]


async def test_a_crowd_that_asks_makes_one_check() -> None:
    """Whoever asks is a stranger, and where the store is away a check takes its time."""
    asked, let_go = 0, asyncio.Event()

    async def slow() -> Sequence[str]:
        nonlocal asked
        asked += 1
        await let_go.wait()
        return ("The database is away.",)

    door, request = operations.Operations(slow, "1.2.3", 5.0), make_mocked_request("GET", "/readyz")
    crowd = [asyncio.create_task(door.readiness(request)) for _ in range(20)]
    await asyncio.sleep(0)
    crowd[0].cancel()  # whoever gives up takes it from nobody else
    let_go.set()
    with capture_logs():
        answers = await asyncio.gather(*crowd[1:])
        assert (asked, {answer.status for answer in answers}) == (1, {503})
        await door.readiness(request)
    assert asked == 2


async def test_the_version_is_told(start: Start) -> None:
    body = await (await (await start(all_well)).get("/version")).json()
    assert (body["name"], body["version"]) == ("provisioning-bot", "1.2.3")


def test_the_version_comes_from_the_project() -> None:
    assert operations.project_version().count(".") == 2


async def test_a_fault_beside_the_store_is_told_once_although_the_sweep_finds_the_store_well(
    aiohttp_client: Callable[..., Awaitable[Client]],
) -> None:
    """A clock that is far off is no trouble of the store's, and nobody is told in turns that it is and is not."""

    async def check() -> Sequence[str]:
        return ["The clock is 9 min ahead."]

    app = web.Application()
    state = app[operations.STORE] = operations.StoreState()
    app.add_routes(operations.routes(check, "1.2.3"))
    client = await aiohttp_client(app)
    with capture_logs() as logs:
        for _ in range(5):
            assert (await client.get("/readyz")).status == 503
            state.well()
    assert [entry["event"] for entry in logs] == ["the service is not ready"]


@pytest.mark.parametrize("check", [hangs, breaks], ids=["hangs", "breaks"])
async def test_a_fault_of_the_check_itself_names_a_way_out(start: Start, check: operations.Check) -> None:
    client = await start(check)
    with capture_logs():
        (fault,) = (await (await client.get("/readyz")).json())["faults"]
    assert re.search(r"(STORE_URL|Restart)", fault), fault
