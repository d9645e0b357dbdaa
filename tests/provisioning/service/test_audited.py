"""Every story of this folder is told over a store that refuses silent changes (in memory); here that it does."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from provisioning.events import DeviceTagged
from provisioning.model import Change
from storage.memory_store import MemoryStore
from tests.audited import Silent, audited
from tests.fakes import FakeClock
from tests.provisioning.world import KEYS, POLICY, SAM, A, Provisioning, World


@pytest.fixture
async def heard() -> World:
    clock = FakeClock()
    world = await World(store := audited(MemoryStore()), clock, Provisioning(store, clock, KEYS, POLICY)).people()
    await world.add((A, "Oslo/2/2.14"))
    return world


@pytest.mark.parametrize(
    "fields",
    [{"notes": "x"}, {"location": "x"}, {"technician": SAM}, {"issued": 9}, {"token": "x"}, {"tags": ("x",)}],
    ids="-".join,
)
async def test_a_device_is_not_changed_in_silence(heard: World, fields: dict[str, object]) -> None:
    device = await heard.device(A)

    async def decide() -> tuple[Change, None]:
        return Change(puts=(replace(device, **fields),)), None  # type: ignore[arg-type]

    with pytest.raises(Silent):
        await heard.core.unit(await heard.dana(), decide)
    assert await heard.device(A) == device


async def test_nor_a_role_and_a_fact_about_something_else_does_not_count(heard: World) -> None:
    sam, device = await heard.person(SAM), await heard.device(A)
    other = DeviceTagged(at=heard.clock.now(), actor=SAM, subject="805EC0FFFFFF", tag="x")

    async def decide() -> tuple[Change, None]:
        return Change(puts=(replace(sam, roles=frozenset()),)), None

    async def about_another() -> tuple[Change, None]:
        return Change(puts=(replace(device, notes="x"),), events=(other,)), None

    with pytest.raises(Silent):
        await heard.core.unit(await heard.dana(), decide)
    with pytest.raises(Silent):
        await heard.core.unit(await heard.dana(), about_another)


async def test_of_a_code_only_what_is_known_already_may_go_in_silence(heard: World) -> None:
    await heard.issue("2.14")
    device = await heard.device(A)
    assert device.code
    for code, silent in (
        (replace(device.code, told_at=heard.clock.now()), True),
        (replace(device.code, expires_at=device.code.expires_at + timedelta(hours=1)), False),
        (replace(device.code, sealed=None), False),
    ):
        with nullcontext() if silent else pytest.raises(Silent):
            await heard.core.quietly(partial(_put, heard, code))


async def _put(world: World, code: object) -> tuple[Change, None]:
    return Change(puts=(replace(await world.device(A), code=code),)), None  # type: ignore[arg-type]
