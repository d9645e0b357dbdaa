"""People: met, granted, refused, and what happens to codes and jobs when somebody leaves."""

import asyncio
from dataclasses import replace

import pytest

from provisioning.errors import (
    AlreadyDone,
    Ambiguous,
    CodeRefused,
    Forbidden,
    LastAdmin,
    NoAccess,
    OutOfDate,
    PersonNotFound,
    Resembles,
    Unavailable,
)
from provisioning.events import AccessGranted, AccessRevoked
from provisioning.messages import MessageKind
from provisioning.model import Change, Person, Role
from provisioning.service.handover import NotATechnician
from provisioning.service.people import GuestsHaveNoRole, NotYourTenant, SamePerson
from tests.provisioning.world import DANA, KIM, LEE, SAM, A, B, C, D, World, channel, chat_of, member

NEW = "00000000-0000-4000-8000-0000000000b1"


# ------------------------------------------------------------------ meeting


async def test_whoever_writes_is_known_under_the_verified_id(world: World) -> None:
    person = await world.core.meet(member(NEW, "Mia Holm", upn="mia@contoso.com"), chat_of(NEW), "de-DE", "Europe/Oslo")
    assert (person.name, person.locale, person.roles, person.chat) == ("Mia Holm", "de-DE", frozenset(), chat_of(NEW))
    again = await world.core.meet(member(NEW, "Mia Holm", upn="mia@contoso.com"), chat_of(NEW))
    assert (again.version, again.locale) == (person.version, "de-DE")


async def test_what_changed_since_somebody_was_read_is_not_undone(world: World) -> None:
    read = await world.person(SAM)
    await world.core.choose_language(await world.sam(), "de")
    said = member(SAM, read.name, upn=read.upn)
    person, new = await world.core.encounter(said, chat_of(SAM), "de-DE", "Europe/Oslo", read=read)
    assert (person.locale, person.language, new) == ("de-DE", "de", False)
    assert await world.person(SAM) == person


async def test_of_two_first_words_at_the_same_moment_one_is_the_first(world: World) -> None:
    met = await asyncio.gather(*(world.core.encounter(member(NEW, "Mia Holm"), chat_of(NEW)) for _ in range(4)))
    assert sorted(first for _person, first in met) == [False, False, False, True]
    assert (await world.core.encounter(member(NEW, "Mia Holm"), None))[1] is False


async def test_other_organisations_are_refused(world: World) -> None:
    with pytest.raises(NotYourTenant, match="Contoso"):
        await world.core.meet(member(NEW, "Eve", tenant="fabrikam"), chat_of(NEW))
    await world.core.acquaint([member(NEW, "Eve", tenant="fabrikam")])
    assert await world.core.who(NEW) is None


async def test_a_teams_roster_makes_people_known_without_roles_and_leaves_guests_out(world: World) -> None:
    await world.core.acquaint([member(NEW, "Mia Holm"), member(LEE, "Guest", guest=True), member(SAM, "Sam Fox")])
    assert (await world.person(NEW)).roles == frozenset()
    assert await world.core.who(LEE) is None
    assert (await world.person(SAM)).chat == chat_of(SAM)


async def test_guests_have_no_role_however_it_was_given(world: World) -> None:
    await world.core.meet(member(NEW, "Gus", guest=True), chat_of(NEW))
    with pytest.raises(GuestsHaveNoRole):
        await world.core.grant(await world.dana(), NEW, Role.ADMIN)
    await world.core.meet(member(SAM, "Sam Fox", guest=True), chat_of(SAM))
    assert (await world.sam()).roles == frozenset()


async def test_a_grant_by_name_waits_and_binds_to_that_account_alone(world: World) -> None:
    waiting = await world.core.grant(await world.dana(), "Mia@Contoso.com", Role.TECHNICIAN)
    assert waiting.id == "upn:mia@contoso.com"
    other = await world.core.meet(member(LEE, "mia@contoso.com", upn="lee@contoso.com"), chat_of(LEE))
    guest = await world.core.meet(member("g", "Mia", upn="mia@contoso.com", guest=True), chat_of("g"))
    assert other.roles == guest.roles == frozenset()
    mia = await world.core.meet(member(NEW, "Mia Holm", upn="MIA@contoso.com"), chat_of(NEW))
    assert mia.roles == {Role.TECHNICIAN}
    assert await world.core.who("upn:mia@contoso.com") is None
    (granted,) = [row.event for row in (await world.store.history(NEW)).rows]
    assert isinstance(granted, AccessGranted)
    assert (granted.actor, granted.role) == (DANA, "technician")


async def test_a_grant_by_object_id_works_beforehand(world: World) -> None:
    await world.core.grant(await world.dana(), NEW, Role.ADMIN)
    mia = await world.core.meet(member(NEW, "Mia Holm"), chat_of(NEW))
    assert world.core.roles_of(mia) == {Role.ADMIN}


# ------------------------------------------------------------------ naming


async def test_people_are_named_by_id_upn_full_name_or_a_whole_name_of_theirs(world: World) -> None:
    for text in (SAM, SAM.upper(), "sam@contoso.com", "SAM FOX", "@Sam Fox", "sam", "fox"):
        assert (await world.core.person(text)).id == SAM


async def test_two_people_of_one_name_are_asked_about(world: World) -> None:
    await world.core.meet(member(NEW, "Sam Fox", upn="sam2@contoso.com"), None)
    for text in ("Sam Fox", "sam"):
        with pytest.raises(Ambiguous) as asked:
            await world.core.person(text)
        assert {choice.value for choice in asked.value.choices} == {SAM, NEW}
        assert len({choice.title for choice in asked.value.choices}) == 2


async def test_the_beginning_of_a_name_is_asked_about_and_never_granted_to(world: World) -> None:
    await world.core.meet(member(NEW, "Samantha Ray"), None)
    with pytest.raises(Resembles) as asked:
        await world.core.grant(await world.dana(), "saman", Role.ADMIN)
    assert [choice.value for choice in asked.value.choices] == [NEW]


@pytest.mark.parametrize("text", ["", "  ", "@", "nobody", "%", "no body@x"])
async def test_unknown_people_get_a_sentence(world: World, text: str) -> None:
    await world.store.save(Change(puts=(Person(id="nameless"),)))
    with pytest.raises(PersonNotFound):
        await world.core.person(text)


# ------------------------------------------------------------------ asking and granting


async def test_access_is_asked_for_once_and_every_admin_hears_of_it(world: World) -> None:
    await world.core.meet(member(LEE, "Lee Moe"), chat_of(LEE))
    await world.core.grant(await world.dana(), LEE, Role.ADMIN)
    await world.delivers()
    await world.core.meet(member(NEW, "Mia Holm"), chat_of(NEW))
    assert {admin.id for admin in await world.core.ask_access(await world.actor(NEW))} == {DANA, LEE}
    await world.core.ask_access(await world.actor(NEW))
    assert sorted(m.recipient for m in await world.told(MessageKind.ACCESS_ASKED)) == sorted([DANA, LEE])
    await world.core.grant(await world.dana(), NEW, Role.TECHNICIAN)
    assert [m.recipient for m in await world.told(MessageKind.ACCESS_GRANTED)] == [NEW]
    assert (await world.person(NEW)).asked_at is None


async def test_a_refused_person_may_ask_again(world: World) -> None:
    await world.core.meet(member(NEW, "Mia Holm"), chat_of(NEW))
    await world.core.ask_access(await world.actor(NEW))
    await world.core.refuse(await world.dana(), NEW)
    with pytest.raises(OutOfDate):
        await world.core.refuse(await world.dana(), NEW)
    await world.core.ask_access(await world.actor(NEW))
    assert await world.facts(NEW) == ["AccessAsked", "AccessRefused", "AccessAsked"]


async def test_the_same_grant_again_changes_nothing(world: World) -> None:
    before = await world.facts()
    await world.core.grant(await world.dana(), SAM, Role.TECHNICIAN)
    assert await world.facts() == before


@pytest.mark.parametrize("who", [SAM, LEE])
async def test_only_admins_manage_people(world: World, who: str) -> None:
    await world.core.meet(member(LEE, "Lee Moe"), None)
    actor = await world.actor(who)
    for call in (
        world.core.grant(actor, who, Role.ADMIN),
        world.core.refuse(actor, who),
        world.core.roster(actor),
        world.core.workload(actor, SAM),
        world.core.revoke_access(actor, SAM),
    ):
        with pytest.raises(Forbidden if who == SAM else NoAccess):
            await call
    assert (await world.actor(who)).roles == actor.roles


async def test_the_roster_comes_in_pages(world: World) -> None:
    await world.core.acquaint([member(f"p{n:02}", f"Person {n:02}") for n in range(20)])
    first = await world.core.roster(await world.dana())
    second = await world.core.roster(await world.dana(), after=first.after, first=11)
    assert (len(first.people), len(second.people), first.total) == (10, 10, 23)
    assert not {p.id for p in first.people} & {p.id for p in second.people}


# ------------------------------------------------------------------ leaving


@pytest.fixture
async def busy(world: World) -> World:
    """Sam has two jobs with a code, one without, and one mounted before it called in."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"), (C, "Oslo/3/3.01"), (D, "Oslo/3/3.02"))
    await world.issue("oslo", SAM)
    target = await world.core.target(await world.dana(), "3.01")
    await world.core.revoke(await world.dana(), target)
    await world.core.confirm(await world.sam(), "3.02", mounting_only=True)
    await world.delivers()
    return world


async def test_what_would_be_left_behind_is_shown_first(busy: World) -> None:
    workload = await busy.core.workload(await busy.dana(), "sam")
    assert (workload.live, workload.open) == (3, 3)


async def test_when_a_technician_leaves_codes_die_and_jobs_move_with_new_codes(busy: World) -> None:
    former = {mac: await busy.digits(mac) for mac in (A, B, D)}
    ended = await busy.core.revoke_access(await busy.dana(), "sam", heir="kim")
    assert (ended.codes, ended.jobs, ended.heir and ended.heir.id) == (3, 3, KIM)
    for mac, code in former.items():
        with pytest.raises(CodeRefused):
            await busy.calls(mac, code, source=f"10.0.{mac[-2:]}.1")
    assert [d.mac for d in await busy.core.jobs_of(KIM)] == [A, B, C]
    assert [d.mac for d in await busy.core.live_of(KIM)] == [A, B]
    assert [m.kind for m in await busy.told(reader=KIM)] == [MessageKind.NEW_JOBS]
    assert (await busy.sam()).roles == frozenset()
    with pytest.raises(NoAccess):
        await busy.core.next_job(await busy.sam())


async def test_without_an_heir_the_codes_die_and_the_jobs_are_nobodys(busy: World) -> None:
    await busy.core.revoke_access(await busy.dana(), "sam")
    assert not await busy.core.live_of(SAM)
    assert not await busy.core.jobs_of(SAM)
    assert [(await busy.device(mac)).technician for mac in (A, B, C)] == ["", "", ""]


async def test_everything_about_a_departure_stands_in_the_audit(busy: World) -> None:
    await busy.core.revoke_access(await busy.dana(), "sam", heir="kim")
    (left,) = [r.event for r in (await busy.store.history(SAM)).rows if isinstance(r.event, AccessRevoked)]
    assert (left.actor, left.codes, left.jobs, left.heir) == (DANA, 3, 3, KIM)
    assert (await busy.facts(A))[-3:] == ["CodeRevoked", "CodeIssued", "DeviceAssigned"]


async def test_an_end_of_access_that_broke_off_is_finished_by_the_same_press(
    busy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.service.handover.CHUNK", 2)
    dana, save = await busy.dana(), busy.store.save
    saved: list[Change] = []

    async def fails_at_the_third(change: Change) -> None:
        saved.append(change)
        if len(saved) == 3:
            raise Unavailable("the disk is full")
        await save(change)

    monkeypatch.setattr(busy.store, "save", fails_at_the_third)
    with pytest.raises(Unavailable):
        await busy.core.revoke_access(dana, SAM, heir="kim")
    assert not (await busy.person(SAM)).roles, "the role went first"
    ended = await busy.core.revoke_access(dana, SAM, heir="kim")
    assert (ended.codes, ended.jobs) == (3, 3)
    assert len((await busy.core.day(await busy.kim())).open) == 3
    await busy.core.grant(await busy.dana(), SAM, Role.TECHNICIAN)
    with pytest.raises(AlreadyDone):
        await busy.core.revoke_access(dana, SAM, heir="kim")


async def test_others_get_their_turns_while_many_devices_change_hands(world: World) -> None:
    await world.add(*((f"805EC01100{i:02X}", f"Oslo/1/1.{i:02d}") for i in range(60)))
    await world.issue("all", SAM)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    waiting = asyncio.create_task(others())
    await world.core.revoke_access(await world.dana(), "sam", heir="kim")
    waiting.cancel()
    assert turns > 60


async def test_the_open_cards_of_whoever_left_are_edited(busy: World) -> None:
    codes = await busy.shows(SAM, A, code=True)
    busy.later(minutes=1)
    for _ in range(60):  # fresher cards without a code
        await busy.shows(SAM, "list", view="list")
    await busy.core.revoke_access(await busy.dana(), "sam")
    edits = {m.subject for m in await busy.told(MessageKind.EDIT)}
    assert codes.key in edits
    assert len(edits) > 50


async def test_a_departed_technician_who_comes_back_starts_with_nothing(busy: World) -> None:
    await busy.core.revoke_access(await busy.dana(), "sam")
    await busy.core.grant(await busy.dana(), "sam", Role.TECHNICIAN)
    assert (await busy.core.day(await busy.sam())).open == ()
    assert (await busy.person(SAM)).access_ended_at is None


async def test_jobs_cannot_go_to_the_leaver_or_to_no_technician(busy: World) -> None:
    with pytest.raises(SamePerson):
        await busy.core.revoke_access(await busy.dana(), "sam", heir="sam")
    with pytest.raises(NotATechnician):
        await busy.core.revoke_access(await busy.dana(), "sam", heir="dana")
    assert (await busy.sam()).is_technician


async def test_admins_by_configuration_cannot_be_revoked_here(world: World) -> None:
    with pytest.raises(LastAdmin, match="ADMINS"):
        await world.core.revoke_access(await world.dana(), "dana")


async def test_an_old_card_ends_no_access(busy: World) -> None:
    seen = (await busy.person(SAM)).version
    await busy.core.meet(member(SAM, "Sam Fox-Lund"), None)
    with pytest.raises(OutOfDate):
        await busy.core.revoke_access(await busy.dana(), SAM, revision=seen)


async def test_a_re_added_device_belongs_to_nobody_whoever_had_it(busy: World) -> None:
    await busy.core.remove(await busy.dana(), A)
    await busy.core.revoke_access(await busy.dana(), "sam", heir="kim")
    await busy.add((A, "Oslo/2/2.14"))
    assert (await busy.device(A)).technician == ""


# ------------------------------------------------------------------ out of reach


async def test_the_admins_hear_once_that_somebody_is_out_of_reach(world: World) -> None:
    await world.core.left(SAM)
    await world.core.left(SAM)
    assert [(m.recipient, m.subject) for m in await world.told(MessageKind.UNREACHABLE)] == [(DANA, SAM)]
    await world.core.meet(member(SAM, "Sam Fox"), chat_of(SAM))
    assert (await world.person(SAM)).reachable


async def test_a_chat_that_the_bot_opened_is_known(world: World) -> None:
    await world.core.acquaint([member(NEW, "Mia Holm")])
    await world.core.found_chat(NEW, chat_of(NEW))
    assert (await world.person(NEW)).chat == chat_of(NEW)
    await world.core.found_chat("nobody", channel())


async def test_names_are_kept_without_hidden_characters(world: World) -> None:
    person = await world.core.meet(member(NEW, "Mia\u202e\x00 Holm" + "x" * 300), None)
    assert person.name.startswith("Mia Holm")
    assert len(person.name) <= 200
    assert replace(person, name="") == replace(await world.person(NEW), name="")
