"""An embedded store as source and as target of a transfer (see transfer.py)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from provisioning.errors import ProvisioningError
from provisioning.texts import to_operator
from storage.records import record_json
from storage.tinydb_backup import FileFault, check_ours, reading
from storage.tinydb_file import FILE, LOCK, StoreFile
from storage.tinydb_layout import LAYOUTS, Layout, quoted
from storage.tinydb_restore import waits
from storage.tinydb_rows import checksum, other_checksum
from storage.tinydb_schema import listed_tables, make_schema, sql_name
from storage.transfer import CHUNK, TABLES, Chunk, TransferFault, bad_row, check_counts

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

T = TypeVar("T")
_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"


class TinySource:
    """One committed state, read by a connection of its own; `alone` holds the store's lock meanwhile."""

    def __init__(self, folder: Path, *, alone: bool = False) -> None:
        self._file, self._alone = StoreFile(folder), alone
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
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
        except (sqlite3.Error, FileFault) as error:
            self._file.release()
            raise TransferFault(str(error)) from error

    async def sizes(self) -> Mapping[str, int]:
        return await asyncio.to_thread(_counts, self._held())

    async def rows(self, table: str) -> AsyncIterator[Chunk]:
        connection, last = self._held(), 0
        while chunk := await asyncio.to_thread(_chunk, connection, table, last):
            yield chunk
            last = chunk[-1][0]

    def _held(self) -> sqlite3.Connection:
        if self._connection is None:
            raise AssertionError("a source is entered before it is read")
        return self._connection


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    return {table: connection.execute(f"SELECT count(*) FROM {sql_name(table)}").fetchone()[0] for table in TABLES}


def _chunk(connection: sqlite3.Connection, table: str, last: int) -> Chunk:
    try:
        question = f"SELECT id, doc, crc FROM {sql_name(table)} WHERE id > ? ORDER BY id LIMIT {CHUNK}"
        rows = connection.execute(question, (last,)).fetchall()
    except sqlite3.Error as error:
        raise TransferFault(str(error)) from error
    for doc_id, text, written in rows:
        if checksum(doc_id, text) != written:
            raise TransferFault(other_checksum(doc_id, table))
    return [(doc_id, json.loads(text)) for doc_id, text, _ in rows]


class TinyTarget:
    """A new or empty embedded store, filled in one transaction: a crash leaves it empty."""

    def __init__(self, folder: Path) -> None:
        self._file = StoreFile(folder)
        self._connection: sqlite3.Connection | None = None
        self._new_folder, self._new_file, self._filled = not folder.exists(), False, False

    async def __aenter__(self) -> Self:
        self._file.take()
        self._new_file = not self._file.path.exists()
        try:
            await asyncio.to_thread(self._open)
        except BaseException as error:
            await asyncio.to_thread(self._leave)
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
        await asyncio.to_thread(self._leave)

    def _leave(self) -> None:
        """What was made for nothing goes again."""
        if self._connection:
            self._connection.close()
        if self._new_file and not self._filled:
            for name in (FILE, f"{FILE}-wal", f"{FILE}-shm", *([LOCK] if self._new_folder else [])):
                (self._file.folder / name).unlink(missing_ok=True)
        self._file.release()
        if self._new_folder and not self._filled:
            with suppress(OSError):
                (self._file.folder / LOCK).unlink(missing_ok=True)
                self._file.folder.rmdir()

    async def fill(self, tables: Mapping[str, AsyncIterator[Chunk]], sizes: Mapping[str, int]) -> Mapping[str, int]:
        connection = self._connection
        if connection is None:
            raise AssertionError("a target is entered before it is filled")
        try:
            connection.execute("BEGIN IMMEDIATE")
            for layout in LAYOUTS:
                await self._fill_table(connection, layout, tables[layout.table])
            counts = await asyncio.to_thread(_counts, connection)
            check_counts(sizes, counts)
            await asyncio.to_thread(self._commit, connection)
        except sqlite3.Error as error:
            connection.close()
            raise self._file.trouble(error) from error
        except BaseException:
            connection.rollback()
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
        indexes = connection.execute(_INDEXES, (name.strip('"'),)).fetchall()
        for index, _statement in indexes:
            connection.execute(f"DROP INDEX {quoted(index)}")
        columns = ", ".join(("id", "doc", "crc", *map(quoted, layout.columns)))
        insert = f"INSERT INTO {name} ({columns}) VALUES ({', '.join('?' * (3 + len(layout.columns)))})"
        put = partial(_put, connection, insert, layout)
        async for chunk in chunks:
            await asyncio.to_thread(put, chunk)
        for _index, statement in indexes:
            await asyncio.to_thread(connection.execute, statement)


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
