"""Fakes at our own ports: small, honest, and held to the same contract as the real thing."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from provisioning.batches import Batch
from provisioning.bookkeeping import Segment
from provisioning.errors import Conflict, Duplicate
from provisioning.events import Event
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.model import Change, Device, Record
from provisioning.ports import AuditRow, IndexValue, Page, Span, TallyRow, TimelineRow, Watch
from provisioning.provider_errors import AuthorizationPending, ProviderError
from provisioning.signin import Account, DeviceGrant
from storage import calls, timelines
from storage.audit import Unsealed, digest, next_segment, without_rows
from storage.kinds import KINDS, check_keys, check_question, columns_of, holds, names_asked, numbered, sees_hidden
from storage.records import check_text, encode, encode_event, micros, record_json
from storage.watch import Topics

R = TypeVar("R", bound=Record)


class FakeClock:
    """Time that stands still until a test moves it; whoever sleeps wakes when their moment is reached."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by
        while self._sleepers and self._sleepers[0][0] <= self._now:
            *_, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), next(self._order), sleeper))
        await sleeper


class MemoryStore:
    """The `Store` in dictionaries: what the contract means, without a disk."""

    def __init__(self) -> None:
        self._rows: dict[type[Record], dict[str, Record]] = {kind: {} for kind in KINDS}
        self._entered: dict[str, int] = {}  # outbox key → place in the queue
        self._audit: list[Event] = []
        self._sealed = self._dropped = 0  # how many facts, from the first
        self._seen: dict[str, datetime] = {}
        self._sequence = count(1)
        self._topics = Topics()

    async def get(self, kind: type[R], key: str) -> R | None:
        check_text(key)
        row = self._rows[kind].get(key)
        return None if row is None or self._hidden(row) else row  # type: ignore[return-value]

    async def get_many(self, kind: type[R], keys: Sequence[str], *, hidden: bool = False) -> Mapping[str, R]:
        check_keys(keys)
        found = {key: self._rows[kind][key] for key in keys if key in self._rows[kind]}
        return {key: row for key, row in found.items() if hidden or not self._hidden(row)}  # type: ignore[misc]

    def _hidden(self, row: Record) -> bool:
        batch = self._rows[Batch].get(row.batch) if isinstance(row, Device) else None
        return isinstance(batch, Batch) and batch.hides

    async def find(
        self,
        kind: type[R],
        /,
        *,
        contains: str | None = None,
        span: Span | None = None,
        after: str | None = None,
        limit: int = 50,
        **equals: IndexValue,
    ) -> Page[R]:
        check_question(kind, names_asked(contains, span, equals), limit)
        if after is not None:
            check_text(after)
            if KINDS[kind].order is None and numbered(after) is None:
                return Page((), None)
        placed = sorted((self._place(row), row.key) for row in self._matching(kind, contains, span, equals))
        rest = [(place, key) for place, key in placed if after is None or place > after]
        rows: tuple[Any, ...] = tuple(self._rows[kind][key] for _, key in rest[:limit])
        return Page(rows, rest[limit - 1][0] if len(rest) > limit else None)

    async def count(
        self, kind: type[R], /, *, contains: str | None = None, span: Span | None = None, **equals: IndexValue
    ) -> int:
        check_question(kind, names_asked(contains, span, equals))
        return sum(1 for _ in self._matching(kind, contains, span, equals))

    def _place(self, row: Record) -> str:
        order = KINDS[type(row)].order
        return order(row) if order else f"{self._entered[row.key]:018d}"

    def _matching(
        self, kind: type[Record], contains: str | None, span: Span | None, equals: Mapping[str, IndexValue]
    ) -> Iterator[Record]:
        entry = KINDS[kind]
        for text in (contains, *equals.values()):
            if isinstance(text, str):
                check_text(text)
        for moment in (span.after, span.until) if span else ():
            micros(moment) if moment else None
        for row in self._rows[kind].values():
            if (
                None not in equals.values()
                and (sees_hidden(kind, equals) or not self._hidden(row))
                and all(holds(entry, row, name, value) for name, value in equals.items())
                and (contains is None or contains.casefold() in str(entry.indexes["text"](row)))
                and (span is None or _within(span, entry.indexes[span.index](row)))
            ):
                yield row

    async def tally(self, site: str | None = None) -> Sequence[TallyRow]:
        check_text(site or "")
        counted = Counter(
            (each.site.casefold(), each.state, each.installed is not None, each.problem is not None)
            for each in self._listed()
        )
        return [TallyRow(*group, counted[group]) for group in sorted(counted) if site in (None, group[0])]

    def _listed(self) -> Iterator[Device]:
        for each in self._rows[Device].values():
            if isinstance(each, Device) and not each.removed and not self._hidden(each):
                yield each

    async def timeline(
        self, index: str, since: datetime, until: datetime, step: timedelta, **equals: IndexValue
    ) -> Sequence[TimelineRow]:
        steps = timelines.steps(index, since, until, step, equals)
        counted: Counter[tuple[str, int]] = Counter()
        for each in self._matching(Device, None, steps.span, {**equals, "removed": False}):
            at: Any = KINDS[Device].indexes[index](each)
            counted[each.site.casefold(), (at - steps.begin - 1) // steps.width] += 1  # type: ignore[attr-defined]
        return steps.rows([(*group, counted[group]) for group in sorted(counted)])

    async def tags(self) -> Sequence[tuple[str, int]]:
        counted = Counter(tag for each in self._listed() for tag in {tag.casefold() for tag in each.tags})
        return sorted(counted.items(), key=lambda tag: (-tag[1], tag[0]))[:100]

    async def save(self, change: Change) -> None:
        rows = {kind: dict(of_kind) for kind, of_kind in self._rows.items()}
        woken = set()
        for record in change.deletes:
            stored = rows[type(record)].pop(record.key, None)
            if not stored or stored.version != record.version:
                raise Conflict
        for record in change.puts:
            record_json(encode(record))
            columns_of(KINDS[type(record)], record)
            of_kind, stored = rows[type(record)], rows[type(record)].get(record.key)
            if record.version == 0 and stored:
                raise Duplicate("key", record.key)
            if record.version != (stored.version if stored else 0):
                raise Conflict
            woken |= {record.key, "outbox"} if isinstance(record, OutboxMessage) else {record.key}
            if isinstance(record, OutboxMessage) and record.version == 0 and _waits_already(record, of_kind):
                continue
            of_kind[record.key] = replace(record, version=record.version + 1)
        for event in change.events:
            record_json(encode_event(event))
        self._rows = rows
        self._entered = {key: place for key, place in self._entered.items() if key in rows[OutboxMessage]}
        for key in rows[OutboxMessage].keys() - self._entered.keys():
            self._entered[key] = 0
        for record in change.puts:
            if self._entered.get(record.key) == 0:
                self._entered[record.key] = next(self._sequence)
        self._audit += change.events
        self._topics.wake(woken | {"facts"} if change.events else woken)

    async def history(self, subject: str | None = None, *, after: str | None = None, limit: int = 50) -> Page[AuditRow]:
        if not 1 <= limit <= 1000:
            raise ValueError(f"1 to 1000 rows at once, not {limit}")
        for text in (subject, after):
            check_text(text or "")
        end = len(self._audit) + 1 if after is None else numbered(after) or 0
        rows = [
            AuditRow(sequence, event)
            for sequence, event in reversed(list(enumerate(self._audit, start=1)))
            if self._dropped < sequence < end and subject in (None, event.subject)
        ]
        return Page(tuple(rows[:limit]), str(rows[limit - 1].sequence) if len(rows) > limit else None)

    async def facts(self, after: int = 0, *, limit: int = 500) -> Sequence[AuditRow]:
        check_question(Device, set(), limit)
        rows = (AuditRow(sequence, event) for sequence, event in enumerate(self._audit, start=1))
        return [row for row in rows if row.sequence > max(after, self._dropped)][:limit]

    async def newest_fact(self) -> int:
        return len(self._audit)

    async def seal(self, now: datetime, limit: int = 5000) -> int:
        micros(now)
        events = self._audit[self._sealed : self._sealed + limit]
        if events:
            plains = [(event.at, digest(encode_event(event))) for event in events]
            rows = [Unsealed(self._sealed + n, micros(at), text) for n, (at, text) in enumerate(plains, start=1)]
            former = max(self._rows[Segment].values(), key=lambda each: each.key, default=None)
            await self.save(Change(puts=(next_segment(former, rows, now),)))  # type: ignore[arg-type]
            self._sealed += len(rows)
        return len(events)

    async def drop_audit(self, before: datetime, now: datetime) -> int:
        micros(before), micros(now)
        kept = [each for each in self._rows[Segment].values() if isinstance(each, Segment) and not each.dropped]
        oldest = min(kept, key=lambda each: each.number, default=None)
        dropped = without_rows(oldest, before, now) if oldest else None
        if dropped is None:
            return 0
        await self.save(Change(puts=(dropped,)))
        self._dropped = dropped.last
        return dropped.count

    def _heads(self) -> list[OutboxMessage]:
        waiting = [m for m in self._rows[OutboxMessage].values() if _waits(m)]
        heads: dict[str, OutboxMessage] = {}
        for message in sorted(waiting, key=self._place):
            heads.setdefault(message.lane, message)  # type: ignore[attr-defined, arg-type]
        return list(heads.values())

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> Sequence[OutboxMessage]:
        micros(now)
        due = [m for m in self._heads() if m.due_at <= now and (m.leased_until is None or m.leased_until <= now)]
        due.sort(key=lambda message: (message.due_at, self._place(message)))
        leased = [replace(m, leased_until=now + lease, version=m.version + 1) for m in due[:limit]]
        self._rows[OutboxMessage] |= {message.key: message for message in leased}
        return leased

    async def next_due(self) -> datetime | None:
        return min((message.leased_until or message.due_at for message in self._heads()), default=None)

    async def record_seen(self, seen: Mapping[str, datetime]) -> None:
        for mac, at in seen.items():
            check_text(mac)
            micros(at)
            self._seen[mac] = max(at, self._seen.get(mac, at))

    async def last_seen(self, macs: Sequence[str]) -> Mapping[str, datetime]:
        for mac in macs:
            check_text(mac)
        return {mac: self._seen[mac] for mac in macs if mac in self._seen}

    async def silent(
        self, after: datetime | None, until: datetime, *, beyond: str | None = None, limit: int = 500
    ) -> Page[calls.Call]:
        check_question(Device, set(), limit)
        begin, end = None if after is None else micros(after), micros(until)
        place = None if beyond is None else calls.placed(beyond)
        if beyond is not None and place is None:
            return Page((), None)
        noted = sorted((micros(at), mac) for mac, at in self._seen.items())
        found = [
            (mac, self._seen[mac])
            for at, mac in noted
            if at <= end and (begin is None or begin < at) and (place is None or place < (at, mac))
        ]
        return calls.page(found[:limit], more=len(found) > limit)

    def watch(self, *topics: str) -> AbstractAsyncContextManager[Watch]:
        return self._topics.watch(*topics)

    async def check(self) -> None:
        """Nothing can be wrong with a dictionary."""

    async def verify(self, *, deep: bool = False) -> None:
        """Nor does one rot."""

    async def close(self) -> None:
        self._topics.wake_all()


def _within(span: Span, value: Any) -> bool:
    return (
        value is not None
        and (span.after is None or value > micros(span.after))
        and (span.until is None or value <= micros(span.until))
    )


def _waits(message: Record) -> bool:
    return isinstance(message, OutboxMessage) and message.status is MessageStatus.WAITING


def _waits_already(message: OutboxMessage, rows: Mapping[str, Record]) -> bool:
    return bool(message.unique) and any(
        isinstance(other, OutboxMessage) and other.unique == message.unique and _waits(other) and not other.leased_until
        for other in rows.values()
    )


class FakeProvider:
    """The `IdentityProvider`: gives codes, and says what the test tells it to; nobody has typed a code until then."""

    def __init__(self) -> None:
        self.grants: list[DeviceGrant] = []
        self.begins: deque[ProviderError] = deque()  # what the next requests for a code are answered with instead
        self.polled: list[str] = []  # device codes, in the order they were presented
        self._says: dict[str, deque[Account | ProviderError]] = {}
        self.interval = timedelta(seconds=5)
        self.lifetime = timedelta(minutes=15)

    async def begin(self) -> DeviceGrant:
        if self.begins:
            raise self.begins.popleft()
        number = len(self.grants) + 1
        grant = DeviceGrant(
            device_code=f"device-code-{number:04d}",
            user_code=f"WDJB{''.join('BCDFGHJKLM'[int(d)] for d in f'{number:04d}')}",
            verification_uri="https://login.example/device",
            expires_in=self.lifetime,
            interval=self.interval,
        )
        self.grants.append(grant)
        return grant

    async def redeem(self, device_code: str) -> Account:
        self.polled.append(device_code)
        said = self._says.get(device_code)
        answer = said.popleft() if said else AuthorizationPending()
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    # ------------------------------------------------------------------ what people do at its page

    def approved(self, user_code: str, name: str, *, id_: str = "", tenant: str = "") -> None:
        """Somebody typed the code and signed in as this account."""
        self.answers(user_code, Account(id=id_ or f"id-of-{name.casefold()}", names=(name,), tenant=tenant))

    def answers(self, user_code: str, *answers: Account | ProviderError) -> None:
        """The next polls for this code are answered so; spaces and dashes of the code do not count."""
        bare = user_code.replace(" ", "").replace("-", "")
        grant = next(grant for grant in self.grants if grant.user_code == bare)
        self._says.setdefault(grant.device_code, deque()).extend(answers)
