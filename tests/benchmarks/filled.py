"""Stores of the size of the largest rollout. The fleet of a run is put together once, and copied where it is needed.

Rows come from as many processes as there are cores, and go into the tables as a move of a store puts them there: nobody
reads meanwhile, and indexes are made behind the rows. Everything lies on the disk before anything is measured.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

from provisioning.bookkeeping import Segment
from provisioning.model import Device, Record, State
from storage import open_store
from storage.audit import Unsealed, next_segment
from storage.kinds import KINDS
from storage.records import encode, micros, record_json
from storage.tinydb_audit import fact_written
from storage.tinydb_file import FILE
from storage.tinydb_layout import AUDIT, LAYOUTS, SEEN, quoted, values_of
from storage.tinydb_rows import checksum
from storage.tinydb_schema import sql_name
from tests.benchmarks.cores import unpin
from tests.fakes import FakeClock
from tests.scale.state import FACTS, NOW, UNSEALED, Scene, Size, mac_of, technician_of

SIZE: Final = Size(devices=200_000, facts=1_000_000)
SCENE: Final = Scene(SIZE)
CARDS: Final = 40  # of one technician, as the scene deals them out
PART: Final = 2_000  # rows that a process puts together at once
_COLUMNS: Final = {layout.table: ("id", "doc", "crc", *layout.columns) for layout in LAYOUTS}
_INDEXES: Final = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
_kept: list[Path] = []  # where the fleet of this run is, or is to be

Row = tuple[Any, ...]


def keep(folder: Path) -> None:
    """From now on the fleet is put together there, once, and copied from there."""
    _kept[:] = [folder / "fleet"]


async def fleet(folder: Path) -> None:
    """The devices alone, in a new store; whoever has the card of a device is to install it."""
    if not _kept:
        await _devices_into(folder)
    else:
        whole = _kept[0]
        if not whole.exists():
            half = whole.with_name("half")  # somebody may have been stopped on the way
            shutil.rmtree(half, ignore_errors=True)
            await _devices_into(half)
            half.rename(whole)
        shutil.copytree(whole, folder)
    _settle()


async def listed(folder: Path, devices: Iterable[Device]) -> None:
    """These devices alone, in a new store, put together in this process."""
    await _new(folder)
    with closing(_opened(folder)) as connection:
        _put(connection, KINDS[Device].table, [[_row(number, each) for number, each in enumerate(devices, start=1)]])
        _close(connection)
    _settle()


async def rollout(folder: Path) -> None:
    """The fleet and what comes with it, as `tests.scale.state.fill` leaves it; it takes no units for it."""
    await fleet(folder)
    with _processes() as pool, closing(_opened(folder)) as connection:
        rest = pool.map(_rest, _RESTS)
        parts = pool.map(_facts, _parts(SIZE.facts))
        for table, rows in chain.from_iterable(tables.items() for tables in rest):
            _put(connection, table, [rows])
        _put(connection, SEEN, [[_seen(number) for number in SCENE.numbers(State.SIGNED_IN)]])
        sealed: list[Segment] = []
        _put(connection, AUDIT, _sealing(parts, sealed))
        _put(connection, KINDS[Segment].table, [[_row(segment.number, segment) for segment in sealed]])
        _close(connection)
    _settle()


def device(number: int) -> Device:
    made = SCENE.device(number)
    return replace(made, technician=technician_of(number // CARDS)) if number < SIZE.technicians * CARDS else made


def segments(facts: Sequence[Unsealed], at: datetime, former: Segment | None = None) -> Iterator[Segment]:
    """What seals all of these at that time, behind the former one."""
    for start in range(0, len(facts), FACTS):
        former = next_segment(former, facts[start : start + FACTS], at)
        yield former


def documents(folder: Path, many: int) -> list[str]:
    """The first so many devices of such a store, as JSON."""
    with closing(sqlite3.connect(folder / FILE)) as connection:
        asked = f"SELECT doc FROM {sql_name(KINDS[Device].table)} ORDER BY id LIMIT ?"
        return [text for (text,) in connection.execute(asked, (many,))]


# ------------------------------------------------------------------ rows


def _row(number: int, record: Record) -> Row:
    text = record_json(encode(record) | {"version": 1})
    return (number, text, checksum(number, text), *values_of(KINDS[type(record)], record, 1))


def _devices(numbers: range) -> list[Row]:
    return [_row(number + 1, device(number)) for number in numbers]


def _facts(numbers: range) -> list[Row]:
    rows = []
    for number, fact in enumerate(SCENE.facts(numbers), numbers.start + 1):
        text, columns = fact_written(fact)
        rows.append((number, text, checksum(number, text), *columns))
    return rows


_RESTS: Final = ("settled", "people", "rollouts", "posts", "bookkeeping")


def _rest(name: str) -> dict[str, list[Row]]:
    """By table: of marks there are several kinds."""
    rows: dict[str, list[Row]] = {}
    for record in getattr(SCENE, name)():
        some = rows.setdefault(KINDS[type(record)].table, [])
        some.append(_row(len(some) + 1, record))
    return rows


def _seen(number: int) -> Row:
    mac = mac_of(number)
    text = record_json({"mac": mac, "at": NOW.isoformat()})
    return number + 1, text, checksum(number + 1, text), mac, micros(NOW)


def _sealing(parts: Iterable[list[Row]], sealed: list[Segment]) -> Iterator[list[Row]]:
    """The facts as they pass by, sealed but for the last of them."""
    waiting: list[Unsealed] = []
    for rows in parts:
        yield rows
        waiting += [Unsealed(row[0], row[-2], row[-1]) for row in rows]
        if len(waiting) >= FACTS and waiting[FACTS - 1].sequence <= SIZE.facts - UNSEALED:
            sealed += segments(waiting[:FACTS], NOW, sealed[-1] if sealed else None)
            del waiting[:FACTS]


# ------------------------------------------------------------------ into a store


async def _new(folder: Path) -> None:
    store = await open_store(f"tinydb:{folder}", clock=FakeClock(NOW))
    await store.close()


async def _devices_into(folder: Path) -> None:
    await _new(folder)
    with _processes() as pool, closing(_opened(folder)) as connection:
        _put(connection, KINDS[Device].table, pool.map(_devices, _parts(SIZE.devices)))
        _close(connection)


def _processes() -> ProcessPoolExecutor:
    """On all cores, whichever the part that asks stays on."""
    return ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"), initializer=unpin)


def _parts(many: int) -> list[range]:
    return [range(start, min(start + PART, many)) for start in range(0, many, PART)]


def _opened(folder: Path) -> sqlite3.Connection:
    """Without a log and without waiting for the disk: what breaks here is thrown away."""
    connection = sqlite3.connect(folder / FILE, isolation_level=None)
    connection.execute("PRAGMA journal_mode=OFF").fetchone()
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA cache_size=-131072")
    connection.execute("BEGIN")
    return connection


def _put(connection: sqlite3.Connection, table: str, parts: Iterable[Sequence[Row]]) -> None:
    name, columns = sql_name(table), _COLUMNS[table]
    indexes = connection.execute(_INDEXES, (name.strip('"'),)).fetchall()
    for index, _made in indexes:
        connection.execute(f"DROP INDEX {quoted(index)}")
    places = ", ".join("?" * len(columns))
    for rows in parts:
        connection.executemany(f"INSERT INTO {name} ({', '.join(map(quoted, columns))}) VALUES ({places})", rows)
    for _index, made in indexes:
        connection.execute(made)


def _close(connection: sqlite3.Connection) -> None:
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL").fetchone()


def _settle() -> None:
    """Else the system writes it while something is measured."""
    if hasattr(os, "sync"):
        os.sync()
