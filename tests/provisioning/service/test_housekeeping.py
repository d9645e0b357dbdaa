"""What is done unasked: codes end, old marks go, the audit is sealed and grows no older than it is kept."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.bookkeeping import Lease, Operation, Segment
from provisioning.errors import Conflict, Unavailable
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change
from provisioning.service import Policy, Provisioning
from provisioning.service.housekeeping import AUDIT, CHUNK, CHUNKS, SEAL_EVERY, SWEEP, SWEEP_LEASE
from tests.provisioning.world import KEYS, POLICY, SAM, A, B, World, channel
from tests.storage.samples import message

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def waiting(world: World) -> World:
    """Sam is to be told of a new job."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.delivers()
    await world.issue("2.14", SAM)
    return world


def another(world: World, policy: Policy = POLICY) -> Provisioning:
    """A second instance on the same store."""
    return Provisioning(world.store, world.clock, KEYS, policy)


# ------------------------------------------------------------------ leases


async def test_one_instance_at_a_time_has_a_job(world: World) -> None:
    one, other = world.core, another(world)
    assert await one.holds("job", MINUTE)
    assert not await other.holds("job", MINUTE)
    assert await one.holds("job", MINUTE)  # again, and longer
    world.clock.advance(MINUTE)
    assert await other.holds("job", MINUTE)
    assert not await one.holds("job", MINUTE)
    assert await one.holds("another job", MINUTE)


async def test_a_job_that_was_let_go_is_free_at_once(world: World) -> None:
    one, other = world.core, another(world)
    await one.holds("job", MINUTE)
    await other.let_go("job")  # not theirs to give
    assert not await other.holds("job", MINUTE)
    await one.let_go("job")
    assert await other.holds("job", MINUTE)
    await one.let_go("job")
    await one.let_go("nobody's")
    assert not await one.holds("job", MINUTE)


async def test_whoever_is_slower_does_not_get_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = world.core, another(world)
    get = world.store.get

    async def overtaken(kind: type[Lease], key: str) -> Lease | None:
        known = await get(kind, key)
        if kind is Lease:
            monkeypatch.setattr(world.store, "get", get)
            assert await other.holds(key, MINUTE)
        return known

    for _ in range(2):  # the first lease ever, then one that ran out
        monkeypatch.setattr(world.store, "get", overtaken)
        assert not await one.holds("job", MINUTE)
        world.clock.advance(MINUTE)


async def test_a_lease_from_a_clock_that_was_wrong_does_not_block_the_job(world: World) -> None:
    world.clock.advance(timedelta(hours=25))
    await another(world).holds("job", MINUTE)
    world.clock.advance(-timedelta(hours=25))
    assert await world.core.holds("job", MINUTE)


async def test_the_sweep_is_done_by_one_and_by_the_next_when_that_one_rests(waiting: World) -> None:
    waiting.later(hours=23)
    one, other = waiting.core, another(waiting)
    await one.sweep()
    waiting.clock.advance(timedelta(hours=1))
    await one.holds(SWEEP, SWEEP_LEASE)
    assert await other.sweep() == 0
    await one.rest()
    assert await other.sweep() == 1


# ------------------------------------------------------------------ codes


async def test_ended_codes_lose_their_sealed_copy_and_their_cards_change(waiting: World) -> None:
    await waiting.delivers()
    card = await waiting.shows(SAM, A, code=True)
    waiting.later(hours=23, minutes=59)
    assert await waiting.core.sweep() == 0
    waiting.later(minutes=1)
    assert await waiting.core.sweep() == 1
    device = await waiting.device(A)
    assert device.code is not None
    assert (device.code.sealed, bool(device.code.digest)) == (None, True)
    assert [m.subject for m in await waiting.told(MessageKind.EDIT)] == [card.key]
    assert (await waiting.facts(A))[-1] == "CodeEnded"
    assert await waiting.core.sweep() == 0


@pytest.mark.parametrize(("ended", "told"), [(5, []), (6, ["6"])])
async def test_more_than_five_codes_that_ended_are_told_to_the_channel(
    world: World, ended: int, told: list[str]
) -> None:
    await world.add(*((f"805EC01100{n:02X}", f"Oslo/1/{n}") for n in range(ended)), (A, "Bergen/1"))
    await world.issue("all", SAM)
    await world.core.connect(await world.dana(), channel(), "oslo")
    await world.delivers()
    world.later(hours=24)
    assert await world.core.sweep() == ended + 1
    assert [dict(m.params)["count"] for m in await world.told(MessageKind.CODES_ENDED)] == told


async def test_marks_of_presses_go_after_two_days(waiting: World) -> None:
    assert await waiting.store.count(Operation)
    waiting.clock.advance(timedelta(days=2))
    await waiting.core.sweep()
    assert await waiting.store.count(Operation) == 0


# ------------------------------------------------------------------ messages that were settled


@pytest.mark.parametrize(
    ("status", "days"), [(MessageStatus.SENT, 7), (MessageStatus.DROPPED, 7), (MessageStatus.UNDELIVERABLE, 30)]
)
async def test_a_settled_message_goes_when_its_time_is_over(world: World, status: MessageStatus, days: int) -> None:
    now = world.clock.now()
    await world.store.save(Change(puts=(message("settled", status=status, settled_at=now), message("waits"))))
    world.clock.advance(timedelta(days=days, seconds=-1))
    await world.core.sweep()
    assert await world.store.get(OutboxMessage, "settled")
    world.clock.advance(timedelta(seconds=1))
    await world.core.sweep()
    assert await world.store.get(OutboxMessage, "settled") is None
    assert await world.store.get(OutboxMessage, "waits")


async def test_no_message_is_kept_longer_than_the_audit(world: World) -> None:
    core = another(world, replace(POLICY, keep_audit=timedelta(days=1)))
    sent = message("m", status=MessageStatus.UNDELIVERABLE, settled_at=world.clock.now())
    await world.store.save(Change(puts=(sent,)))
    world.clock.advance(timedelta(days=1))
    await core.sweep()
    assert await world.store.get(OutboxMessage, "m") is None


async def many_sent(world: World, count: int) -> None:
    now = world.clock.now()
    for start in range(0, count, CHUNK):
        numbers = range(start, min(start + CHUNK, count))
        sent = (message(f"m{n}", status=MessageStatus.SENT, settled_at=now) for n in numbers)
        await world.store.save(Change(puts=tuple(sent)))


async def test_one_sweep_prunes_until_nothing_is_left(world: World) -> None:
    await many_sent(world, 2 * CHUNK + 20)
    world.clock.advance(timedelta(days=8))
    await world.core.sweep()
    assert await world.store.count(OutboxMessage) == 0


async def test_a_sweep_ends_where_others_want_their_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHUNK * CHUNKS * 3 > 3000 * 10  # at three sweeps a minute, more than 3 000 activations leave behind
    monkeypatch.setattr("provisioning.service.housekeeping.CHUNKS", 2)
    await many_sent(world, 3 * CHUNK)
    world.clock.advance(timedelta(days=8))
    there = await world.store.count(OutboxMessage)
    await world.core.sweep()
    assert await world.store.count(OutboxMessage) == there - 2 * CHUNK
    await world.core.sweep()
    assert await world.store.count(OutboxMessage) == 0


async def test_one_row_that_somebody_else_has_keeps_no_other_from_going(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many_sent(world, 3)
    world.clock.advance(timedelta(days=8))
    save = world.store.save

    async def busy(change: Change) -> None:
        if any(getattr(record, "id", "") == "m1" for record in change.deletes):
            raise Conflict
        await save(change)

    monkeypatch.setattr(world.store, "save", busy)
    await world.core.sweep()
    assert [m.id for m in (await world.store.find(OutboxMessage)).rows] == ["m1"]


# ------------------------------------------------------------------ the audit


async def segments(world: World) -> list[Segment]:
    return list((await world.store.find(Segment, limit=1000)).rows)


async def test_facts_are_sealed_at_once_and_then_now_and_then(waiting: World) -> None:
    await waiting.core.sweep()
    (first,) = await segments(waiting)
    assert first.count == len(await waiting.facts())
    await waiting.core.move(await waiting.dana(), A, "Oslo/9")
    await waiting.core.sweep()
    assert len(await segments(waiting)) == 1
    waiting.clock.advance(SEAL_EVERY)
    await waiting.core.sweep()
    assert len(await segments(waiting)) == 2
    waiting.clock.advance(SEAL_EVERY)
    await waiting.core.sweep()
    assert len(await segments(waiting)) == 2  # nothing happened, so nothing is sealed


async def test_what_one_sweep_cannot_seal_the_next_one_does(waiting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seal = waiting.store.seal
    monkeypatch.setattr("provisioning.service.housekeeping.SEGMENTS", 2)
    monkeypatch.setattr(waiting.store, "seal", lambda now: seal(now, 1))
    count = len(await waiting.facts())
    assert count > 4
    for done in range(2, count + 1, 2):
        await waiting.core.sweep()
        assert len(await segments(waiting)) == done


@pytest.mark.parametrize(("keep", "left"), [(timedelta(days=30), 0), (timedelta(days=31), None), (None, None)])
async def test_facts_go_when_they_are_older_than_they_are_kept(
    waiting: World, keep: timedelta | None, left: int | None
) -> None:
    core = another(waiting, replace(POLICY, keep_audit=keep))
    before = len(await waiting.facts())
    await core.sweep()
    waiting.clock.advance(timedelta(days=30, seconds=1))
    await waiting.core.move(await waiting.dana(), A, "Oslo/9")
    await core.sweep()
    waiting.clock.advance(SEAL_EVERY)
    await core.sweep()
    facts = await waiting.facts()
    assert "DeviceMoved" in facts  # sealed now, and young
    assert ("DeviceAdded" in facts) == (left is None)
    assert len(facts) == (before + 2 if left is None else 2)  # and the code that ended
    assert (await segments(waiting))[0].head


async def moved(world: World, room: str) -> None:
    await world.core.move(await world.dana(), A, f"Oslo/{room}")


async def test_a_clock_that_is_put_back_does_not_keep_facts_from_being_sealed(waiting: World) -> None:
    waiting.clock.advance(timedelta(days=365))
    await waiting.core.sweep()
    waiting.clock.advance(-timedelta(days=365))
    await moved(waiting, "9")
    await waiting.core.sweep()
    assert len(await segments(waiting)) == 2
    await waiting.store.verify()


async def test_a_clock_that_jumps_ahead_drops_nothing_until_it_was_right_for_a_while(waiting: World) -> None:
    core = another(waiting, replace(POLICY, keep_audit=timedelta(days=730)))
    await core.sweep()
    waiting.clock.advance(SEAL_EVERY)
    await core.sweep()
    count = len(await waiting.facts())
    waiting.clock.advance(timedelta(days=800))
    for _ in range(5):
        await moved(waiting, "9")
        await core.sweep()
        waiting.clock.advance(MINUTE)
    await core.rest()
    await another(waiting, replace(POLICY, keep_audit=timedelta(days=730))).sweep()  # a new start helps nothing
    waiting.clock.advance(-timedelta(days=800))
    await core.sweep()
    assert (await waiting.facts()).count("DeviceAdded") == 2
    assert len(await waiting.facts()) >= count


async def test_facts_go_while_the_clock_goes_on_as_it_should(waiting: World) -> None:
    """One sweep a day is enough, and a service that rests for long drops a quarter of an hour later."""
    core = another(waiting, replace(POLICY, keep_audit=timedelta(days=30)))
    for day in range(32):
        if day == 3:
            await moved(waiting, "9")
        assert "DeviceAdded" in await waiting.facts()
        await core.sweep()
        waiting.clock.advance(timedelta(days=1))
    assert "DeviceAdded" not in await waiting.facts()
    waiting.clock.advance(timedelta(days=100))
    core = another(waiting, replace(POLICY, keep_audit=timedelta(days=30)))
    await core.sweep()
    assert "DeviceMoved" in await waiting.facts()
    waiting.clock.advance(SEAL_EVERY)
    await core.sweep()
    assert "DeviceMoved" not in await waiting.facts()


async def test_much_that_is_old_goes_one_sweep_after_the_other(waiting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    core = another(waiting, replace(POLICY, keep_audit=timedelta(days=30)))
    seal = waiting.store.seal
    monkeypatch.setattr(waiting.store, "seal", lambda now: seal(now, 1))
    await core.sweep()
    monkeypatch.setattr("provisioning.service.housekeeping.SEGMENTS", 2)
    count = len(await waiting.facts())
    waiting.clock.advance(timedelta(days=31))
    await core.sweep()
    waiting.clock.advance(SEAL_EVERY)
    for left in range(count - 2, 0, -2):
        await core.sweep()
        assert len([fact for fact in await waiting.facts() if fact != "CodeEnded"]) in (left, left + 1)


async def test_a_fact_from_the_future_does_not_keep_those_behind_it(waiting: World) -> None:
    core = another(waiting, replace(POLICY, keep_audit=timedelta(days=30)))
    waiting.clock.advance(timedelta(days=3650))
    await moved(waiting, "9")
    waiting.clock.advance(-timedelta(days=3650))
    await core.sweep()
    waiting.clock.advance(timedelta(days=31))
    await core.sweep()
    waiting.clock.advance(SEAL_EVERY)
    await core.sweep()
    assert "DeviceMoved" not in await waiting.facts()


async def test_only_one_instance_seals(waiting: World) -> None:
    await another(waiting).holds(AUDIT, SEAL_EVERY)
    await waiting.core.sweep()
    assert await segments(waiting) == []


# ------------------------------------------------------------------ verification


async def test_one_instance_a_day_verifies_in_turn_but_each_may_for_itself(world: World) -> None:
    one, other = world.core, another(world)
    assert one.verified_at is None
    assert await one.verify_in_turn()
    assert one.verified_at == world.clock.now()
    assert not await other.verify_in_turn()
    assert other.verified_at is None
    await other.verify()
    assert other.verified_at
    world.clock.advance(timedelta(days=1))
    assert await other.verify_in_turn()
    assert not await one.verify_in_turn()


async def test_a_fault_is_told_and_nothing_counts_as_verified(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def damaged() -> None:
        raise Unavailable("damaged")

    monkeypatch.setattr(world.store, "verify", damaged)
    with pytest.raises(Unavailable):
        await world.core.verify()
    assert world.core.verified_at is None
