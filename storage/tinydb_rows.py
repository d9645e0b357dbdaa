"""The `Storage` that TinyDB is given: one row per document, each with its checksum, in one SQLite file.

`read` and `write` of the whole store, which is all that stock TinyDB knows, stay correct but slow; the tables of
tinydb_engine.py read and write single rows instead.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast
from zlib import crc32

from tinydb.storages import Storage

from provisioning.errors import Duplicate, Unavailable
from provisioning.model import Record
from provisioning.texts import to_operator
from storage.records import Plain, decode, to_json
from storage.tinydb_file import FAULTS, StoreFile
from storage.tinydb_layout import COLUMNS, LAYOUTS, Layout
from storage.tinydb_schema import listed_tables, make_schema, sql_name
from storage.tinydb_writer import Work, Writer

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

T = TypeVar("T")
R = TypeVar("R", bound=Record)
LONGEST_KNOWN = 4096  # characters of a text that may be remembered with its record: a thousand take some 4 MB
Row = tuple[int, str, int]


def checksum(doc_id: int, text: str) -> int:
    """CRC-32 of a document, begun with its id, so that a row that took another's place is found too."""
    return crc32(text.encode(), doc_id & 0xFFFFFFFF)


def other_checksum(doc_id: int, table: str) -> str:
    return to_operator('row {row} of "{table}" does not have the checksum it was written with', row=doc_id, table=table)


def no_document(doc_id: int, table: str) -> str:
    return to_operator('row {row} of "{table}" is no document of its kind', row=doc_id, table=table)


def row_fault(table: str, row: Row) -> str | None:
    """What is wrong with a row as it lies on the disk: the one check that every read makes."""
    doc_id, text, written = row
    if not isinstance(text, str) or not isinstance(doc_id, int) or checksum(doc_id, text) != written:
        return other_checksum(doc_id, table)
    return None


def plain_of(table: str, row: Row) -> Plain:
    """The document of a row that was checked. Errors: ValueError with the row, where it is none."""
    try:
        return _plain_in(row[1])
    except _NoDocument as error:
        raise ValueError(no_document(row[0], table)) from error


class _NoDocument(Exception):
    """A text that was written whole, and yet is no JSON object."""


def _plain_in(text: str) -> Plain:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _NoDocument from error
    if not isinstance(plain, dict):
        raise _NoDocument
    return plain


@lru_cache(maxsize=1000)
def _record_in(kind: Any, text: str) -> Any:
    """What a text says never changes, so it is not worked out anew while it stands in a row that is read again.

    Of a device that spares 15 µs of 22. The row itself is read and held against its checksum each time.
    """
    return decode(kind, _plain_in(text))


class RowStorage(Storage):
    """The file behind a `RowDB`. With `read_only` it takes no lock and may stand beside the running service."""

    def __init__(self, folder: str | Path, *, layouts: Iterable[Layout] = LAYOUTS, read_only: bool = False) -> None:
        self.file = StoreFile(Path(folder), read_only=read_only)
        self.layouts = {layout.table: layout for layout in layouts}
        self._writer: Writer | None = None
        if not read_only:
            self.file.take()
            new = not self.file.path.exists()
            try:
                self._writer = Writer(self.file)
                self.call(lambda connection: make_schema(connection, self.layouts.values(), self.file.seal_schema))
                if new:
                    self.file.settle_names()
            except FAULTS as error:
                trouble = self.file.trouble(error)
                self.close()
                raise trouble from error
            except BaseException:
                self.close()
                raise

    @property
    def writer(self) -> Writer:
        if self._writer is None:
            raise PermissionError(to_operator("{path} was opened for reading only.", path=self.file.path))
        return self._writer

    def call(self, work: Work[T]) -> T:
        """Runs `work` in the writer's thread and returns once it is durable."""
        return self.writer.call(work)

    def ask(self, statement: str, values: Iterable[Any] = ()) -> list[Any]:
        """Rows of committed state. A table nobody wrote to yet is empty."""
        try:
            return self.file.reader().execute(statement, tuple(values)).fetchall()
        except FAULTS as error:
            if str(error).startswith("no such table"):
                return []
            raise self.file.trouble(error) from error

    def stream(self, statement: str, values: Iterable[Any] = ()) -> Iterator[Row]:
        """As `ask`, a row at a time, for questions that may be about every row."""
        try:
            yield from self.file.reader().execute(statement, tuple(values))
        except FAULTS as error:
            if not str(error).startswith("no such table"):
                raise self.file.trouble(error) from error

    def open_row(self, table: str, row: Row) -> Plain:
        """The document of a row whose checksum is right; anything else is never served."""
        if fault := row_fault(table, row):
            raise self.file.damaged(fault)
        try:
            return plain_of(table, row)
        except ValueError as error:
            raise self.file.damaged(str(error)) from error

    def open_record(self, table: str, kind: type[R], row: Row, *, again: bool) -> R:
        """As `open_row`, the record that the document stands for; with `again`, it may be read again soon."""
        if fault := row_fault(table, row):
            raise self.file.damaged(fault)
        read: Callable[[Any, str], Any] = (
            _record_in if again and len(row[1]) <= LONGEST_KNOWN else _record_in.__wrapped__
        )
        try:
            return cast(R, read(kind, row[1]))
        except _NoDocument as error:
            raise self.file.damaged(no_document(row[0], table)) from error

    def wrong_row(self, table: str, key: str) -> Unavailable:
        return self.file.damaged(
            to_operator('the index of "{table}" names the wrong row for "{key}"', table=table, key=key)
        )

    def wrong_index(self, table: str, name: str) -> Unavailable:
        return self.file.damaged(
            to_operator('an index of "{table}" ({name}) does not match its row', table=table, name=name)
        )

    def read(self) -> dict[str, dict[str, Any]] | None:
        tables = {
            name: {
                str(row[0]): self.open_row(name, row)
                for row in self.ask(f"SELECT id, doc, crc FROM {sql_name(name)} ORDER BY id")
            }
            for name in self.tables()
        }
        return tables or None

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        def replace_all(connection: sqlite3.Connection) -> None:
            for name in {*listed_tables(connection), *data}:
                rows = Rows(self, connection, name)
                rows.clear()
                rows.update({int(doc_id): doc for doc_id, doc in data.get(name, {}).items()})
                rows.flush()
                if name not in data and name not in self.layouts:
                    connection.execute(f"DROP TABLE {sql_name(name)}")

        self.call(replace_all)

    def tables(self) -> list[str]:
        return listed_tables(self.file.reader())

    def close(self) -> None:
        """Finishes what was submitted, folds the log into the file and frees the lock."""
        if self._writer:
            self._writer.close()
        self.file.close_readers()
        self.file.release()


class Rows(MutableMapping[int, Plain]):
    """A table inside a unit, as the dictionary that TinyDB's updaters expect; it remembers what they touched."""

    def __init__(self, storage: RowStorage, connection: sqlite3.Connection, name: str) -> None:
        self._storage, self._connection, self._name = storage, connection, name
        self._table = sql_name(name)
        self._layout = storage.layouts.get(name)
        self._touched: dict[int, Plain] = {}
        self._read: dict[int, str] = {}  # as it stood, for those that stood before
        if self._layout is None:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {self._table} ({COLUMNS})")

    def __getitem__(self, doc_id: int) -> Plain:
        if doc_id not in self._touched:
            row = self._connection.execute(f"SELECT id, doc, crc FROM {self._table} WHERE id = ?", (doc_id,)).fetchone()
            if row is None:
                raise KeyError(doc_id)
            self._touched[doc_id] = self._storage.open_row(self._name, row)
            self._read[doc_id] = row[1]
        return self._touched[doc_id]

    def __setitem__(self, doc_id: int, doc: Plain) -> None:
        if doc_id in self:
            self[doc_id]  # read, so that it is known how it stood
        self._touched[doc_id] = doc

    def __delitem__(self, doc_id: int) -> None:
        self._touched.pop(doc_id, None)
        self._read.pop(doc_id, None)
        self._connection.execute(f"DELETE FROM {self._table} WHERE id = ?", (doc_id,))

    def __contains__(self, doc_id: object) -> bool:
        if doc_id in self._touched:
            return True
        return bool(self._connection.execute(f"SELECT 1 FROM {self._table} WHERE id = ?", (doc_id,)).fetchone())

    def __iter__(self) -> Iterator[int]:
        stored = (doc_id for (doc_id,) in self._connection.execute(f"SELECT id FROM {self._table} ORDER BY id"))
        yield from sorted({*stored, *self._touched})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        self._touched.clear()
        self._read.clear()
        self._connection.execute(f"DELETE FROM {self._table}")

    def flush(self) -> None:
        """Writes what was changed, added or mutated in place."""
        for doc_id, doc in self._touched.items():
            before = self._read.get(doc_id)
            if before is None or to_json(doc) != before:
                self._put(doc_id, doc, changed=before is not None)

    def _put(self, doc_id: int, doc: Plain, *, changed: bool) -> None:
        if self._layout and self._layout.versioned:
            # whoever read the record before this change gets a Conflict, as after any other change
            doc = doc | {"version": int(doc.get("version", 0)) + 1}
        extra = self._layout.values(doc) if self._layout else ()
        text = to_json(doc)
        names = ("id", "doc", "crc", *(self._layout.columns if self._layout else ()))
        if changed:
            self._connection.execute(f"DELETE FROM {self._table} WHERE id = ?", (doc_id,))
        statement = f"INSERT INTO {self._table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        try:
            self._connection.execute(statement, (doc_id, text, checksum(doc_id, text), *extra))
        except sqlite3.IntegrityError as error:
            raise Duplicate("key", str(extra[0] if extra else doc_id)) from error
