"""Codes: issued, kept, replaced, shown, handed over, ended."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from provisioning.codes import Key, Keyring
from provisioning.errors import (
    AlreadyDone,
    CodeRefused,
    DeviceNotFound,
    Forbidden,
    NoAccess,
    NoLiveCode,
    OutOfDate,
    PersonNotFound,
    ResetRequired,
    Unavailable,
)
from provisioning.events import CodeShown
from provisioning.messages import MessageKind
from provisioning.model import Actor, Device, Person
from provisioning.service import Provisioning
from provisioning.service.handover import NotATechnician
from provisioning.service.issuing import IssueOrder
from provisioning.service.lookup import Target
from tests.provisioning.sheets import stumbling
from tests.provisioning.world import DANA, KIM, LEE, POLICY, SAM, A, B, C, D, World, member


@pytest.fixture
async def site(world: World) -> World:
    """Three devices in Oslo on two floors, one in Bergen."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"), (C, "Oslo/3/3.01"), (D, "Bergen/1/1.01"))
    return world


# ------------------------------------------------------------------ issuing


@pytest.mark.parametrize(
    ("text", "floor", "count"), [(A, "", 1), ("oslo", "", 3), ("oslo", "2", 2), ("all", "", 4), ("2.16", "", 1)]
)
async def test_codes_are_issued_for_one_device_a_floor_a_site_or_all(
    site: World, text: str, floor: str, count: int
) -> None:
    done = await site.issue(text, SAM, floor=floor)
    assert (done.issued, done.kept, done.refused) == (count, 0, 0)
    assert len(await site.core.live_of(SAM)) == count


async def test_a_live_code_is_kept_and_handed_over(site: World) -> None:
    await site.issue("2.14", SAM)
    code = await site.digits(A)
    done = await site.issue("oslo", KIM)
    assert (done.issued, done.kept) == (2, 1)
    assert await site.digits(A) == code
    assert (await site.device(A)).technician == KIM


async def test_a_reissue_kills_the_former_code(site: World) -> None:
    await site.issue("2.14", SAM)
    former = await site.digits(A)
    done = await site.issue("2.14", void=True)
    assert (done.issued, done.kept) == (1, 0)
    with pytest.raises(CodeRefused):
        await site.calls(A, former)
    assert await site.provisions(A)


async def test_a_code_lives_as_long_as_was_asked_else_a_day(site: World) -> None:
    await site.issue("2.14", SAM, lifetime=timedelta(hours=48))
    await site.issue("2.16", SAM)
    long, usual = await site.device(A), await site.device(B)
    assert long.code and long.code.expires_at - site.clock.now() == timedelta(hours=48)
    assert usual.code and usual.code.expires_at - site.clock.now() == timedelta(hours=24)


async def test_a_site_counts_the_provisioned_apart_and_one_provisioned_device_is_refused_in_words(site: World) -> None:
    await site.issue("2.14", SAM)
    await site.provisions(A)
    assert (await site.issue("oslo", SAM)).refused == 1
    with pytest.raises(ResetRequired, match="reset to factory settings"):
        await site.issue("2.14")


async def test_the_technician_hears_of_twenty_new_devices_once(site: World) -> None:
    await site.issue("all", SAM)
    assert [m.kind for m in await site.told(reader=SAM)] == [MessageKind.NEW_JOBS]


async def test_codes_go_to_technicians_only(site: World) -> None:
    with pytest.raises(NotATechnician):
        await site.issue("2.14", DANA)
    with pytest.raises(PersonNotFound):
        await site.issue("2.14", "nobody-we-know")
    assert not (await site.device(A)).code


async def test_a_device_of_somebody_who_is_no_technician_any_more_is_issued_to_nobody(site: World) -> None:
    await site.issue("2.14", SAM)
    await site.store.save(_change(replace(await site.person(SAM), roles=frozenset())))
    await site.delivers()
    await site.issue("2.14", void=True)
    assert (await site.device(A)).technician == ""
    assert not await site.told(MessageKind.NEW_JOBS)


async def test_a_device_removed_in_the_meantime_is_said_to_be_gone(site: World) -> None:
    dana, target = await site.dana(), Target(device=await site.device(A))
    await site.core.remove(dana, A)
    with pytest.raises(DeviceNotFound):
        await site.core.issue(await site.dana(), IssueOrder(target))
    with pytest.raises(DeviceNotFound):
        await site.core.assign(await site.dana(), target, await site.person(SAM))


async def test_more_devices_than_one_unit_takes_all_get_a_code(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.service.handover.CHUNK", 3)
    await world.add(*((f"805EC01100{n:02X}", f"Oslo/1/{n}") for n in range(10)))
    assert (await world.issue("oslo", SAM)).issued == 10
    assert len(await world.core.live_of(SAM)) == 10


async def test_nobody_is_left_out_where_the_list_is_another_one_since_it_broke_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One device fewer moves every other one a place up, into a part whose first device was in one that is done."""
    monkeypatch.setattr("provisioning.service.handover.CHUNK", 2)
    world, store = await stumbling()
    macs = [f"805EC0{n:06X}" for n in range(1, 7)]
    await world.add(*((mac, f"Oslo/1/{n}") for n, mac in enumerate(macs)))
    await world.issue(macs[1], SAM)
    dana, order = await world.actor(DANA, "press"), IssueOrder(Target(site="Oslo"), technicians=(SAM,))
    store.falls = store.saves + 2
    with pytest.raises(Unavailable):
        await world.core.issue(dana, order)
    await world.provisions(macs[1])
    await world.core.issue(dana, order)
    assert [mac for mac in macs if not (await world.device(mac)).code] == [macs[1]]
    with pytest.raises(AlreadyDone):
        await world.core.issue(dana, order)


async def test_a_press_that_arrives_late_ends_no_code_that_was_made_since(site: World) -> None:
    await site.issue("oslo", SAM)
    dana = await site.actor(DANA, "press")
    assert (await site.core.revoke(dana, Target(site="Oslo"))).total == 3
    await site.issue(B, SAM)
    with pytest.raises(AlreadyDone):
        await site.core.revoke(dana, Target(site="Oslo"))
    assert await site.digits(B)


async def test_a_long_issue_that_broke_off_is_finished_by_the_same_press(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.service.handover.CHUNK", 3)
    await world.add(*((f"805EC01100{n:02X}", f"Oslo/1/{n}") for n in range(6)))
    press, order = await world.actor(DANA, "press-1"), IssueOrder(Target(site="Oslo"), technicians=(SAM,))
    unit, units = world.core.unit, list[str]()

    async def breaks_off(actor: Actor, decide: Any, *, part: str = "", heard: set[str] | None = None) -> Any:
        units.append(part)
        if len(units) == 2:
            raise OSError("killed")
        return await unit(actor, decide, part=part, heard=heard)

    monkeypatch.setattr(world.core, "unit", breaks_off)
    with pytest.raises(OSError, match="killed"):
        await world.core.issue(press, order)
    first = await world.digits("805EC0110000")
    done = await world.core.issue(press, order)
    assert done.issued == 6, "the ledger counts all, not the rest alone"
    assert len(await world.core.live_of(SAM)) == 6
    assert await world.digits("805EC0110000") == first
    with pytest.raises(AlreadyDone):
        await world.core.issue(press, order)


# ------------------------------------------------------------------ showing


async def test_a_code_is_audited_before_it_is_shown(site: World) -> None:
    await site.issue("2.14", SAM)
    held = await site.core.show_code(await site.dana(), "2.14")
    assert held.digits == await site.digits(A)
    (fact,) = [row.event for row in (await site.store.history(A)).rows if isinstance(row.event, CodeShown)]
    assert (fact.reader, fact.issue) == (DANA, 1)


async def test_no_audit_row_no_code(site: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store cannot take the audit row, nothing is unsealed."""
    await site.issue("all", SAM)

    async def full(_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(site.store, "save", full)
    monkeypatch.setattr(Keyring, "unseal", lambda *_: pytest.fail("unsealed without an audit row"))
    for show in (
        site.core.show_code(await site.dana(), "2.14"),
        site.core.codes(await site.dana()),
        site.core.next_job(await site.sam()),
    ):
        with pytest.raises(OSError, match="disk full"):
            await show


async def test_a_code_that_dies_while_it_is_being_audited_is_not_shown(
    site: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.issue("2.14", SAM)
    save, dana = site.store.save, await site.dana()

    async def save_then_lose_it(change: object) -> None:
        await save(change)  # type: ignore[arg-type]
        monkeypatch.setattr(site.store, "save", save)
        await site.core.revoke(dana, Target(device=await site.device(A)))

    monkeypatch.setattr(site.store, "save", save_then_lose_it)
    with pytest.raises(NoLiveCode):
        await site.core.show_code(await site.sam(), "2.14")


async def test_each_page_of_codes_is_audited_row_by_row(site: World) -> None:
    await site.issue("all", SAM)
    page = await site.core.codes(await site.dana(), Target(site="Oslo"))
    assert page.total == 3
    assert [held.digits for held in page.codes] == [await site.digits(mac) for mac in (A, B, C)]
    assert (await site.facts()).count("CodeShown") == 3


async def test_a_technician_sees_the_code_of_own_devices_only(site: World) -> None:
    await site.issue("2.14", SAM)
    await site.issue("2.16", KIM)
    assert (await site.core.show_code(await site.sam(), "2.14")).digits
    with pytest.raises(DeviceNotFound):
        await site.core.show_code(await site.sam(), "2.16")
    with pytest.raises(DeviceNotFound):
        await site.core.hold(await site.sam(), B)
    with pytest.raises(Forbidden):
        await site.core.codes(await site.sam())


async def test_somebody_whose_role_ended_sees_no_code_though_the_device_still_names_them(site: World) -> None:
    await site.issue("2.14", SAM)
    await site.core.show_code(await site.sam(), "2.14")
    await site.store.save(_change(replace(await site.person(SAM), roles=frozenset())))
    former = await site.sam()
    with pytest.raises(NoAccess):
        await site.core.show_code(former, "2.14")
    with pytest.raises(NoAccess):
        await site.core.hold(former, A)
    assert await site.core.redraw_job(former, A) is None


async def test_a_phone_shows_one_code_at_a_time(site: World) -> None:
    await site.issue("oslo", SAM)
    await site.core.show_code(await site.sam(), "2.14")
    card = await site.shows(SAM, A, code=True)
    await site.delivers()
    await site.core.show_code(await site.sam(), "2.16")
    assert [(m.kind, m.subject) for m in await site.told(reader=SAM)] == [(MessageKind.EDIT, card.key)]
    job = await site.core.redraw_job(await site.sam(), A)
    assert job is not None and not job.held.digits


async def test_no_code_is_shown_where_none_lives(site: World) -> None:
    with pytest.raises(NoLiveCode):
        await site.core.show_code(await site.dana(), "2.14")
    await site.issue("2.14", SAM)
    site.later(hours=24)
    with pytest.raises(NoLiveCode):
        await site.core.show_code(await site.dana(), "2.14")


async def test_a_code_whose_key_was_taken_away_is_reissued_not_a_crash(site: World) -> None:
    await site.issue("2.14", SAM)
    site.core = Provisioning(site.store, site.clock, Keyring([Key("k2", b"z" * 32)]), POLICY)
    with pytest.raises(NoLiveCode):
        await site.core.show_code(await site.dana(), "2.14")
    assert (await site.core.codes(await site.dana())).codes[0].digits == ""
    await site.issue("2.14", void=True)
    assert (await site.core.show_code(await site.dana(), "2.14")).digits


async def test_codes_survive_a_key_rotation(site: World) -> None:
    await site.issue("2.14", SAM)
    code = await site.digits(A)
    rotated = Keyring([Key("k2", b"z" * 32), Key("k1", b"k" * 32)])
    site.core = Provisioning(site.store, site.clock, rotated, POLICY)
    assert (await site.core.show_code(await site.dana(), "2.14")).digits == code
    assert await site.calls(A, code)


# ------------------------------------------------------------------ ending


async def test_revoked_codes_are_dead_and_erased(site: World) -> None:
    await site.issue("oslo", SAM)
    code = await site.digits(A)
    assert (await site.core.revoke(await site.dana(), Target(site="Oslo"))).own == 3
    assert (await site.device(A)).code is None
    with pytest.raises(CodeRefused):
        await site.calls(A, code)
    assert (await site.core.revoke(await site.dana(), Target(site="Oslo"))).total == 0


async def test_an_old_card_revokes_nothing(site: World) -> None:
    await site.issue("2.14", SAM)
    before = await site.device(A)
    await site.core.move(await site.dana(), A, "Oslo/9")
    with pytest.raises(OutOfDate):
        await site.core.revoke(await site.dana(), Target(device=await site.device(A)), before.version)
    assert await site.digits(A)


async def test_all_codes_in_one_persons_hands_can_be_revoked(site: World) -> None:
    await site.issue("oslo", SAM)
    await site.issue("bergen", KIM)
    assert (await site.core.revoke_of(await site.dana(), await site.person(SAM))).own == 3
    assert len(await site.core.live_of(KIM)) == 1


async def test_devices_change_hands_with_their_codes(site: World) -> None:
    await site.issue("oslo", SAM)
    code = await site.digits(A)
    await site.delivers()
    assert await site.core.assign(await site.dana(), Target(site="Oslo"), await site.person(KIM)) == 3
    assert await site.digits(A) == code
    assert [m.recipient for m in await site.told(MessageKind.NEW_JOBS)] == [KIM]
    assert await site.core.assign(await site.dana(), Target(site="Oslo"), await site.person(KIM)) == 0


# ------------------------------------------------------------------ who may


@pytest.mark.parametrize("who", [SAM, LEE])
async def test_only_admins_issue_revoke_and_assign(site: World, who: str) -> None:
    await site.core.meet(member(LEE, "Lee Moe"), None)
    actor, target = await site.actor(who), Target(site="Oslo")
    refused = Forbidden if who == SAM else NoAccess
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: site.core.issue(actor, IssueOrder(target)),
        lambda: site.core.codes(actor),
        lambda: site.core.revoke(actor, target),
        lambda: _then(site.person(KIM), lambda kim: site.core.revoke_of(actor, kim)),
        lambda: _then(site.person(KIM), lambda kim: site.core.assign(actor, target, kim)),
        lambda: _then(site.person(KIM), lambda kim: site.core.remind(actor, kim)),
        lambda: site.core.batch(actor, "x"),
    ]
    for attempt in attempts:
        with pytest.raises(refused):
            await attempt()


async def test_no_digit_of_a_code_stands_anywhere_in_clear(site: World) -> None:
    """Whatever happens to a code, no record, fact or message ever holds it."""
    seen: list[str] = []
    for text in ("2.14", "2.16", "3.01"):
        await site.issue(text, SAM)
    seen += [await site.digits(mac) for mac in (A, B, C)]
    await site.core.next_job(await site.sam())
    await site.shows(SAM, A, code=True)
    await site.core.renew(await site.sam(), "2.14")
    seen.append(await site.digits(A))
    await site.provisions(A)
    with pytest.raises(CodeRefused):
        await site.calls(B, seen[0])
    await site.core.codes(await site.dana())
    await site.core.report(await site.sam(), "2.16", "network")
    site.later(hours=30)
    await site.core.sweep()
    everything = await _serialised(site)
    assert "Oslo/2/2.14" in everything
    assert [code for code in seen if code in everything or f"{code[:4]} {code[4:8]} {code[8:]}" in everything] == []


async def _serialised(world: World) -> str:
    from storage.kinds import KINDS
    from storage.records import encode, encode_event, to_json

    records = [row for kind in KINDS for row in (await world.store.find(kind, limit=1000)).rows]
    facts = [row.event for row in (await world.store.history(limit=1000)).rows]
    return "\n".join([*(to_json(encode(record)) for record in records), *(to_json(encode_event(f)) for f in facts)])


async def _then(person: Awaitable[Person], call: Callable[[Person], Awaitable[object]]) -> object:
    return await call(await person)


def _change(*puts: Device | Person) -> object:
    from provisioning.model import Change

    return Change(puts=puts)
