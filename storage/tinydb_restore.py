"""A backup that takes the place of the present state: prepared aside, handed over as one file, applied as one commit.

The file handed over, `restore.sqlite3` in the store's folder, is a whole store in which no code lives any more. The
process that owns the store finds it, while it runs or when it starts, and copies it over the live database in one
durable transaction of SQLite. So there is no moment at which codes of the backup could be used, and a crash leaves
either the old state with the file still waiting, or the new one.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from datetime import datetime
from itertools import chain, count
from pathlib import Path

import structlog
from filelock import FileLock, Timeout

from provisioning.errors import Unavailable
from provisioning.texts import to_operator
from storage.records import to_json
from storage.tinydb_backup import (
    FileFault,
    Pages,
    check_copy,
    check_ours,
    copy_pages,
    finish,
    give_name,
    has_present_shape,
    meta,
    reading,
    remove,
    sync,
)
from storage.tinydb_engine import RowDB
from storage.tinydb_file import FILE, OURS_ALONE, RESTORED, StoreFile
from storage.tinydb_layout import LAYOUTS
from storage.tinydb_rows import checksum
from storage.tinydb_schema import sql_name

# ruff: noqa: S608 - statements are put together from our own table and column names; every value is bound

log = structlog.get_logger(__name__)

WAITING, FAILED, PREPARING = "restore.sqlite3", "restore.failed", "restore.tmp"
RESTORE_LOCK = "restore.lock"  # held by the command from preparing to the end
LIFT = 1_000_000  # added to every version, so that what was read before a restore is never taken for what is there now

_CHUNK = 2000
_CODES = (
    'SELECT 1 FROM "doc:devices" WHERE ix_code_until IS NOT NULL OR ix_hashed_until IS NOT NULL'
    " OR ix_sign_in_until IS NOT NULL LIMIT 1"
)


# ------------------------------------------------------------------ preparing, in the command's process


def check_backup(path: Path) -> None:
    """Errors: `FileFault` for a file that is not there, not ours, from a newer version, or damaged."""
    if not path.is_file():
        raise FileFault(to_operator("{path} is not there.", path=path))
    with closing(reading(path)) as connection:
        check_ours(connection, path, present=False)
        present = has_present_shape(connection)
    if present:  # else its columns are made anew first, and it is checked then
        check_copy(path)


async def prepare(
    backup: Path, folder: Path, void: Callable[[Path], Awaitable[int]], progress: Pages
) -> tuple[str, int]:
    """A copy of the backup in which every code was voided waits in the store's folder to be applied.

    `void` opens the copy as a store, in the folder it is given, and returns how many codes died. Returns the restore's
    token and that number. Errors: `FileFault`, `Unavailable`, OSError, sqlite3.Error; then nothing waits.
    """
    aside = folder / PREPARING
    clear(folder)
    aside.mkdir(mode=0o700)
    try:
        with closing(reading(backup)) as connection:
            copy_pages(connection, aside / FILE, progress)
        token = secrets.token_hex(16)
        finish(aside / FILE, RESTORED, token)  # a backup as it is would not be opened
        codes = await void(aside)
        _lift_versions(aside, token)
        check_copy(aside / FILE)
        sync(aside / FILE)
        (folder / FAILED).unlink(missing_ok=True)
        (aside / FILE).rename(folder / WAITING)
        sync(folder)
        return token, codes
    finally:
        clear(folder)


def clear(folder: Path) -> None:
    """What a preparation that broke off left behind."""
    shutil.rmtree(folder / PREPARING, ignore_errors=True)


def clear_leftovers(folder: Path) -> None:
    """In the process that owns the store: half copies, in which codes may live. What a command is preparing stays."""
    with suppress(OSError):
        for half in folder.glob("before-restore-*.part*"):
            half.unlink()
        if (folder / PREPARING).exists():
            with suppress(Timeout), FileLock(folder / RESTORE_LOCK, timeout=0):
                clear(folder)


def _lift_versions(folder: Path, token: str) -> None:
    with closing(RowDB(folder)) as db:

        def lift(connection: sqlite3.Connection) -> None:
            for layout in LAYOUTS:
                if layout.versioned:
                    _lift_table(connection, sql_name(layout.table))

        db.rows.call(lift)
    finish(folder / FILE, RESTORED, token)


def _lift_table(connection: sqlite3.Connection, table: str) -> None:
    last = 0
    select = f"SELECT id, doc FROM {table} WHERE id > ? ORDER BY id LIMIT {_CHUNK}"
    while rows := connection.execute(select, (last,)).fetchall():
        last = rows[-1][0]
        changed = []
        for row, text in rows:
            plain = json.loads(text)
            plain["version"] = int(plain["version"]) + LIFT
            lifted = to_json(plain)
            changed.append((lifted, checksum(row, lifted), plain["version"], row))
        connection.executemany(f"UPDATE {table} SET doc = ?, crc = ?, version = ? WHERE id = ?", changed)


# ------------------------------------------------------------------ applying, in the owner's process


def waits(folder: Path) -> bool:
    return (folder / WAITING).exists()


def applied(folder: Path, token: str) -> bool:
    """Whether the present state comes from this restore."""
    try:
        with closing(reading(folder / FILE)) as connection:
            return meta(connection, RESTORED) == token
    except sqlite3.Error:
        return False


def failure(folder: Path) -> str:
    """Why the last restore was refused by the store's owner; empty where it was not."""
    try:
        return (folder / FAILED).read_text("utf-8").strip()
    except OSError:
        return ""


def apply(db: RowDB, connection: sqlite3.Connection, now: datetime) -> None:
    """The waiting file becomes the state; what it replaces is kept beside. In the writer's thread, between units.

    It is applied once its token is in the database, whatever else fails then. Else it is taken away and
    `restore.failed` says why; the state is as it was. Raises `FileFault`, never an error of SQLite: which of the files
    it is about, nobody could tell.
    """
    file, token = db.rows.file, ""
    waiting = file.folder / WAITING
    try:
        with closing(reading(waiting)) as source:
            token = _token_to_apply(source, waiting)
            _put_in_place(source, connection, token, file.folder, now)
    except Exception as error:
        if not token or not applied(file.folder, token):
            _refuse(waiting, str(error) or type(error).__name__, now, keep=not token)
            raise FileFault(str(error)) from error
        log.warning("a restore was applied, with trouble afterwards", reason=str(error))
    file.damage = None
    _forget_numbers(db)
    _take_away(waiting)


def _token_to_apply(source: sqlite3.Connection, waiting: Path) -> str:
    check_ours(source, waiting, present=True)
    token = meta(source, RESTORED)
    if not token or source.execute(_CODES).fetchone():
        said = to_operator("{path} was not prepared by the restore command: its codes may live.", path=waiting)
        raise FileFault(said)
    return token


def _put_in_place(
    source: sqlite3.Connection, connection: sqlite3.Connection, token: str, folder: Path, now: datetime
) -> None:
    if _token_of(connection) == token:
        return  # it was applied, and the process ended before it could take the file away
    kept = _kept(folder, now)
    part = kept.with_name(f"{kept.name}.part")
    try:
        copy_pages(connection, part)
        give_name(part, kept)
    except BaseException:
        remove(part)
        raise
    try:
        source.backup(connection)
    except BaseException:
        if not applied(folder, token):
            remove(kept)  # of a state that is still there; and a full disk may need the room to say why
        raise
    log.info("a restore was applied", kept=str(kept))


def _refuse(waiting: Path, why: str, now: datetime, *, keep: bool) -> None:
    """A file that the command prepared goes; anything else that somebody put there is his, and only renamed."""
    if failure(waiting.parent) != why:  # else it was told, and the file could not be taken away
        log.error("a restore was refused", reason=why)
    with suppress(OSError):
        remove(waiting.with_name(FAILED))
        descriptor = os.open(waiting.with_name(FAILED), os.O_CREAT | os.O_EXCL | os.O_WRONLY, OURS_ALONE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as failed:
            failed.write(f"{why}\n")
    if keep:
        waiting.rename(_free_name(waiting.parent, f"restore.refused-{now:%Y%m%dT%H%M%SZ}"))
    _take_away(waiting)


def _token_of(connection: sqlite3.Connection) -> str | None:
    try:
        return meta(connection, RESTORED)
    except sqlite3.Error:  # of a damaged state nothing is known
        return None


def _kept(folder: Path, now: datetime) -> Path:
    """A free name for the state that is replaced."""
    return _free_name(folder, f"before-restore-{now:%Y%m%dT%H%M%SZ}")


def _free_name(folder: Path, begins: str) -> Path:
    names = (f"{begins}{more}.sqlite3" for more in chain([""], (f"-{n}" for n in count(2))))
    return next(folder / name for name in names if not (folder / name).exists())


def _forget_numbers(db: RowDB) -> None:
    """Row numbers go on from what is there now."""
    for name in list(db._tables):
        table = db.row_table(name)
        table._last_id, table._next_id = 0, None


def _take_away(waiting: Path) -> None:
    """Before the next unit is acknowledged: else a crash would bring the file back, and take that unit away."""
    remove(waiting)
    sync(waiting.parent)


def open_db(folder: Path, now: datetime) -> RowDB:
    """As `RowDB(folder)`; a file too damaged to be opened gives way to a restore that waits."""
    try:
        db = RowDB(folder)
    except Unavailable:
        if not waits(folder):
            raise
        _give_way(StoreFile(folder), now)
        db = RowDB(folder)
    clear_leftovers(db.rows.file.folder)
    return db


def _give_way(file: StoreFile, now: datetime) -> None:
    file.take()  # `Unavailable` where the file is not damaged but in use
    try:
        _replace(file.folder, now)
    except OSError as error:
        raise Unavailable(f"{file.path}: {error}.") from error
    finally:
        file.release()


def _replace(folder: Path, now: datetime) -> None:
    """Whole files are put aside and in place; each step leaves something that is opened or replaced the next time."""
    kept = _kept(folder, now)
    for end in ("-wal", ""):
        with suppress(FileNotFoundError):
            (folder / f"{FILE}{end}").rename(kept.with_name(kept.name + end))
    (folder / f"{FILE}-shm").unlink(missing_ok=True)
    sync(folder)
    (folder / WAITING).rename(folder / FILE)
    sync(folder)
    log.info("a restore was applied", kept=str(kept))
