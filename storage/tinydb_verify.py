"""The whole store read through: checksums, what stands beside the documents, the tally, SQLite's own structure."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from zlib import crc32

from provisioning.bookkeeping import Segment
from provisioning.errors import ProvisioningError, Unavailable
from provisioning.texts import to_operator
from storage.audit import Chain
from storage.records import decode
from storage.tinydb_file import FAULTS, is_damage
from storage.tinydb_layout import AUDIT, KEPT_BESIDE, Layout, quoted
from storage.tinydb_rows import RowStorage, no_document, other_checksum
from storage.tinydb_schema import sql_name

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

_CACHE = -16384  # KiB of pages
_TURN = 100  # rows that are worked out between two turns of others
_ODD = (ProvisioningError, LookupError, TypeError, ValueError, AttributeError, RecursionError)  # of an odd document
_DIGESTS = 'SELECT digest FROM "doc:audit" WHERE id > ? AND id <= ? ORDER BY id'


def verify(rows: RowStorage, *, deep: bool = False) -> None:
    """Raises `Unavailable` with the first fault found, after which nothing is written to the store any more.

    Runs beside reads and writes, in a thread that hands the interpreter over again and again. SQLite itself compares
    indexed columns with their indexes; `deep` works every column out from its document again.
    """
    if rows.file.damage:
        raise Unavailable(rows.file.damage)
    try:
        with _prepared(rows.file.reader()) as connection, closing(_faults(rows, connection, deep)) as faults:
            fault = next(faults, None)
    except FAULTS as error:
        raise rows.file.trouble(error) from error
    if fault:
        raise rows.file.damaged(fault)


@contextmanager
def _prepared(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """With room for pages, which halves the time that SQLite's own check takes, and with our checksum in SQL."""
    connection.create_function("checksum", 2, checksum_of, deterministic=True)
    (usual,) = connection.execute("PRAGMA cache_size").fetchone()
    connection.execute(f"PRAGMA cache_size={_CACHE}")
    try:
        yield connection
    finally:
        connection.execute(f"PRAGMA cache_size={usual}")
        connection.execute("PRAGMA shrink_memory")


def _faults(rows: RowStorage, connection: sqlite3.Connection, deep: bool) -> Generator[str, None, None]:
    connection.execute("BEGIN")  # rows and counts of one moment
    try:
        for name in rows.tables():
            layout = rows.layouts.get(name)
            _go_on(rows)
            yield from _readable(name, _rows_of(connection, name, layout))
            if deep and layout:
                yield from _columns_of(rows, connection, name, layout)
        if AUDIT in rows.layouts:
            yield from _chain(rows, connection)
        if "devices" in rows.layouts:
            yield from _beside(rows, connection)
    finally:
        with suppress(sqlite3.Error):  # what is damaged has been told
            connection.execute("ROLLBACK")
    _go_on(rows)
    for (said,) in connection.execute("PRAGMA integrity_check(1)"):
        if said != "ok":
            yield " ".join(str(said).split())


def _go_on(rows: RowStorage) -> None:
    time.sleep(0)  # whoever waits for the interpreter gets it
    if rows.file.closing:
        raise rows.file.was_closed()


def _readable(name: str, faults: Iterator[str]) -> Iterator[str]:
    """A page that SQLite cannot make sense of is told with the table it belongs to."""
    try:
        yield from faults
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        yield to_operator('"{table}" cannot be read ({error})', table=name, error=error)


def _rows_of(connection: sqlite3.Connection, name: str, layout: Layout | None) -> Iterator[str]:
    """One statement for all rows: only what is wrong comes back to Python. What `row_fault` refuses is found here."""
    typed = "typeof(id) = 'integer' AND typeof(doc) = 'text'"
    whole = f"CASE WHEN {typed} THEN checksum(id, CAST(doc AS BLOB)) = crc END"
    document = "CASE WHEN json_valid(doc) THEN json_type(doc) = 'object' END"
    same = "version IS json_extract(doc, '$.version')" if layout and layout.versioned else "TRUE"
    cases = (f"WHEN ({each}) IS NOT TRUE THEN {number}" for number, each in enumerate((whole, document, same), start=1))
    asked = f"SELECT id, CASE {' '.join(cases)} END AS fault FROM {sql_name(name)} WHERE fault LIMIT 1"
    for doc_id, fault in connection.execute(asked):
        if fault == 1:
            yield other_checksum(doc_id, name)
        if fault == 2:
            yield no_document(doc_id, name)
        yield to_operator(
            'row {row} of "{table}" does not have the version it was written with', row=doc_id, table=name
        )


def _columns_of(rows: RowStorage, connection: sqlite3.Connection, name: str, layout: Layout) -> Iterator[str]:
    columns = ", ".join(map(quoted, layout.columns))
    found = connection.execute(f"SELECT id, doc, {columns} FROM {sql_name(name)}")
    while some := found.fetchmany(_TURN):
        for doc_id, text, *stands in some:
            try:
                same = tuple(stands) == layout.values(json.loads(text))
            except _ODD:
                yield no_document(doc_id, name)
                continue
            if not same:
                yield to_operator('what stands beside row {row} of "{table}" does not match it', row=doc_id, table=name)
        _go_on(rows)


def _beside(rows: RowStorage, connection: sqlite3.Connection) -> Iterator[str]:
    """What triggers keep, worked out again from the devices."""
    (counts, _, counted), (tags, _, tagged) = KEPT_BESIDE
    if set(connection.execute(f"SELECT * FROM {counts}")) != set(connection.execute(counted)):
        yield to_operator("the counts beside the devices are not those of the devices")
    _go_on(rows)
    if set(connection.execute(f"SELECT * FROM {tags}")) != set(connection.execute(tagged)):
        yield to_operator("the tags beside the devices are not those of the devices")


def _chain(rows: RowStorage, connection: sqlite3.Connection) -> Iterator[str]:
    chain = Chain()
    for doc_id, text in connection.execute('SELECT id, doc FROM "doc:segments" ORDER BY ord'):
        _go_on(rows)
        try:
            segment = decode(Segment, json.loads(text))
        except _ODD:
            yield no_document(doc_id, "segments")
            continue
        digests = connection.execute(_DIGESTS, (chain.last, segment.last))
        if said := chain.fault(segment, [each for (each,) in digests]):
            yield said


def checksum_of(doc_id: int, text: bytes) -> int:
    """As `checksum`, of a document as it lies on the disk."""
    return crc32(text, doc_id & 0xFFFFFFFF)
