"""The clock that tests hold."""

import asyncio
from datetime import timedelta

from tests.fakes import FakeClock


async def test_time_stands_still_until_it_is_moved():
    clock = FakeClock()
    start, woken = clock.now(), []

    async def sleeper(seconds):
        await clock.sleep(seconds)
        woken.append(seconds)

    sleeping = [asyncio.create_task(sleeper(seconds)) for seconds in (20, 10, 0)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert woken == [0]
    clock.advance(timedelta(seconds=10))
    await asyncio.gather(*sleeping[1:])
    assert woken == [0, 10]
    sleeping[0].cancel()
    clock.advance(timedelta(hours=1))
    assert clock.now() == start + timedelta(hours=1, seconds=10)
