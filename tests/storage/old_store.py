"""Makes the store that tests/storage/test_schema_versions.py opens. Runs with the code of any version since the first.

git worktree add /tmp/old COMMIT
cp tests/storage/old_store.py /tmp/old/tests/storage/
cd /tmp/old && PYTHON -m tests.storage.old_store FOLDER && cp FOLDER/store.sqlite3 …/fixtures/store-vN.sqlite3
git worktree remove --force /tmp/old
"""

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta

from provisioning.events import CodeShown, DeviceAdded
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.model import Change, Device, stored
from storage import open_store
from tests.fakes import FakeClock
from tests.storage.samples import CODE, NOW, device, message, one_of_each

DEVICES = 40
FACTS, SEALED = 60, 25
DUE = ("w1", "w2", "w4")  # in this order; w3 waits behind w1, w5 is leased
SETTLED = {
    "s1": MessageStatus.SENT,
    "s2": MessageStatus.DROPPED,
    "s3": MessageStatus.UNDELIVERABLE,
}


def records() -> tuple[object, ...]:
    """One of every kind there is in this version, but messages and segments; and devices enough for pages."""
    kept = tuple(r for r in one_of_each() if type(r).__name__ not in ("OutboxMessage", "Segment"))
    many = tuple(
        device(n, f"Oslo/{n % 3}/{n}", notes=f"æøå {n}", technician="kim" if n % 4 else "", tags=("lobby",) * (n % 2))
        for n in range(DEVICES)
    )
    coded = replace(device(0xC0DE, "Bergen/1"), code=CODE, issued=1, token="cd" * 32)
    gone = replace(device(0xDEAD, "Bergen/2"), removed_at=NOW)
    return (*kept, *many, coded, gone)


def messages() -> tuple[OutboxMessage, ...]:
    waiting = (
        message("w5", "leased", params=(("count", "3"),)),
        message("w1", "kim", unique="edit:7"),
        message("w2", "lee", after=1),
        message("w3", "kim", after=2),
        message("w4", "sam", after=3),
    )
    settled = (message(i, status=s, settled_at=NOW, attempts=2) for i, s in SETTLED.items())
    return (*waiting, *settled)


def facts() -> tuple[object, ...]:
    at = (NOW + timedelta(seconds=n) for n in range(FACTS))
    return tuple(
        DeviceAdded(at=moment, actor="dana", subject=device(n % DEVICES).mac, location=f"Oslo/{n} Møterom")
        if n % 5
        else CodeShown(at=moment, actor="dana", subject=device(n % DEVICES).mac, issue=1, reader="kim")
        for n, moment in enumerate(at)
    )


def seen() -> dict[str, object]:
    return {device(n).mac: NOW + timedelta(minutes=n) for n in range(5)}


async def fill(store) -> None:
    await store.save(Change(puts=records()))
    await store.save(Change(puts=messages()[:1]))
    await store.claim(NOW, timedelta(minutes=1), 1)
    await store.save(Change(puts=messages()[1:]))
    for start in range(0, FACTS, 20):
        await store.save(Change(events=facts()[start : start + 20]))
    first = await store.get(Device, device(1).mac)
    await store.save(Change(puts=(replace(first, asset_tag="AT-1"),)))  # a second version
    await store.save(Change(puts=(device(0xBAD, "Bergen/3"),)))
    await store.save(Change(deletes=(stored(device(0xBAD, "Bergen/3")),)))
    await store.record_seen(seen())
    if hasattr(store, "seal"):  # since version 2
        await store.seal(NOW, SEALED)


async def main(folder: str) -> None:
    store = await open_store(f"tinydb:{folder}", clock=FakeClock())
    await fill(store)
    await store.verify(deep=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
