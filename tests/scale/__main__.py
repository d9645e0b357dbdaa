"""`make scale`: fills a store as full as it gets and asks it everything that the product asks. Ends with 1 at a miss.

Without --store: a file store in a temporary folder, and PostgreSQL where a server answers.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import structlog

from provisioning.model import Device
from storage import open_store
from tests.fakes import FakeClock
from tests.scale import opening
from tests.scale.asking import Asking
from tests.scale.measuring import HEAD, Book, Line, Target, stalls
from tests.scale.state import NOW, Scene, Size, fill, mac_of
from tests.scale.using import Using
from tests.storage import postgres

OPEN, RESIDENT = Target(50, 50.0), 150  # milliseconds, MB


async def run(url: str, size: Size, *, most: int = 200) -> list[Line]:
    """Fills the empty store at this address and measures, each question at `most` so often. The store stays filled."""
    scene, book, began = Scene(size), Book(_say, most), time.perf_counter()
    await _fill(url, scene)
    _say(f"\nFilled in {time.perf_counter() - began:.0f} s: {size.devices:,} devices, {size.facts:,} facts.\n\n{HEAD}")
    await _opened(url, scene, book)
    store = await open_store(url, clock=FakeClock(NOW))
    try:
        async with stalls() as idle:
            await asyncio.sleep(1)
        book.note(Line("nothing at all, for a second", [1000.0], max(idle), Target()))
        await Asking(store, scene, book).everything()
        await Using(store, scene, book).everything()
    finally:
        await store.close()
    return book.lines


async def _fill(url: str, scene: Scene) -> None:
    store, last = await open_store(url, clock=FakeClock(NOW)), 0.0

    def told(what: str, done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() > last + 5:
            last = time.monotonic()
            print(f"  {what}: {done:,}{f' of {of:,}' if of else ''}", file=sys.stderr, flush=True)

    try:
        if await store.count(Device):
            raise SystemExit(f"{url} is not empty; nothing was written to it.")
        await fill(store, scene, told)
    finally:
        await store.close()
    if url.startswith("postgres"):
        with psycopg.connect(url, autocommit=True) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
            names = ", ".join(name for (name,) in tables)
            connection.execute(f"VACUUM (ANALYZE, SKIP_LOCKED) {names}")  # as the server does by itself within minutes


async def _opened(url: str, scene: Scene, book: Book) -> None:
    macs = [mac_of(n) for n in range(0, scene.size.devices, max(scene.size.devices // 200, 1))]
    opened = [await opening.measure(url, macs) for _ in range(3)]
    book.note(Line("open the store", [each.opened * 1e3 for each in opened], 0.0, OPEN))
    book.note(Line("open it and read a device", [each.answered * 1e3 for each in opened], 0.0, OPEN))
    most = max(each.resident for each in opened)
    verdict = "met" if most <= RESIDENT else "**too much**"
    before = min(each.resident_before for each in opened)
    name = f"memory of a fresh process with the store open: {most:.0f} MB, {before:.0f} without"
    _say(f"| {name} | | | | ≤ {RESIDENT} MB | {verdict} |")


def _say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def _stores() -> Iterator[list[str]]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        urls = [f"tinydb:{Path(folder, 'store')}"]
        if reason := postgres.why_not():
            _say(f"PostgreSQL is passed over: {reason}.")
        else:
            urls.append(stack.enter_context(postgres.schema()))
        yield urls


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("--devices", type=int, default=200_000)
    parser.add_argument("--audit", type=int, default=1_000_000, help="facts")
    parser.add_argument("--store", action="append", help="an empty store to fill; it is left as it then is")
    asked = parser.parse_args()
    size, missed = Size(asked.devices, asked.audit), []
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with ExitStack() as stack:
        for url in asked.store or stack.enter_context(_stores()):
            _say(f"\n## {url.partition(':')[0]}\n")
            lines = asyncio.run(run(url, size))
            missed += [f"{line.name}: {', '.join(line.faults)}" for line in lines if line.faults]
    _say(f"\n{len(missed)} missed." if missed else "\nEverything was met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
