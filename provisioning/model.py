"""The nouns: frozen records, times aware in UTC; `version` is the one a record was read with (0: not stored)."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Self, TypeVar

from provisioning.batches import Batch
from provisioning.bookkeeping import Attempts, Lease, Operation, Segment
from provisioning.commands import DeviceCommand
from provisioning.jobs import Job
from provisioning.onsite import CodeRequest, Installation, Problem, Stray
from provisioning.photos import Photo
from provisioning.signin import SignIn, SignInRun
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


class ConversationKind(StrEnum):
    PERSONAL = "personal"
    GROUP = "groupChat"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Conversation:
    """What it takes to write into a chat or channel again later."""

    id: str
    kind: ConversationKind
    service_url: str
    tenant: str
    bot_id: str
    channel_id: str = "msteams"
    name: str = ""
    team: str = ""

    @property
    def personal(self) -> bool:
        return self.kind is ConversationKind.PERSONAL


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
    version: int = 0

    @property
    def key(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A site or a tag in motion, followed by one channel; the channel's conversation id is its key."""

    channel: Conversation
    site: str  # with no tag either: follows every site
    connected_by: str
    connected_by_name: str
    started_at: datetime
    reached: tuple[int, ...] = ()  # milestones already told, in per cent
    tag: str = ""  # followed instead of a site
    on_site: bool = False  # its codes start on site: made when a technician stands before the device
    version: int = 0

    @property
    def key(self) -> str:
        return self.channel.id

    @property
    def scope(self) -> str:
        return f"#{self.tag}" if self.tag else self.site  # as it is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A card the bot has posted and can edit: where it stands and how to draw it anew from committed state."""

    conversation: Conversation
    activity_id: str
    reader: str  # person id, or the channel's conversation id
    subject: str  # MAC, batch key, person id or channel id whose changes redraw it
    view: str  # name of the handler that draws it
    params: tuple[tuple[str, str], ...] = ()  # ids for that handler, never text
    revision: int = 0  # version of the subject it was drawn from
    shows_code: bool = False
    posted_at: datetime
    edited_at: datetime | None = None
    opened_at: datetime | None = None  # first seen by its reader
    message: str = ""  # the outbox message that carried it
    reposted: bool = False  # it was deleted in the channel and posted once more
    version: int = 0

    @property
    def key(self) -> str:
        return f"{self.conversation.id}|{self.activity_id}"


def stored(record: R) -> R:
    """The record as it stands once the unit that put it was saved."""
    return replace(record, version=record.version + 1)


class MessageKind(StrEnum):
    """Why a message is sent; the handler of the same name draws it at send time."""

    EDIT = "edit"  # redraw one post
    NEXT_DEVICE = "next_device"  # to a technician: the next device's card
    MORNING = "morning"  # to a technician: their day begins
    NEW_JOBS = "new_jobs"  # to a technician: devices were handed over
    ACCESS_GRANTED = "access_granted"
    ACCESS_ASKED = "access_asked"  # to admins
    CODE_WANTED = "code_wanted"  # to admins: a technician may not renew by themselves
    CODE_ANSWERED = "code_answered"  # to a technician: an admin made the code they asked for, or refused it
    CODE_LOCKED = "code_locked"  # to admins: too many wrong codes, the code was revoked
    STRAY = "stray"  # to a technician: another device called with a code of theirs
    STRAY_ASKED = "stray_asked"  # to admins: a technician is at a device that is not theirs, or nowhere listed
    STRAY_ADDED = "stray_added"  # to the technician who asked: that device is theirs now
    PROBLEM_REPORTED = "problem_reported"  # to admins and to the channel's thread
    ROOM_DIFFERS = "room_differs"  # to admins: it hangs elsewhere than the list says
    PROBLEM_ANSWERED = "problem_answered"  # to the technician
    UNREACHABLE = "unreachable"  # to admins: somebody's chat answered 403
    ROLLOUT_STARTED = "rollout_started"  # thread
    MILESTONE = "milestone"  # thread
    CODES_ENDING = "codes_ending"  # to a technician: theirs end within the hour
    CODES_TO_EXTEND = "codes_to_extend"  # to admins: many end, or some that nobody on site can renew
    CODES_ENDED = "codes_ended"  # thread: more than five codes died
    PHOTO_MISSING = "photo_missing"  # to a technician: the photo of an install did not come
    SIGN_INS_WAITING = "sign_ins_waiting"  # to admins: devices wait for sign-in
    SIGN_IN_REFUSED = "sign_in_refused"  # to the admin who asked: another account approved, or it cannot be trusted
    NEXT_SIGN_IN = "next_sign_in"  # to an admin who signs in one after the other: the next one
    RESET_DOUBTED = "reset_doubted"  # to whoever holds it, or to admins: a provisioned device presented its MAC again
    COMMAND_SETTLED = "command_settled"  # to the admin who asked a device for something, where it took a while
    DEVICES_OFFLINE = "devices_offline"  # to admins and to the channel's thread
    DEVICES_STALE = "devices_stale"  # to admins: no contact for long
    CARD_GONE = "card_gone"  # to admins: the living card was deleted twice


class MessageStatus(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    DROPPED = "dropped"  # nothing to say any more when its turn came
    UNDELIVERABLE = "undeliverable"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMessage:
    """Something to tell somebody: ids only, drawn from committed state when it is sent."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    kind: MessageKind
    recipient: str  # person id or channel conversation id
    subject: str  # MAC, person id, batch key, post key …
    lane: str  # messages of one lane go out in order, one at a time
    created_at: datetime
    due_at: datetime
    unique: str = ""  # while one with this word waits unleased, another is not added
    params: tuple[tuple[str, str], ...] = ()
    attempts: int = 0
    status: MessageStatus = MessageStatus.WAITING
    leased_until: datetime | None = None
    settled_at: datetime | None = None
    version: int = 0

    @property
    def key(self) -> str:
        return self.id


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
