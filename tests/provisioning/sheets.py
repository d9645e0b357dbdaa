"""Sheets made of rows, and what becomes of them: sent, added, carried out; and who sees how much of it meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from provisioning.errors import Unavailable
from provisioning.model import Actor, Change, Device
from provisioning.ports import Store
from provisioning.service import Provisioning
from provisioning.service.lookup import EVERYTHING
from provisioning.uploads import BadRow, RowFault, SheetRow, Upload
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock
from tests.provisioning.world import DANA, KEYS, POLICY, World

HEADER = ("MAC id", "Location")
CODED = (*HEADER, "Verification code")


@dataclass(frozen=True)
class Slice:
    rows: Sequence[SheetRow]
    bad: Sequence[BadRow]


@dataclass(frozen=True)
class Rows:
    """A `Sheet` that was read before, in pieces of `size` rows; the bad ones come with the first."""

    rows: Sequence[SheetRow]
    bad: Sequence[BadRow] = ()
    header: Sequence[str] = HEADER
    remarks: Sequence[RowFault] = ()
    size: int = 3

    @property
    def head(self) -> Rows:
        return self

    @property
    def code_at(self) -> int | None:
        return self.header.index(CODED[2]) if CODED[2] in self.header else None

    async def __aiter__(self) -> AsyncIterator[Slice]:
        for start in range(0, max(len(self.rows), 1), self.size):
            yield Slice(self.rows[start : start + self.size], () if start else self.bad)


def mac(number: int) -> str:
    return f"805EC01{number:05X}"


def row(number: int, location: str = "", **columns: object) -> SheetRow:
    """Row `number` of a sheet, of a device of its own: `mac(number)`."""
    return SheetRow(number=number, mac=mac(number), location=location or f"Oslo/2/2.{number}", **columns)  # type: ignore[arg-type]


def rows(count: int, **columns: object) -> list[SheetRow]:
    return [row(number, **columns) for number in range(1, count + 1)]


async def sends(world: World, sheet: Sequence[SheetRow] | Rows, by: Actor | None = None) -> Upload:
    """The sheet is read to its end; the preview."""
    begun = await world.core.begin_upload(by or await world.dana(), "oslo.csv")
    return await world.core.read_upload(begun, sheet if isinstance(sheet, Rows) else Rows(sheet))


async def carried_out(world: World, key: str) -> Upload:
    """Step by step to its end."""
    while await world.core.go_on(key):
        pass
    return await world.core.upload(await world.dana(), key)


async def imports(world: World, sheet: Sequence[SheetRow] | Rows, **choice: object) -> Upload:
    """Sent, [Add], and all that follows."""
    upload = await sends(world, sheet)
    await world.core.add_upload(await world.dana(), upload.id, **choice)  # type: ignore[arg-type]
    return await carried_out(world, upload.id)


async def undoes(world: World, batch: str = "") -> Upload:
    undoing = await world.core.undo(await world.dana(), batch)
    assert isinstance(undoing, Upload)
    return await carried_out(world, undoing.id)


async def seen(world: World, site: str = "Oslo") -> int:
    """How many devices there are, asked in every way there is; all of them must agree."""
    core, store, dana = world.core, world.store, await world.actor(DANA)
    macs = [mac(number) for number in range(1, 13)]
    singly = [each for each in macs if await store.get(Device, each)]
    listed = {each.mac for each in (await store.find(Device, site=site.casefold(), limit=1000)).rows}
    counts = {
        "get": len(singly),
        "get_many": len(await store.get_many(Device, macs)),
        "find": len(listed & set(macs)),
        "count": await store.count(Device, removed=False),
        "tally": sum(each.count for each in await store.tally()),
        "listing": (await core.listing(dana, "")).total,
        "search": len(await core.search(dana, "805EC01")),
        "progress": (await core.progress(dana, "")).total,
        "target": len(await core.devices_of(EVERYTHING)),
    }
    assert len(set(counts.values())) == 1, counts
    return len(singly)


def everything_in(folder: Path) -> bytes:
    """Whatever a store keeps on the disk."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


class Stumbling(MemoryStore):
    """Dies at the save that `falls` names, once, before or after it was durable."""

    def __init__(self) -> None:
        super().__init__()
        self.saves, self.falls, self.after = 0, -1, False
        self.watching: Callable[[Change], None] = lambda change: None

    async def save(self, change: Change) -> None:
        self.saves += 1
        falls = self.saves == self.falls
        if not falls or self.after:
            await super().save(change)
            self.watching(change)
        if falls:
            raise Unavailable("the disk is gone")


async def stumbling() -> tuple[World, Stumbling]:
    store, clock = Stumbling(), FakeClock()
    world = await World(store, clock, again(store, clock)).people()
    await world.delivers()
    return world, store


def again(store: Store, clock: FakeClock) -> Provisioning:
    """The service after a restart, or another instance of it: the same store, nothing else in common."""
    return Provisioning(store, clock, KEYS, POLICY)
