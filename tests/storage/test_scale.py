"""`make scale`, small: that it asks all there is to ask, not how long it takes."""

import pytest

from provisioning.model import Change
from storage import open_store
from tests.fakes import FakeClock
from tests.scale.__main__ import run
from tests.scale.state import Size
from tests.storage.samples import device

ASKED = ("walk through all", "text search: rare", "tally of all", "claim 32", "the sweep", "verifying everything")


@pytest.mark.parametrize("where", ["file", "postgres"])
async def test_the_script_asks_everything(request, folder, where):
    url = f"tinydb:{folder}" if where == "file" else request.getfixturevalue("database")
    names = [line.name for line in await run(url, Size(2_000, 5_000), most=2)]
    assert [asked for asked in ASKED if not any(name.startswith(asked) for name in names)] == []


async def test_a_store_that_holds_something_is_left_alone(folder):
    url = f"tinydb:{folder}"
    store = await open_store(url, clock=FakeClock())
    await store.save(Change(puts=(device(1),)))
    await store.close()
    with pytest.raises(SystemExit, match="not empty"):
        await run(url, Size(200, 10))
