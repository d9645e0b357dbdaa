"""The whole store read through: checksums, what stands beside the documents, the tally, SQLite's own structure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from storage.tinydb_layout import Layout, quoted
from storage.tinydb_rows import RowStorage, checksum
from storage.tinydb_schema import sql_name

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

_LATER = {"segment"}  # filled in after the row was written
_TALLY = "SELECT site, state, installed, problem, count FROM tally"
_RECOUNT = """SELECT ix_site, ix_state, ix_installed, ix_problem, count(*) FROM "doc:devices"
    WHERE NOT ix_removed GROUP BY 1, 2, 3, 4"""


def verify(rows: RowStorage) -> None:
    """Raises `Unavailable` with the first fault found, after which nothing is written to the store any more.

    Reads every row: about 10 µs each. Runs beside reads and writes, on one committed state.
    """
    try:
        fault = next(_faults(rows, rows.file.reader()), None)
    except sqlite3.Error as error:
        raise rows.file.trouble(error) from error
    if fault:
        raise rows.file.damaged(fault)


def _faults(rows: RowStorage, connection: sqlite3.Connection) -> Iterator[str]:
    for (said,) in connection.execute("PRAGMA integrity_check(1)"):
        if said != "ok":
            yield str(said)
    connection.execute("BEGIN")  # rows and counts of one moment
    try:
        for name in rows.tables():
            yield from _of_table(rows, connection, name, rows.layouts.get(name))
        if "devices" in rows.layouts and set(connection.execute(_TALLY)) != set(connection.execute(_RECOUNT)):
            yield "the counts beside the devices are not those of the devices"
    finally:
        connection.execute("COMMIT")


def _of_table(rows: RowStorage, connection: sqlite3.Connection, name: str, layout: Layout | None) -> Iterator[str]:
    beside = [column for column in layout.columns if column not in _LATER] if layout else []
    columns = "".join(f", {quoted(column)}" for column in beside)
    for doc_id, text, written, *stands in connection.execute(f"SELECT id, doc, crc{columns} FROM {sql_name(name)}"):
        if checksum(doc_id, text) != written:
            yield f'row {doc_id} of "{name}" does not have the checksum it was written with'
        elif layout:
            values = layout.values(rows.open_row(name, (doc_id, text, written)))
            expected = [value for column, value in zip(layout.columns, values, strict=True) if column not in _LATER]
            if stands != expected:
                yield f'what stands beside row {doc_id} of "{name}" does not match it'
