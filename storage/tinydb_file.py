"""The folder of an embedded store: its lock, its one writing connection and its readers.

Rules of SQLite's WAL that this file keeps (https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html):
exactly one connection ever writes or checkpoints, every other one is `query_only`; `synchronous=FULL`, because NORMAL
may lose an acknowledged commit when the power fails; never on a network file system, whose processes share no memory.
"""

from __future__ import annotations

import errno
import getpass
import os
import re
import shutil
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from filelock import FileLock, Timeout

from provisioning.errors import Unavailable
from provisioning.texts import N_, to_operator

log = structlog.get_logger(__name__)

FILE, LOCK = "store.sqlite3", "store.lock"
TAKEN, RESTORED = "taken", "restored"  # in `meta`: when a backup was taken, which restore a state comes from
OURS_ALONE = 0o600  # of every file with what a store holds
SCHEMA = 7  # with each, a fixture for tests/storage/test_schema_versions.py
LONG_READS = "store-reader"  # how threads that read long lists are called
_APPLICATION = 0x50424F54  # "PBOT": what `file` shows, and what tells our file from another program's
_FULL = 2
_NETWORK = re.compile(
    "nfs4?|cifs|smb3|smbfs|afs|ncpfs|ceph|lustre|9p|virtiofs|vboxsf|prl_fs|gpfs|beegfs|ocfs2|gfs2|glusterfs|"
    r"fuse\.(sshfs|rclone|s3fs|glusterfs|ceph)"
)
_CURES = {
    sqlite3.SQLITE_CANTOPEN: N_(
        "{path} cannot be opened. Look whether {folder} is there and can be written, and whether too many files are "
        "open."
    ),
    sqlite3.SQLITE_READONLY: N_("{path} cannot be written. Look who owns it, and whether its disk became read-only."),
    sqlite3.SQLITE_PERM: N_("{path} may not be used by the user who runs this service. Look who owns it."),
    sqlite3.SQLITE_IOERR: N_(
        "{path}: the disk cannot read or write ({error}). Look into the system's log, then at it."
    ),
}
# What comes out of a damaged file: SQLite's own errors, and one of Python that cannot read SQLite's words about it.
Fault = sqlite3.Error | UnicodeDecodeError
FAULTS = (sqlite3.Error, UnicodeDecodeError)
ROOM = 64 * 1024  # bytes free, below which a disk counts as full
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def network_file_system(folder: Path, mounts: str) -> str | None:
    """The kind of network file system a folder lies on, by a table like /proc/mounts; None where it is local.

    Of two at one place the later one lies on top. What would part the columns is written in octal (\\040 is a space).
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        point, system = line.split(" ")[1:3]
        for octal in ("011", "012", "040", "134"):  # the backslash last: what it stood for is no sign of its own
            point = point.replace(f"\\{octal}", chr(int(octal, 8)))
        if folder.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), system
    return kind if _NETWORK.fullmatch(kind) else None


def _refuse_network(folder: Path) -> None:
    mounts = Path("/proc/mounts")
    kind = network_file_system(folder, mounts.read_text("utf-8", "replace")) if mounts.exists() else None
    if str(folder).startswith(("\\\\", "//")):
        kind = to_operator("network share")
    if kind:
        said = to_operator(
            "{folder} lies on a network file system ({kind}), where an embedded store loses data: its file locks and "
            "shared memory do not reach other machines. Put it on a local disk.",
            folder=folder,
            kind=kind,
        )
        raise Unavailable(said)


def read_only(path: Path) -> str:
    """The URI of a file that is only read. Where nothing can be written beside it, as on a read-only mount, SQLite
    cannot share it with others; without a log there are none."""
    apart = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    return f"file:{quote(str(path))}?mode=ro{'&immutable=1' * apart}"


def is_damage(error: Fault) -> bool:
    if isinstance(error, UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in _DAMAGE or "decode to UTF-8" in str(error) or "malformed" in str(error)


def _user() -> str:
    """Who runs this process."""
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except ImportError:  # Windows
        return getpass.getuser()
    except KeyError:  # an id without a name, as in many containers
        return str(os.geteuid())


def _why_not(path: Path, fault: int) -> str:
    """What an operating system's refusal means for whoever runs the service, and what helps."""
    if fault in (errno.EACCES, errno.EPERM):
        said = N_(
            "{path} cannot be written by {user}, who runs this service. Give it to that user (chown -R {user} {path}), "
            "or name another folder (STORE_URL=tinydb:PATH)."
        )
        return to_operator(said, path=path, user=_user())
    if fault == errno.EROFS:
        said = N_(
            "{path} lies on a file system that is mounted read-only. Mount it for writing, or name another folder "
            "(STORE_URL=tinydb:PATH)."
        )
        return to_operator(said, path=path)
    if fault in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        said = N_(
            "{path} cannot be used: there is a file where a folder is needed, or a folder where a file is. Move it "
            "away, or name another folder (STORE_URL=tinydb:PATH)."
        )
        return to_operator(said, path=path)
    if fault in (errno.ENOSPC, errno.EDQUOT):
        return to_operator("{path}: the disk is full. Free some space.", path=path)
    said = N_("{path} cannot be used: {reason}. Name another folder (STORE_URL=tinydb:PATH), or mend this one.")
    return to_operator(said, path=path, reason=os.strerror(fault))


class StoreFile:
    """Opens connections and says in plain words what is wrong with the file."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder, self.read_only = folder.resolve(), read_only
        self.path = self.folder / FILE
        self.damage: str | None = None  # once seen, nothing is written any more
        self._lock: FileLock | None = None
        self._told = False  # that others may read it
        self._local = threading.local()
        self._readers: list[tuple[sqlite3.Connection, str]] = []  # with the name of its thread
        self.closing = False
        self._closed = False

    # ------------------------------------------------------------------ the one writer

    def take(self) -> None:
        """Makes the folder and locks it for this process; `Unavailable` says who else has it."""
        _refuse_network(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock(self.folder / LOCK, timeout=0, thread_local=False)
            lock.acquire()
        except Timeout:
            said = to_operator(
                "{folder} is in use by another process, which holds {lock}. Stop that one first, or give this one its "
                "own folder (STORE_URL=tinydb:PATH). The lock frees itself when its process ends.",
                folder=self.folder,
                lock=self.folder / LOCK,
            )
            raise Unavailable(said) from None
        except OSError as error:
            raise Unavailable(_why_not(self._in_the_way(), error.errno or 0)) from error
        self._lock = lock
        try:
            self._look()
        except BaseException:
            self.release()
            raise

    def _in_the_way(self) -> Path:
        """What an operating system's refusal is about: the lock, the folder, or the first above it that is there."""
        lock = self.folder / LOCK
        if lock.is_dir() or (lock.exists() and not os.access(lock, os.W_OK)):
            return lock
        return next((each for each in (self.folder, *self.folder.parents) if os.path.lexists(each)), self.folder)

    def _look(self) -> None:
        """Refuses what SQLite would only say "unable to open" of, or silently begin anew."""
        log = Path(f"{self.path}-wal")
        if self.path.is_dir():
            raise Unavailable(_why_not(self.path, errno.EISDIR))
        for path in (self.folder, self.path, log):
            if path.exists() and not os.access(path, os.R_OK | os.W_OK):
                read_only = hasattr(os, "statvfs") and os.statvfs(path).f_flag & os.ST_RDONLY
                raise Unavailable(_why_not(path, errno.EROFS if read_only else errno.EACCES))
        if self.path.exists() and not self.path.stat().st_size and log.exists() and log.stat().st_size:
            raise self.damaged(to_operator("it is empty, but its log is not"))

    def writer(self) -> sqlite3.Connection:
        """The connection that writes, durable on every commit. Raises sqlite3.Error or Unavailable."""
        self._make()
        connection = sqlite3.connect(
            self.path, timeout=5, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._tell_who_else_reads()
        return connection

    def _make(self) -> None:
        """For its owner alone; SQLite gives what it puts beside the file the rights of the file."""
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, OURS_ALONE))
        except FileExistsError:
            return
        except OSError as error:
            raise Unavailable(_why_not(self._in_the_way(), error.errno or 0)) from error

    def _tell_who_else_reads(self) -> None:
        if os.name == "posix" and not self._told:
            self._told = True
            folder, file = (path.stat().st_mode for path in (self.folder, self.path))
            if any(file & reads and folder & enters for reads, enters in ((0o040, 0o010), (0o004, 0o001))):
                log.warning("others may read the store", path=str(self.path), cure=f"chmod go= {self.folder}")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        def ask(pragma: str) -> Any:
            return connection.execute(f"PRAGMA {pragma}").fetchone()[0]

        version, application = ask("user_version"), ask("application_id")
        if application != _APPLICATION and (version or application or ask("schema_version")):
            raise self._foreign()
        if version > SCHEMA:
            raise self._newer(version)
        if application and not version:  # they are written together
            raise self.damaged(to_operator("its version is missing"))
        if ask("schema_version"):
            self._refuse_raw_backup(connection)
        journal = ask("journal_mode=WAL")
        for pragma in ("fullfsync=ON", "checkpoint_fullfsync=ON"):  # macOS: its fsync alone does not reach the disk
            connection.execute(f"PRAGMA {pragma}")
        for pragma in (
            "synchronous=FULL",
            "wal_autocheckpoint=0",
            "journal_size_limit=4194304",
            "trusted_schema=OFF",
            "temp_store=MEMORY",  # what undoes one statement with triggers is kept there, for every page it touches
            "cache_size=-16384",
        ):
            connection.execute(f"PRAGMA {pragma}")
        if (journal, ask("synchronous")) != ("wal", _FULL):
            said = N_("{path}: this file system does not let SQLite write durably (journal: {journal}).")
            raise Unavailable(to_operator(said, path=self.path, journal=journal))
        # what an earlier handle wrote without being able to confirm it must not come back to life
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _refuse_raw_backup(self, connection: sqlite3.Connection) -> None:
        """One that was copied into the store's place by hand: codes in it may have been used since it was taken."""
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            asked = "SELECT name FROM meta WHERE name IN (?, ?)"
            if connection.execute(asked, (TAKEN, RESTORED)).fetchall() == [(TAKEN,)]:
                said = N_(
                    "{path} is a backup that was copied here by hand. Codes that were used since would work again, so "
                    "it is not opened. Have it put in place: python app.py restore {path}"
                )
                raise Unavailable(to_operator(said, path=self.path))

    def seal_schema(self, connection: sqlite3.Connection) -> None:
        """Marks the file as ours and of this version, once: opening alone writes nothing."""
        if connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,):
            return
        connection.execute(f"PRAGMA application_id={_APPLICATION}")
        connection.execute(f"PRAGMA user_version={SCHEMA}")

    def settle_names(self) -> None:
        """A new file is only safe once the folders that name it are on the disk too."""
        if os.name == "posix":
            for folder in (self.folder, self.folder.parent):
                descriptor = os.open(folder, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    # ------------------------------------------------------------------ the readers

    def reader(self) -> sqlite3.Connection:
        """This thread's own reading connection: a long list in one thread never holds up a look-up in another."""
        if self._closed or self.closing:
            raise self.was_closed()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                read_only(self.path),
                uri=True,
                timeout=5,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=512,
            )
            connection.execute("PRAGMA query_only=ON")
            self._local.connection = connection
            self._readers.append((connection, threading.current_thread().name))
        return connection

    # ------------------------------------------------------------------ trouble

    def damaged(self, what: str) -> Unavailable:
        """Remembers the damage, so that nothing is written over it, and says what to do."""
        self.damage = to_operator(
            "{path} is damaged: {what}. Nothing is written to it any more. Put the last good backup in its place: "
            "python app.py restore FILE (also while the service runs; the damaged file is kept).",
            path=self.path,
            what=what,
        )
        return Unavailable(self.damage)

    def was_closed(self) -> Unavailable:
        return Unavailable(to_operator("{path} was closed.", path=self.path))

    def _foreign(self) -> Unavailable:
        said = to_operator(
            "{path} is a database of another program; nothing was changed in it. Give this one its own folder "
            "(STORE_URL=tinydb:PATH). If it was a store of this program, it is damaged: python app.py restore FILE "
            "puts the last good backup in its place.",
            path=self.path,
        )
        return Unavailable(said)

    def _newer(self, version: int) -> Unavailable:
        said = to_operator(
            "{path} was written by a newer version of this program (schema {version}, this one knows {known}). Start "
            "the newer version, or restore a backup made with this one.",
            path=self.path,
            version=version,
            known=SCHEMA,
        )
        return Unavailable(said)

    def trouble(self, error: Fault) -> Unavailable:
        """What SQLite said, as our own error."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if is_damage(error):
            return self.damaged(str(error))
        if self._closed or self.closing:
            return self.was_closed()
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self._no_room()):
            return Unavailable(to_operator("{path}: {error}. Free some space.", path=self.path, error=error))
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            said = N_("{path} is locked by another program that has it open. Close it there; readers do no harm.")
            return Unavailable(to_operator(said, path=self.path))
        cure = _CURES.get(code)
        if cure:
            return Unavailable(to_operator(cure, path=self.path, folder=self.folder, error=error))
        return Unavailable(f"{self.path}: {error}.")

    def _no_room(self) -> bool:
        """Of a full disk under its shared memory SQLite only says "disk I/O error"."""
        with suppress(OSError):
            return shutil.disk_usage(self.folder).free < ROOM
        return False

    def interrupt(self) -> None:
        """Ends the long reads that are under way; each of them raises `Unavailable`. The writer's own go on."""
        self.closing = True
        for connection, thread in self._readers:
            if thread.startswith(LONG_READS):
                with suppress(sqlite3.Error):
                    connection.interrupt()

    def close_readers(self) -> None:
        self._closed = True
        for connection, _ in self._readers:
            with suppress(sqlite3.Error):
                connection.close()

    def release(self) -> None:
        self._closed = True
        if self._lock:
            self._lock.release()
