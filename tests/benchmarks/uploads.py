"""A sheet's whole way through the service: read, previewed against the list, added; and what a command waits meanwhile.

python -m tests.benchmarks.uploads
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from app import SystemClock
from bot.composition import build_provisioning
from bot.parsing import read_sheet
from bot.settings import load_settings
from provisioning.model import Actor, Role
from provisioning.service import Provisioning
from provisioning.service.devices import Wanted
from provisioning.uploads import Upload
from storage import open_store
from tests.benchmarks import Row, at_most, beside, importing, within
from tests.benchmarks.measuring import medians, quantile
from tests.benchmarks.sheets import bare_csv
from tests.fleets import as_csv, exported

DANA = Actor(id="00000000-0000-4000-8000-00000000da0a", name="Dana", tenant="t", roles=frozenset({Role.ADMIN}))
LARGE, WHOLE = 20_000, 50_000  # `python -m tests.benchmarks.uploads 200000` shows any other
MEMORY = 400  # MB: 600 are for 200 000 rows, and 340 of them for a few, as the reader's begin with its parent's
TURNS = 0.02  # seconds between two commands of somebody else
SCALE = 1024 * 1024 if sys.platform == "darwin" else 1024


@asynccontextmanager
async def service() -> AsyncIterator[Provisioning]:
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({"STORE_URL": f"tinydb:{folder}/store", "CODE_KEY_FILE": f"{folder}/keys"}, None)
        store = await open_store(settings.store_url, clock=SystemClock())
        try:
            yield build_provisioning(settings, store, SystemClock())
        finally:
            await store.close()


async def preview(provisioning: Provisioning, content: bytes) -> Upload:
    upload = await provisioning.begin_upload(DANA, "fleet.csv")
    async with read_sheet(content, "fleet.csv") as sheet:
        return await provisioning.read_upload(upload, sheet)


async def add(provisioning: Provisioning, upload: Upload) -> None:
    await provisioning.add_upload(DANA, upload.id)
    while await provisioning.go_on(upload.id):
        pass


# ------------------------------------------------------------------ the whole way, in a process of its own


async def whole(many: int) -> None:
    """Prints what it took: seconds, megabytes of this process and of the one that read, and a command's p99."""
    content = as_csv(exported(many).rows)
    async with service() as provisioning:
        began = time.perf_counter()
        upload = await preview(provisioning, content)
        read = time.perf_counter()
        adding = asyncio.create_task(add(provisioning, upload))
        waits = await commands(provisioning, adding)
        ended = time.perf_counter()
        listed = (await provisioning.listing(DANA, "")).total
        assert listed >= many, listed
    own, child = (resource.getrusage(who).ru_maxrss / SCALE for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps([read - began, ended - read, own, child, quantile(waits, 99) if waits else 0]))


async def commands(provisioning: Provisioning, meanwhile: asyncio.Task[None]) -> list[float]:
    """What an `add` and a `devices` of somebody else take, in microseconds, while the import goes on."""
    taken = []
    for number in count():
        if meanwhile.done():
            await meanwhile
            return taken
        began = time.perf_counter()
        wanted = Wanted(f"0281B6{number:06X}", f"Lab/1/{number}")
        await provisioning.add(replace(DANA, operation=f"add {number}"), [wanted])
        await provisioning.listing(DANA, "lab")
        taken.append((time.perf_counter() - began) * 1e6)
        await asyncio.sleep(TURNS)
    raise AssertionError("an import without an end")


async def _add_anew(content: bytes) -> float:
    """What [Add] takes on an empty list, in microseconds: all its steps, as the service takes them."""
    async with service() as provisioning:
        upload = await preview(provisioning, content)
        began = time.perf_counter()
        await add(provisioning, upload)
        return (time.perf_counter() - began) * 1e6


def _in_a_process(many: int) -> list[float]:
    command = [sys.executable, "-m", "tests.benchmarks.uploads", str(many)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, check=True, cwd=root)
    numbers: list[float] = json.loads(done.stdout)
    return numbers


async def run() -> Sequence[Row]:
    fleet = exported(LARGE)
    content = as_csv(fleet.rows)
    async with service() as provisioning:
        ours, bare = await medians(
            lambda: preview(provisioning, content), lambda: bare_csv(content.decode()), rounds=5, each=1
        )
    given = list(importing.units(LARGE))
    with tempfile.TemporaryDirectory() as folder:
        hand = await asyncio.to_thread(importing.by_hand, Path(folder) / "hand.sqlite3", given)
    through = await _add_anew(content)
    small_read, small_added, small_own, small_child, _p99 = await asyncio.to_thread(_in_a_process, LARGE)
    read, added, own, child, p99 = await asyncio.to_thread(_in_a_process, WHOLE)
    return [
        at_most("read, check and preview 20 000 rows of CSV", ours, bare, 2.0, "csv.reader + netaddr.EUI"),
        at_most("[Add] of 20 000 rows until they are listed", through, hand, 2.0, "the same written by hand"),
        beside(f"{WHOLE:,} rows, to the preview", read * 1e6, small_read * 1e6, "20 000 rows"),
        beside(f"{WHOLE:,} rows, from [Add] to all on the list", added * 1e6, small_added * 1e6, "20 000 rows"),
        within(f"memory of the service for {WHOLE:,} rows, and of its reader", own + child, MEMORY, "MB"),
        at_most("the same", own + child, small_own + small_child, WHOLE / LARGE, "20 000 rows", unit="MB"),
        within(f"`add` and `devices` while {WHOLE:,} rows are added, p99", p99, 100_000),
    ]


if __name__ == "__main__":
    asyncio.run(whole(int(sys.argv[1])))
