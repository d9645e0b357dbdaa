"""A technician's day: next device, its code, a new one, the install, a problem."""

from dataclasses import replace
from typing import Any

import pytest

from provisioning.errors import (
    AlreadyDone,
    CodeRefused,
    DeviceNotFound,
    Forbidden,
    NoAccess,
    ResetRequired,
    TextTooLong,
)
from provisioning.messages import MessageKind
from provisioning.model import Change
from provisioning.ports import Store
from provisioning.service.installing import NotCalledIn
from provisioning.service.problems import UnknownProblem
from tests.provisioning.world import DANA, KIM, LEE, SAM, A, B, C, World, channel, member


@pytest.fixture
async def day(world: World) -> World:
    """Sam's three devices; 2.14 was added before 2.9."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.9"), (C, "Oslo/3/3.01"))
    await world.issue("oslo", SAM)
    await world.delivers()
    return world


async def test_the_next_device_is_the_next_on_the_way_with_its_code(day: World) -> None:
    job = await day.core.next_job(await day.sam())
    assert job is not None
    assert (job.device.place, job.number, job.total) == ("2.9", 1, 3)
    assert job.held.digits == await day.digits(B)


async def test_the_day_from_first_to_last_device(day: World) -> None:
    numbers = []
    while job := await day.core.next_job(await day.sam()):
        numbers.append((job.device.place, job.number, job.total))
        await day.calls(job.device.mac, job.held.digits)
        waiting = await day.core.next_job(await day.sam())
        assert waiting is not None
        assert (waiting.device.mac, waiting.held.digits) == (job.device.mac, "")
        await day.core.confirm(await day.sam(), job.device.mac, checked=True)
    assert numbers == [("2.9", 1, 3), ("2.14", 2, 3), ("3.01", 3, 3)]
    assert (await day.core.day(await day.sam())).done == 3


async def test_progress_is_the_days_own_and_begins_anew_at_ones_midnight(day: World) -> None:
    sam = await day.person(SAM)
    await day.store.save(Change(puts=(replace(sam, timezone="Pacific/Auckland"),)))  # nine in the evening
    await day.core.confirm(await day.sam(), "2.9", mounting_only=True)
    mine = await day.core.day(await day.sam())
    assert (mine.done, mine.total) == (1, 3)
    day.later(hours=3)
    await day.core.confirm(await day.sam(), "2.14", mounting_only=True)
    mine = await day.core.day(await day.sam())
    assert (mine.done, mine.total) == (1, 2)  # at midnight itself the new day has begun


async def test_a_day_without_devices_is_empty(day: World) -> None:
    assert await day.core.next_job(await day.kim()) is None


async def test_a_device_with_a_live_code_comes_before_one_without(day: World) -> None:
    await day.core.revoke(await day.dana(), await day.core.target(await day.dana(), "2.9"))
    job = await day.core.next_job(await day.sam())
    assert job is not None
    assert job.device.place == "2.14"


class Asked:
    """A store that counts how often it is asked for records by an index."""

    def __init__(self, store: Store) -> None:
        self._store, self.finds = store, 0

    def __getattr__(self, name: str) -> Any:
        self.finds += name == "find"
        return getattr(self._store, name)


async def test_a_long_list_without_a_code_is_read_with_a_few_questions(world: World) -> None:
    await world.add(*((f"805EC01100{n:02X}", f"Oslo/1/{n}") for n in range(100)))
    await world.issue("oslo", SAM)
    await world.core.revoke(await world.dana(), await world.core.target(await world.dana(), "oslo"))
    sam = await world.sam()
    world.core.store = asked = Asked(world.store)
    job = await world.core.next_job(sam)
    assert job is not None
    assert (job.device.place, job.total) == ("0", 100)
    assert asked.finds < 6


async def test_a_card_shows_its_code_only_while_it_is_the_current_one(day: World) -> None:
    await day.core.next_job(await day.sam())
    other = await day.core.redraw_job(await day.sam(), A)
    current = await day.core.redraw_job(await day.sam(), B)
    assert other is not None
    assert current is not None
    assert (other.held.digits, current.held.digits) == ("", await day.digits(B))
    await day.core.assign(await day.dana(), await day.core.target(await day.dana(), "2.9"), await day.person(KIM))
    assert await day.core.redraw_job(await day.sam(), B) is None


# ------------------------------------------------------------------ a new code


async def test_a_technician_makes_five_new_codes_a_day_then_an_admin_is_asked(day: World) -> None:
    former = await day.digits(A)
    for _ in range(5):
        job = await day.core.renew(await day.sam(), "2.14")
        assert not job.asked
        assert job.held.digits not in ("", former)
    with pytest.raises(CodeRefused):
        await day.calls(A, former)
    assert (await day.core.renew(await day.sam(), "2.14")).asked
    assert [(m.recipient, m.subject) for m in await day.told(MessageKind.CODE_WANTED)] == [(DANA, A)]
    day.later(hours=24)
    assert not (await day.core.renew(await day.sam(), "2.14")).asked


async def test_removing_and_adding_does_not_buy_more_new_codes(day: World) -> None:
    for _ in range(5):
        await day.core.renew(await day.sam(), "2.14")
    await day.core.remove(await day.dana(), "2.14")
    await day.add((A, "Oslo/2/2.14"))
    await day.core.assign(await day.dana(), await day.core.target(await day.dana(), A), await day.person(SAM))
    assert (await day.core.renew(await day.sam(), "2.14")).asked


async def test_a_new_code_wakes_nobody_else_and_is_not_pushed_to_whoever_asked(day: World) -> None:
    await day.core.renew(await day.sam(), "2.14")
    assert await day.told() == []


async def test_an_expired_code_is_renewed_on_site(day: World) -> None:
    day.later(hours=25)
    await day.core.sweep()
    job = await day.core.renew(await day.sam(), "2.14")
    assert await day.calls(A, job.held.digits)


async def test_a_provisioned_device_gets_no_new_code(day: World) -> None:
    await day.provisions(A)
    with pytest.raises(ResetRequired):
        await day.core.renew(await day.sam(), "2.14")
    assert (await day.device(A)).code is None


async def test_the_same_press_makes_one_new_code(day: World) -> None:
    twice = await day.actor(SAM, "press-1")
    await day.core.renew(twice, "2.14")
    with pytest.raises(AlreadyDone):
        await day.core.renew(twice, "2.14")
    assert (await day.device(A)).issued == 2


# ------------------------------------------------------------------ the install


async def test_an_install_is_confirmed_once_and_the_second_tap_says_who_was_first(day: World) -> None:
    await day.provisions(B)
    first = await day.core.confirm(await day.sam(), "2.9", " by\nthe window ", checked=True)
    assert (first.word.by_name, first.word.note, first.again) == ("Sam Fox", "by the window", False)
    day.later(minutes=5)
    second = await day.core.confirm(await day.sam(), "2.9", "other")
    assert (second.again, second.word) == (True, first.word)
    assert (await day.facts(B)).count("InstallConfirmed") == 1


async def test_after_an_install_the_next_device_is_on_its_way(day: World) -> None:
    await day.provisions(B)
    await day.core.confirm(await day.sam(), "2.9")
    assert [m.recipient for m in await day.told(MessageKind.NEXT_DEVICE)] == [SAM]


async def test_a_device_that_has_not_called_in_is_confirmed_as_mounted_only(day: World) -> None:
    with pytest.raises(NotCalledIn, match=r"2\.9"):
        await day.core.confirm(await day.sam(), "2.9")
    saved = await day.core.confirm(await day.sam(), "2.9", mounting_only=True)
    assert saved.word.mounting_only
    await day.provisions(B)
    assert (await day.device(B)).installed == saved.word


async def test_what_was_confirmed_for_a_device_that_called_in_is_no_mounting(day: World) -> None:
    await day.provisions(B)
    assert not (await day.core.confirm(await day.sam(), "2.9", mounting_only=True)).word.mounting_only


async def test_a_note_that_is_too_long_is_said_so_and_nothing_is_saved(day: World) -> None:
    await day.provisions(B)
    with pytest.raises(TextTooLong, match="201"):
        await day.core.confirm(await day.sam(), "2.9", "x" * 201)
    assert (await day.device(B)).installed is None


# ------------------------------------------------------------------ a problem


async def test_a_problem_goes_to_admins_and_channel_and_the_next_device_comes_up(day: World) -> None:
    await day.core.connect(await day.dana(), channel(), "oslo")
    await day.delivers()
    await day.core.report(await day.sam(), "2.9", "network", "no link")
    told = {(m.kind, m.recipient) for m in await day.told()}
    assert told == {
        (MessageKind.PROBLEM_REPORTED, DANA),
        (MessageKind.PROBLEM_REPORTED, "channel-oslo"),
        (MessageKind.NEXT_DEVICE, SAM),
    }
    job = await day.core.next_job(await day.sam())
    assert job is not None
    assert job.device.place == "2.14"


async def test_a_problem_ends_when_the_device_calls_in_or_is_installed(day: World) -> None:
    await day.core.report(await day.sam(), "2.9", "network")
    await day.core.report(await day.sam(), "2.14", "broken")
    await day.provisions(B)
    await day.core.confirm(await day.sam(), "2.14", mounting_only=True)
    assert ((await day.device(B)).problem, (await day.device(A)).problem) == (None, None)


async def test_an_unknown_kind_of_problem_is_asked_again(day: World) -> None:
    with pytest.raises(UnknownProblem):
        await day.core.report(await day.sam(), "2.9", "gremlins")


# ------------------------------------------------------------------ who may


async def test_a_technician_works_on_own_devices_only(day: World) -> None:
    kim, core = await day.kim(), day.core
    for call in (
        core.job(kim, "2.9"),
        core.renew(kim, "2.9"),
        core.confirm(kim, "2.9", mounting_only=True),
        core.report(kim, "2.9", "broken"),
        core.facts(kim, "2.9"),
    ):
        with pytest.raises(DeviceNotFound):
            await call


@pytest.mark.parametrize("who", [DANA, LEE])
async def test_the_work_on_site_is_for_technicians(day: World, who: str) -> None:
    await day.core.meet(member(LEE, "Lee Moe"), None)
    actor, core = await day.actor(who), day.core
    for call in (
        core.day(actor),
        core.next_job(actor),
        core.job(actor, "2.9"),
        core.renew(actor, "2.9"),
        core.confirm(actor, "2.9", mounting_only=True),
        core.report(actor, "2.9", "broken"),
    ):
        with pytest.raises(Forbidden if who == DANA else NoAccess):
            await call
