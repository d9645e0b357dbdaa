"""When the relay looks for something to do: at once where that can be of use, and seldom where it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from bot.messenger import CALL_SECONDS
from bot.relay import Relay
from provisioning.service.outbox import AT_ONCE
from tests.bot.relays import Post


class Counting(Relay):
    """It counts how often it looked for something to do."""

    looks = 0

    async def claim(self) -> int:
        self.looks += 1
        return await super().claim()


@pytest.fixture
async def post() -> Post:
    return Post()


@pytest.fixture
def relay(post: Post) -> Counting:
    relay = post.relay(kind=Counting)
    assert isinstance(relay, Counting)
    return relay


@asynccontextmanager
async def at_work(relay: Relay) -> AsyncIterator[None]:
    """As in the service."""
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def turns(number: int = 200) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_what_is_written_while_the_app_may_send_nothing_costs_nothing(post: Post, relay: Counting) -> None:
    """Activations write hundreds of messages a second, of which Teams takes twenty."""
    people = await post.people(200)
    await post.tells(*[(reader, "first") for reader in people[:100]])
    async with at_work(relay):
        await turns()
        assert len(post.teams.words()) == 20
        before = relay.looks
        for reader in people[100:]:
            await post.tells((reader, "second"))
            await turns(3)
        assert relay.looks == before
        assert len(relay._queue) == 80
    await post.until_empty(most=60)
    assert sorted(place for _at, place, _words in post.teams.arrived) == sorted(f"chat of {each}" for each in people)


async def test_messages_that_are_written_together_are_claimed_together(post: Post, relay: Counting) -> None:
    people = await post.people(19)
    async with at_work(relay), asyncio.timeout(10):
        await turns()
        before = relay.looks
        for reader in people:
            await post.tells((reader, "hello"))
            await turns(3)
        while len(post.teams.words()) < len(people):  # noqa: ASYNC110 - of another's work
            await asyncio.sleep(0)
        assert relay.looks - before < len(people) / 2


async def test_what_a_call_held_up_goes_as_soon_as_it_ends(post: Post) -> None:
    """All calls hang, the clock of the pacing stands still: nothing but their end tells of room."""
    people = await post.people(AT_ONCE + 1)
    post.teams.hung |= {f"chat of {reader}" for reader in people[:AT_ONCE]}
    await post.tells(*[(reader, "stuck") for reader in people[:AT_ONCE]])
    relay = post.relay(unlimited=True)
    async with at_work(relay), asyncio.timeout(10):
        await turns()
        await post.tells((people[AT_ONCE], "free"))
        await turns()
        assert post.teams.words() == []
        post.teams.hung.clear()
        post.clock.advance(timedelta(seconds=CALL_SECONDS))
        while not post.teams.words():  # noqa: ASYNC110 - of another's work
            await asyncio.sleep(0)
        assert post.teams.words() == ["free"]
        assert len(relay._queue) == 0


async def test_the_end_of_a_call_tells_when_the_next_one_there_may_go(post: Post, relay: Counting) -> None:
    """Of a conversation with as many calls under way as may be, nobody knew; and nothing else may go for long."""
    await post.tells(*[(reader, "hello") for reader in await post.people(103)])
    claimed = await relay._provisioning.claim(103)
    for number, message in enumerate(claimed):
        relay._queue.add("busy" if number < 3 else f"chat {number}", message)
        if number >= 3:
            relay._pacing.throttled(f"chat {number}", 60)
    assert relay._queue.begin()
    assert relay._queue.begin()
    relay._pacing.throttled("busy", 0.5)
    assert not relay._room()
    assert relay._queue.wait() == 60
    ended = asyncio.create_task(asyncio.sleep(0))
    await ended
    relay._ended("busy", ended)
    assert relay._freed.is_set()
    assert relay._queue.wait() == 0.5
