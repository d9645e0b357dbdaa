"""Databases that earlier versions wrote are brought to this one with all that is in them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from provisioning.batches import Batch
from provisioning.bookkeeping import Segment
from provisioning.messages import OutboxMessage
from provisioning.model import Change, Device, stored
from provisioning.ports import Span, TimelineRow
from provisioning.uploads import Upload
from storage import open_store, postgres_schema
from storage.kinds import KINDS
from storage.postgres_schema import migrations
from storage.postgres_sql import parameters, queries
from storage.records import micros
from tests.fakes import FakeClock
from tests.storage import postgres
from tests.storage.samples import NOW, device, one_of_each, rich_device

OLD = list(migrations())[:-1]
SINCE = {2: {"uploads", "upload_parts", "jobs"}, 3: {"photos"}}  # tables that came with a migration
CAME = set().union(*SINCE.values())


@pytest.fixture(params=OLD)
async def old(request, database):
    """A database as that schema left it, with rows; what its devices are found by is not what it is today."""
    async with postgres.client(database) as connection:
        await connection.execute(queries()["make_migrations"])
        for number in range(1, request.param + 1):
            await connection.execute(migrations()[number].read_text("utf-8"), prepare=False)
            await connection.execute(queries()["add_migration"], (number, migrations()[number].stem))
        for record in (*RECORDS, *came_by(request.param), *DEVICES):
            await _insert(connection, record)
        await connection.execute(queries()["record_seen"], {"macs": [*CALLS], "times": [*map(micros, CALLS.values())]})
    return database, request.param


def came_by(schema):
    """Records of the tables that a schema has and the first one had not."""
    there = set().union(*(tables for number, tables in SINCE.items() if number <= schema), set())
    return [each for each in one_of_each() if KINDS[type(each)].table in there]


RECORDS = tuple(
    each
    for each in one_of_each()
    if KINDS[type(each)].table not in CAME
    and not isinstance(each, Device | Segment)  # no facts stand there that a segment could be about
    and not getattr(each, "hides", False)
)
DEVICES = (
    replace(rich_device(0xA1B2), provisioned_at=NOW),
    device(1, "Bergen/1", tags=("Straße",)),
    device(2, "Bergen/2", removed_at=NOW),
    *(device(n, "Oslo/2") for n in range(10, 1510)),
)

CALLS = {device(n).mac: NOW + timedelta(minutes=n) for n in range(3)}


async def _insert(connection, record):
    cursor = await connection.execute(f"SELECT * FROM {KINDS[type(record)].table} LIMIT 0")
    known = {column.name for column in cursor.description}
    values = {name: value for name, value in parameters(record).items() if name in known}
    if isinstance(record, Device):
        values["ix_text"] = "as it was"
    names = ", ".join(values.keys() & known)
    given = ", ".join(f"%({name})s" for name in values.keys() & known)
    await connection.execute(f"INSERT INTO {KINDS[type(record)].table} ({names}) VALUES ({given})", values)


async def test_a_database_of_an_older_schema_is_brought_to_this_one(old):
    database, schema = old
    with capture_logs() as logs:
        store = await open_store(database, clock=FakeClock())
    told = {entry["table"]: entry["rows"] for entry in logs if "table" in entry}
    messages = (await store.find(OutboxMessage, span=Span("created", until=NOW))).rows  # by when they were queued
    assert told == {"devices": len(DEVICES), "outbox": len(messages)}
    assert len(messages) == sum(isinstance(each, OutboxMessage) for each in RECORDS)
    for record in (*RECORDS, *came_by(schema), DEVICES[0], DEVICES[1]):
        assert await store.get(type(record), record.key) == stored(record)
    assert [row.mac for row in (await store.find(Device, tag="STRASSE")).rows] == [device(1).mac]
    assert dict(await store.tags()) == {"lobby": 1, "east": 1, "strasse": 1}
    assert await store.count(Device, vendor="yealink") == len(DEVICES)
    assert [row.mac for row in (await store.find(Device, contains="805e.c000.a1b2")).rows] == [DEVICES[0].mac]
    assert await store.count(Device, removed=False) == len(DEVICES) - 1
    assert await store.count(Batch, hides=False) == 1
    assert await store.count(Upload) == sum(isinstance(each, Upload) for each in came_by(schema))
    timeline = await store.timeline("provisioned_at", NOW - timedelta(hours=1), NOW, timedelta(hours=1))
    assert timeline == [TimelineRow("oslo", NOW - timedelta(hours=1), 1)]
    assert await store.count(Device, stale=True) == 0
    assert (await store.silent(NOW, NOW + timedelta(hours=1))).rows == tuple(CALLS.items())[1:]
    await store.verify(deep=True)
    kept = {(type(each), each.key) for each in came_by(schema)}
    new = (each for each in one_of_each() if KINDS[type(each)].table in CAME and (type(each), each.key) not in kept)
    await store.save(Change(puts=tuple(new)))
    await store.close()
    with capture_logs() as logs:
        await (await open_store(database, clock=FakeClock())).close()
    assert [entry for entry in logs if "table" in entry] == []


async def test_an_index_that_says_otherwise_from_now_on_is_worked_out_again(database, monkeypatch):
    store = await open_store(database, clock=FakeClock())
    await store.save(Change(puts=(device(1), device(2))))
    await store.close()
    kind = KINDS[Device]
    later = replace(kind, indexes={**kind.indexes, "vendor": lambda each: each.mac[-2:]}, revision=kind.revision + 1)
    monkeypatch.setitem(KINDS, Device, later)
    store = await open_store(database, clock=FakeClock())
    assert [row.mac for row in (await store.find(Device, vendor="02")).rows] == [device(2).mac]
    await store.verify(deep=True)
    await store.close()


async def test_a_conversion_that_fails_leaves_the_old_schema(old, monkeypatch):
    database, schema = old

    async def fails(*_what):
        raise OverflowError("no")

    monkeypatch.setattr(postgres_schema, "_work_out", fails)
    with pytest.raises(OverflowError):
        await open_store(database, clock=FakeClock())
    async with postgres.client(database) as connection:
        assert await postgres_schema.applied_migration(connection) == schema
    monkeypatch.undo()
    store = await open_store(database, clock=FakeClock())
    await store.verify(deep=True)
    assert await store.get(Device, DEVICES[0].mac) == stored(DEVICES[0])
    await store.close()
