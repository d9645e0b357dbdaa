"""Roles by Entra groups: when the directory is asked, how long its answer counts, and what follows when it changes."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.directory_errors import DirectoryAway
from provisioning.errors import CodeRefused, Forbidden, NoAccess
from provisioning.events import AccessRevoked, GroupLeft
from provisioning.memberships import Membership, mapping_of
from provisioning.messages import MessageKind
from provisioning.model import Change, Person, Role
from provisioning.service import Provisioning
from provisioning.service.groups import RoleByGroup, Wait
from tests.fakes import FakeDirectory
from tests.provisioning.world import DANA, KEYS, KIM, LEE, POLICY, SAM, A, B, World, chat_of, member

MIA = "00000000-0000-4000-8000-0000000000b1"
ADMINS, FITTERS, OTHERS = (f"00000000-0000-4000-9000-00000000000{n}" for n in (1, 2, 3))
WITH_GROUPS = replace(POLICY, admin_groups=frozenset({ADMINS}), technician_groups=frozenset({FITTERS, OTHERS}))
TECHNICIAN = frozenset({Role.TECHNICIAN})


@pytest.fixture
def directory(world: World) -> FakeDirectory:
    """Mia has no grant; what she may do, groups say."""
    world.core.policy = WITH_GROUPS
    world.core.directory = FakeDirectory()
    return world.core.directory


async def writes(world: World, id_: str = MIA, name: str = "Mia Holm", **more: bool) -> frozenset[Role]:
    """As the door does it: met, and asked about where that is due; what they may do then."""
    person = await world.core.meet(
        member(id_, name, upn=f"{name.split(maxsplit=1)[0].lower()}@contoso.com", **more), chat_of(id_)
    )
    if world.core.question_about(person) is not Wait.NOT:
        await world.core.look_up(id_)
    return (await world.actor(id_)).roles


async def at_work(world: World, directory: FakeDirectory) -> None:
    """Mia is a technician by a group, with two devices and a code on her phone."""
    directory.groups[MIA] = {FITTERS}
    await writes(world)
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.issue("2.14", MIA)
    await world.issue("2.16", MIA)
    await world.shows(MIA, A, code=True)
    await world.delivers()


# ------------------------------------------------------------------ coming


async def test_whoever_is_in_a_group_has_its_role(world: World, directory: FakeDirectory) -> None:
    assert await writes(world) == frozenset()
    directory.groups[MIA] = {ADMINS, FITTERS, "another"}
    world.later(minutes=16)
    assert await writes(world) == {Role.ADMIN, Role.TECHNICIAN}
    assert sorted(await world.facts(MIA)) == ["GroupJoined", "GroupJoined"]
    assert (await world.person(MIA)).roles == frozenset(), "a grant is another thing"


async def test_groups_come_on_top_of_grants_and_of_the_configuration(world: World, directory: FakeDirectory) -> None:
    directory.groups |= {SAM: {ADMINS}, DANA: {FITTERS}}
    assert await writes(world, SAM, "Sam Fox") == {Role.ADMIN, Role.TECHNICIAN}
    assert await writes(world, DANA, "Dana Berg") == {Role.ADMIN, Role.TECHNICIAN}
    sam, dana = await world.person(SAM), await world.person(DANA)
    assert (world.core.by_group_alone(sam), world.core.by_group_alone(dana)) == ({Role.ADMIN}, TECHNICIAN)


async def test_they_are_found_among_admins_and_technicians(world: World, directory: FakeDirectory) -> None:
    directory.groups |= {MIA: {FITTERS}, LEE: {ADMINS}}
    await writes(world)
    await writes(world, LEE, "Lee Moe")
    assert {person.id for person in await world.core.technicians()} == {SAM, KIM, MIA}
    assert {person.id for person in await world.core.admins()} == {DANA, LEE}
    world.later(hours=25)
    assert {person.id for person in await world.core.technicians()} == {SAM, KIM}
    assert {person.id for person in await world.core.admins()} == {DANA}


async def test_guests_and_whoever_teams_does_not_vouch_for_are_not_asked_about(
    world: World, directory: FakeDirectory
) -> None:
    directory.groups[MIA] = {ADMINS}
    assert await writes(world, guest=True) == frozenset()
    nobody = await world.core.meet(member(LEE, "Lee"), chat_of(LEE))
    assert world.core.question_about(nobody) is Wait.NOT
    assert directory.asked == []


async def test_whoever_becomes_a_guest_has_nothing_from_groups(world: World, directory: FakeDirectory) -> None:
    directory.groups[MIA] = {ADMINS}
    assert await writes(world) == {Role.ADMIN}
    assert await writes(world, guest=True) == frozenset()
    assert (await world.person(MIA)).membership is None


async def test_without_groups_nobody_is_asked_about(world: World) -> None:
    world.core.directory = FakeDirectory()
    await writes(world)
    assert world.core.directory.asked == []


async def test_who_asks_for_access_and_gets_it_by_a_group_waits_no_more(world: World, directory: FakeDirectory) -> None:
    await writes(world)
    await world.core.ask_access(await world.actor(MIA))
    directory.groups[MIA] = {FITTERS}
    world.later(minutes=16)
    await writes(world)
    assert (await world.person(MIA)).asked_at is None


# ------------------------------------------------------------------ when it is asked


async def test_the_directory_is_asked_once_in_a_quarter_of_an_hour_by_whichever_instance(
    world: World, directory: FakeDirectory
) -> None:
    directory.groups[MIA] = {FITTERS}
    other = Provisioning(world.store, world.clock, KEYS, WITH_GROUPS)
    other.directory = directory
    for minutes in (0, 5, 9):
        world.later(minutes=minutes)
        await writes(world)
        assert other.question_about(await world.person(MIA)) is Wait.NOT
        await other.look_up(MIA)
    assert len(directory.asked) == 1
    world.later(minutes=1)
    assert other.question_about(await world.person(MIA)) is Wait.BESIDE
    await other.look_up(MIA)
    assert len(directory.asked) == 2


async def test_who_may_do_nothing_waits_for_the_answer_and_nobody_else(world: World, directory: FakeDirectory) -> None:
    mia = await world.core.meet(member(MIA, "Mia Holm", upn="mia@contoso.com"), chat_of(MIA))
    assert world.core.question_about(mia) is Wait.FIRST
    assert world.core.question_about(await world.person(SAM)) is Wait.BESIDE


async def test_without_an_answer_it_is_asked_again_after_a_minute(world: World, directory: FakeDirectory) -> None:
    directory.away = DirectoryAway()
    await writes(world)
    await writes(world)
    assert len(directory.asked) == 1
    world.later(seconds=61)
    directory.away, directory.groups[MIA] = None, {FITTERS}
    assert await writes(world) == TECHNICIAN


async def test_a_clock_that_was_wrong_stops_no_question(world: World, directory: FakeDirectory) -> None:
    directory.groups[MIA] = {FITTERS}
    world.later(days=3000)
    await writes(world)
    world.later(days=-3000)
    assert (await world.actor(MIA)).roles == frozenset(), "an answer from the far future vouches for nothing"
    assert await writes(world) == TECHNICIAN


# ------------------------------------------------------------------ how long an answer counts


async def test_the_last_answer_counts_for_a_day_and_then_nothing_does(world: World, directory: FakeDirectory) -> None:
    await at_work(world, directory)
    directory.away = DirectoryAway()
    world.later(hours=23, minutes=59)
    assert await writes(world) == TECHNICIAN
    world.later(minutes=2)
    assert await writes(world) == frozenset()


async def test_who_is_not_vouched_for_loses_the_role_and_nothing_else(world: World, directory: FakeDirectory) -> None:
    await at_work(world, directory)
    await world.issue("2.14", MIA, lifetime=timedelta(hours=48), void=True)
    directory.away = DirectoryAway()
    world.later(hours=24, minutes=1)
    assert await world.core.look_again() == 1
    (left,) = [row.event for row in (await world.store.history(MIA)).rows if isinstance(row.event, GroupLeft)]
    assert (left.unconfirmed, left.ended, left.role) == (True, False, "technician")
    assert (await world.device(A)).technician == MIA
    assert await world.told(MessageKind.LEFT_GROUP) == []
    assert await world.told(MessageKind.EDIT, MIA), "the code is taken from her phone"
    device = await world.device(A)
    assert device.live_code(world.clock.now()) is not None
    directory.away = None
    world.later(seconds=61)
    assert await writes(world) == TECHNICIAN


async def test_another_choice_of_groups_voids_what_was_said_about_the_former(
    world: World, directory: FakeDirectory
) -> None:
    directory.groups[MIA] = {FITTERS}
    await writes(world)
    world.core.policy = replace(WITH_GROUPS, technician_groups=frozenset({OTHERS}))
    assert (await world.actor(MIA)).roles == frozenset()
    world.later(minutes=2)
    assert await writes(world) == frozenset()
    assert (await world.facts(MIA))[-2:] == ["GroupLeft", "AccessRevoked"]


async def test_groups_that_are_not_configured_any_more_give_nothing(world: World, directory: FakeDirectory) -> None:
    directory.groups[MIA] = {FITTERS}
    await writes(world)
    world.core.policy, world.core.directory = POLICY, None
    assert (await world.actor(MIA)).roles == frozenset()
    world.later(hours=25)
    await world.core.look_again()
    assert (await world.facts(MIA))[-1] == "GroupLeft"


# ------------------------------------------------------------------ going


async def test_whoever_leaves_the_last_group_loses_what_revoke_access_takes(
    world: World, directory: FakeDirectory
) -> None:
    await at_work(world, directory)
    code = await world.digits(A)
    directory.groups[MIA] = set()
    world.later(minutes=16)
    assert await writes(world) == frozenset()
    facts = [row.event for row in (await world.store.history(MIA)).rows]
    (left,) = [fact for fact in facts if isinstance(fact, GroupLeft)]
    (ended,) = [fact for fact in facts if isinstance(fact, AccessRevoked)]
    assert (left.ended, left.unconfirmed, ended.codes, ended.jobs, ended.actor) == (True, False, 2, 2, "service")
    for mac in (A, B):
        device = await world.device(mac)
        assert (device.technician, device.live_code(world.clock.now())) == ("", None)
    with pytest.raises(CodeRefused):
        await world.calls(A, code)
    with pytest.raises(NoAccess):
        await world.core.hold(await world.actor(MIA), A)
    mia = await world.person(MIA)
    assert mia.membership and not mia.membership.ending
    assert [m.recipient for m in await world.told(MessageKind.LEFT_GROUP)] == [DANA]
    assert await world.told(MessageKind.EDIT, MIA)
    done = await world.core.ended_by_group(mia)
    assert done and (done.codes, done.jobs) == (2, 2)


async def test_whoever_never_writes_loses_it_within_the_hour(world: World, directory: FakeDirectory) -> None:
    await at_work(world, directory)
    directory.groups[MIA] = set()
    for _minute in range(31):
        world.later(minutes=1)
        await world.core.look_again()
    assert (await world.actor(MIA)).roles == frozenset()
    assert (await world.device(A)).technician == ""
    assert len(directory.asked) == 2


async def test_a_grant_stays_when_a_group_is_left(world: World, directory: FakeDirectory) -> None:
    await world.add((A, "Oslo/2/2.14"))
    await world.issue("2.14", SAM)
    directory.groups[SAM] = {ADMINS, FITTERS}
    await writes(world, SAM, "Sam Fox")
    directory.groups[SAM] = set()
    world.later(minutes=16)
    assert await writes(world, SAM, "Sam Fox") == TECHNICIAN
    assert "AccessRevoked" not in await world.facts(SAM)
    assert (await world.device(A)).technician == SAM
    with pytest.raises(Forbidden):
        await world.core.roster(await world.sam())


async def test_what_a_crash_left_half_done_is_done_by_the_next_look(world: World, directory: FakeDirectory) -> None:
    await at_work(world, directory)
    directory.groups[MIA] = set()
    world.later(minutes=16)
    taken = world.core._take_back

    async def dies(_person: Person) -> None:
        raise SystemError("killed")

    world.core._take_back = dies  # type: ignore[method-assign]
    with pytest.raises(SystemError):
        await writes(world)
    world.core._take_back = taken  # type: ignore[method-assign]
    assert (await world.device(A)).technician == MIA
    await world.core.look_again()
    assert {(await world.device(mac)).technician for mac in (A, B)} == {""}
    mia = await world.person(MIA)
    assert mia.membership and not mia.membership.ending


async def test_one_silent_call_ends_a_look(world: World, directory: FakeDirectory) -> None:
    """A hundred people are not asked about one after the other while nobody answers."""
    for id_, name in ((MIA, "Mia Holm"), (LEE, "Lee Moe")):
        directory.groups[id_] = {FITTERS}
        await writes(world, id_, name)
    world.later(minutes=31)
    directory.away, directory.asked = DirectoryAway(), []
    await world.core.look_again()
    assert len(directory.asked) == 1


async def test_one_about_whom_nothing_is_ever_said_costs_nobody_else_their_role(
    world: World, directory: FakeDirectory
) -> None:
    """Graph answers 400 where somebody is in too many groups: whoever comes after them is asked about all the same."""
    for id_, name in ((MIA, "Mia Holm"), (LEE, "Lee Moe")):
        directory.groups[id_] = {FITTERS}
        await writes(world, id_, name)
    first = min(MIA, LEE)
    other = max(MIA, LEE)
    directory.unclear.add(first)
    for _quarter in range(26 * 4):
        world.later(minutes=15)
        await world.core.look_again()
    assert (await world.actor(first)).roles == frozenset()
    assert (await world.actor(other)).roles == TECHNICIAN


# ------------------------------------------------------------------ ending it by hand


async def test_revoke_access_says_that_the_group_has_to_be_changed(world: World, directory: FakeDirectory) -> None:
    await at_work(world, directory)
    for ends in (world.core.revocable, world.core.revoke_access):
        with pytest.raises(RoleByGroup, match="Mia Holm has a role through an Entra group"):
            await ends(await world.dana(), MIA)
    assert (await world.device(A)).technician == MIA


async def test_once_they_are_out_of_the_group_revoke_access_looks_and_ends_it_at_once(
    world: World, directory: FakeDirectory
) -> None:
    await at_work(world, directory)
    directory.groups[MIA] = set()
    work = await world.core.revocable(await world.dana(), MIA)
    assert (work.live, work.open) == (0, 0)
    assert (await world.actor(MIA)).roles == frozenset()


async def test_a_slow_answer_gives_nothing_back_that_a_later_one_took(world: World, directory: FakeDirectory) -> None:
    await at_work(world, directory)
    world.later(minutes=16)
    asked, comes = asyncio.Event(), asyncio.Event()

    class Slow:
        async def groups_of(self, person_id: str, among: Collection[str]) -> frozenset[str]:
            asked.set()
            await comes.wait()
            return frozenset({FITTERS})

    world.core.directory = Slow()
    slow = asyncio.create_task(world.core.look_up(MIA))
    await asked.wait()
    world.core.directory, directory.groups[MIA] = directory, set()
    world.later(seconds=2)
    await world.core.revocable(await world.dana(), MIA)
    assert (await world.actor(MIA)).roles == frozenset()
    comes.set()
    await slow
    assert (await world.actor(MIA)).roles == frozenset()
    assert (await world.facts(MIA)).count("GroupJoined") == 1


async def test_a_technician_learns_nothing_about_others(world: World, directory: FakeDirectory) -> None:
    await at_work(world, directory)
    asked = len(directory.asked)
    with pytest.raises(Forbidden):
        await world.core.revocable(await world.sam(), MIA)
    assert len(directory.asked) == asked


async def test_welcome_is_for_whoever_has_a_role_by_now(world: World, directory: FakeDirectory) -> None:
    await writes(world)
    await world.core.welcome(MIA)
    assert await world.told(MessageKind.ACCESS_GRANTED, MIA) == []
    directory.groups[MIA] = {FITTERS}
    world.later(minutes=16)
    await writes(world)
    await world.core.welcome(MIA)
    assert len(await world.told(MessageKind.ACCESS_GRANTED, MIA)) == 1


# ------------------------------------------------------------------ the record


def test_the_order_of_groups_is_no_other_choice() -> None:
    assert mapping_of({"admin": [ADMINS, OTHERS]}) == mapping_of({"admin": [OTHERS, ADMINS]})
    assert mapping_of({"admin": [ADMINS]}) != mapping_of({"technician": [ADMINS]})
    assert mapping_of({"admin": [], "technician": []}) == ""


async def test_what_the_directory_said_survives_a_restart(world: World, directory: FakeDirectory) -> None:
    directory.groups[MIA] = {FITTERS}
    await writes(world)
    anew = Provisioning(world.store, world.clock, KEYS, WITH_GROUPS)
    assert anew.roles_of(await world.person(MIA)) == TECHNICIAN
    await world.store.save(Change(puts=(replace(await world.person(MIA), name="Mia"),)))
    assert isinstance((await world.person(MIA)).membership, Membership)
