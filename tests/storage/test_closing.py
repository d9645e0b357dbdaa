"""The end of a store while others still read it."""

import asyncio
from datetime import UTC, datetime

import pytest

from provisioning.errors import Unavailable
from provisioning.model import Change, Device
from storage import open_store
from tests.fakes import FakeClock

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
DEVICES = tuple(Device(mac=f"80{i:010X}", location="Oslo/1/2", added_at=NOW, added_by="dana") for i in range(200))


async def test_whoever_reads_while_the_store_is_closed_is_told_so_and_the_process_lives(tmp_path):
    for round_ in range(10):
        store = await open_store(f"tinydb:{tmp_path / str(round_)}", clock=FakeClock())
        await store.save(Change(puts=DEVICES))
        reading = asyncio.Event()

        async def read_on(store=store, reading=reading):
            while True:
                await store.get(Device, DEVICES[0].mac)
                await store.find(Device, site="oslo", limit=50)
                reading.set()
                await asyncio.sleep(0)

        readers = [asyncio.create_task(read_on()) for _ in range(4)]
        await reading.wait()
        await store.close()
        for ended in await asyncio.gather(*readers, return_exceptions=True):
            assert isinstance(ended, Unavailable)
        with pytest.raises(Unavailable):
            await store.get(Device, DEVICES[0].mac)
