"""Codes of the Teams admin centre beside ours: in sweeps, in a restore, at our device API, in a long issue."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from provisioning import lifecycle
from provisioning.errors import CodeRefused
from provisioning.messages import MessageKind
from provisioning.model import Change, Device
from provisioning.service.installing import NotCalledIn, ScreenNotSeen
from provisioning.service.issuing import IssueOrder
from provisioning.service.restoring import Restoring
from tests.provisioning.world import KEYS, KIM, POLICY, SAM, A, B, World

DIGITS = "482913760254"  # of our length, its check digit right


@pytest.fixture
async def site(world: World) -> World:
    """Two devices of Sam's in Oslo; 2.14 with a code of the Teams admin centre, made an hour ago."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    oslo = await world.core.target(await world.dana(), "oslo")
    await world.core.assign(await world.dana(), oslo, await world.person(SAM))
    await world.delivers()
    await brings(world, A, DIGITS)
    return world


async def brings(world: World, mac: str, digits: str) -> None:
    dana, device, now = await world.dana(), await world.device(mac), world.clock.now()
    code = KEYS.receive(mac, digits, device.issued + 1, now - timedelta(hours=1), timedelta(hours=24), dana.id)

    async def decide() -> tuple[Change, None]:
        return lifecycle.receive_code(device, code, dana, now), None

    await world.core.unit(dana, decide)


async def test_its_technician_is_told_of_it(site: World) -> None:
    assert [(m.kind, m.recipient) for m in await site.told()] == [(MessageKind.NEW_JOBS, SAM)]


async def test_the_sweep_erases_it_at_its_end_and_never_forgets_that_it_came(site: World) -> None:
    site.later(hours=22, minutes=59)
    assert await site.core.sweep() == 0
    site.later(minutes=2)
    assert await site.core.sweep() == 1
    assert (await site.facts(A))[-1] == "CodeEnded"
    site.later(days=8)
    await site.core.sweep()
    device = await site.device(A)
    assert device.code and device.code.sealed is None and device.code.digest is None
    assert lifecycle.companion(device)
    assert KEYS.received(A, device.code, DIGITS)


async def test_a_restore_erases_it_and_it_may_be_brought_again(site: World) -> None:
    restoring = Restoring(site.store, site.clock, KEYS, POLICY)
    assert await restoring.void_codes() == 1
    device = await site.device(A)
    assert device.live_code(site.clock.now()) is None and lifecycle.companion(device)
    assert not KEYS.received(A, device.code, DIGITS)
    assert await restoring.void_codes() == 0


async def test_two_hundred_wrong_codes_here_end_nothing_there(site: World) -> None:
    for n in range(200):
        with pytest.raises(CodeRefused):
            await site.calls(A, DIGITS, source=f"10.{n}.0.1")
    device = await site.device(A)
    assert device.live_code(site.clock.now())
    assert device.code and device.code.failures == 0
    assert "CodeLocked" not in await site.facts(A)


async def test_a_word_that_was_not_said_is_not_assumed(site: World) -> None:
    with pytest.raises(ScreenNotSeen, match="Not ticked"):
        await site.core.confirm(await site.sam(), A)
    with pytest.raises(NotCalledIn):
        await site.core.confirm(await site.sam(), B, screen=True)
    saved = await site.core.confirm(await site.sam(), A, screen=True)
    assert saved.word.screen and not saved.word.mounting_only
    assert saved.device == await site.device(A)


async def test_of_our_own_devices_the_screen_is_not_the_technicians_to_say(site: World) -> None:
    await site.issue("2.16", SAM)
    await site.provisions(B)
    saved = await site.core.confirm(await site.sam(), B, screen=True)
    assert not saved.word.screen


async def test_a_long_issue_says_how_far_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.service.handover.CHUNK", 3)
    await world.add(*((f"805EC01100{n:02X}", f"Oslo/1/{n}") for n in range(8)))
    heard: list[tuple[int, int, int]] = []

    async def beside(left: int, of: int, counts: Mapping[str, int]) -> Change:
        heard.append((left, of, counts["issued"]))
        return Change()

    order = IssueOrder(await world.core.target(await world.dana(), "oslo"), technicians=(SAM, KIM))
    done = await world.core.issue(await world.dana(), order, beside)
    assert heard == [(5, 8, 3), (2, 8, 3), (0, 8, 2)]
    assert [len(batch.macs) for batch in done.batches] == [4, 4]
    assert [batch.technician for batch in done.batches] == [SAM, KIM]
    assert {m.recipient for m in await world.told(MessageKind.NEW_JOBS)} == {SAM, KIM}
    assert await _held(world, SAM) == await _held(world, KIM) == 4


async def _held(world: World, person: str) -> int:
    return await world.store.count(Device, technician=person)
