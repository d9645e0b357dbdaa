"""Adding, cancelling, undoing: all of an import or none, whatever comes between two of its steps."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.batches import Batch
from provisioning.codes import Key, Keyring
from provisioning.errors import (
    AlreadyDone,
    CodeRefused,
    Duplicate,
    NothingToUndo,
    TooLateToUndo,
    Unavailable,
    UndoneAlready,
)
from provisioning.messages import MessageKind
from provisioning.model import Device, Role, State
from provisioning.service.devices import Wanted
from provisioning.service.handover import NotATechnician
from provisioning.service.importing import TooManyChanges
from provisioning.service.uploading import UploadOver
from provisioning.uploads import RowFault, Upload, UploadPart, UploadState
from tests.provisioning.sheets import (
    CODED,
    Rows,
    again,
    carried_out,
    imports,
    mac,
    row,
    rows,
    seen,
    sends,
    stumbling,
    undoes,
)
from tests.provisioning.world import DANA, KIM, LEE, SAM, World, channel, chat_of, member

CODE, LATER_CODE = "482913", "771204"


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two devices in a step, so that a few rows take several."""
    monkeypatch.setattr("provisioning.service.uploading.PART", 2)
    monkeypatch.setattr("provisioning.service.unmaking.CHUNK", 2)


async def added(world: World, count: int = 7, **choice: object) -> Upload:
    """[Add] was pressed, nothing is carried out yet."""
    upload = await sends(world, rows(count))
    return await world.core.add_upload(await world.dana(), upload.id, **choice)  # type: ignore[arg-type]


async def hidden(world: World) -> int:
    """Devices that are there for nobody."""
    every = await world.store.get_many(Device, [mac(number) for number in range(1, 13)], hidden=True)
    return len(every) - len(await world.store.get_many(Device, list(every)))


# ------------------------------------------------------------------ all of it appears at once


async def test_it_appears_as_a_whole_at_its_last_step(world: World) -> None:
    upload, sights = await added(world), []
    while await world.core.go_on(upload.id):
        sights.append(await seen(world))
    assert len(sights) > 3
    assert set(sights[:-1]) == {0}
    assert sights[-1] == 7
    done = await world.core.upload(await world.dana(), upload.id)
    assert (done.state, done.added, done.changed) == (UploadState.ADDED, 7, 0)
    assert (await world.facts()).count("DeviceAdded") == 7
    assert (await world.facts())[-1] == "ImportFinished"


async def test_who_looks_all_the_time_sees_nothing_or_all(world: World) -> None:
    upload, sights = await added(world), set()

    async def looks() -> None:
        while not work.done():
            devices = await world.store.find(Device, limit=1000)
            sights.add(len(devices.rows))
            sights.add(await world.store.count(Device))
            await asyncio.sleep(0)

    work = asyncio.create_task(carried_out(world, upload.id))
    await asyncio.gather(looks(), work)
    assert sights <= {0, 7}
    assert await seen(world) == 7


async def test_a_device_of_an_unfinished_import_is_a_stranger_to_our_device_api(world: World) -> None:
    upload = await added(world)
    await world.core.go_on(upload.id)
    with pytest.raises(CodeRefused):
        await world.calls(mac(1), "000000000000")
    assert "ProvisionRefused" not in await world.facts(mac(1))
    assert await hidden(world) == 2


async def test_every_column_arrives(world: World) -> None:
    await imports(
        world,
        [
            row(
                1,
                type="Phone",
                account="room@contoso.com",
                technician="Sam Fox",
                tags=("VIP", "lobby"),
                asset_tag="A-1",
                notes="by the door",
            )
        ],
    )
    device = await world.device(mac(1))
    assert (device.location, device.type, device.account) == ("Oslo/2/2.1", "Phone", "room@contoso.com")
    assert (device.technician, device.tags) == (SAM, ("lobby", "VIP"))
    assert (device.asset_tag, device.notes, device.added_by) == ("A-1", "by the door", DANA)
    assert [(m.kind, m.recipient) for m in await world.told()] == [(MessageKind.NEW_JOBS, SAM)]


async def test_the_same_file_again_changes_nothing(world: World) -> None:
    sheet = Rows([row(n, technician="Sam Fox", tags=("x",), code=f"48291{n}") for n in range(1, 6)], (), CODED)
    await imports(world, sheet)
    await world.delivers()
    before = [await world.device(mac(n)) for n in range(1, 6)]
    second = await imports(world, sheet, update=True)
    assert (second.new, second.same, second.different, second.codes) == (0, 5, 0, 0)
    assert (second.added, second.changed) == (0, 0)
    assert [await world.device(mac(n)) for n in range(1, 6)] == before
    assert await world.told() == []


@pytest.mark.parametrize("update", [False, True])
async def test_what_is_here_and_different_is_kept_or_updated_as_chosen(world: World, update: bool) -> None:
    await imports(world, [row(1, "Oslo/9", notes="old", tags=("a",)), row(2)])
    before = [await world.device(mac(n)) for n in (1, 2)]
    done = await imports(world, [row(1, notes="new", tags=("b",)), row(2), row(3)], update=update)
    assert (done.added, done.changed) == (1, int(update))
    device = await world.device(mac(1))
    if update:
        assert (device.location, device.notes, device.tags) == ("Oslo/2/2.1", "new", ("a", "b"))
        assert (await world.facts(mac(1)))[-2:] == ["DeviceMoved", "DeviceChanged"]
    else:
        assert device == before[0]
    assert await world.device(mac(2)) == before[1]


async def test_a_column_left_empty_says_nothing(world: World) -> None:
    await imports(world, [row(1, notes="old", technician="Sam Fox", account="a@contoso.com")])
    await imports(world, [row(1, "Oslo/9")], update=True)
    device = await world.device(mac(1))
    assert (device.location, device.notes, device.technician) == ("Oslo/9", "old", SAM)


async def test_a_press_that_comes_twice_adds_once(world: World) -> None:
    upload = await sends(world, rows(5))
    twice = await world.actor(DANA, "press-1")
    presses = [world.core.add_upload(twice, upload.id) for _ in range(2)]
    results = await asyncio.gather(*presses, return_exceptions=True)
    assert sorted(type(each).__name__ for each in results) == ["AlreadyDone", "Upload"]
    await carried_out(world, upload.id)
    for operation in ("press-1", "press-2"):
        with pytest.raises(AlreadyDone):
            await world.core.add_upload(await world.actor(DANA, operation), upload.id)
    assert await seen(world) == 5
    assert await world.store.count(Batch, by=DANA, kind="import") == 1
    assert (await world.facts()).count("DeviceAdded") == 5


async def test_more_changes_than_one_unit_takes_are_refused_before_anything_happens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.service.importing.MOST_CHANGED", 2)
    await imports(world, rows(3))
    upload = await sends(world, [row(n, "Bergen/1") for n in (1, 2, 3)])
    with pytest.raises(TooManyChanges, match="3 devices"):
        await world.core.add_upload(await world.dana(), upload.id, update=True)
    assert (await world.core.upload(await world.dana(), upload.id)).state is UploadState.READY
    await world.core.add_upload(await world.dana(), upload.id)
    assert (await carried_out(world, upload.id)).state is UploadState.ADDED


async def test_new_devices_come_with_their_codes_however_many_they_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.service.importing.MOST_CHANGED", 2)
    every = [row(n, code=f"48291{n}") for n in range(1, 8)]
    assert (await imports(world, Rows(every, (), CODED))).added == 7
    later = await sends(world, Rows([row(n, code=f"77120{n}") for n in (1, 2, 3)], (), CODED))
    with pytest.raises(TooManyChanges, match="3 devices"):
        await world.core.add_upload(await world.dana(), later.id)


async def test_nobody_whose_access_ended_since_the_preview_gets_devices(world: World) -> None:
    upload = await sends(world, Rows([row(1, technician="Sam Fox", code=CODE)], (), CODED))
    await world.core.revoke_access(await world.dana(), SAM)
    with pytest.raises(NotATechnician, match="Sam Fox"):
        await world.core.add_upload(await world.dana(), upload.id)
    assert await seen(world) == 0
    await world.core.grant(await world.dana(), SAM, Role.TECHNICIAN)
    await world.core.add_upload(await world.dana(), upload.id)
    assert (await carried_out(world, upload.id)).added == 1


async def test_devices_that_were_removed_come_back_as_they_were_and_undo_takes_them_off_again(world: World) -> None:
    await world.add((mac(1), "Oslo/2/2.1"))
    await world.issue("oslo", SAM)
    await world.provisions(mac(1))
    await world.core.remove(await world.dana(), mac(1))
    gone = await world.device(mac(1))
    world.later(seconds=1)
    assert (await imports(world, [row(1, "Bergen/1"), row(2)])).changed == 1
    back = await world.device(mac(1))
    assert not back.removed
    assert (back.state, back.life, back.location) == (State.WAITING_FOR_SIGN_IN, gone.life, "Bergen/1")
    undone = await undoes(world)
    assert (undone.undone, undone.stayed) == (2, 0)
    assert replace(await world.device(mac(1)), version=gone.version) == gone


# ------------------------------------------------------------------ killed between two steps


async def test_another_instance_takes_it_up_at_every_step(world: World) -> None:
    upload = await added(world)
    steps = 0
    while await again(world.store, world.clock).go_on(upload.id):
        steps += 1
        assert await seen(world) in (0, 7)
    assert steps == 6  # five parts, and the moment it appears
    assert await seen(world) == 7


@pytest.mark.parametrize("durable", [False, True])
async def test_a_store_that_fails_at_any_step_leaves_all_or_nothing(durable: bool) -> None:
    """The press is repeated, and after a restart the rest is taken up: adding, then undoing."""
    for falls in range(1, 30):
        world, store = await stumbling()
        await world.add((mac(1), "Oslo/9"))
        world.later(seconds=1)
        upload = await sends(world, rows(6))
        store.saves, store.falls, store.after = 0, falls, durable

        async def pressed(work: Callable[[], Awaitable[object]]) -> None:
            for _ in range(3):
                try:
                    await work()
                except Unavailable:
                    world.core = again(world.store, world.clock)  # noqa: B023 - called in this round only
                    assert await seen(world) in (1, 6)  # noqa: B023
                except AlreadyDone:
                    return

        press, other = await world.actor(DANA), await world.actor(DANA)
        await pressed(lambda: world.core.add_upload(press, upload.id, update=True))  # noqa: B023
        await pressed(lambda: carried_out(world, upload.id))  # noqa: B023
        assert await seen(world) == 6
        assert (await world.device(mac(1))).location == "Oslo/2/2.1"
        await pressed(lambda: world.core.undo(other))  # noqa: B023
        await pressed(lambda: carried_out(world, upload.id))  # noqa: B023
        assert (await seen(world), await hidden(world)) == (1, 0)
        assert (await world.device(mac(1))).location == "Oslo/9"
        done = await world.core.upload(await world.dana(), upload.id)
        assert (done.added, done.changed, done.undone, done.state) == (5, 1, 6, UploadState.UNDONE)
        facts = await world.facts()
        assert (facts.count("DeviceAdded"), facts.count("ImportFinished"), facts.count("AddUndone")) == (6, 1, 5)
        if store.saves < falls:
            return
    raise AssertionError("there were more steps than were tried")


# ------------------------------------------------------------------ cancelled on its way


async def test_cancelled_at_any_step_nothing_is_left(world: World) -> None:
    for steps in range(4):
        upload = await added(world)
        for _ in range(steps):
            await world.core.go_on(upload.id)
        await world.core.cancel_upload(await world.dana(), upload.id)
        assert await seen(world) == 0
        assert (await carried_out(world, upload.id)).state is UploadState.CANCELLED
        assert (await seen(world), await hidden(world)) == (0, 0)
        assert await world.store.get(Batch, upload.batch) is None
        assert not await world.core.unfinished()
        with pytest.raises(UploadOver):
            await world.core.add_upload(await world.dana(), upload.id)
        with pytest.raises(NothingToUndo):
            await world.core.undo(await world.dana())
    assert (await world.facts()).count("ImportCancelled") == 4
    await imports(world, rows(7))
    assert await seen(world) == 7


async def test_cancelled_twice_is_cancelled_and_once_added_it_is_too_late(world: World) -> None:
    upload = await sends(world, rows(2))
    for _ in range(2):
        assert (await world.core.cancel_upload(await world.dana(), upload.id)).state is UploadState.CANCELLED
    done = await imports(world, rows(2))
    with pytest.raises(UploadOver):
        await world.core.cancel_upload(await world.dana(), done.id)
    assert await seen(world) == 2


async def test_cancel_races_the_last_step(world: World) -> None:
    upload = await added(world)
    for _ in range(4):
        await world.core.go_on(upload.id)
    results = await asyncio.gather(
        world.core.go_on(upload.id),
        world.core.cancel_upload(await world.dana(), upload.id),
        return_exceptions=True,
    )
    done = await carried_out(world, upload.id)
    assert await seen(world) == (7 if done.state is UploadState.ADDED else 0)
    assert await hidden(world) == 0
    assert isinstance(results[1], UploadOver) == (done.state is UploadState.ADDED)


# ------------------------------------------------------------------ others are at the same devices


async def between(world: World, do: Callable[[], Awaitable[object]], **choice: object) -> Upload:
    """`do` happens when half of an import of seven rows is prepared; 1 and 7 are on the list already, elsewhere."""
    await world.add((mac(1), "Oslo/8"), (mac(7), "Oslo/9"))
    upload = await added(world, **choice)
    for _ in range(2):
        await world.core.go_on(upload.id)
    await do()
    return await carried_out(world, upload.id)


async def test_one_of_its_devices_is_added_by_hand_meanwhile(world: World) -> None:
    async def adds() -> None:
        with pytest.raises(Duplicate):  # prepared already: it is as good as there
            await world.core.add(await world.dana(), [Wanted(mac(2), "Oslo/5")])
        await world.add((mac(6), "Oslo/5"))

    done = await between(world, adds)
    assert await seen(world) == 7
    assert (await world.device(mac(2))).location == "Oslo/2/2.2"
    assert (await world.device(mac(6))).location == "Oslo/5"
    assert (done.added, done.changed) == (4, 0)
    assert (await undoes(world, done.batch)).undone == 4
    assert await seen(world) == 3


async def test_one_of_its_devices_is_removed_meanwhile_and_comes_back(world: World) -> None:
    async def removes() -> None:
        await world.core.remove(await world.dana(), mac(7))

    done = await between(world, removes)
    assert not (await world.device(mac(7))).removed
    assert (await seen(world), done.added, done.changed) == (7, 5, 1)


async def test_one_of_its_devices_is_moved_meanwhile(world: World) -> None:
    async def moves() -> None:
        await world.core.move(await world.dana(), mac(7), "Bergen/1")

    done = await between(world, moves, update=True)
    assert (await world.device(mac(7))).location == "Oslo/2/2.7"
    await undoes(world, done.batch)
    assert (await world.device(mac(7))).location == "Bergen/1"


async def test_a_code_issued_meanwhile_lives_on(world: World) -> None:
    async def issues() -> None:
        await world.issue(mac(7), SAM)

    await between(world, issues, update=True)
    device = await world.device(mac(7))
    assert (device.location, device.technician) == ("Oslo/2/2.7", SAM)
    assert await world.provisions(mac(7))


async def turns(world: World, *keys: str, elsewhere: bool = False) -> None:
    """Several imports are carried out at the same moment, on one instance or on one each."""

    async def works(key: str) -> None:
        core = again(world.store, world.clock) if elsewhere else world.core
        while await core.go_on(key):
            pass

    tasks = [asyncio.create_task(works(key)) for key in keys]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0.001)
        world.later(seconds=1)
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_two_imports_of_the_same_devices_at_once_add_each_of_them_once(world: World, elsewhere: bool) -> None:
    sheets = [rows(7), list(reversed(rows(9)))]
    uploads = [await sends(world, sheet) for sheet in sheets]
    for upload in uploads:
        await world.core.add_upload(await world.dana(), upload.id)
    await turns(world, *(upload.id for upload in uploads), elsewhere=elsewhere)
    assert (await seen(world), await hidden(world)) == (9, 0)
    done = [await world.core.upload(await world.dana(), upload.id) for upload in uploads]
    assert sum(each.added for each in done) == 9
    for each in done:
        if each.batch:  # the other may have left nothing to this one
            await undoes(world, each.batch)
    assert (await seen(world), await hidden(world)) == (0, 0)


async def test_who_was_decided_on_later_waits_where_they_share_a_device_and_never_the_other_way(world: World) -> None:
    earlier, later = await sends(world, rows(3)), await sends(world, list(reversed(rows(3))))
    for upload in (earlier, later):
        await world.core.add_upload(await world.dana(), upload.id)
        world.later(seconds=1)
    await world.core.go_on(later.id)  # 3 and 2
    await world.core.go_on(earlier.id)  # 1; 2 is there
    waiting = asyncio.create_task(world.core.go_on(later.id))  # 1 is the other's
    while not waiting.done():
        await asyncio.sleep(0.001)
        world.later(seconds=1)
    waited = waiting.result()
    assert waited is not None
    assert waited.written == 1
    assert (await carried_out(world, earlier.id)).added == 3
    assert await seen(world) == 3
    assert (await carried_out(world, later.id)).added == 0
    assert (await seen(world), await hidden(world)) == (3, 0)


@pytest.mark.parametrize("first", [0, 1])
async def test_an_import_that_shared_its_devices_with_a_cancelled_one_is_whole(world: World, first: int) -> None:
    uploads = [await sends(world, rows(5)), await sends(world, list(reversed(rows(5))))]
    for upload in uploads:
        await world.core.add_upload(await world.dana(), upload.id)
        world.later(seconds=1)
    await world.core.go_on(uploads[0].id)
    await world.core.go_on(uploads[1].id)
    await world.core.cancel_upload(await world.dana(), uploads[first].id)
    await turns(world, *(upload.id for upload in uploads))
    done = await world.core.upload(await world.dana(), uploads[1 - first].id)
    assert (done.state, done.added) == (UploadState.ADDED, 5)
    assert (await seen(world), await hidden(world)) == (5, 0)


async def test_an_import_sent_again_while_it_is_undone_is_whole(world: World) -> None:
    former = await imports(world, rows(7))
    await world.core.undo(await world.dana())
    for _ in range(6):
        await world.core.go_on(former.id)
    assert (await seen(world), await hidden(world) > 0) == (0, True)
    fresh = await added(world)
    await turns(world, fresh.id, former.id)
    assert (await seen(world), await hidden(world)) == (7, 0)
    assert (await world.core.upload(await world.dana(), fresh.id)).added == 7


# ------------------------------------------------------------------ undone


async def test_undo_removes_exactly_what_it_added_and_restores_what_it_changed(world: World) -> None:
    await imports(world, [row(n, f"Oslo/{n}", notes="old", tags=("a",), technician="Sam Fox") for n in (1, 2)])
    await world.core.report(await world.sam(), mac(2), "refused")
    await world.add((mac(12), "Oslo/12"))
    before = [await world.device(mac(n)) for n in (1, 2, 12)]
    world.later(seconds=1)
    sheet = [row(n, notes="new", tags=("b",), technician="Kim Lund", code=f"48291{n}") for n in range(1, 7)]
    done = await imports(world, Rows(sheet, (), CODED), update=True)
    assert (done.added, done.changed) == (4, 2)
    assert (await world.device(mac(2))).problem is None  # a new code, a new try
    undone = await undoes(world)
    assert (undone.state, undone.undone, undone.stayed) == (UploadState.UNDONE, 6, 0)
    assert (await seen(world), await hidden(world)) == (3, 0)
    for was in before:
        now = await world.device(was.mac)
        assert replace(now, version=was.version, issued=was.issued) == was
    assert not await world.core.unfinished()


async def test_while_it_is_undone_all_of_it_is_there_or_nothing(world: World) -> None:
    done, sights = await imports(world, rows(7)), []
    await world.core.undo(await world.dana())
    while await world.core.go_on(done.id):
        sights.append(await seen(world))
    assert sights == sorted(sights, reverse=True)
    assert set(sights) == {0, 7}


MOVED: dict[str, Callable[[World], Awaitable[object]]] = {}


def moves_on(code: str) -> Callable[[Callable[[World], Awaitable[object]]], Callable[[World], Awaitable[object]]]:
    def kept(story: Callable[[World], Awaitable[object]]) -> Callable[[World], Awaitable[object]]:
        MOVED[code] = story
        return story

    return kept


@moves_on("stays_provisioned")
async def provisioned(world: World) -> None:
    await world.issue(mac(3), SAM)
    await world.provisions(mac(3))


@moves_on("stays_installed")
async def installed(world: World) -> None:
    await world.core.confirm(await world.sam(), mac(3), mounting_only=True)


@moves_on("stays_problem")
async def problem(world: World) -> None:
    await world.core.report(await world.sam(), mac(3), "network")


@moves_on("stays_code")
async def code(world: World) -> None:
    await world.issue(mac(3), SAM)


@moves_on("stays_removed")
async def removed(world: World) -> None:
    await world.core.remove(await world.dana(), mac(3))


@moves_on("stays_changed")
async def moved(world: World) -> None:
    await world.core.move(await world.dana(), mac(3), "Bergen/1")


@pytest.mark.parametrize("when", ["before", "while it is looked through"])
@pytest.mark.parametrize("reason", MOVED)
async def test_what_has_moved_on_stays_with_its_reason(world: World, reason: str, when: str) -> None:
    done = await imports(world, [row(n, technician="Sam Fox") for n in range(1, 7)])
    if when == "before":
        await MOVED[reason](world)
    stood = await world.device(mac(3))
    undoing = await world.core.undo(await world.dana())
    assert isinstance(undoing, Upload)
    if when != "before":
        for _ in range(3):
            await world.core.go_on(done.id)
        await MOVED[reason](world)
        stood = await world.device(mac(3))
    undone = await carried_out(world, done.id)
    assert (undone.undone, undone.stayed) == (5, 1)
    assert [fault for _, fault in undone.kept] == [RowFault(reason)]
    left = await world.device(mac(3))
    assert replace(left, version=0, batch="") == replace(stood, version=0, batch="")
    assert await hidden(world) == 0


async def test_a_device_that_calls_in_during_an_undo_never_disappears(world: World) -> None:
    """Its page was looked through before it had a code, let alone a token."""
    done = await imports(world, rows(4))
    await world.core.undo(await world.dana())
    while (await world.core.upload(await world.dana(), done.id)).cursor is not None:
        await world.core.go_on(done.id)
    await world.issue(mac(3), SAM)
    await world.calls(mac(3), await world.digits(mac(3)))
    batch = await world.store.get(Batch, done.batch)
    while batch and not batch.undone_at:
        await world.core.go_on(done.id)
        batch = await world.store.get(Batch, done.batch)
    assert (await world.device(mac(3))).provisioned  # at the very moment that the others are gone
    undone = await carried_out(world, done.id)
    assert (undone.undone, undone.stayed) == (3, 1)


async def test_undo_races_a_device_that_provisions(world: World) -> None:
    """Whoever is faster: a device that got its token stays, one that did not is gone; nothing between."""
    done = await imports(world, rows(4))
    await world.issue("oslo", SAM)
    digits = await world.digits(mac(3))
    results = await asyncio.gather(undoes(world), world.calls(mac(3), digits), return_exceptions=True)
    undone = await world.core.upload(await world.dana(), done.id)
    assert undone.state is UploadState.UNDONE
    assert not isinstance(results[1], BaseException)  # it had a code, so it stays in any case
    assert (await world.device(mac(3))).provisioned
    assert await hidden(world) == 0


async def test_what_was_changed_and_has_moved_on_since_is_left_as_it_is(world: World) -> None:
    await world.add((mac(1), "Oslo/9"), (mac(2), "Oslo/9"))
    world.later(seconds=1)
    await imports(world, rows(3), update=True)
    await world.core.move(await world.dana(), mac(1), "Bergen/1")
    undone = await undoes(world)
    assert (undone.undone, undone.stayed) == (2, 1)
    assert [fault for _, fault in undone.kept] == [RowFault("stays_changed")]
    assert [(await world.device(mac(n))).location for n in (1, 2)] == ["Bergen/1", "Oslo/9"]


async def test_undo_works_for_ten_minutes_and_not_longer(world: World) -> None:
    done = await imports(world, rows(3))
    world.later(minutes=10, seconds=1)
    with pytest.raises(TooLateToUndo):
        await world.core.undo(await world.dana(), done.batch)
    with pytest.raises(NothingToUndo):
        await world.core.undo(await world.dana())
    batch = await world.store.get(Batch, done.batch)
    assert batch is not None
    with pytest.raises(TooLateToUndo):
        await world.core.begin_undo(await world.dana(), batch)
    assert await seen(world) == 3


async def test_the_ten_minutes_begin_when_it_appears(world: World) -> None:
    upload = await added(world, 3)
    world.later(minutes=30)
    await carried_out(world, upload.id)
    world.later(minutes=9, seconds=59)
    assert (await undoes(world)).undone == 3


async def test_undone_once_it_is_undone(world: World) -> None:
    await world.add((mac(12), "Oslo/12"))
    world.later(seconds=1)
    done = await imports(world, rows(3))
    twice = await world.actor(DANA, "press-1")
    await world.core.undo(twice)
    with pytest.raises(AlreadyDone):
        await world.core.undo(twice)
    with pytest.raises(UndoneAlready):
        await world.core.undo(await world.dana(), done.batch)
    await carried_out(world, done.id)
    with pytest.raises(AlreadyDone):
        await world.core.undo(twice)
    with pytest.raises(UndoneAlready):
        await world.core.undo(await world.dana(), done.batch)
    with pytest.raises(NothingToUndo):  # and what was added before it is not taken back instead
        await world.core.undo(await world.dana())
    assert await seen(world) == 1


async def test_nobody_else_undoes_it(world: World) -> None:
    await world.core.meet(member(LEE, "Lee Holm"), chat_of(LEE))
    await world.core.grant(await world.dana(), LEE, Role.ADMIN)
    done = await imports(world, rows(3))
    for batch in (done.batch, ""):
        with pytest.raises(NothingToUndo) as refused:
            await world.core.undo(await world.actor(LEE), batch)
        assert refused.type is NothingToUndo
    assert await seen(world) == 3


async def test_channels_count_it_from_its_last_step_on(world: World) -> None:
    await world.add((mac(12), "Oslo/12"))
    await world.core.connect(await world.dana(), channel(), "oslo")
    await world.shows("channel-oslo", channel().id, view="rollout")
    upload = await added(world, 3)
    await world.delivers()
    await world.core.go_on(upload.id)
    assert await world.told(MessageKind.EDIT) == []
    assert (await world.core.followed_in(channel().id)).progress.total == 1
    await carried_out(world, upload.id)
    assert len(await world.told(MessageKind.EDIT)) == 1
    assert (await world.core.followed_in(channel().id)).progress.total == 4


# ------------------------------------------------------------------ codes of the Teams admin centre


def coded(*codes: str) -> Rows:
    return Rows([row(number, code=each) for number, each in enumerate(codes, 1)], (), CODED)


async def test_a_code_ends_a_day_after_the_moment_that_was_stated(world: World) -> None:
    made = world.clock.now() - timedelta(hours=5)
    done = await imports(world, coded(CODE), coded_at=made)
    device = await world.device(mac(1))
    assert device.code is not None
    assert (device.code.issued_at, device.code.expires_at) == (made, made + timedelta(hours=24))
    assert await world.digits(mac(1)) == CODE
    assert "CodeReceived" in await world.facts(mac(1))
    assert done.codes == 1


async def test_without_a_word_it_counts_from_the_upload(world: World) -> None:
    upload = await sends(world, coded(CODE))
    world.later(hours=2)
    await world.core.add_upload(await world.dana(), upload.id)
    await carried_out(world, upload.id)
    device = await world.device(mac(1))
    assert device.code is not None
    assert device.code.expires_at == upload.at + timedelta(hours=24)


async def test_a_code_is_taken_even_where_the_rest_is_kept(world: World) -> None:
    await world.add((mac(1), "Oslo/9"))
    assert (await imports(world, coded(CODE))).changed == 1
    assert (await world.device(mac(1))).location == "Oslo/9"
    assert await world.digits(mac(1)) == CODE


async def test_a_later_upload_replaces_it_and_the_audit_says_so(world: World) -> None:
    await imports(world, coded(CODE))
    assert (await imports(world, coded(LATER_CODE))).changed == 1
    assert await world.digits(mac(1)) == LATER_CODE
    page = await world.store.history(mac(1))
    assert getattr(page.rows[0].event, "voided", None) is True


async def test_the_same_code_again_is_nothing_new_even_after_its_end(world: World) -> None:
    await imports(world, coded(CODE))
    world.later(hours=25)
    await world.core.sweep()
    before = await world.device(mac(1))
    done = await imports(world, coded(CODE))
    assert (done.codes, done.changed) == (0, 0)
    assert await world.device(mac(1)) == before


async def test_the_same_code_in_two_uploads_that_wait_comes_once(world: World) -> None:
    await world.add((mac(1), "Oslo/2/2.1"))
    uploads = [await sends(world, coded(CODE)) for _ in range(2)]
    for upload in uploads:
        await world.core.add_upload(await world.dana(), upload.id)
        await carried_out(world, upload.id)
    changed = [(await world.core.upload(await world.dana(), upload.id)).changed for upload in uploads]
    assert changed == [1, 0]
    assert (await world.facts(mac(1))).count("CodeReceived") == 1


async def test_a_new_code_for_one_that_only_hangs_there_is_work_on_site_again(world: World) -> None:
    await imports(world, Rows([row(1, code=CODE, technician="Sam Fox")], (), CODED))
    await world.core.confirm(await world.sam(), mac(1), mounting_only=True)
    world.later(hours=25)
    await world.core.sweep()
    assert (await imports(world, coded(LATER_CODE))).changed == 1
    device = await world.device(mac(1))
    assert device.open_job
    assert await world.digits(mac(1)) == LATER_CODE
    await undoes(world)
    assert (await world.device(mac(1))).installed is not None


async def test_one_whose_screen_was_seen_takes_a_new_code_but_not_the_same(world: World) -> None:
    await imports(world, Rows([row(1, code=CODE, technician="Sam Fox")], (), CODED))
    await world.core.confirm(await world.sam(), mac(1), screen=True)
    before = await world.device(mac(1))
    assert (await sends(world, coded(CODE))).codes == 0
    assert await world.device(mac(1)) == before
    await imports(world, coded(LATER_CODE))
    later = await world.device(mac(1))
    assert later.live_code(world.clock.now()) and later.installed is None


async def test_a_key_that_left_meanwhile_takes_its_codes_along_and_nothing_else(world: World) -> None:
    upload = await sends(world, coded(CODE))
    world.core.keys = Keyring([Key("k2", b"z" * 32)])
    await world.core.add_upload(await world.dana(), upload.id)
    done = await carried_out(world, upload.id)
    assert (done.state, (await world.device(mac(1))).code) == (UploadState.ADDED, None)


async def test_a_device_that_provisioned_since_the_preview_gets_none(world: World) -> None:
    await world.add((mac(1), "Oslo/9"))
    await world.issue("oslo", KIM)
    upload = await sends(world, coded(CODE, LATER_CODE))
    await world.provisions(mac(1))
    await world.core.add_upload(await world.dana(), upload.id, update=True)
    await carried_out(world, upload.id)
    device = await world.device(mac(1))
    assert device.provisioned
    assert device.location == "Oslo/2/2.1"
    assert device.code is None
    assert await world.digits(mac(2)) == LATER_CODE


async def test_undo_leaves_no_code_that_came_with_it(world: World) -> None:
    await world.add((mac(1), "Oslo/2/2.1"))
    world.later(seconds=1)
    await imports(world, coded(CODE, LATER_CODE))
    undone = await undoes(world)
    assert undone.undone == 2
    device = await world.device(mac(1))
    assert device.code is None
    assert await world.store.get(Device, mac(2)) is None


@pytest.mark.parametrize("end", ["added", "cancelled"])
async def test_no_code_stays_in_an_upload_that_is_over(world: World, end: str) -> None:
    upload = await sends(world, Rows([row(n, code=f"48291{n}") for n in range(1, 8)], (), CODED))
    if end == "cancelled":
        await world.core.cancel_upload(await world.dana(), upload.id)
    else:
        await world.core.add_upload(await world.dana(), upload.id)
    await carried_out(world, upload.id)
    parts = (await world.store.find(UploadPart, upload=upload.id)).rows
    assert parts and not any(each.code for part in parts for each in part.rows)
    assert not await world.core.unfinished()
    live = [(await world.device(mac(n))).code for n in range(1, 8)] if end == "added" else [True]
    assert all(live)
