"""Photos of installs: waited for, kept with the life they were taken in, done without, seen by few."""

import pytest

from provisioning import lifecycle
from provisioning.documents.evidence import Evidence
from provisioning.errors import AlreadyDone, DeviceNotFound, NoAccess
from provisioning.messages import MessageKind
from provisioning.photos import Photo
from provisioning.service.photographing import REMIND, WAIT, NoPhoto, NotInstalled, PhotoNotKept
from tests.provisioning.world import SAM, A, B, World

JPEG = Evidence(b"\xff\xd8\xff" + bytes(100_000 // 2), 1024, 768)


@pytest.fixture
async def saved(world: World) -> World:
    """Sam confirmed 2.14 and wants to send a photo."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.issue("oslo", SAM)
    await world.provisions(A)
    await world.delivers()
    await world.core.confirm(await world.sam(), A, checked=True, photo=True)
    return world


async def kept(world: World, life: int = 1) -> Photo | None:
    return await world.store.get(Photo, f"{A}:{life}")


async def test_the_next_device_waits_for_the_photo(saved: World) -> None:
    assert await saved.told(MessageKind.NEXT_DEVICE) == []
    awaited = await saved.core.photo_awaited(await saved.sam())
    assert awaited and awaited.mac == A
    device = await saved.core.keep_photo(await saved.sam(), A, JPEG)
    assert device.installed and device.installed.photo == f"{A}:1"
    assert await saved.told(MessageKind.NEXT_DEVICE, SAM)
    photo = await kept(saved)
    assert photo and photo.content == JPEG.content and (photo.by, photo.life) == (SAM, 1)
    assert (await saved.core.photo_awaited(await saved.sam())) is None


async def test_a_reminder_waits_on_a_lane_of_its_own(saved: World) -> None:
    first, last = await saved.told(MessageKind.PHOTO_MISSING)
    now = saved.clock.now()
    assert (first.due_at - now, last.due_at - now) == (REMIND, WAIT)
    assert SAM not in {first.lane, last.lane} and first.lane != last.lane
    assert [m.kind for m in await saved.delivers()].count(MessageKind.PHOTO_MISSING) == 0


async def test_a_reminder_is_drawn_for_the_wait_it_belongs_to(saved: World) -> None:
    (first, _last) = await saved.told(MessageKind.PHOTO_MISSING)
    until = dict(first.params)["until"]
    assert await saved.core.photo_missing(await saved.sam(), A, until)
    assert await saved.core.photo_missing(await saved.sam(), B, until) is None
    assert await saved.core.photo_missing(await saved.sam(), A, "another wait") is None
    await saved.core.skip_photo(await saved.sam())
    assert await saved.core.photo_missing(await saved.sam(), A, until) is None


async def test_without_a_photo_the_next_device_comes_at_once(saved: World) -> None:
    await saved.provisions(B)
    await saved.delivers()
    await saved.core.confirm(await saved.sam(), B, checked=True)
    assert await saved.told(MessageKind.NEXT_DEVICE, SAM)
    assert await saved.core.photo_awaited(await saved.sam()) is None  # of the one before neither: they moved on


async def test_the_same_picture_is_kept_once(saved: World) -> None:
    await saved.core.keep_photo(await saved.actor(SAM, "one"), A, JPEG)
    with pytest.raises(AlreadyDone):
        await saved.core.keep_photo(await saved.actor(SAM, "one"), A, JPEG)
    assert len(await saved.told(MessageKind.NEXT_DEVICE, SAM)) == 1


async def test_a_photo_that_comes_after_they_moved_on_is_kept_and_brings_no_further_device(saved: World) -> None:
    await saved.core.forget_photo(await saved.sam())
    await saved.provisions(B)
    await saved.core.confirm(await saved.sam(), B, checked=True, photo=True)
    await saved.core.keep_photo(await saved.sam(), A, JPEG)
    assert (await kept(saved)) and (await saved.device(A)).installed.photo  # type: ignore[union-attr]
    assert not await saved.told(MessageKind.NEXT_DEVICE, SAM)
    waiting = await saved.core.photo_awaited(await saved.sam())
    assert waiting and waiting.mac == B


async def test_a_newer_photo_takes_the_place_of_the_former(saved: World) -> None:
    await saved.core.keep_photo(await saved.sam(), A, JPEG)
    await saved.core.await_photo(await saved.sam(), A)
    await saved.core.keep_photo(await saved.sam(), A, Evidence(b"\xff\xd8\xffnew", 10, 10))
    photo = await kept(saved)
    assert photo and photo.content == b"\xff\xd8\xffnew"


async def test_a_photo_of_a_former_life_is_kept_with_it_and_not_shown_as_this_ones(saved: World) -> None:
    await saved.core.keep_photo(await saved.sam(), A, JPEG)
    device = await saved.device(A)
    await saved.store.save(lifecycle.reset(device, saved.clock.now()))
    with pytest.raises(NoPhoto):
        await saved.core.show_photo(await saved.dana(), A)
    assert await kept(saved) is not None


async def test_reset_meanwhile_it_is_refused(saved: World) -> None:
    await saved.store.save(lifecycle.reset(await saved.device(A), saved.clock.now()))
    with pytest.raises(PhotoNotKept):
        await saved.core.keep_photo(await saved.sam(), A, JPEG)
    assert await kept(saved) is None


async def test_a_photo_belongs_to_an_install(saved: World) -> None:
    with pytest.raises(NotInstalled):
        await saved.core.await_photo(await saved.sam(), B)


async def test_whoever_may_see_the_device_may_see_its_photo_and_is_named(saved: World) -> None:
    await saved.core.keep_photo(await saved.sam(), A, JPEG)
    for actor in (await saved.dana(), await saved.sam()):
        assert (await saved.core.show_photo(actor, A)).photo.content == JPEG.content
    assert [fact for fact in await saved.facts(A) if fact == "PhotoShown"] == ["PhotoShown"] * 2
    with pytest.raises(DeviceNotFound):
        await saved.core.show_photo(await saved.kim(), A)
    with pytest.raises(NoAccess):
        await saved.core.show_photo(await saved.actor("nobody"), A)
    assert (await saved.core.facts(await saved.dana(), A)).photo is not None


async def test_of_the_macs_on_a_label_only_ones_own_are_known(saved: World) -> None:
    named = (A, "805EC0FFFFFF", B)
    assert [d.mac for d in await saved.core.labelled(await saved.dana(), named)] == [A, B]
    assert [d.mac for d in await saved.core.labelled(await saved.sam(), named)] == [A, B]
    assert await saved.core.labelled(await saved.kim(), named) == []
