"""The tables of an embedded store: their names, how they are made, and made anew when their columns change."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable

from storage.tinydb_layout import TALLY, Layout, quoted

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

_PREFIX = "doc:"


def sql_name(name: str) -> str:
    """SQLite's name of a TinyDB table, quoted. SQLite folds case in names and TinyDB does not."""
    return quoted(_PREFIX + re.sub(r"[^a-z0-9_]", lambda sign: f"%{ord(sign[0]):06x}", name))


def listed_tables(connection: sqlite3.Connection) -> list[str]:
    """The TinyDB tables there are."""
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'doc:%' ORDER BY rowid"
    )
    return [re.sub(r"%([0-9a-f]{6})", lambda code: chr(int(code[1], 16)), name[len(_PREFIX) :]) for (name,) in rows]


def make_schema(
    connection: sqlite3.Connection, layouts: Iterable[Layout], seal: Callable[[sqlite3.Connection], None]
) -> None:
    """Makes what is missing; a table whose columns are no longer those of its layout is filled anew."""
    connection.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
    connection.execute(TALLY)
    there = set(listed_tables(connection))
    for layout in layouts:
        table, name = sql_name(layout.table), f"layout {layout.table}"
        statements = layout.statements(table)
        shape = "\n".join(statements)
        stands = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if stands == (shape,):
            continue
        if layout.table in there:
            _fill_anew(connection, layout, table, statements)
        else:
            _make(connection, statements)
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, shape))
    seal(connection)


def _make(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)


def _fill_anew(connection: sqlite3.Connection, layout: Layout, table: str, statements: tuple[str, ...]) -> None:
    """Documents keep their ids, their text and their checksums; only what stands beside them is worked out again."""
    connection.execute("CREATE TEMP TABLE former AS SELECT id, doc, crc FROM " + table)
    # row by row, so that what is counted by triggers is counted out
    connection.execute(f"DELETE FROM {table} WHERE TRUE")
    connection.execute(f"DROP TABLE {table}")
    _make(connection, statements)
    places = ", ".join("?" * (3 + len(layout.columns)))
    rows = connection.execute("SELECT id, doc, crc FROM former ORDER BY id")
    connection.executemany(
        f"INSERT INTO {table} (id, doc, crc, {', '.join(map(quoted, layout.columns))}) VALUES ({places})",
        ((*row, *layout.values(json.loads(row[1]))) for row in rows),
    )
    connection.execute("DROP TABLE former")
