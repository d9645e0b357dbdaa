"""The ledger: what happened (facts) and what was told of it (messages), newest first; of one device or person, or all.

It keeps nothing of its own. Facts are the audit's rows, messages are the outbox's own: who, when queued, tried in vain,
sent, and why not. What a card became since is in its post.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from provisioning.access import Permission, require
from provisioning.errors import Ambiguous, Choice, DeviceNotFound, NotFound, OutOfDate, PersonNotFound
from provisioning.mac import looks_like_mac, normalise
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage, Post
from provisioning.model import Actor, Device, Person
from provisioning.ports import AuditRow, Span
from provisioning.rollouts import Rollout
from provisioning.service.lookup import Lookup, device_title, strip_fillers
from provisioning.texts import N_

PAGE = 10
FAILED_FIRST = 3  # messages that did not arrive stand above the facts where everything is asked about
CARDS = 10  # newest cards of a device whose edits are looked at
SCAN = 5_000  # facts looked through for one page of what somebody did
AT_ONCE = 1000  # rows of one question to the store
KEPT = timedelta(days=33)  # a message is given up after two days at the latest, and kept for thirty
FIRST_REACH, GROWTH = timedelta(hours=1), 4
SKEW = timedelta(minutes=1)  # by which another instance's clock may be ahead
INSTANT = timedelta(milliseconds=1)
_PLACE = re.compile(r"([0-9]{0,18})\|([0-9]{0,17})\|([0-9A-Za-z_-]{0,64})")


class NobodyAndNothing(NotFound):
    code = "nobody_and_nothing"
    message = N_('I know no device and nobody called "{text}". Use a MAC, a place, or a name; people lists all.')


class Show(StrEnum):
    """What of the ledger is asked for."""

    ALL = "all"  # facts, with the messages among them
    FACTS = "facts"
    MESSAGES = "messages"
    FAILED = "failed"  # messages that did not arrive
    WAITING = "waiting"  # messages that are to go out


STATUS: Mapping[Show, tuple[MessageStatus, ...]] = {
    Show.FAILED: (MessageStatus.UNDELIVERABLE,),
    Show.WAITING: (MessageStatus.WAITING, MessageStatus.OUTGOING),
}


@dataclass(frozen=True, slots=True)
class About:
    """Whose ledger: one device (also one that was removed), one person, or (both empty) everything."""

    mac: str = ""
    person: Person | None = None

    @property
    def word(self) -> str:
        """What names it again, on buttons."""
        return self.mac or (self.person.id if self.person else "")


@dataclass(frozen=True, slots=True)
class Sending:
    """A message, and the card it carried or redraws, as far as that still stands."""

    message: OutboxMessage
    post: Post | None = None


Entry = AuditRow | Sending


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page ended: the last fact's number, and the last message's moment and id. Both go on from there."""

    fact: str = ""
    at: datetime | None = None
    id: str = ""

    @classmethod
    def read(cls, text: str | None) -> Mark:
        """Errors: `OutOfDate` for what no page of ours ended with."""
        found = _PLACE.fullmatch(text or "||")
        if found is None:
            raise OutOfDate
        moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(found[2])) if found[2] else None
        return cls(found[1], moment, found[3])

    def __str__(self) -> str:
        micros = (self.at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) if self.at else ""
        return f"{self.fact}|{micros}|{self.id}"

    def before(self, message: OutboxMessage) -> bool:
        """Whether the message comes on a later page."""
        return self.at is None or (message.created_at, message.id) < (self.at, self.id)

    def past(self, entry: Entry) -> Mark:
        if isinstance(entry, Sending):
            return Mark(self.fact, entry.message.created_at, entry.message.id)
        return Mark(str(entry.sequence), self.at, self.id)


@dataclass(frozen=True, slots=True)
class Facts:
    """The next facts. `left_off`: the last one looked at, where looking ended before enough were found."""

    rows: tuple[AuditRow, ...]
    left_off: AuditRow | None = None


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """`names` has the people, channels and devices that it speaks of by id; `failed` and `waiting` count all there are.

    `back_to`: what somebody did was looked for no further than that; the next page goes on.
    """

    about: About
    show: Show
    entries: tuple[Entry, ...]
    after: str | None
    people: Mapping[str, str]
    devices: Mapping[str, Device]
    channels: Mapping[str, Rollout]
    failed: int = 0
    waiting: int = 0
    back_to: datetime | None = None


class Auditing(Lookup):
    async def audit(self, actor: Actor, text: str = "", show: str = Show.ALL, after: str | None = None) -> LedgerPage:
        """A page of the ledger, newest first. Without a device or person: what did not arrive, then the facts.

        Errors: `NobodyAndNothing`, `Ambiguous`, `NearMiss`, `OutOfDate` for a place that was none.
        """
        require(actor, Permission.SEE_AUDIT)
        asked = Show(show) if show in set(Show) else Show.ALL
        about, mark = await self._about(actor, text) if text.strip() else About(), Mark.read(after)
        if asked is Show.ALL and not about.word:
            entries, following, facts = await self._everything(mark)
        else:
            entries, following, facts = await self._merged(about, asked, mark)
        return await self._page(about, asked, entries, following, facts)

    # -------------------------------------------------------------- whose

    async def _about(self, actor: Actor, text: str) -> About:
        """A device by whatever names it, a removed one by its MAC; else a person. Errors: those of `audit`."""
        word = strip_fillers(text)
        if looks_like_mac(word):
            mac = normalise(word)
            gone = await self.store.get(Device, mac) or (await self.store.history(mac, limit=1)).rows
            return About(mac=mac if gone else (await self.device(actor, text)).mac)
        device, person = None, None
        with suppress(DeviceNotFound):
            device = await self.device(actor, text)
        try:
            person = await self.person(text)
        except PersonNotFound:
            if device is None:
                raise NobodyAndNothing(text=text.strip()[:60]) from None
        except Ambiguous as several:
            if device is None:
                raise Ambiguous("about", several.text, several.choices) from None
        if device and person:
            raise Ambiguous("about", text, [Choice(device.mac, device_title(device)), Choice(person.id, person.name)])
        return About(mac=device.mac) if device else About(person=person)

    # -------------------------------------------------------------- a page

    async def _everything(self, mark: Mark) -> tuple[list[Entry], Mark | None, Facts]:
        """What did not arrive stands first, on the first page."""
        failed = () if mark.fact else await self._newest(Mark(), FAILED_FIRST, status=MessageStatus.UNDELIVERABLE.value)
        facts = await self._happened(About(), mark, PAGE + 1 - len(failed))
        rows = facts.rows[: PAGE - len(failed)]
        following = mark.past(rows[-1]) if len(facts.rows) > len(rows) else None
        return [*[Sending(message) for message in failed], *rows], following, facts

    async def _merged(self, about: About, show: Show, mark: Mark) -> tuple[list[Entry], Mark | None, Facts]:
        """Facts and messages in one order, each list from where the last page left it."""
        facts = await self._happened(about, mark, PAGE + 1) if show in (Show.ALL, Show.FACTS) else Facts(())
        messages = await self._messages(about, show, mark) if show is not Show.FACTS else []
        if floor := facts.left_off:  # beyond it nothing is known yet of what somebody did
            messages = [message for message in messages if message.created_at >= floor.event.at]
        ordered = list(_in_order(facts.rows, messages))
        entries, following = ordered[:PAGE], mark
        for entry in entries:
            following = following.past(entry)
        if len(ordered) > PAGE:
            return entries, following, Facts(facts.rows)
        if floor:
            return entries, replace(following, fact=str(floor.sequence)), facts
        return entries, None, facts

    async def _page(
        self, about: About, show: Show, entries: Sequence[Entry], following: Mark | None, facts: Facts
    ) -> LedgerPage:
        whole = [await self._with_card(entry) if isinstance(entry, Sending) else entry for entry in entries]
        ids = {id_ for entry in whole for id_ in _ids(entry)} | {about.mac}
        keys = sorted(id_ for id_ in ids if id_)[:AT_ONCE]
        people = await self.store.get_many(Person, keys)
        rollouts = (await self.store.find(Rollout, limit=AT_ONCE)).rows
        counts = [sum([await self._count(about, each) for each in statuses]) for statuses in STATUS.values()]
        return LedgerPage(
            about=about,
            show=show,
            entries=tuple(whole),
            after=str(following) if following else None,
            people={id_: person.name or person.upn for id_, person in people.items()},
            devices=await self.store.get_many(Device, keys),
            channels={rollout.key: rollout for rollout in rollouts},
            failed=counts[0],
            waiting=counts[1],
            back_to=facts.left_off.event.at if facts.left_off else None,
        )

    async def _with_card(self, sending: Sending) -> Sending:
        message = sending.message
        if message.kind is MessageKind.EDIT:
            return Sending(message, await self.store.get(Post, message.subject))
        rows = (await self.store.find(Post, message=message.id, limit=1)).rows
        return Sending(message, rows[0] if rows else None)

    async def _count(self, about: About, status: MessageStatus) -> int:
        equals: dict[str, Any] = {"subject": about.mac} if about.mac else {}
        if about.person:
            equals = {"recipient": about.person.id}
        return await self.store.count(OutboxMessage, status=status.value, **equals)

    # -------------------------------------------------------------- facts

    async def _happened(self, about: About, mark: Mark, want: int) -> Facts:
        """Of a device by the index. Of a person also what they did, which no index knows: so it is looked through."""
        after = mark.fact or None
        if about.person is None:
            return Facts((await self.store.history(about.mac or None, after=after, limit=want)).rows)
        found: list[AuditRow] = []
        last: AuditRow | None = None
        for limit in (100, *[AT_ONCE] * (SCAN // AT_ONCE)):
            page = await self.store.history(None, after=after, limit=limit)
            found += [row for row in page.rows if about.person.id in (row.event.actor, row.event.subject)]
            last, after = page.rows[-1] if page.rows else last, page.after
            if after is None or len(found) >= want:
                return Facts(tuple(found[:want]))
        return Facts(tuple(found), last)

    # -------------------------------------------------------------- messages

    async def _messages(self, about: About, show: Show, mark: Mark) -> list[OutboxMessage]:
        """Those to a person and about them; those about a device, and the edits of its cards; or all."""
        asked = [{"status": status.value} for status in STATUS.get(show, ())] or [dict[str, str]()]
        found: dict[str, OutboxMessage] = {}
        for equals in await self._sources(about):
            for status in asked:
                found |= {message.id: message for message in await self._newest(mark, PAGE + 1, **equals, **status)}
        for message in await self._carriers(about):
            if mark.before(message) and message.status in STATUS.get(show, tuple(MessageStatus)):
                found[message.id] = message
        return sorted(found.values(), key=_place, reverse=True)[: PAGE + 1]

    async def _sources(self, about: About) -> list[dict[str, str]]:
        if about.person:
            return [{"recipient": about.person.id}, {"subject": about.person.id}]
        if not about.mac:
            return [{}]
        return [{"subject": about.mac}, *({"subject": post.key} for post in await self._cards(about))]

    async def _cards(self, about: About) -> Sequence[Post]:
        return (await self.store.find(Post, subject=about.mac, limit=CARDS)).rows if about.mac else ()

    async def _carriers(self, about: About) -> Iterable[OutboxMessage]:
        """What brought a device's cards may be about no device: the next one, whichever that was."""
        ids = [post.message for post in await self._cards(about) if post.message]
        return (await self.store.get_many(OutboxMessage, ids)).values()

    async def _newest(self, mark: Mark, want: int, **equals: Any) -> list[OutboxMessage]:
        """The newest `want` messages behind the mark. The store lists the oldest first: so span by span, each short
        enough to be read at once.
        """
        newest, oldest = self.now() + SKEW, self.now() - KEPT
        until, reach = min(mark.at or newest, newest), FIRST_REACH
        found: list[OutboxMessage] = []
        while len(found) < want and until > oldest:
            while reach > INSTANT and await self._between(until - reach, until, equals) > AT_ONCE:
                reach /= 2
            rows = [row async for row in self._read(until - reach, until, equals) if mark.before(row)]
            found += sorted(rows, key=_place, reverse=True)
            until, reach = until - reach, min(reach * GROWTH, KEPT)
        return found[:want]

    async def _between(self, after: datetime, until: datetime, equals: Mapping[str, Any]) -> int:
        return await self.store.count(OutboxMessage, span=Span("created", after, until), **equals)

    async def _read(self, after: datetime, until: datetime, equals: Mapping[str, Any]) -> AsyncIterator[OutboxMessage]:
        span, place = Span("created", after, until), None
        while True:
            page = await self.store.find(OutboxMessage, span=span, after=place, limit=AT_ONCE, **equals)
            for row in page.rows:
                yield row
            place = page.after
            if place is None:
                return


def _place(message: OutboxMessage) -> tuple[datetime, str]:
    return message.created_at, message.id


def _in_order(facts: Sequence[AuditRow], messages: Sequence[OutboxMessage]) -> Iterator[Entry]:
    """Both newest first, each in its own order: a fact keeps its number's place whatever its instance's clock said.

    A message comes of the fact of the same moment, so it is the newer of the two.
    """
    left, right = deque(facts), deque(messages)
    while left or right:
        if right and (not left or right[0].created_at >= left[0].event.at):
            yield Sending(right.popleft())
        else:
            yield left.popleft()


def _ids(entry: Entry) -> Iterable[str]:
    """Whatever may be a person or a device in an entry."""
    if isinstance(entry, Sending):
        post = entry.post
        return (entry.message.recipient, entry.message.subject, *((post.subject, post.reader) if post else ()))
    event = entry.event
    fields = (getattr(event, name) for name in event.__dataclass_fields__)
    return (value for value in fields if isinstance(value, str) and value)
