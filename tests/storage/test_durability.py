"""One process at a time, commits that are written through, and damage that is said. For crashes see test_crash.py."""

import asyncio
import os
import re
import sqlite3
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from provisioning.errors import Conflict, TextTooLong, Unavailable, UnreadableText
from provisioning.events import DeviceAdded
from provisioning.messages import OutboxMessage
from provisioning.model import Change, Device, stored
from storage import open_store, tinydb_store
from storage.tinydb_engine import RowDB
from storage.tinydb_file import StoreFile, network_file_system
from tests.crash.killed import writing
from tests.fakes import FakeClock
from tests.pseudo import CLOSE, OPEN, pseudo_operator
from tests.storage.samples import NOW, device, message, one_of_each


def reopened(folder):
    return open_store(f"tinydb:{folder}", clock=FakeClock())


def told(word):
    """The operator's reason holds this word, and all of it can be translated."""
    return pytest.raises(Unavailable, check=lambda error: re.fullmatch(f"{OPEN}.*{word}.*{CLOSE}", error.reason))


@pytest.fixture(autouse=True)
def brackets():
    with pseudo_operator():
        yield


# ------------------------------------------------------------------ no room


async def test_where_only_a_few_bytes_fit_the_store_is_not_in_order_again(folder, monkeypatch):
    """As on a full disk, where what was folded leaves room for a row now and then."""
    spare, open_writer = [10_000], StoreFile.writer

    def writer(file):
        connection = open_writer(file)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + spare[0]}")
        return connection

    monkeypatch.setattr(StoreFile, "writer", writer)
    monkeypatch.setattr(tinydb_store, "_CHECK_SECONDS", 0.0)
    store = await reopened(folder)
    store.db.rows.writer.call(lambda connection: connection.execute("PRAGMA max_page_count=1"))  # what there is
    spare[0] = 5
    with told("Free some space"):
        await store.save(Change(puts=tuple(device(n, notes="x" * 10_000) for n in range(30))))
    for n in range(3):
        await store.save(Change(puts=(device(n),)))
        with told("Free some space"):
            await store.check()
    spare[0] = 100
    for _ in range(3):
        await store.check()
    await store.close()


# ------------------------------------------------------------------ one process


async def test_a_second_process_is_refused_and_told_what_to_do(folder):
    with writing(folder, "hold") as process:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(Unavailable) as refusal:
            await reopened(folder)
        assert str(folder / "store.lock") in refusal.value.reason
        assert "STORE_URL" in refusal.value.reason
    store = await reopened(folder)  # the lock ended with its process
    await store.close()


async def test_a_second_store_in_this_process_is_refused_too(file_store, folder):
    with told(r"store\.lock"):
        await reopened(folder)
    await file_store.check()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://user:secret@db", "tinydb:PATH"),
        ("tinydb:", "tinydb:PATH"),
        ("", "tinydb:PATH"),
    ],
)
async def test_an_address_of_another_form_is_refused_with_the_form_that_works(url, said):
    with pytest.raises(Unavailable) as refusal:
        await open_store(url, clock=FakeClock())
    assert said in refusal.value.reason
    assert "tinydb:var/store" in refusal.value.reason
    assert "secret" not in refusal.value.reason


async def test_a_folder_that_cannot_be_made_is_refused_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with told("file"):
        await reopened(tmp_path / "file" / "store")


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export /srv nfs4 rw 0 0
/dev/sdb1 /srv/local ext4 rw 0 0
//nas/share /mnt/my\\040share cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/var/x", None), ("/srv/x", "nfs4"), ("/srv/local/x", None), ("/srvx", None), ("/mnt/my share/x", "cifs")],
)
def test_network_file_systems_are_known_by_their_mounts(folder, kind):
    assert network_file_system(Path(folder), MOUNTS) == kind


# ------------------------------------------------------------------ the file's settings and versions


async def test_commits_are_written_through_and_readers_cannot_write(file_store):
    rows = file_store.db.rows
    for pragma, value in (("synchronous", 2), ("journal_mode", "wal"), ("wal_autocheckpoint", 0)):
        assert rows.call(lambda connection, pragma=pragma: connection.execute(f"PRAGMA {pragma}").fetchone()) == (
            value,
        )
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        rows.file.reader().execute("DELETE FROM meta")


async def test_a_store_of_a_newer_version_is_refused_and_left_alone(file_store, folder):
    await file_store.close()
    file = folder / "store.sqlite3"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    before = file.read_bytes()
    with told("schema 99"):
        await reopened(folder)
    assert file.read_bytes() == before


async def test_columns_of_an_earlier_version_are_worked_out_again(folder):
    with RowDB(folder, layouts=()) as before:
        before.table("devices").insert_multiple(plain for plain in ({"mac": "x"},))
        before.table("devices").truncate()
    store = await reopened(folder)
    await store.save(Change(puts=tuple(device(n, f"Oslo/{n}") for n in range(20))))
    # as if an index had been added since: its column is missing and the shape is another
    store.db.rows.call(lambda connection: connection.execute('DROP INDEX "devices.token"'))
    store.db.rows.call(lambda connection: connection.execute('ALTER TABLE "doc:devices" DROP COLUMN ix_token'))
    store.db.rows.call(lambda c: c.execute("UPDATE meta SET value = 'older' WHERE name = 'layout devices'"))
    await store.close()
    store = await reopened(folder)
    try:
        await store.verify(deep=True)
        assert len((await store.find(Device, site="oslo", limit=100)).rows) == 20
        assert sum(row.count for row in await store.tally()) == 20
        await store.save(Change(puts=(replace(stored(device(3)), location="Oslo/3", token="ab"),)))
        assert (await store.find(Device, token="ab")).rows[0].mac == device(3).mac
    finally:
        await store.close()


async def test_a_closed_store_says_so(file_store, folder):
    await file_store.save(Change(puts=(device(1),)))
    await file_store.close()
    for late in (
        file_store.get(Device, device(1).mac),
        file_store.find(Device),
        file_store.save(Change(puts=(device(2),))),
        file_store.check(),
    ):
        with told("closed"):
            await late
    assert not (folder / "store.sqlite3-wal").exists()


async def test_closing_ends_long_reads_and_keeps_what_was_submitted(file_store, folder):
    for start in range(0, 3000, 500):
        await file_store.save(Change(puts=tuple(device(n) for n in range(start, start + 500))))
    reading = [asyncio.create_task(file_store.verify(deep=True)) for _ in range(4)]
    saving = [asyncio.create_task(file_store.save(Change(puts=(device(9000 + n),)))) for n in range(20)]
    await asyncio.sleep(0)
    await file_store.close()
    outcomes = await asyncio.gather(*reading, return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, Unavailable) for outcome in outcomes)
    assert any(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert await asyncio.gather(*saving) == [None] * 20
    store = await reopened(folder)
    assert await store.count(Device) == 3020
    await store.close()


# ------------------------------------------------------------------ group commit


async def test_units_that_wait_together_share_a_commit_and_fail_alone(file_store):
    said = []
    file_store.db.rows.call(lambda connection: connection.set_trace_callback(said.append))
    changes = [
        Change(puts=(device(n), message(str(n))) + (() if n % 8 else (device(900 + n, version=5),))) for n in range(64)
    ]
    outcomes = await asyncio.gather(*map(file_store.save, changes), return_exceptions=True)
    assert [isinstance(outcome, Conflict) for outcome in outcomes] == [n % 8 == 0 for n in range(64)]
    assert said.count("COMMIT") <= 2  # they came in one moment
    assert await file_store.count(Device) == 56 == await file_store.count(OutboxMessage)


async def test_those_who_share_a_commit_are_woken_together(file_store, monkeypatch):
    loop, woken = asyncio.get_running_loop(), []
    wake = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *said, **how: woken.append(said) or wake(*said, **how))
    await asyncio.gather(*(file_store.save(Change(puts=(device(n),))) for n in range(64)))
    assert len(woken) <= 2
    assert await file_store.count(Device) == 64


async def test_a_cancelled_caller_does_not_stop_the_unit_or_the_wake_up(file_store):
    async with file_store.watch(device(1).mac) as watch:
        saving = asyncio.create_task(file_store.save(Change(puts=(device(1),))))
        await asyncio.sleep(0)
        saving.cancel()
        assert await watch.wait(10)
    assert await file_store.get(Device, device(1).mac) is not None


async def test_a_message_whose_word_waits_already_wakes_nobody(file_store):
    """In a busy morning nearly every unit brings such messages; whoever delivers would look for them each time."""
    await file_store.save(Change(puts=(message("m1", unique="edit:card"),)))
    async with file_store.watch("outbox") as watch:
        again = Change(puts=(device(1), message("m2", unique="edit:card")))
        await file_store.save(again)
        assert not await watch.wait(0)
        assert await file_store.get(OutboxMessage, "m2") is None
        await file_store.save(Change(puts=(message("m3", unique="edit:other"),)))
        assert await watch.wait(0)
        waiting = await file_store.get(OutboxMessage, "m3")
        await file_store.save(Change(puts=(replace(waiting, due_at=waiting.due_at - timedelta(seconds=1)),)))
        assert await watch.wait(0)


@pytest.mark.parametrize(("words", "elsewhere"), [("edit:{}", 0), ("", 1)])
async def test_only_rows_that_are_worked_out_at_once_are_many(file_store, monkeypatch, words, elsewhere):
    """Thirty activations bring a hundred messages, most of which may wait already: no thread is woken for those."""
    threads, in_thread = [], asyncio.to_thread
    monkeypatch.setattr(asyncio, "to_thread", lambda *work: threads.append(work) or in_thread(*work))
    messages = tuple(message(f"m{n}", unique=words.format(n % 90)) for n in range(100))
    await file_store.save(Change(puts=(*(device(n) for n in range(30)), *messages)))
    assert len(threads) == elsewhere
    assert await file_store.count(OutboxMessage) == (90 if words else 100)


@pytest.mark.parametrize(("field", "fault"), [("recipient", UnreadableText), ("lane", TextTooLong)])
async def test_a_message_that_cannot_be_stored_is_refused_with_its_unit(file_store, field, fault):
    said = {UnreadableText: "kim\ud800", TextTooLong: "x" * 3000}[fault]
    with pytest.raises(fault):
        await file_store.save(Change(puts=(device(1), replace(message("m1", unique="edit:card"), **{field: said}))))
    assert await file_store.get(Device, device(1).mac) is None
    await file_store.save(Change(puts=(device(1), message("m1", unique="edit:card"))))


async def test_many_units_are_folded_into_the_file_while_they_come(file_store, folder):
    for start in range(0, 4000, 500):
        await file_store.save(Change(puts=tuple(device(n) for n in range(start, start + 500))))
    assert (folder / "store.sqlite3").stat().st_size > 1_000_000
    await file_store.verify(deep=True)


# ------------------------------------------------------------------ damage


def flip(file, needle):
    content = bytearray(file.read_bytes())
    at = content.index(needle)
    content[at] ^= 0x04
    file.write_bytes(content)


async def test_a_flipped_byte_in_a_row_is_never_served_and_stops_the_writing(file_store, folder):
    await file_store.save(Change(puts=(device(1, notes="the needle"), device(2))))
    await file_store.close()
    flip(folder / "store.sqlite3", b"the needle")
    before = (folder / "store.sqlite3").read_bytes()
    store = await reopened(folder)
    try:
        assert await store.get(Device, device(2).mac) == stored(device(2))
        with pytest.raises(Unavailable) as refusal:
            await store.get(Device, device(1).mac)
        assert str(folder / "store.sqlite3") in refusal.value.reason
        assert "backup" in refusal.value.reason
        for refused in (store.save(Change(puts=(device(3),))), store.check(), store.verify()):
            with told("damaged"):
                await refused
    finally:
        await store.close()
    assert (folder / "store.sqlite3").read_bytes() == before


@pytest.mark.parametrize("reading", ["search", "find", "history"])
async def test_every_way_of_reading_looks_at_the_checksum(file_store, folder, reading):
    await file_store.save(Change(puts=one_of_each()))
    await file_store.save(Change(puts=(device(1, notes="the needle"),)))
    await file_store.close()
    flip(folder / "store.sqlite3", b'the needle"')  # in the document, not in an index
    store = await reopened(folder)
    try:
        with told("checksum"):
            if reading == "search":
                store.db.table("devices").search(lambda doc: True)
            elif reading == "find":
                await store.find(Device)
            else:
                await store.verify(deep=True)
    finally:
        await store.close()


@pytest.mark.parametrize("statement", ["SET crc = crc + 1", "SET id = 99"])
async def test_a_text_that_was_read_before_is_held_against_its_checksum_again(file_store, statement):
    await file_store.save(Change(puts=(device(1),)))
    for _ in range(2):
        assert await file_store.get(Device, device(1).mac) == stored(device(1))
    file_store.db.rows.call(lambda c: c.execute(f'UPDATE "doc:devices" {statement}'))
    with told("checksum"):
        await file_store.get(Device, device(1).mac)


async def test_a_record_read_before_is_read_as_it_stands_now(file_store):
    await file_store.save(Change(puts=(device(1),)))
    former = await file_store.get(Device, device(1).mac)
    assert former is await file_store.get(Device, device(1).mac)
    await file_store.save(Change(puts=(replace(former, notes="fresh"),)))
    assert await file_store.get(Device, device(1).mac) == replace(former, notes="fresh", version=2)
    assert (await file_store.find(Device, site="oslo")).rows[0].notes == "fresh"


async def test_an_index_that_lies_is_found(file_store, folder):
    await file_store.save(Change(puts=(device(1, token="aa"), device(2, "Bergen/1"))))
    file_store.db.rows.call(lambda c: c.execute("UPDATE \"doc:devices\" SET ix_token = 'bb' WHERE ix_token = 'aa'"))
    with told("token"):
        await file_store.find(Device, token="bb")


async def test_verify_finds_what_no_single_read_would(file_store):
    await file_store.save(Change(puts=(device(1, token="aa"),)))
    await file_store.verify(deep=True)
    file_store.db.rows.call(lambda c: c.execute("UPDATE tally SET count = 7"))
    with told("counts"):
        await file_store.verify(deep=True)


@pytest.mark.parametrize("content", [b"not a database" * 400, b"SQLite format 3\x00" + b"\xff" * 5000])
async def test_a_file_that_is_no_store_is_refused_and_never_overwritten(folder, content):
    folder.mkdir()
    file = folder / "store.sqlite3"
    file.write_bytes(content)
    with told("damaged"):
        await reopened(folder)
    assert file.read_bytes() == content


# ------------------------------------------------------------------ for its owner alone


async def test_a_store_is_readable_by_its_owner_alone(folder):
    folder.mkdir(mode=0o755)
    former = os.umask(0o022)
    try:
        store = await open_store(f"tinydb:{folder}", clock=FakeClock())
        await store.save(Change(puts=(device(1),)))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("store.sqlite3*")}
        await store.close()
    finally:
        os.umask(former)
    assert modes == dict.fromkeys(("store.sqlite3", "store.sqlite3-wal", "store.sqlite3-shm"), 0o600)


async def test_a_store_that_others_may_read_is_told_once_and_left(folder):
    await (await open_store(f"tinydb:{folder}", clock=FakeClock())).close()
    for mode, told in ((0o700, 0), (0o755, 1)):
        folder.chmod(mode)
        (folder / "store.sqlite3").chmod(0o644)
        with capture_logs() as said:
            await (await open_store(f"tinydb:{folder}", clock=FakeClock())).close()
        assert [each["log_level"] for each in said] == ["warning"] * told
    assert stat.S_IMODE((folder / "store.sqlite3").stat().st_mode) == 0o644


async def test_facts_go_on_being_sealed_after_all_were_dropped_and_the_store_was_opened_again(folder):
    late = NOW + timedelta(days=9)
    store = await reopened(folder)
    await store.save(Change(events=(DeviceAdded(at=NOW, actor="dana", subject="A", location="Oslo"),)))
    await store.seal(NOW)
    assert await store.drop_audit(late, late) == 1
    await store.close()
    store = await reopened(folder)
    await store.save(Change(events=(DeviceAdded(at=NOW, actor="dana", subject="B", location="Oslo"),)))
    assert await store.seal(late) == 1
    await store.verify(deep=True)
    await store.close()
