"""A process that writes until it is killed. It names on its output each unit that the store acknowledged.

python -m tests.storage.crashing FOLDER honest|early|hold
"""

import asyncio
import os
import sys

from provisioning.events import DeviceAdded
from provisioning.model import Change
from storage import open_store
from tests.fakes import FakeClock
from tests.storage.samples import NOW, device

WRITERS = 16


def say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


async def write_on(store, writer: int, early: bool) -> None:
    for n in range(100_000):
        one = device(writer * 100_000 + n, f"Oslo/{n % 20}")
        fact = DeviceAdded(at=NOW, actor="dana", subject=one.mac, location=one.location)
        if early:
            say(one.mac)
        await store.save(Change(puts=(one,), events=(fact,)))
        if not early:
            say(one.mac)


async def main(folder: str, how: str) -> None:
    store = await open_store(f"tinydb:{folder}", clock=FakeClock())
    say("ready")
    if how == "hold":
        await asyncio.Event().wait()
    await asyncio.gather(*(write_on(store, writer, how == "early") for writer in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
