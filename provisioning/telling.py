"""What a person or a channel wants to hear about, and when: topics, mutes, the digest's hour, quiet hours. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from provisioning.hours import DAY, Hours, moment
from provisioning.messages import MessageKind

MUTED = "muted"  # why a message was dropped that its reader did not want to hear
LATE = timedelta(hours=4)  # a digest that was missed is still said so long after its hour; then the next day's comes
LONGEST_MUTE = timedelta(days=30)  # for longer, for good


class Topic(StrEnum):
    """What messages are about; the values are what people type."""

    WORK = "work"  # devices to install
    CODES = "codes"  # they end, are locked, are asked for
    PROBLEMS = "problems"  # on site
    SIGN_IN = "sign-in"  # devices that wait for it
    DEVICES = "devices"  # silent, reset, in another room
    PEOPLE = "people"  # access asked for, people out of reach
    PROGRESS = "progress"  # start and milestones of rollouts, and their cards
    DIGEST = "digest"  # the daily one


class Hearer(StrEnum):
    ADMIN = "admin"
    TECHNICIAN = "technician"
    CHANNEL = "channel"


TOPIC_OF: Mapping[MessageKind, Topic] = {
    MessageKind.MORNING: Topic.WORK,
    MessageKind.NEW_JOBS: Topic.WORK,
    MessageKind.REMINDER: Topic.WORK,
    MessageKind.CODE_WANTED: Topic.CODES,
    MessageKind.CODE_LOCKED: Topic.CODES,
    MessageKind.CODES_ENDING: Topic.CODES,
    MessageKind.CODES_TO_EXTEND: Topic.CODES,
    MessageKind.CODES_ENDED: Topic.CODES,
    MessageKind.CODES_DYING: Topic.CODES,
    MessageKind.PROBLEM_REPORTED: Topic.PROBLEMS,
    MessageKind.STRAY_ASKED: Topic.PROBLEMS,
    MessageKind.SIGN_INS_WAITING: Topic.SIGN_IN,
    MessageKind.ROOM_DIFFERS: Topic.DEVICES,
    MessageKind.RESET_DOUBTED: Topic.DEVICES,
    MessageKind.DEVICES_OFFLINE: Topic.DEVICES,
    MessageKind.DEVICES_STALE: Topic.DEVICES,
    MessageKind.ACCESS_ASKED: Topic.PEOPLE,
    MessageKind.UNREACHABLE: Topic.PEOPLE,
    MessageKind.LEFT_GROUP: Topic.PEOPLE,
    MessageKind.ROLLOUT_STARTED: Topic.PROGRESS,
    MessageKind.MILESTONE: Topic.PROGRESS,
    MessageKind.ROLLOUT_TURNED: Topic.PROGRESS,
    MessageKind.CARD_GONE: Topic.PROGRESS,
    MessageKind.CHANNEL_LOST: Topic.PROGRESS,
    MessageKind.DIGEST: Topic.DIGEST,
}

# Answers to what somebody asked or did, their own access, an attack: what nobody can do without.
ALWAYS = frozenset(
    {
        MessageKind.EDIT,
        MessageKind.NEXT_DEVICE,
        MessageKind.ACCESS_GRANTED,
        MessageKind.CODE_ANSWERED,
        MessageKind.STRAY,
        MessageKind.STRAY_ADDED,
        MessageKind.PROBLEM_ANSWERED,
        MessageKind.PHOTO_MISSING,
        MessageKind.SIGN_IN_REFUSED,
        MessageKind.NEXT_SIGN_IN,
        MessageKind.COMMAND_SETTLED,
        MessageKind.ATTACK,
        MessageKind.ATTACK_OVER,
        MessageKind.WEBHOOK,  # to a machine
    }
)

HEARD_BY: Mapping[Topic, frozenset[Hearer]] = {
    Topic.WORK: frozenset({Hearer.TECHNICIAN}),
    Topic.CODES: frozenset(Hearer),
    Topic.PROBLEMS: frozenset({Hearer.ADMIN, Hearer.CHANNEL}),
    Topic.SIGN_IN: frozenset({Hearer.ADMIN}),
    Topic.DEVICES: frozenset(Hearer),
    Topic.PEOPLE: frozenset({Hearer.ADMIN}),
    Topic.PROGRESS: frozenset({Hearer.ADMIN, Hearer.CHANNEL}),
    Topic.DIGEST: frozenset(Hearer),
}

# Unasked, to technicians: not in the quiet hours, their own or the deployment's.
CAN_WAIT = frozenset(
    {
        MessageKind.MORNING,
        MessageKind.NEW_JOBS,
        MessageKind.REMINDER,
        MessageKind.CODES_ENDING,
        MessageKind.PROBLEM_ANSWERED,
    }
)
# To admins and channels, who hear everything at once unless they chose quiet hours. What somebody on site or a locked
# code waits for is not among them.
WAITS_IF_CHOSEN = frozenset(
    {
        MessageKind.ACCESS_ASKED,
        MessageKind.UNREACHABLE,
        MessageKind.LEFT_GROUP,
        MessageKind.ROOM_DIFFERS,
        MessageKind.SIGN_INS_WAITING,
        MessageKind.DEVICES_OFFLINE,
        MessageKind.DEVICES_STALE,
        MessageKind.ROLLOUT_STARTED,
        MessageKind.MILESTONE,
        MessageKind.CODES_ENDED,
    }
)


@dataclass(frozen=True, slots=True)
class Mute:
    """Nothing of this topic (None: of any) is told, until a moment or (None) until it is wanted again."""

    topic: Topic | None = None
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class DigestHour:
    """When somebody chose to get their digest, on their own clock; None: never."""

    at: time | None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The quiet hours that somebody chose, on their own clock; None: none at all."""

    span: tuple[time, time] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What one reader wants to hear; as it is by default: everything."""

    mutes: tuple[Mute, ...] = ()
    digest: DigestHour | None = None  # None: the deployment's morning for admins, never for others
    quiet: QuietHours | None = None  # None: the deployment's

    # -------------------------------------------------------------- asked

    def mute_of(self, topic: Topic | None, now: datetime) -> Mute | None:
        """What mutes this topic (None: everything) now; of two, the one that lasts longer."""
        found = [mute for mute in self.mutes if mute.topic in (None, topic) and mute.holds(now)]
        return max(found, key=lambda mute: (mute.until is None, mute.until or now), default=None)

    def wants(self, kind: MessageKind, now: datetime) -> bool:
        topic = TOPIC_OF.get(kind)
        return topic is None or self.mute_of(topic, now) is None

    def digest_at(self, hearer: Hearer, hours: Hours) -> time | None:
        if self.digest:
            return self.digest.at
        return hours.morning if hearer is Hearer.ADMIN else None

    def hours_for(self, kind: MessageKind, deployment: Hours) -> Hours:
        """The hours by which a message of this kind is held back; without quiet ones where it never is."""
        if self.quiet and kind in CAN_WAIT | WAITS_IF_CHOSEN:
            return replace(deployment, quiet=self.quiet.span)
        return deployment if kind in CAN_WAIT else replace(deployment, quiet=None)

    # -------------------------------------------------------------- changed

    def muted(self, topic: Topic | None, until: datetime | None, now: datetime) -> Telling:
        """The latest word about a topic counts; that about everything leaves topics as they are."""
        others = tuple(mute for mute in self.mutes if mute.topic != topic and mute.holds(now))
        return replace(self, mutes=(*others, Mute(topic, until)))

    def unmuted(self, topic: Topic | None, now: datetime) -> Telling:
        """Everything is told again, or this topic: where everything was muted, the others stay so."""
        if topic is None:
            return replace(self, mutes=())
        others = ((each, self.mute_of(each, now)) for each in Topic if each is not topic)
        return replace(self, mutes=tuple(Mute(each, mute.until) for each, mute in others if mute))

    def hearing(self, wanted: Collection[Topic], among: Collection[Topic], now: datetime) -> Telling:
        """Of some topics exactly these are told; one muted for a while that stays unwanted is so for that while."""
        told = self
        for topic in among:
            mute = told.mute_of(topic, now)
            if topic in wanted and mute:
                told = told.unmuted(topic, now)
            elif topic not in wanted and mute is None:
                told = told.muted(topic, None, now)
        return told


EVERYTHING_TOLD = Telling()


def topics_of(*hearers: Hearer) -> tuple[Topic, ...]:
    """What there are messages about for somebody who is all of these."""
    return tuple(topic for topic in Topic if not HEARD_BY[topic].isdisjoint(hearers))


def due_day(at: time, now: datetime, zone: tzinfo, workdays: Collection[int]) -> date | None:
    """The day whose digest is to be said now; None where it is too early or too late, or no workday."""
    today = now.astimezone(zone).date()
    for day in (today, today - DAY):
        begun = moment(day, at, zone)
        if day.weekday() in workdays and begun <= now < begun + LATE:
            return day
    return None


def next_digest(at: time, told_on: str, now: datetime, zone: tzinfo, workdays: Collection[int]) -> datetime | None:
    """When the next digest falls due, where the day `told_on` (ISO 8601) had its own; None without any workday."""
    today = now.astimezone(zone).date()
    days = (today + n * DAY for n in range(-1, 9))
    fit = (day for day in days if day.weekday() in workdays and day.isoformat() > told_on)
    return next((due for day in fit if (due := moment(day, at, zone)) + LATE > now), None)


def look_back(now: datetime, zone: tzinfo, workdays: Collection[int]) -> datetime:
    """The same hour of the workday before: after a weekend nothing is left out; without workdays, a day ago."""
    local = now.astimezone(zone)
    days = (local.date() - n * DAY for n in range(1, 8))
    before = next((day for day in days if day.weekday() in workdays), local.date() - DAY)
    return moment(before, local.time(), zone)
