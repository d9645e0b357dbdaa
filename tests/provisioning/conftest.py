"""Each story is told over memory, over the real files, and over PostgreSQL where a server answers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provisioning.ports import Store
from provisioning.service import Provisioning
from storage import open_store
from storage.memory_store import MemoryStore
from tests.audited import audited
from tests.fakes import FakeClock
from tests.provisioning.world import KEYS, POLICY, World
from tests.storage import postgres


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "files", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    kept: Store = audited(MemoryStore())
    if request.param != "memory":
        url = f"tinydb:{tmp_path}" if request.param == "files" else postgres.emptied()
        kept = await open_store(url, clock=clock)
    yield kept
    await kept.close()


@pytest.fixture
async def world(store: Store, clock: FakeClock) -> World:
    """Dana is admin; Sam and Kim are technicians; no device is listed yet and nobody has anything to read."""
    world = await World(store, clock, Provisioning(store, clock, KEYS, POLICY)).people()
    await world.delivers()
    return world
