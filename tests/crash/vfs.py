"""SQLite's own file calls, watched: recorded, slowed down, made to fail, or the last that a process ever makes.

SQLite reaches the disk through a table of functions, its VFS (https://www.sqlite.org/vfs.html). Within one of the
contexts below a copy of the default one, whose open, delete, write, truncate, sync and close pass by here, is the
default; it is registered through ctypes with the very library that Python's `sqlite3` uses, so no code of the store
changes. Only connections opened within the context are watched, so open the store inside:

    with delayed_sync(0.002):                # every fsync takes 2 ms longer: what group commit is measured with
        store = await open_store(...)

    with recording(log := []):               # every change of a file, in order, as an `Op`
        ...

    with die_at(3, kind="sync", file="-wal"):   # kill -9 of this process before its third fsync of the log
        ...

    with watching(hook):                     # anything else: `hook(call, proceed)` returns what SQLite is answered
        ...

The wal-index (`-shm`) is shared memory, not a file that is written, and is made anew from the log; it is not watched.
Where Python hides its SQLite (a static build), the contexts raise `Hidden`; `hidden()` says so beforehand.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sqlite3
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

Hook = Callable[["Call", Callable[[], int]], int]

_IOERR = 10
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_CLOSE = CFUNCTYPE(c_int, c_void_p)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class Hidden(Exception):
    """SQLite's functions cannot be reached from here."""


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", _OPEN),
        ("delete", _DELETE),
        ("rest", c_void_p * 14),
    )


class _Methods(ctypes.Structure):
    _fields_ = (
        ("version", c_int),
        ("close", _CLOSE),
        ("read", c_void_p),
        ("write", _WRITE),
        ("truncate", _TRUNCATE),
        ("sync", _SYNC),
        ("rest", c_void_p * 13),
    )


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is about to be made. `kind`: create, write, truncate, sync or delete."""

    kind: str
    path: Path
    at: int = 0  # offset of a write, length after a truncate, 1 where a delete syncs the folder
    size: int = 0
    address: int = 0

    @property
    def data(self) -> bytes:
        return ctypes.string_at(self.address, self.size)


@dataclass(frozen=True, slots=True)
class Op:
    """A change of one file that was made, or "ack": from here on a writer knows that its unit is kept.

    `kind`: link (a new name), write, truncate, sync, unlink, sync_names (fsync of the folder) and ack.
    """

    kind: str
    name: str = ""
    at: int = 0  # of an ack: the writer
    data: bytes = b""


# ------------------------------------------------------------------ the contexts


@contextmanager
def watching(hook: Hook, *, syncs_alone: bool = False) -> Iterator[None]:
    """Each call of a connection opened within goes through `hook(call, proceed)`; contexts may be nested.

    `syncs_alone`: of a file opened while no other hook is there only its syncs pass by here. A write by this way takes
    more processor time than SQLite does for it.
    """
    shim = _shim()
    shim.enter(hook, syncs_alone=syncs_alone)
    try:
        yield
    finally:
        shim.leave(hook)


@contextmanager
def recording(log: list[Op]) -> Iterator[None]:
    """Appends what was done to files, by SQLite and by `os.fsync`, in order."""
    recorder, fsync = _Recorder(log), os.fsync
    os.fsync = partial(recorder.fsync, fsync)
    try:
        with watching(recorder):
            yield
    finally:
        os.fsync = fsync


@contextmanager
def delayed_sync(seconds: float) -> Iterator[None]:
    """Every fsync of SQLite takes so much longer, on top of what the disk under it takes."""

    def hook(call: Call, proceed: Callable[[], int]) -> int:
        if call.kind == "sync":
            time.sleep(seconds)
        return proceed()

    with watching(hook, syncs_alone=True):
        yield


@contextmanager
def die_at(n: int, *, kind: str = "", file: str = "", after: bool = False) -> Iterator[None]:
    """Kills this process before (or just after) the n-th call of this kind on a file whose name ends like this."""
    left = n

    def hook(call: Call, proceed: Callable[[], int]) -> int:
        nonlocal left
        if kind in ("", call.kind) and call.path.name.endswith(file):
            left -= 1
            if left == 0:
                if after:
                    proceed()
                os.kill(os.getpid(), signal.SIGKILL)
        return proceed()

    with watching(hook):
        yield


class _Recorder:
    """SQLite syncs the folder too when it first syncs a journal or log that it made (`UNIXFILE_DIRSYNC`)."""

    def __init__(self, log: list[Op]) -> None:
        self._log = log
        self._fresh: set[str] = set()
        self._folders: set[Path] = set()

    def __call__(self, call: Call, proceed: Callable[[], int]) -> int:
        data = call.data if call.kind == "write" else b""
        result = proceed()
        if result == 0:
            self._log.extend(self._ops(call, data))
        return result

    def _ops(self, call: Call, data: bytes) -> Iterator[Op]:
        name = call.path.name
        self._folders.add(call.path.parent)
        yield Op({"create": "link", "delete": "unlink"}.get(call.kind, call.kind), name, call.at, data)
        if call.kind == "create" and name.endswith(("-wal", "-journal")):
            self._fresh.add(name)
        elif (call.kind == "sync" and name in self._fresh) or (call.kind == "delete" and call.at):
            self._fresh.discard(name)
            yield Op("sync_names")

    def fsync(self, fsync: Callable[[int], None], descriptor: int) -> None:
        fsync(descriptor)
        if any(os.path.samestat(os.stat(folder), os.fstat(descriptor)) for folder in self._folders):
            self._log.append(Op("sync_names"))


# ------------------------------------------------------------------ between SQLite and its VFS


class _Shim:
    """A VFS that hands every call to the hooks, and what they let pass to the one that was the default."""

    def __init__(self, library: Any) -> None:
        self._register = library.sqlite3_vfs_register
        self._register.argtypes, self._register.restype = (c_void_p, c_int), c_int
        library.sqlite3_vfs_find.argtypes, library.sqlite3_vfs_find.restype = (c_char_p,), POINTER(_Vfs)
        self._original = library.sqlite3_vfs_find(None)
        self._address = ctypes.addressof(self._original.contents)
        self._hooks: list[Hook] = []
        self._paths: dict[int, Path] = {}  # of open files, by their address
        self._syncs_alone: list[Hook] = []
        self._methods: dict[tuple[int, bool], _Methods] = {}  # ours, by the address of those they stand before
        self._vfs = _Vfs.from_buffer_copy(self._original.contents)
        self._vfs.name, self._vfs.open, self._vfs.delete = b"watched", _OPEN(self._open), _DELETE(self._delete)

    def enter(self, hook: Hook, *, syncs_alone: bool = False) -> None:
        if not self._hooks:
            self._register(ctypes.addressof(self._vfs), 1)
        self._hooks.append(hook)
        self._syncs_alone += [hook] if syncs_alone else []

    def leave(self, hook: Hook) -> None:
        self._hooks.remove(hook)
        if hook in self._syncs_alone:
            self._syncs_alone.remove(hook)
        if not self._hooks:
            self._register(self._address, 1)

    def _run(self, call: Call, proceed: Callable[[], int]) -> int:
        for hook in self._hooks:
            proceed = partial(hook, call, proceed)
        try:
            return proceed()
        except Exception:  # nothing can be raised through C
            traceback.print_exc()
            return _IOERR

    def _open(self, _vfs: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        def proceed() -> int:
            return int(self._original.contents.open(self._address, name, file, flags, out))

        if name is None:  # a temporary file, gone with its connection
            return proceed()
        path = Path(os.fsdecode(ctypes.string_at(name)))
        result = self._run(Call("create", path), proceed) if self._is_new(path) else proceed()
        if result == 0:
            methods = c_void_p.from_address(file)
            self._paths[file] = path
            methods.value = ctypes.addressof(self._watched(methods.value or 0))
        return result

    def _is_new(self, path: Path) -> bool:
        """Also an empty database that nobody has open: a store makes its file just before SQLite opens it."""
        if not path.exists():
            return True
        return path.suffix == ".sqlite3" and not path.stat().st_size and path not in self._paths.values()

    def _delete(self, _vfs: int, name: int, sync_folder: int) -> int:
        call = Call("delete", Path(os.fsdecode(ctypes.string_at(name))), sync_folder)
        return self._run(call, lambda: int(self._original.contents.delete(self._address, name, sync_folder)))

    def _watched(self, address: int) -> _Methods:
        key = address, len(self._syncs_alone) == len(self._hooks)
        if key not in self._methods:
            stock = _Methods.from_address(address)
            ours = self._methods[key] = _Methods.from_buffer_copy(stock)
            ours.close = _CLOSE(partial(self._close, stock))
            ours.sync = _SYNC(partial(self._sync, stock))
            if not key[1]:
                ours.write = _WRITE(partial(self._write, stock))
                ours.truncate = _TRUNCATE(partial(self._truncate, stock))
        return self._methods[key]

    def _close(self, stock: _Methods, file: int) -> int:
        self._paths.pop(file, None)
        return int(stock.close(file))

    def _write(self, stock: _Methods, file: int, data: int, size: int, at: int) -> int:
        call = Call("write", self._paths[file], at, size, data)
        return self._run(call, lambda: int(stock.write(file, data, size, at)))

    def _truncate(self, stock: _Methods, file: int, size: int) -> int:
        return self._run(Call("truncate", self._paths[file], size), lambda: int(stock.truncate(file, size)))

    def _sync(self, stock: _Methods, file: int, flags: int) -> int:
        return self._run(Call("sync", self._paths[file]), lambda: int(stock.sync(file, flags)))


@cache
def _shim() -> _Shim:
    """Made once: connections may outlive every context, and with them must live what they call."""
    try:
        import _sqlite3

        shim = _Shim(ctypes.CDLL(getattr(_sqlite3, "__file__", None)))
    except (ImportError, OSError, AttributeError, ValueError) as error:
        raise Hidden(f"Python's SQLite cannot be reached: {error}") from error
    seen: list[Call] = []

    def hook(call: Call, proceed: Callable[[], int]) -> int:
        seen.append(call)
        return proceed()

    shim.enter(hook)
    try:
        with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder, "probe"))) as probe:
            probe.execute("CREATE TABLE probe (x)")
    finally:
        shim.leave(hook)
    if not seen:
        raise Hidden("Python uses another SQLite than the one that can be reached")
    return shim


def hidden() -> str:
    """Why nothing can be watched here; empty where it can."""
    try:
        _shim()
    except Hidden as error:
        return str(error)
    return ""
