"""The `Store` of one machine: committed state in TinyDB tables over SQLite (see tinydb_engine.py)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from provisioning.bookkeeping import Segment
from provisioning.errors import Unavailable
from provisioning.events import FactsRedacted
from provisioning.messages import OutboxMessage
from provisioning.model import Change, Device, Record, State
from provisioning.ports import AuditRow, Clock, IndexValue, Page, Span, TallyRow, TimelineRow, Watch
from provisioning.texts import to_operator
from storage import calls, timelines, tinydb_restore
from storage.audit import Words, bounded
from storage.kinds import (
    KINDS,
    check_keys,
    check_question,
    check_values,
    holds,
    is_tallied,
    names_asked,
    numbered,
    place_of,
    sum_tally,
)
from storage.loop import Moment, off_the_loop
from storage.records import check_text, decode_event
from storage.tinydb_audit import drop, redact, seal
from storage.tinydb_backup import FileFault
from storage.tinydb_engine import RowDB, RowTable
from storage.tinydb_file import LONG_READS, ROOM
from storage.tinydb_layout import AUDIT, SEEN, SEEN_BY_ALL
from storage.tinydb_outbox import lease_heads, next_due
from storage.tinydb_query import matching, names_few
from storage.tinydb_rows import Row
from storage.tinydb_unit import Unit as UnitOfWork
from storage.tinydb_unit import worked_out, write_seen
from storage.tinydb_verify import verify
from storage.tinydb_writer import Unit, Work
from storage.watch import Topics
from storage.where import Where

R = TypeVar("R", bound=Record)
T = TypeVar("T")

_FEW = 100  # rows that may be read on the event loop
_NARROW = {"devices.technician_open", "devices.technician_installed"}  # 20 µs a count: a thread's turn takes far more
_HANDFUL = 200  # the same where an index names a handful, however many are asked for
_CHECK_SECONDS = 1.0
_CHUNK = 500  # rows of one unit in bulk work, so that other writers get their turn
_TAGS = f"""SELECT tag, count(*) FROM tagged CROSS JOIN "doc:devices" ON id = device
    WHERE NOT ix_removed AND {SEEN_BY_ALL} GROUP BY tag ORDER BY 2 DESC, 1 LIMIT 100"""  # noqa: S608 - no value is put in
_RESTORE_SECONDS = 1.0  # so often a running store looks for a restore that waits


class TinyStore:
    """Reads see committed state; a unit is acknowledged once it is on disk. Belongs to one event loop.

    Errors: `Conflict`, `Duplicate`, `Unavailable`, and `UnreadableText` for a string that cannot be stored.
    """

    def __init__(self, db: RowDB, clock: Clock) -> None:
        self.db, self._clock = db, clock
        self._tables: dict[type[Any], RowTable] = {kind: db.row_table(entry.table) for kind, entry in KINDS.items()}
        self._audit, self._seen = db.row_table(AUDIT), db.row_table(SEEN)
        self._units = Moment(db.rows.writer.submit)  # the writer wakes once for all of them
        self._topics = Topics()
        self._checked = float("-inf")  # when a write was last seen to work, by the loop's clock
        self._long_reads = ThreadPoolExecutor(2, thread_name_prefix=LONG_READS)
        self._looking: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ reading

    async def get(self, kind: type[R], key: str) -> R | None:
        """The record with this key: one index look-up, on the event loop (10 to 25 µs)."""
        record = self._tables[kind].fetch(key, self._opener(kind, again=True))
        if record is not None and record.key != key:
            raise self.db.rows.wrong_row(KINDS[kind].table, key)
        return record

    async def get_many(self, kind: type[R], keys: Sequence[str], *, hidden: bool = False) -> Mapping[str, R]:
        check_keys(keys)
        few = len(keys) <= _FEW
        opener = self._opener(kind, again=few)

        def read() -> Mapping[str, R]:
            rows = self._tables[kind].fetch_many(keys, opener, hidden=hidden)
            found = {row.key: row for row in rows}
            if strange := found.keys() - set(keys):
                raise self.db.rows.wrong_row(KINDS[kind].table, min(strange))
            return found

        return read() if few else await self._in_thread(read)

    def _opener(self, kind: type[R], *, again: bool) -> Callable[[Row], R]:
        """What makes records of rows; `again` says that they may be read again soon."""
        table, rows = KINDS[kind].table, self.db.rows
        return lambda row: rows.open_record(table, kind, row, again=again)

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
        """As the port says; ValueError for an index the kind does not have or a limit outside 1 … 1000.

        What may touch many rows is read in a thread, so that the event loop stays free.
        """
        entry = check_question(kind, names_asked(contains, span, equals), limit)
        place: Any = after
        if after is not None:
            check_text(after)
            if entry.order is None:
                place = numbered(after)
                if place is None:
                    return Page((), None)
        where = matching(entry, contains, span, equals)
        order = "place" if where.by_list else "ord" if entry.order else "id"
        if where.by_range:  # hides the index of the order, so that SQLite takes that of the range
            order = f"+{order}"

        few = entry.small or (limit <= _HANDFUL and names_few(entry, equals))
        opener = self._opener(kind, again=few or limit <= _FEW)

        def read() -> Page[R]:
            rows, more = self._tables[kind].page(where, order, place, limit, opener)
            for name, value in equals.items():
                if not all(holds(entry, row, name, value) for row in rows):
                    raise self.db.rows.wrong_index(entry.table, name)
            return Page(tuple(rows), more)

        return read() if few else await self._in_thread(read)

    async def find_each(self, kind: type[R], index: str, values: Collection[str], *, limit: int = 50) -> Sequence[R]:
        entry, wanted = check_values(kind, index, values, limit), dict.fromkeys(values)
        few = len(wanted) <= _FEW

        def read() -> Sequence[R]:
            rows = self._tables[kind].each(index, wanted, limit, self._opener(kind, again=few))
            if not all(entry.indexes[index](row) in wanted for row in rows):
                raise self.db.rows.wrong_index(entry.table, index)
            return rows

        return read() if few else await self._in_thread(read)

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
        entry = check_question(kind, names_asked(contains, span, equals))
        if ahead_of is None and is_tallied(kind, contains, span, equals):
            site = equals.get("site")
            return sum_tally(await self.tally(str(site) if site is not None else None), equals)
        where = matching(entry, contains, span, equals, counting=True)
        if ahead_of is not None:
            where &= Where((f"{'place' if where.by_list else 'ord'} < ?",), (place_of(kind, ahead_of),))
        count = partial(self._tables[kind].count_where, where)
        return count() if where.index in _NARROW else await self._in_thread(count)

    async def tally(self, site: str | None = None) -> Sequence[TallyRow]:
        """Counts kept by triggers beside the devices; `site` is case-folded, as in the rows."""
        where = Where(("batch = ''",)) & (Where() if site is None else Where(("site = ?",), (site,)))
        if site is not None:
            check_text(site)
        columns = "site, state, installed, problem, count"
        rows = self.db.rows.ask(
            f"SELECT {columns} FROM tally WHERE {where} ORDER BY 1, 2, 3, 4",  # noqa: S608 - every value is bound
            where.values,
        )
        try:
            return [TallyRow(row[0], State(row[1]), bool(row[2]), bool(row[3]), row[4]) for row in rows]
        except ValueError as error:  # no checksum stands beside the counts
            raise self.db.rows.file.damaged(to_operator("the counts name a state that is none")) from error

    async def timeline(
        self, index: str, since: datetime, until: datetime, step: timedelta, **equals: IndexValue
    ) -> Sequence[TimelineRow]:
        steps = timelines.steps(index, since, until, step, equals)
        where = matching(KINDS[Device], None, steps.span, {**equals, "removed": False}, counting=True)
        table = self._tables[Device]
        return await self._in_thread(lambda: steps.rows(table.count_by_step(where, index, steps.begin, steps.width)))

    async def tags(self) -> Sequence[tuple[str, int]]:
        return await self._in_thread(lambda: self.db.rows.ask(_TAGS))

    async def history(self, subject: str | None = None, *, after: str | None = None, limit: int = 50) -> Page[AuditRow]:
        check_question(Device, set(), limit)
        where = Where()
        if subject is not None:
            check_text(subject)
            where &= Where(("subject = ?",), (subject,))
        if after is not None:
            where &= Where(("id < ?",), (numbered(after),))  # less than NULL is nothing

        def read() -> Page[AuditRow]:
            found = self._audit.tail(where, limit + 1)
            rows = tuple(AuditRow(sequence, decode_event(plain)) for sequence, plain in found[:limit])
            return Page(rows, str(rows[-1].sequence) if len(found) > limit else None)

        return read() if limit <= _FEW else await self._in_thread(read)

    async def facts(self, after: int = 0, *, limit: int = 500) -> Sequence[AuditRow]:
        """One writer gives the numbers and commits in their order, so nothing has to be withheld."""
        check_question(Device, set(), limit)

        def read() -> Sequence[AuditRow]:
            return [
                AuditRow(number, decode_event(plain)) for number, plain in self._audit.behind(bounded(after), limit)
            ]

        return read() if limit <= _FEW else await self._in_thread(read)

    async def newest_fact(self) -> int:
        return max((number for number, _ in self._audit.tail(Where(), 1)), default=0)

    async def last_seen(self, macs: Sequence[str]) -> Mapping[str, datetime]:
        def read() -> Mapping[str, datetime]:
            found = ((mac, self._seen.fetch(mac, self._seen.open_row)) for mac in macs)
            return {mac: datetime.fromisoformat(plain["at"]) for mac, plain in found if plain}

        return read() if len(macs) <= _FEW else await self._in_thread(read)

    async def silent(
        self, after: datetime | None, until: datetime, *, beyond: str | None = None, limit: int = 500
    ) -> Page[calls.Call]:
        check_question(Device, set(), limit)
        where = calls.silent(after, until, beyond, "?")

        def read() -> Page[calls.Call]:
            plains, more = self._seen.page(where, "at, key", None, limit, self._seen.open_row)
            rows = [(plain["mac"], datetime.fromisoformat(plain["at"])) for plain in plains]
            if not all(at <= until and (after is None or after < at) for _, at in rows):
                raise self.db.rows.wrong_index(SEEN, "at")
            return calls.page(rows, more=more is not None)

        return read() if limit <= _FEW else await self._in_thread(read)

    async def _in_thread(self, read: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._long_reads, read)
        except RuntimeError as error:  # the executor was shut down
            raise self.db.rows.file.was_closed() from error

    # ------------------------------------------------------------------ writing

    async def save(self, change: Change) -> None:
        """As the port says. A cancelled call may have taken effect; watchers are woken whenever it did."""
        rows = len(change.puts) + len(change.events)
        unit = await off_the_loop(worked_out(change), lambda: UnitOfWork.of(change, self._tables, self._audit))
        await self._commit(unit.write, lambda topics: topics, large=rows > _CHUNK)

    async def seal(self, now: datetime, limit: int = 5000) -> int:
        segments = self._tables[Segment]
        return await self._commit(lambda connection: seal(connection, segments, now, limit))

    async def drop_audit(self, before: datetime, now: datetime) -> int:
        segments = self._tables[Segment]
        return await self._commit(lambda connection: drop(connection, segments, before, now))

    async def redact(self, numbers: Sequence[int], words: Words, fact: FactsRedacted) -> int:
        return await self._commit(
            lambda connection: redact(connection, self._audit, numbers, words, fact), lambda _: ("facts",)
        )

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> Sequence[OutboxMessage]:
        table = self._tables[OutboxMessage]
        return await self._commit(lambda connection: lease_heads(connection, table, now, now + lease, limit))

    async def next_due(self) -> datetime | None:
        return await self._in_thread(lambda: next_due(self.db.rows))

    async def record_seen(self, seen: Mapping[str, datetime]) -> None:
        """In units of 500 devices. An earlier time than the one known changes nothing."""
        rows = sorted(seen.items())
        for mac, _ in rows:
            check_text(mac)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            await self._commit(partial(write_seen, table=self._seen, seen=chunk))

    async def _commit(self, work: Work[T], woken: Callable[[T], Iterable[str]] | None = None, **how: bool) -> T:
        """What a unit of work returns once it is durable; then those are woken who wait for one of these topics."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def finish(value: Any, error: BaseException | None) -> None:
            if error is None:
                self._topics.wake(woken(value) if woken else ())
            elif isinstance(error, Unavailable):
                self._checked = float("-inf")
            if not future.done():
                future.set_exception(error) if error else future.set_result(value)

        self._units.add(Unit(work, finish, loop, **how))
        return await future

    # ------------------------------------------------------------------ the rest

    def watch(self, *topics: str) -> AbstractAsyncContextManager[Watch]:
        return self._topics.watch(*topics)

    async def clock(self) -> None:
        """It is this machine's."""

    async def check(self) -> None:
        """Raises `Unavailable` with the reason where the store is damaged or cannot be written durably right now.

        Writes at most once a second, so that it may be asked at any rate. At first, and after a write was refused, it
        writes as much as a change can take: on a full disk a few bytes fit now and then, which would be told as the
        end of the trouble again and again. Nothing else knows of quotas, of limits and of what is reserved.
        """
        if self.db.rows.file.damage:
            raise Unavailable(self.db.rows.file.damage)
        now = asyncio.get_running_loop().time()
        if now < self._checked + _CHECK_SECONDS:
            return

        filler = "" if self._checked > float("-inf") else " " * ROOM

        def touch(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('checked', datetime() || ?)", (filler,))

        await self._commit(touch)
        self._checked = now

    async def verify(self, *, deep: bool = False) -> None:
        """Reads the whole store through, in a thread; raises `Unavailable` that names the first fault found.

        `deep` also works out again what stands beside each document (some 20 times slower).
        """
        await self._in_thread(lambda: verify(self.db.rows, deep=deep))

    async def begin(self) -> None:
        """Applies a restore that waits, before anybody reads; and from now on within a second of its coming."""
        await self._restore()
        self._looking = asyncio.create_task(self._look_for_restores())

    async def _look_for_restores(self) -> None:
        while True:
            await self._clock.sleep(_RESTORE_SECONDS)
            await self._restore()

    async def _restore(self) -> None:
        """The old state is kept where the file cannot be applied; whoever handed it over is told why."""
        if not tinydb_restore.waits(self.db.rows.file.folder):
            return
        with suppress(FileFault, OSError, Unavailable):
            await self._commit(lambda writer: tinydb_restore.apply(self.db, writer, self._clock.now()), alone=True)
        self._checked = float("-inf")
        self._topics.wake_all()

    async def close(self) -> None:
        """Finishes what was submitted, ends long reads, releases the watchers and the lock. May be called twice."""
        if self._looking:
            self._looking.cancel()
        self._topics.wake_all()
        self._units.end()
        # Said on the loop, whose own look-ups are between two steps now: from here on none of them begins, so that
        # the thread below never closes a connection that is just being read (SQLite would crash the process).
        self.db.rows.file.interrupt()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._long_reads.shutdown()
        self.db.close()


async def open_tiny_store(folder: Path, *, clock: Clock) -> TinyStore:
    """Opens or makes the store in `folder`. Raises `Unavailable` where another process has it, or it is damaged."""
    store = TinyStore(await asyncio.to_thread(tinydb_restore.open_db, folder, clock.now()), clock)
    try:
        await store.begin()
    except BaseException:
        await store.close()
        raise
    return store
