"""What writers write, unit by unit, so that whoever looks later can tell exactly how far each of them came.

Each unit changes devices, tells one fact and sends one message: adding, changing, changing and adding at once,
deleting. Where a store holds n facts of a writer, everything else of that writer must stand as after n units.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from provisioning.errors import Unavailable
from provisioning.events import DeviceAdded, Event
from provisioning.messages import OutboxMessage
from provisioning.model import Change, Device, Record, stored
from storage import open_store
from tests.fakes import FakeClock
from tests.storage.samples import NOW, device, message

_EACH = 100_000  # device numbers of one writer
_PAGE = 1000


@dataclass
class Told:
    """What stands in a store of one writer."""

    records: dict[str, Record] = field(default_factory=dict)
    facts: list[Event] = field(default_factory=list)

    def apply(self, change: Change) -> None:
        self.records |= {record.key: stored(record) for record in change.puts}
        for record in change.deletes:
            del self.records[record.key]
        self.facts += change.events


@lru_cache(20_000)
def unit(writer: int, n: int) -> Change:
    """The n-th unit of a writer, counted from 0."""
    step, number = n % 4, writer * _EACH + n // 4 * 2
    one = device(number, f"Oslo/{n % 7}")
    moved = replace(stored(one), location=f"Bergen/{n % 5}", notes="wire cut " * (n % 3))
    told = message(f"{writer}:{n}", f"chat {writer}", subject=one.mac)
    fact = DeviceAdded(at=NOW, actor=f"{writer}:{n}", subject=one.mac, location=one.location)
    puts: tuple[Record, ...] = ((one,), (moved,), (replace(stored(moved), notes="again"), device(number + 1)), ())[step]
    deletes: tuple[Record, ...] = ()
    if step == 3:
        before = Told()
        for past in range(n - 3, n):
            before.apply(unit(writer, past))
        deletes = (before.records[one.mac], before.records[f"{writer}:{n - 3}"])
    return Change(puts=(*puts, told), deletes=deletes, events=(fact,))


@lru_cache(1024)
def told_after(writer: int, n: int) -> Told:
    """What stands after n units. Not to be changed."""
    told = Told()
    for past in range(n):
        told.apply(unit(writer, past))
    return told


# ------------------------------------------------------------------ how far it came


def _writer_of(record: Record) -> int:
    return int(record.key[6:], 16) // _EACH if isinstance(record, Device) else int(record.key.split(":")[0])


async def read_all(store: Any) -> dict[int, Told]:
    """Everything that stands in a store, by writer."""
    found: dict[int, Told] = defaultdict(Told)
    for kind in (Device, OutboxMessage):
        after: str | None = ""
        while after is not None:
            page = await store.find(kind, after=after or None, limit=_PAGE)
            for record in page.rows:
                found[_writer_of(record)].records[record.key] = record
            after = page.after
    after = ""
    while after is not None:
        history = await store.history(after=after or None, limit=_PAGE)
        for row in history.rows:
            found[int(row.event.actor.split(":")[0])].facts.insert(0, row.event)
        after = history.after
    return dict(found)


def violations(found: Mapping[int, Told], acknowledged: Mapping[int, int]) -> list[str]:
    """What is lost or half there, where so many units of each writer were acknowledged."""
    said = []
    for writer in sorted({*found, *acknowledged}):
        told, due = found.get(writer, Told()), acknowledged.get(writer, 0)
        if len(told.facts) < due:
            said.append(f"lost: {due} units of writer {writer} were acknowledged, {len(told.facts)} are there")
        elif told != told_after(writer, len(told.facts)):
            said.append(f"half: writer {writer} after {len(told.facts)} units")
    return said


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Any]:
    store = await open_store(f"tinydb:{folder}", clock=FakeClock())
    try:
        yield store
    finally:
        await store.close()


@dataclass(frozen=True)
class Examined:
    """What is wrong with what a crash left, how far each writer came, and how long the store took to open."""

    violations: list[str]
    units: dict[int, int]
    seconds: float = 0.0
    refused: bool = False  # by `Unavailable`, which is one of the violations then


async def examine(folder: Path, acknowledged: Mapping[int, int]) -> Examined:
    """Opens the store that a crash left and reads it through."""
    began = time.perf_counter()
    try:
        async with opened(folder) as store:
            ready = time.perf_counter() - began
            await store.verify(deep=True)
            found = await read_all(store)
    except Exception as error:
        refused = isinstance(error, Unavailable)
        said = error.reason if isinstance(error, Unavailable) else error
        return Examined([f"unreadable: {type(error).__name__}: {said}"], {}, refused=refused)
    return Examined(violations(found, acknowledged), {writer: len(told.facts) for writer, told in found.items()}, ready)
