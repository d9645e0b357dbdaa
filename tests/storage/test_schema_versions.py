"""Stores that earlier versions wrote are opened by this one with all that is in them, or stay as they are.

`fixtures/store-vN.sqlite3.gz` was written by tests/storage/old_store.py with the code of schema N: that of 1 is commit
064adf8, that of 2 is dae24dd. When `SCHEMA` is raised, first add the fixture of the version before, as it says there.
"""

import gzip
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from provisioning.batches import Batch
from provisioning.bookkeeping import Lease, Operation, Segment
from provisioning.errors import Unavailable
from provisioning.messages import OutboxMessage
from provisioning.model import Change, Device, Person, stored
from provisioning.ports import Span
from storage import open_store, tinydb_layout, tinydb_schema
from storage.kinds import KINDS
from storage.tinydb_file import SCHEMA
from storage.tinydb_schema import shape
from tests.fakes import FakeClock
from tests.storage import old_store
from tests.storage.samples import (
    NOW,
    device,
    import_of,
    of_imports,
    of_installs,
    of_remote,
    of_rollouts,
    one_of_each,
    rich_device,
)

HOUSE = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
VERSIONS = range(1, SCHEMA + 1)
OLD = VERSIONS[:-1]


def lay(folder, version):
    folder.mkdir()
    file = folder / "store.sqlite3"
    file.write_bytes(gzip.decompress((FIXTURES / f"store-v{version}.sqlite3.gz").read_bytes()))
    return file


def kept_by(version):
    """What old_store.py put into the store of that version."""
    since = {
        2: [r for r in one_of_each() if isinstance(r, Lease)],
        3: of_imports(),
        4: of_installs(),
        5: of_remote(),
        6: of_rollouts(),
    }
    later = {record for schema, records in since.items() if schema > version for record in records}
    return [record for record in old_store.records() if record not in later]


def ask(file, question):
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return connection.execute(question).fetchall()


def refused(*words):
    """The operator is told each of these words."""
    return pytest.raises(Unavailable, check=lambda error: all(word in error.reason for word in words))


def reopened(folder):
    return open_store(f"tinydb:{folder}", clock=FakeClock())


@pytest.fixture(params=VERSIONS)
async def converted(request, folder):
    lay(folder, request.param)
    store = await reopened(folder)
    store.version_before = request.param
    yield store
    await store.close()


def test_there_is_a_store_of_every_version():
    assert [FIXTURES / f"store-v{n}.sqlite3.gz" for n in VERSIONS] == sorted(FIXTURES.iterdir()), (
        "SCHEMA was raised: add the store that the version before wrote, as tests/storage/old_store.py says"
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_each_is_of_its_version(folder, version):
    assert ask(lay(folder, version), "PRAGMA user_version") == [(version,)]


def test_the_newest_is_of_the_present_shape(folder):
    """Else tables changed and nobody raised SCHEMA, so that an older program would open the newer store."""
    kept = dict(ask(lay(folder, SCHEMA), "SELECT name, value FROM meta"))
    changed = [each.table for each in tinydb_layout.LAYOUTS if kept.get(f"layout {each.table}") != shape(each)]
    assert changed == [], "raise SCHEMA in storage/tinydb_file.py, and write the fixture anew"


# ------------------------------------------------------------------ what is in it


async def test_every_record_is_there_as_it_was(converted):
    for record in kept_by(converted.version_before):
        kept = await converted.get(type(record), record.key)
        if record.key == device(1).mac:
            assert kept == replace(record, asset_tag="AT-1", version=2)
        else:
            assert kept == stored(record)
    assert await converted.get(Device, device(0xBAD).mac) is None
    assert await converted.last_seen([device(n).mac for n in range(9)]) == old_store.seen()


async def test_every_fact_is_there_in_its_order(converted):
    rows = (await converted.history(limit=1000)).rows
    assert [row.sequence for row in rows] == list(range(old_store.FACTS, 0, -1))
    assert tuple(row.event for row in reversed(rows)) == old_store.facts()
    assert len((await converted.history(device(7).mac)).rows) == 2


async def test_messages_wait_in_their_lanes_and_leases_hold(converted):
    assert [m.id for m in await converted.claim(NOW + timedelta(seconds=9), timedelta(minutes=1), 9)] == [
        *old_store.DUE
    ]
    leased = await converted.get(OutboxMessage, "w5")
    assert (leased.leased_until, dict(leased.params)) == (NOW + timedelta(minutes=1), {"count": "3"})
    for identity, status in old_store.SETTLED.items():
        found = (await converted.find(OutboxMessage, status=status.value, span=Span("settled", until=NOW))).rows
        assert [(m.id, m.attempts) for m in found] == [(identity, 2)]


async def test_its_indexes_find_and_its_counts_hold(converted):
    devices = [record for record in kept_by(converted.version_before) if isinstance(record, Device)]
    listed = [each for each in devices if not each.removed]
    assert await converted.count(Device) == len(devices)
    assert sum(row.count for row in await converted.tally()) == len(listed)
    assert {row.mac for row in (await converted.find(Device, site="bergen")).rows} == {
        each.mac for each in devices if each.site == "Bergen"
    }
    assert (await converted.find(Device, token="cd" * 32)).rows[0].mac == device(0xC0DE).mac
    assert (await converted.find(Person, upn="kim@contoso.com")).rows[0].id == "kim"
    live = await converted.find(Device, span=Span("code_until", until=NOW + timedelta(days=2)), limit=100)
    assert {row.mac for row in live.rows} == {device(0xC0DE).mac, rich_device(0xA1B2).mac}
    assert [row.id for row in (await converted.find(Operation, span=Span("at", until=NOW))).rows] == ["op1"]
    assert await converted.count(OutboxMessage, span=Span("created", until=NOW)) == len(old_store.messages())
    provisioned = [each for each in listed if each.provisioned_at]
    counted = await converted.timeline("provisioned_at", NOW - timedelta(hours=1), NOW, timedelta(hours=1))
    assert [(row.site, row.count) for row in counted] == ([("oslo", len(provisioned))] if provisioned else [])
    silent = await converted.silent(NOW, NOW + timedelta(minutes=3), limit=2)
    assert silent.rows == tuple(old_store.seen().items())[1:3]
    silent = await converted.silent(NOW, NOW + timedelta(minutes=3), beyond=silent.after)
    assert silent.rows == tuple(old_store.seen().items())[3:4]


async def test_it_is_written_sealed_pruned_and_verified(converted, folder):
    await converted.verify(deep=True)
    while await converted.seal(NOW, old_store.SEALED):
        pass
    assert [s.count for s in (await converted.find(Segment)).rows] == [25, 25, 10]
    assert await converted.drop_audit(NOW + timedelta(days=1), NOW) == 25
    await converted.save(Change(puts=(Lease(name="job", holder="i", until=NOW), device(0xF00D))))
    await converted.verify(deep=True)
    await converted.close()
    assert ask(folder / "store.sqlite3", "PRAGMA user_version") == [(SCHEMA,)]
    again = await reopened(folder)
    await again.verify(deep=True)
    await again.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_conversion_is_told_and_a_store_of_this_version_is_left_alone(folder, version):
    lay(folder, version)
    with capture_logs() as logs:
        await (await reopened(folder)).close()
    told = {entry["table"]: entry["rows"] for entry in logs if "table" in entry}
    since_6 = {"devices": 49}
    since_5 = {"devices": 48, "outbox": 8}
    since_4 = since_5 | {"devices": 45, "seen": len(old_store.seen())}
    since_2 = since_4 | {"devices": 44, "batches": 1}
    since_1 = since_2 | {"audit": old_store.FACTS}
    assert told == {1: since_1, 2: since_2, 3: since_4, 4: since_4, 5: since_5, 6: since_6, SCHEMA: {}}[version]


# ------------------------------------------------------------------ what is cut off, and what comes later


@pytest.mark.parametrize("version", OLD)
async def test_a_conversion_that_fails_leaves_the_old_store(folder, version, monkeypatch):
    file = lay(folder, version)
    before = file.read_bytes()

    def fails(*_record):
        raise OverflowError("no")

    monkeypatch.setattr(tinydb_schema, "_keep_beside", fails)  # once the tables stand
    with pytest.raises(OverflowError):
        await reopened(folder)
    assert file.read_bytes() == before
    monkeypatch.undo()
    store = await reopened(folder)
    await store.verify(deep=True)
    assert await store.count(OutboxMessage) == 8
    await store.close()


CRASH = """
import os, signal, sys
from storage import tinydb_schema
from storage.tinydb_engine import RowDB
drop, count = tinydb_schema._fill_anew, []
def dies(connection, layout, stored):
    drop(connection, layout, stored)
    connection.execute("PRAGMA cache_spill=1")
    connection.execute("PRAGMA cache_size=1")
    connection.execute("UPDATE meta SET value = value || zeroblob(100000)")  # so that much of it is in the log already
    os.kill(os.getpid(), signal.SIGKILL)
tinydb_schema._fill_anew = dies
RowDB(sys.argv[1])
"""


def killed_while_converting(folder):
    return subprocess.run([sys.executable, "-c", CRASH, str(folder)], cwd=HOUSE, check=False).returncode


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize("version", OLD)
async def test_a_conversion_that_is_killed_leaves_the_old_store(folder, version):
    file = lay(folder, version)
    before = file.read_bytes()
    assert killed_while_converting(folder) == -signal.SIGKILL
    assert file.read_bytes() == before
    assert ask(file, "PRAGMA user_version") == [(version,)]
    store = await reopened(folder)
    await store.verify(deep=True)
    assert await store.count(Device, site="bergen") == 2
    await store.close()


async def test_what_an_index_says_otherwise_from_now_on_is_worked_out_again(file_store, folder, monkeypatch):
    await file_store.save(Change(puts=(device(1, "Oslo/1"), device(2, "Oslo/2"))))
    await file_store.close()
    monkeypatch.setitem(KINDS[Device].indexes, "token", lambda each: each.mac[-2:])
    monkeypatch.setitem(tinydb_schema._REVISIONS, "devices", KINDS[Device].revision + 1)
    with capture_logs() as logs:
        store = await reopened(folder)
    assert [(entry["table"], entry["rows"]) for entry in logs] == [("devices", 2)]
    assert [row.mac for row in (await store.find(Device, token="02")).rows] == [device(2).mac]
    assert sum(row.count for row in await store.tally()) == 2
    await store.verify(deep=True)
    await store.close()
    with capture_logs() as logs:
        await (await reopened(folder)).close()
    assert logs == []


async def test_what_hides_keeps_hiding_while_its_table_is_made_anew(file_store, folder, monkeypatch):
    await file_store.save(Change(puts=(import_of("i", hides=True), device(1, batch="i"), device(2, tags=("x",)))))
    await file_store.close()
    monkeypatch.setitem(tinydb_schema._REVISIONS, "batches", 9)
    store = await reopened(folder)
    await store.save(Change(puts=(device(3, batch="i"), device(4, tags=("x",)))))
    assert [row.mac for row in (await store.find(Device)).rows] == [device(2).mac, device(4).mac]
    assert sum(row.count for row in await store.tally()) == await store.count(Device, tag="x") == 2
    await store.verify(deep=True)
    batch = await store.get(Batch, "i")
    await store.save(Change(puts=(replace(batch, hides=False),)))
    assert sum(row.count for row in await store.tally()) == 4
    await store.close()


async def test_a_digest_is_never_worked_out_again(folder):
    """A fact that was changed together with its checksum must not be taken for the fact that was told."""
    file = lay(folder, 1)
    with closing(sqlite3.connect(file)) as connection:
        from storage.tinydb_rows import checksum

        ((text,),) = connection.execute('SELECT doc FROM "doc:audit" WHERE id = 7')
        changed = text.replace("dana", "kim")
        assert changed != text
        connection.execute('UPDATE "doc:audit" SET doc = ?, crc = ? WHERE id = 7', (changed, checksum(7, changed)))
        connection.commit()
    store = await reopened(folder)
    try:
        await store.verify()
        with refused('row 7 of "audit"'):
            await store.verify(deep=True)
    finally:
        await store.close()


async def test_a_store_of_a_version_to_come_is_refused_and_left_alone(folder):
    file = lay(folder, SCHEMA)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version=99")
    before = file.read_bytes()
    with refused(str(file), "schema 99", "newer version"):
        await reopened(folder)
    assert file.read_bytes() == before
