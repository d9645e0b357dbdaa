"""An embedded store as source and as target of a transfer (see transfer.py)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from provisioning.bookkeeping import Segment
from provisioning.errors import ProvisioningError
from provisioning.texts import to_operator
from provisioning.trail import KeptFact, KeptSegment
from storage.audit import BEFORE_ALL
from storage.kinds import KINDS
from storage.records import Plain, decode, record_json
from storage.tinydb_backup import FileFault, check_ours, reading
from storage.tinydb_file import FAULTS, FILE, LOCK, StoreFile
from storage.tinydb_layout import LAYOUTS, Layout, quoted
from storage.tinydb_restore import waits
from storage.tinydb_rows import Row, checksum, no_document, plain_of, row_fault
from storage.tinydb_schema import listed_tables, make_schema, sql_name
from storage.transfer import AUDIT, CHUNK, TABLES, Chunk, TransferFault, bad_row, check_counts

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

T = TypeVar("T")
_SEGMENTS = KINDS[Segment].table
_FACTS = f'SELECT id, doc, crc, digest FROM "doc:{AUDIT}" WHERE id > ? ORDER BY id LIMIT {CHUNK}'
_CHAIN = f'SELECT id, doc, crc FROM "doc:{_SEGMENTS}" ORDER BY ord'
_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"


class _Thread:
    """The one thread that uses a connection, from opening to closing it: what is given up still runs to its end there,
    and SQLite crashes a process that closes or rolls back a connection in use."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="store-transfer")

    async def __call__(self, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            future.add_done_callback(_forgotten)
            raise
        return future.result()

    async def surely(self, work: Callable[[], T]) -> T:
        """Is waited for even where this task is given up meanwhile."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        given_up = False
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError:
                given_up = True
        if given_up:
            _forgotten(future)
            raise asyncio.CancelledError
        return future.result()


def _forgotten(future: asyncio.Future[T]) -> None:
    """Nobody asks for its outcome any more."""
    if not future.cancelled():
        future.exception()


class TinySource:
    """One committed state, read by a connection of its own; `alone` holds the store's lock meanwhile."""

    def __init__(self, folder: Path, *, alone: bool = False) -> None:
        self._file, self._alone = StoreFile(folder), alone
        self._connection: sqlite3.Connection | None = None
        self._thread = _Thread()
        self.others: list[str] = []  # tables with rows that are not the service's; they are not carried

    async def __aenter__(self) -> Self:
        try:
            await self._thread(self._open)
        except BaseException:
            await self._thread.surely(self._close)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._thread.surely(self._close)

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._file.release()

    def _open(self) -> None:
        if not self._file.path.exists():
            raise TransferFault(to_operator("{folder} holds no store.", folder=self._file.folder))
        if self._alone:
            self._file.take()
        try:
            if self._alone and waits(self._file.folder):
                raise FileFault(to_operator("A restore waits in {folder}: open it first.", folder=self._file.folder))
            self._connection = reading(self._file.path)
            self._connection.execute("BEGIN")
            check_ours(self._connection, self._file.path, present=True)
            self.others = _others(self._connection)
        except FileFault as error:
            raise TransferFault(str(error)) from error
        except FAULTS as error:
            raise _unreadable(self._file.path, error) from error

    async def sizes(self) -> Mapping[str, int]:
        return await self._thread(partial(_counts, self._held(), self._file.path))

    async def rows(self, table: str) -> AsyncIterator[Chunk]:
        connection, last = self._held(), 0
        while chunk := await self._thread(partial(_chunk, connection, self._file.path, table, last)):
            yield chunk
            last = chunk[-1][0]

    async def segments(self) -> Sequence[KeptSegment]:
        return await self._thread(partial(_chain, self._held(), self._file.path))

    async def facts(self) -> AsyncIterator[Sequence[KeptFact]]:
        connection, last = self._held(), BEFORE_ALL
        while chunk := await self._thread(partial(_facts, connection, self._file.path, last)):
            yield chunk
            last = chunk[-1].number

    def _held(self) -> sqlite3.Connection:
        if self._connection is None:
            raise AssertionError("a source is entered before it is read")
        return self._connection


def _others(connection: sqlite3.Connection) -> list[str]:
    tables = sorted(set(listed_tables(connection)) - {layout.table for layout in LAYOUTS})
    return [table for table in tables if connection.execute(f"SELECT 1 FROM {sql_name(table)} LIMIT 1").fetchone()]


def _unreadable(path: Path, error: object, table: str = "") -> TransferFault:
    """Which file it is about, SQLite does not say."""
    if table:
        return TransferFault(
            to_operator('{path}: "{table}" cannot be read ({error}).', path=path, table=table, error=error)
        )
    return TransferFault(to_operator("{path} cannot be read: {error}.", path=path, error=error))


def _counts(connection: sqlite3.Connection, path: Path) -> dict[str, int]:
    try:
        return {table: connection.execute(f"SELECT count(*) FROM {sql_name(table)}").fetchone()[0] for table in TABLES}
    except FAULTS as error:
        raise _unreadable(path, error) from error


def _chunk(connection: sqlite3.Connection, path: Path, table: str, last: int) -> Chunk:
    try:
        question = f"SELECT id, doc, crc FROM {sql_name(table)} WHERE id > ? ORDER BY id LIMIT {CHUNK}"
        rows = connection.execute(question, (last,)).fetchall()
    except FAULTS as error:
        raise _unreadable(path, error, table) from error
    return [(row[0], _document(path, table, row)) for row in rows]


def _document(path: Path, table: str, row: Row) -> Plain:
    """As any read checks it; a segment is looked into too, because the audit is held against it on the way."""
    fault = row_fault(table, row)
    if not fault:
        try:
            plain = plain_of(table, row)
            if table == _SEGMENTS:
                decode(Segment, plain)
            return plain
        except (ProvisioningError, LookupError, TypeError, ValueError, AttributeError):
            fault = no_document(row[0], table)
    raise TransferFault(to_operator("{path} is damaged: {what}.", path=path, what=fault))


def _chain(connection: sqlite3.Connection, path: Path) -> list[KeptSegment]:
    try:
        rows = connection.execute(_CHAIN).fetchall()
    except FAULTS as error:
        raise _unreadable(path, error, _SEGMENTS) from error
    found = list[KeptSegment]()
    for row in rows:
        plain = _whole(_SEGMENTS, row)
        try:
            found.append(KeptSegment(row[0], decode(Segment, plain) if plain else None))
        except (ProvisioningError, LookupError, TypeError, ValueError, AttributeError):
            found.append(KeptSegment(row[0], None))
    return found


def _facts(connection: sqlite3.Connection, path: Path, last: int) -> list[KeptFact]:
    try:
        rows = connection.execute(_FACTS, (last,)).fetchall()
    except FAULTS as error:
        raise _unreadable(path, error, AUDIT) from error
    return [KeptFact(row[0], _whole(AUDIT, row[:3]), digest) for *row, digest in rows]


def _whole(table: str, row: Sequence[Any]) -> Plain | None:
    """The document of a row, None where it is not what was written."""
    number, text, crc = row
    if row_fault(table, (number, text, crc)):
        return None
    try:
        return plain_of(table, (number, text, crc))
    except ValueError:
        return None


class TinyTarget:
    """A new or empty embedded store, filled in one transaction: a crash leaves it empty."""

    def __init__(self, folder: Path) -> None:
        self._file = StoreFile(folder)
        self._connection: sqlite3.Connection | None = None
        self._thread = _Thread()
        self._new_folders = [each for each in (self._file.folder, *self._file.folder.parents) if not each.exists()]
        self._new_file, self._filled = False, False

    async def __aenter__(self) -> Self:
        self._file.take()
        self._new_file = not self._file.path.exists()
        try:
            await self._thread(self._open)
        except BaseException as error:
            await self._thread.surely(self._leave)
            if isinstance(error, sqlite3.Error):
                raise self._file.trouble(error) from error
            raise
        return self

    def _open(self) -> None:
        self._connection = connection = self._file.writer()
        connection.execute("PRAGMA cache_size=-131072")
        connection.execute("BEGIN IMMEDIATE")
        make_schema(connection, LAYOUTS, self._file.seal_schema)
        connection.execute("COMMIT")
        for table in listed_tables(connection):
            if connection.execute(f"SELECT 1 FROM {sql_name(table)} LIMIT 1").fetchone():
                said = '{folder} is not empty: there are rows in "{table}". Name another folder (tinydb:PATH).'
                raise TransferFault(to_operator(said, folder=self._file.folder, table=table))

    async def __aexit__(self, *_: object) -> None:
        await self._thread.surely(self._leave)

    def _leave(self) -> None:
        """What was made for nothing goes again."""
        if self._connection:
            self._connection.close()
        if self._new_file and not self._filled:
            for name in (FILE, f"{FILE}-wal", f"{FILE}-shm", *([LOCK] if self._new_folders else [])):
                (self._file.folder / name).unlink(missing_ok=True)
        self._file.release()
        if self._new_folders and not self._filled:
            with suppress(OSError):
                (self._file.folder / LOCK).unlink(missing_ok=True)
                for folder in self._new_folders:
                    folder.rmdir()

    async def fill(self, tables: Mapping[str, AsyncIterator[Chunk]], sizes: Mapping[str, int]) -> Mapping[str, int]:
        connection = self._connection
        if connection is None:
            raise AssertionError("a target is entered before it is filled")
        try:
            await self._thread(partial(connection.execute, "BEGIN IMMEDIATE"))
            for layout in LAYOUTS:
                await self._fill_table(connection, layout, tables[layout.table])
            counts = await self._thread(partial(_counts, connection, self._file.path))
            check_counts(sizes, counts)
            await self._thread(partial(self._commit, connection))
        except sqlite3.Error as error:
            await self._thread.surely(connection.close)
            raise self._file.trouble(error) from error
        except BaseException:
            await self._thread.surely(connection.rollback)
            raise
        self._filled = True
        return counts

    def _commit(self, connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._file.settle_names()

    async def _fill_table(self, connection: sqlite3.Connection, layout: Layout, chunks: AsyncIterator[Chunk]) -> None:
        """Indexes are made behind the rows: sorted once instead of searched a million times."""
        name = sql_name(layout.table)
        indexes = await self._thread(partial(_without_indexes, connection, name))
        columns = ", ".join(("id", "doc", "crc", *map(quoted, layout.columns)))
        insert = f"INSERT INTO {name} ({columns}) VALUES ({', '.join('?' * (3 + len(layout.columns)))})"
        put = partial(_put, connection, insert, layout)
        async for chunk in chunks:
            await self._thread(partial(put, chunk))
        for statement in indexes:
            await self._thread(partial(connection.execute, statement))


def _without_indexes(connection: sqlite3.Connection, table: str) -> list[str]:
    """Drops the indexes of a table; returns the statements that make them again."""
    indexes = connection.execute(_INDEXES, (table.strip('"'),)).fetchall()
    for index, _statement in indexes:
        connection.execute(f"DROP INDEX {quoted(index)}")
    return [statement for _index, statement in indexes]


def _put(connection: sqlite3.Connection, insert: str, layout: Layout, chunk: Chunk) -> None:
    for number, plain in chunk:
        try:
            text = record_json(plain)
            values = layout.values(plain)
        except (ProvisioningError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise bad_row(layout.table, number, error) from error
        try:
            connection.execute(insert, (number, text, checksum(number, text), *values))
        except sqlite3.IntegrityError as error:
            raise bad_row(layout.table, number, error) from error
