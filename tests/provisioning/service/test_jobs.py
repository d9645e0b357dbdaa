"""Orders for many devices, over every store: each part once, counted once, from wherever they stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.batches import Batch
from provisioning.errors import InvalidTag
from provisioning.jobs import Job, JobKind, JobState
from provisioning.messages import MessageKind, Post
from provisioning.model import Change, Device, Record, Role
from provisioning.ports import Span
from provisioning.service import Provisioning
from provisioning.service.handover import NotATechnician
from provisioning.service.issuing import IssueOrder
from provisioning.service.lookup import Target
from provisioning.service.restoring import Restoring
from provisioning.service.working import NotYourJob, order_of, params_of_order
from provisioning.sheets.faults import say
from tests.provisioning.world import DANA, KEYS, KIM, LEE, POLICY, SAM, World, chat_of, member
from tests.storage.samples import NOW

MANY = 10
MACS = [f"805EC01100{n:02X}" for n in range(MANY)]
OSLO = {"site": "Oslo"}
CUT = 2  # parts that are done before it breaks off


@pytest.fixture(autouse=True)
async def site(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Ten devices, three to a part."""
    monkeypatch.setattr("provisioning.service.handover.CHUNK", 3)
    await world.add(*((mac, f"Oslo/{n // 5}/{n}") for n, mac in enumerate(MACS)))
    return world


class Killed(BaseException):
    """The process ends."""


async def begun(world: World, kind: JobKind, params: Mapping[str, str], press: str = "press") -> Job:
    return await world.core.begin_job(await world.actor(DANA, press), kind, params)


async def cut(world: World, job: Job, monkeypatch: pytest.MonkeyPatch, parts: int = CUT) -> Job:
    """Carried out until so many parts are done; then the process ends."""
    save, saved = world.store.save, 0

    async def saving(change: Change) -> None:
        nonlocal saved
        saved += any(isinstance(each, Job) for each in change.puts)
        if saved > parts:
            raise Killed
        await save(change)

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "save", saving)
        with pytest.raises(Killed):
            await world.core.carry_out(job.id)
    return await known(world, job)


async def known(world: World, job: Job) -> Job:
    found = await world.store.get(Job, job.id)
    assert found is not None
    return found


async def finished(world: World, job: Job) -> Job:
    """By another instance."""
    await Provisioning(world.store, world.clock, KEYS, POLICY).carry_out(job.id)
    return await known(world, job)


async def live(world: World) -> int:
    return await world.store.count(Device, span=Span("code_until", after=world.clock.now()))


async def issues(world: World) -> set[int]:
    return {(await world.device(mac)).issued for mac in MACS}


async def test_issue_goes_on_where_it_broke_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await cut(world, await begun(world, JobKind.ISSUE, {**OSLO, "technicians": f"{SAM},{KIM}"}), monkeypatch)
    assert (job.state, job.done, job.total, job.counted) == (JobState.RUNNING, 6, MANY, {"issued": 6})
    assert await live(world) == 6
    job = await finished(world, job)
    assert (job.state, job.done, job.total, job.counted) == (JobState.DONE, MANY, MANY, {"issued": MANY})
    rows = [await world.store.get(Batch, key) for key in job.batches]
    assert [(row.technician, len(row.macs), len(row.kept)) for row in rows if row] == [(SAM, 5, 0), (KIM, 5, 0)]
    assert await issues(world) == {1}


async def test_reissue_makes_no_code_twice_when_the_list_got_shorter(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.issue("oslo", SAM)
    job = await cut(world, await begun(world, JobKind.ISSUE, {**OSLO, "void": "yes"}), monkeypatch)
    await world.provisions(MACS[0])  # the parts that are left begin with other devices
    job = await finished(world, job)
    assert (job.state, job.done) == (JobState.DONE, MANY)
    assert await issues(world) == {2}
    (row,) = [await world.store.get(Batch, key) for key in job.batches]
    assert row is not None
    assert sorted(row.macs) == MACS


async def test_the_first_so_many_stay_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await cut(
        world, await begun(world, JobKind.ISSUE, {**OSLO, "technicians": SAM, "first": "5"}), monkeypatch, 1
    )
    assert await live(world) == 3
    job = await finished(world, job)
    assert await live(world) == 5
    assert (job.done, job.total) == (5, 5)


@pytest.mark.parametrize(
    ("kind", "params", "name"),
    [
        (JobKind.TAG, {**OSLO, "word": "lobby"}, "changed"),
        (JobKind.ASSIGN, {**OSLO, "technicians": SAM}, "changed"),
        (JobKind.UNTAG, {"tag": "east", "word": "east"}, "changed"),
        (JobKind.REVOKE, OSLO, "own"),
    ],
)
async def test_the_others_count_all_too(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: JobKind, params: Mapping[str, str], name: str
) -> None:
    await world.core.tag_devices(await world.dana(), Target(site="Oslo"), "east")
    await world.issue("oslo")
    job = await cut(world, await begun(world, kind, params), monkeypatch)
    assert (job.done, job.total, job.counted[name]) == (6, MANY, 6)
    job = await finished(world, job)
    assert (job.state, job.done, job.counted[name]) == (JobState.DONE, MANY, MANY)
    if kind is JobKind.UNTAG:
        assert await world.store.count(Device, tag="east") == 0
    if kind is JobKind.REVOKE:
        assert await live(world) == 0


async def test_the_devices_of_a_ledger_row(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.issue("oslo", SAM)
    (row,) = (await world.issue("oslo", SAM)).batches
    assert len(row.kept) == MANY
    job = await cut(world, await begun(world, JobKind.REISSUE_KEPT, {"batch": row.id}), monkeypatch)
    job = await finished(world, job)
    assert (await issues(world), job.state) == ({2}, JobState.DONE)
    given = {"batch": row.id, "technicians": KIM}
    job = await cut(world, await begun(world, JobKind.ASSIGN_BATCH, given, "another"), monkeypatch)
    job = await finished(world, job)
    assert await world.store.count(Device, technician=KIM) == MANY
    after = await world.store.get(Batch, row.id)
    assert after is not None
    assert (after.technician, job.batches) == (KIM, (row.id,))


async def test_stopped_and_gone_on_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await cut(world, await begun(world, JobKind.ISSUE, OSLO), monkeypatch)
    stopped = await world.core.cancel_job(await world.dana(), job.id)
    assert stopped.state is JobState.CANCELLED
    assert (await finished(world, job)).state is JobState.CANCELLED
    assert await live(world) == stopped.done == 6
    assert not await world.core.running_jobs()
    world.later(minutes=1)
    again = await world.core.resume_job(await world.dana(), job.id)
    assert (again.state, again.since_done, again.since) == (JobState.RUNNING, 6, world.clock.now())
    assert [each.id for each in await world.core.running_jobs()] == [job.id]
    assert (await finished(world, job)).state is JobState.DONE
    assert await issues(world) == {1}
    assert (await world.core.cancel_job(await world.dana(), job.id)).state is JobState.DONE


async def test_cancel_comes_between_two_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job, save, saved = await begun(world, JobKind.TAG, {**OSLO, "word": "lobby"}), world.store.save, list[Record]()

    async def saving(change: Change) -> None:
        await save(change)
        if any(isinstance(each, Job) for each in change.puts):
            saved.extend(change.puts)
            if len([each for each in saved if isinstance(each, Job)]) == 1:
                await world.core.cancel_job(await world.dana(), job.id)

    monkeypatch.setattr(world.store, "save", saving)
    await world.core.carry_out(job.id)
    after = await known(world, job)
    assert (after.state, after.done) == (JobState.CANCELLED, 3)
    assert await world.store.count(Device, tag="lobby") == 3


async def test_one_press_is_one_job(world: World) -> None:
    one = await begun(world, JobKind.ISSUE, OSLO)
    assert (await begun(world, JobKind.ISSUE, OSLO)).id == one.id
    assert (await begun(world, JobKind.ISSUE, OSLO, "press-2")).id != one.id
    assert await world.store.count(Job) == 2


async def test_done_is_done(world: World) -> None:
    job = await finished(world, await begun(world, JobKind.ISSUE, OSLO))
    before = await world.facts()
    assert await finished(world, job) == job
    assert await world.facts() == before


async def test_a_right_that_was_lost_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.core.meet(member(LEE, "Lee Moe"), chat_of(LEE))
    await world.core.grant(await world.dana(), LEE, Role.ADMIN)
    job = await world.core.begin_job(await world.actor(LEE), JobKind.ISSUE, OSLO)
    job = await cut(world, job, monkeypatch)
    lee = await world.person(LEE)
    await world.store.save(Change(puts=(replace(lee, roles=frozenset({Role.TECHNICIAN})),)))
    job = await finished(world, job)
    assert job.state is JobState.FAILED and job.fault is not None
    assert say(job.fault) == "Only admins can do that. Ask one of your admins."
    assert await live(world) == job.done == 6
    assert (await world.core.job_of(await world.actor(LEE), job.id)).state is JobState.FAILED
    with pytest.raises(NotYourJob):
        await world.core.job_of(await world.dana(), job.id)


async def test_what_cannot_begin(world: World) -> None:
    with pytest.raises(NotATechnician):
        await begun(world, JobKind.ASSIGN, {**OSLO, "technicians": DANA})
    with pytest.raises(InvalidTag):
        await begun(world, JobKind.TAG, {**OSLO, "word": "a,b"})
    assert await world.store.count(Job) == 0


async def test_a_technician_hears_of_it_once(world: World) -> None:
    job, heard = await begun(world, JobKind.ISSUE, {**OSLO, "technicians": SAM}), 0
    unit = world.core.unit

    async def delivering(*args: object, **more: object) -> object:
        nonlocal heard
        done = await unit(*args, **more)  # type: ignore[arg-type]
        heard += sum(each.kind is MessageKind.NEW_JOBS for each in await world.delivers())
        return done

    world.core.unit = delivering  # type: ignore[method-assign, assignment]
    await world.core.carry_out(job.id)
    assert (heard, await live(world)) == (1, MANY)


async def test_its_message_is_redrawn_now_and_then(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await begun(world, JobKind.TAG, {**OSLO, "word": "lobby"})
    await world.shows(DANA, job.id, view="job_now")
    save, drawn = world.store.save, list[bool]()

    async def saving(change: Change) -> None:
        await save(change)
        if any(isinstance(each, Job) for each in change.puts):
            drawn.append(bool([each for each in await world.delivers() if each.kind is MessageKind.EDIT]))
            world.later(seconds=1)

    monkeypatch.setattr(world.store, "save", saving)
    await world.core.carry_out(job.id)
    assert drawn == [False, False, True, False, True]


async def test_a_day_later_it_is_forgotten(world: World) -> None:
    job = await finished(world, await begun(world, JobKind.ISSUE, OSLO))
    running = await begun(world, JobKind.TAG, {**OSLO, "word": "lobby"}, "press-2")
    world.clock.advance(timedelta(hours=23))
    await world.core.sweep()
    assert await world.store.get(Job, job.id)
    world.clock.advance(timedelta(hours=2))
    await world.core.sweep()
    assert await world.store.get(Job, job.id) is None
    assert await world.store.get(Job, running.id)


async def test_a_restore_ends_it(world: World) -> None:
    job = await begun(world, JobKind.ISSUE, OSLO)
    await Restoring(world.store, world.clock, KEYS, POLICY).void_codes()
    assert (await known(world, job)).state is JobState.CANCELLED
    assert not await world.core.running_jobs()


def test_an_order_is_kept_as_it_is() -> None:
    order = IssueOrder(
        target=Target(tag="east"),
        floor="2",
        technicians=(SAM, KIM),
        by_floor=True,
        first=40,
        lifetime=timedelta(hours=48),
        void=True,
    )
    for each in (order, IssueOrder(target=Target(site="Oslo")), IssueOrder(target=Target())):
        given = tuple((name, value) for name, value in params_of_order(each).items() if value)
        assert order_of(_job(given)) == each


def _job(params: tuple[tuple[str, str], ...]) -> Job:
    return Job(kind=JobKind.ISSUE, by=DANA, by_name="Dana", operation="op", params=params, at=NOW, since=NOW)


async def test_a_card_that_was_drawn_while_it_ended_is_drawn_anew(world: World) -> None:
    job = await finished(world, await begun(world, JobKind.ISSUE, OSLO))
    await world.delivers()
    for revision, edits in ((0, 0), (1, 1)):  # drawn as it is now; drawn while it was under way
        post = Post(
            conversation=chat_of(DANA),
            activity_id=f"activity-{revision}",
            reader=DANA,
            subject=job.id,
            view="job_now",
            revision=revision,
            posted_at=world.clock.now(),
        )
        await world.core.remember(post)
        assert len(await world.told(MessageKind.EDIT)) == edits
