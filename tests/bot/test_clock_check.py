"""A clock that is far off is noticed, whoever else can tell the time."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.clock_check import FAR_OFF, NOT_BEFORE, ClockCheck, boot_time, web_server
from provisioning.errors import Unavailable
from storage import clock_of, open_store
from tests.fakes import FakeClock
from tests.storage import postgres


class Machine:
    """A machine whose clock can be set, and another one beside it whose clock is right."""

    def __init__(self) -> None:
        self.clock, self.steady, self.asked = FakeClock(), 100.0, 0
        self.right = self.clock.now()
        self.away = False
        self.check = ClockCheck(self.clock, {"time.example": self._tell}, lambda: self.steady)

    async def _tell(self) -> datetime | None:
        self.asked += 1
        return None if self.away else self.right

    def passes(self, span: timedelta) -> None:
        self.steady += span.total_seconds()
        self.right += span
        self.clock.advance(span)

    def is_set(self, by: timedelta) -> None:
        self.clock._now += by


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.mark.parametrize("by", [timedelta(0), FAR_OFF, -FAR_OFF])
async def test_what_callers_tokens_can_bear_is_no_fault(machine: Machine, by: timedelta) -> None:
    machine.is_set(by)
    assert await machine.check.faults() == []


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (timedelta(hours=25), "The clock is 1500 min ahead of that of time.example."),
        (timedelta(hours=-2), "The clock is 120 min behind that of time.example."),
        (FAR_OFF + timedelta(seconds=1), "The clock is 5 min ahead of that of time.example."),
    ],
)
async def test_a_clock_that_is_far_off_is_said_with_the_cure(machine: Machine, by: timedelta, said: str) -> None:
    machine.is_set(by)
    assert await machine.check.faults() == [f"{said} Set it, best by NTP: timedatectl set-ntp true"]


async def test_others_are_asked_once_an_hour(machine: Machine) -> None:
    for _ in range(7):
        assert await machine.check.faults() == []
        machine.passes(timedelta(minutes=20))
    assert machine.asked == 3


async def test_a_clock_that_is_moved_is_found_at_once_and_so_is_its_cure(machine: Machine) -> None:
    assert await machine.check.faults() == []
    machine.is_set(timedelta(hours=2))
    assert len(await machine.check.faults()) == 1
    machine.is_set(timedelta(hours=-2))
    assert await machine.check.faults() == []


async def test_whoever_cannot_be_asked_is_no_fault_of_the_clock(machine: Machine) -> None:
    machine.away = True
    machine.is_set(timedelta(hours=2))
    assert await machine.check.faults() == []
    assert machine.check.compared == []


async def test_a_database_that_is_away_is_none_either() -> None:
    async def away() -> datetime:
        raise Unavailable("the database is away")

    check = ClockCheck(FakeClock(), {"the database": away})
    assert await check.faults() == []


async def test_one_that_hangs_hides_nothing_of_what_others_say(machine: Machine) -> None:
    async def hangs() -> datetime:
        await asyncio.Event().wait()
        raise AssertionError

    witnesses = {"the database": hangs, "time.example": machine._tell}
    check = ClockCheck(machine.clock, witnesses, lambda: machine.steady, seconds=0.1)
    machine.is_set(timedelta(hours=2))
    asking = asyncio.create_task(check.faults())
    await asyncio.sleep(0)
    asking.cancel()  # as a probe that waited too long
    await asyncio.gather(asking, return_exceptions=True)
    async with asyncio.timeout(5):
        [fault] = await check.faults()
    assert fault.startswith("The clock is 120 min ahead of that of time.example.")
    assert check.compared == ["time.example"]


async def test_a_clock_from_before_this_program_needs_nobody_else() -> None:
    [fault] = await ClockCheck(FakeClock(NOT_BEFORE - timedelta(seconds=1)), {}).faults()
    assert fault.startswith("The clock shows 2025-12-31 23:59 UTC. Set it")


def test_nobody_sets_the_steady_clock() -> None:
    first = boot_time()
    assert first <= boot_time() < first + 60


# ---------------------------------------------------------------------- those who tell the time

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


async def served(headers: dict[str, str], status: int = 200) -> TestServer:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_get("/", answer)
    server = TestServer(app)
    await server.start_server()
    return server


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Date": format_datetime(NOON, usegmt=True)}, NOON),
        ({"Date": format_datetime(NOON, usegmt=True), "Age": "90"}, NOON + timedelta(seconds=90)),
        ({"Date": "Mon, 02 Mar 2026 12:00:00 -0000"}, NOON),
        ({"Date": "Mon, 02 Mar 2026 12:00:00"}, NOON),
        ({"Date": "some day"}, None),
        ({"Date": format_datetime(NOON, usegmt=True), "Age": "9" * 18}, None),
        ({"Date": format_datetime(NOON, usegmt=True), "Age": "old"}, None),
    ],
)
async def test_a_web_server_tells_by_its_date(headers: dict[str, str], said: datetime | None) -> None:
    server = await served(headers)
    ask = web_server(str(server.make_url("/")))
    try:
        assert await ask() == said
    finally:
        await server.close()
    assert await ask() is None  # it is gone


@pytest.mark.parametrize("kind", ["embedded", "postgres"])
async def test_a_store_tells_where_it_is_another_machine(kind: str, tmp_path: Path) -> None:
    url = f"tinydb:{tmp_path}/store" if kind == "embedded" else postgres.emptied()
    store = await open_store(url, clock=FakeClock())
    try:
        found = [await store.clock(), await clock_of(url)]
    finally:
        await store.close()
    if kind == "embedded":
        assert found == [None, None]
    else:
        now = datetime.now(UTC)
        assert all(moment and abs(moment - now) < timedelta(minutes=1) for moment in found)
