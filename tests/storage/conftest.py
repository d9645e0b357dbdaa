"""The stores that the contract is held against."""

import pytest

from storage import open_store
from tests.fakes import FakeClock, MemoryStore


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
async def file_store(folder):
    store = await open_store(f"tinydb:{folder}", clock=FakeClock())
    yield store
    await store.close()


@pytest.fixture(params=["memory", "file"])
async def store(request, folder):
    opened = MemoryStore() if request.param == "memory" else await open_store(f"tinydb:{folder}", clock=FakeClock())
    yield opened
    await opened.close()
