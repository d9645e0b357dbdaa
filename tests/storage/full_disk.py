"""A process whose disk gets full and free again: a limit on the size of its files stands in for the disk.

python -m tests.storage.full_disk FOLDER
"""

import asyncio
import json
import resource
import signal
import sys
from dataclasses import replace
from pathlib import Path

from provisioning.errors import Unavailable
from provisioning.model import Change, Device, stored
from storage import open_store
from tests.fakes import FakeClock
from tests.storage.samples import device


async def refusal(attempt) -> str:
    try:
        await attempt
    except Unavailable as error:
        return error.reason
    return ""


def fill_disk(file: Path) -> None:
    """From now on no file gets longer than this one is."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, resource.RLIM_INFINITY))


async def main(folder: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails instead of ending the process
    store = await open_store(f"tinydb:{folder}", clock=FakeClock())
    kept = [device(n) for n in range(50)]
    for one in kept:
        await store.save(Change(puts=(one,)))
    fill_disk(Path(folder, "store.sqlite3-wal"))
    big = [device(1000 + n, notes="x" * 2000) for n in range(100)]
    outcomes = await asyncio.gather(*(store.save(Change(puts=(one,))) for one in big), return_exceptions=True)
    acknowledged = [one for one, outcome in zip(big, outcomes, strict=True) if outcome is None]
    many = tuple(device(5000 + n, notes="y" * 50_000) for n in range(100))
    found = {
        "reasons": sorted({type(outcome).__name__ for outcome in outcomes if outcome is not None}),
        "check": await refusal(store.save(Change(puts=many))),
        "readable": all([await store.get(Device, one.mac) == stored(one) for one in kept + acknowledged]),
    }
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.check()
    await store.save(Change(puts=(replace(stored(kept[0]), notes="healed"), device(5000))))
    await store.verify()
    found["devices"] = await store.count(Device) - len(acknowledged)
    await store.close()
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
