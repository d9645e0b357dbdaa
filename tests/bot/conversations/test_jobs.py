"""Orders for many devices: the press is answered at once, its card follows the work, which survives its process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from bot import jobs
from provisioning.batches import Batch
from provisioning.errors import Unavailable
from provisioning.jobs import Job, JobState
from provisioning.model import Change, Device
from provisioning.ports import Span
from provisioning.service import handover
from tests.bot.chat import House, Post, Someone, restarted

MANY = 1_200
LEASE_OVER = jobs.LEASE + timedelta(seconds=1)


def mac(number: int) -> str:
    return f"805EC0{number:06X}"


@pytest.fixture
async def site(house: House, dana: Someone, sam: Someone) -> House:
    """1 200 devices in Oslo, and Sam."""
    for start in range(0, MANY, 300):
        numbers = range(start, start + 300)
        devices = tuple(
            Device(mac=mac(n), location=f"Oslo/{n % 9}/{n}", added_at=house.clock.now(), added_by="x") for n in numbers
        )
        await house.store.save(Change(puts=devices))
    return house


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A press waits for nothing."""
    monkeypatch.setattr(jobs, "PATIENCE", 0.0)


async def latest(house: House) -> Job:
    return (await house.store.find(Job, limit=1)).rows[0]


async def live(house: House) -> int:
    return await house.store.count(Device, span=Span("code_until", after=house.clock.now()))


async def until(house: House, reached: Callable[[Job], bool]) -> Job:
    """The job as soon as it has come so far."""
    async with asyncio.timeout(30):
        while not ((rows := (await house.store.find(Job, limit=1)).rows) and reached(rows[0])):  # noqa: ASYNC110 - a job is at work
            await asyncio.sleep(0)
    return rows[0]


async def begun(house: House, dana: Someone, text: str = "reissue Oslo to Sam", button: str = "Reissue") -> Post:
    """The card that is shown at once; the work has come to its third part meanwhile."""
    house.by_itself = False
    await dana.says(text)
    shown = await dana.presses(button) if button else dana.card
    await until(house, lambda job: job.done >= 300)
    return next(post for post in dana.posts if post.id == shown.id)


async def test_what_is_soon_done_is_shown_at_once(site: House, dana: Someone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PATIENCE", 60.0)
    await dana.says("reissue Oslo to Sam")
    assert (await dana.presses("Reissue")).title == "1200 codes issued to Sam"
    assert await live(site) == MANY
    assert (await latest(site)).state is JobState.DONE


async def test_the_card_follows_the_work_and_becomes_the_ledger(site: House, dana: Someone, impatient: None) -> None:
    shown = await begun(site, dana)
    assert (shown.title, shown.buttons) == ("Issuing codes: Oslo", ["Cancel"])
    before = shown.edits
    site.clock.advance(timedelta(seconds=5))
    job = await until(site, lambda job: job.progress_at is not None)
    await site.relay.drain()
    site.collect()
    assert shown.edits == before + 1
    assert f"{job.done} of 1200" in shown.all and "left." in shown.all
    await site.settled()
    assert (shown.title, "Message Sam" in shown.buttons) == ("1200 codes issued to Sam", True)
    assert await live(site) == MANY
    (row,) = (await site.store.find(Batch, kind="issue", limit=9)).rows
    assert len(set(row.macs)) == len(row.macs) == MANY


async def test_a_technician_hears_of_it_once(site: House, dana: Someone, sam: Someone, impatient: None) -> None:
    before = len(sam.posts)
    await begun(site, dana)
    for _step in range(8):
        await site.relay.drain()
        await asyncio.sleep(0.01)
    await site.settled()
    assert [m.kind for m in await site.waiting()] == []
    assert len(sam.posts) == before + 1


async def test_cancel_and_go_on(site: House, dana: Someone, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = await begun(site, dana)
    monkeypatch.setattr(jobs, "PATIENCE", 30.0)
    stopped = await dana.presses("Cancel", on=shown)
    job = await latest(site)
    assert job.state is JobState.CANCELLED and 300 <= job.done < MANY
    assert (stopped.title, stopped.buttons) == (f"Stopped: {job.done} of 1200 have codes.", ["Go on"])
    assert await live(site) == job.done
    macs = {device.mac: device.issued for device in (await site.store.find(Device, limit=1000)).rows}
    await site.settled()
    assert await live(site) == job.done
    done = await dana.presses("Go on", on=shown)
    assert done.title == "1200 codes issued to Sam"
    assert await live(site) == MANY
    again = {device.mac: device.issued for device in (await site.store.find(Device, limit=1000)).rows}
    assert {again[each] for each in macs} == {1}, "no code was made twice"


async def test_a_typed_cancel(site: House, dana: Someone, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await dana.says("cancel")).title == "Nothing of yours is under way"
    await begun(site, dana)
    monkeypatch.setattr(jobs, "PATIENCE", 30.0)
    said = await dana.says("cancel")
    assert said.title.startswith("Stopped: ")
    assert (await latest(site)).state is JobState.CANCELLED


async def test_a_killed_service_goes_on(site: House, dana: Someone, impatient: None) -> None:
    shown = await begun(site, dana)
    await site.stops_working()
    job = await latest(site)
    assert job.running and await live(site) == job.done < MANY
    async with restarted(site):
        site.clock.advance(LEASE_OVER)
        await site.jobs.look()
        await site.settled()
    assert shown.title == "1200 codes issued to Sam"
    assert await live(site) == MANY
    assert (await latest(site)).counted["issued"] == MANY


async def test_what_another_instance_holds_is_left_alone(site: House, dana: Someone, impatient: None) -> None:
    await begun(site, dana)
    under_way = dict(site.jobs._under_way)
    held, site.provisioning.instance = site.provisioning.instance, "another"
    assert not await site.provisioning.holds(f"upload:{(await latest(site)).id}", jobs.LEASE)
    site.provisioning.instance = held
    await site.jobs.look()
    assert site.jobs._under_way == under_way
    await site.settled()
    assert await live(site) == MANY


async def test_a_double_tap_is_one_order(site: House, dana: Someone, impatient: None) -> None:
    await begun(site, dana)
    again = await dana.repeats(new_id=True)
    assert again
    assert again.title == "Issuing codes: Oslo"
    await site.settled()
    assert await site.store.count(Job) == 1
    assert {d.issued for d in (await site.store.find(Device, limit=1000)).rows} == {1}


async def test_a_store_that_was_away(
    site: House, dana: Someone, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.expected_errors.add("a job broke off")
    save, saved = site.store.save, 0

    async def away(change: Change) -> None:
        nonlocal saved
        saved += any(isinstance(each, Job) for each in change.puts)
        if saved == 5:
            raise Unavailable("disk full")
        await save(change)

    monkeypatch.setattr(site.store, "save", away)
    await begun(site, dana)
    await site.jobs.drain()
    job = await latest(site)
    assert job.running and job.done == await live(site) < MANY
    monkeypatch.setattr(site.store, "save", save)
    site.clock.advance(LEASE_OVER)
    await site.jobs.look()
    await site.settled()
    assert await live(site) == MANY


async def test_a_right_that_is_lost_meanwhile(site: House, dana: Someone, impatient: None) -> None:
    lee = await site.admin("Lee")
    shown = await begun(site, lee)
    await site.stops_working()
    await site.dana.says(f"revoke access {lee.object_id}")
    await site.dana.presses("Revoke now")
    site.clock.advance(LEASE_OVER)
    await site.jobs.look()
    await site.jobs.drain()
    job = await latest(site)
    assert job.state is JobState.FAILED and job.fault is not None and job.fault.code == "no_access"
    assert await live(site) == job.done < MANY
    await site.settled()
    assert shown.title == "Access ended"


async def test_somebody_elses_work(site: House, dana: Someone, impatient: None) -> None:
    lee = await site.admin("Lee")
    shown = await begun(site, dana)
    action = shown.action("Cancel")
    answer = await lee.acts(lee.card, action["verb"], dict(action["data"]))
    assert "Somebody else began this." in answer.all
    await site.settled()
    assert await live(site) == MANY


@pytest.mark.parametrize(
    ("text", "button", "title", "done"),
    [
        ("tag Oslo lobby", "Tag 1200", "Tagging Oslo with lobby", "1200 devices tagged with lobby"),
        ("assign Oslo to Sam", "", "Assigning devices: Oslo", "1200 devices are with Sam now"),
    ],
)
async def test_other_orders(
    site: House, dana: Someone, impatient: None, text: str, button: str, title: str, done: str
) -> None:
    shown = await begun(site, dana, text, button)
    assert shown.title == title
    await site.stops_working()
    async with restarted(site):
        site.clock.advance(LEASE_OVER)
        await site.jobs.look()
        await site.settled()
    assert shown.title == done
    assert await site.store.count(Device, **{"tag": "lobby"} if button else {"technician": _sam(site)}) == MANY


def _sam(house: House) -> Any:
    return next(chat.object_id for chat in house.chats.values() if isinstance(chat, Someone) and chat.name == "Sam")


async def test_untag_and_revoke_count_all_after_a_restart(
    site: House, dana: Someone, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PATIENCE", 60.0)
    await dana.says("tag Oslo lobby")
    await dana.presses("Tag 1200")
    await dana.says("issue Oslo to Sam")
    await dana.presses("All 1200")
    assert await live(site) == MANY
    site.clock.advance(timedelta(seconds=1))
    monkeypatch.setattr(jobs, "PATIENCE", 0.0)
    async with AsyncExitStack() as stack:
        for text, button, title in (
            ("untag #lobby lobby", "Untag 1200", "1200 devices no longer have the tag lobby"),
            ("revoke Oslo", "Revoke", "1200 codes revoked: Oslo"),
        ):
            shown = await begun(site, dana, text, button)
            await site.stops_working()
            assert (await latest(site)).running
            await stack.enter_async_context(restarted(site))
            site.clock.advance(LEASE_OVER)
            await site.jobs.look()
            await site.settled()
            assert shown.title == title
        assert await live(site) == 0


def test_parts_are_small() -> None:
    assert handover.CHUNK <= 100, "others wait for a part"
