"""The one thread that writes: units that wait together share one durable commit."""

from __future__ import annotations

import queue
import sqlite3
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

import structlog

from provisioning.errors import Unavailable
from storage.tinydb_file import FAULTS, Fault, StoreFile

log = structlog.get_logger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Outcome = tuple[Any, BaseException | None]
Settle = Callable[[Any, BaseException | None], None]

_TOGETHER = 256  # units in one commit, at most
_IDLE_SECONDS = 0.1  # quiet for so long, and the log is folded into the file
_LOG_ROWS = 300  # or earlier, after so many changes: who waits, waits less; a flipped byte costs the rest of the log

# one unit's own fault; any other error of SQLite is the file's or the disk's and ends the handle
_OF_THE_UNIT = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


@dataclass(frozen=True, slots=True)
class Unit:
    work: Work[Any]
    settle: Settle  # called once the unit is on disk, or was refused
    loop: AbstractEventLoop | None = None  # where it is called; None: in the writer's thread
    alone: bool = False  # by itself, outside of any transaction, even on a damaged file
    large: bool = False  # shares no commit: what could undo it alone grows with every row, and with it each row's time


class Writer:
    """Runs units in the order they came, each all or nothing, and settles them after the commit is durable.

    After a failed commit or fsync the handle is closed: what the kernel still holds of it is unknown, so the next
    unit opens a new one (https://wiki.postgresql.org/wiki/Fsync_Errors).
    """

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._queue: queue.SimpleQueue[Unit | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._connection: sqlite3.Connection | None = file.writer()
        self._folded = 0  # changes on this connection that a checkpoint has seen
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, units: Sequence[Unit]) -> None:
        """They are settled in their turn; at once, as refused, where this was closed."""
        with self._gate:
            closed = self._closed
            for unit in units if not closed else ():
                self._queue.put(unit)
        if closed:
            _settle([(unit, (None, self._file.was_closed())) for unit in units])

    def call(self, work: Work[T]) -> T:
        """Runs a unit and waits for it to be durable; within a unit it becomes part of that one."""
        if threading.current_thread() is self._thread and self._connection:
            return work(self._connection)
        waiting: Future[T] = Future()

        def settle(value: Any, error: BaseException | None) -> None:
            waiting.set_exception(error) if error else waiting.set_result(value)

        self.submit([Unit(work, settle)])
        return waiting.result()

    def close(self) -> None:
        """Finishes what was submitted, folds the log into the file and closes it."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        more = True
        while more:
            unit = self._next()
            batch: list[Unit] = []
            while unit is not None and not unit.alone:
                batch.append(unit)
                if len(batch) == _TOGETHER or self._queue.empty():
                    break
                unit = self._queue.get()
            more = unit is not None
            for large, run in groupby(batch, key=attrgetter("large")):
                for together in [[each] for each in run] if large else [list(run)]:
                    self._commit(together)
            if unit is not None and unit.alone:
                self._run_alone(unit)
        if not self._file.damage:
            self._file.close_readers()
            self._fold("TRUNCATE")
        # of a damaged file a reader is the last to leave, for it folds nothing: the file stays as it was found
        if self._connection:
            self._connection.close()

    def _next(self) -> Unit | None:
        changed = self._connection.total_changes - self._folded if self._connection else 0
        if changed > _LOG_ROWS:
            self._fold("PASSIVE")
        elif changed:
            try:
                return self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                self._fold("TRUNCATE")
        return self._queue.get()

    def _fold(self, how: str) -> Unavailable | None:
        """A checkpoint. A reader at work makes it end early, never wait; what is left is done by the next one."""
        if self._connection and not self._file.damage:
            try:
                self._connection.execute("PRAGMA busy_timeout=0")
                self._connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
                self._connection.execute("PRAGMA busy_timeout=5000")
                self._folded = self._connection.total_changes
            except FAULTS as error:
                return self._drop(error)
        return None

    def _commit(self, batch: list[Unit]) -> None:
        outcomes: list[Outcome]
        try:
            if self._file.damage:
                raise Unavailable(self._file.damage)
            connection = self._connection or self._reopen()
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [_apply(connection, unit, shared=len(batch) > 1) for unit in batch]
            connection.execute("COMMIT")
        except FAULTS as error:
            outcomes = [(None, self._drop(error))] * len(batch)
        except Unavailable as error:
            outcomes = [(None, error)] * len(batch)
        _settle(zip(batch, outcomes, strict=True))

    def _run_alone(self, unit: Unit) -> None:
        """After a failure nothing is known of the handle, so the next unit opens a new one."""
        outcome: Outcome
        try:
            outcome = unit.work(self._connection or self._reopen()), None
        except FAULTS as error:
            outcome = None, self._drop(error)
        except Exception as error:
            self._let_go()
            outcome = None, error
        else:  # what is done is done, whether or not the log can be folded in now
            self._folded = -1
            if fault := self._fold("TRUNCATE"):
                log.warning("the log was not folded into the store yet", reason=fault.reason)
        _settle([(unit, outcome)])

    def _reopen(self) -> sqlite3.Connection:
        self._connection, self._folded = self._file.writer(), 0
        return self._connection

    def _drop(self, error: Fault) -> Unavailable:
        self._let_go()
        return self._file.trouble(error)

    def _let_go(self) -> None:
        if self._connection:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


def _settle(outcomes: Iterable[tuple[Unit, Outcome]]) -> None:
    """Each event loop hears of all of its units at once: they go on in one moment, and save what is next in one."""
    told: dict[AbstractEventLoop | None, list[tuple[Unit, Outcome]]] = {}
    for unit, outcome in outcomes:
        told.setdefault(unit.loop, []).append((unit, outcome))
    for loop, mine in told.items():
        if loop is None:
            _tell(mine)
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_tell, mine)


def _tell(outcomes: Iterable[tuple[Unit, Outcome]]) -> None:
    for unit, outcome in outcomes:
        unit.settle(*outcome)


_UNDO = {True: ("ROLLBACK TO unit", "RELEASE unit"), False: ("ROLLBACK", "BEGIN")}  # in a shared commit, in its own


def _apply(connection: sqlite3.Connection, unit: Unit, *, shared: bool) -> Outcome:
    """One unit within the transaction: refused alone, or part of the commit."""
    if shared:
        connection.execute("SAVEPOINT unit")
    try:
        value = unit.work(connection)
    except BaseException as error:
        if isinstance(error, FAULTS) and not isinstance(error, _OF_THE_UNIT):
            raise
        for said in _UNDO[shared]:
            connection.execute(said)
        return None, error
    if shared:
        connection.execute("RELEASE unit")
    return value, None
