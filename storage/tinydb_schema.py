"""The tables of an embedded store: their names, how they are made, and made anew when their columns change."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable
from functools import partial

import structlog

from storage.kinds import KINDS
from storage.tinydb_layout import KEPT_BESIDE, Layout, quoted

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

log = structlog.get_logger(__name__)

_PREFIX = "doc:"
_REVISIONS = {kind.table: kind.revision for kind in KINDS.values()}
_LASTING = {"digest"}  # worked out when a fact was told and never again: it is what the fact is held against
_BESIDE_FORMER = "SELECT type, name FROM sqlite_master WHERE tbl_name = 'former' AND type <> 'table' AND sql NOT NULL"


def sql_name(name: str) -> str:
    """SQLite's name of a TinyDB table, quoted. SQLite folds case in names and TinyDB does not."""
    return quoted(_PREFIX + re.sub(r"[^a-z0-9_]", lambda sign: f"%{ord(sign[0]):06x}", name))


def listed_tables(connection: sqlite3.Connection) -> list[str]:
    """The TinyDB tables there are."""
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'doc:%' ORDER BY rowid"
    )
    return [re.sub(r"%([0-9a-f]{6})", lambda code: chr(int(code[1], 16)), name[len(_PREFIX) :]) for (name,) in rows]


def shape(layout: Layout) -> str:
    """What a table was made by: its statements, and how its columns are worked out. Another shape: it is made anew."""
    revision = _REVISIONS.get(layout.table, 1)
    made = (*layout.statements(sql_name(layout.table)), *_triggers(layout))
    return "\n".join((*made, *([f"revision {revision}"] if revision > 1 else ())))


def _triggers(layout: Layout) -> tuple[str, ...]:
    return tuple(trigger.replace("{table}", sql_name(layout.table)) for trigger in layout.triggers)


def _revision_in(stored: str) -> int:
    last = stored.rpartition("\n")[2]
    return int(last.removeprefix("revision ")) if last.startswith("revision ") else 1


def make_schema(
    connection: sqlite3.Connection, layouts: Iterable[Layout], seal: Callable[[sqlite3.Connection], None]
) -> None:
    """Makes what is missing; a table whose columns are no longer those of its layout is filled anew.

    All of it is one unit: a store whose conversion was cut off is as it was, and is converted at the next start.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
    layouts = tuple(layouts)
    stands: dict[str, str] = dict(connection.execute("SELECT name, value FROM meta WHERE name LIKE 'layout %'"))
    stale = [layout for layout in layouts if stands.get(f"layout {layout.table}") != shape(layout)]
    if stale:
        there = set(listed_tables(connection))
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {quoted(name)}")  # they name each other's tables: made once all stand
        for layout in stale:
            if layout.table in there:
                _fill_anew(connection, layout, stands.get(f"layout {layout.table}", ""))
            else:
                _make(connection, layout)
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"layout {layout.table}", shape(layout)))
        if any(layout.triggers for layout in stale):
            _keep_beside(connection)
        for trigger in (trigger for layout in layouts for trigger in _triggers(layout)):
            connection.execute(trigger)
    seal(connection)


def _keep_beside(connection: sqlite3.Connection) -> None:
    """What triggers keep beside the devices, made and filled anew."""
    for name, columns, rows in KEPT_BESIDE:
        connection.execute(f"DROP TABLE IF EXISTS {name}")
        connection.execute(f"CREATE TABLE {name} ({columns}) WITHOUT ROWID")
        connection.execute(f"INSERT INTO {name} {rows}")


def _make(connection: sqlite3.Connection, layout: Layout) -> None:
    for statement in layout.statements(sql_name(layout.table)):
        connection.execute(statement)


def _fill_anew(connection: sqlite3.Connection, layout: Layout, stored: str) -> None:
    """Documents keep their ids, their text and their checksums; only what stands beside them is worked out again.

    Where every column was there before, and was worked out in the same way, it is only copied.
    """
    began, table = time.monotonic(), sql_name(layout.table)
    connection.execute(f"ALTER TABLE {table} RENAME TO former")
    for kind, name in connection.execute(_BESIDE_FORMER).fetchall():
        connection.execute(f"DROP {kind} {quoted(name)}")
    _make(connection, layout)
    former = {name for _, name, *_ in connection.execute("PRAGMA table_info(former)")}
    same = former.issuperset(layout.columns) and _revision_in(stored) == _REVISIONS.get(layout.table, 1)
    count = (_copy if same else partial(_work_out, former=former))(connection, layout)
    connection.execute("DROP TABLE former")
    if count:
        seconds = round(time.monotonic() - began, 1)
        log.info("a table was brought to this version", table=layout.table, rows=count, seconds=seconds)


def _copy(connection: sqlite3.Connection, layout: Layout) -> int:
    names = ", ".join(("id", "doc", "crc", *map(quoted, layout.columns)))
    return connection.execute(
        f"INSERT INTO {sql_name(layout.table)} ({names}) SELECT {names} FROM former ORDER BY id"
    ).rowcount


def _work_out(connection: sqlite3.Connection, layout: Layout, former: set[str]) -> int:
    lasting = [at for at, name in enumerate(layout.columns) if name in _LASTING & former]
    kept = "".join(f", {quoted(layout.columns[at])}" for at in lasting)

    def values(text: str, kept: tuple[object, ...]) -> tuple[object, ...]:
        found = list(layout.values(json.loads(text)))
        for at, value in zip(lasting, kept, strict=True):
            found[at] = value
        return tuple(found)

    names = ", ".join(("id", "doc", "crc", *map(quoted, layout.columns)))
    return connection.executemany(
        f"INSERT INTO {sql_name(layout.table)} ({names}) VALUES ({', '.join('?' * (3 + len(layout.columns)))})",
        (
            (doc_id, text, crc, *values(text, tuple(beside)))
            for doc_id, text, crc, *beside in connection.execute(f"SELECT id, doc, crc{kept} FROM former ORDER BY id")
        ),
    ).rowcount
