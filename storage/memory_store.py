"""The `Store` in dictionaries: nothing of it is on a disk, and it ends with its process."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import starmap
from typing import Any, TypeVar

from provisioning.batches import Batch
from provisioning.bookkeeping import Segment
from provisioning.errors import Conflict, Duplicate
from provisioning.events import Event, FactsRedacted
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.model import Change, Device, Record
from provisioning.ports import AuditRow, IndexValue, Page, Span, TallyRow, TimelineRow, Watch
from storage import calls, timelines
from storage.audit import Unsealed, Words, digest, named, next_segment, redacted, without_rows
from storage.kinds import (
    KINDS,
    check_keys,
    check_question,
    check_values,
    columns_of,
    is_tallied,
    names_asked,
    numbered,
    place_of,
    sees_hidden,
    sum_tally,
)
from storage.memory_rows import Row, Table
from storage.records import check_text, decode_event, encode, encode_event, micros, record_json
from storage.watch import Topics

R = TypeVar("R", bound=Record)

WAITING = MessageStatus.WAITING.value


class MemoryStore:
    """As the port says. Belongs to one event loop, and does whatever it is asked at once."""

    def __init__(self) -> None:
        self._tables = {cls: Table(kind) for cls, kind in KINDS.items()}
        self._audit: list[Event] = []
        self._about: defaultdict[str, list[int]] = defaultdict(list)  # subject → numbers of its facts
        self._sealed = self._dropped = 0  # how many facts, from the first
        self._seen: dict[str, datetime] = {}
        self._topics = Topics()

    def load(self, records: Iterable[Record]) -> None:
        """Records as they stand elsewhere, with their versions."""
        for record in records:
            table = self._tables[type(record)]
            table.put(table.row_of(record, None))

    # ------------------------------------------------------------------ reading

    async def get(self, kind: type[R], key: str) -> R | None:
        check_text(key)
        row = self._tables[kind].rows.get(key)
        return None if row is None or self._hidden(row) else row.record

    async def get_many(self, kind: type[R], keys: Sequence[str], *, hidden: bool = False) -> Mapping[str, R]:
        check_keys(keys)
        rows = self._tables[kind].rows
        return {key: rows[key].record for key in keys if key in rows and (hidden or not self._hidden(rows[key]))}

    def _hidden(self, row: Row) -> bool:
        if not isinstance(row.record, Device) or not row.record.batch:
            return False
        batch = self._tables[Batch].rows.get(row.record.batch)
        return batch is not None and batch.record.hides

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
        rows = self._matching(kind, contains, span, equals)
        rest = sorted((row.place, row.record.key) for row in rows if after is None or row.place > after)
        table = self._tables[kind].rows
        found = tuple(table[key].record for _place, key in rest[:limit])
        return Page(found, rest[limit - 1][0] if len(rest) > limit else None)

    async def find_each(self, kind: type[R], index: str, values: Collection[str], *, limit: int = 50) -> Sequence[R]:
        check_values(kind, index, values, limit)
        asked: list[Mapping[str, Any]] = [{index: value} for value in dict.fromkeys(values)]
        return [record for equals in asked for record in (await self.find(kind, limit=limit, **equals)).rows]

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
        check_question(kind, names_asked(contains, span, equals))
        if ahead_of is None and is_tallied(kind, contains, span, equals):
            site = equals.get("site")
            return sum_tally(await self.tally(None if site is None else str(site)), equals)
        rows = self._matching(kind, contains, span, equals)
        if ahead_of is None:
            return len(rows)
        place = place_of(kind, ahead_of)
        return sum(row.place < place for row in rows)

    def _matching(
        self, kind: type[Any], contains: str | None, span: Span | None, equals: Mapping[str, IndexValue]
    ) -> list[Row]:
        for text in (contains, *equals.values()):
            if isinstance(text, str):
                check_text(text)
        if None in equals.values():
            return []
        rows = self._tables[kind].having(equals, span)
        if not sees_hidden(kind, equals):
            rows = [row for row in rows if not self._hidden(row)]
        if contains is not None:
            part = contains.casefold()
            rows = [row for row in rows if part in str(row.values["text"])]
        return rows

    async def tally(self, site: str | None = None) -> Sequence[TallyRow]:
        check_text(site or "")
        rows = self._tables[Device].having({"removed": False} | ({} if site is None else {"site": site}))
        devices = [row.record for row in rows if not self._hidden(row)]
        counted = Counter(
            (each.site.casefold(), each.state, each.installed is not None, each.problem is not None) for each in devices
        )
        return [TallyRow(*group, counted[group]) for group in sorted(counted)]

    async def timeline(
        self, index: str, since: datetime, until: datetime, step: timedelta, **equals: IndexValue
    ) -> Sequence[TimelineRow]:
        steps = timelines.steps(index, since, until, step, equals)
        counted: Counter[tuple[str, int]] = Counter()
        for row in self._matching(Device, None, steps.span, {**equals, "removed": False}):
            counted[row.values["site"], (row.values[index] - steps.begin - 1) // steps.width] += 1
        return steps.rows([(*group, counted[group]) for group in sorted(counted)])

    async def tags(self) -> Sequence[tuple[str, int]]:
        rows = [row for row in self._tables[Device].having({"removed": False}) if not self._hidden(row)]
        counted = Counter(tag for row in rows for tag in row.values["tag"])
        return sorted(counted.items(), key=lambda tag: (-tag[1], tag[0]))[:100]

    async def history(self, subject: str | None = None, *, after: str | None = None, limit: int = 50) -> Page[AuditRow]:
        if not 1 <= limit <= 1000:
            raise ValueError(f"1 to 1000 rows at once, not {limit}")
        for text in (subject, after):
            check_text(text or "")
        end = len(self._audit) + 1 if after is None else numbered(after) or 0
        numbers: Sequence[int] = range(1, len(self._audit) + 1) if subject is None else self._about.get(subject, [])
        last = bisect_left(numbers, end)
        newest = [number for number in reversed(numbers[max(0, last - limit - 1) : last]) if number > self._dropped]
        rows = tuple(AuditRow(number, self._audit[number - 1]) for number in newest[:limit])
        return Page(rows, str(rows[-1].sequence) if len(newest) > limit else None)

    async def facts(self, after: int = 0, *, limit: int = 500) -> Sequence[AuditRow]:
        check_question(Device, set(), limit)
        first = max(after, self._dropped)
        return [AuditRow(first + n, event) for n, event in enumerate(self._audit[first : first + limit], start=1)]

    async def newest_fact(self) -> int:
        return len(self._audit)

    # ------------------------------------------------------------------ writing

    async def save(self, change: Change) -> None:
        gone = {(type(record), record.key) for record in change.deletes}
        for record in change.deletes:
            row = self._tables[type(record)].rows.get(record.key)
            if row is None or row.record.version != record.version:
                raise Conflict
        puts = self._checked(change.puts, gone)
        for event in change.events:
            record_json(encode_event(event))
        for kind, key in gone:
            self._tables[kind].take(key)
        for row in puts:
            self._tables[type(row.record)].put(row)
        for event in change.events:
            self._audit.append(event)
            self._about[event.subject].append(len(self._audit))
        woken = {record.key for record in change.puts}
        self._topics.wake(woken | {"outbox"} if any(isinstance(p, OutboxMessage) for p in change.puts) else woken)

    def _checked(self, records: Sequence[Record], gone: set[tuple[type[Record], str]]) -> list[Row]:
        """The rows as they will stand. A unit may put one record twice, each upon the one before."""
        rows = dict[tuple[type[Record], str], Row]()
        for record in records:
            kind, key = type(record), record.key
            record_json(encode(record))
            columns_of(KINDS[kind], record)
            stored = rows.get((kind, key)) or (None if (kind, key) in gone else self._tables[kind].rows.get(key))
            if record.version == 0 and stored:
                raise Duplicate("key", key)
            if record.version != (stored.record.version if stored else 0):
                raise Conflict
            if isinstance(record, OutboxMessage) and not stored and self._waits_already(record, rows, gone):
                continue
            fresh = replace(record, version=record.version + 1)
            rows[kind, key] = self._tables[kind].row_of(fresh, stored)
        return list(rows.values())

    def _waits_already(
        self,
        message: OutboxMessage,
        coming: Mapping[tuple[type[Record], str], Row],
        gone: set[tuple[type[Record], str]],
    ) -> bool:
        """Whether one with the same unique word will wait when this unit is saved."""
        if not message.unique:
            return False
        there = self._tables[OutboxMessage].having({"unique": message.unique})
        stay = [row.record for row in there if (OutboxMessage, row.record.key) not in gone | coming.keys()]
        stay += [row.record for (kind, _key), row in coming.items() if kind is OutboxMessage]
        return any(each.unique == message.unique and _waits(each) and not each.leased_until for each in stay)

    async def seal(self, now: datetime, limit: int = 5000) -> int:
        micros(now)
        events = self._audit[self._sealed : self._sealed + limit]
        if events:
            plains = [(event.at, digest(encode_event(event))) for event in events]
            rows = [Unsealed(self._sealed + n, micros(at), text) for n, (at, text) in enumerate(plains, start=1)]
            former = max(self._segments(), key=lambda each: each.key, default=None)
            await self.save(Change(puts=(next_segment(former, rows, now),)))
            self._sealed += len(rows)
        return len(events)

    async def drop_audit(self, before: datetime, now: datetime) -> int:
        micros(before), micros(now)
        kept = [each for each in self._segments() if not each.dropped]
        oldest = min(kept, key=lambda each: each.number, default=None)
        dropped = without_rows(oldest, before, now) if oldest else None
        if dropped is None:
            return 0
        await self.save(Change(puts=(dropped,)))
        self._dropped = dropped.last
        return dropped.count

    async def redact(self, numbers: Sequence[int], words: Words, fact: FactsRedacted) -> int:
        there = [number for number in numbers if self._dropped < number <= len(self._audit)]
        plains = {number: redacted(encode_event(self._audit[number - 1]), words) for number in there}
        said = {number: plain for number, plain in plains.items() if plain is not None}
        for plain in said.values():
            record_json(plain)
        for number, plain in said.items():
            self._about[self._audit[number - 1].subject].remove(number)
            self._audit[number - 1] = decode_event(plain)
            insort(self._about[plain["subject"]], number)
        if said:
            await self.save(Change(events=(replace(fact, rows=tuple(starmap(named, said.items()))),)))
        return len(said)

    def _segments(self) -> list[Segment]:
        return [row.record for row in self._tables[Segment].rows.values()]

    # ------------------------------------------------------------------ the outbox

    def _heads(self) -> list[Row]:
        waiting = self._tables[OutboxMessage].having({"status": WAITING})
        heads: dict[str, Row] = {}
        for row in sorted(waiting, key=lambda row: row.place):
            heads.setdefault(row.record.lane, row)
        return list(heads.values())

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> Sequence[OutboxMessage]:
        micros(now)
        due = [row for row in self._heads() if row.record.due_at <= now and _free(row.record, now)]
        due.sort(key=lambda row: (row.record.due_at, row.place))
        table, leased = self._tables[OutboxMessage], list[OutboxMessage]()
        for row in due[:limit]:
            message = replace(row.record, leased_until=now + lease, version=row.record.version + 1)
            table.put(table.row_of(message, row))
            leased.append(message)
        return leased

    async def next_due(self) -> datetime | None:
        heads = [row.record for row in self._heads()]
        return min((message.leased_until or message.due_at for message in heads), default=None)

    # ------------------------------------------------------------------ who called

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

    # ------------------------------------------------------------------ the rest

    def watch(self, *topics: str) -> AbstractAsyncContextManager[Watch]:
        return self._topics.watch(*topics)

    async def clock(self) -> None:
        """It is this machine's."""

    async def check(self) -> None:
        """Nothing can be wrong with a dictionary."""

    async def verify(self, *, deep: bool = False) -> None:
        """Nor does one rot."""

    async def close(self) -> None:
        self._topics.wake_all()


def _waits(message: OutboxMessage) -> bool:
    return message.status is MessageStatus.WAITING


def _free(message: OutboxMessage, now: datetime) -> bool:
    return message.leased_until is None or message.leased_until <= now
