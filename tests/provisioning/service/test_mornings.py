"""The morning message and the quiet hours: once a day, on each technician's own clock, whatever happens."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Change, Person
from provisioning.service import Provisioning
from tests.provisioning.world import KEYS, KIM, POLICY, SAM, A, B, C, World

TUESDAY = datetime(2026, 3, 3, tzinfo=UTC)
OSLO, AUCKLAND = "Europe/Oslo", "Pacific/Auckland"


@pytest.fixture
async def night(world: World) -> World:
    """Sam, who lives in Oslo, has three devices; it is a quarter past six there on a Tuesday."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.9"), (C, "Oslo/3/3.01"))
    await world.issue("oslo", SAM)
    await world.delivers()
    await lives(world, SAM, OSLO)
    to(world, TUESDAY + timedelta(hours=5, minutes=15))
    return world


async def lives(world: World, person: str, zone: str) -> None:
    await world.store.save(Change(puts=(replace(await world.person(person), timezone=zone),)))


def to(world: World, moment: datetime) -> None:
    world.clock.advance(moment - world.clock.now())


async def greeted(world: World) -> list[str]:
    """Who was written to by this sweep."""
    await world.core.sweep()
    return [message.recipient for message in await world.delivers() if message.kind is MessageKind.MORNING]


async def held(world: World) -> list[OutboxMessage]:
    return [message for message in await world.told() if message.due_at > world.clock.now()]


# ------------------------------------------------------------------ the morning


async def test_it_comes_once_at_half_past_seven_by_ones_own_clock(night: World) -> None:
    to(night, TUESDAY + timedelta(hours=6, minutes=29))
    assert await greeted(night) == []
    night.later(minutes=1)
    assert await greeted(night) == [SAM]
    assert (await night.person(SAM)).greeted_on == "2026-03-03"
    night.later(minutes=1)
    assert await greeted(night) == []
    night.later(hours=24)
    assert await greeted(night) == [SAM]


async def test_of_two_instances_one_writes_and_a_restart_writes_nothing_again(night: World) -> None:
    other = Provisioning(night.store, night.clock, KEYS, POLICY)
    to(night, TUESDAY + timedelta(hours=6, minutes=30))
    assert sum(await asyncio.gather(night.core.greet(), other.greet(), night.core.greet())) == 1
    assert len(await night.told(MessageKind.MORNING)) == 1
    await night.delivers()
    assert await Provisioning(night.store, night.clock, KEYS, POLICY).greet() == 0


async def test_whoever_was_down_in_the_morning_catches_up_until_noon(night: World) -> None:
    to(night, TUESDAY + timedelta(hours=10, minutes=59))
    assert await greeted(night) == [SAM]
    to(night, TUESDAY + timedelta(days=1, hours=11))
    assert await greeted(night) == []


async def test_nobody_without_open_devices_is_written_to_nor_later_that_day(night: World) -> None:
    to(night, TUESDAY + timedelta(hours=8))
    assert KIM not in await greeted(night)  # in UTC it is eight
    await night.core.assign(
        await night.dana(), await night.core.target(await night.dana(), "3.01"), await night.person(KIM)
    )
    assert await greeted(night) == []


async def test_whoever_became_a_technician_since_is_not_greeted_that_day(night: World) -> None:
    to(night, TUESDAY + timedelta(hours=7))
    kim = await night.person(KIM)
    await night.store.save(Change(puts=(replace(kim, granted_at=night.clock.now(), timezone=OSLO),)))
    await night.core.assign(
        await night.dana(), await night.core.target(await night.dana(), "3.01"), await night.person(KIM)
    )
    assert await greeted(night) == [SAM]


async def test_nobody_is_written_to_who_cannot_be_reached_or_has_no_role_any_more(night: World) -> None:
    await night.core.left(SAM)
    to(night, TUESDAY + timedelta(hours=7))
    assert await greeted(night) == []


async def test_nor_on_a_weekend(night: World) -> None:
    to(night, TUESDAY + timedelta(days=4, hours=7))
    assert await greeted(night) == []


async def test_whoever_flies_west_has_one_morning_a_day(night: World) -> None:
    await lives(night, SAM, AUCKLAND)
    to(night, datetime(2026, 3, 3, 18, 30, tzinfo=UTC))  # Wednesday morning there
    assert await greeted(night) == [SAM]
    await lives(night, SAM, "Pacific/Honolulu")  # where it is Tuesday, half past eight
    assert await greeted(night) == []
    to(night, datetime(2026, 3, 4, 17, 30, tzinfo=UTC))
    assert await greeted(night) == []
    night.later(days=1)
    assert await greeted(night) == [SAM]


@pytest.mark.parametrize("day", [datetime(2026, 3, 30, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC)])
async def test_after_a_night_in_which_clocks_changed_it_comes_by_the_clock(night: World, day: datetime) -> None:
    summer = day.month == 3
    to(night, day - timedelta(days=2))
    await night.core.sweep()
    to(night, day + timedelta(hours=5 if summer else 6, minutes=29))
    assert await greeted(night) == []
    night.later(minutes=1)
    assert await greeted(night) == [SAM]


# ------------------------------------------------------------------ the quiet hours


async def test_new_jobs_of_the_night_come_with_the_morning_message(night: World) -> None:
    await night.issue("2.14", SAM, void=True)
    [message] = await held(night)
    assert (message.kind, message.recipient) == (MessageKind.NEW_JOBS, SAM)
    await night.issue("2.9", SAM, void=True)
    assert await night.told(MessageKind.NEW_JOBS) == [message]  # one of a kind
    to(night, TUESDAY + timedelta(hours=6, minutes=30))
    await night.core.sweep()
    assert [message.kind for message in await night.told(reader=SAM)] == [MessageKind.MORNING]


async def test_without_a_morning_message_that_day_they_come_when_the_quiet_hours_are_over(night: World) -> None:
    to(night, datetime(2026, 3, 6, 20, 0, tzinfo=UTC))  # Friday, nine in the evening
    await night.issue("2.14", SAM, void=True)
    [message] = await held(night)
    assert message.due_at == datetime(2026, 3, 7, 6, 0, tzinfo=UTC)
    to(night, message.due_at)
    assert MessageKind.NEW_JOBS in [sent.kind for sent in await night.delivers()]


async def test_what_is_held_back_holds_up_no_answer_and_no_news_of_the_day(night: World) -> None:
    await night.issue("2.14", SAM, void=True)
    await night.provisions(A)
    await night.core.confirm(await night.sam(), "2.14", checked=True)
    assert MessageKind.NEXT_DEVICE in [message.kind for message in await night.delivers()]
    to(night, TUESDAY + timedelta(hours=6, minutes=10))  # after the quiet hours, before the morning
    await night.issue("2.9", SAM, void=True)
    assert MessageKind.NEW_JOBS in [message.kind for message in await night.delivers()]


async def test_cards_change_at_night_and_admins_are_told_at_once(night: World) -> None:
    await night.shows(SAM, A, code=True)
    await night.provisions(A)
    await night.core.report(await night.sam(), "2.9", "broken", "")
    assert {MessageKind.EDIT, MessageKind.PROBLEM_REPORTED} <= {message.kind for message in await night.delivers()}
    night.later(seconds=30)  # what is told of many devices at once waits so long
    assert [message.kind for message in await night.delivers()] == [MessageKind.SIGN_INS_WAITING]
    assert await held(night) == []


async def test_a_reminder_at_night_waits_as_well(night: World) -> None:
    await night.core.remind(await night.dana(), await night.person(SAM))
    assert [message.kind for message in await held(night)] == [MessageKind.NEW_JOBS]


async def test_whoever_is_in_another_zone_has_another_night(night: World) -> None:
    await lives(night, SAM, AUCKLAND)  # a quarter past six in the evening
    await night.issue("2.14", SAM, void=True)
    assert await held(night) == []
    night.later(hours=1)
    await night.issue("2.14", SAM, void=True)
    assert await held(night)


async def test_where_no_client_says_a_zone_the_deployments_own_counts(night: World) -> None:
    person = replace(Person(id="x"), timezone="Nowhere/Never")
    assert str(night.core.speech_of(person).timezone) == "UTC"
    night.core.policy = replace(POLICY, timezone=night.core.speech_of(await night.person(SAM)).timezone)
    assert str(night.core.speech_of(person).timezone) == OSLO
