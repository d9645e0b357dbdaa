"""Copies of an embedded store: taken beside the running service, checked, and put in the place of its state."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from provisioning.errors import Unavailable
from provisioning.texts import N_, to_operator
from storage.tinydb_file import _APPLICATION, FAULTS, OURS_ALONE, RESTORED, SCHEMA, TAKEN, Fault, StoreFile, read_only
from storage.tinydb_layout import LAYOUTS
from storage.tinydb_rows import RowStorage
from storage.tinydb_schema import shape, sql_name
from storage.tinydb_verify import verify

Pages = Callable[[int, int], None]  # how many were copied, how many there are

_STEP = 1024  # pages copied at once
_SYNC = 16  # steps; what was copied goes to the disk little by little, so that nobody else's fsync waits for all of it


class FileFault(Exception):
    """What is wrong with a file, in one line for the operator."""


def reading(path: Path) -> sqlite3.Connection:
    """A connection of its own, for any thread, that never writes and may stand beside the running service."""
    connection = sqlite3.connect(
        read_only(path.resolve()), uri=True, timeout=5, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA query_only=ON")
    return connection


def check_ours(connection: sqlite3.Connection, path: Path, *, present: bool) -> None:
    """Errors: `FileFault` for a file that is no store, or a newer one; with `present` also for an older one."""
    try:
        application, version = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error
    if application != _APPLICATION or not version:
        raise FileFault(to_operator("{path} is no store of this program.", path=path))
    if version > SCHEMA:
        said = N_("{path} was written by a newer version of this program (schema {version}, this one knows {known}).")
        raise FileFault(to_operator(said, path=path, version=version, known=SCHEMA))
    if present and not has_present_shape(connection):
        said = N_("{path} was written by an older version of this program. Start the service with it once, then again.")
        raise FileFault(to_operator(said, path=path))


def _unreadable(path: Path, error: Fault) -> FileFault:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) and not os.access(path.resolve().parent, os.W_OK):
        said = N_(
            "{path} cannot be read where nothing can be written, because its log ({path}-wal) was not folded in. Copy "
            "the whole folder to where you can write, and name the copy: --store tinydb:PATH."
        )
        return FileFault(to_operator(said, path=path))
    return FileFault(to_operator("{path} cannot be read: {error}.", path=path, error=error))


def has_present_shape(connection: sqlite3.Connection) -> bool:
    """Its tables are those of this version."""
    shapes = dict(connection.execute("SELECT name, value FROM meta"))
    return all(shapes.get(f"layout {layout.table}") == shape(layout) for layout in LAYOUTS)


# ------------------------------------------------------------------ taking one


def back_up(source: Path, target: Path, taken: datetime, progress: Pages) -> None:
    """A copy of one committed state, checked before it gets its name. Never in the place of another file.

    The copy's connection holds one snapshot from the first page to the last: what is written meanwhile neither gets
    into it nor makes it begin again, and nobody waits for it. Errors: `FileFault`, OSError, sqlite3.Error.
    """
    if not source.exists():
        raise FileFault(to_operator("{folder} holds no store.", folder=source.parent))
    check_target(target, source.parent)
    if os.path.lexists(target):
        raise _is_there(target)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        with closing(reading(source)) as connection:
            check_ours(connection, source, present=True)
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM meta").fetchone()  # the snapshot begins with the first read
            copy_pages(connection, part, progress)
        finish(part, TAKEN, taken.isoformat())
        check_copy(part)
        sync(part)
        give_name(part, target)
        sync(target.parent)
    except BaseException:
        remove(part)
        raise


def check_target(target: Path, folder: Path | None) -> None:
    """Errors: `FileFault` for a place in the store's own folder, and for a link, a device or a folder."""
    if folder and target.resolve().is_relative_to(folder.resolve()):
        said = N_("{path} lies in the store's own folder. Name a file elsewhere, at best on another disk.")
        raise FileFault(to_operator(said, path=target))
    if os.path.lexists(target) and not stat.S_ISREG(target.lstat().st_mode):
        raise FileFault(to_operator("{path} is there already, and is no file. Name another one.", path=target))


def give_name(part: Path, target: Path) -> None:
    """A finished file gets its name, never in the place of another one. Errors: `FileFault`, OSError."""
    try:
        try:
            os.link(part, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links: the name is taken first, then what stands under it
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OURS_ALONE))
            part.replace(target)
        else:
            part.unlink()
    except FileExistsError as error:
        raise _is_there(target) from error


def _is_there(target: Path) -> FileFault:
    return FileFault(to_operator("{path} is there already. Name another file.", path=target))


def copy_pages(source: sqlite3.Connection, target: Path, progress: Pages | None = None) -> None:
    """Every page of what the connection reads, into a new file that only its owner may read."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OURS_ALONE))
    descriptor = os.open(target, os.O_RDWR)
    steps = 0

    def step(_status: int, remaining: int, total: int) -> None:
        nonlocal steps
        steps += 1
        if steps % _SYNC == 0:
            os.fsync(descriptor)
        if progress:
            progress(total - remaining, total)

    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous=OFF")  # a copy that broke off is thrown away
            copy.execute("PRAGMA journal_mode=OFF")
            source.backup(copy, pages=_STEP, progress=step)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def finish(path: Path, name: str, value: str) -> None:
    """One file without a log beside it, with a word about itself."""
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE").fetchone()
        copy.execute("DELETE FROM meta WHERE name = ?", (RESTORED,))  # what the original was is not what the copy is
        copy.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def taken_at(path: Path) -> datetime:
    """When a backup was taken; of one that does not say so, when its file was written."""
    with closing(reading(path)) as connection, suppress(sqlite3.Error, ValueError):
        found = meta(connection, TAKEN)
        if found:
            return datetime.fromisoformat(found)
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def meta(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


# ------------------------------------------------------------------ checking one


class CopyFile(StoreFile):
    """A store's file under any name, of which nobody is the owner."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent, read_only=True)
        self.path = path.resolve()

    def damaged(self, what: str) -> Unavailable:
        self.damage = to_operator("{path} is damaged: {what}.", path=self.path, what=what)
        return Unavailable(self.damage)


def check_copy(path: Path, *, deep: bool = False) -> int:
    """Reads a file through: checksums, SQLite's own structure, counts, the audit's chain; returns the rows.

    May stand beside the service that owns it. Errors: `FileFault`.
    """
    if not path.is_file():
        raise FileFault(to_operator("{path} is not there.", path=path))
    try:
        with closing(reading(path)) as connection:
            check_ours(connection, path, present=True)
            count = sum(
                connection.execute(f"SELECT count(*) FROM {sql_name(layout.table)}").fetchone()[0]  # noqa: S608 - ours
                for layout in LAYOUTS
            )
    except FAULTS as error:
        raise _unreadable(path, error) from error
    rows = RowStorage(path.parent, read_only=True)
    rows.file = CopyFile(path)
    try:
        verify(rows, deep=deep)
    except Unavailable as error:
        raise FileFault(error.reason) from error
    except UnicodeDecodeError as error:
        raise FileFault(rows.file.damaged(str(error)).reason) from error
    finally:
        rows.close()
    return int(count)


# ------------------------------------------------------------------ on the disk


def sync(path: Path) -> None:
    """The file, or the names in the folder, are on the disk."""
    if path.is_dir() and os.name != "posix":
        return  # only POSIX opens a folder
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """A file of SQLite with what it may have left beside it."""
    for end in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
