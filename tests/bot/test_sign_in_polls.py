"""The provider is asked for each sign-in on its own time, by one instance at a time, and no answer is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from bot.sign_in_polls import AFTER_FAULT, LEASE, LOOK_EVERY, NAME, SignInPolls
from provisioning.bookkeeping import Lease
from provisioning.errors import Unavailable
from provisioning.model import Change, State
from provisioning.provider_errors import AuthorizationDeclined, PollSlower, ProviderAway, ProviderError
from provisioning.service import Provisioning
from provisioning.service.signing import TAKEN_OVER
from provisioning.signin import Account, DeviceGrant, Stage
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock, FakeProvider
from tests.provisioning.remote import ACCOUNT, called_in
from tests.provisioning.world import DANA, KEYS, POLICY, A, B, World

START = FakeClock().now()


class Flaky(MemoryStore):
    """A store that cannot be written while the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False

    async def save(self, change: Change) -> None:
        if self.away:
            raise Unavailable("the disk is full")
        await super().save(change)


class TimedProvider(FakeProvider):
    """Notes when it was asked, in seconds since the start; where it `hangs`, nobody gets an answer."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock, self.hangs = clock, False
        self.asked: list[float] = []

    async def begin(self) -> DeviceGrant:
        while self.hangs:
            await self.clock.sleep(1.0)
        return await super().begin()

    async def redeem(self, device_code: str) -> Account:
        self.asked.append((self.clock.now() - START).total_seconds())
        return await super().redeem(device_code)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> Flaky:
    return Flaky()


@pytest.fixture
def provider(clock: FakeClock) -> TimedProvider:
    return TimedProvider(clock)


@pytest.fixture
async def desk(store: Flaky, clock: FakeClock, provider: TimedProvider) -> World:
    world = await World(store, clock, Provisioning(store, clock, KEYS, POLICY, provider)).people()
    await called_in(world, A)
    return world


@asynccontextmanager
async def polling(*cores: Provisioning) -> AsyncIterator[list[asyncio.Task[None]]]:
    """The poller of each instance runs beside the story."""
    tasks = [asyncio.create_task(SignInPolls(core).run()) for core in cores]
    await turns()
    try:
        yield tasks
    finally:
        await ends(*tasks)


async def ends(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def turns() -> None:
    for _ in range(80):
        await asyncio.sleep(0)


async def passes(clock: FakeClock, seconds: float) -> None:
    """Time goes by, a quarter of a second at a time: whoever is due gets their turn."""
    for _ in range(round(seconds * 4)):
        clock.advance(timedelta(seconds=0.25))
        await turns()


async def begun(world: World, mac: str = A) -> str:
    """The user code that the asking admin sees."""
    return (await world.core.begin_sign_in(await world.dana(), mac, ACCOUNT)).user_code


async def stage(world: World, mac: str = A) -> Stage:
    flow = (await world.device(mac)).sign_in
    assert flow
    return flow.stage


async def other_instance(world: World, provider: TimedProvider) -> Provisioning:
    return Provisioning(world.store, world.clock, KEYS, POLICY, provider)


# ------------------------------------------------------------------ on time


async def test_the_first_poll_is_one_interval_after_the_code_and_so_on(
    desk: World, clock: FakeClock, provider: TimedProvider
) -> None:
    async with polling(desk.core):
        code = await begun(desk)
        await passes(clock, 16)
        assert provider.asked == [5.0, 10.0, 15.0]
        provider.approved(code, ACCOUNT)
        await passes(clock, 5)
        assert provider.asked[3:] == [20.0] and await stage(desk) is Stage.SIGNED_IN
        await passes(clock, 60)
        assert len(provider.asked) == 4


async def test_slow_down_makes_all_later_polls_five_seconds_slower(
    desk: World, clock: FakeClock, provider: TimedProvider
) -> None:
    async with polling(desk.core):
        provider.answers(await begun(desk), PollSlower(), PollSlower())
        await passes(clock, 60)
    assert provider.asked == [5.0, 15.0, 30.0, 45.0, 60.0]


async def test_a_provider_that_is_away_is_asked_less_and_less_until_it_answers(
    desk: World, clock: FakeClock, provider: TimedProvider
) -> None:
    async with polling(desk.core):
        provider.answers(await begun(desk), *(ProviderAway() for _ in range(4)))
        await passes(clock, 36)
        flow = (await desk.device(A)).sign_in
        assert flow and flow.silent_since == START + timedelta(seconds=15)
        await passes(clock, 114)
        flow = (await desk.device(A)).sign_in
        assert flow and flow.silent_since is None
    assert provider.asked == [5.0, 15.0, 35.0, 75.0, 135.0, 140.0, 145.0, 150.0]


async def test_it_ends_with_its_code(desk: World, clock: FakeClock, provider: TimedProvider) -> None:
    provider.lifetime = timedelta(seconds=22)
    async with polling(desk.core):
        await begun(desk)
        await passes(clock, 40)
    assert provider.asked == [5.0, 10.0, 15.0, 20.0, 25.0] and await stage(desk) is Stage.ENDED


async def test_flows_are_polled_each_on_its_own_time(desk: World, clock: FakeClock, provider: TimedProvider) -> None:
    await called_in(desk, B, "Oslo/2/2.16")
    async with polling(desk.core):
        await begun(desk)
        await passes(clock, 2)
        provider.interval = timedelta(seconds=3)
        await begun(desk, B)
        await passes(clock, 8.5)
    assert provider.asked == [5.0, 5.0, 8.0, 10.0]
    assert [code[-1] for code in provider.polled] == ["1", "2", "2", "1"]


async def test_a_cancelled_one_is_asked_for_no_more(desk: World, clock: FakeClock, provider: TimedProvider) -> None:
    async with polling(desk.core):
        await begun(desk)
        await passes(clock, 6)
        await desk.core.cancel_sign_in(await desk.dana(), A)
        await passes(clock, 30)
    assert provider.asked == [5.0]


# ------------------------------------------------------------------ several instances


async def test_two_instances_poll_each_flow_once_an_interval(
    desk: World, clock: FakeClock, provider: TimedProvider
) -> None:
    async with polling(desk.core, await other_instance(desk, provider)):
        await begun(desk)
        await passes(clock, 62)
    assert provider.asked == [5.0 * n for n in range(1, 13)]


async def test_whoever_stops_lets_another_go_on_at_once(desk: World, clock: FakeClock, provider: TimedProvider) -> None:
    async with polling(desk.core, await other_instance(desk, provider)) as (first, _second):
        await begun(desk)
        await passes(clock, 11)
        await ends(first)
        await passes(clock, 15)
    assert provider.asked[:2] == [5.0, 10.0]
    assert provider.asked[2] - 10.0 >= 5.0, "never hastier than asked for"
    assert provider.asked[2] <= 11.0 + LOOK_EVERY + 5.0


async def test_after_a_crash_another_takes_over_when_the_lease_ran_out(
    desk: World, clock: FakeClock, provider: TimedProvider
) -> None:
    crashed = Lease(name=NAME, holder="an instance that is gone", until=clock.now() + LEASE)
    await desk.store.save(Change(puts=(crashed,)))
    async with polling(desk.core):
        code = await begun(desk)
        await passes(clock, LEASE.total_seconds() - 1)
        assert provider.asked == []
        provider.approved(code, ACCOUNT)
        await passes(clock, 8)
    assert len(provider.asked) == 1 and await stage(desk) is Stage.SIGNED_IN


async def test_whoever_lost_the_lease_stops(desk: World, clock: FakeClock, provider: TimedProvider) -> None:
    async with polling(desk.core):
        await begun(desk)
        await passes(clock, 6)
        lease = await desk.store.get(Lease, NAME)
        assert lease and lease.holder == desk.core.instance
        taken = Lease(name=NAME, holder="another", until=clock.now() + timedelta(seconds=29), version=lease.version)
        await desk.store.save(Change(puts=(taken,)))
        await passes(clock, 25)
    assert len(provider.asked) <= 2  # until it renews its lease, every five seconds, it cannot know


# ------------------------------------------------------------------ what is left behind


async def test_a_request_that_a_crashed_turn_left_behind_is_gone_on_with(
    desk: World, clock: FakeClock, provider: TimedProvider
) -> None:
    provider.hangs = True
    turn = asyncio.create_task(desk.core.begin_sign_in(await desk.dana(), A, ACCOUNT))
    await turns()
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    provider.hangs = False
    assert await stage(desk) is Stage.REQUESTED
    async with polling(desk.core):
        await passes(clock, TAKEN_OVER.total_seconds() - 1)
        assert await stage(desk) is Stage.REQUESTED  # the turn itself may still be at it
        await passes(clock, 2)
        assert await stage(desk) is Stage.CODE_SHOWN
        asked = (clock.now() - START).total_seconds()
        assert (await desk.core.sign_in_facts(await desk.dana(), A)).user_code == provider.grants[0].user_code
        await passes(clock, 6)
    assert len(provider.asked) == 1 and asked < provider.asked[0] <= asked + 6


async def test_it_goes_on_after_a_restart_no_faster_than_asked_for(
    desk: World, clock: FakeClock, provider: TimedProvider
) -> None:
    async with polling(desk.core):
        provider.answers(await begun(desk), PollSlower())
        await passes(clock, 6)
    desk.core = await other_instance(desk, provider)
    async with polling(desk.core):
        await passes(clock, 11)
    assert provider.asked[0] == 5.0 and len(provider.asked) == 2
    assert provider.asked[1] - provider.asked[0] >= 10.0


@pytest.mark.parametrize("answer", [Account("id", (ACCOUNT,)), AuthorizationDeclined()])
async def test_an_answer_that_the_store_cannot_take_is_saved_later(
    desk: World, store: Flaky, clock: FakeClock, provider: TimedProvider, answer: Account | ProviderError
) -> None:
    with capture_logs() as logs:
        async with polling(desk.core):
            provider.answers(await begun(desk), answer)
            await passes(clock, 4)
            store.away = True
            await passes(clock, 20)
            assert await stage(desk) is Stage.CODE_SHOWN and len(provider.asked) == 1
            store.away = False
            await passes(clock, AFTER_FAULT + 1)
            assert not await desk.core.live_sign_ins() and len(provider.asked) == 1
    signed_in = isinstance(answer, Account)
    assert (await desk.device(A)).state is (State.SIGNED_IN if signed_in else State.WAITING_FOR_SIGN_IN)
    assert {log["event"] for log in logs if log["log_level"] == "warning"} == {"a sign-in waits for the store"}
    assert not [log for log in logs if log["log_level"] == "error"]


async def test_an_answer_at_hand_outlasts_the_loss_of_the_lease(
    desk: World, store: Flaky, clock: FakeClock, provider: TimedProvider
) -> None:
    async with polling(desk.core):
        provider.approved(await begun(desk), ACCOUNT)
        await passes(clock, 4)
        store.away = True
        await passes(clock, 16)
        store.away = False
        lease = await store.get(Lease, NAME)
        assert lease
        taken = Lease(name=NAME, holder="another", until=clock.now() + timedelta(seconds=29), version=lease.version)
        await store.save(Change(puts=(taken,)))
        await passes(clock, 2)
        assert await stage(desk) is Stage.SIGNED_IN


async def test_with_a_run_the_next_code_comes_by_itself(desk: World, clock: FakeClock, provider: TimedProvider) -> None:
    await called_in(desk, B, "Oslo/2/2.16")
    for mac in (A, B):
        await desk.core.choose_account(await desk.dana(), mac, ACCOUNT)
    async with polling(desk.core):
        turn = await desk.core.start_run(await desk.dana(), "all")
        assert turn.facts
        provider.approved(turn.facts.user_code, ACCOUNT)
        await passes(clock, 6)
        facts = await desk.core.sign_in_facts(await desk.dana(), B)
        provider.approved(facts.user_code, ACCOUNT)
        await passes(clock, 7)
    assert [(await desk.device(mac)).state for mac in (A, B)] == [State.SIGNED_IN] * 2
    person = await desk.person(DANA)
    assert person.signing and (person.signing.done, person.signing.paused) == (2, "done")
