"""A store under load, in a process of its own: each unit changes a device and tells it as a fact.

python -m tests.storage.writing FOLDER WRITERS

It names each acknowledged unit on its output, `WRITER NUMBER SECONDS`: when, by the machine's monotonic clock, and ends
when its input does.
"""

import asyncio
import os
import sys
import time
from dataclasses import replace

from app import SystemClock
from provisioning.errors import Conflict, Duplicate
from provisioning.events import DeviceAdded
from provisioning.model import Change, Device
from storage import open_store
from tests.storage.samples import NOW, device


async def write_on(store, writer: int) -> None:
    """A use case reads, decides and saves, and does it again where somebody was faster."""
    mac, number = device(0xF00000 + writer).mac, 0
    while True:
        number += 1
        known = await store.get(Device, mac) or device(0xF00000 + writer)
        fact = DeviceAdded(at=NOW, actor="dana", subject=mac, location=str(number))
        try:
            await store.save(Change(puts=(replace(known, notes=str(number)),), events=(fact,)))
        except (Conflict, Duplicate):
            continue
        os.write(1, f"{writer} {number} {time.monotonic()}\n".encode())


async def main(folder: str, writers: str) -> None:
    store = await open_store(f"tinydb:{folder}", clock=SystemClock())
    os.write(1, b"ready\n")
    tasks = [asyncio.create_task(write_on(store, writer)) for writer in range(int(writers))]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()
    for outcome in outcomes:
        if not isinstance(outcome, asyncio.CancelledError):
            os.write(1, f"fault {outcome!r}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
