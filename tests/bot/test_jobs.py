"""Work that outlasts a turn: one job at a time for a thing, on one instance, until its end or the process's."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from bot.files import Files
from bot.jobs import LEASE, LOOK_SECONDS, RENEW_SECONDS, Jobs
from provisioning.errors import Unavailable
from provisioning.service import Provisioning
from provisioning.service.importing import HANDED_OVER
from provisioning.uploads import Upload, UploadState
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock
from tests.provisioning.world import KEYS, POLICY, World

SHEET = "MAC id,Location\n80-5E-C0-11-22-33,Oslo/1/1\n"


@pytest.fixture
async def world() -> World:
    store, clock = MemoryStore(), FakeClock()
    return await World(store, clock, Provisioning(store, clock, KEYS, POLICY)).people()


@pytest.fixture
def jobs(world: World) -> Jobs:
    return Jobs(world.core, Files(local=True))


def other(world: World) -> Provisioning:
    """Another instance over the same store."""
    return Provisioning(world.store, world.clock, world.core.keys, world.core.policy)


async def begun(world: World, name: str = "oslo.csv") -> Upload:
    return await world.core.begin_upload(await world.dana(), name)


async def state(world: World, upload: Upload) -> UploadState:
    found = await world.store.get(Upload, upload.id)
    assert found
    return found.state


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# ---------------------------------------------------------------------- one at a time


async def test_what_is_begun_for_one_thing_waits_for_what_went_before(jobs: Jobs) -> None:
    done: list[str] = []
    gate = asyncio.Event()

    async def work(name: str) -> None:
        done.append(f"{name} begins")
        await gate.wait()
        done.append(f"{name} ends")

    jobs.begin("one", work("first"))
    jobs.begin("one", work("second"))
    jobs.begin("another", work("third"))
    await turns()
    assert done == ["first begins", "third begins"]
    gate.set()
    await jobs.drain()
    assert done.index("second begins") > done.index("first ends")


async def test_what_waits_begins_after_a_job_that_broke_off(jobs: Jobs) -> None:
    done: list[str] = []

    async def breaks() -> None:
        raise RuntimeError("secret words of a file")

    async def works() -> None:
        done.append("works")

    with capture_logs() as logs:
        jobs.begin("one", breaks())
        jobs.begin("one", works())
        await jobs.drain()
    assert done == ["works"]
    assert [(entry["event"], entry["error"]) for entry in logs] == [("a job broke off", "RuntimeError")]
    assert "secret" not in str(logs)


async def test_a_press_waits_no_longer_than_it_should(jobs: Jobs) -> None:
    gate = asyncio.Event()
    jobs.begin("one", _until(gate))
    await jobs.settled("one", seconds=0.01)
    await jobs.settled("nothing")
    gate.set()
    await jobs.settled("one", seconds=60)
    await jobs.drain()


async def _until(gate: asyncio.Event) -> None:
    await gate.wait()


# ---------------------------------------------------------------------- on one instance


async def test_what_another_instance_holds_is_left_to_it(world: World, jobs: Jobs) -> None:
    upload, there = await begun(world), other(world)
    assert await there.holds(f"upload:{upload.id}", LEASE)
    await jobs.look()
    await jobs.drain()
    assert await state(world, upload) is UploadState.READING
    world.clock.advance(LEASE + timedelta(seconds=1))
    await jobs.look()
    await jobs.drain()
    assert await state(world, upload) is UploadState.FAILED


async def test_a_long_job_stays_with_the_instance_that_does_it(world: World, jobs: Jobs) -> None:
    there, gate = other(world), asyncio.Event()

    async def long() -> None:
        async with jobs._held("x") as held:
            assert held
            await gate.wait()

    jobs.begin("x", long())
    for _ in range(10):
        await turns()
        world.clock.advance(timedelta(seconds=RENEW_SECONDS))
        await turns()
        assert not await there.holds("upload:x", LEASE)
    gate.set()
    await jobs.drain()
    assert await there.holds("upload:x", LEASE)  # it was let go at once


async def test_what_is_under_way_here_is_not_begun_again(world: World, jobs: Jobs) -> None:
    upload = await begun(world)
    jobs.read_text(upload, SHEET)
    await jobs.look()
    await jobs.look()
    await jobs.drain()
    assert await state(world, upload) is UploadState.READY


async def test_an_upload_that_ended_is_left_alone(world: World, jobs: Jobs) -> None:
    upload = await begun(world)
    jobs.read_text(upload, SHEET)
    await jobs.drain()
    await world.core.add_upload(await world.dana(), upload.id)
    jobs.go_on(upload.id)
    jobs.go_on(upload.id)
    await jobs.drain()
    assert await state(world, upload) is UploadState.ADDED
    version = (await world.core.upload(await world.dana(), upload.id)).version
    jobs.go_on(upload.id)
    await jobs.look()
    await jobs.drain()
    assert (await world.core.upload(await world.dana(), upload.id)).version == version


async def test_a_sheet_whose_message_is_still_on_its_way_is_not_given_up(world: World, jobs: Jobs) -> None:
    """It is known before its message is sent, and read after that: who looks meanwhile leaves it alone."""
    upload, there = await begun(world), Jobs(other(world), Files(local=True))
    for each in (jobs, there):
        await each.look()
        await each.drain()
    jobs.read_text(upload, SHEET)
    await jobs.drain()
    assert await state(world, upload) is UploadState.READY


# ---------------------------------------------------------------------- until the end


async def test_an_end_of_the_process_ends_its_jobs(world: World, jobs: Jobs) -> None:
    upload, gate = await begun(world), asyncio.Event()
    running = asyncio.create_task(jobs.run())
    await turns()
    jobs.read_text(upload, SHEET)
    jobs.begin("x", _until(gate))
    await turns()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await asyncio.wait_for(jobs.drain(), 30)
    assert await state(world, upload) is UploadState.FAILED


async def test_what_was_left_behind_is_looked_for_again_and_again(world: World, jobs: Jobs) -> None:
    running = asyncio.create_task(jobs.run())
    await turns()
    upload = await begun(world)
    world.clock.advance(HANDED_OVER + timedelta(seconds=LOOK_SECONDS))
    async with asyncio.timeout(30):
        while await state(world, upload) is UploadState.READING:  # noqa: ASYNC110 - a loop is at work
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_look_goes_on_after_the_store_was_away(
    world: World, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, looks = await begun(world), []
    real = world.core.unfinished

    async def sometimes() -> object:
        looks.append(1)
        if len(looks) == 1:
            raise Unavailable("it is away")
        return await real()

    monkeypatch.setattr(world.core, "unfinished", sometimes)
    running = asyncio.create_task(jobs.run())
    await turns()
    assert await state(world, upload) is UploadState.READING
    world.clock.advance(HANDED_OVER + timedelta(seconds=LOOK_SECONDS))
    async with asyncio.timeout(30):
        while await state(world, upload) is UploadState.READING:  # noqa: ASYNC110 - a loop is at work
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
