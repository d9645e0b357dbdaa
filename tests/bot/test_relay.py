"""The relay: as fast as Teams takes it, fair, in order; what fails comes again, what hangs stands alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from bot.queueing import AT_ONCE_THERE
from provisioning.conversations import Conversation
from provisioning.delivery_errors import Blocked, ChatGone, Throttled, TryAgain
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.messages import Post as Card
from provisioning.model import Change, Person
from provisioning.rollouts import Rollout
from tests.bot.relays import Post, Wire
from tests.provisioning.world import TENANT, channel
from tests.teams_limits import Weather


@pytest.fixture
async def post() -> Post:
    return Post()


async def test_a_burst_for_one_chat_is_spread_as_its_limits_want(post: Post) -> None:
    (sam,) = await post.people(1)
    post.relay()
    for lane in range(10):
        await post.tells(*[(sam, f"{lane}.{n}") for n in range(10)], lane=f"lane {lane}")
    await post.until_empty(most=90)
    assert (post.teams.limits.refused, post.teams.limits.broken()) == (0, [])
    words = post.teams.words()
    assert len(words) == 100
    for lane in range(10):
        assert [w for w in words if w.startswith(f"{lane}.")] == [f"{lane}.{n}" for n in range(10)]


async def test_many_chats_get_all_that_the_app_may_send(post: Post) -> None:
    people = await post.people(100)
    post.relay()
    for n in range(6):
        await post.tells(*[(reader, f"{reader}:{n}") for reader in people])
    took = await post.until_empty(most=60)
    assert (post.teams.limits.refused, len(post.teams.arrived)) == (0, 600)
    assert 29 <= took < 600 / 20 / 0.95


async def test_a_crowded_chat_does_not_make_the_others_wait(post: Post) -> None:
    crowded, *others = await post.people(51)
    post.relay()
    for lane in range(40):
        await post.tells(*[(crowded, f"{lane}.{n}") for n in range(8)], lane=f"lane {lane}")
    await post.tells(*[(reader, "hello") for reader in others])
    await post.passes(5)
    assert post.teams.words().count("hello") == 50
    assert await post.until_empty(most=600) > 100  # 320 messages, at most 60 in 30 s


async def test_answers_in_turns_count_as_well(post: Post) -> None:
    (sam,) = await post.people(1)
    post.relay()
    for _ in range(7):  # so many cards were answered within this second
        post.pacings[0].note(f"chat of {sam}")
    await post.tells((sam, "later"))
    await post.passes(0.9)
    assert post.teams.words() == []
    await post.passes(0.5)
    assert post.teams.words() == ["later"]


# ------------------------------------------------------------------ trouble


async def test_retry_after_is_honoured_by_all_lanes_of_that_chat_and_by_no_other(post: Post) -> None:
    sam, kim = await post.people(2)
    post.relay()
    post.teams.refusals[f"chat of {sam}"] = [Throttled(30.0)]
    await post.tells((sam, "one"))
    await post.works()
    for lane in range(5):
        await post.tells((sam, f"lane {lane}"), (kim, f"for kim {lane}"), lane=f"lane {lane}")
        await post.tells((kim, f"more {lane}"))
    await post.passes(29)
    assert post.teams.words(f"chat of {sam}") == []
    assert len(post.teams.words(f"chat of {kim}")) == 5
    await post.passes(10)
    assert len(post.teams.words(f"chat of {sam}")) == 6
    assert len(post.teams.words(f"chat of {kim}")) == 10


async def test_what_must_wait_long_goes_back_and_is_nobodys_until_then(post: Post) -> None:
    sam, _kim = await post.people(2)
    post.relay()
    post.pacings[0].throttled(f"chat of {sam}", 300)
    await post.tells((sam, "much later"))
    await post.works()
    (row,) = (await post.store.find(OutboxMessage, status="waiting", limit=10)).rows
    assert row.leased_until is None
    assert row.due_at - post.clock.now() == timedelta(seconds=300)
    assert (row.attempts, row.retried) == (0, ())
    post.clock.advance(timedelta(seconds=301))
    await post.works()
    assert post.teams.words() == ["much later"]


async def test_a_hung_chat_with_many_lanes_delays_no_other(post: Post) -> None:
    sam, *others = await post.people(40)
    post.relay()
    post.teams.hung.add(f"chat of {sam}")
    for lane in range(60):
        await post.tells((sam, f"stuck {lane}"), lane=f"lane {lane}")
    await post.works()
    await post.tells(*[(reader, "hello") for reader in others])
    await post.passes(4)
    assert post.teams.words().count("hello") == len(others)
    assert post.teams.crowded[f"chat of {sam}"] == AT_ONCE_THERE
    post.teams.hung.clear()
    await post.until_empty(most=900)
    assert len(post.teams.words(f"chat of {sam}")) == 60


async def test_ten_hung_chats_delay_no_other(post: Post) -> None:
    people = await post.people(60)
    post.relay()
    post.teams.hung |= {f"chat of {reader}" for reader in people[:10]}
    for lane in range(4):
        await post.tells(*[(reader, "stuck") for reader in people[:10]], lane=f"{lane}")
    await post.works()
    await post.tells(*[(reader, "hello") for reader in people[10:]])
    await post.passes(6)
    assert post.teams.words().count("hello") == 50


@pytest.mark.parametrize("seed", [1, 2])
async def test_on_a_bad_day_nothing_is_lost_and_only_what_lost_its_answer_comes_twice(post: Post, seed: int) -> None:
    people = await post.people(30)
    post.relay()
    post.teams.weather = Weather({412: 5, 429: 5, 502: 5, 504: 5, "drop": 5}, seed)
    for n in range(10):
        await post.tells(*[(reader, f"{reader}:{n}") for reader in people])
    await post.until_empty(most=600)
    words = post.teams.words()
    assert len(set(words)) == 300
    assert len(words) - 300 <= post.teams.lost_answers
    for reader in people:
        firsts = list(dict.fromkeys(w for w in words if w.startswith(f"{reader}:")))
        assert firsts == [f"{reader}:{n}" for n in range(10)]
    rows = (await post.store.find(OutboxMessage, limit=1000)).rows
    retried = [row for row in rows if row.retried]
    assert all(row.status is MessageStatus.SENT for row in rows)
    assert sum(row.attempts for row in rows) == sum(len(row.retried) for row in rows) > 0
    assert {row.failure for row in retried} == {"throttled", "try_again"}


async def test_a_storm_slows_everybody_for_a_moment(post: Post) -> None:
    people = await post.people(200)
    post.relay()
    for reader in people[:8]:
        post.teams.refusals[f"chat of {reader}"] = [Throttled(2.0)]
    await post.tells(*[(reader, "x") for reader in people])
    await post.works()
    before = len(post.teams.limits.everything)
    await post.passes(5)
    assert len(post.teams.limits.everything) - before <= 10 * 5 + 10
    await post.until_empty(most=60)


async def test_while_all_calls_hang_nobody_asks_the_store_again_and_again(post: Post) -> None:
    people = await post.people(60)
    relay = post.relay(unlimited=True)
    post.teams.hung |= {f"chat of {reader}" for reader in people}
    await post.tells(*[(reader, "stuck") for reader in people])
    await post.works()
    assert await relay.pause() == 5.0
    await post.tells((people[0], "one more"), lane="another")
    await post.works()
    assert await relay.pause() == 5.0
    post.teams.hung.clear()
    await post.until_empty(most=600)


# ------------------------------------------------------------------ what waits here


async def test_what_waited_here_until_its_lease_ran_out_is_not_sent_on_that_word(post: Post) -> None:
    """The process stood still for minutes, and another instance delivered everything meanwhile."""
    (sam,) = await post.people(1)
    stopped, other = post.relay(), post.relay()
    for lane in range(30):
        await post.tells((sam, f"{lane}"), lane=f"lane {lane}")
    post.relays = [stopped]
    await post.works()
    assert len(stopped._queue)
    post.clock.advance(timedelta(seconds=130))
    post.relays = [other]
    await post.until_empty(most=60)
    post.relays = [stopped]
    await post.works()
    assert sorted(post.teams.words(), key=int) == [f"{lane}" for lane in range(30)]
    assert len(stopped._queue) == 0


async def test_a_clock_that_goes_on_by_minutes_loses_and_doubles_nothing(post: Post) -> None:
    (sam,) = await post.people(1)
    relay = post.relay()
    for lane in range(30):
        await post.tells((sam, f"{lane}"), lane=f"lane {lane}")
    await post.works()
    assert len(relay._queue)
    post.clock.advance(timedelta(seconds=130))
    await post.until_empty(most=60)
    assert sorted(post.teams.words(), key=int) == [f"{lane}" for lane in range(30)]


async def test_an_end_in_order_leaves_what_was_not_begun_to_others_at_once(post: Post) -> None:
    (sam,) = await post.people(1)
    ending, other = post.relay(), post.relay()
    for lane in range(30):
        await post.tells((sam, f"{lane}"), lane=f"lane {lane}")
    await ending.claim()
    assert len(ending._queue)
    await ending._end()
    rows = (await post.store.find(OutboxMessage, status=MessageStatus.WAITING, limit=100)).rows
    assert rows and not any(row.leased_until for row in rows)
    post.relays = [other]
    await post.until_empty(most=30)  # a lease would have held them for a minute
    assert sorted(post.teams.words(), key=int) == [f"{lane}" for lane in range(30)]


async def test_a_chat_that_hangs_does_not_hold_up_the_end(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.relay.STOP_SECONDS", 0.05)
    (sam,) = await post.people(1)
    relay = post.relay()
    post.teams.hung.add(f"chat of {sam}")
    await post.tells((sam, "stuck"))
    await post.works()
    async with asyncio.timeout(2):
        await relay._end()
    post.teams.hung.clear()
    post.clock.advance(timedelta(seconds=61))
    post.relays = [post.relay()]
    await post.works()
    assert post.teams.words() == ["stuck"]


# ------------------------------------------------------------------ final


@pytest.mark.parametrize("error", [Blocked(), ChatGone()], ids=lambda error: error.code)
async def test_a_refusal_for_good_is_kept_with_its_reason(post: Post, error: Blocked | ChatGone) -> None:
    sam, kim = await post.people(2)
    post.relay()
    post.teams.refusals[f"chat of {sam}"] = [error]
    await post.tells((sam, "no"), (kim, "yes"))
    await post.works()
    rows = {row.recipient: row for row in (await post.store.find(OutboxMessage, limit=10)).rows}
    assert (rows[sam].status, rows[sam].failure) == (MessageStatus.UNDELIVERABLE, error.code)
    assert rows[kim].status is MessageStatus.SENT
    history = (await post.store.history(sam)).rows
    assert [(row.event.name, getattr(row.event, "why", "")) for row in history] == [("PersonUnreachable", error.code)]


async def test_somebody_without_a_chat_is_undeliverable_and_says_why(post: Post) -> None:
    await post.store.save(Change(puts=(Person(id="never met", tenant=TENANT, name="Mia"),)))
    post.relay()
    await post.tells(("never met", "hello"))
    await post.works()
    (row,) = (await post.store.find(OutboxMessage, limit=10)).rows
    assert (row.status, row.failure) == (MessageStatus.UNDELIVERABLE, "unreachable")


class Removed(Wire):
    """The bot was taken out of this team, and nobody told it."""

    async def open_chat(self, near: Conversation, teams_id: str) -> Conversation:
        if near.id == channel("a").id:
            raise Blocked
        return await super().open_chat(near, teams_id)


async def test_a_chat_is_made_by_way_of_any_team_that_still_has_the_bot(post: Post) -> None:
    mia = Person(id="never met", tenant=TENANT, name="Mia", teams_id="29:mia")
    rollouts = [
        Rollout(channel=channel(n), site=n, connected_by="", connected_by_name="", started_at=post.clock.now())
        for n in "ab"
    ]
    await post.store.save(Change(puts=(mia, *rollouts)))
    relay = post.relay()
    relay._messenger = Removed(post.teams, post.pacings[0])
    await post.tells(("never met", "hello"))
    await post.works()
    assert post.teams.words("a:29:mia") == ["hello"]


async def test_what_was_tried_is_kept_ten_times(post: Post) -> None:
    (sam,) = await post.people(1)
    post.relay()
    post.teams.refusals[f"chat of {sam}"] = [TryAgain() for _ in range(14)]
    await post.tells((sam, "at last"))
    await post.until_empty(most=4_000)
    (row,) = (await post.store.find(OutboxMessage, limit=10)).rows
    assert (row.status, row.attempts, len(row.retried)) == (MessageStatus.SENT, 14, 10)
    assert list(row.retried) == sorted(row.retried)


# ------------------------------------------------------------------ edits


async def test_three_thousand_changes_a_minute_are_two_edits_a_minute_and_the_last_state_arrives(post: Post) -> None:
    post.relay()
    place = channel("oslo")
    card = Card(
        conversation=place,
        activity_id="a1",
        reader=place.id,
        subject=place.id,
        view="board",
        params=(("channel", place.id),),
        posted_at=post.clock.now(),
    )
    await post.core.remember(card)
    changes = 0
    for _second in range(90):
        for _ in range(50):
            changes += 1
            await post.store.save(Change(puts=(Person(id=f"{changes}", tenant=TENANT),)))
            await post.core.redraw(place.id)
        await post.passes(1)
    during = len(post.teams.edits)
    await post.passes(31)
    assert 2 <= during <= 3
    times = [at for at, _ in post.teams.edits]
    assert min(after - before for before, after in pairwise(times)) >= 30
    assert str(changes) in post.teams.edits[-1][1]
    assert await post.waiting() == 0


# ------------------------------------------------------------------ instances


@pytest.mark.parametrize("count", [2, 8])
async def test_instances_share_what_the_app_may_send(post: Post, count: int) -> None:
    people = await post.people(200)
    for _ in range(count):
        await post.relay().share()
    for relay in post.relays:
        relay._counted_at = None
    for n in range(3):
        await post.tells(*[(reader, f"{reader}:{n}") for reader in people])
    began = post.teams.seconds()
    while await post.waiting():
        await post.passes(1, count_instances=True)
    took = post.teams.seconds() - began
    assert (post.teams.limits.refused, post.teams.limits.broken(), len(post.teams.arrived)) == (0, [], 600)
    assert took <= 600 / 20 / 0.85  # at the end some have nothing left to send, and the others keep to their share


async def test_the_share_of_an_instance_that_died_falls_to_the_others(post: Post) -> None:
    here, there = post.relay(), post.relay()
    await there.share()
    await here.share()
    assert post.pacings[0].rate == 10
    post.relays.remove(there)
    await post.passes(61, count_instances=True)
    assert post.pacings[0].rate == 20


async def test_one_that_ends_in_order_gives_its_share_up_at_once(post: Post) -> None:
    here, there = post.relay(), post.relay()
    await there.share()
    await there._rest()
    await here.share()
    assert post.pacings[0].rate == 20
