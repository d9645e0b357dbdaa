"""What comes in and what goes out of a conversation, in our own words: no SDK types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from provisioning.conversations import Conversation
from provisioning.errors import OutOfDate
from provisioning.model import Actor

if TYPE_CHECKING:
    from bot.drawing import Drawings
    from bot.jobs import Jobs
    from cards.view import View
    from provisioning.ports import FileOffer, InlinePicture, Member, Message
    from provisioning.service import Provisioning


class Trigger(StrEnum):
    """What made this turn."""

    MESSAGE = "message"  # somebody typed
    PRESS = "press"  # somebody pressed a button; the answer may replace the card
    REFRESH = "refresh"  # a client opened a card and asks for its present state; changes nothing
    JOINED = "joined"  # the app was installed, or the bot or people were added
    LEFT = "left"  # the app was removed for this person
    CONSENT = "consent"  # somebody took or declined a file that was offered
    SEARCH = "search"  # somebody types into the compose box, wherever they are; no contact, changes nothing
    NOTICE = "notice"  # the outbox has something to tell


@dataclass(frozen=True, slots=True)
class Sender:
    """The account Teams vouches for. `object_id` falls back to the chat id in local mode only."""

    teams_id: str
    object_id: str
    tenant: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file somebody sent. `url` gives it to whoever has it, for some minutes: a credential, never logged."""

    name: str
    url: str = field(repr=False)
    kind: str = ""  # as Teams says: the ending of the name


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture somebody sent. `url` is a credential, as that of a file.

    needs_token: Teams gives it to the bot alone, so our token has to go along, where it may go at all.
    """

    url: str = field(repr=False)
    needs_token: bool = False


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Where a file that was accepted goes, and the link to show once it is there. `upload_url` is a credential."""

    name: str
    upload_url: str = field(repr=False)
    content_url: str
    unique_id: str = ""
    file_type: str = ""


@dataclass(frozen=True, slots=True)
class FileConsent:
    """What somebody decided about an offered file; `context` is the offer's own, back from the client."""

    accepted: bool
    context: Mapping[str, Any] = field(default_factory=dict)
    upload: UploadTarget | None = None  # where it was accepted


@dataclass(frozen=True, slots=True)
class Incoming:
    """One activity, read from its raw JSON."""

    trigger: Trigger
    activity_id: str
    conversation: Conversation
    sender: Sender
    text: str = ""  # without our own mention; other mentions stay as their names; of a search: what is looked for
    mentions: tuple[Sender, ...] = ()  # people mentioned, not ourselves
    verb: str = ""  # of a press or refresh
    data: Mapping[str, Any] = field(default_factory=dict)  # of a press: data and inputs; a search: skip, count, command
    card_id: str = ""  # activity id of the card that was pressed
    invoke: bool = False  # waits for an invoke response; else answers are messages and edits
    thread: str = ""  # root post of the channel thread it was written in
    locale: str = ""
    timezone: str = ""
    files: tuple[SharedFile, ...] = ()
    pictures: tuple[Picture, ...] = ()
    further: int = 0  # pictures beyond those, which nobody looks at
    attachments: int = 0  # what is neither a file nor a picture with an address
    consent: FileConsent | None = None

    def operation(self, actor_id: str) -> str:
        """What makes this intent one: the press's key, else the activity (its id is unique in its conversation only).

        Empty where a client gives its activities no ids: nothing can then be told to be the same.
        """
        if key := str(self.data.get("op", ""))[:64]:
            return f"{actor_id}:{key}:{self.verb}"
        return f"activity:{self.conversation.id}|{self.activity_id}" if self.activity_id else ""


@dataclass(frozen=True, slots=True)
class Living:
    """Marks a reply as a card that is drawn anew when its subject changes.

    `view` is the name of the handler that draws it and `params` its arguments (ids only). `drawn` is a digest of what
    it says: where the card says the same already, it is not edited; empty: it always is.
    """

    subject: str
    view: str
    params: Mapping[str, str] = field(default_factory=dict)
    revision: int = 0
    shows_code: bool = False
    drawn: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers; the edge sends it.

    private: it may only be read in the person's 1:1 chat; asked for elsewhere, it is written there and the
    asker is told so. toast: a short word over the pressed card, which stays as it is. thread: goes under the
    channel's living card. offer: a file for the person to take or decline; in a 1:1 chat only. picture: in a
    message of its own, in the same chat only. begins: called once
    the reply stands, so that what it starts finds the card it is to change. follows: takes the card's place in the
    person's own chat, once it is there. unfolds: replies that take it one after the other.
    """

    card: View | None = None
    text: str = ""
    private: bool = False
    toast: str = ""
    living: Living | None = None
    mentions: tuple[tuple[str, str], ...] = ()
    thread: str = ""
    offer: FileOffer | None = None
    picture: InlinePicture | None = None
    begins: Callable[[], None] | None = None
    follows: Awaitable[Reply] | None = None
    unfolds: AsyncIterator[Reply] | None = None


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
    work: Jobs | None = None  # what outlasts the turn; none where the outbox draws
    drawings: Drawings | None = None  # who draws pictures; without one there are none

    @property
    def jobs(self) -> Jobs:
        """For handlers of what people say and press."""
        if self.work is None:
            raise OutOfDate
        return self.work

    @property
    def pressed(self) -> bool:
        return self.trigger is Trigger.PRESS

    @property
    def in_channel(self) -> bool:
        return not self.conversation.personal


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One line of a search, and the adaptive card that is put into the message when it is chosen."""

    title: str
    text: str
    card: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The immediate answer to what waits for one: a fresh card or a short word, or what a search found.

    A search is answered with `results`, or with `text` where there are none to show.
    """

    card: Mapping[str, Any] | None = None
    toast: str = ""
    results: tuple[SearchResult, ...] | None = None
    text: str = ""


class Chat(Protocol):
    """The conversation a turn stands in, for the length of that turn. Errors: the `DeliveryError` tree."""

    async def send(self, message: Message) -> str:
        """Post a reply (in a channel: into the thread it was asked in); returns the new activity id."""
        ...

    async def update(self, activity_id: str, message: Message) -> None: ...

    async def delete(self, activity_id: str) -> None: ...

    async def member(self) -> Member:
        """The sender as Teams knows them: verified name, UPN and tenant."""
        ...


class Receiver(Protocol):
    """What stands behind the Teams door: every activity ends here."""

    async def receive(self, incoming: Incoming, chat: Chat) -> Answer | None: ...
