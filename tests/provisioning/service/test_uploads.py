"""From a sheet to its preview: what is counted, what is refused, and that nothing of it is a device yet."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from provisioning.errors import AlreadyDone, Forbidden, NoAccess, NotFound
from provisioning.model import Device, Role
from provisioning.service import Provisioning
from provisioning.service.uploading import NotYours, UploadOver
from provisioning.sheets.faults import say
from provisioning.untrusted import MOST_TAGS
from provisioning.uploads import BadRow, RowFault, Upload, UploadPart, UploadState
from storage import open_store
from tests.fakes import FakeClock
from tests.provisioning.sheets import (
    CODED,
    HEADER,
    Rows,
    carried_out,
    everything_in,
    imports,
    mac,
    row,
    rows,
    seen,
    sends,
)
from tests.provisioning.world import DANA, KEYS, KIM, LEE, POLICY, SAM, World, member

WRONG = BadRow(17, ("80-5E-C0-11-22", "Oslo/2"), RowFault.of("mac_length", {"digits": 10}))


async def test_nothing_is_saved_before_add(world: World) -> None:
    before = await world.facts()
    upload = await sends(world, rows(8))
    assert upload.state is UploadState.READY
    assert await seen(world) == 0
    assert await world.facts() == before


async def test_every_row_is_counted_once_and_for_what_it_is(world: World) -> None:
    await world.add((mac(1), "Oslo/2/2.1"), (mac(2), "Oslo/9"), (mac(3), "Oslo/3"))
    await world.core.remove(await world.dana(), mac(3))
    doubled = BadRow(9, (mac(1), "Oslo/2/2.9"), RowFault.of("duplicate", {"row": 1}))
    upload = await sends(world, Rows(rows(7), (WRONG, doubled)))
    assert (upload.new, upload.same, upload.different, upload.wrong, upload.total) == (5, 1, 1, 2, 9)
    assert upload.faults == ((9, doubled.fault), (17, WRONG.fault))
    assert upload.differing == ((mac(2), "Oslo/9", "Oslo/2/2.2"),)


async def test_the_facts_are_of_the_rows_that_are_right(world: World) -> None:
    sheet = [row(1, "Bergen/1"), *(row(n) for n in (2, 3, 4)), row(5, "oslo/3")]
    upload = await sends(world, Rows(sheet, (WRONG,), remarks=(RowFault("notes"),)))
    assert upload.sites[0] == ("Oslo", 3)
    assert dict(upload.sites)["Bergen"] == 1
    assert sum(count for _, count in upload.vendors) == 5
    assert upload.remarks == (RowFault("notes"),)


async def test_only_the_first_bad_rows_stand_on_the_preview_but_all_in_the_error_file(world: World) -> None:
    bad = [replace(WRONG, number=number) for number in range(2, 12)]
    upload = await sends(world, Rows(rows(4), bad))
    assert [number for number, _ in upload.faults] == [2, 3, 4, 5, 6]
    assert [each async for each in world.core.wrong_rows(upload)] == bad


@pytest.mark.parametrize(
    ("columns", "standing"),
    [
        ({}, "same"),
        ({"location": "Oslo/9"}, "different"),
        ({"type": "Panel"}, "different"),
        ({"account": "room@contoso.com"}, "different"),
        ({"technician": "Sam Fox"}, "different"),
        ({"asset_tag": "A-1"}, "different"),
        ({"notes": "above the door"}, "different"),
        ({"tags": ("VIP",)}, "different"),
        ({"tags": ("lobby",)}, "same"),
    ],
)
async def test_each_column_that_says_something_else_makes_a_row_different(
    world: World, columns: dict[str, object], standing: str
) -> None:
    await imports(world, [row(1, type="Phone", tags=("Lobby",), notes="by the stairs")])
    upload = await sends(world, [row(1, **columns)])  # type: ignore[arg-type]
    assert {"same": upload.same, "different": upload.different}[standing] == 1
    assert upload.new == upload.wrong == 0


async def test_a_row_without_a_place_needs_a_device_that_has_one(world: World) -> None:
    await world.add((mac(1), "Oslo/1"))
    sheet = [replace(row(number), location="") for number in (1, 2)]
    upload = await sends(world, sheet)
    assert (upload.same, upload.wrong) == (1, 1)
    assert upload.faults == ((2, RowFault("location_needed")),)


@pytest.mark.parametrize(
    ("said", "fault"),
    [("Sam Fox", None), ("sam@contoso.com", None), ("Dana Berg", "no_technician"), ("Nobody Here", "person")],
)
async def test_a_technician_is_somebody_who_is_one(world: World, said: str, fault: str | None) -> None:
    upload = await sends(world, [row(1, technician=said), row(2, technician=said), row(3)])
    assert upload.technicians == (() if fault else (SAM,))
    assert [each.code for _, each in upload.faults] == ([fault] * 2 if fault else [])
    wrong = [each async for each in world.core.wrong_rows(upload)]
    assert [each.number for each in wrong] == ([1, 2] if fault else [])


async def test_one_of_two_people_is_not_guessed(world: World) -> None:
    await world.core.meet(member(LEE, "Sam Fox", upn="other@contoso.com"), (await world.person(SAM)).chat)  # type: ignore[arg-type]
    upload = await sends(world, [row(1, technician="Sam Fox")])
    assert [fault.code for _, fault in upload.faults] == ["persons"]


async def test_a_row_that_cannot_be_taken_comes_back_under_its_own_header(world: World) -> None:
    sheet = Rows([row(1, technician="Nobody Here", tags=("a", "b"), notes="n")])
    sheet = replace(sheet, header=("Notes", "Tag", "MAC id", "Site", "Technician"))
    (wrong,) = [each async for each in world.core.wrong_rows(await sends(world, sheet))]
    assert wrong.cells == ("n", "a, b", "80-5E-C0-10-00-01", "Oslo/2/2.1", "Nobody Here")


# ------------------------------------------------------------------ who may


async def test_a_technician_and_somebody_without_a_role_send_nothing(world: World) -> None:
    with pytest.raises(Forbidden):
        await world.core.begin_upload(await world.sam(), "oslo.csv")
    with pytest.raises(NoAccess):
        await world.core.begin_upload(await world.actor("stranger"), "oslo.csv")


@pytest.mark.parametrize("who", [SAM, "stranger", LEE])
async def test_nobody_but_its_sender_decides_on_an_upload(world: World, who: str) -> None:
    await world.core.meet(member(LEE, "Lee Holm"), (await world.person(DANA)).chat)  # type: ignore[arg-type]
    await world.core.grant(await world.dana(), LEE, Role.ADMIN)
    upload = await sends(world, rows(3))
    error = {SAM: Forbidden, "stranger": NoAccess, LEE: NotYours}[who]
    for step in (world.core.upload, world.core.add_upload, world.core.cancel_upload):
        with pytest.raises(error):
            await step(await world.actor(who), upload.id)
    assert (await world.core.upload(await world.dana(), upload.id)).state is UploadState.READY


async def test_the_latest_is_meant_where_none_is_named(world: World) -> None:
    with pytest.raises(NotFound):
        await world.core.upload(await world.dana())
    await sends(world, rows(1))
    world.later(seconds=1)
    second = await sends(world, rows(2))
    assert (await world.core.upload(await world.dana())).id == second.id


# ------------------------------------------------------------------ it ends before [Add]


async def test_cancelled_while_it_is_read_the_reading_stops_and_nothing_is_saved(world: World) -> None:
    begun = await world.core.begin_upload(await world.dana(), "oslo.csv")
    await world.core.cancel_upload(await world.dana(), begun.id)
    with pytest.raises(UploadOver):
        await world.core.read_upload(begun, Rows(rows(8)))
    with pytest.raises(UploadOver):
        await world.core.add_upload(await world.dana(), begun.id)
    assert await seen(world) == 0
    assert not await world.core.unfinished()


async def test_a_sheet_that_cannot_be_read_says_why_and_is_over(world: World) -> None:
    begun = await world.core.begin_upload(await world.dana(), "oslo.csv")
    assert not await world.core.unfinished()
    world.later(minutes=1)
    assert [each.id for each in await world.core.unfinished()] == [begun.id]
    failed = await world.core.fail_upload(begun, RowFault("broke_off"))
    assert (failed.state, failed.fault) == (UploadState.FAILED, RowFault("broke_off"))
    with pytest.raises(UploadOver):
        await world.core.add_upload(await world.dana(), begun.id)
    assert not await world.core.unfinished()


async def test_one_that_waits_for_its_decision_is_nobodys_unfinished_work(world: World) -> None:
    upload = await sends(world, rows(3))
    assert not await world.core.unfinished()
    assert await world.core.go_on(upload.id) is None
    assert await seen(world) == 0


@pytest.mark.parametrize("added", [False, True])
async def test_a_day_later_nothing_is_left_of_it_but_its_devices(world: World, added: bool) -> None:
    upload = await sends(world, Rows(rows(7), (WRONG,)))
    if added:
        await world.core.add_upload(await world.dana(), upload.id)
        await carried_out(world, upload.id)
    world.later(hours=23)
    await world.core.sweep()
    assert await world.store.count(UploadPart, upload=upload.id) == upload.parts > 0
    world.later(hours=1, minutes=1)
    await world.core.sweep()
    assert await world.store.count(UploadPart, upload=upload.id) == 0
    with pytest.raises(NotFound):
        await world.core.upload(await world.dana(), upload.id)
    assert await seen(world) == (7 if added else 0)


async def test_nobody_adds_what_is_left_of_an_upload_whose_rows_are_going(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a long one take several sweeps to go."""
    monkeypatch.setattr("provisioning.service.uploading.PART", 2)
    monkeypatch.setattr("provisioning.service.housekeeping.PARTS", 1)
    monkeypatch.setattr("provisioning.service.housekeeping.CHUNKS", 1)
    upload = await sends(world, rows(7))
    world.later(hours=24, minutes=1)
    await world.core.sweep()
    assert 0 < await world.store.count(UploadPart, upload=upload.id) < upload.parts
    with pytest.raises(UploadOver):
        await world.core.add_upload(await world.dana(), upload.id)
    assert await seen(world) == 0


# ------------------------------------------------------------------ codes of the Teams admin centre


async def test_no_code_lies_in_the_store_in_clear(tmp_path: Path) -> None:
    """Neither one that waits, nor one of a wrong row, nor one that was added."""
    clock, digits = FakeClock(), ["482913", "771204", "650318"]
    store = await open_store(f"tinydb:{tmp_path}", clock=clock)
    world = await World(store, clock, Provisioning(store, clock, KEYS, POLICY)).people()
    wrong = BadRow(7, ("80-5E-C0-11-22", "Oslo/2", digits[2]), WRONG.fault)
    sheet = [row(1, code=digits[0]), row(2, code=digits[1], technician="Nobody Here")]
    upload = await sends(world, Rows(sheet, (wrong,), (*CODED, "Technician")))
    assert (upload.codes, upload.wrong) == (1, 2)

    def clear() -> list[str]:
        return [each for each in digits if each.encode() in everything_in(tmp_path)]

    assert clear() == []
    await world.core.add_upload(await world.dana(), upload.id)
    await carried_out(world, upload.id)
    assert await world.digits(mac(1)) == digits[0]
    await store.close()
    assert clear() == []


async def test_wrong_rows_come_back_with_the_codes_that_stood_in_them(world: World) -> None:
    wrong = BadRow(7, ("80-5E-C0-11-22", "Oslo/2", "650318"), WRONG.fault)
    upload = await sends(world, Rows([row(1, technician="Nobody Here", code="771204")], (wrong,), CODED))
    back = [each async for each in world.core.wrong_rows(upload)]
    assert [(each.number, each.code) for each in back] == [(1, "771204"), (7, "650318")]
    assert all(each.cells[2] == "" for each in back)


async def test_a_device_that_is_provisioned_with_us_needs_no_code_of_theirs(world: World) -> None:
    await world.add((mac(1), "Oslo/2/2.1"))
    await world.issue("oslo", KIM)
    await world.provisions(mac(1))
    upload = await sends(world, Rows([row(1, code="482913"), row(2, code="482914")], (), CODED))
    assert upload.faults == ((1, RowFault.of("provisioned", {"place": "2.1"})),)
    assert upload.codes == 1


async def test_without_any_header_nothing_is_taken_for_a_code(world: World) -> None:
    upload = await sends(world, Rows(rows(2), (replace(WRONG, cells=("80-5E", "Oslo", "42")),), ()))
    (back,) = [each async for each in world.core.wrong_rows(upload)]
    assert back.cells == ("80-5E", "Oslo", "42")


async def test_the_message_is_redrawn_now_and_then_and_when_it_is_ready(world: World) -> None:
    begun = await world.core.begin_upload(await world.dana(), "oslo.csv")
    await world.shows(DANA, begun.id, view="upload_again")

    async def edits() -> int:
        return sum(bool(each.unique) for each in await world.delivers())

    class Slowly(Rows):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            async for piece in Rows(self.rows, size=1).__aiter__():
                yield piece
                while (await world.core.upload(await world.dana(), begun.id)).total <= len(drawn):  # noqa: ASYNC110
                    await asyncio.sleep(0)  # it is saved while the next one is read
                drawn.append(await edits())
                world.clock.advance(timedelta(seconds=1))

    drawn: list[int] = []
    upload = await world.core.read_upload(begun, Slowly(rows(6), header=HEADER))
    assert drawn == [0, 0, 1, 0, 1, 0]
    assert await edits() == 1
    assert upload.state is UploadState.READY
    assert await world.store.count(Device) == 0


async def test_a_device_gets_no_more_tags_than_it_can_have(world: World) -> None:
    many = tuple(f"t{n}" for n in range(MOST_TAGS + 1))
    upload = await sends(world, [row(2, tags=many), row(3, tags=("one",))])
    assert (upload.new, upload.wrong) == (1, 1)
    assert "tags" in say(upload.faults[0][1])


async def test_the_same_wish_begins_one_upload(world: World) -> None:
    """A press that Teams delivers again, or a client repeats, leaves no second sheet behind."""
    dana = await world.actor(DANA, "op-paste")
    await world.core.begin_upload(dana, "oslo.csv")
    with pytest.raises(AlreadyDone):
        await world.core.begin_upload(dana, "oslo.csv")
    assert await world.store.count(Upload, by=DANA) == 1
