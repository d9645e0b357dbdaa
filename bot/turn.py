"""What comes in and what goes out of a conversation, in our own words: no SDK types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from provisioning.model import Actor, Conversation

if TYPE_CHECKING:
    from cards.view import View
    from provisioning.ports import Member, Message
    from provisioning.service import Provisioning


class Trigger(StrEnum):
    """What made this turn."""

    MESSAGE = "message"  # somebody typed
    PRESS = "press"  # somebody pressed a button; the answer may replace the card
    REFRESH = "refresh"  # a client opened a card and asks for its present state; changes nothing
    JOINED = "joined"  # the app was installed, or the bot or people were added
    LEFT = "left"  # the app was removed for this person
    NOTICE = "notice"  # the outbox has something to tell


@dataclass(frozen=True, slots=True)
class Sender:
    """The account Teams vouches for. `object_id` falls back to the chat id in local mode only."""

    teams_id: str
    object_id: str
    tenant: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One activity, read from its raw JSON."""

    trigger: Trigger
    activity_id: str
    conversation: Conversation
    sender: Sender
    text: str = ""  # without our own mention; other mentions stay as their names
    mentions: tuple[Sender, ...] = ()  # people mentioned, not ourselves
    verb: str = ""  # of a press or refresh
    data: Mapping[str, Any] = field(default_factory=dict)  # of a press: the button's data and the inputs
    card_id: str = ""  # activity id of the card that was pressed
    invoke: bool = False  # the press waits for an invoke response; else answers are messages and edits
    thread: str = ""  # root post of the channel thread it was written in
    locale: str = ""
    timezone: str = ""
    attachments: int = 0


@dataclass(frozen=True, slots=True)
class Living:
    """Marks a reply as a card that is drawn anew when its subject changes.

    `view` is the name of the handler that draws it and `params` its arguments (ids only).
    """

    subject: str
    view: str
    params: Mapping[str, str] = field(default_factory=dict)
    revision: int = 0
    shows_code: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers; the edge sends it.

    private: it may only be read in the person's 1:1 chat; asked for elsewhere, it is written there and the
    asker is told so. toast: a short word over the pressed card, which stays as it is. thread: goes under the
    channel's living card.
    """

    card: View | None = None
    text: str = ""
    private: bool = False
    toast: str = ""
    living: Living | None = None
    mentions: tuple[tuple[str, str], ...] = ()
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One conversation step as a handler sees it."""

    provisioning: Provisioning
    actor: Actor
    conversation: Conversation
    now: datetime
    trigger: Trigger
    data: Mapping[str, Any] = field(default_factory=dict)
    mentions: tuple[Sender, ...] = ()
    member: Member | None = None
    card_id: str = ""

    @property
    def pressed(self) -> bool:
        return self.trigger is Trigger.PRESS

    @property
    def in_channel(self) -> bool:
        return not self.conversation.personal


@dataclass(frozen=True, slots=True)
class Answer:
    """The immediate answer to a press or refresh that waits for one: a fresh card, or a short word."""

    card: Mapping[str, Any] | None = None
    toast: str = ""


class Chat(Protocol):
    """The conversation a turn stands in, for the length of that turn. Errors: the `DeliveryError` tree."""

    async def send(self, message: Message) -> str:
        """Post a reply (in a channel: into the thread it was asked in); returns the new activity id."""
        ...

    async def update(self, activity_id: str, message: Message) -> None: ...

    async def member(self) -> Member:
        """The sender as Teams knows them: verified name, UPN and tenant."""
        ...


class Receiver(Protocol):
    """What stands behind the Teams door: every activity ends here."""

    async def receive(self, incoming: Incoming, chat: Chat) -> Answer | None: ...
