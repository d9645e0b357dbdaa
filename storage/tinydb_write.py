"""Changes of single rows that know their key and version: what a unit of work is made of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from provisioning.errors import Conflict, Duplicate
from storage.tinydb_layout import Layout, quoted
from storage.tinydb_rows import checksum

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound


class Statements:
    """The writing statements of one table with a layout."""

    def __init__(self, table: str, layout: Layout) -> None:
        self._table, self._columns = table, layout.columns
        self._names = [quoted(name) for name in layout.columns]
        names = ", ".join(("id", "doc", "crc", *self._names))
        self._insert = f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * (3 + len(self._names)))})"
        self._former = f"SELECT id, {', '.join(self._names)} FROM {table} WHERE key = ?"
        settings = ", ".join(f"{name} = ?" for name in ("doc", "crc", *self._names))
        self._overwrite = f"UPDATE {table} SET {settings} WHERE id = ?"
        self._delete = f"DELETE FROM {table} WHERE key = ? AND version = ?"

    def insert(
        self, connection: sqlite3.Connection, first: int, documents: Iterable[tuple[str, tuple[Any, ...]]]
    ) -> None:
        """Adds rows, numbered from `first`. `Duplicate` for the first whose key is there."""
        key = ""

        def rows() -> Iterator[tuple[Any, ...]]:
            nonlocal key
            for doc_id, (text, values) in enumerate(documents, start=first):
                key = values[0]
                yield doc_id, text, checksum(doc_id, text), *values

        try:
            connection.executemany(self._insert, rows())
        except sqlite3.IntegrityError as error:
            raise Duplicate("key", str(key)) from error

    def replace(self, connection: sqlite3.Connection, text: str, values: tuple[Any, ...]) -> None:
        """Puts a new version (`values[1]`) in the place of the one before it; `Conflict` where another stands there.

        Only columns that changed are set, so that only their indexes are written.
        """
        key, version = values[:2]
        former = connection.execute(self._former, (key,)).fetchone()
        if former is None:
            raise Conflict
        doc_id = former[0]
        changed = [at for at, value in enumerate(values) if value != former[at + 1]]
        settings = "".join(f", {self._names[at]} = ?" for at in changed)
        done = connection.execute(
            f"UPDATE {self._table} SET doc = ?, crc = ?{settings} WHERE key = ? AND version = ?",
            (text, checksum(doc_id, text), *(values[at] for at in changed), key, version - 1),
        )
        if done.rowcount != 1:
            raise Conflict

    def overwrite(self, connection: sqlite3.Connection, doc_id: int, text: str, values: tuple[Any, ...]) -> None:
        """Puts another document in the place of the one with this id, in a table that counts no versions."""
        connection.execute(self._overwrite, (text, checksum(doc_id, text), *values, doc_id))

    def delete(self, connection: sqlite3.Connection, key: str, version: int) -> None:
        """Removes a row; `Conflict` where this version of it does not stand there."""
        if connection.execute(self._delete, (key, version)).rowcount != 1:
            raise Conflict
