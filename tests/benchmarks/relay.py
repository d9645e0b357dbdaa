"""What the relay makes of Teams' limits, and what it costs where there are none.

    python -m tests.benchmarks --only relay

The first row runs on a clock that is moved, over a real file store: seconds of that clock are what Teams would see.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from aiohttp import ClientSession

from app import SystemClock
from bot.adapter import Adapter
from bot.bodies import bodies
from bot.messenger import TeamsMessenger
from bot.posting import message_of
from bot.relay import Relay
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views.common import note
from provisioning.conversations import Conversation
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change, Person, Role
from provisioning.service import Provisioning
from storage import open_store
from tests.benchmarks import Row, beside, none, within
from tests.benchmarks.children import child
from tests.benchmarks.driving import DANA, Driver, driving
from tests.benchmarks.driving import Post as Call
from tests.benchmarks.measuring import quantile, quiet
from tests.benchmarks.turns import MACS, Typing, calls, product
from tests.bot.relays import Post
from tests.connector import FakeConnector, channel_fields
from tests.provisioning.world import DANA as DANA_ID
from tests.provisioning.world import KEYS, POLICY, chat_of, member

CHATS, NOTIFICATIONS = 500, 10_000
BURST = 1_000  # messages sent with the limits off
TEAMS_TAKES = 100  # milliseconds, at the least, over the answer to a post
AT_ONCE = 32
ROUNDS = 2
EVENTS = 60
A_SECOND = 50  # activations: 3 000 a minute
SECONDS = 30
DRAWN = 32  # seconds: a card waits half a minute at most before it is drawn anew

router = Router()


@router.notice(MessageKind.ACCESS_GRANTED)
async def told(turn: Turn, subject: str) -> Reply:
    return Reply(card=note(subject))


# ------------------------------------------------------------------ within the limits


async def drained() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        office = Post()
        office.store = await open_store(f"tinydb:{name}/store", clock=office.clock)
        try:
            people = await office.people(CHATS)
            relay = office.relay()
            await office.tells(*[(p, f"{p}:{n}") for n in range(NOTIFICATIONS // CHATS) for p in people])
            began = office.teams.seconds()
            while await office.waiting():
                await relay.drain()
                office.clock.advance(timedelta(seconds=await relay.pause()))
        finally:
            await office.store.close()
    arrived, limits = office.teams.arrived, office.teams.limits
    took, allowed = arrived[-1][0] - began, NOTIFICATIONS / 20 - 1  # the first twenty go at once
    lost = NOTIFICATIONS - len({words for _at, _place, words in arrived})
    wrong = lost + limits.refused + len(arrived) - (NOTIFICATIONS - lost)
    what = f"{NOTIFICATIONS:,} notifications to {CHATS} chats"
    return [
        _of_the_rate(f"{what}, simulated", took, allowed, 0.95, "of the rate allowed", "s"),
        none(f"of them lost, doubled or refused by Teams ({what})", wrong, "messages"),
    ]


# ------------------------------------------------------------------ without limits


@asynccontextmanager
async def office_at(
    url: str, folder: Path, people: int, routes: Router = router
) -> AsyncIterator[tuple[Provisioning, Relay, list[Person]]]:
    """A relay without limits over a real file store, and people whose chats are at this connector."""
    clock = SystemClock()
    store = await open_store(f"tinydb:{folder / 'store'}", clock=clock)
    adapter = Adapter(None, allowed_service_hosts=())
    try:
        core = Provisioning(store, clock, KEYS, POLICY)
        await core.meet(member(DANA_ID, "Dana Berg"), replace(chat_of(DANA_ID), service_url=url))
        known = []
        for n in range(people):
            chat = replace(chat_of(f"p{n}"), id=f"a:p{n}", service_url=url)
            known.append(await core.meet(member(f"p{n}", f"Person {n}"), chat))
        yield core, Relay(core, TeamsMessenger(adapter.connectors), routes), known
    finally:
        await adapter.close()
        await store.close()


def letters(people: Sequence[Person], count: int) -> list[OutboxMessage]:
    now = SystemClock().now()
    return [
        OutboxMessage(
            kind=MessageKind.ACCESS_GRANTED,
            recipient=(reader := people[n % len(people)].id),
            subject=f"Message {n}",
            lane=reader,
            created_at=now,
            due_at=now,
        )
        for n in range(count)
    ]


async def sent_by_relay(core: Provisioning, relay: Relay, rows: Sequence[OutboxMessage]) -> float:
    """Seconds until all of them are settled; the relay runs as it does in the service."""
    for start in range(0, len(rows), 500):
        await core.store.save(Change(puts=tuple(rows[start : start + 500])))
    began = time.perf_counter()
    running = asyncio.create_task(relay.run())
    while await core.store.count(OutboxMessage, status=MessageStatus.WAITING):  # noqa: ASYNC110 - of another's work
        await asyncio.sleep(0.02)
    took = time.perf_counter() - began
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return took


async def sent_bare(url: str, posts: Sequence[tuple[Conversation, Any]]) -> float:
    waiting = iter(posts)
    async with ClientSession() as session:

        async def post_next() -> None:
            for place, body in waiting:
                async with session.post(f"{url}/v3/conversations/{place.id}/activities", json=body) as answer:
                    await answer.json()

        began = time.perf_counter()
        await asyncio.gather(*(post_next() for _ in range(AT_ONCE)))
        return time.perf_counter() - began


async def unlimited(milliseconds: int) -> tuple[float, float]:
    """Microseconds a message, ours and the bare client's, at a connector that takes so long over an answer."""
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as name:
        async with (
            child("tests.benchmarks.wire", str(milliseconds)) as wire,
            office_at(wire.hello, Path(name), CHATS) as (core, relay, people),
        ):
            for _ in range(ROUNDS):
                rows = letters(people, BURST)
                chats = {p.id: p.chat for p in people if p.chat}
                bodied = [(chats[r.recipient], message_of(Reply(card=note(r.subject)))) for r in rows]
                bare.append(await sent_bare(wire.hello, [(c, bodies(c, m)[0]) for c, m in bodied]))
                ours.append(await sent_by_relay(core, relay, rows))
    return min(ours) / BURST * 1e6, min(bare) / BURST * 1e6


async def without_limits() -> list[Row]:
    """A connector that answers at once measures processors alone: there every durable save and every card counts."""
    name = f"a message sent with the limits off, {CHATS} chats"
    slow = await unlimited(TEAMS_TAKES)
    fast = await unlimited(0)
    return [
        _of_the_rate(f"{name}, {TEAMS_TAKES} ms an answer", *slow, 0.8, "of a bare aiohttp client"),
        beside(f"{name}, answered at once", *fast, "a bare aiohttp client"),
    ]


def _of_the_rate(name: str, ours: float, anchor: float, least: float, of: str, unit: str = "µs") -> Row:
    """Ours takes so long, what it is held to so long: the ratio is that of the rates."""
    rate = anchor / ours
    return Row(name, ours, anchor, rate, f"≥ {least:g} {of}", rate >= least, unit, margin=rate / least)


async def idle() -> list[Row]:
    """From before the use case is called until the connector has the message."""
    taken = []
    with tempfile.TemporaryDirectory() as name:
        async with FakeConnector() as connector, office_at(connector.url, Path(name), EVENTS) as (core, relay, people):
            running = asyncio.create_task(relay.run())
            dana = await core.who(DANA_ID)
            assert dana
            for n, person in enumerate(people):
                await asyncio.sleep(0.05 + random.random() / 20)
                began = time.perf_counter()
                await core.grant(core.actor_of(dana), person.id, Role.TECHNICIAN)
                await connector.sent(n + 1)
                taken.append((time.perf_counter() - began) * 1e6)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    return [
        within("one event to outbox to wire, idle service, median", median(taken), 50_000),
        beside("the same, p99", quantile(taken, 99), median(taken), "its median"),
    ]


# ------------------------------------------------------------------ a busy hour


async def activations(driver: Driver) -> list[Row]:
    """Devices call in at the rate of a large rollout while a channel follows all of it."""
    each: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        async with FakeConnector() as connector, product(Path(name), driver, Typing(driver.connector)) as service:
            typing = Typing(connector.url)
            said = typing.says(DANA, "connect")
            said.body.update(channel_fields(), id="c1")
            await driver.posts(service.url, [said])
            await connector.sent(1)
            wanted = await calls(service, MACS[: A_SECOND * SECONDS])
            await asyncio.sleep(0.5)
            edits_before, began = len(connector.updates), time.monotonic()
            for second in range(SECONDS):
                each += await _second(service.url, driver, wanted[second * A_SECOND : (second + 1) * A_SECOND])
                await asyncio.sleep(max(0.0, began + second + 1 - time.monotonic()))
            took = time.monotonic() - began
            during = len(connector.updates) - edits_before
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAWN):
                    while f"{len(each)} of" not in str(connector.updates[-1:]):  # noqa: ASYNC110 - of another's work
                        await asyncio.sleep(0.5)
            stands = f"{len(each)} of" in str(connector.updates[-1].body)
    rate, minutes = len(each) / took * 60, max(took / 60, 1.0)
    name = f"a device's call while {rate:,.0f} a minute come and a channel follows"
    return [
        within(f"{name}, p50", quantile(each, 50) * 1e6, 50_000),
        within(f"{name}, p99", quantile(each, 99) * 1e6, 100_000),
        within(f"edits of the channel's card a minute, {len(each):,} changes", during / minutes, 2, "edits"),
        none("last states that do not stand on the card", int(not stands), "cards"),
    ]


async def _second(url: str, driver: Driver, posts: Sequence[Call]) -> Sequence[float]:
    return (await driver.posts(url, posts, at_once=4)).each


async def run() -> list[Row]:
    async with quiet():
        rows = [*await drained(), *await idle()]
        rows += await without_limits()
        async with driving() as driver:
            return [*rows, *await activations(driver)]
