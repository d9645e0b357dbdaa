"""What the doctor finds out by asking real servers on loopback: whose clock agrees, who knows us, who is where."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import app
from bot.adapter import Adapter
from bot.clock_check import ClockCheck
from bot.credentials import Credentials
from bot.doctor_asking import Heard, ask
from bot.identity import OpenIdProvider
from bot.settings import load_settings
from tests.bot.test_doctor import TEAMS, examine
from tests.connector import APP_ID, APP_PASSWORD, TENANT, FakeIdentity
from tests.fakes import FakeClock
from tests.openid import CLIENT_ID, Answer, OpenId


async def heard(
    password: str = APP_PASSWORD,
    clocks: ClockCheck | None = None,
    public_url: str = "",
    discovery: Answer | None = None,
    local: bool = False,
) -> dict[str, Heard]:
    clock = FakeClock()
    async with FakeIdentity() as identity, OpenId(clock.now) as openid:
        if discovery:
            openid.answers["discovery"] = discovery
        credentials = None if local else Credentials(APP_ID, password, TENANT)
        adapter = Adapter(credentials, allowed_service_hosts=(), cloud=identity.cloud())
        provider = OpenIdProvider(openid.issuer, CLIENT_ID, local=True, now=clock.now)
        found = await ask(clocks or ClockCheck(clock, {}), adapter, provider, public_url)
        assert set(openid.counts) <= {"discovery", "keys"}, "nothing is begun"
    return {each.what: each for each in found}


@asynccontextmanager
async def at(body: Any) -> AsyncIterator[str]:
    async def version(_request: web.Request) -> web.Response:
        return web.json_response(body)

    served = web.Application()
    served.router.add_get("/version", version)
    server = TestServer(served)
    await server.start_server()
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


async def test_all_is_well() -> None:
    found = await heard()
    assert {what: list(each.faults) for what, each in found.items()} == {
        "Clock": [],
        "Credentials of the bot": [],
        "Identity provider": [],
    }
    assert found["Credentials of the bot"].said == "a token was given"
    assert found["Identity provider"].said.endswith("offers sign-in by a code")


async def test_a_wrong_secret_is_found_before_anybody_writes() -> None:
    [fault] = (await heard(password="wr0ng"))["Credentials of the bot"].faults
    assert fault.startswith("no token was given (")
    assert "wr0ng" not in fault


@pytest.mark.parametrize(
    ("discovery", "said"),
    [(Answer({}, 500), "does not answer"), (Answer({"issuer": "https://else.example"}), "OIDC_ISSUER: ")],
)
async def test_a_provider_that_cannot_be_used_is_said_in_its_sentence(discovery: Answer, said: str) -> None:
    [fault] = (await heard(discovery=discovery))["Identity provider"].faults
    assert fault.startswith("OIDC_ISSUER: ")
    assert said in fault


async def test_a_clock_that_is_far_off_is_said() -> None:
    async def theirs() -> datetime:
        return datetime(2026, 3, 2, 8, 0, tzinfo=UTC) + timedelta(hours=1)

    found = (await heard(clocks=ClockCheck(FakeClock(), {"time.example": theirs}), local=True))["Clock"]
    assert found.faults == [
        "The clock is 60 min behind that of time.example. Set it, best by NTP: timedatectl set-ntp true"
    ]


async def test_in_local_mode_nobody_else_is_asked() -> None:
    assert list(await heard(local=True)) == ["Clock"]


async def test_the_public_address_leads_to_the_service(tmp_path: Path) -> None:
    settings = load_settings({"STORE_URL": f"tinydb:{tmp_path / 'store'}"}, None).model_copy(update={"port": 0})
    async with app.running(settings) as service:
        found = (await heard(public_url=service.url))["PUBLIC_URL"]
    assert (found.said.startswith("version "), list(found.faults)) == (True, [])
    gone = (await heard(public_url=service.url))["PUBLIC_URL"]
    assert gone.said.startswith("nobody answers there now")


@pytest.mark.parametrize("body", [[], {"name": "wordpress", "version": "6"}, {"name": "provisioning-bot"}])
async def test_something_else_at_the_public_address_is_a_fault(body: Any) -> None:
    async with at(body) as url:
        [fault] = (await heard(public_url=url))["PUBLIC_URL"].faults
    assert fault.startswith("something else answers at ")


# ---------------------------------------------------------------------- as the operator reads it


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ((Heard("Clock", "agrees with [b]x"),), 0, "✓ Clock: agrees with [b]x"),
        ((Heard("Clock", "fine"), Heard("Identity provider", faults=["is away"])), 1, "✗ Identity provider: is away"),
    ],
)
def test_what_is_no_use_has_an_exit_code_of_its_own(answers: tuple[Heard, ...], code: int, said: str) -> None:
    found, text = examine(TEAMS, asked=lambda settings: answers)
    assert (found, said in text.splitlines()) == (code, True)


def test_nobody_is_asked_where_the_service_would_not_start() -> None:
    def never(settings: object) -> tuple[Heard, ...]:
        raise AssertionError("nobody needs to be asked")

    assert examine({**TEAMS, "TENANT_ID": ""}, asked=never)[0] == 2
