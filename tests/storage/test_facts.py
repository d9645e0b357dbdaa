"""What the `Store` port says of readers who page through all facts, on every backend; and which units they wait for."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from provisioning.errors import Conflict
from provisioning.events import DeviceAdded, DeviceMoved
from provisioning.model import Change
from storage import open_store
from storage.postgres_sql import queries
from storage.postgres_unit import Unit
from tests.fakes import FakeClock
from tests.storage import postgres
from tests.storage.samples import NOW, device

LATE = NOW + timedelta(days=9)


def fact(number):
    return DeviceAdded(at=NOW, actor="dana", subject=device(number).mac, location=str(number))


def told(*numbers):
    return Change(events=tuple(map(fact, numbers)))


def said(rows):
    return [int(row.event.location) for row in rows]


async def everything(store, after=0, limit=1000):
    """What a reader gets who goes on until there is nothing."""
    found = []
    while rows := await store.facts(after, limit=limit):
        assert len(rows) <= limit
        found += rows
        after = rows[-1].sequence
    return found


# ------------------------------------------------------------------ on every backend


async def test_where_nothing_happened_there_is_nothing_to_read(store):
    assert list(await store.facts()) == []
    assert await store.newest_fact() == 0


@pytest.mark.parametrize("limit", [1, 3, 7, 10, 11, 500])
async def test_facts_are_read_oldest_first_page_by_page(store, limit):
    for number in range(0, 10, 2):
        await store.save(told(number, number + 1))
    rows = await everything(store, limit=limit)
    assert said(rows) == list(range(10))
    assert rows == list(reversed((await store.history()).rows))
    assert [row.sequence for row in rows] == sorted({row.sequence for row in rows})


async def test_as_many_as_nobody_says_are_500(store):
    await store.save(told(*range(501)))
    assert said(await store.facts()) == list(range(500))


async def test_whoever_goes_on_gets_what_came_since(store):
    await store.save(told(1, 2))
    rows = await store.facts()
    assert list(await store.facts(rows[-1].sequence)) == []
    await store.save(told(3))
    assert said(await store.facts(rows[-1].sequence)) == [3]
    assert said(await store.facts(rows[0].sequence)) == [2, 3]


async def test_whoever_begins_now_gets_what_comes_from_now_on(store):
    await store.save(told(1, 2))
    now = await store.newest_fact()
    assert now == (await store.history()).rows[0].sequence
    assert list(await store.facts(now)) == []
    await store.save(told(3))
    await store.save(told(4))
    assert said(await store.facts(now)) == [3, 4]


async def test_what_retention_dropped_is_not_there_any_more(store):
    await store.save(told(1, 2))
    first, _ = await store.facts()
    await store.seal(NOW)
    await store.save(told(3))
    assert await store.drop_audit(LATE, LATE) == 2
    assert said(await store.facts()) == said(await store.facts(first.sequence)) == [3]
    await store.seal(NOW)
    assert await store.drop_audit(LATE, LATE) == 1
    assert list(await store.facts()) == []
    now = await store.newest_fact()
    await store.save(told(4))
    assert said(await store.facts(now)) == said(await store.facts()) == [4]


async def test_a_unit_that_failed_holds_nothing_up(store):
    await store.save(told(1))
    for _ in range(3):
        with pytest.raises(Conflict):
            await store.save(Change(puts=(device(1, version=7),), events=(fact(2),)))
    with pytest.raises(ValueError, match="zone"):
        moved = DeviceMoved(at=NOW.replace(tzinfo=None), actor="dana", subject="s", before="", after="")
        await store.save(Change(events=(fact(2), moved)))
    await store.save(told(3))
    assert said(await store.facts()) == [1, 3]


async def test_the_fact_of_a_change_is_there_once_the_change_is(store):
    for number in range(20):
        await store.save(Change(puts=(device(number),), events=(fact(number),)))
        assert said(await store.facts())[-1] == number


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_1_to_1000_facts_at_once(store, limit):
    with pytest.raises(ValueError, match="1000"):
        await store.facts(limit=limit)


async def test_any_number_is_a_place(store):
    await store.save(told(1))
    for far in (10**6, 2**63 - 1, 2**63, 10**40):
        assert list(await store.facts(far)) == []
    for before in (-1, -(2**63), -(10**40)):
        assert said(await store.facts(before)) == [1]


async def test_readers_beside_writers_miss_nothing_and_get_nothing_twice(store):
    """Ten write, of units large and small; three read as they go."""
    units = [told(*range(n * 10, n * 10 + 1 + n % 7)) for n in range(200)]
    done = asyncio.Event()

    async def write(begin):
        for unit in units[begin::10]:
            await store.save(unit)

    async def read():
        found, after = [], 0
        while not done.is_set() or await store.facts(after):
            rows = await store.facts(after, limit=17)
            found += rows
            after = rows[-1].sequence if rows else after
            await asyncio.sleep(0)
        return found

    readers = [asyncio.create_task(read()) for _ in range(3)]
    await asyncio.gather(*map(write, range(10)))
    done.set()
    for rows in await asyncio.gather(*readers):
        assert rows == await everything(store)
        assert sorted(said(rows)) == sorted(int(fact.location) for unit in units for fact in unit.events)


# ------------------------------------------------------------------ units that commit in another order than they began


@pytest.fixture
async def shared(database):
    """A store and its address, for those who commit when the test says so."""
    store = await open_store(database, clock=FakeClock())
    yield store, database
    await store.close()


@asynccontextmanager
async def running(url, *numbers):
    """A unit that has told its facts and has not ended."""
    async with postgres.client(url) as connection:
        await connection.execute("BEGIN")
        await connection.execute(queries()["begin_unit"])
        for statement, values in Unit.of(told(*numbers)).steps:
            await connection.execute(statement, values)
        yield connection


async def test_nothing_is_read_before_what_an_older_unit_still_brings(shared):
    store, url = shared
    await store.save(told(1))
    async with running(url, 2) as older, running(url, 3) as newer:
        await newer.execute("COMMIT")
        await store.save(told(4))
        assert said((await store.history()).rows) == [4, 3, 1]
        assert said(await store.facts()) == [1]
        assert await store.newest_fact() == (await store.facts())[0].sequence
        await older.execute("COMMIT")
        assert said(await store.facts()) == [1, 2, 3, 4]
    assert await store.newest_fact() == (await store.facts())[-1].sequence


async def test_an_older_unit_that_gives_up_is_not_waited_for(shared):
    store, url = shared
    async with running(url, 1) as older:
        await store.save(told(2))
        assert list(await store.facts()) == []
        assert await store.newest_fact() == 0
        await older.execute("ROLLBACK")
        assert said(await store.facts()) == [2]


async def test_a_unit_whose_connection_is_lost_is_not_waited_for(shared):
    store, url = shared
    async with running(url, 1) as lost:
        await store.save(told(2))
        assert list(await store.facts()) == []
        async with postgres.client(url) as connection:
            await connection.execute("SELECT pg_terminate_backend(%s, 5000)", (lost.info.backend_pid,))
        assert said(await store.facts()) == [2]
        await lost.close()


async def test_whoever_began_since_is_not_waited_for(shared):
    """Units follow each other without a pause, and one gave up: what it left out is no reason to wait for ever."""
    store, url = shared
    async with running(url, 1) as gone:
        await store.save(told(2))
        assert list(await store.facts()) == []
        async with running(url, 3) as second:
            await gone.execute("ROLLBACK")
            await store.save(told(4))
            assert said(await store.facts()) == [2]  # 3 is to come
            async with running(url, 5) as third:
                await second.execute("COMMIT")
                await store.save(told(6))
                assert said(await store.facts()) == [2, 3, 4]
                await third.execute("ROLLBACK")
    assert said(await store.facts()) == [2, 3, 4, 6]


async def test_another_instance_that_knows_nothing_yet_withholds_what_it_must(shared):
    store, url = shared
    async with running(url, 1) as gone:
        await gone.execute("ROLLBACK")
    await store.save(told(2, 3))
    other = await open_store(url, clock=FakeClock())
    async with running(url, 4) as second:
        await store.save(told(5))
        assert list(await other.facts()) == []  # 1 might be the other unit's
        async with running(url, 6):
            await second.execute("COMMIT")
            assert said(await other.facts()) == [2, 3, 4, 5]
    await other.close()


async def test_what_was_sealed_is_withheld_from_nobody(shared):
    store, url = shared
    async with running(url, 1) as gone:
        await gone.execute("ROLLBACK")
    await store.save(told(2, 3))
    assert await store.seal(NOW) == 2
    other = await open_store(url, clock=FakeClock())
    async with running(url, 4):
        assert said(await other.facts()) == said(await store.facts()) == [2, 3]
        assert await store.drop_audit(LATE, LATE) == 2
        await store.save(told(5))
        assert list(await store.facts()) == list(await other.facts()) == []
    await other.close()


async def test_a_unit_that_ends_between_a_look_and_its_pages_is_complete(shared):
    """Looks of two readers cross: the one that was taken first comes back last."""
    store, url = shared
    asked, go_on = asyncio.Event(), asyncio.Event()
    ask = store._ask

    async def slow(statement, values=()):
        rows = await ask(statement, values)
        if statement == queries()["look_at_facts"] and not asked.is_set():
            asked.set()
            await go_on.wait()
        return rows

    store._ask = slow
    first = asyncio.create_task(store.facts())
    await asked.wait()
    async with running(url, 1) as older:
        await store.save(told(2))
        assert list(await store.facts()) == []  # the newer look knows the unit
        go_on.set()
        assert list(await first) == []  # the older one does not, and says nothing about it
        assert list(await store.facts()) == []
        await older.execute("COMMIT")
    assert said(await store.facts()) == [1, 2]


async def test_readers_keep_no_writer_waiting(shared):
    store, url = shared
    async with running(url, 1):
        for number in range(2, 30):
            await asyncio.gather(store.facts(), store.save(told(number)))
        assert list(await store.facts()) == []
    async with postgres.client(url) as connection:
        waiting = await connection.execute(  # for something of this schema: others' tests run on the same server
            "SELECT relation::regclass FROM pg_locks JOIN pg_class ON pg_class.oid = relation"
            " WHERE NOT granted AND relnamespace = current_schema()::regnamespace"
        )
        assert await waiting.fetchall() == []
