"""The daily digest: once, at its hour by its reader's clock, where there is something to say, and what it says."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from provisioning.delivery_errors import Unreachable
from provisioning.messages import MessageKind, MessageStatus
from provisioning.model import Change, Role
from provisioning.notifications import settled, tell
from provisioning.rollouts import Rollout
from provisioning.service import Provisioning
from provisioning.service.digests import Digest
from provisioning.telling import MUTED, DigestHour, Topic
from tests.provisioning.world import DANA, KEYS, KIM, LEE, POLICY, SAM, A, B, C, D, World, channel, chat_of, member

TUESDAY = datetime(2026, 3, 3, tzinfo=UTC)
OSLO_TIME, HONOLULU, AUCKLAND = "Europe/Oslo", "Pacific/Honolulu", "Pacific/Auckland"
OSLO = channel()


@pytest.fixture
async def night(world: World) -> World:
    """It is five on Tuesday. Sam has devices since Monday; Dana's digest of Monday was looked at."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.9"), (C, "Oslo/3/3.01"), (D, "Bergen/1/1.01"))
    await world.issue("oslo", SAM)
    await world.core.sweep()
    await world.delivers()
    to(world, TUESDAY + timedelta(hours=5))
    return world


def to(world: World, moment: datetime) -> None:
    world.clock.advance(moment - world.clock.now())


async def lives(world: World, person: str, zone: str) -> None:
    await world.store.save(Change(puts=(replace(await world.person(person), timezone=zone),)))


async def digested(world: World, core: Provisioning | None = None) -> list[str]:
    """Who gets one by this sweep."""
    await (core or world.core).sweep()
    return [message.recipient for message in await world.delivers() if message.kind is MessageKind.DIGEST]


async def shown(world: World, reader: str = DANA) -> Digest:
    found = await world.core.digest_for(reader)
    assert found
    return found


# ------------------------------------------------------------------ when


async def test_admins_get_it_once_when_their_morning_comes(night: World) -> None:
    await night.provisions(A)
    to(night, TUESDAY + timedelta(hours=7, minutes=29))
    assert await digested(night) == []
    night.later(minutes=1)
    assert await digested(night) == [DANA]
    assert (await night.person(DANA)).digested_on == "2026-03-03"
    night.later(minutes=1)
    assert await digested(night) == []
    night.later(hours=24)
    assert await digested(night) == [DANA]  # the device still waits for its sign-in


async def test_of_two_instances_one_says_it_and_a_restart_says_nothing_again(night: World) -> None:
    other = Provisioning(night.store, night.clock, KEYS, POLICY)
    await night.provisions(A)
    to(night, TUESDAY + timedelta(hours=7, minutes=30))
    assert sum(await asyncio.gather(night.core.tell_digests(), other.tell_digests(), night.core.tell_digests())) == 1
    assert len(await night.told(MessageKind.DIGEST)) == 1
    await night.delivers()
    assert await Provisioning(night.store, night.clock, KEYS, POLICY).tell_digests() == 0


async def test_one_missed_while_the_service_was_down_comes_some_hours_late_else_the_next_day(night: World) -> None:
    await night.provisions(A)
    to(night, TUESDAY + timedelta(hours=11, minutes=29))
    assert await digested(night) == [DANA]
    to(night, TUESDAY + timedelta(days=1, hours=11, minutes=30))
    assert await digested(night) == []
    to(night, TUESDAY + timedelta(days=2, hours=7, minutes=30))
    assert await digested(night) == [DANA]


async def test_nothing_to_say_is_no_digest_nor_later_that_day(night: World) -> None:
    to(night, TUESDAY + timedelta(days=1, hours=7))  # the codes of Monday ended, and what happened is long ago
    await night.core.sweep()
    await night.delivers()
    night.later(minutes=30)
    assert await digested(night) == []
    await night.core.report(await night.sam(), "2.14", "broken", "")
    assert await digested(night) == []


async def test_none_comes_on_the_weekend_and_mondays_looks_back_to_friday(night: World) -> None:
    friday = datetime(2026, 3, 6, 9, 0, tzinfo=UTC)
    to(night, friday)
    await night.core.sweep()
    await night.issue("2.14", SAM, void=True)
    await night.provisions(A)
    to(night, friday + timedelta(days=1))
    assert await digested(night) == []
    to(night, datetime(2026, 3, 9, 7, 30, tzinfo=UTC))
    assert await digested(night) == [DANA]
    digest = await shown(night)
    assert digest.since == datetime(2026, 3, 6, 7, 30, tzinfo=UTC)
    assert digest.whole.called_in == 1


async def test_whoever_is_new_gets_the_first_one_the_day_after(night: World) -> None:
    await night.provisions(A)
    await night.core.meet(member(LEE, "Lee Moe"), chat_of(LEE))
    await night.core.grant(await night.dana(), LEE, Role.ADMIN)
    to(night, TUESDAY + timedelta(hours=7, minutes=30))
    assert await digested(night) == [DANA]
    night.later(days=1)
    assert sorted(await digested(night)) == [DANA, LEE]


async def test_each_reads_by_their_own_clock_and_flying_west_doubles_nothing(night: World) -> None:
    await night.provisions(A)
    await lives(night, DANA, AUCKLAND)
    to(night, TUESDAY + timedelta(hours=18, minutes=30))  # Wednesday morning there
    assert await digested(night) == [DANA]
    await lives(night, DANA, HONOLULU)  # Tuesday there
    to(night, TUESDAY + timedelta(hours=20))
    assert await digested(night) == []
    to(night, TUESDAY + timedelta(days=1, hours=17, minutes=30))
    assert await digested(night) == []  # Wednesday had its own
    to(night, TUESDAY + timedelta(days=2, hours=17, minutes=30))
    assert await digested(night) == [DANA]


@pytest.mark.parametrize("day", [datetime(2026, 3, 30, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC)])
async def test_after_a_night_in_which_clocks_changed_it_comes_by_the_clock(night: World, day: datetime) -> None:
    await night.provisions(A)
    await lives(night, DANA, OSLO_TIME)
    to(night, day + timedelta(hours=5 if day.month == 3 else 6, minutes=29))
    assert await digested(night) == []
    night.later(minutes=1)
    assert await digested(night) == [DANA]


async def test_nobody_gets_one_who_said_off_or_is_muted_or_out_of_reach_or_has_no_role(night: World) -> None:
    await night.provisions(A)
    to(night, TUESDAY + timedelta(hours=7, minutes=30))
    await night.core.choose_digest(await night.dana(), DigestHour(None))
    assert await digested(night) == []
    await night.core.choose_digest(await night.dana(), None)
    night.later(days=1)
    await night.core.mute(await night.dana(), None, night.clock.now() + timedelta(hours=1))
    assert await digested(night) == []
    night.later(hours=1)
    assert await digested(night) == [DANA]  # late: until then nothing was to be told
    night.later(days=1)
    await night.store.save(Change(puts=(replace(await night.person(DANA), reachable=False),)))
    assert await digested(night) == []


async def test_technicians_and_channels_have_one_at_the_hour_they_choose(night: World) -> None:
    await night.core.connect(await night.dana(), OSLO, "oslo")
    await night.provisions(A)
    await night.core.choose_digest(await night.sam(), DigestHour(time(6)))
    await night.core.choose_digest(await night.dana(), DigestHour(time(6, 30)), OSLO)
    to(night, TUESDAY + timedelta(hours=6))
    assert await digested(night) == [SAM]
    night.later(minutes=30)
    assert await digested(night) == [OSLO.id]
    assert await digested(night) == []


async def test_a_finished_rollout_has_none(night: World) -> None:
    await night.core.connect(await night.dana(), OSLO, "oslo")
    await night.provisions(A)
    await night.core.choose_digest(await night.dana(), DigestHour(time(6)), OSLO)
    rollout = await night.store.get(Rollout, OSLO.id)
    assert rollout
    await night.store.save(Change(puts=(replace(rollout, finished_at=night.clock.now()),)))
    to(night, TUESDAY + timedelta(hours=6))
    assert await digested(night) == []


# ------------------------------------------------------------------ what


async def test_it_counts_what_changed_and_what_is_stuck(night: World) -> None:
    await night.core.connect(await night.dana(), OSLO, "oslo")
    await night.provisions(A)
    await night.core.confirm(await night.sam(), "2.14", checked=True)
    night.later(hours=1)
    await night.core.report(await night.sam(), "2.9", "broken", "no power")
    night.later(minutes=30)
    digest = await shown(night)
    assert (digest.whole.total, digest.whole.provisioned, digest.whole.installed) == (4, 1, 1)
    assert (digest.whole.called_in, digest.whole.confirmed, digest.whole.called_in_before) == (1, 1, 0)
    [oslo] = digest.rollouts
    assert (oslo.scope, oslo.total, oslo.called_in) == ("Oslo", 3, 1)
    stuck = digest.stuck
    assert (stuck.problems, stuck.offline, stuck.ending, stuck.waiting) == (1, 0, 2, 1)
    assert [device.mac for device in stuck.oldest] == [B]


async def test_a_technicians_is_about_their_own_devices_and_a_channels_about_its_own(night: World) -> None:
    await night.core.connect(await night.dana(), OSLO, "oslo")
    await night.issue("1.01", KIM)
    await night.provisions(D)
    kim = await shown(night, KIM)
    assert (kim.whole.total, kim.whole.called_in, kim.rollouts, kim.undelivered) == (1, 1, (), 0)
    sam = await shown(night, SAM)
    assert (sam.whole.total, sam.whole.called_in, sam.stuck.ending) == (3, 0, 3)
    oslo = await shown(night, OSLO.id)
    assert (oslo.whole.scope, oslo.whole.total, oslo.whole.called_in) == ("Oslo", 3, 0)


async def test_what_was_muted_is_counted_by_topic_and_what_reached_nobody_is_named(night: World) -> None:
    kinds = (MessageKind.DEVICES_OFFLINE, MessageKind.DEVICES_STALE, MessageKind.PROBLEM_REPORTED)
    await night.store.save(Change(puts=tuple(tell(kind, DANA, kind, night.clock.now()) for kind in kinds)))
    while claimed := await night.core.claim():
        for message in claimed:
            await night.core.dropped(message, MUTED)
    await night.store.save(Change(puts=(tell(MessageKind.MORNING, SAM, "", night.clock.now()),)))
    [message] = await night.core.claim()
    await night.core.failed(message, Unreachable(), 0.5)
    digest = await shown(night)
    assert digest.held == {Topic.DEVICES: 2, Topic.PROBLEMS: 1}
    assert (digest.undelivered, digest.unreached) == (1, ("Sam Fox",))
    night.later(days=2)
    assert (await night.core.digest_now(await night.dana())).held == {}


async def test_events_for_other_systems_are_counted_by_themselves(night: World) -> None:
    await night.store.save(Change(puts=(tell(MessageKind.WEBHOOK, "endpoint", "", night.clock.now()),)))
    while claimed := await night.core.claim():
        for message in claimed:
            done = settled(message, MessageStatus.UNDELIVERABLE, night.clock.now())
            await night.store.save(Change(puts=(done,)))
    digest = await shown(night)
    assert (digest.undelivered, digest.events, digest.unreached) == (0, 1, ())


async def test_problems_are_told_the_oldest_first(night: World) -> None:
    for place in ("3.01", "2.14", "2.9"):
        await night.core.report(await night.sam(), place, "broken", "")
        night.later(minutes=5)
    assert [device.mac for device in (await shown(night)).stuck.oldest] == [C, A, B]


async def test_more_rollouts_than_fit_are_counted(night: World) -> None:
    dana = await night.dana()
    await night.core.connect(dana, OSLO, "oslo")
    for number in range(6):
        await night.add((f"805EC0AA000{number}", f"Site{number}/1"))
        await night.core.connect(await night.dana(), channel(f"c{number}"), f"site{number}")
    digest = await night.core.digest_now(await night.dana())
    assert (len(digest.rollouts), digest.more_rollouts) == (5, 2)
