"""The list: add, look, move, replace, swap, remove, undo."""

from collections.abc import Awaitable, Callable

import pytest

from provisioning.errors import (
    AlreadyDone,
    Ambiguous,
    DeviceExists,
    DeviceNotFound,
    Forbidden,
    InvalidLocation,
    InvalidMac,
    MacNotADevice,
    MacWrongLength,
    MovedOn,
    NearMiss,
    NoAccess,
    NothingMatches,
    NothingToUndo,
    OutOfDate,
    TooMany,
)
from provisioning.model import Device, State
from provisioning.service.devices import SameDevice, Undone, Wanted
from provisioning.uploads import RowFault
from tests.provisioning.world import DANA, KIM, LEE, SAM, A, B, C, D, World, channel, member


@pytest.fixture
async def oslo(world: World) -> World:
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.delivers()
    return world


# ------------------------------------------------------------------ adding


async def test_several_lines_become_several_devices(world: World) -> None:
    done = await world.add(("80:5e:c0:11:22:33", " Oslo / 2 / 2.14 "), ("805e.c011.2234", "Oslo/2/2.16"))
    assert [(d.mac, d.location, d.version) for d in done.new] == [(A, "Oslo/2/2.14", 1), (B, "Oslo/2/2.16", 1)]
    assert (await world.device(A)).state is State.WAITING_FOR_ACTIVATION
    assert await world.facts(A) == ["DeviceAdded"]


async def test_one_bad_line_and_nothing_is_saved_and_each_fault_has_its_line(world: World) -> None:
    lines = [
        (A, "Oslo/1"),
        ("805EC01122", "Oslo/2"),
        ("FFFFFFFFFFFF", "Oslo/3"),
        (B, " "),
        (A, "Oslo/9"),
        (A, "Oslo/1"),
    ]
    done = await world.add(*lines)
    assert [(number, type(fault)) for number, fault in done.faults] == [
        (2, MacWrongLength),
        (3, MacNotADevice),
        (4, InvalidLocation),
        (5, DeviceExists),
    ]
    assert (done.new, await world.store.get(Device, A)) == ((), None)
    assert await world.facts(A) == []


async def test_the_same_again_changes_nothing(oslo: World) -> None:
    facts, version = await oslo.facts(), (await oslo.device(A)).version
    done = await oslo.add((A, "Oslo/2/2.14"), (A, "Oslo/2/2.14"))
    assert (len(done.new), [d.mac for d in done.same]) == (0, [A])
    assert (await oslo.facts(), (await oslo.device(A)).version) == (facts, version)


async def test_a_listed_device_is_not_moved_by_adding_it_elsewhere(oslo: World) -> None:
    ((_, fault),) = (await oslo.add((A, "Bergen/1"))).faults
    assert "Oslo/2/2.14" in fault.sentence
    assert "move" in fault.sentence


async def test_too_many_at_once_are_refused_before_any_work(world: World) -> None:
    with pytest.raises(TooMany, match="201"):
        await world.add(*[(A, "Oslo")] * 201)


async def test_a_device_that_comes_back_keeps_state_and_life_but_no_code_and_nobody(oslo: World) -> None:
    await oslo.issue("2.14", SAM)
    got = await oslo.provisions(A)
    await oslo.core.report_reset(got.token)
    await oslo.issue("2.14")
    await oslo.provisions(A)
    await oslo.core.confirm(await oslo.sam(), "2.14")
    await oslo.core.remove(await oslo.dana(), "2.14")
    await oslo.add((A, "Bergen/1"))
    device = await oslo.device(A)
    assert (device.state, device.life, device.issued) == (State.WAITING_FOR_SIGN_IN, 2, 2)
    assert (device.code, device.token, device.technician, device.installed) == (None, "", "", None)


# ------------------------------------------------------------------ undo


async def test_an_add_can_be_taken_back_for_ten_minutes(oslo: World) -> None:
    oslo.later(minutes=10)
    assert await oslo.core.undo(await oslo.dana()) == Undone(2)
    assert (await oslo.device(A)).removed
    assert (await oslo.device(B)).removed
    with pytest.raises(NothingToUndo):
        await oslo.core.undo(await oslo.dana())


async def test_after_ten_minutes_it_stays(oslo: World) -> None:
    oslo.later(minutes=10, seconds=1)
    with pytest.raises(NothingToUndo):
        await oslo.core.undo(await oslo.dana())


async def test_nobody_takes_back_what_somebody_else_added(oslo: World) -> None:
    await oslo.core.meet(member(LEE, "Lee Moe"), None)
    from provisioning.model import Role

    await oslo.core.grant(await oslo.dana(), LEE, Role.ADMIN)
    with pytest.raises(NothingToUndo):
        await oslo.core.undo(await oslo.actor(LEE))


@pytest.mark.parametrize("moved_on", ["issued", "provisioned", "installed"])
async def test_what_has_moved_on_stays_with_its_reason_and_the_rest_is_taken_back(oslo: World, moved_on: str) -> None:
    oslo.later(seconds=5)
    await oslo.issue("2.14", SAM)
    if moved_on == "provisioned":
        await oslo.provisions(A)
    if moved_on == "installed":
        await oslo.core.confirm(await oslo.sam(), "2.14", mounting_only=True)
        await oslo.core.revoke_of(await oslo.dana(), await oslo.person(SAM))
    undone = await oslo.core.undo(await oslo.dana())
    reason = {"issued": "stays_code"}.get(moved_on, f"stays_{moved_on}")
    assert undone == Undone(1, (("2.14, ends 22:33", RowFault(reason)),))
    assert not (await oslo.device(A)).removed
    assert (await oslo.device(B)).removed


async def test_where_all_has_moved_on_nothing_is_taken_back(oslo: World) -> None:
    await oslo.issue("oslo", SAM)
    with pytest.raises(MovedOn, match=r"2\.14, ends 22:33, 2\.16"):
        await oslo.core.undo(await oslo.dana())
    assert not (await oslo.device(B)).removed


async def test_adding_a_provisioned_device_again_can_be_taken_back(oslo: World) -> None:
    await oslo.issue("2.14", SAM)
    await oslo.provisions(A)
    await oslo.core.remove(await oslo.dana(), "2.14")
    oslo.later(minutes=1)
    await oslo.add((A, "Oslo/2/2.15"))
    await oslo.core.undo(await oslo.dana())
    assert (await oslo.device(A)).removed


# ------------------------------------------------------------------ naming


@pytest.mark.parametrize(
    "text", ["2.14", "oslo/2/2.14", "2233", "22:33", A, "80-5e-c0-11-22-33", "the device 2.14", "oslo 2.14"]
)
async def test_a_device_is_named_in_many_ways(oslo: World, text: str) -> None:
    assert (await oslo.core.device(await oslo.dana(), text)).mac == A


async def test_an_ambiguous_word_is_asked_about(oslo: World) -> None:
    await oslo.add((C, "Bergen/2/2.14"))
    with pytest.raises(Ambiguous) as asked:
        await oslo.core.device(await oslo.dana(), "2.14")
    assert [choice.value for choice in asked.value.choices] == [C, A]


async def test_a_mac_one_digit_off_is_asked_about_never_assumed(oslo: World) -> None:
    with pytest.raises(NearMiss, match=r"2\.14"):
        await oslo.core.remove(await oslo.dana(), "805EC0112333")
    with pytest.raises(DeviceNotFound):
        await oslo.core.device(await oslo.sam(), "805EC0112333")  # not Sam's: not even a hint


async def test_a_technicians_own_room_is_found_among_many_of_that_number(world: World) -> None:
    await world.add(*((f"805EC011{n:04X}", f"Site {n:03}/2.14") for n in range(60)))
    await world.issue("Site 059", SAM)
    assert (await world.core.device(await world.sam(), "2.14")).site == "Site 059"


async def test_what_is_not_there_is_said_in_words(oslo: World) -> None:
    dana = await oslo.dana()
    with pytest.raises(DeviceNotFound):
        await oslo.core.device(dana, "9.99")
    with pytest.raises(NothingMatches):
        await oslo.core.target(dana, "paris")
    with pytest.raises(InvalidMac):
        await oslo.core.device(dana, "80-5E-C0-11-22")


async def test_a_place_whose_name_begins_like_a_filler_word_is_found(world: World) -> None:
    await world.add((A, "The Hague/Room 5"))
    dana = await world.dana()
    assert (await world.core.target(dana, "the hague")).site == "The Hague"
    for text in ("the hague/room 5", "room 5", "device room 5"):
        assert (await world.core.device(dana, text)).mac == A


# ------------------------------------------------------------------ looking


async def test_the_list_filters_by_state_site_and_text_in_walking_order(oslo: World) -> None:
    await oslo.add((C, "Oslo/2/2.9"), (D, "Bergen/1/1.01"))
    await oslo.issue("2.14", SAM)
    await oslo.provisions(A)
    await oslo.issue("2.16", SAM)
    await oslo.core.report(await oslo.sam(), "2.16", "network")

    async def places(words: str) -> list[str]:
        return [device.place for device in (await oslo.core.listing(await oslo.dana(), words)).devices]

    assert await places("") == ["1.01", "2.9", "2.14", "2.16"]
    assert await places("oslo") == ["2.9", "2.14", "2.16"]
    assert await places("waiting oslo") == ["2.9", "2.16"]
    assert await places("awaiting sign in") == ["2.14"]
    assert await places("problem") == ["2.16"]
    assert await places("805e-nothing") == []
    assert await places("1122") == await places("C0-11-22") == ["2.14", "2.16"]


async def test_the_list_comes_in_pages_of_ten(world: World) -> None:
    await world.add(*((f"805EC01100{n:02X}", f"Oslo/1/{n}") for n in range(12)))
    first = await world.core.listing(await world.dana(), "oslo")
    second = await world.core.listing(await world.dana(), "oslo", after=first.after, first=11)
    assert (len(first.devices), [d.place for d in second.devices], second.total) == (10, ["10", "11"], 12)


# ------------------------------------------------------------------ changing


async def test_a_moved_device_is_told_to_both_sites_channels(oslo: World) -> None:
    await oslo.add((C, "Bergen/1"))
    for site in ("oslo", "bergen"):
        await oslo.core.connect(await oslo.dana(), channel(site), site)
        await oslo.shows(f"channel-{site}", f"channel-{site}", view="rollout")
    await oslo.delivers()
    oslo.later(minutes=1)
    await oslo.core.move(await oslo.dana(), "2.14", "Bergen/2")
    assert {m.recipient for m in await oslo.told()} == {"channel-oslo", "channel-bergen"}
    assert (await oslo.facts(A))[-1] == "DeviceMoved"


async def test_an_undone_add_is_told_to_the_channel(oslo: World) -> None:
    await oslo.core.connect(await oslo.dana(), channel(), "oslo")
    await oslo.shows("channel-oslo", "channel-oslo", view="rollout")
    await oslo.delivers()
    await oslo.core.undo(await oslo.dana())
    assert {m.recipient for m in await oslo.told()} == {"channel-oslo"}


async def test_a_move_to_where_it_is_changes_nothing(oslo: World) -> None:
    facts = await oslo.facts()
    await oslo.core.move(await oslo.dana(), "2.14", "Oslo/2/2.14")
    assert await oslo.facts() == facts


async def test_a_replacement_takes_place_and_technician_and_the_former_keeps_its_state(oslo: World) -> None:
    await oslo.issue("2.14", SAM)
    await oslo.provisions(A)
    facts = await oslo.core.replace_mac(await oslo.dana(), "2.14", C)
    assert (facts.device.mac, facts.device.location, facts.technician) == (C, "Oslo/2/2.14", "Sam Fox")
    assert facts.device.state is State.WAITING_FOR_ACTIVATION
    former = await oslo.device(A)
    assert (former.removed, former.state, former.token) == (True, State.WAITING_FOR_SIGN_IN, "")


async def test_a_replacement_never_takes_a_listed_devices_mac(oslo: World) -> None:
    for mac in (A, B):
        with pytest.raises(DeviceExists):
            await oslo.core.replace_mac(await oslo.dana(), "2.14", mac)
    assert not (await oslo.device(A)).removed


async def test_a_provisioned_device_that_replaces_another_stays_provisioned(oslo: World) -> None:
    await oslo.issue("2.14", SAM)
    await oslo.provisions(A)
    await oslo.core.confirm(await oslo.sam(), "2.14")
    await oslo.core.remove(await oslo.dana(), "2.14")
    facts = await oslo.core.replace_mac(await oslo.dana(), "2.16", A)
    assert (facts.device.state, facts.device.installed) == (State.WAITING_FOR_SIGN_IN, None)


async def test_swapped_devices_stand_in_each_others_place_and_keep_their_codes(oslo: World) -> None:
    await oslo.issue("2.14", SAM)
    await oslo.issue("2.16", KIM)
    codes = [await oslo.digits(A), await oslo.digits(B)]
    await oslo.core.swap(await oslo.dana(), "2.14", "2.16")
    a, b = await oslo.device(A), await oslo.device(B)
    assert [(a.place, a.technician), (b.place, b.technician)] == [("2.16", KIM), ("2.14", SAM)]
    assert [await oslo.digits(A), await oslo.digits(B)] == codes


async def test_a_technician_swaps_own_devices_only(oslo: World) -> None:
    await oslo.issue("2.14", SAM)
    await oslo.issue("2.16", KIM)
    with pytest.raises(DeviceNotFound):
        await oslo.core.swap(await oslo.sam(), "2.14", "2.16")
    with pytest.raises(SameDevice):
        await oslo.core.swap(await oslo.sam(), "2.14", A)
    await oslo.issue("2.16", SAM)
    await oslo.core.swap(await oslo.sam(), "2.14", "2.16")
    assert (await oslo.device(A)).place == "2.16"


async def test_a_removed_device_is_off_the_list_with_its_code(oslo: World) -> None:
    await oslo.issue("2.14", SAM)
    shown = (await oslo.device(A)).version
    with pytest.raises(OutOfDate):
        await oslo.core.remove(await oslo.dana(), "2.14", revision=shown - 1)
    await oslo.core.remove(await oslo.dana(), "2.14", revision=shown)
    with pytest.raises(DeviceNotFound):
        await oslo.core.device(await oslo.dana(), "2.14")
    assert (await oslo.device(A)).code is None


# ------------------------------------------------------------------ who may


@pytest.mark.parametrize("who", [SAM, LEE])
async def test_only_admins_change_the_list_and_a_press_refused_has_no_effect(oslo: World, who: str) -> None:
    await oslo.core.meet(member(LEE, "Lee Moe"), None)
    actor, core, facts = await oslo.actor(who), oslo.core, await oslo.facts()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: core.add(actor, [Wanted(C, "Oslo/1")]),
        lambda: core.undo(actor),
        lambda: core.listing(actor, ""),
        lambda: core.move(actor, A, "Oslo/1"),
        lambda: core.replace_mac(actor, A, C),
        lambda: core.remove(actor, A),
    ]
    for call in calls:
        with pytest.raises(Forbidden if who == SAM else NoAccess):
            await call()
    assert await oslo.facts() == facts


async def test_the_same_undo_twice_takes_back_one_add(world: World) -> None:
    await world.add((A, "Oslo/1"))
    world.later(seconds=1)
    await world.add((B, "Oslo/2"))
    twice = await world.actor(DANA, "press-1")
    await world.core.undo(twice)
    with pytest.raises(AlreadyDone):
        await world.core.undo(twice)
    assert ((await world.device(A)).removed, (await world.device(B)).removed) == (False, True)
