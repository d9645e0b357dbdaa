"""The contract where there are many rows: nothing is lost, doubled or miscounted on any page.

`make test` takes 10 000 rows; TEST_ROWS=200000, which `make scale` sets, is all that the product is made for. The store
in memory sorts everything for each page, so it never takes more than 5 000.
"""

import asyncio
import os
from collections import Counter
from dataclasses import replace

import pytest

from provisioning.model import Change, Device, State
from storage.kinds import KINDS
from storage.memory_store import MemoryStore
from tests.storage.samples import NOW, device

ROWS = int(os.environ.get("TEST_ROWS", "10000"))
MOST_IN_MEMORY = 5_000
UNIT = 1_000
SITES = 8
STATES = tuple(State)


def row(number, site=None):
    """Every fifth signed in and installed by no one, every hundredth off the list."""
    placed = device(number, f"Site {number % SITES if site is None else site}/{number % 90}/{number}")
    gone = NOW if number % 100 == 99 else None
    return replace(placed, state=STATES[number % len(STATES)], removed_at=gone)


async def insert(store, rows):
    units = [Change(puts=tuple(rows[start : start + UNIT])) for start in range(0, len(rows), UNIT)]
    for start in range(0, len(units), 4):
        await asyncio.gather(*map(store.save, units[start : start + 4]))


async def walk(store, limit, between, **asked):
    """Keys of every page; `between` is called after each."""
    keys, after, number = [], None, 0
    while True:
        page = await store.find(Device, limit=limit, after=after, **asked)
        keys += [each.key for each in page.rows]
        if page.after is None:
            return keys
        after, number = page.after, number + 1
        await between(number)


@pytest.mark.timeout(900)
async def test_many_rows_are_paged_counted_and_tallied(store):
    many = min(ROWS, MOST_IN_MEMORY) if isinstance(store, MemoryStore) else ROWS
    rows = [row(number) for number in range(many)]
    await insert(store, rows)
    place = KINDS[Device].order
    added = []

    async def insert_some(number):
        """In front, in the middle and behind of where the walk is, beside changes of rows that stay where they are."""
        if number % max(many // 20_000, 1) == 0:
            some = [row(many + len(added) + n, site) for n, site in enumerate((0, number % SITES, SITES - 1))]
            added.extend(some)
            await store.save(Change(puts=tuple(some)))

    keys = await walk(store, UNIT, insert_some)
    there = {each.key for each in rows}
    assert [key for key in keys if key in there] == [each.key for each in sorted(rows, key=place)]
    assert len(keys) == len(set(keys))
    assert added

    rows += added
    listed = [each for each in rows if not each.removed]
    assert await store.count(Device) == len(rows)
    assert await store.count(Device, removed=False) == len(listed)
    assert await store.count(Device, state=State.SIGNED_IN) == sum(each.state is State.SIGNED_IN for each in rows)
    assert await store.count(Device, site="site 3", removed=False) == sum(each.site == "Site 3" for each in listed)
    counted = Counter((each.site.casefold(), each.state) for each in listed)
    assert {(each.site, each.state): each.count for each in await store.tally()} == counted

    of_a_site = sorted((each for each in listed if each.site == "Site 3"), key=place)
    assert await walk(store, UNIT, insert_nothing, site="site 3", removed=False) == [each.key for each in of_a_site]
    (last,) = (await store.find(Device, location=rows[-1].location.casefold(), limit=2)).rows
    assert last.key == rows[-1].key
    await store.verify()


async def insert_nothing(_number):
    """The walk is left alone."""
