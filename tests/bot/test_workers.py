"""The loops beside the doors: they go on through trouble, and the operator hears of it once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from bot import workers
from bot.operations import StoreState
from provisioning.bookkeeping import Lease
from provisioning.errors import Conflict, Unavailable
from provisioning.service import Provisioning
from provisioning.service.housekeeping import SWEEP
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock
from tests.provisioning.world import KEYS, POLICY


class Rotting(MemoryStore):
    """A store whose reading through ends as told, and which counts how often it was."""

    def __init__(self) -> None:
        super().__init__()
        self.verified = 0
        self.faults: list[Exception] = []
        self.writing: Exception | None = None
        self.checking: Exception | None = None

    async def check(self) -> None:
        if self.checking:
            raise self.checking

    async def verify(self) -> None:
        self.verified += 1
        if self.faults:
            raise self.faults.pop(0)

    async def save(self, change: object) -> None:
        if self.writing:
            raise self.writing
        await super().save(change)  # type: ignore[arg-type]


@pytest.fixture
def store() -> Rotting:
    return Rotting()


@pytest.fixture
def core(store: Rotting) -> Provisioning:
    return Provisioning(store, FakeClock(), KEYS, POLICY)


async def passes(core: Provisioning, **span: float) -> None:
    assert isinstance(core.clock, FakeClock)
    core.clock.advance(timedelta(**span))
    for _ in range(50):
        await asyncio.sleep(0)


async def during(work: Awaitable[None], story: Callable[[], Awaitable[None]]) -> list[tuple[str, str]]:
    """What is logged, as level and reason, while the worker runs beside the story."""
    with capture_logs() as logs:
        task = asyncio.ensure_future(work)
        for _ in range(50):
            await asyncio.sleep(0)
        await story()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return [(entry["log_level"], entry.get("reason", entry["event"])) for entry in logs]


async def test_the_store_is_read_through_soon_after_the_start_and_then_daily(
    core: Provisioning, store: Rotting
) -> None:
    state = StoreState()

    async def story() -> None:
        assert (store.verified, state.verified_at) == (0, None)  # not before the first answers
        await passes(core, seconds=workers.VERIFY_AFTER)
        assert (store.verified, state.verified_at) == (1, core.now())
        await passes(core, hours=23)
        assert store.verified == 1
        for days in range(2, 5):
            await passes(core, hours=24)
            assert (store.verified, state.verified_at) == (days, core.now())

    assert await during(workers.verify(core, state), story) == []


async def test_a_fault_is_told_once_and_looked_for_again(core: Provisioning, store: Rotting) -> None:
    state = StoreState()
    store.faults = [Unavailable("row 7 is damaged"), Unavailable("row 7 is damaged")]

    async def story() -> None:
        await passes(core, seconds=workers.VERIFY_AFTER)
        assert (state.verified_at, state.reason) == (None, "row 7 is damaged")
        await passes(core, seconds=workers.VERIFY_AGAIN)
        await passes(core, seconds=workers.VERIFY_AGAIN)
        assert (store.verified, state.verified_at) == (3, core.now())

    assert await during(workers.verify(core, state), story) == [("error", "row 7 is damaged")]


async def test_one_instance_verifies_on_the_days_that_follow(core: Provisioning, store: Rotting) -> None:
    other, state = Provisioning(store, core.clock, KEYS, POLICY), StoreState()

    async def story() -> None:
        await passes(core, seconds=workers.VERIFY_AFTER)
        await passes(core, hours=23)
        assert await other.verify_in_turn()
        assert store.verified == 2
        await passes(core, hours=1)
        assert store.verified == 2

    await during(workers.verify(core, state), story)


async def test_the_sweep_goes_on_through_trouble_that_is_told_once(core: Provisioning, store: Rotting) -> None:
    state = StoreState()

    async def story() -> None:
        store.writing = Unavailable("the disk is full")
        for _ in range(5):
            await passes(core, seconds=workers.SWEEP_SECONDS)
        store.writing = None
        for _ in range(2):
            await passes(core, seconds=workers.SWEEP_SECONDS)

    told = await during(workers.sweep(core, state), story)
    assert told == [("error", "the disk is full"), ("info", "the store can be used again")]


async def test_a_sweep_that_finds_room_where_nothing_else_does_ends_no_trouble(
    core: Provisioning, store: Rotting
) -> None:
    state = StoreState()

    async def story() -> None:
        store.writing = store.checking = Unavailable("the disk is full")
        await passes(core, seconds=workers.SWEEP_SECONDS)
        store.writing = None
        for _ in range(3):
            await passes(core, seconds=workers.SWEEP_SECONDS)
        assert state.reason == "the disk is full"
        store.checking = None
        await passes(core, seconds=workers.SWEEP_SECONDS)

    told = await during(workers.sweep(core, state), story)
    assert told == [("error", "the disk is full"), ("info", "the store can be used again")]


async def test_a_sweep_that_others_were_faster_than_gives_way(core: Provisioning, store: Rotting) -> None:
    async def sweep() -> int:
        raise Conflict

    core.sweep = sweep  # type: ignore[method-assign]

    async def story() -> None:
        await passes(core, seconds=workers.SWEEP_SECONDS)

    told = await during(workers.sweep(core, StoreState()), story)
    assert [level for level, _ in told] == ["warning", "warning"]


async def test_whoever_stops_lets_others_sweep_at_once(core: Provisioning, store: Rotting) -> None:
    async def story() -> None:
        lease = await store.get(Lease, SWEEP)
        assert lease and lease.until > core.now()

    assert await during(workers.sweep(core, StoreState()), story) == []
    lease = await store.get(Lease, SWEEP)
    assert lease and lease.until == core.now()
