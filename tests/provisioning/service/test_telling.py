"""Muted, unmuted, quiet: for a person and for a channel, what comes and what waits already."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from provisioning.errors import Forbidden, InvalidChoice, NotConnected
from provisioning.events import MessagesMuted, MessagesUnmuted, TellingChosen
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change, Role
from provisioning.notifications import tell
from provisioning.rollouts import Rollout
from provisioning.telling import ALWAYS, HEARD_BY, TOPIC_OF, DigestHour, Hearer, Mute, QuietHours, Topic
from tests.provisioning.world import DANA, KIM, LEE, SAM, A, B, C, World, channel, chat_of, member

EVENING = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
OSLO = channel()


@pytest.fixture
async def oslo(world: World) -> World:
    """Sam has three devices in Oslo, whose rollout a channel follows."""
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.9"), (C, "Oslo/3/3.01"))
    await world.issue("oslo", SAM)
    await world.core.connect(await world.dana(), OSLO, "oslo")
    await world.delivers()
    return world


def to(world: World, moment: datetime) -> None:
    world.clock.advance(moment - world.clock.now())


async def queue(world: World, reader: str, kind: MessageKind) -> OutboxMessage:
    message = tell(kind, reader, "", world.clock.now())
    await world.store.save(Change(puts=(message,)))
    return message


async def held(world: World) -> list[OutboxMessage]:
    return [message for message in await world.told() if message.due_at > world.clock.now()]


# ------------------------------------------------------------------ muted


@pytest.mark.parametrize("topic", [topic for topic in Topic if Hearer.ADMIN in HEARD_BY[topic]])
async def test_each_topic_muted_and_unmuted_by_a_person(oslo: World, topic: Topic) -> None:
    before = [await queue(oslo, DANA, kind) for kind in MessageKind]
    assert (await oslo.core.mute(await oslo.dana(), topic, None)).telling.mutes == (Mute(topic),)
    for message in before:  # what waits already is not told either
        assert await oslo.core.wanted(message) is (TOPIC_OF.get(message.kind) is not topic)
    await oslo.core.unmute(await oslo.dana(), topic)
    assert all([await oslo.core.wanted(message) for message in before])


@pytest.mark.parametrize("topic", [topic for topic in Topic if Hearer.CHANNEL in HEARD_BY[topic]])
async def test_each_topic_muted_and_unmuted_for_a_channel(oslo: World, topic: Topic) -> None:
    before = [await queue(oslo, OSLO.id, kind) for kind in TOPIC_OF]
    await oslo.core.mute(await oslo.dana(), topic, None, OSLO)
    for message in before:
        assert await oslo.core.wanted(message) is (TOPIC_OF[message.kind] is not topic)
    danas_own = await queue(oslo, DANA, MessageKind.PROBLEM_REPORTED)
    assert await oslo.core.wanted(danas_own)
    await oslo.core.unmute(await oslo.dana(), topic, OSLO)
    assert all([await oslo.core.wanted(message) for message in before])


async def test_whoever_muted_everything_still_gets_answers(oslo: World) -> None:
    await oslo.core.mute(await oslo.sam(), None, oslo.clock.now() + timedelta(hours=2))
    for kind in MessageKind:
        assert await oslo.core.wanted(await queue(oslo, SAM, kind)) is (kind in ALWAYS)
    oslo.later(hours=2)
    assert await oslo.core.wanted(await queue(oslo, SAM, MessageKind.NEW_JOBS))


async def test_the_ledger_says_that_it_was_muted(oslo: World) -> None:
    message = await queue(oslo, DANA, MessageKind.DEVICES_OFFLINE)
    await oslo.core.dropped(message := (await oslo.core.claim())[0], "muted")
    known = await oslo.store.get(OutboxMessage, message.id)
    assert known
    assert (known.status, known.failure) == (MessageStatus.DROPPED, "muted")


async def test_muting_is_a_fact(oslo: World) -> None:
    until = oslo.clock.now() + timedelta(hours=1)
    await oslo.core.mute(await oslo.dana(), Topic.DEVICES, until)
    await oslo.core.unmute(await oslo.dana(), Topic.DEVICES)
    await oslo.core.choose_digest(await oslo.dana(), DigestHour(time(9)))
    facts = [row.event for row in (await oslo.store.history(DANA, limit=3)).rows]
    now = oslo.clock.now()
    assert facts == [
        TellingChosen(at=now, actor=DANA, subject=DANA, muted=(), digest="09:00", quiet="default"),
        MessagesUnmuted(at=now, actor=DANA, subject=DANA, topic="devices"),
        MessagesMuted(at=now, actor=DANA, subject=DANA, topic="devices", until=until),
    ]
    await oslo.core.mute(await oslo.dana(), Topic.CODES, None, OSLO)
    assert (await oslo.store.history(OSLO.id, limit=1)).rows[0].event.name == "MessagesMuted"


async def test_nothing_changed_is_no_fact(oslo: World) -> None:
    before = await oslo.facts()
    await oslo.core.unmute(await oslo.dana(), Topic.DEVICES)
    await oslo.core.choose_quiet(await oslo.dana(), None)
    assert await oslo.facts() == before


async def test_nobody_mutes_what_they_never_hear(oslo: World) -> None:
    with pytest.raises(InvalidChoice, match="work, codes, devices, digest"):
        await oslo.core.mute(await oslo.sam(), Topic.PEOPLE, None)


async def test_for_a_channel_admins_choose_and_one_that_follows_nothing_has_nothing_to_mute(oslo: World) -> None:
    with pytest.raises(Forbidden):
        await oslo.core.mute(await oslo.sam(), None, None, OSLO)
    with pytest.raises(NotConnected):
        await oslo.core.mute(await oslo.dana(), None, None, channel("bergen"))
    rollout = await oslo.store.get(Rollout, OSLO.id)
    assert rollout and rollout.telling.mutes == ()


async def test_connecting_again_keeps_what_the_channel_chose(oslo: World) -> None:
    await oslo.core.mute(await oslo.dana(), Topic.DEVICES, None, OSLO)
    await oslo.core.connect(await oslo.dana(), OSLO, "")
    rollout = await oslo.store.get(Rollout, OSLO.id)
    assert rollout and rollout.telling.mutes == (Mute(Topic.DEVICES),)


async def test_an_admin_who_muted_codes_is_not_the_one_who_is_asked_for_one(oslo: World) -> None:
    await oslo.core.meet(member(LEE, "Lee Moe"), chat_of(LEE))
    await oslo.core.grant(await oslo.dana(), LEE, Role.ADMIN)
    await oslo.core.mute(await oslo.dana(), Topic.CODES, None)
    for _renewal in range(6):
        await oslo.core.renew(await oslo.sam(), "2.14")
    asked = (await oslo.device(A)).request
    assert asked and asked.admins == (LEE,)


# ------------------------------------------------------------------ quiet hours


async def test_an_admin_hears_everything_at_once_until_they_choose_quiet_hours(oslo: World) -> None:
    to(oslo, EVENING)
    await oslo.provisions(A)
    assert [message.due_at - oslo.clock.now() for message in await held(oslo) if message.recipient == DANA] == [
        timedelta(seconds=30)  # is gathered
    ]
    await oslo.core.choose_quiet(await oslo.dana(), QuietHours((time(19), time(7))))
    await oslo.provisions(B)
    [message] = [message for message in await held(oslo) if message.lane.startswith("quiet:")]
    assert (message.kind, message.recipient) == (MessageKind.SIGN_INS_WAITING, DANA)
    assert message.due_at == datetime(2026, 3, 3, 7, 0, tzinfo=UTC)


async def test_problems_and_locked_codes_come_at_once_in_quiet_hours_unless_they_are_muted(oslo: World) -> None:
    await oslo.core.choose_quiet(await oslo.dana(), QuietHours((time(19), time(7))))
    to(oslo, EVENING)
    await oslo.core.report(await oslo.sam(), "2.9", "broken", "")
    [message] = await oslo.told(MessageKind.PROBLEM_REPORTED, DANA)
    assert message.due_at == oslo.clock.now()
    assert await oslo.core.wanted(message)
    await oslo.core.mute(await oslo.dana(), Topic.PROBLEMS, None)
    assert not await oslo.core.wanted(message)


async def test_a_technicians_own_quiet_hours_win_over_the_deployments(oslo: World) -> None:
    to(oslo, EVENING)
    await oslo.core.choose_quiet(await oslo.sam(), QuietHours(None))
    await oslo.issue("2.14", SAM, void=True)
    assert await held(oslo) == []
    await oslo.core.choose_quiet(await oslo.sam(), QuietHours((time(18), time(6, 15))))
    await oslo.delivers()
    await oslo.issue("2.14", SAM, void=True)
    [message] = await held(oslo)
    # new jobs come with the morning message of that day, a little after half past seven
    assert message.due_at == datetime(2026, 3, 3, 7, 35, tzinfo=UTC)


@pytest.mark.parametrize(
    ("evening", "morning"),
    [
        (datetime(2026, 3, 28, 21, 0, tzinfo=UTC), datetime(2026, 3, 29, 5, 0, tzinfo=UTC)),
        (datetime(2026, 10, 24, 21, 0, tzinfo=UTC), datetime(2026, 10, 25, 6, 0, tzinfo=UTC)),
    ],
)
async def test_quiet_hours_over_midnight_end_by_the_clock_also_when_it_changes(
    oslo: World, evening: datetime, morning: datetime
) -> None:
    dana = await oslo.person(DANA)
    await oslo.store.save(Change(puts=(replace(dana, timezone="Europe/Oslo"),)))
    await oslo.core.choose_quiet(await oslo.dana(), QuietHours((time(22), time(7))))
    to(oslo, evening)
    [message] = await oslo.core.in_time((tell(MessageKind.DEVICES_STALE, DANA, "", oslo.clock.now()),))
    assert message.due_at == morning


async def test_what_waits_for_the_morning_is_timed_anew_when_quiet_hours_change(oslo: World) -> None:
    await oslo.core.choose_quiet(await oslo.dana(), QuietHours((time(19), time(7))))
    to(oslo, EVENING)
    await oslo.core.left(KIM)
    [message] = await oslo.told(MessageKind.UNREACHABLE, DANA)
    assert message.due_at == datetime(2026, 3, 3, 7, 0, tzinfo=UTC)
    await oslo.core.choose_quiet(await oslo.dana(), QuietHours((time(19), time(9))))
    assert [each.due_at for each in await held(oslo)] == [datetime(2026, 3, 3, 9, 0, tzinfo=UTC)]
    await oslo.core.choose_quiet(await oslo.dana(), None)
    assert await held(oslo) == []
    assert [sent.kind for sent in await oslo.delivers()] == [MessageKind.UNREACHABLE]


async def test_a_channels_quiet_hours_hold_back_its_milestones_and_no_problem(oslo: World) -> None:
    await oslo.core.choose_quiet(await oslo.dana(), QuietHours((time(19), time(7))), OSLO)
    to(oslo, EVENING)
    await oslo.provisions(A)
    await oslo.core.followed_in(OSLO.id)
    await oslo.core.report(await oslo.sam(), "2.9", "broken", "")
    due = {message.kind: message.due_at for message in await oslo.told(reader=OSLO.id)}
    morning = datetime(2026, 3, 3, 7, 0, tzinfo=UTC)
    assert due[MessageKind.ROLLOUT_STARTED] == due[MessageKind.MILESTONE] == morning
    assert due[MessageKind.PROBLEM_REPORTED] == oslo.clock.now()


# ------------------------------------------------------------------ all of it at once


async def test_all_of_it_is_chosen_at_once(oslo: World) -> None:
    heard = await oslo.core.choose_telling(
        await oslo.dana(), {Topic.PROBLEMS, Topic.CODES}, DigestHour(time(9)), QuietHours(None)
    )
    assert {mute.topic for mute in heard.telling.mutes} == {
        Topic.SIGN_IN,
        Topic.DEVICES,
        Topic.PEOPLE,
        Topic.PROGRESS,
    }
    assert (heard.telling.digest, heard.telling.quiet) == (DigestHour(time(9)), QuietHours(None))
    assert heard.digest_due == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def test_an_hour_that_is_just_over_counts_from_the_next_day_on(oslo: World) -> None:
    heard = await oslo.core.choose_digest(await oslo.sam(), DigestHour(time(7)))
    assert heard.digest_due == datetime(2026, 3, 3, 7, 0, tzinfo=UTC)


async def test_a_digest_that_is_chosen_is_not_muted(oslo: World) -> None:
    await oslo.core.mute(await oslo.dana(), Topic.DIGEST, None)
    heard = await oslo.core.choose_digest(await oslo.dana(), DigestHour(time(15)))
    assert heard.telling.mutes == ()
