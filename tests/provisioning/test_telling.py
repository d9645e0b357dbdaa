"""What a reader wants to hear: topics, mutes with and without an end, the digest's hour, quiet hours. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from provisioning.hours import Hours, parse_length, parse_span, parse_time
from provisioning.messages import MessageKind
from provisioning.telling import (
    ALWAYS,
    CAN_WAIT,
    HEARD_BY,
    LATE,
    TOPIC_OF,
    WAITS_IF_CHOSEN,
    DigestHour,
    Hearer,
    Mute,
    QuietHours,
    Telling,
    Topic,
    due_day,
    look_back,
    next_digest,
    topics_of,
)

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # a Monday
LATER = NOW + timedelta(hours=2)
OSLO, AUCKLAND = ZoneInfo("Europe/Oslo"), ZoneInfo("Pacific/Auckland")
WORKDAYS = frozenset(range(5))
AT = time(7, 30)


# ------------------------------------------------------------------ the tables


@pytest.mark.parametrize("kind", MessageKind)
def test_every_kind_of_message_is_about_a_topic_or_always_told(kind: MessageKind) -> None:
    """A new kind goes into `TOPIC_OF`; into `ALWAYS` where it answers what its reader did, or is about their access."""
    assert (kind in TOPIC_OF) is not (kind in ALWAYS)


def test_what_is_locked_or_waits_on_site_comes_at_once_whatever_the_hour() -> None:
    urgent = {MessageKind.PROBLEM_REPORTED, MessageKind.CODE_LOCKED, MessageKind.CODE_WANTED, MessageKind.STRAY_ASKED}
    assert not urgent & (CAN_WAIT | WAITS_IF_CHOSEN)


def test_every_topic_has_readers_and_messages() -> None:
    assert set(HEARD_BY) == set(Topic) == set(TOPIC_OF.values())
    assert topics_of(Hearer.TECHNICIAN) == (Topic.WORK, Topic.CODES, Topic.DEVICES, Topic.DIGEST)
    assert Topic.WORK not in topics_of(Hearer.ADMIN)
    assert topics_of(Hearer.CHANNEL) == (Topic.CODES, Topic.PROBLEMS, Topic.DEVICES, Topic.PROGRESS, Topic.DIGEST)


# ------------------------------------------------------------------ mutes


@pytest.mark.parametrize("kind", TOPIC_OF)
def test_a_muted_topic_silences_its_messages_and_no_others(kind: MessageKind) -> None:
    for topic in Topic:
        muted = Telling().muted(topic, None, NOW)
        assert muted.wants(kind, NOW) is (TOPIC_OF[kind] is not topic)
        assert muted.unmuted(topic, NOW).wants(kind, NOW)
    assert not Telling().muted(None, None, NOW).wants(kind, NOW)


@pytest.mark.parametrize("kind", sorted(ALWAYS))
def test_answers_and_ones_own_access_come_even_if_everything_is_muted(kind: MessageKind) -> None:
    assert Telling().muted(None, None, NOW).wants(kind, NOW)


def test_a_mute_ends_by_itself_at_its_very_moment() -> None:
    muted = Telling().muted(Topic.DEVICES, LATER, NOW)
    assert not muted.wants(MessageKind.DEVICES_OFFLINE, LATER - timedelta(microseconds=1))
    assert muted.wants(MessageKind.DEVICES_OFFLINE, LATER)


def test_the_latest_word_about_a_topic_counts_and_what_is_over_is_forgotten() -> None:
    once = Telling().muted(Topic.DEVICES, None, NOW).muted(Topic.DEVICES, LATER, NOW)
    assert once.mutes == (Mute(Topic.DEVICES, LATER),)
    assert once.muted(Topic.CODES, None, LATER).mutes == (Mute(Topic.CODES),)


def test_of_two_mutes_the_longer_one_is_said() -> None:
    both = Telling().muted(Topic.DEVICES, LATER, NOW).muted(None, NOW + timedelta(hours=1), NOW)
    assert both.mute_of(Topic.DEVICES, NOW) == Mute(Topic.DEVICES, LATER)
    assert both.mute_of(None, NOW) == Mute(None, NOW + timedelta(hours=1))
    assert both.muted(None, None, NOW).mute_of(Topic.DEVICES, NOW) == Mute()


def test_one_topic_out_of_everything_muted_leaves_the_others_so_for_as_long() -> None:
    told = Telling().muted(None, LATER, NOW).unmuted(Topic.PROBLEMS, NOW)
    assert told.wants(MessageKind.PROBLEM_REPORTED, NOW)
    assert {mute.topic for mute in told.mutes} == set(Topic) - {Topic.PROBLEMS}
    assert {mute.until for mute in told.mutes} == {LATER}


def test_unmuting_everything_leaves_nothing_muted() -> None:
    assert Telling().muted(Topic.DEVICES, None, NOW).muted(None, LATER, NOW).unmuted(None, NOW) == Telling()


def test_a_card_that_is_saved_as_it_was_changes_nothing() -> None:
    admin = topics_of(Hearer.ADMIN)
    for telling in (Telling(), Telling().muted(Topic.DEVICES, LATER, NOW), Telling().muted(None, LATER, NOW)):
        heard = [topic for topic in admin if telling.mute_of(topic, NOW) is None]
        assert telling.hearing(heard, admin, NOW) == telling
    chosen = Telling().muted(Topic.DEVICES, LATER, NOW).hearing(set(admin) - {Topic.CODES}, admin, NOW)
    assert chosen.mutes == (Mute(Topic.CODES),)


# ------------------------------------------------------------------ quiet hours


def test_ones_own_quiet_hours_win_over_the_deployments() -> None:
    deployment = Hours()
    own = Telling(quiet=QuietHours((time(22), time(6))))
    for kind in MessageKind:
        assert Telling().hours_for(kind, deployment).quiet == (deployment.quiet if kind in CAN_WAIT else None)
        waits = kind in CAN_WAIT | WAITS_IF_CHOSEN
        assert own.hours_for(kind, deployment).quiet == ((time(22), time(6)) if waits else None)
        assert Telling(quiet=QuietHours(None)).hours_for(kind, deployment).quiet is None


# ------------------------------------------------------------------ the digest's hour


def test_admins_have_a_digest_in_the_morning_others_only_if_they_choose() -> None:
    hours = Hours()
    assert [Telling().digest_at(hearer, hours) for hearer in Hearer] == [hours.morning, None, None]
    for hearer in Hearer:
        assert Telling(digest=DigestHour(time(15))).digest_at(hearer, hours) == time(15)
        assert Telling(digest=DigestHour(None)).digest_at(hearer, hours) is None


def minutes(day: date, at: time, zone: ZoneInfo) -> list[datetime]:
    """Those around this day in which its digest is due."""
    start = datetime.combine(day - timedelta(days=1), time(), UTC)
    every = (start + timedelta(minutes=n) for n in range(3 * 24 * 60))
    return [now for now in every if due_day(at, now, zone, WORKDAYS) == day]


@pytest.mark.parametrize(
    ("zone", "day", "first"),
    [
        (OSLO, date(2026, 3, 2), "2026-03-02T06:30"),
        (OSLO, date(2026, 3, 30), "2026-03-30T05:30"),  # summer time began the day before
        (OSLO, date(2026, 10, 26), "2026-10-26T06:30"),  # and ended
        (AUCKLAND, date(2026, 3, 2), "2026-03-01T18:30"),
    ],
)
def test_it_is_due_at_its_hour_by_the_readers_clock_and_for_some_hours(zone: ZoneInfo, day: date, first: str) -> None:
    found = minutes(day, AT, zone)
    assert found[0] == datetime.fromisoformat(first).replace(tzinfo=UTC)
    assert found[-1] == found[0] + LATE - timedelta(minutes=1)


def test_an_hour_that_clocks_skip_is_made_up_for_and_one_that_comes_twice_comes_once() -> None:
    every_day = frozenset(range(7))
    skipped, twice = date(2026, 3, 29), date(2026, 10, 25)
    at = time(2, 30)
    assert due_day(at, datetime(2026, 3, 29, 1, 29, tzinfo=UTC), OSLO, every_day) is None
    assert due_day(at, datetime(2026, 3, 29, 1, 30, tzinfo=UTC), OSLO, every_day) == skipped
    assert due_day(at, datetime(2026, 10, 25, 0, 29, tzinfo=UTC), OSLO, every_day) is None
    assert due_day(at, datetime(2026, 10, 25, 0, 30, tzinfo=UTC), OSLO, every_day) == twice


def test_one_late_in_the_evening_is_of_its_own_day_past_midnight() -> None:
    night = datetime(2026, 3, 3, 0, 30, tzinfo=UTC)
    assert due_day(time(23, 30), night, ZoneInfo("UTC"), WORKDAYS) == date(2026, 3, 2)


def test_there_is_none_on_the_weekend() -> None:
    assert not minutes(date(2026, 3, 7), AT, OSLO)


def test_when_the_next_one_comes() -> None:
    def following(told_on: str, now: datetime) -> datetime | None:
        return next_digest(AT, told_on, now, OSLO, WORKDAYS)

    assert following("2026-03-02", NOW) == datetime(2026, 3, 3, 6, 30, tzinfo=UTC)
    assert following("2026-03-01", NOW - timedelta(hours=4)) == datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
    assert following("2026-03-06", NOW + timedelta(days=4)) == datetime(2026, 3, 9, 6, 30, tzinfo=UTC)
    assert next_digest(AT, "2026-03-02", NOW, OSLO, frozenset()) is None


def test_it_looks_back_to_the_same_hour_of_the_workday_before() -> None:
    monday = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
    assert look_back(monday, OSLO, WORKDAYS) == datetime(2026, 2, 27, 6, 30, tzinfo=UTC)
    assert look_back(monday + timedelta(days=1), OSLO, WORKDAYS) == monday
    after_the_change = datetime(2026, 3, 30, 5, 30, tzinfo=UTC)
    assert look_back(after_the_change, OSLO, WORKDAYS) == datetime(2026, 3, 27, 6, 30, tzinfo=UTC)
    assert look_back(monday, OSLO, frozenset()) == monday - timedelta(days=1)


# ------------------------------------------------------------------ as it is typed


@pytest.mark.parametrize(("text", "value"), [("90m", 90), ("2h", 120), ("3 D", 3 * 24 * 60)])
def test_lengths(text: str, value: int) -> None:
    assert parse_length(text) == timedelta(minutes=value)


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 hours", "999999h", "2h3m", "٢h"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(ValueError):
        parse_length(text)


def test_times_and_spans() -> None:
    assert parse_time("7:05") == time(7, 5)
    assert parse_span("19:00 - 07:00") == (time(19), time(7))
    for wrong in ("24:00", "7", "", "07:30:00"):
        with pytest.raises(ValueError):
            parse_time(wrong)
    for wrong in ("19:00", "19:00-19:00", "19-07", "-"):
        with pytest.raises(ValueError):
            parse_span(wrong)
