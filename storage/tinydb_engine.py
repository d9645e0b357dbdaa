"""TinyDB over SQLite: its API and its queries, but durable, indexed, and with one writer that many share.

Built on TinyDB's documented extension points (https://tinydb.readthedocs.io/en/latest/extend.html).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

from tinydb import TinyDB
from tinydb.queries import QueryLike
from tinydb.storages import Storage
from tinydb.table import Document, Table

from storage.records import Plain, check_text
from storage.tinydb_layout import Layout, quoted
from storage.tinydb_query import candidates
from storage.tinydb_rows import Row, Rows, RowStorage
from storage.tinydb_schema import sql_name
from storage.tinydb_write import Statements
from storage.where import Where

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

T = TypeVar("T")
Fields = Mapping[str, Any] | Callable[[MutableMapping[str, Any]], None]
Ask = Callable[[str, tuple[Any, ...]], Iterable[Row]]


class RowTable(Table):
    """A TinyDB table whose documents are rows. No row is cached: each read sees what is committed."""

    def __init__(self, storage: Storage, name: str, cache_size: int = 0, persist_empty: bool = False) -> None:
        self._rows = cast(RowStorage, storage)
        self._sql = sql_name(name)
        self.layout: Layout | None = self._rows.layouts.get(name)
        self._select = f"SELECT id, doc, crc FROM {self._sql} WHERE "
        seen = f" AND {self.layout.seen}" if self.layout and self.layout.seen else ""
        self._fetch = f"{self._select}key = ?{seen}"
        self._ids = threading.Lock()
        self._last_id = 0
        super().__init__(storage, name, 0, persist_empty)

    @property
    def rows(self) -> RowStorage:
        return self._rows

    @cached_property
    def writing(self) -> Statements:
        """Changes of single rows within a unit, for a table with a layout."""
        if self.layout is None:
            raise TypeError(f'The table "{self._name}" has no keys.')
        return Statements(self._sql, self.layout)

    # ------------------------------------------------------------------ named look-ups

    def open_row(self, row: Row) -> Plain:
        """The document of a row. Raises `Unavailable` for a damaged one."""
        return self._rows.open_row(self._name, row)

    def fetch(self, key: str, open_row: Callable[[Row], T]) -> T | None:
        """What `open_row` makes of the row with this key, found by its index, if it is to be seen."""
        check_text(key)
        rows = self._rows.ask(self._fetch, (key,))
        return open_row(rows[0]) if rows else None

    def fetch_many(self, keys: Sequence[str], open_row: Callable[[Row], T], *, hidden: bool) -> list[T]:
        """The same of these keys; with `hidden`, also what is not to be seen."""
        seen = self.layout.seen if self.layout and not hidden else ""
        question = f"{self._select}key IN (SELECT value FROM json_each(?)) AND {seen or 'TRUE'}"
        return list(map(open_row, self._rows.ask(question, (json.dumps(list(keys)),))))

    def each(self, index: str, values: Collection[str], limit: int, open_row: Callable[[Row], T]) -> list[T]:
        """For each value of an index up to `limit` rows, opened, in their order."""
        column, seen = quoted(f"ix_{index}"), self.layout.seen if self.layout else ""
        rows = self._rows.ask(
            f"SELECT found.id, doc, crc FROM json_each(?) AS asked CROSS JOIN {self._sql} AS found ON found.id IN"
            f" (SELECT id FROM {self._sql} WHERE {column} = asked.value AND {seen or 'TRUE'} ORDER BY ord LIMIT ?)"
            " ORDER BY asked.key, ord",
            (json.dumps(list(values)), limit),
        )
        return list(map(open_row, rows))

    def page(
        self, where: Where, order: str, after: Any, limit: int, open_row: Callable[[Row], T]
    ) -> tuple[list[T], str | None]:
        """Up to `limit` rows, opened, behind the place `after` (None: from the first), and the place of the last one.

        By key set, never by offset: the cost of a page does not grow with its number.
        """
        if after is not None:
            where &= Where((f"{order} > ?",), (after,))
        rows = self._rows.ask(
            f"SELECT id, doc, crc, {order} FROM {self._from(where)} WHERE {where} ORDER BY {order} LIMIT ?",
            (*where.values, limit + 1),
        )
        opened = [open_row(row[:3]) for row in rows[:limit]]
        return opened, str(rows[limit - 1][3]) if len(rows) > limit else None

    def tail(self, where: Where, limit: int) -> list[tuple[int, Plain]]:
        """The newest documents with their ids, newest first."""
        rows = self._rows.ask(f"{self._select}{where} ORDER BY id DESC LIMIT ?", (*where.values, limit))
        return [(row[0], self._rows.open_row(self._name, row)) for row in rows]

    def behind(self, doc_id: int, limit: int) -> list[tuple[int, Plain]]:
        """The documents that follow this id, with theirs, the oldest first."""
        rows = self._rows.ask(f"{self._select}id > ? ORDER BY id LIMIT ?", (doc_id, limit))
        return [(row[0], self._rows.open_row(self._name, row)) for row in rows]

    def count_where(self, where: Where) -> int:
        return int(self._rows.ask(f"SELECT count(*) FROM {self._from(where)} WHERE {where}", where.values)[0][0])

    def count_by_step(self, where: Where, index: str, begin: int, width: int) -> list[tuple[str, int, int]]:
        """Sites, steps of an indexed time from `begin` on (see timelines.py), and how many devices are in each."""
        column = quoted(f"ix_{index}")
        return self._rows.ask(
            f"SELECT ix_site, ({column} - ? - 1) / ?, count(*) FROM {self._from(where)} WHERE {where} "
            "GROUP BY 1, 2 ORDER BY 1, 2",
            (begin, width, *where.values),
        )

    def _from(self, where: Where) -> str:
        if where.by_list:
            return f"tagged CROSS JOIN {self._sql} ON id = device"
        return f"{self._sql} INDEXED BY {quoted(where.index)}" if where.index else self._sql

    # ------------------------------------------------------------------ TinyDB's reading

    def _matches(self, ask: Ask, cond: QueryLike) -> Iterator[Document]:
        where = candidates(cond, self.layout.plannable if self.layout else {})
        for row in ask(f"{self._select}{where} ORDER BY id", where.values):
            doc = self._rows.open_row(self._name, row)
            if cond(doc):
                yield self.document_class(doc, row[0])

    def search(self, cond: QueryLike) -> list[Document]:
        """All documents that match; equality on an indexed field looks up, anything else reads every row."""
        return list(self._matches(self._rows.stream, cond))

    def get(self, cond: QueryLike | None = None, doc_id: int | None = None, doc_ids: list[int] | None = None) -> Any:
        if doc_id is not None:
            rows = self._rows.ask(self._select + "id = ?", (doc_id,))
            return self.document_class(self._rows.open_row(self._name, rows[0]), doc_id) if rows else None
        if doc_ids is not None:
            found = (self.get(doc_id=each) for each in sorted(set(doc_ids)))
            return [doc for doc in found if doc is not None]
        if cond is not None:
            return next(self._matches(self._rows.stream, cond), None)
        raise RuntimeError("You have to pass either cond or doc_id or doc_ids")

    def _read_table(self) -> dict[str, Mapping[str, Any]]:
        return {str(doc.doc_id): doc for doc in self}

    def __iter__(self) -> Iterator[Document]:
        for row in self._rows.stream(self._select + "TRUE ORDER BY id"):
            yield self.document_class(self._rows.open_row(self._name, row), row[0])

    def __len__(self) -> int:
        rows = self._rows.ask(f"SELECT count(*) FROM {self._sql}")
        return int(rows[0][0]) if rows else 0

    # ------------------------------------------------------------------ TinyDB's writing

    def _update_table(self, updater: Callable[[Any], None]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            rows = Rows(self._rows, connection, self._name)
            updater(rows)
            rows.flush()

        self._rows.call(work)

    def _ids_of(self, connection: sqlite3.Connection, cond: QueryLike) -> list[int]:
        Rows(self._rows, connection, self._name)  # makes the table, where this is its first use
        return [doc.doc_id for doc in self._matches(connection.execute, cond)]

    def update(self, fields: Fields, cond: QueryLike | None = None, doc_ids: Iterable[int] | None = None) -> list[int]:
        """As TinyDB's, in one unit; a condition is first narrowed down by the indexes."""
        stock = super().update
        if cond is None or doc_ids is not None:
            return stock(fields, cond, doc_ids)
        return self._rows.call(lambda connection: stock(fields, doc_ids=self._ids_of(connection, cond)))

    def remove(self, cond: QueryLike | None = None, doc_ids: Iterable[int] | None = None) -> list[int]:
        """As TinyDB's, in one unit; a condition is first narrowed down by the indexes."""
        stock = super().remove
        if cond is None or doc_ids is not None:
            return stock(cond, doc_ids)
        return self._rows.call(lambda connection: stock(doc_ids=self._ids_of(connection, cond)))

    def truncate(self) -> None:
        super().truncate()
        self._last_id = 0

    def add(self, connection: sqlite3.Connection, documents: Sequence[tuple[str, tuple[Any, ...]]]) -> None:
        """Adds documents, each with what stands beside it, within a unit. `Duplicate` where a key is there."""
        self.writing.insert(connection, self._new_ids(len(documents)), documents)

    def new_id(self) -> int:
        """The next document id. Whoever inserts asks here, so that ids never meet and grow in the order of units."""
        return self._new_ids(1)

    def _new_ids(self, many: int) -> int:
        """The first of so many that follow each other."""
        with self._ids:
            if self._next_id is None:  # nothing was asked yet, or an id of the caller's own choice was just stored
                behind = self.layout.numbers_behind if self.layout else "0"
                rows = self._rows.ask(f"SELECT max(coalesce(max(id), 0), coalesce({behind}, 0)) FROM {self._sql}")
                self._last_id = max(self._last_id, rows[0][0] if rows else 0)
            first = self._last_id + 1
            self._last_id += many
            self._next_id = self._last_id + 1  # type: ignore[assignment]  # TinyDB declares it by its first value
            return first

    _get_next_id = new_id


class RowDB(TinyDB):
    """A `tinydb.TinyDB` on one SQLite file: `RowDB(folder)` writes, `RowDB(folder, read_only=True)` looks on."""

    table_class = RowTable
    default_storage_class = RowStorage  # type: ignore[assignment]  # TinyDB declares it by its own default

    @property
    def rows(self) -> RowStorage:
        return cast(RowStorage, self.storage)

    def row_table(self, name: str) -> RowTable:
        return cast(RowTable, self.table(name))

    def tables(self) -> set[str]:
        """Names of the tables that hold or held documents."""
        return set(self.rows.tables())

    def drop_table(self, name: str) -> None:
        """Removes a table with its documents; one that belongs to the service is emptied."""
        self._tables.pop(name, None)

        def work(connection: sqlite3.Connection) -> None:
            Rows(self.rows, connection, name).clear()
            if name not in self.rows.layouts:
                connection.execute(f"DROP TABLE {sql_name(name)}")

        self.rows.call(work)
