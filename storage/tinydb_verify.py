"""The whole store read through: checksums, what stands beside the documents, the tally, SQLite's own structure."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from provisioning.bookkeeping import Segment
from provisioning.texts import to_operator
from storage.audit import Chain
from storage.records import decode
from storage.tinydb_layout import AUDIT, Layout, quoted
from storage.tinydb_rows import RowStorage, checksum, other_checksum
from storage.tinydb_schema import sql_name

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

_DIGESTS = 'SELECT digest FROM "doc:audit" WHERE id > ? AND id <= ? ORDER BY id'
_TALLY = "SELECT site, state, installed, problem, count FROM tally"
_RECOUNT = """SELECT ix_site, ix_state, ix_installed, ix_problem, count(*) FROM "doc:devices"
    WHERE NOT ix_removed GROUP BY 1, 2, 3, 4"""


def verify(rows: RowStorage, *, deep: bool = False) -> None:
    """Raises `Unavailable` with the first fault found, after which nothing is written to the store any more.

    Runs beside reads and writes. SQLite itself compares indexed columns with their indexes; `deep` works every column
    out from its document again.
    """
    try:
        fault = next(_faults(rows, rows.file.reader(), deep), None)
    except sqlite3.Error as error:
        raise rows.file.trouble(error) from error
    if fault:
        raise rows.file.damaged(fault)


def _faults(rows: RowStorage, connection: sqlite3.Connection, deep: bool) -> Iterator[str]:
    _go_on(rows)
    for (said,) in connection.execute("PRAGMA integrity_check(1)"):
        if said != "ok":
            yield str(said)
    connection.execute("BEGIN")  # rows and counts of one moment
    try:
        for name in rows.tables():
            layout = rows.layouts.get(name)
            _go_on(rows)
            yield from _rows_of(connection, name, layout)
            if deep and layout:
                yield from _columns_of(connection, name, layout)
        if AUDIT in rows.layouts:
            _go_on(rows)
            yield from _chain(connection)
        if "devices" in rows.layouts and set(connection.execute(_TALLY)) != set(connection.execute(_RECOUNT)):
            yield to_operator("the counts beside the devices are not those of the devices")
    finally:
        connection.execute("COMMIT")


def _go_on(rows: RowStorage) -> None:
    if rows.file.closing:
        raise rows.file.was_closed()


def _rows_of(connection: sqlite3.Connection, name: str, layout: Layout | None) -> Iterator[str]:
    version = "version IS json_extract(doc, '$.version')" if layout and layout.versioned else "TRUE"
    for doc_id, text, written, same in connection.execute(f"SELECT id, doc, crc, {version} FROM {sql_name(name)}"):
        if checksum(doc_id, text) != written:
            yield other_checksum(doc_id, name)
        if not same:
            yield to_operator(
                'row {row} of "{table}" does not have the version it was written with', row=doc_id, table=name
            )


def _columns_of(connection: sqlite3.Connection, name: str, layout: Layout) -> Iterator[str]:
    columns = ", ".join(map(quoted, layout.columns))
    for doc_id, text, *stands in connection.execute(f"SELECT id, doc, {columns} FROM {sql_name(name)}"):
        if tuple(stands) != layout.values(json.loads(text)):
            yield to_operator('what stands beside row {row} of "{table}" does not match it', row=doc_id, table=name)


def _chain(connection: sqlite3.Connection) -> Iterator[str]:
    chain = Chain()
    for (text,) in connection.execute('SELECT doc FROM "doc:segments" ORDER BY ord'):
        segment = decode(Segment, json.loads(text))
        rows = connection.execute(_DIGESTS, (chain.last, segment.last))
        if said := chain.fault(segment, [each for (each,) in rows]):
            yield said
