"""Each story is told twice: over memory, and over the real files."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provisioning.ports import Store
from provisioning.service import Provisioning
from storage import open_store
from tests.fakes import FakeClock, MemoryStore
from tests.provisioning.world import KEYS, POLICY, World


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "files"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    kept: Store = MemoryStore() if request.param == "memory" else await open_store(f"tinydb:{tmp_path}", clock=clock)
    yield kept
    await kept.close()


@pytest.fixture
async def world(store: Store, clock: FakeClock) -> World:
    """Dana is admin; Sam and Kim are technicians; no device is listed yet and nobody has anything to read."""
    world = await World(store, clock, Provisioning(store, clock, KEYS, POLICY)).people()
    await world.delivers()
    return world
