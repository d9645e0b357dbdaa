"""The embedded store against stock TinyDB, hand-written SQLite and the disk itself, at every size that it is made for.

    python -m tests.benchmarks.storage

The large store holds what a rollout leaves behind (tests/scale/state.py): 200 000 devices and 1 000 000 facts.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from provisioning.model import Device
from provisioning.ports import Store
from storage import open_store
from tests.benchmarks import Row, Skipped, at_least, at_most, beside, filled, within
from tests.benchmarks.measuring import append, medians
from tests.benchmarks.stores import ByHand, Ours, Stock, by_hand, macs, one_of, ours
from tests.fakes import FakeClock
from tests.scale import opening
from tests.scale.state import CITIES, NOW, Size, mac_of

FEW, MIDDLE, MANY = 1_000, 10_000, 100_000
STOCK = "stock TinyDB"


async def run() -> list[Row | Skipped]:
    size = filled.SIZE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await filled.rollout(folder / "large")
        url = f"tinydb:{folder / 'large'}"
        large = await open_store(url, clock=FakeClock(NOW))
        try:
            async with AsyncExitStack() as stack:
                few = await stack.enter_async_context(ours(f"tinydb:{folder / 'few'}", FEW))
                middle = await stack.enter_async_context(ours(f"tinydb:{folder / 'middle'}", MIDDLE))
                many = await Ours(large, one_of(size.devices)).take()
                rows = await _beside_others(folder, middle)
                rows += await _by_size(folder, size, few, many)
            rows += await _pages(large, size)
        finally:
            await large.close()
        rows += [await _open(folder), *await _fresh_process(url, size)]
    return rows


async def _beside_others(folder: Path, middle: Ours) -> list[Row]:
    """At 10 000 devices."""
    stock, others = Stock(folder, MIDDLE), macs(MIDDLE)

    async def get_another() -> object:
        return await middle.store.get(Device, next(others))

    with by_hand(folder, MIDDLE) as hand, append(folder) as disk, append(folder, name="block", in_place=True) as block:
        get, hand_get, again, hand_again = await medians(
            get_another, hand.get_another, middle.get, hand.get, rounds=10, each=200
        )
        change, hand_change, unit, least, block_least = await medians(
            middle.change, hand.change, middle.unit, disk, block, rounds=20, each=25, warm=20
        )
        stock_get, stock_change = await medians(stock.get, stock.change, rounds=3, each=1)
        cpu = await _cpu(middle, hand)
    of_hand = "hand-written SQLite that stops at the JSON"
    return [
        at_least("get a device by MAC, 10 000 devices", get, stock_get, 2000, STOCK),
        at_most("the same", get, hand_get, 4, of_hand),
        at_most("the same", get, hand_get, 2, of_hand, stretch=True),
        at_most("the same device again", again, hand_again, 2, of_hand),
        at_least("change a device, durable, 10 000 devices", change, stock_change, 300, STOCK),
        beside("the same", change, hand_change, "the same UPDATE written by hand"),
        at_most("a unit of work: device and fact", unit, least, 5, "one append and fdatasync"),
        beside("the same", unit, block_least, "4 KiB written in place and fdatasync"),
        *cpu,
    ]


async def _cpu(middle: Ours, hand: ByHand) -> list[Row]:
    """Of all threads of this process: the writer's too."""
    told, change, hand_change = await medians(
        middle.told, middle.change, hand.change, rounds=10, each=20, warm=10, clock=time.process_time
    )
    by_hand = "the same UPDATE written by hand, without a fact or a message"
    return [
        at_most("CPU of a unit: device, fact and message", told, hand_change, 10, by_hand),
        beside("CPU of a change of a device", change, hand_change, "the same UPDATE written by hand"),
    ]


async def _by_size(folder: Path, size: Size, few: Ours, many: Ours) -> list[Row]:
    name = f"{size.devices:,} devices and {size.facts:,} facts".replace(",", " ")
    stock = Stock(folder, MANY, filled.documents(folder / "large", MANY))
    change, few_change = await medians(many.change, few.change, rounds=20, each=25, warm=20)
    get, few_get = await medians(many.get, few.get, rounds=10, each=200, warm=20)
    (stock_change,) = await medians(stock.change, rounds=2, each=1, warm=0)
    return [
        at_least(f"change a device, durable, {name}", change, stock_change, 4000, f"{STOCK}, 100 000 devices"),
        at_most("the same", change, few_change, 2, "the same among 1 000"),
        at_most(f"get a device by MAC, {name}", get, few_get, 2, "the same among 1 000"),
    ]


async def _pages(store: Store, size: Size) -> list[Row]:
    site = CITIES[0].casefold()
    deep = None
    for _ in range(5):
        deep = (await store.find(Device, site=site, limit=1000, after=deep)).after

    async def page() -> object:
        return await store.find(Device, site=site, removed=False, limit=10)

    async def far() -> object:
        return await store.find(Device, site=site, removed=False, limit=10, after=deep)

    first, behind, all_sites, one = await medians(
        page, far, store.tally, lambda: store.tally(site), rounds=5, each=40, warm=5
    )
    name = f"{size.devices:,} devices".replace(",", " ")
    return [
        within(f"a page of 10 by site, {name}", first, 1000),
        within("the same, 5 000 rows behind", behind, 1000),
        within(f"the tally of all {len(CITIES)} sites, {name}", all_sites, 1000),
        within("the tally of one site", one, 1000),
    ]


async def _open(folder: Path) -> Row:
    """Beside stock TinyDB, which parses the whole file."""

    async def open_and_get() -> float:
        start = time.perf_counter()
        opened = await open_store(f"tinydb:{folder / 'middle'}", clock=FakeClock())
        await opened.get(Device, mac_of(1))
        taken = time.perf_counter() - start
        await opened.close()
        return taken * 1e6

    stock = Stock(folder, MIDDLE)
    (theirs,) = await medians(stock.open, rounds=3, each=1)
    mine = statistics.median([await open_and_get() for _ in range(9)])
    return at_least("open and read one device, 10 000 devices", mine, theirs, 10, STOCK)


async def _fresh_process(url: str, size: Size) -> list[Row]:
    macs = [mac_of(number) for number in range(0, size.devices, size.devices // 200)]
    opened = [await opening.measure(url, macs) for _ in range(5)]
    name = f"{size.devices:,} devices and {size.facts:,} facts".replace(",", " ")
    taken = statistics.median(each.opened for each in opened) * 1e6
    most = max(each.resident for each in opened)
    return [
        within(f"open the store in a fresh process, {name}", taken, 50_000),
        within("memory of that process after look-ups, lists and counts", most, 150, "MB"),
    ]


if __name__ == "__main__":
    from tests.benchmarks.tables import told

    told(asyncio.run(run()))
