"""What was made before a rotation holds after it while its key is there; and what becomes of it without."""

from dataclasses import replace

import pytest

from provisioning.batches import Batch
from provisioning.codes import Key, Keyring
from provisioning.errors import CodeRefused
from provisioning.model import Change, Device
from provisioning.service.offline import NotOurSheet
from tests.provisioning.world import SAM, A, B, World

OLD, NEW = Key("k1", b"k" * 32), Key("k2", b"z" * 32)


@pytest.fixture
async def site(world: World) -> World:
    world.core.keys = Keyring([OLD])  # each test changes its own
    await world.add((A, "Oslo/1"), (B, "Oslo/2"))
    await world.issue("all", SAM)
    return world


async def test_an_answer_that_was_lost_is_given_again_after_a_rotation(site: World) -> None:
    code = await site.digits(A)
    first = await site.calls(A, code, retry_key="key-1")
    site.core.keys.take([NEW, OLD])
    again = await site.calls(A, code, retry_key="key-1")
    assert again.token != first.token
    site.core.keys.take([NEW])
    with pytest.raises(CodeRefused):
        await site.calls(A, code, retry_key="key-1")


async def test_an_answer_of_an_older_version_is_given_again(site: World) -> None:
    """It noted the bare hash, under the oldest key."""
    code = await site.digits(A)
    await site.calls(A, code, retry_key="key-1")
    device = await site.device(A)
    assert device.retry_key.startswith("k1:")
    await site.store.save(Change(puts=(replace(device, retry_key=device.retry_key.removeprefix("k1:")),)))
    site.core.keys.take([NEW, OLD])
    assert await site.calls(A, code, retry_key="key-1")
    with pytest.raises(CodeRefused):
        await site.calls(A, code, retry_key="key-2")


async def test_a_sheet_stays_genuine_while_its_key_is_there(site: World) -> None:
    pack = await site.core.make_pack(await site.sam())
    site.core.keys.take([NEW, OLD])
    later = await site.core.make_pack(await site.sam())
    for each in (pack, later):
        assert (await site.core.check_sheet(await site.sam(), each.seal)).devices == 2
    site.core.keys.take([NEW])
    assert (await site.core.check_sheet(await site.sam(), later.seal)).devices == 2
    with pytest.raises(NotOurSheet):
        await site.core.check_sheet(await site.sam(), pack.seal)


async def test_a_sheet_of_an_older_version_is_genuine(site: World) -> None:
    """It named no key, and was signed with the oldest."""
    pack = await site.core.make_pack(await site.sam())
    sheet = await site.store.get(Batch, pack.number)
    assert sheet is not None and sheet.key_id == "k1"
    await site.store.save(Change(puts=(replace(sheet, key_id=""),)))
    site.core.keys.take([NEW, OLD])
    assert (await site.core.check_sheet(await site.sam(), pack.seal)).devices == 2


async def test_codes_of_the_former_key_live_on_and_the_next_ones_are_of_the_new_one(site: World) -> None:
    code = await site.digits(A)
    site.core.keys.take([NEW, OLD])
    await site.issue(B, SAM, void=True)
    assert [device.code and device.code.key_id for device in await devices(site)] == ["k1", "k2"]
    assert (await site.core.show_code(await site.dana(), A)).digits == code
    assert await site.calls(A, code) and await site.provisions(B)


async def devices(site: World) -> list[Device]:
    return [await site.device(mac) for mac in (A, B)]


async def test_a_leaked_key_is_replaced_and_reissue_all_ends_its_codes(site: World) -> None:
    code = await site.digits(A)
    site.core.keys.take([NEW, OLD])
    await site.issue("all", SAM, void=True)
    assert {device.code and device.code.key_id for device in await devices(site)} == {"k2"}
    with pytest.raises(CodeRefused):
        await site.calls(A, code)
    site.core.keys.take([NEW])
    assert await site.core.codes_without_key() == {}
    assert await site.provisions(A)
