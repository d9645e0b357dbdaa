"""What others give out, kept: how often they are asked, who waits for it, and what serves while they are away."""

import asyncio
import traceback

import pytest

from bot.kept import ASK_EVERY, PATIENCE, PUBLISHED, Kept, Life

DAY = 24 * 3600.0


class AwayError(Exception):
    pass


class Publisher:
    """Gives out a number that goes up with each request; `away` fails, `slow` waits until it is let go."""

    def __init__(self) -> None:
        self.clock = 1_000_000.0
        self.asked = 0
        self.away = False
        self.free = asyncio.Event()
        self.free.set()

    def now(self) -> float:
        return self.clock

    async def fetch(self) -> int:
        self.asked += 1
        await self.free.wait()
        if self.away:
            raise AwayError
        return self.asked


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def kept(publisher: Publisher) -> Kept[int]:
    return Kept("a number", publisher.fetch, publisher.now, AwayError, patience=0.02)


async def test_it_is_fetched_when_first_needed_and_then_once_a_day(publisher: Publisher, kept: Kept[int]) -> None:
    assert publisher.asked == 0
    assert [await kept.get() for _ in range(5)] == [1] * 5
    publisher.clock += DAY - 1
    assert await kept.get() == 1
    publisher.clock += 1
    assert await kept.get() == 2


async def test_many_at_once_share_one_request(publisher: Publisher, kept: Kept[int]) -> None:
    publisher.free.clear()
    waiting = [asyncio.create_task(kept.get()) for _ in range(50)]
    await asyncio.sleep(0)
    publisher.free.set()
    assert await asyncio.gather(*waiting) == [1] * 50
    assert publisher.asked == 1


async def test_a_failure_is_shared_but_not_kept(publisher: Publisher, kept: Kept[int]) -> None:
    publisher.away = True
    faults = await asyncio.gather(*(kept.get() for _ in range(50)), return_exceptions=True)
    assert {type(fault) for fault in faults} == {AwayError}
    assert publisher.asked == 1
    publisher.away = False
    assert await kept.get() == 2


async def test_where_strangers_ask_a_failure_is_kept_for_a_moment(publisher: Publisher) -> None:
    kept = Kept("a number", publisher.fetch, publisher.now, AwayError, again=1.0)
    publisher.away = True
    for _ in range(100):
        with pytest.raises(AwayError):
            await kept.get()
        publisher.clock += 0.05
    assert publisher.asked == 5
    publisher.away = False
    publisher.clock += 1
    assert await kept.get() == 6
    kept.forget()
    assert await kept.get() == 7, "the failure of before is over"


async def test_whoever_gives_up_takes_it_from_nobody_else(publisher: Publisher, kept: Kept[int]) -> None:
    publisher.free.clear()
    first, second = asyncio.create_task(kept.get()), asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    first.cancel()
    publisher.free.set()
    assert await second == 1
    assert first.cancelled()


async def test_news_are_asked_for_once_a_minute(publisher: Publisher, kept: Kept[int]) -> None:
    await kept.get()
    assert [await kept.renew() for _ in range(20)] == [False] * 20
    assert (publisher.asked, kept.renewable_in) == (1, ASK_EVERY)
    publisher.clock += ASK_EVERY
    assert (kept.renewable_in, await kept.renew(), await kept.get()) == (0, True, 2)


async def test_stale_is_served_for_five_days_of_an_outage_and_no_longer(publisher: Publisher, kept: Kept[int]) -> None:
    await kept.get()
    publisher.away = True
    publisher.clock += PUBLISHED.usable - 1
    assert await kept.get() == 1
    publisher.clock += 1
    with pytest.raises(AwayError):
        await kept.get()
    publisher.away = False
    assert await kept.get() == publisher.asked


async def test_an_outage_is_asked_about_once_a_minute_while_stale_serves(publisher: Publisher, kept: Kept[int]) -> None:
    await kept.get()
    publisher.away = True
    publisher.clock += DAY
    for _ in range(600):  # ten minutes, once a second
        assert await kept.get() == 1
        publisher.clock += 1
    assert publisher.asked == 1 + 10


async def test_nobody_waits_long_who_can_be_served(publisher: Publisher, kept: Kept[int]) -> None:
    """The publisher hangs; the news count as soon as they come."""
    await kept.get()
    publisher.clock += DAY
    publisher.free.clear()
    async with asyncio.timeout(1):
        assert await asyncio.gather(*(kept.get() for _ in range(20))) == [1] * 20
    publisher.free.set()
    assert await kept.renew()
    assert (await kept.get(), publisher.asked) == (2, 2)
    assert PATIENCE <= 1


async def test_a_clock_set_back_takes_nothing_away_and_blocks_no_news(publisher: Publisher, kept: Kept[int]) -> None:
    await kept.get()
    publisher.clock -= 30 * DAY
    publisher.away = True
    assert await kept.get() == 1
    publisher.away = False
    publisher.clock += ASK_EVERY
    assert await kept.get() == publisher.asked > 1


async def test_what_is_forgotten_is_fetched_at_once(publisher: Publisher, kept: Kept[int]) -> None:
    assert (kept.held, await kept.get(), kept.held) == (None, 1, 1)
    kept.forget()
    assert (kept.held, await kept.get()) == (None, 2)


async def test_how_long_it_counts_may_stand_in_it(publisher: Publisher) -> None:
    kept = Kept("a number", publisher.fetch, publisher.now, AwayError, life=lambda number: Life(100.0 * number, 1000.0))
    assert await kept.get() == 1
    publisher.clock += 100
    assert await kept.get() == 2
    publisher.clock += 199
    assert await kept.get() == 2


async def test_it_ends_with_its_session(publisher: Publisher, kept: Kept[int]) -> None:
    publisher.free.clear()
    waiting = asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    publisher.away = True
    publisher.free.set()
    await kept.close()
    with pytest.raises(AwayError):
        await waiting


async def test_a_failure_that_is_told_to_a_crowd_holds_none_of_it(publisher: Publisher) -> None:
    """What is raised again and again collects the frames of everybody who met it, with all that they hold."""
    kept = Kept("a number", publisher.fetch, publisher.now, AwayError, again=1.0)
    publisher.away = True
    for _ in range(100):
        with pytest.raises(AwayError) as failure:
            await kept.get()
    assert publisher.asked == 1
    assert len(traceback.extract_tb(failure.value.__traceback__)) < 10
