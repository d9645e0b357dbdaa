"""The nouns: frozen records, times aware in UTC; `version` is the one a record was read with (0: not stored)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Self, TypeVar

from provisioning.batches import Batch
from provisioning.bookkeeping import Attempts, Lease, Operation, Segment
from provisioning.commands import DeviceCommand
from provisioning.conversations import Conversation
from provisioning.jobs import Job
from provisioning.making import changed
from provisioning.memberships import Membership
from provisioning.messages import OutboxMessage, Post
from provisioning.onsite import CodeRequest, Installation, Problem, Stray
from provisioning.photos import Photo
from provisioning.rollouts import Rollout
from provisioning.signin import SignIn, SignInRun
from provisioning.telling import EVERYTHING_TOLD, Telling
from provisioning.uploads import Upload, UploadPart

if TYPE_CHECKING:
    from provisioning.events import Event


R = TypeVar("R", bound="Record")


class State(StrEnum):
    """Where a device stands; the values are the states on the wire."""

    WAITING_FOR_ACTIVATION = "waiting_for_activation"  # listed, has not called in during this life
    WAITING_FOR_SIGN_IN = "waiting_for_sign_in"  # called in with its code, shows the tenant's name
    SIGNED_IN = "signed_in"  # the intended account approved it
    SIGNED_OUT = "signed_out"  # was signed in; can be signed in again without anybody on site


class Role(StrEnum):
    ADMIN = "admin"
    TECHNICIAN = "technician"


class Authority(StrEnum):
    """Who accepts a code."""

    OWN = "own"  # our device API
    TEAMS = "teams"  # Microsoft's service: made in the Teams admin centre, brought here by an upload


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is acting: a verified account (or the service itself) and the operation that must take effect only once."""

    id: str
    name: str
    tenant: str
    roles: frozenset[Role] = frozenset()
    operation: str = ""  # unique per intent: two deliveries of one press carry the same
    post: str = ""  # key of the post whose button was pressed: its answer redraws it, nothing else has to

    @property
    def is_admin(self) -> bool:
        return Role.ADMIN in self.roles

    @property
    def is_technician(self) -> bool:
        return Role.TECHNICIAN in self.roles


@dataclass(frozen=True, slots=True)
class ActivationCode:
    """A one-time code as it is stored: sealed for showing, hashed for verifying, never in clear."""

    issue: int  # counts the codes this device ever had; bound into the seal
    issued_at: datetime
    expires_at: datetime
    issued_by: str
    key_id: str
    sealed: str | None  # AES-256-GCM, base64; erased on use, reissue, revoke and at expiry
    digest: str | None  # HMAC-SHA-256, hex; kept past expiry so that only the right late code is told so
    failures: int = 0  # wrong codes presented for this MAC while this code was alive
    authority: Authority = Authority.OWN  # one of TEAMS has no digest: our device API never accepts it
    told_at: datetime | None = None  # when somebody was told that it ends soon
    mark: str = ""  # of one of TEAMS: a keyed hash, kept when the seal is gone, so that the same file again is known

    def live(self, now: datetime) -> bool:
        return self.sealed is not None and now < self.expires_at


def room_of(text: str) -> str:
    """The last level of what somebody calls a place, without the word for a room: `2.14` of `Oslo/2/Room 2.14`."""
    return re.sub(r"^(room|raum)\s+", "", text.rpartition("/")[2].strip(), flags=re.IGNORECASE)


def site_of(location: str) -> str:
    return location.split("/", 1)[0].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device; its MAC (12 upper-case hex digits) is its identity."""

    mac: str
    location: str
    added_at: datetime
    added_by: str
    state: State = State.WAITING_FOR_ACTIVATION
    life: int = 1
    type: str = ""
    model: str = ""
    serial: str = ""
    software: str = ""
    account: str = ""
    technician: str = ""  # person id
    tags: tuple[str, ...] = ()
    notes: str = ""
    asset_tag: str = ""
    code: ActivationCode | None = None
    issued: int = 0  # codes issued so far, the issue number of the last one
    token: str = ""  # SHA-256 of the device's bearer token, hex
    reset_token: str = ""  # the same of a life that an admin ended, or a device off the list: worth a reset's report
    retry_key: str = ""  # keyed hash of the Idempotency-Key that was answered 200
    retry_until: datetime | None = None
    provisioned_at: datetime | None = None
    installed: Installation | None = None
    problem: Problem | None = None
    renewals: tuple[datetime, ...] = ()  # when a technician made this device's code by themselves, last 24 h
    request: CodeRequest | None = None  # a code is asked for and not yet made
    stray: Stray | None = None  # another device called with this one's code
    locked_at: datetime | None = None  # too many wrong codes ended its last code
    sign_in: SignIn | None = None  # the last remote sign-in, live or ended
    offline_since: datetime | None = None  # its last call, where that is longer ago than OFFLINE_AFTER
    stale: bool = False  # no contact for longer than STALE_AFTER: flagged, never dropped
    signed_in_as: str = ""  # the account that approved last, as people write it; kept after a sign-out
    signed_in_id: str = ""  # its object id: the next sign-in of the same account is compared with it
    signed_in_at: datetime | None = None
    account_anew: bool = False  # an admin said that this account was made anew: what was known of its id is void
    commands: tuple[DeviceCommand, ...] = ()  # those that wait, and the latest that were settled
    doubted_at: datetime | None = None  # it presented its MAC though it was provisioned: told at most hourly
    doubt_ended_by: str = ""  # name of whoever said that it was not reset; empty while nobody did
    removed_at: datetime | None = None  # kept: a removed device that comes back has its state and life
    batch: str = ""  # the import that put it on the list: nobody sees it while that batch `hides`
    version: int = 0

    @property
    def key(self) -> str:
        return self.mac

    @property
    def site(self) -> str:
        return site_of(self.location)

    @property
    def floor(self) -> str:
        """The second of at least three levels; empty where the location has none."""
        levels = self.location.split("/")
        return levels[1].strip() if len(levels) > 2 else ""

    @property
    def place(self) -> str:
        """The last part of the location: what people on site call it."""
        return self.location.rsplit("/", 1)[-1].strip()

    @property
    def provisioned(self) -> bool:
        return self.state is not State.WAITING_FOR_ACTIVATION

    @property
    def removed(self) -> bool:
        return self.removed_at is not None

    @property
    def open_job(self) -> bool:
        """Something on site is still to be done for it."""
        return not self.removed and self.installed is None

    @property
    def elsewhere(self) -> str:
        """The room where it hangs, as its technician said, where that is not the one in the list."""
        room = self.installed.room if self.installed else ""
        return room if room_of(room).casefold() != room_of(self.place).casefold() else ""

    @property
    def held_up(self) -> bool:
        """By a problem that nobody has answered yet."""
        return self.problem is not None and self.problem.answer is None

    @property
    def cut_off(self) -> bool:
        """It was taken off the list and came back: its token is dead, and only a reset leads on."""
        return self.provisioned and not self.token and not self.removed

    @property
    def waiting_commands(self) -> tuple[DeviceCommand, ...]:
        return tuple(command for command in self.commands if command.open)

    @property
    def live_sign_in(self) -> SignIn | None:
        return self.sign_in if self.sign_in and self.sign_in.live else None

    @property
    def reset_awaited(self) -> bool:
        """An admin began a new life, and nobody has said yet that the device itself was reset."""
        return self.life > 1 and bool(self.reset_token) and not self.provisioned and not self.removed

    def live_code(self, now: datetime) -> ActivationCode | None:
        return self.code if self.code and self.code.live(now) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who wrote to the bot, is on a team's roster, or was granted a role beforehand."""

    id: str  # Entra object id; `upn:NAME` while a grant waits for its account
    tenant: str = ""
    name: str = ""
    upn: str = ""
    teams_id: str = ""  # the id Teams addresses them by, `29:…`
    roles: frozenset[Role] = frozenset()
    granted_by: str = ""
    granted_at: datetime | None = None
    asked_at: datetime | None = None  # asked for access and waits for an answer
    chat: Conversation | None = None  # their 1:1 chat with the bot
    reachable: bool = True  # false once their chat answered 403
    locale: str = ""  # as their client says
    language: str = ""  # as they said themselves; wins over `locale`
    timezone: str = ""
    guest: bool = False  # of the tenant, as Teams says; guests have no role
    current: str = ""  # MAC of the one device whose code their phone shows
    photo_for: str = ""  # MAC whose install their next picture belongs to …
    photo_until: datetime | None = None  # … if it comes by then
    signing: SignInRun | None = None  # of an admin: devices that they sign in one after the other
    greeted_on: str = ""  # the day, on their own calendar, that began last, with a message or without (ISO 8601)
    access_ended_at: datetime | None = None
    telling: Telling = EVERYTHING_TOLD  # what they want to hear about, and when
    digested_on: str = ""  # the day, on their own calendar, whose digest was looked at last (ISO 8601)
    membership: Membership | None = None  # what Entra groups give them, as the directory said last
    version: int = 0

    @property
    def key(self) -> str:
        return self.id

    def listed_as(self, role: Role) -> bool:
        """Whether to look for them among those with this role; whether they have it now, `roles_of` knows."""
        known = self.membership
        return role in self.roles or (known is not None and (role in known.roles or known.ending))


def stored(record: R) -> R:
    """The record as it stands once the unit that put it was saved."""
    return changed(record, version=record.version + 1)


Noun = Device | Person | Rollout | Post | Batch | Upload | UploadPart | Job | Photo
Record = Noun | Attempts | Operation | Lease | Segment | OutboxMessage


@dataclass(frozen=True, slots=True)
class Change:
    """A unit of work as a value: a store applies all of it or nothing."""

    puts: tuple[Record, ...] = ()
    deletes: tuple[Record, ...] = ()
    events: tuple[Event, ...] = ()

    def __add__(self, other: Change) -> Self:
        return type(self)(self.puts + other.puts, self.deletes + other.deletes, self.events + other.events)

    def __bool__(self) -> bool:
        return bool(self.puts or self.deletes or self.events)
