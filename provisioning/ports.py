"""The interfaces the business calls; each is owned here, beside its caller, and implemented outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from provisioning.conversations import Conversation
from provisioning.events import Event, FactsRedacted
from provisioning.messages import OutboxMessage
from provisioning.model import Change, Record, State
from provisioning.signin import Account, DeviceGrant
from provisioning.uploads import BadRow, RowFault, SheetRow

R = TypeVar("R", bound=Record)
Row = TypeVar("Row")
IndexValue = str | int | bool


class Clock(Protocol):
    """Time as the business sees it. Tests and the demo inject their own."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Span:
    """Rows whose indexed time lies in (after, until]; rows without a time never match."""

    index: str
    after: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """`after` continues behind the last row; None when there is no more."""

    rows: tuple[Row, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class TallyRow:
    """`count` listed (not removed) devices of one site that share state, installed and problem."""

    site: str
    state: State
    installed: bool
    problem: bool
    count: int


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """`count` devices of one site (case-folded) that reached something in the step that begins at `start`."""

    site: str
    start: datetime
    count: int


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A committed fact. `sequence` grows with every row of the store."""

    sequence: int
    event: Event


class Watch(Protocol):
    """Wakes when one of its topics changes, whichever instance changed it."""

    async def wait(self, seconds: float) -> bool:
        """True: something changed since the watch was opened or last waited on; False: time ran out, or released."""

    def release(self) -> None:
        """Ends the present wait at once, and every later one, for a service that ends."""


class Store(Protocol):
    """Committed state, read and changed in units that apply all or nothing.

    Errors: `Conflict` (a version was not the one read), `Duplicate` (a new record's key exists), `Unavailable`,
    `UnreadableText` for a string with U+0000 or half a surrogate pair, and `TextTooLong` for one of more than 65 536
    characters, or too long for an index (2 600 bytes). Nothing else leaves a store, but ValueError for a fault in the
    caller: an unknown index, a limit out of bounds, a time without a zone. Times are aware, in UTC.

    A device whose `batch` names a `Batch` that `hides` is seen by nobody: not by `get`, `find`, `count` or `tally`.
    Only a question that names that batch (`batch=`) or says `hidden` sees it. So an import appears as a whole when its
    batch is saved with `hides` off, and disappears as a whole when it is saved with `hides` on, at a cost that does
    not grow with its devices (appearing) or grows slowly (disappearing: they are counted).
    """

    async def get(self, kind: type[R], key: str) -> R | None:
        """The record of this kind with this key."""

    async def get_many(self, kind: type[R], keys: Sequence[str], *, hidden: bool = False) -> Mapping[str, R]:
        """Those of up to 1000 keys that there are; with `hidden`, devices of unfinished imports as well."""

    async def find(
        self,
        kind: type[R],
        /,  # a kind may have an index called "kind"
        *,
        contains: str | None = None,
        span: Span | None = None,
        after: str | None = None,
        limit: int = 50,
        **equals: IndexValue,
    ) -> Page[R]:
        """Records whose named indexes equal the given values, in the kind's order, keyset-paged by `after`.

        `contains` looks for a case-folded part of the kind's `text` index, `tag` for devices that have it among theirs,
        in any case. A page stays stable while rows are inserted: no row is shown twice or skipped that was there all
        the time. 1 ≤ limit ≤ 1000.
        """

    async def find_each(self, kind: type[R], index: str, values: Collection[str], *, limit: int = 50) -> Sequence[R]:
        """What `find` finds by this one index for each of up to 1000 values, at most `limit` of each: at one go.

        Value by value as they were given, in the kind's order within each. ValueError for an index of which one value
        may name more than a handful.
        """

    async def count(
        self,
        kind: type[R],
        /,
        *,
        contains: str | None = None,
        span: Span | None = None,
        ahead_of: R | None = None,
        **equals: IndexValue,
    ) -> int:
        """How many `find` would find in all; `ahead_of` a record of a kind that has an order: those that stand before
        it, whether or not it is one of them.
        """

    async def tally(self, site: str | None = None) -> Sequence[TallyRow]:
        """Counts kept beside the rows, so reading them costs the same at any size; `site` is case-folded."""

    async def timeline(
        self, index: str, since: datetime, until: datetime, step: timedelta, **equals: IndexValue
    ) -> Sequence[TimelineRow]:
        """Listed devices whose indexed time lies in (since, until], counted by site and by step of that span.

        A step holds what lies in (start, start + step]; those without any are left out. Ordered by site, then step.
        `index` is a time of devices (`provisioned_at`, `installed_at`, …), `equals` as for `count`, but for `removed`.
        ValueError for a step of nothing, and for more than 10 000 steps.
        """

    async def tags(self) -> Sequence[tuple[str, int]]:
        """Tags of listed devices (case-folded) and how many have each, the most frequent first; at most 100."""

    async def save(self, change: Change) -> None:
        """Durably apply a unit: deletes, then puts (version 0 inserts, else the version must match), then audit rows.

        An `OutboxMessage` insert whose `unique` word stands in an unleased waiting row is left out.
        Returns after the unit is on disk; then wakes watchers of its topics: see `watch`.
        """

    async def history(self, subject: str | None = None, *, after: str | None = None, limit: int = 50) -> Page[AuditRow]:
        """Audit rows, newest first."""

    async def facts(self, after: int = 0, *, limit: int = 500) -> Sequence[AuditRow]:
        """Audit rows with a number beyond `after`, the oldest first: for readers who page through all that happens.

        Whoever goes on behind the last row they got misses none and gets none twice: a row is withheld while an older
        unit runs that may still bring one with a lower number, and comes once that has ended, so ask again. What
        retention dropped is not there any more. 1 ≤ limit ≤ 1000.
        """

    async def newest_fact(self) -> int:
        """The number behind which `facts` goes on with what comes from now on; 0 where nothing happened yet."""

    async def seal(self, now: datetime, limit: int = 5000) -> int:
        """Chains up to `limit` committed audit rows that stand in no segment yet into the next one; returns how many.

        One segment at a time, whichever instance asks; where another is at it, 0. The head of a segment is SHA-256
        over the head before it and the digests of its rows, so that a row changed, added or taken away later is found.
        """

    async def drop_audit(self, before: datetime, now: datetime) -> int:
        """Drops the rows of the oldest segment that has any, if all are from before `before`; returns how many.

        Its head stays. Segments go in the order they came, so one that is kept keeps all that came after it.
        """

    async def redact(self, numbers: Sequence[int], words: Callable[[str], str], fact: FactsRedacted) -> int:
        """In one unit, each text of these facts becomes what `words` says of it, and `fact` is added, which names them.

        Their digests stay, so the chain does. What changes nothing, and what is not there any more, is passed over; no
        fact is added where nothing is left. Returns how many facts it names. `words` changes nothing twice.
        """

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> Sequence[OutboxMessage]:
        """Lease the due head of each lane that has none under way; a lease that ran out may be claimed again.

        A lane's head is its oldest waiting row, so order per lane holds even while the head waits for a retry.
        """

    async def next_due(self) -> datetime | None:
        """When the earliest unleased lane head falls due (or a lease runs out)."""

    async def record_seen(self, seen: Mapping[str, datetime]) -> None:
        """When devices (by MAC) last called; kept beside the records, no part of their version."""

    async def last_seen(self, macs: Sequence[str]) -> Mapping[str, datetime]: ...

    async def silent(
        self, after: datetime | None, until: datetime, *, beyond: str | None = None, limit: int = 500
    ) -> Page[tuple[str, datetime]]:
        """Devices (MAC, last call) whose last call lies in (after, until], the longest silent first.

        Keyset-paged by `beyond`. What is noted of MACs that are on no list is among them. 1 ≤ limit ≤ 1000.
        """

    def watch(self, *topics: str) -> AbstractAsyncContextManager[Watch]:
        """Topics are record keys, "outbox" for any message, and "facts" for any fact."""

    async def clock(self) -> datetime | None:
        """What time it is where the state is kept; None where that is this machine."""

    async def check(self) -> None:
        """Raises `Unavailable`, whose `reason` is for the operator, where the store cannot be written or is damaged."""

    async def verify(self, *, deep: bool = False) -> None:
        """Reads everything through: raises `Unavailable` with the first fault found, after which nothing is written.

        `deep` also works out again what stands beside each record and fact, which takes several times longer.

        Checks what stands beside the records, the counts, and the chain of the audit. Runs beside reads and writes.
        """

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Member:
    """What Teams says about an account in a conversation; verified, unlike a name in a message."""

    id: str  # Entra object id
    teams_id: str
    name: str
    upn: str
    tenant: str
    guest: bool = False


@dataclass(frozen=True, slots=True)
class FileOffer:
    """A file somebody may take: their client asks where to keep it, and tells. `context` comes back with the answer.

    The context passes through the client: ids only, and checked again.
    """

    name: str
    description: str
    size: int  # bytes, approximate: the file is made once it is taken
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileLink:
    """A file that was put where the person keeps theirs, as their client knows it."""

    name: str
    content_url: str
    unique_id: str = ""
    file_type: str = ""


@dataclass(frozen=True, slots=True)
class InlinePicture:
    """A small picture that stands in the message itself; `name` says what it shows, also to those who do not see it."""

    name: str
    content: bytes = field(repr=False)
    kind: str = "image/jpeg"  # its media type (RFC 9110 section 8.3)
    push: str = ""  # the push line where the name is longer than one


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: a text, an adaptive card, a picture, or in a 1:1 chat a file that is offered or was put.

    `summary` is the push line and never holds a code.
    """

    summary: str
    text: str = ""
    card: Mapping[str, Any] | None = None
    mentions: tuple[tuple[str, str], ...] = ()  # (teams id, name); the text holds `<at>name</at>` for each
    offer: FileOffer | None = None
    file: FileLink | None = None
    picture: InlinePicture | None = None


class Head(Protocol):
    """How a sheet begins."""

    @property
    def header(self) -> Sequence[str]:
        """Its titles as written; none where it has no header."""

    @property
    def code_at(self) -> int | None:
        """Which cell of a bad row holds a verification code."""


class Piece(Protocol):
    """Some hundred rows of a sheet, in its order."""

    @property
    def rows(self) -> Sequence[SheetRow]: ...

    @property
    def bad(self) -> Sequence[BadRow]: ...


class Sheet(Protocol):
    """A sheet that is being read. Its `ProvisioningError`s say in one sentence why it cannot be."""

    @property
    def head(self) -> Head: ...

    @property
    def remarks(self) -> Sequence[RowFault]:
        """What was passed over; complete once the last piece was read."""

    def __aiter__(self) -> AsyncIterator[Piece]: ...


class Messenger(Protocol):
    """Writes into Teams. Errors: the `DeliveryError` tree."""

    async def send(self, conversation: Conversation, message: Message, *, thread: str = "") -> str:
        """Post; `thread` is the activity id of a channel post to reply under. Returns the new activity id."""

    async def update(self, conversation: Conversation, activity_id: str, message: Message) -> None:
        """Replace a posted message in place; readers are not notified. `PostGone` where it was deleted."""

    async def delete(self, conversation: Conversation, activity_id: str) -> None:
        """Take a posted message back; one that is gone already counts as taken back."""

    async def open_chat(self, near: Conversation, teams_id: str) -> Conversation:
        """The 1:1 chat with somebody met in `near`; `Unreachable` where the app is not installed for them."""

    async def member(self, conversation: Conversation, teams_id: str) -> Member: ...

    async def members(self, conversation: Conversation) -> Sequence[Member]: ...


class IdentityProvider(Protocol):
    """The configured OpenID provider, asked by the service's own client (RFC 8628, OpenID Connect Core 1.0).

    Errors of both: the `ProviderError` tree, `ProviderAway` where asking again later makes sense.
    """

    async def begin(self) -> DeviceGrant:
        """Ask for a code. Nothing says for whom: RFC 8628 knows no hint, so the account is checked at the end."""

    async def redeem(self, device_code: str) -> Account:
        """One poll: who approved, from an ID token that was verified.

        `AuthorizationPending` and `PollSlower` while nobody did. Access tokens are dropped unread: a device acts on
        its sign-in by itself. A code is redeemed once: whoever got its account must save it, or begin anew.
        """


class Directory(Protocol):
    """The organisation's own list of people and groups."""

    async def groups_of(self, person_id: str, among: Collection[str]) -> frozenset[str]:
        """Those of these groups (object ids, lower case) that this account is in, directly or through other groups.

        None for an account that does not exist any more. Errors: `DirectoryAway`, within some seconds.
        """
