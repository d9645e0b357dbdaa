"""A copy of the data for a rehearsal: in memory alone, so that nothing of it is ever left anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provisioning.batches import Batch
from provisioning.model import Device, Person, Record
from provisioning.ports import Store
from provisioning.rollouts import Rollout
from storage.kinds import KINDS
from storage.memory_store import MemoryStore
from storage.records import decode
from storage.tinydb_file import FILE
from storage.transfer import folder_of, open_source

COPIED: Sequence[type[Record]] = (Batch, Device, Person, Rollout)  # no messages, no posts, no facts, no photos

Copies = Callable[[], Store]  # a fresh one each time
Show = Callable[[str, int, int], None]


async def copies_of(url: str, show: Show) -> Copies:
    """One committed state of the store, read beside the service that runs on it; nothing is written there.

    A store that is not there yet, or without an address, is an empty one. Errors: `TransferFault`, `Unavailable`.
    """
    folder, records = folder_of(url) if url else None, list[Record]()
    if not url or (folder and not (folder / FILE).exists()):
        return MemoryStore
    async with open_source(url) as source:
        sizes = await source.sizes()
        for kind in COPIED:
            table, done = KINDS[kind].table, 0
            async for chunk in source.rows(table):
                records += [decode(kind, plain) for _number, plain in chunk]
                done += len(chunk)
                show(table, done, sizes[table])

    def copy() -> Store:
        store = MemoryStore()
        store.load(records)
        return store

    return copy
