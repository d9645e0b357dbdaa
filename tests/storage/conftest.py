"""The stores that the contract is held against."""

import pytest

from storage import open_store
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock
from tests.storage import postgres


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
async def file_store(folder):
    store = await open_store(f"tinydb:{folder}", clock=FakeClock())
    yield store
    await store.close()


@pytest.fixture
def database():
    """The address of an empty PostgreSQL schema; skipped, with the reason, where no server answers."""
    with postgres.schema() as url:
        yield url


@pytest.fixture
async def postgres_store():
    store = await open_store(postgres.emptied(), clock=FakeClock())
    yield store
    await store.close()


@pytest.fixture(params=["memory", "file", "postgres"])
async def store(request, folder):
    if request.param == "memory":
        opened = MemoryStore()
    elif request.param == "file":
        opened = await open_store(f"tinydb:{folder}", clock=FakeClock())
    else:
        opened = await open_store(postgres.emptied(), clock=FakeClock())
    yield opened
    await opened.close()
