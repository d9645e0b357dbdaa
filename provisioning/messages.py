"""What is to be told (the outbox), and the cards that stand in chats (posts)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from provisioning.conversations import Conversation


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
    drawn: str = ""  # a digest of what it says, for cards that are not edited to say the same again
    reposted: bool = False  # it was deleted in the channel and posted once more
    version: int = 0

    @property
    def key(self) -> str:
        return f"{self.conversation.id}|{self.activity_id}"


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
    LEFT_GROUP = "left_group"  # to admins: somebody's access ended with their Entra group
    ROLLOUT_STARTED = "rollout_started"  # thread
    MILESTONE = "milestone"  # thread
    CODES_ENDING = "codes_ending"  # to a technician: theirs end within the hour
    CODES_TO_EXTEND = "codes_to_extend"  # to admins: many end, or some that nobody on site can renew
    ROLLOUT_TURNED = "rollout_turned"  # thread: it was paused, goes on, is over
    REMINDER = "reminder"  # to a technician: devices of theirs are open, says an admin
    CODES_DYING = "codes_dying"  # thread: more than five codes end within the hour
    CODES_ENDED = "codes_ended"  # thread: more than five codes died
    PHOTO_MISSING = "photo_missing"  # to a technician: the photo of an install did not come
    SIGN_INS_WAITING = "sign_ins_waiting"  # to admins: devices wait for sign-in
    SIGN_IN_REFUSED = "sign_in_refused"  # to the admin who asked: another account approved, or it cannot be trusted
    NEXT_SIGN_IN = "next_sign_in"  # to an admin who signs in one after the other: the next one
    RESET_DOUBTED = "reset_doubted"  # to whoever holds it, or to admins: a provisioned device presented its MAC again
    COMMAND_SETTLED = "command_settled"  # to the admin who asked a device for something, where it took a while
    DEVICES_OFFLINE = "devices_offline"  # to admins and to the channel's thread
    DEVICES_STALE = "devices_stale"  # to admins: no contact for long
    CHANNEL_LOST = "channel_lost"  # to admins: a rollout's channel cannot be written to any more
    CARD_GONE = "card_gone"  # to admins: the living card was deleted twice
    ATTACK = "attack"  # to admins: so many wrong codes that a limit of the whole fleet is reached
    ATTACK_OVER = "attack_over"  # to admins
    DIGEST = "digest"  # to a person or into the thread: how things stand, once a day
    WEBHOOK = "webhook"  # to an endpoint: an event; it is sent as it was made


class MessageStatus(StrEnum):
    WAITING = "waiting"
    OUTGOING = "outgoing"  # an event that waits for its endpoint: no business of whoever delivers to people
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
    failure: str = ""  # `code` of the last error of its delivery, or why it was dropped
    retried: tuple[datetime, ...] = ()  # when it was tried and did not get through, the latest ten
    status: MessageStatus = MessageStatus.WAITING
    leased_until: datetime | None = None
    settled_at: datetime | None = None
    version: int = 0

    @property
    def key(self) -> str:
        return self.id
