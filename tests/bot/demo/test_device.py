"""The simulated device against the real device API: what its screen shows, and what it does when answers get lost."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot import device_api
from bot.demo.device import TRIES, DeviceProblem, NoAnswer, SimulatedDevice, run
from bot.problems import Handler, problems
from provisioning.errors import (
    CodeRefused,
    DeviceResetRequired,
    InvalidMac,
    SlowDown,
    TokenRefused,
    Unavailable,
)
from provisioning.model import State
from provisioning.service import Provisioning
from provisioning.service.activation import DeviceStatus, ProvisionCall, Provisioned
from provisioning.service.commanding import CommandUnknown
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock
from tests.provisioning.world import KEYS, POLICY, World, wrong

MAC, CODE = "805EC0112233", "4829 1376 0257"


class Service:
    """One device's authority: a code works once, or again with the key it was used with."""

    def __init__(self) -> None:
        self.calls: list[ProvisionCall] = []
        self.refusals: list[Exception] = []
        self.after: list[Exception] = []  # refusals that begin once the code was used
        self.lose = 0  # how many answers get lost on their way
        self.token = self.key = ""
        self.used = False
        self.status = DeviceStatus(1, State.WAITING_FOR_SIGN_IN, "Contoso", "t", "Oslo/2.14", "", 1)
        self.story: list[DeviceStatus | Exception] = []  # what happens next, one a poll
        self.resets = 0
        self.settled: list[tuple[str, bool, str]] = []

    async def provision(self, call: ProvisionCall) -> Provisioned:
        self.calls.append(call)
        if self.refusals:
            raise self.refusals.pop(0)
        if call.code != CODE or (self.used and call.retry_key != self.key):
            raise CodeRefused
        self.refusals, self.after = self.after, []
        self.used, self.key, self.token = True, call.retry_key, f"token-{len(self.calls)}"
        return Provisioned("t", "Contoso", MAC, "Oslo/2.14", State.WAITING_FOR_SIGN_IN, 1, self.token)

    async def device_status(self, token: str, *, since: int | None, wait: float) -> DeviceStatus:
        if token != self.token:
            raise TokenRefused
        if since == self.status.revision and wait:
            now = self.story.pop(0)
            if isinstance(now, Exception):
                raise now
            self.status = now
        return self.status

    async def settle_command(self, token: str, command_id: str, *, done: bool, detail: str = "") -> None:
        if token != self.token:
            raise TokenRefused
        self.settled.append((command_id, done, detail))
        self.status = replace(
            self.status,
            revision=self.status.revision + 1,
            commands=tuple(each for each in self.status.commands if each[0] != command_id),
        )
        if command_id == "gone":
            raise CommandUnknown

    async def report_reset(self, token: str) -> None:
        self.resets += 1
        self.used, self.token = False, ""


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def url(service: Service) -> AsyncIterator[str]:
    @web.middleware
    async def lossy(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if service.lose and request.transport:
            service.lose -= 1
            request.transport.abort()
        return answer

    app = web.Application(middlewares=[lossy, problems])
    app.add_routes(device_api.routes(service))
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


class Clock:
    """Sleeps at once, and remembers how long it was to be."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


NewDevice = Callable[..., SimulatedDevice]


@pytest.fixture
async def new_device(url: str, clock: Clock) -> AsyncIterator[NewDevice]:
    async with ClientSession() as session:
        yield lambda **more: SimulatedDevice(url, MAC, session=session, sleep=clock.sleep, **more)


# ------------------------------------------------------------------ the device


async def test_a_code_becomes_a_token_and_a_tenant_name(service: Service, new_device: NewDevice) -> None:
    device = new_device()
    view = await device.provision(CODE)
    assert (view.tenant, view.location, view.state, view.life) == ("Contoso", "Oslo/2.14", "waiting_for_sign_in", 1)
    assert device.token == service.token
    assert (await device.status()).revision == 1
    assert (service.calls[0].mac, service.calls[0].type, service.calls[0].model) == (MAC, "phone", "Simulated")


async def test_each_entered_code_has_its_own_key(service: Service, new_device: NewDevice) -> None:
    device = new_device()
    for code in ("0000", "0000", CODE):
        try:
            await device.provision(code)
        except DeviceProblem as problem:
            assert (problem.status, problem.code) == (403, "code_refused")
    keys = [call.retry_key for call in service.calls]
    assert len(set(keys)) == 3
    assert all(len(key) == 32 for key in keys)


async def test_a_lost_answer_is_asked_for_with_the_same_key(
    service: Service, new_device: NewDevice, clock: Clock
) -> None:
    service.lose = 2
    device = new_device()
    assert (await device.provision(CODE)).tenant == "Contoso"
    assert len({call.retry_key for call in service.calls}) == 1
    assert device.token == service.token == "token-3"
    assert clock.slept == [1.0, 2.0]


async def test_after_a_long_silence_the_same_code_still_works(service: Service, new_device: NewDevice) -> None:
    service.lose = TRIES
    device = new_device()
    with pytest.raises(NoAnswer):
        await device.provision(CODE)
    assert (await device.provision(CODE)).tenant == "Contoso"


async def test_a_busy_service_after_a_lost_answer_does_not_cost_the_code(
    service: Service, new_device: NewDevice
) -> None:
    service.lose, service.after = 1, [Unavailable("away")] * TRIES
    device = new_device()
    with pytest.raises(DeviceProblem, match="cannot save"):
        await device.provision(CODE)
    assert (await device.provision(CODE)).tenant == "Contoso"
    assert len({call.retry_key for call in service.calls}) == 1


async def test_it_waits_as_long_as_it_is_told(service: Service, new_device: NewDevice, clock: Clock) -> None:
    service.refusals = [SlowDown(8), Unavailable("disk full"), SlowDown(300)]
    await new_device().provision(CODE)
    assert clock.slept == [8.0, 10.0, 300.0]
    assert len({call.retry_key for call in service.calls}) == 1


async def test_it_gives_up_in_the_end(service: Service, new_device: NewDevice, clock: Clock) -> None:
    service.refusals = [SlowDown(2)] * TRIES
    with pytest.raises(DeviceProblem, match="Too many wrong codes"):
        await new_device().provision(CODE)
    assert clock.slept == [2.0] * (TRIES - 1)


async def test_a_reset_device_has_forgotten(service: Service, new_device: NewDevice) -> None:
    device = new_device()
    await device.provision(CODE)
    await device.factory_reset()
    assert (device.token, service.resets) == ("", 1)
    await device.provision(CODE)


async def test_a_device_that_is_no_longer_known_resets_all_the_same(service: Service, new_device: NewDevice) -> None:
    device = new_device()
    await device.factory_reset()
    assert device.token == ""


async def test_its_token_outlives_the_power(service: Service, new_device: NewDevice, tmp_path: Path) -> None:
    path = tmp_path / "flash.json"
    await new_device(state_file=path).provision(CODE)
    assert os.name != "posix" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await new_device(state_file=path).status()).tenant == "Contoso"
    path.write_text(json.dumps({"mac": "another", "token": service.token}), encoding="utf-8")
    assert new_device(state_file=path).token == ""
    path.write_bytes(b"\xff damaged")
    assert new_device(state_file=path).token == ""


# ------------------------------------------------------------------ its screen


class Person:
    """Stands in front of the device: reads its screen, types what is in the pocket; with nothing left, walks away."""

    def __init__(self, *typed: str) -> None:
        self.screen: list[str] = []
        self.typed = list(typed)
        self.asked: list[str] = []

    async def ask(self, question: str) -> str:
        self.asked.append(question)
        if not self.typed:
            raise EOFError("No code was typed.")
        return self.typed.pop(0)


@pytest.fixture
def start(url: str, clock: Clock) -> Callable[..., Awaitable[int]]:
    async def stand_before(person: Person, code: str = "", **more: object) -> int:
        return await run(url, MAC, code, show=person.screen.append, ask=person.ask, sleep=clock.sleep, **more)

    return stand_before


Start = Callable[..., Awaitable[int]]


async def test_once_shows_the_tenant_and_ends(start: Start) -> None:
    person = Person()
    assert await start(person, CODE, once=True) == 0
    assert person.screen == [f"{MAC}: starting.", "Contoso · Oslo/2.14 · Waiting for sign-in"]


async def test_a_wrong_code_is_typed_again(start: Start) -> None:
    person = Person("0000", CODE)
    assert await start(person, once=True) == 0
    assert person.screen[1].startswith("This MAC and code do not go together.")
    assert person.screen[2].startswith("Contoso")


async def test_the_screen_follows_until_the_service_forgets_it(start: Start, service: Service) -> None:
    service.story = [
        service.status,  # nothing new: nothing drawn
        replace(service.status, revision=2, state=State.SIGNED_IN, account="room@contoso.com"),
        replace(service.status, revision=3, state=State.SIGNED_OUT),
        TokenRefused(),
    ]
    person = Person(CODE)
    assert await start(person) == 1
    assert person.screen[1:5] == [
        "Contoso · Oslo/2.14 · Waiting for sign-in",
        "Contoso · Oslo/2.14 · Signed in · room@contoso.com",
        "Contoso · Oslo/2.14 · Signed out",
        "This device's token is not valid. Reset it to factory settings; then a new code can be used.",
    ]


async def test_a_lost_token_and_a_demanded_reset_begin_anew(start: Start, service: Service) -> None:
    service.story = [DeviceResetRequired(), TokenRefused()]
    person = Person(CODE, "", CODE)
    assert await start(person) == 1
    assert service.resets == 2
    assert person.asked[1] == "Factory reset: press Enter. ", "what an admin ended, whoever stands there resets"
    assert person.screen.count("Resetting to factory settings.") == 2
    assert person.screen.count("Contoso · Oslo/2.14 · Waiting for sign-in") == 2
    assert len(service.calls) == 2


async def test_it_does_what_an_admin_asks_for_and_says_so(start: Start, service: Service) -> None:
    asked = (("c1", "sign_out"), ("c2", "restart"), ("c3", "diagnostics"), ("gone", "restart"), ("c4", "dance"))
    signed_in = replace(service.status, revision=2, state=State.SIGNED_IN, account="room@contoso.com", commands=asked)
    service.story = [signed_in, TokenRefused()]
    person = Person(CODE)
    assert await start(person) == 1
    assert [(id_, done) for id_, done, _detail in service.settled] == [
        *(("c1", True), ("c2", True), ("c3", True), ("gone", True), ("c4", False)),
    ]
    assert service.settled[2][2].startswith("Simulated, software 1.0, 0 calls answered since it started")
    assert person.screen[2:8] == [
        "Contoso · Oslo/2.14 · Signed in · room@contoso.com",
        "Signing out, as an admin asked.",
        "Restarting, as an admin asked.",
        f"{MAC}: starting.",
        "Contoso · Oslo/2.14 · Signed in · room@contoso.com",
        "Sending a note of how it is, as an admin asked.",
    ]


@pytest.mark.parametrize("refusal", [CodeRefused(), InvalidMac(text="x")], ids=lambda error: error.code)
async def test_a_given_code_that_fails_is_an_error(
    start: Start, service: Service, capsys: pytest.CaptureFixture[str], refusal: Exception
) -> None:
    service.refusals = [refusal]
    person = Person()
    assert await start(person, CODE) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{refusal}\n")


async def test_waiting_is_shown(start: Start, service: Service) -> None:
    service.refusals = [SlowDown(8)]
    person = Person()
    assert await start(person, CODE, once=True) == 0
    assert person.screen[1] == "Trying again in 8 s."


async def test_a_stored_token_needs_no_code(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "flash.json"
    assert await start(Person(), CODE, once=True, state_file=path) == 0
    person = Person()
    assert await start(person, once=True, state_file=path) == 0
    assert person.screen[1] == "Contoso · Oslo/2.14 · Waiting for sign-in"


@pytest.mark.parametrize(
    ("address", "said"), [("http://127.0.0.1:9", "does not answer"), ("nonsense", "is not an address")]
)
async def test_no_service_is_an_error(
    clock: Clock, capsys: pytest.CaptureFixture[str], address: str, said: str
) -> None:
    assert await run(address, MAC, CODE, show=[].append, sleep=clock.sleep) == 1
    assert said in capsys.readouterr().err


async def test_ctrl_c_ends_it(start: Start, service: Service) -> None:
    seen = asyncio.Event()
    forever = asyncio.Event()

    class Passer(Person):
        async def ask(self, question: str) -> str:
            seen.set()
            await forever.wait()
            return ""

    running = asyncio.ensure_future(start(Passer()))
    await seen.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# ------------------------------------------------------------------ with the real business behind the door


@pytest.fixture
async def world() -> World:
    clock = FakeClock()
    store = MemoryStore()
    return await World(store, clock, Provisioning(store, clock, KEYS, POLICY)).people()


async def test_the_whole_road_with_the_real_business(world: World, clock: Clock) -> None:
    await world.add((MAC, "Oslo/2/2.14"))
    await world.issue("oslo")
    code = await world.digits(MAC)
    app = web.Application(middlewares=[problems])
    app.add_routes(device_api.routes(world.core))
    async with TestServer(app) as server, ClientSession() as session:
        device = SimulatedDevice(str(server.make_url("/")), "80:5e:c0:11:22:33", session=session, sleep=clock.sleep)
        for typed, status, problem in ((code[:-1], 422, "invalid_code"), (wrong(code), 403, "code_refused")):
            with pytest.raises(DeviceProblem) as refused:
                await device.provision(typed)
            assert (refused.value.status, refused.value.code) == (status, problem)
        view = await device.provision(f"*55*{code}")
        assert (view.tenant, view.location, view.state, view.life) == (
            "Contoso",
            "Oslo/2/2.14",
            "waiting_for_sign_in",
            1,
        )
        with pytest.raises(DeviceProblem) as again:
            await device.provision(code)
        assert (again.value.status, again.value.code) == (409, "reset_required")
        now = await device.status()
        poll = asyncio.create_task(device.status(now.revision, 30))
        await asyncio.sleep(0)
        world.core.release_polls()
        assert (await poll).revision == now.revision
        await device.factory_reset()
        assert (await world.device(MAC)).life == 2
        with pytest.raises(DeviceProblem) as used:
            await device.provision(code)
        assert (used.value.status, used.value.code) == (403, "code_refused")
    assert clock.slept == []
