"""What only a store of many instances has to keep: turns, wake-ups, one schema, counts without a hot row."""

import asyncio
import contextlib
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from provisioning.bookkeeping import Segment
from provisioning.errors import Conflict, Duplicate, Unavailable
from provisioning.events import DeviceAdded
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.model import Change, Device, State, stored
from storage import open_store
from storage.kinds import KINDS
from storage.postgres_schema import migrations
from storage.postgres_sql import about_heads, columns_written, parameters, queries
from storage.postgres_transfer import PostgresSource, PostgresTarget
from storage.postgres_wake import channel_of
from storage.tinydb_transfer import TinySource, TinyTarget
from storage.transfer import TABLES, TransferFault, copy
from tests.fakes import FakeClock
from tests.storage import postgres
from tests.storage.samples import NOW, device, message, one_of_each

LEASE = timedelta(seconds=30)
SOON = 5  # seconds; what is woken is woken in milliseconds


def opened(url):
    return open_store(url, clock=FakeClock())


@pytest.fixture
async def url():
    return postgres.emptied()


@pytest.fixture
async def two(url):
    """Two instances of the service on one database."""
    stores = [await opened(url), await opened(url)]
    yield stores
    for store in stores:
        await store.close()


@contextlib.asynccontextmanager
async def unfinished(url, *steps):
    """A transaction of another instance that has done its steps and is not yet committed."""
    async with postgres.client(url) as connection, connection.transaction():
        for statement, values in steps:
            await connection.execute(statement, values)
        yield connection


def added(number):
    return DeviceAdded(at=NOW, actor="dana", subject=device(number).mac, location="Oslo")


# ------------------------------------------------------------------ wake-ups


async def test_a_change_at_one_instance_wakes_who_waits_at_another(two):
    here, there = two
    async with there.watch(device(1).mac) as watch, there.watch(device(2).mac) as other:
        await here.save(Change(puts=(device(1),)))
        assert await watch.wait(SOON)
        assert await there.get(Device, device(1).mac) == stored(device(1))
        assert not await other.wait(0)
        assert not await watch.wait(0.05)  # once


async def test_an_instance_is_woken_once_by_its_own_change(two):
    here, there = two
    async with here.watch(device(1).mac) as own, there.watch(device(1).mac) as others:
        await here.save(Change(puts=(device(1),)))
        assert await own.wait(0)
        assert await others.wait(SOON)
        assert not await own.wait(0.05)


async def test_a_unit_of_many_records_wakes_all_of_them_elsewhere(two):
    here, there = two
    many = [device(n) for n in range(1500)]  # more than one notification holds
    async with contextlib.AsyncExitStack() as stack:
        watches = [await stack.enter_async_context(there.watch(one.mac)) for one in many]
        await here.save(Change(puts=tuple(many)))
        assert all(await asyncio.gather(*(watch.wait(SOON) for watch in watches)))


async def test_a_new_message_wakes_the_relay_of_another_instance(two):
    here, there = two
    async with there.watch("outbox") as watch:
        await here.save(Change(puts=(message("m1"),)))
        assert await watch.wait(SOON)


async def test_what_anybody_says_on_the_channel_harms_nobody(two, url):
    here, there = two
    channel = channel_of(re.search("test_[0-9a-f]+", url)[0])
    async with postgres.client(url) as connection, there.watch(device(1).mac) as watch:
        for payload in ("", " ", "x", "x " * 50):
            await connection.execute("SELECT pg_notify(%s, %s)", (channel, payload))
        await here.save(Change(puts=(device(1),)))
        assert await watch.wait(SOON)


async def test_whoever_lost_the_line_says_so_until_it_is_back(two, url):
    here, there = two
    line = there._wakes._line
    async with postgres.client(url) as connection:
        await connection.execute("SELECT pg_terminate_backend(%s)", (line.info.backend_pid,))
    async with asyncio.timeout(SOON):
        while there._wakes._line is line:  # noqa: ASYNC110 - it comes back by itself
            await asyncio.sleep(0.05)
    await there.check()
    async with there.watch(device(1).mac) as watch:
        while await watch.wait(0.1):
            pass
        await here.save(Change(puts=(device(1),)))
        assert await watch.wait(SOON)


# ------------------------------------------------------------------ changes of one thing at one moment


async def test_of_many_instances_that_change_one_version_one_wins(url):
    stores = [await opened(url) for _ in range(8)]
    await stores[0].save(Change(puts=(device(1),)))
    tries = [store.save(Change(puts=(replace(stored(device(1)), notes=str(n)),))) for n, store in enumerate(stores)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 7 + ["NoneType"]
    adding = await asyncio.gather(*(s.save(Change(puts=(device(2),))) for s in stores), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in adding) == ["Duplicate"] * 7 + ["NoneType"]
    for store in stores:
        await store.close()


async def test_units_over_the_same_records_in_any_order_never_wait_for_each_other_in_a_circle(two):
    here, there = two
    devices = [device(n) for n in range(40)]
    await here.save(Change(puts=tuple(devices)))
    for _ in range(10):
        fresh = [await here.get(Device, one.mac) for one in devices]
        outcomes = await asyncio.gather(
            here.save(Change(puts=tuple(fresh))),
            there.save(Change(puts=tuple(reversed(fresh)))),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes].count(type(None)) == 1
        assert [type(outcome) for outcome in outcomes].count(Conflict) == 1


async def test_a_refused_unit_leaves_its_connection_usable_whatever_was_prepared_on_it(two):
    here, _ = two
    await here.save(Change(puts=(device(1),)))
    for size in (1, 2, 5, 50, 3):
        for _ in range(12):  # more than there are connections
            with pytest.raises(Duplicate):
                await here.save(Change(puts=(device(1), *(device(100 + n) for n in range(size)))))
    assert await here.count(Device) == 1
    await here.save(Change(puts=tuple(device(100 + n) for n in range(50))))


async def test_one_row_that_somebody_holds_keeps_nobody_else_waiting(two, url):
    here, _ = two
    await here.save(Change(puts=(device(1), device(2))))
    async with unfinished(url, ("SELECT 1 FROM devices WHERE key = %s FOR UPDATE", (device(1).mac,))):
        waiting = [asyncio.create_task(here.save(Change(puts=(stored(device(1)),)))) for _ in range(20)]
        await asyncio.sleep(0)
        assert await here.get(Device, device(2).mac)
        await here.check()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Conflict}  # after a second or so: run again, on fresh records


async def test_a_server_that_hangs_is_given_up(url):
    store = await opened(url)
    with pytest.raises(Unavailable):
        async with store._connections.take(seconds=0.2) as connection:
            await connection.execute("SELECT pg_sleep(4)")
    assert await store.get(Device, device(1).mac) is None
    await store.close()


async def test_connections_that_died_while_they_lay_idle_refuse_no_reader(url):
    name = re.search("test_[0-9a-f]+", url)[0]  # other tests have connections to the same server
    here = await opened(f"{url}&application_name={name}")
    try:
        await asyncio.gather(*(here.count(Device, installed=True) for _ in range(20)))
        async with postgres.client(url) as connection:
            for _ in range(2):
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
                    " AND query NOT LIKE 'LISTEN%%'",
                    (name,),
                )
                for n in range(12):
                    assert await here.get(Device, device(n).mac) is None
    finally:
        await here.close()


# ------------------------------------------------------------------ the outbox of many


async def test_no_message_is_claimed_twice_and_each_lane_goes_out_in_order(url):
    stores = [await opened(url) for _ in range(4)]
    sent: dict[str, list[str]] = {f"lane{lane}": [] for lane in range(6)}
    await stores[0].save(
        Change(puts=tuple(message(f"{lane}-{n:02}", f"lane{lane}") for n in range(15) for lane in range(6)))
    )

    async def relay(store) -> None:
        while sum(map(len, sent.values())) < 90:
            for each in await store.claim(NOW, LEASE, 4):
                sent[each.lane].append(each.id)
                await asyncio.sleep(0)
                await store.save(Change(puts=(replace(each, status=MessageStatus.SENT, leased_until=None),)))

    await asyncio.gather(*map(relay, stores))
    for lane, (name, ids) in enumerate(sent.items()):
        assert ids == [f"{lane}-{n:02}" for n in range(15)], name
    for store in stores:
        await store.close()


async def test_an_older_message_that_appears_late_waits_for_the_one_that_is_under_way(two, url):
    """Rows get their numbers before they are committed."""
    here, there = two
    row = message("late")
    columns = ", ".join(columns_written(KINDS[OutboxMessage]))
    values = ", ".join(f"%({name})s" for name in columns_written(KINDS[OutboxMessage]))
    async with unfinished(url, (f"INSERT INTO outbox ({columns}) VALUES ({values})", parameters(row))):
        await here.save(Change(puts=(message("early"),)))
        (under_way,) = await here.claim(NOW, LEASE, 10)
        assert under_way.id == "early"
    assert await there.claim(NOW, LEASE, 10) == []
    assert await there.next_due() == NOW + LEASE  # so that nobody asks again and again
    await here.save(Change(puts=(replace(under_way, status=MessageStatus.SENT, leased_until=None),)))
    assert [each.id for each in await there.claim(NOW, LEASE, 10)] == ["late"]


async def test_a_word_that_is_being_claimed_is_said_again(two, url):
    """Else a change committed behind the claim's back would never be drawn."""
    here, there = two
    await here.save(Change(puts=(message("m1", unique="edit:1"),)))
    claim = (
        about_heads("claim"),
        {"now": 10**17, "until": 10**17 + 1, "until_text": "2026-03-02T08:00:30+00:00", "limit": 9},
    )
    async with unfinished(url, claim):
        saving = asyncio.create_task(there.save(Change(puts=(message("m2", unique="edit:1"),))))
        done, _ = await asyncio.wait([saving], timeout=0.2)
        assert not done  # it waits for the claim, to see what becomes of it
    await saving
    assert await here.get(OutboxMessage, "m2")


async def test_a_message_that_a_unit_relies_on_is_not_claimed_before_that_unit_is_committed(two, url):
    here, there = two
    await here.save(Change(puts=(message("m1", unique="edit:1"),)))
    looks = ("SELECT 1 FROM outbox WHERE ix_unique = 'edit:1' FOR SHARE", ())
    async with unfinished(url, looks):
        assert await there.claim(NOW, LEASE, 10) == []
    assert [each.id for each in await there.claim(NOW, LEASE, 10)] == ["m1"]


# ------------------------------------------------------------------ the audit of many


async def test_the_sealer_leaves_facts_alone_while_one_has_a_number_and_is_not_committed(two, url):
    here, there = two
    values = {"subjects": ["late"], "times": [0], "digests": ["00"], "docs": ["{}"]}
    async with unfinished(url, (queries()["record"], values)):
        await here.save(Change(events=(added(1), added(2))))
        assert await there.seal(NOW) == 0
        await here.save(Change(events=(added(3),)))  # nobody waits for long behind the sealer
    assert await there.seal(NOW) == 4
    (segment,) = (await here.find(Segment)).rows
    assert (segment.count, segment.last - segment.first) == (4, 3)


async def test_two_sealers_make_one_segment(two):
    here, there = two
    await here.save(Change(events=tuple(added(n) for n in range(50))))
    sealed = await asyncio.gather(*(store.seal(NOW) for store in (here, there) * 3))
    assert sum(sealed) == 50
    assert await here.count(Segment) == 1
    await there.verify()


# ------------------------------------------------------------------ counts


async def test_the_tally_is_right_under_many_writers_and_folded_by_whoever_reads_it(two, url):
    await asyncio.gather(*(two[n % 2].save(Change(puts=(device(n, f"Site{n % 3}/1"),))) for n in range(300)))

    async def move(n: int) -> None:
        one = stored(device(n, f"Site{n % 3}/1"))
        await two[n % 2].save(Change(puts=(replace(one, state=State.SIGNED_IN, location="Site9/1"),)))

    await asyncio.gather(*map(move, range(0, 300, 2)))
    before = await two[0].tally()
    assert sum(row.count for row in before) == 300
    assert {row.site: row.count for row in before if row.site == "site9"} == {"site9": 150}
    async with postgres.client(url) as connection:
        (left,) = await (await connection.execute("SELECT count(*) FROM tally")).fetchone()
        assert left < 20
    assert await two[1].tally() == before
    await two[0].verify()


# ------------------------------------------------------------------ the schema


def test_the_migrations_are_numbered_without_a_gap():
    assert list(migrations()) == list(range(1, len(migrations()) + 1))


async def test_the_tables_have_the_columns_of_the_kinds(postgres_store, url):
    statement = """SELECT column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = %s"""
    async with postgres.client(url) as connection:
        for kind in KINDS.values():
            rows = await (await connection.execute(statement, (kind.table,))).fetchall()
            stands = {name: type_ for name, type_, _ in rows if name != "id"}
            assert stands == columns_written(kind), kind.table


async def test_instances_that_start_together_make_one_schema(database):
    stores = await asyncio.gather(*(opened(database) for _ in range(6)))
    async with postgres.client(database) as connection:
        rows = await (await connection.execute("SELECT number FROM migrations")).fetchall()
    assert [number for (number,) in rows] == list(migrations())
    for store in stores:
        await store.close()


async def test_a_newer_schema_is_refused_and_left_alone(database):
    await (await opened(database)).close()
    async with postgres.client(database) as connection:
        await connection.execute("INSERT INTO migrations VALUES (99, 'later')")
        with pytest.raises(Unavailable) as refusal:
            await opened(database)
        assert "newer version" in refusal.value.reason
        rows = await (await connection.execute("SELECT max(number) FROM migrations")).fetchall()
        assert rows == [(99,)]


async def test_another_programs_tables_are_refused_and_left_alone(database):
    async with postgres.client(database) as connection:
        await connection.execute("CREATE TABLE devices (id int); INSERT INTO devices VALUES (7)")
        with pytest.raises(Unavailable) as refusal:
            await opened(database)
        assert "devices" in refusal.value.reason
        tables = await (
            await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        ).fetchall()
        assert tables == [("devices",)]


async def test_a_schema_behind_the_stores_own_is_not_mixed_in(database, url):
    """`search_path=new,old`: the old one's tables are not taken for the new one's."""
    old, new = (re.search("test_[0-9a-f]+", each)[0] for each in (url, database))
    await (await opened(url)).close()
    store = await opened(database.replace(new, f"{new},{old}"))
    await store.save(Change(puts=(device(1),)))
    await store.close()
    store = await opened(url)
    assert await store.get(Device, device(1).mac) is None
    await store.close()


async def test_other_encodings_of_the_client_do_not_matter(database):
    store = await opened(f"{database}&client_encoding=latin1")
    await store.save(Change(puts=(device(1, notes="日本"),)))
    assert (await store.get(Device, device(1).mac)).notes == "日本"
    await store.close()


# ------------------------------------------------------------------ verification

TAMPERED = {
    "a version": ("UPDATE devices SET version = 7", "version"),
    "a document": ("UPDATE devices SET doc = '{}'", "version"),
    "a place": ("UPDATE devices SET ix_place = 'elsewhere'", "beside"),
    "a count": ("INSERT INTO tally VALUES ('oslo', 'signed_in', false, false, 1)", "counts"),
    "a fact": ('UPDATE audit SET doc = doc || \'{"actor": "mallory"}\'', "audit"),
    "a fact and its digest": ("UPDATE audit SET digest = repeat('0', 64)", "segment 1"),
    "a fact taken away": ("DELETE FROM audit WHERE subject LIKE '%%1'", "segment 1"),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_was_changed_behind_the_stores_back_is_found_and_seen_by_all(two, url, what):
    here, there = two
    statement, said = TAMPERED[what]
    await here.save(Change(puts=(device(1), device(2)), events=(added(1), added(2))))
    await here.seal(NOW)
    await here.verify(deep=True)
    async with postgres.client(url) as connection:
        await connection.execute(statement.replace("%%", "%"))
    with pytest.raises(Unavailable) as refusal:
        await here.verify(deep=True)
    assert said in refusal.value.reason
    for store in (there, here):  # whether it asked or not
        with pytest.raises(Unavailable) as refusal:
            await store.save(Change(puts=(device(3),)))
        assert said in refusal.value.reason
    with pytest.raises(Unavailable):
        await there.verify()  # looks less closely, so what it does not find still stands
    with pytest.raises(Unavailable):
        await there.check()


async def test_once_all_of_it_is_in_order_again_it_is_written_to_again(two, url):
    here, there = two
    await here.save(Change(puts=(device(1),)))
    async with postgres.client(url) as connection:
        await connection.execute("UPDATE devices SET ix_place = 'elsewhere'")
        with pytest.raises(Unavailable):
            await here.verify(deep=True)
        await connection.execute("UPDATE devices SET ix_place = '2.14'")
    await there.verify(deep=True)
    await here.save(Change(puts=(device(2),)))
    await here.check()


@pytest.mark.parametrize("doc", ["{}", "[]", '{"mac": 7, "odd": true}', '{"version": "x"}'])
async def test_what_is_no_record_is_told_with_its_table_and_never_served(postgres_store, url, doc):
    await postgres_store.save(Change(puts=(device(1),)))
    async with postgres.client(url) as connection:
        await connection.execute("UPDATE devices SET doc = %s::jsonb", (doc,))
    for ask in (postgres_store.get(Device, device(1).mac), postgres_store.find(Device), postgres_store.verify()):
        with pytest.raises(Unavailable) as refusal:
            await ask
        assert '"devices"' in refusal.value.reason


# ------------------------------------------------------------------ carried elsewhere


def quiet(*_):
    pass


def canonical(plain):
    return json.dumps(plain, sort_keys=True)


async def everything(source):
    async with source:
        return {table: [row async for chunk in source.rows(table) for row in chunk] for table in TABLES}


async def test_a_store_is_carried_to_postgresql_and_back_without_a_difference(url, folder, tmp_path):
    store = await opened(f"tinydb:{folder}")
    for record in one_of_each():
        if not isinstance(record, Segment):
            fact = DeviceAdded(at=NOW, actor="dana", subject=record.key, location="Oslo")
            await store.save(Change(puts=(record,), events=(fact,)))
    await store.seal(NOW, limit=3)
    await store.save(Change(puts=tuple(device(n, f"Oslo/{n}", notes="Ω\\u0000") for n in range(1500))))
    await store.record_seen({device(1).mac: NOW + timedelta(microseconds=1)})
    await store.close()
    async with TinySource(folder, alone=True) as source, PostgresTarget(url, alone=True) as target:
        there = await copy(source, target, quiet)
    async with PostgresSource(url, alone=True) as source, TinyTarget(tmp_path / "back") as target:
        back = await copy(source, target, quiet)
    assert there == back
    before, after = await everything(TinySource(folder)), await everything(TinySource(tmp_path / "back"))
    for table in TABLES:
        documents = [sorted((plain for _, plain in rows[table]), key=canonical) for rows in (before, after)]
        assert documents[0] == documents[1], table
    assert [before[name] for name in ("audit", "outbox")] == [after[name] for name in ("audit", "outbox")]
    store = await opened(url)
    await store.verify(deep=True)
    await store.save(Change(puts=(message("next"),), events=(added(5),)))  # numbers go on behind what came
    assert await store.seal(NOW) > 0
    await store.verify(deep=True)
    await store.close()


async def test_nothing_is_carried_under_the_hands_of_a_running_instance(url):
    store = await opened(url)
    with pytest.raises(TransferFault, match="in use"):
        async with PostgresSource(url, alone=True):
            pass
    with pytest.raises(TransferFault, match="in use"):
        async with PostgresTarget(url, alone=True):
            pass
    async with PostgresSource(url, alone=False) as source:
        assert (await source.sizes())["devices"] == 0
    await store.close()
    async with PostgresSource(url, alone=True):
        with pytest.raises(Unavailable) as refusal:
            await opened(url)
        assert "being carried" in refusal.value.reason
    await (await opened(url)).close()


async def test_an_instance_that_lost_its_line_cannot_write_under_the_hands_of_whoever_carries_the_store(url):
    store = await opened(url)
    await store._wakes.close()  # as if its connection had ended, and with it the sign that it is there
    async with PostgresSource(url, alone=True):
        with pytest.raises(Unavailable) as refusal:
            await store.save(Change(puts=(device(1),)))
        assert "being carried" in refusal.value.reason
    await store.save(Change(puts=(device(1),)))
    await store.close()


async def test_a_target_that_holds_something_is_refused(two, url):
    await two[0].save(Change(puts=(device(1),)))
    for store in two:
        await store.close()
    with pytest.raises(TransferFault, match="devices"):
        async with PostgresTarget(url, alone=True):
            pass


async def test_a_transfer_that_fails_in_the_middle_leaves_nothing(url, folder):
    store = await opened(f"tinydb:{folder}")
    await store.save(Change(puts=tuple(device(n) for n in range(50))))
    await store.close()

    class Cut(TinySource):
        async def rows(self, table):
            if table == "people":
                raise ConnectionError("the cable")
            async for chunk in super().rows(table):
                yield chunk

    with pytest.raises(ConnectionError):
        async with Cut(folder) as source, PostgresTarget(url, alone=True) as target:
            await copy(source, target, quiet)
    async with PostgresSource(url) as source:
        assert set((await source.sizes()).values()) == {0}


def test_every_statement_is_used():
    text = "\n".join(path.read_text() for path in (Path(__file__).parents[2] / "storage").glob("postgres_*.py"))
    assert [name for name in queries() if f'"{name}"' not in text and f"{name}: str" not in text] == []
