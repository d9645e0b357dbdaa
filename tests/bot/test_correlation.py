"""Every request has an id, and is counted; what waits on purpose says nothing of how quick the service is."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestClient
from structlog.testing import capture_logs

from bot.composition import compose
from bot.correlation import HEADER, correlated, told
from bot.limits import Network
from bot.metric_labels import POLLED, ROUTES
from bot.metrics import Metrics
from tests.bot.chat import House, open_house
from tests.bot.test_metrics import of, values
from tests.fakes import FakeClock

Client = TestClient[web.Request, web.Application]
Start = Callable[..., Awaitable[Client]]
MAC = "80-5E-C0-11-22-33"
LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, EVENTS_TOKEN="e" * 40) as house:
        yield house


# ------------------------------------------------------------------ ids


class Doors:
    """One address that says which ids its log lines carry."""

    def __init__(self) -> None:
        self.metrics, self.seen = Metrics(FakeClock()), list[dict[str, object]]()

    async def look(self, request: web.Request) -> web.Response:
        self.seen.append(structlog.contextvars.get_contextvars())
        structlog.contextvars.bind_contextvars(left="behind")
        match request.query.get("end"):
            case "refused":
                raise web.HTTPForbidden
            case "broken":
                raise OSError
        return web.Response()

    def app(self, proxies: tuple[Network, ...]) -> web.Application:
        app = web.Application(middlewares=[correlated(self.metrics, proxies)])
        app.on_response_prepare.append(told)
        app.router.add_get("/healthz", self.look)
        return app


@pytest.mark.parametrize(
    ("proxies", "given", "kept"),
    [
        (LOOPBACK, "a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4", True),
        (LOOPBACK, "a1.B2-c3_d4", True),
        ((), "a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4", False),  # nobody vouches for whoever sent it
        ((ip_network("10.0.0.0/8"),), "a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4", False),
        (LOOPBACK, "short", False),
        (LOOPBACK, "x" * 129, False),
        (LOOPBACK, "with blank or {brace}", False),
        (LOOPBACK, "", False),
    ],
)
async def test_a_trusted_proxy_s_sound_id_is_kept_and_else_one_is_made(
    aiohttp_client: Start, proxies: tuple[Network, ...], given: str, kept: bool
) -> None:
    doors = Doors()
    client = await aiohttp_client(doors.app(proxies))
    answer = await client.get("/healthz", headers={HEADER: given} if given else {})
    assert (answer.headers[HEADER] == given) is kept
    assert kept or re.fullmatch("[0-9a-f]{32}", answer.headers[HEADER])
    assert doors.seen == [{"request_id": answer.headers[HEADER]}]


async def test_each_answer_has_an_id_of_its_own_also_on_one_connection(aiohttp_client: Start) -> None:
    doors = Doors()
    client = await aiohttp_client(doors.app(()))
    with capture_logs():
        answers = [await client.get(f"/healthz{end}") for end in ("", "?end=refused", "", "?end=broken")]
        answers.append(await client.get("/nowhere"))
    assert [answer.status for answer in answers] == [200, 403, 200, 500, 404]
    ids = [answer.headers[HEADER] for answer in answers[:3]] + [answers[4].headers[HEADER]]
    assert len(set(ids)) == 4
    assert all(seen.keys() == {"request_id"} for seen in doors.seen), "something stayed of the request before"


async def test_every_door_answers_with_it(house: House) -> None:
    sent = "from-the-proxy-1"
    for method, path in (("GET", "/healthz"), ("POST", "/api/v1/provision"), ("POST", "/api/messages"), ("GET", "/x")):
        async with house.http.request(method, house.url + path, headers={HEADER: sent}) as answer:
            assert answer.headers[HEADER] == sent, path
    await house.dana.says("hi")
    await house.dana.says(f"add {MAC} Oslo/2/2.14")
    refusal = await house.device(MAC).provision("000000000000")  # answered from within the handler
    assert refusal.status in (403, 422) and HEADER in refusal.headers


# ------------------------------------------------------------------ counting


async def eventually(house: House, name: str) -> None:
    for _ in range(1000):
        if (await of(house)).get(name):
            return
        await asyncio.sleep(0.005)
    raise AssertionError(name)


async def test_requests_are_counted_by_pattern_method_and_status(house: House) -> None:
    before = await of(house)
    await house.dana.says("hi")
    await house.dana.says(f"add {MAC} Oslo/2/2.14")
    await house.dana.presses("Issue codes")
    await house.device(MAC).provision("123456789012")
    async with house.http.get(f"{house.url}/nowhere/805EC0112233"):
        pass
    async with house.http.request("PROPFIND", f"{house.url}/nowhere"):
        pass
    after = await of(house)

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more("http_requests_total{POST,/api/messages,2xx}") == 3
    assert more("http_requests_total{POST,/api/v1/provision,4xx}") == 1
    assert more("http_requests_total{GET,other,4xx}") == 1
    assert more("http_requests_total{other,other,4xx}") == 1
    assert more("http_request_seconds_count{/api/messages}") == 3
    assert not [name for name in after if "805EC0112233" in name]


async def test_a_poll_is_seen_while_it_waits_and_is_no_slow_request(house: House) -> None:
    await house.dana.says("hi")
    await house.dana.says(f"add {MAC} Oslo/2/2.14")
    await house.dana.presses("Issue codes")
    device = house.device(MAC)
    code = (await house.dana.says(f"code {MAC}")).code
    assert (await device.provision(code)).status == 200
    headers = {"Authorization": f"Bearer {device.token}"}
    known = await device.status()
    before = await of(house)
    async with asyncio.TaskGroup() as group:
        address = f"{house.url}/api/v1/device?since={known.body['revision']}&wait=30"
        poll = group.create_task(house.http.get(address, headers=headers))
        await eventually(house, "http_open_polls{/api/v1/device}")
        house.provisioning.release_polls()
    assert poll.result().status == 200
    after = await of(house)
    assert after["http_open_polls{/api/v1/device}"] == 0
    name = "http_request_seconds_count{/api/v1/device}"
    assert after[name] == before[name]
    assert (
        after["http_requests_total{GET,/api/v1/device,2xx}"]
        == before["http_requests_total{GET,/api/v1/device,2xx}"] + 1
    )


async def test_whoever_hangs_up_is_counted_apart(aiohttp_client: Start) -> None:
    metrics, begun = Metrics(FakeClock()), asyncio.Event()

    async def forever(_request: web.Request) -> web.Response:
        begun.set()
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application(middlewares=[correlated(metrics, ())], handler_args={"handler_cancellation": True})
    app.router.add_get("/readyz", forever)
    client = await aiohttp_client(app)
    call = asyncio.create_task(client.get("/readyz"))
    await begun.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    now = dict[str, float]()
    while not now.get("http_requests_total{GET,/readyz,aborted}"):
        await asyncio.sleep(0.01)
        now = values(metrics.page("")[0].decode())
    assert now["http_request_seconds_count{/readyz}"] == 0


async def test_every_address_of_the_service_is_known_to_its_metrics(house: House) -> None:
    """One that is not is counted as `other`: add it to `ROUTES`."""
    app = compose(house.settings, house.provisioning, 3978)
    served = {resource.canonical for resource in app.router.resources()}
    playground = {path for path in served if path.startswith(("/demo", "/v3"))} | {"/"}
    assert served - playground == ROUTES
    assert POLLED < ROUTES
