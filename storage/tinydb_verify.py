"""The whole store read through: checksums, what stands beside the documents, the tally, SQLite's own structure."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from provisioning.texts import to_operator
from storage.tinydb_layout import Layout, quoted
from storage.tinydb_rows import RowStorage, checksum, other_checksum
from storage.tinydb_schema import sql_name

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

_LATER = {"segment"}  # filled in after the row was written
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
    beside = [column for column in layout.columns if column not in _LATER]
    columns = ", ".join(map(quoted, beside))
    for doc_id, text, *stands in connection.execute(f"SELECT id, doc, {columns} FROM {sql_name(name)}"):
        values = dict(zip(layout.columns, layout.values(json.loads(text)), strict=True))
        if stands != [values[column] for column in beside]:
            yield to_operator('what stands beside row {row} of "{table}" does not match it', row=doc_id, table=name)
