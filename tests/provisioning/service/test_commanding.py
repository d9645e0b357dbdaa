"""What a device is asked for from afar: it waits in its record until the device says what came of it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.access import Permission
from provisioning.commands import SETTLED_KEPT, CommandName, CommandStatus
from provisioning.errors import DeviceResetRequired, Forbidden, TokenRefused
from provisioning.jobs import JobKind, JobState
from provisioning.messages import MessageKind
from provisioning.model import Change, Device, State
from provisioning.service.commanding import (
    CommandUnknown,
    NoCommand,
    NothingThere,
    NotSignedIn,
)
from provisioning.service.lookup import Target
from provisioning.service.signing import TeamsSignsIn
from provisioning.service.working import NEEDS
from tests.provisioning.remote import asks, called_in, given, signs_in
from tests.provisioning.world import DANA, A, B, C, World

OUT, RESTART, NOTE = CommandName.SIGN_OUT, CommandName.RESTART, CommandName.DIAGNOSTICS
OSLO = Target(site="Oslo")


async def test_a_device_that_is_away_gets_it_with_its_next_call(world: World) -> None:
    token = await called_in(world, A)
    await signs_in(world, A)
    asked = await world.core.ask_device(await world.dana(), A, OUT)
    assert (asked.fresh, asked.command.status) == (True, CommandStatus.ASKED)
    world.later(days=3)
    (command,) = (await asks(world, token)).commands
    assert command == (asked.command.id, "sign_out")
    assert (await asks(world, token)).commands == (command,), "until the device says what came of it"
    await world.core.settle_command(token, command[0], done=True)
    device = await world.device(A)
    assert (device.state, device.signed_in_at) == (State.SIGNED_OUT, None)
    assert (await asks(world, token)).commands == ()
    assert (await world.facts(A))[-3:] == ["CommandAsked", "DeviceSignedOut", "CommandSettled"]


async def test_asked_for_again_it_waits_once(world: World) -> None:
    await called_in(world, A)
    first = await world.core.ask_device(await world.dana(), A, RESTART)
    world.later(minutes=3)
    again = await world.core.ask_device(await world.dana(), A, RESTART)
    assert (again.fresh, again.command) == (False, first.command)
    assert len((await world.device(A)).commands) == 1


async def test_before_its_hour_nothing_is_given_and_nothing_settled(world: World) -> None:
    token = await called_in(world, A)
    at = world.clock.now() + timedelta(hours=6)
    planned = (await world.core.ask_device(await world.dana(), A, RESTART, at)).command
    assert (await asks(world, token)).commands == ()
    with pytest.raises(CommandUnknown):
        await world.core.settle_command(token, planned.id, done=True)
    world.later(hours=6)
    assert (await asks(world, token)).commands == ((planned.id, "restart"),)


async def test_a_waiting_device_hears_at_once_what_it_is_asked_for(world: World) -> None:
    token = await called_in(world, A)
    revision = (await asks(world, token)).revision
    poll = asyncio.create_task(world.core.device_status(token, since=revision, wait=30))
    await asyncio.sleep(0)
    await world.core.ask_device(await world.dana(), A, RESTART)
    async with asyncio.timeout(10):
        assert [name for _id, name in (await poll).commands] == ["restart"]


async def test_a_waiting_device_wakes_for_a_command_whose_hour_comes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await called_in(world, A)
    at = world.clock.now() + timedelta(milliseconds=50)
    await world.core.ask_device(await world.dana(), A, RESTART, at)
    revision = (await asks(world, token)).revision
    pause_of = world.core._until_due

    def then_it_is_time(device: Device, wait: float) -> float:
        pause = pause_of(device, wait)
        world.later(milliseconds=60)
        return pause

    monkeypatch.setattr(world.core, "_until_due", then_it_is_time)
    async with asyncio.timeout(10):
        status = await world.core.device_status(token, since=revision, wait=30)
    assert status.revision == revision
    assert [name for _id, name in status.commands] == ["restart"]


async def test_what_a_device_says_twice_counts_once(world: World) -> None:
    token = await called_in(world, A)
    command = (await world.core.ask_device(await world.dana(), A, RESTART)).command
    await world.core.settle_command(token, command.id, done=True, detail="up after 41 s")
    before = await world.device(A)
    await world.core.settle_command(token, command.id, done=False, detail="never mind")
    assert await world.device(A) == before
    (kept,) = before.commands
    assert (kept.status, kept.detail) == (CommandStatus.DONE, "up after 41 s")


async def test_a_sign_out_that_failed_signs_nobody_out_and_its_admin_is_told(world: World) -> None:
    token = await called_in(world, A)
    await signs_in(world, A)
    command = (await world.core.ask_device(await world.dana(), A, OUT)).command
    await world.delivers()
    await world.core.settle_command(token, command.id, done=False, detail="a call\nis going on")
    assert (await world.device(A)).state is State.SIGNED_IN
    (told,) = await world.told(MessageKind.COMMAND_SETTLED)
    assert (told.recipient, told.subject, dict(told.params)) == (DANA, A, {"command": command.id})
    assert (await world.device(A)).commands[0].detail == "a call is going on"


async def test_of_another_or_of_no_device_nothing_is_settled(world: World) -> None:
    token, others = await called_in(world, A), await called_in(world, B, "Oslo/2/2.16")
    command = (await world.core.ask_device(await world.dana(), A, RESTART)).command
    for said, id_ in ((others, command.id), (token, "c0ffee"), (token, "")):
        with pytest.raises(CommandUnknown):
            await world.core.settle_command(said, id_, done=True)
    with pytest.raises(TokenRefused):
        await world.core.settle_command("forged", command.id, done=True)
    assert (await world.device(A)).waiting_commands == (command,)


async def test_with_its_life_everything_lapses(world: World) -> None:
    token = await called_in(world, A)
    command = (await world.core.ask_device(await world.dana(), A, RESTART)).command
    await world.core.order_reset(await world.dana(), A, A[-4:])
    (lapsed,) = (await world.device(A)).commands
    assert (lapsed.id, lapsed.status) == (command.id, CommandStatus.LAPSED)
    with pytest.raises(DeviceResetRequired):
        await world.core.settle_command(token, command.id, done=True)
    with pytest.raises(NoCommand):
        await world.core.take_back(await world.dana(), A)


async def test_an_admin_takes_back_the_latest_or_a_certain_one(world: World) -> None:
    token = await called_in(world, A)
    dana, now = await world.dana(), world.clock.now()
    await signs_in(world, A)
    first = (await world.core.ask_device(dana, A, OUT, now + timedelta(hours=2))).command
    second = (await world.core.ask_device(await world.dana(), A, NOTE)).command
    third = (await world.core.ask_device(await world.dana(), A, RESTART)).command
    assert (await world.core.take_back(await world.dana(), A)).command.id == third.id
    taken = (await world.core.take_back(await world.dana(), A, first.id)).command
    assert (taken.id, taken.status) == (first.id, CommandStatus.WITHDRAWN)
    assert await given(world, token) == {"diagnostics": second.id}
    await world.core.settle_command(token, third.id, done=True)  # it was on its way: nothing is left to do
    assert (await world.device(A)).waiting_commands == (second,)
    with pytest.raises(NoCommand):
        await world.core.take_back(await world.dana(), A, third.id)


async def test_what_waits_for_its_hour_is_moved_and_what_is_due_is_not_asked_twice(world: World) -> None:
    token = await called_in(world, A)
    at = world.clock.now() + timedelta(hours=6)
    planned = (await world.core.ask_device(await world.dana(), A, RESTART, at)).command
    assert not (await world.core.ask_device(await world.dana(), A, RESTART, at)).fresh, "the same hour"
    later = await world.core.ask_device(await world.dana(), A, RESTART, at + timedelta(hours=1))
    assert (later.fresh, later.command.id, later.command.due_at) == (True, planned.id, at + timedelta(hours=1))
    at_once = await world.core.ask_device(await world.dana(), A, RESTART)
    assert (at_once.fresh, at_once.command.id) == (True, planned.id)
    assert (await world.facts(A)).count("CommandAsked") == 3
    assert (await world.device(A)).waiting_commands == (at_once.command,)
    assert await given(world, token) == {"restart": planned.id}
    again = await world.core.ask_device(await world.dana(), A, RESTART, at)
    assert (again.fresh, again.command) == (False, at_once.command), "it is due already"


async def test_a_whole_site_is_asked_for_nothing_any_more(world: World) -> None:
    token = await called_in(world, A)
    await called_in(world, B, "Oslo/2/2.16")
    await world.core.ask_devices(await world.dana(), OSLO, RESTART, None)
    await world.core.ask_device(await world.dana(), A, NOTE)
    assert await world.core.how_many_wait(await world.dana(), OSLO) == 2
    assert await world.core.take_back_many(await world.dana(), OSLO) == 2
    assert await world.core.how_many_wait(await world.dana(), OSLO) == 0
    assert [each.status for each in (await world.device(A)).commands] == [CommandStatus.WITHDRAWN] * 2
    assert (await world.facts(A)).count("CommandWithdrawn") == 2 and await given(world, token) == {}
    assert await world.core.take_back_many(await world.dana(), OSLO) == 0


async def test_the_outcomes_that_came_last_are_remembered(world: World) -> None:
    token = await called_in(world, A)
    planned = await world.core.ask_device(await world.dana(), A, RESTART, world.clock.now() + timedelta(hours=1))
    for _ in range(SETTLED_KEPT + 2):
        world.later(minutes=1)
        command = (await world.core.ask_device(await world.dana(), A, NOTE)).command
        await world.core.settle_command(token, command.id, done=True)
    world.later(hours=1)
    await world.core.settle_command(token, planned.command.id, done=True)
    kept = (await world.device(A)).commands
    assert len(kept) == SETTLED_KEPT and kept[0].id == planned.command.id, "the first asked, and the last done"


@pytest.mark.parametrize("name", CommandName)
async def test_nothing_is_asked_of_a_device_that_never_called(world: World, name: CommandName) -> None:
    await world.add((A, "Oslo/2/2.14"))
    with pytest.raises(NothingThere):
        await world.core.ask_device(await world.dana(), A, name)


async def test_only_what_is_signed_in_signs_out_and_microsofts_devices_are_theirs(world: World) -> None:
    await called_in(world, A)
    with pytest.raises(NotSignedIn):
        await world.core.ask_device(await world.dana(), A, OUT)
    await world.add((B, "Oslo/2/2.16"))
    brought = world.core.keys.receive(B, "482913", 1, world.clock.now(), timedelta(hours=24), DANA)
    await world.store.save(Change(puts=(replace(await world.device(B), code=brought, issued=1),)))
    with pytest.raises(TeamsSignsIn):
        await world.core.ask_device(await world.dana(), B, RESTART)


async def test_a_whole_site_is_asked_whatever_can_be(world: World) -> None:
    await called_in(world, A)
    await called_in(world, B, "Oslo/2/2.16")
    await signs_in(world, B, "room-2.16@contoso.com")
    await world.add((C, "Oslo/2/2.18"))
    dana = await world.dana()
    assert [await world.core.how_many_can(dana, OSLO, name) for name in (OUT, RESTART)] == [1, 2]
    assert await world.core.how_many_can(dana, Target(site="Bergen"), RESTART) == 0
    assert await world.core.ask_devices(dana, OSLO, RESTART, None) == 2
    assert await world.core.ask_devices(await world.dana(), OSLO, RESTART, None) == 0, "asked already"
    assert await world.core.ask_devices(await world.dana(), Target(), OUT, None) == 1


async def test_of_hundreds_it_is_a_job(world: World) -> None:
    await called_in(world, A)
    await called_in(world, B, "Oslo/2/2.16")
    at = world.clock.now() + timedelta(hours=6)
    params = {"site": "Oslo", "tag": "", "name": RESTART.value, "at": at.isoformat()}
    job = await world.core.begin_job(await world.dana(), JobKind.ASK, params)
    await world.core.carry_out(job.id)
    done = await world.core.job_of(await world.dana(), job.id)
    assert (done.state, done.counted) == (JobState.DONE, {"asked": 2})
    assert [(await world.device(mac)).commands[0].due_at for mac in (A, B)] == [at, at]
    assert NEEDS[JobKind.ASK] is Permission.SIGN_IN
    with pytest.raises(Forbidden):
        await world.core.begin_job(await world.sam(), JobKind.ASK, params)


async def test_a_technician_asks_nothing_of_a_device_of_theirs(world: World) -> None:
    await called_in(world, A)
    sam = await world.sam()
    for asked in (
        world.core.ask_device(sam, A, RESTART),
        world.core.ask_devices(sam, OSLO, RESTART, None),
        world.core.how_many_can(sam, OSLO, RESTART),
        world.core.take_back(sam, A),
        world.core.how_many_wait(sam, OSLO),
        world.core.take_back_many(sam, OSLO),
        world.core.asked_of(sam, A, "x"),
    ):
        with pytest.raises(Forbidden):
            await asked
