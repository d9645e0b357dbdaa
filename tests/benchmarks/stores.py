"""The stores that are measured, each with a fleet and a way to change one device of it, and what they are held to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cache
from itertools import cycle
from pathlib import Path

from tinydb import Query, TinyDB

from provisioning.events import DeviceMoved
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Change, Device, State
from provisioning.ports import Store
from storage import open_store
from storage.records import encode
from tests.fakes import FakeClock
from tests.scale.state import NOW, Scene, Size, mac_of, save_all

STATES = (State.SIGNED_IN, State.SIGNED_OUT)


@cache
def fleet(many: int) -> Sequence[Device]:
    """Devices as they are in a rollout, in every store the same; put together once."""
    return [*map(Scene(Size(many, 0)).device, range(many))]


def one_of(many: int) -> str:
    """The MAC of a device in the middle that is signed in."""
    return mac_of(many // 2 + 40)


def macs(many: int) -> Iterator[str]:
    """Of so many devices 4 000 over and over, more than any store remembers."""
    return cycle([mac_of(number) for number in range(0, many, max(1, many // 4_000))])


class Ours:
    """A store of ours and one device in it."""

    def __init__(self, store: Store, mac: str) -> None:
        self.store, self.mac = store, mac
        self._states = cycle(STATES)

    async def take(self) -> Ours:
        found = await self.store.get(Device, self.mac)
        assert found
        self._record: Device = found
        return self

    async def get(self) -> object:
        return await self.store.get(Device, self.mac)

    async def change(self) -> None:
        """Another state, which moves the device in an index and in the tally."""
        await self._put(Change(puts=(fresh := replace(self._record, state=next(self._states)),)), fresh)

    async def unit(self) -> None:
        """The device as it is, in its next version, and a fact about it."""
        fact = DeviceMoved(at=NOW, actor="dana", subject=self.mac, before="a", after="b")
        await self._put(Change(puts=(self._record,), events=(fact,)), self._record)

    async def told(self) -> None:
        """Another state, a fact about it, and a message that tells of it: what a turn saves."""
        fresh = replace(self._record, state=next(self._states))
        fact = DeviceMoved(at=NOW, actor="dana", subject=self.mac, before="a", after="b")
        message = OutboxMessage(
            kind=MessageKind.EDIT, recipient="dana", subject=self.mac, lane="dana", created_at=NOW, due_at=NOW
        )
        await self._put(Change(puts=(fresh, message), events=(fact,)), fresh)

    async def _put(self, change: Change, fresh: Device) -> None:
        await self.store.save(change)
        self._record = replace(fresh, version=fresh.version + 1)


@asynccontextmanager
async def ours(url: str, many: int) -> AsyncIterator[Ours]:
    """A new store with so many devices."""
    store = await open_store(url, clock=FakeClock())
    try:
        await save_all(store, iter(fleet(many)))
        yield await Ours(store, one_of(many)).take()
    finally:
        await store.close()


class Stock:
    """TinyDB as it comes, with the same devices, or with those of these documents."""

    def __init__(self, folder: Path, many: int, documents: Iterable[str] = ()) -> None:
        self.file, self._mac = folder / f"stock-{many}.json", one_of(many)
        texts = documents or (json.dumps(encode(each)) for each in fleet(many))
        rows = ", ".join(f'"{number}": {text}' for number, text in enumerate(texts, start=1))
        self.file.write_text(f'{{"devices": {{{rows}}}}}', encoding="utf-8")
        self._states = cycle(STATES)
        self._table = TinyDB(self.file).table("devices", cache_size=0)

    def get(self) -> object:
        return self._table.get(Query().mac == self._mac)

    def change(self) -> None:
        self._table.update({"state": next(self._states).value}, Query().mac == self._mac)

    def open(self) -> None:
        with TinyDB(self.file) as db:
            db.table("devices").get(doc_id=1)


class ByHand:
    """SQLite as short as it can be written: a statement, a row, its JSON; durable like ours."""

    def __init__(self, connection: sqlite3.Connection, many: int) -> None:
        self._connection, self._mac, self._states = connection, one_of(many), cycle(STATES)
        self._macs = macs(many)
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE devices (mac TEXT PRIMARY KEY, state TEXT, doc TEXT)")
        connection.execute("CREATE INDEX states ON devices (state)")
        connection.execute("BEGIN")
        rows = ((each.mac, each.state.value, json.dumps(encode(each))) for each in fleet(many))
        connection.executemany("INSERT INTO devices VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
        self._doc = json.dumps(encode(fleet(many)[many // 2 + 40]))

    def get(self) -> object:
        row = self._connection.execute("SELECT doc FROM devices WHERE mac = ?", (self._mac,)).fetchone()
        return json.loads(row[0])

    def get_another(self) -> object:
        row = self._connection.execute("SELECT doc FROM devices WHERE mac = ?", (next(self._macs),)).fetchone()
        return json.loads(row[0])

    def change(self) -> None:
        values = (next(self._states).value, self._doc, self._mac)
        self._connection.execute("UPDATE devices SET state = ?, doc = ? WHERE mac = ?", values)


@contextmanager
def by_hand(folder: Path, many: int) -> Iterator[ByHand]:
    connection = sqlite3.connect(folder / "hand.sqlite3", isolation_level=None)
    try:
        yield ByHand(connection, many)
    finally:
        connection.close()
