"""Backups that are taken and put back while the service writes; and no code that comes back to life."""

import asyncio
import gzip
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import timedelta
from itertools import count, pairwise
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

import app
from bot.demo.people import LOCAL_ADMIN, LOCAL_TENANT
from bot.settings import load_settings
from provisioning.commands import CommandName, CommandStatus, DeviceCommand
from provisioning.errors import Conflict, Unavailable
from provisioning.events import DeviceAdded, StoreRestored
from provisioning.messages import OutboxMessage
from provisioning.model import Actor, Change, Device, Role, State, stored
from provisioning.ports import Span
from provisioning.rollouts import Rollout
from provisioning.service.devices import Wanted
from provisioning.service.issuing import IssueOrder
from provisioning.signin import Stage
from provisioning.uploads import Upload, UploadPart, UploadState
from storage import open_store, tinydb_restore
from storage.commands.ground import Ground
from storage.commands.safety import _handed_over, _only_one, restore_backup
from storage.tinydb_backup import FileFault, back_up, check_copy, meta, reading, taken_at
from storage.tinydb_file import FILE, SCHEMA
from storage.tinydb_restore import FAILED, LIFT, PREPARING, WAITING
from tests.fakes import FakeClock
from tests.storage import old_store
from tests.storage.samples import CHANNEL, CODE, NOW, device, import_of, message, of_remote, one_of_each, rich_device
from tests.storage.test_transfer import fill

HOUSE = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
MAC = device(1).mac


def opened(folder, clock=None):
    return open_store(f"tinydb:{folder}", clock=clock or FakeClock())


def after_a_restore(record, now):
    """Nothing of it changed, but an upload that was not finished, whose rows hold codes."""
    if isinstance(record, Upload):
        return replace(record, state=UploadState.CANCELLED, settled_at=now, version=2 + LIFT)
    return None if isinstance(record, UploadPart) else replace(record, version=1 + LIFT)


def save_copy(folder, file, pages=lambda _done, _total: None):
    back_up(folder / FILE, file, NOW, pages)


async def test_a_code_of_an_import_that_hides_dies_too(folder, tmp_path):
    store = await opened(folder)
    await store.save(
        Change(puts=(import_of("i", hides=True), import_of("empty", hides=True), device(1, batch="i", code=CODE)))
    )
    await store.close()
    save_copy(folder, tmp_path / "b.sqlite3")
    await restored(folder, tmp_path / "b.sqlite3")
    store = await opened(folder)
    try:
        (known,) = (await store.find(Device, batch="i")).rows
        assert known.code is None
        assert [fact.event.name for fact in (await store.history()).rows] == ["StoreRestored", "CodeRevoked"]
        await store.verify(deep=True)
    finally:
        await store.close()


async def with_code(folder, **more):
    """A store with one device that has a code, and one that waits without."""
    store = await opened(folder)
    now = app.SystemClock().now()
    code = replace(CODE, issued_at=now, expires_at=now + timedelta(hours=24))
    await store.save(Change(puts=(device(1, code=code, issued=1, **more), device(2))))
    return store


async def restored(folder, file, clock=None):
    """The command, beside whatever runs."""
    ground = Ground(lambda: f"tinydb:{folder}", clock or app.SystemClock())
    await asyncio.to_thread(restore_backup, ground, f"tinydb:{folder}", file, yes=True)


def state_of(folder):
    """The rows of the devices as they stand in the file."""
    with closing(reading(folder / FILE)) as connection:
        return connection.execute('SELECT * FROM "doc:devices" ORDER BY id').fetchall()


# ------------------------------------------------------------------ taking one


async def test_a_backup_is_one_file_of_its_owner_that_holds_everything(folder, tmp_path):
    store = await fill(folder)
    file, steps = tmp_path / "backups" / "b.sqlite3", []
    try:
        save_copy(folder, file, lambda *step: steps.append(step))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert os.listdir(file.parent) == ["b.sqlite3"]
        assert (taken_at(file), steps[-1][0]) == (NOW, steps[-1][1])
        count = await asyncio.to_thread(check_copy, file, deep=True)
        assert count == await asyncio.to_thread(check_copy, folder / FILE, deep=True) > 20
        assert file.read_bytes()[18:20] == b"\x01\x01"  # no log belongs to it (https://www.sqlite.org/fileformat.html)
    finally:
        await store.close()
    assert sorted(os.listdir(folder)) == ["store.lock", "store.sqlite3"]  # and the store is left as it was


async def test_a_backup_overwrites_nothing_and_is_made_of_a_store_alone(folder, tmp_path):
    await (await fill(folder)).close()
    file = tmp_path / "b.sqlite3"
    file.write_text("precious")
    with pytest.raises(FileFault, match="is there already"):
        save_copy(folder, file)
    assert file.read_text() == "precious"
    with pytest.raises(FileFault, match="holds no store"):
        save_copy(tmp_path / "none", tmp_path / "c.sqlite3")
    assert not (tmp_path / "none").exists()


async def test_a_backup_takes_no_place_that_is_taken(folder, tmp_path):
    await (await fill(folder)).close()
    link, missing = tmp_path / "link", tmp_path / "missing"
    link.symlink_to(missing)
    aside = tmp_path / "aside"
    aside.symlink_to(folder)
    for target in (
        link,
        Path("/dev/null"),
        tmp_path,
        folder / "b.sqlite3",
        folder / "x" / "b.sqlite3",
        aside / "b.sqlite3",
    ):
        with pytest.raises(FileFault, match=re.escape(str(target))):
            save_copy(folder, target)
    assert (link.is_symlink(), missing.exists(), stat.S_ISCHR(os.stat("/dev/null").st_mode)) == (True, False, True)
    assert sorted(os.listdir(folder)) == ["store.lock", "store.sqlite3"]


@pytest.mark.parametrize("links", [True, False])
async def test_a_file_that_comes_while_a_backup_is_taken_is_kept(folder, tmp_path, links, monkeypatch):
    await (await fill(folder)).close()
    target = tmp_path / "b.sqlite3"
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: os.close(-1))  # any OSError: there are no hard links
        save_copy(folder, tmp_path / "a.sqlite3")
        assert check_copy(tmp_path / "a.sqlite3") > 20
        (tmp_path / "a.sqlite3").unlink()
    with pytest.raises(FileFault, match="is there already"):
        save_copy(folder, target, lambda *_: target.write_text("precious"))
    assert (target.read_text(), sorted(os.listdir(tmp_path))) == ("precious", ["b.sqlite3", "store"])


async def test_a_backup_that_breaks_off_or_copies_damage_leaves_no_file(folder, tmp_path):
    store = await opened(folder)
    await store.save(Change(puts=tuple(device(n, notes=f"note {n:06d}") for n in range(300))))
    await store.close()

    def interrupted(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_copy(folder, tmp_path / "b.sqlite3", interrupted)
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content.replace(b'"notes":"note 000123', b'"notes":"note 000124', 1))
    with pytest.raises(FileFault, match=r'\.part is damaged: row .* of "devices"'):
        save_copy(folder, tmp_path / "b.sqlite3")
    assert os.listdir(tmp_path) == ["store"]


class Load:
    """A process that writes, and what it acknowledged so far."""

    def __init__(self, folder, output, writers=32):
        command = [sys.executable, "-m", "tests.storage.writing", str(folder), str(writers)]
        self.output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(command, cwd=HOUSE, stdin=subprocess.PIPE, stdout=file)

    def acknowledged(self):
        """Writer, number, second of each unit."""
        lines = self.output.read_text().splitlines(keepends=True)
        words = [line.split() for line in lines if line.endswith("\n") and line[0].isdigit()]
        units = [each for each in words if len(each) == 3]  # the others are of its log
        return [(int(writer), int(number), float(at)) for writer, number, at in units]

    async def busy(self, units):
        """Until so many more were acknowledged."""
        wanted = len(self.acknowledged()) + units
        async with asyncio.timeout(60):
            while len(self.acknowledged()) < wanted:  # noqa: ASYNC110 - another process writes
                await asyncio.sleep(0.02)

    def faults(self):
        return [line for line in self.output.read_text().splitlines() if line.startswith("fault")]

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0


@asynccontextmanager
async def load(folder, tmp_path, **more):
    running = Load(folder, tmp_path / "acknowledged", **more)
    try:
        await running.busy(200)
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        running.process.stdin.close()


def written(rows):
    """The last number of each writer, by MAC, from (mac, number)."""
    last = {}
    for mac, number in rows:
        last[mac] = max(last.get(mac, 0), int(number))
    return last


async def test_a_backup_under_load_has_all_that_was_acknowledged_before_and_only_whole_units(folder, tmp_path):
    store = await opened(folder)
    for start in range(0, 20_000, 500):
        await store.save(Change(puts=tuple(device(n, f"Oslo/{n}", notes="x" * 500) for n in range(start, start + 500))))
    await store.close()
    async with load(folder, tmp_path) as running:
        before = running.acknowledged()
        begun = time.monotonic()
        await asyncio.to_thread(save_copy, folder, tmp_path / "b.sqlite3")
        ended = time.monotonic()
        await running.busy(200)
        running.end()
        assert running.faults() == []
        times = sorted(at for _, _, at in running.acknowledged())
    during = [(a, b) for a, b in pairwise(times) if b > begun and a < ended]
    assert len(during) > 50
    assert max(b - a for a, b in during) < 2.0  # seconds; measured: less than 0.2 with 570 MB
    await asyncio.to_thread(check_copy, tmp_path / "b.sqlite3", deep=True)
    with closing(reading(tmp_path / "b.sqlite3")) as copy:
        facts = copy.execute("SELECT subject, json_extract(doc, '$.location') FROM \"doc:audit\"").fetchall()
        docs = copy.execute(
            "SELECT key, json_extract(doc, '$.notes') FROM \"doc:devices\" WHERE ix_site = 'oslo' AND key >= '805EC0F'"
        ).fetchall()
    known = written(facts)
    assert written(docs) == known  # a unit is a device and its fact: both or none
    numbers = Counter(mac for mac, _ in facts)
    assert numbers == Counter(known)  # none left out on the way
    acknowledged = written((device(0xF00000 + writer).mac, number) for writer, number, _ in before)
    assert [mac for mac, number in acknowledged.items() if known.get(mac, 0) < number] == []


# ------------------------------------------------------------------ putting one back


async def test_a_restore_puts_everything_back_but_the_codes(folder, tmp_path):
    await (await fill(folder)).close()
    file = tmp_path / "b.sqlite3"
    save_copy(folder, file)
    store = await opened(folder)
    before = await store.get(Device, rich_device(0xA1B2).mac)
    await store.save(Change(puts=(replace(before, notes="later"), device(77))))
    await store.close()
    clock = FakeClock()
    await restored(folder, file, clock)
    store = await opened(folder)
    try:
        await store.verify(deep=True)
        assert await store.get(Device, device(77).mac) is None
        known = await store.get(Device, before.mac)
        cleared = replace(known, version=0, code=before.code, retry_until=before.retry_until)
        assert cleared == replace(before, version=0)
        assert (known.code, known.retry_key, known.retry_until) == (None, "", None)
        for record in one_of_each():
            if not isinstance(record, Device | OutboxMessage) and type(record).__name__ != "Segment":
                there = await store.get(type(record), record.key)
                assert there == after_a_restore(record, clock.now())
        facts = [row.event for row in (await store.history()).rows]
        assert isinstance(facts[0], StoreRestored)
        assert (facts[0].taken_at, facts[0].codes, facts[0].at) == (NOW, 1, clock.now())
        assert [fact.name for fact in facts[1:2]] == ["CodeRevoked"]
    finally:
        await store.close()
    kept = next(folder.glob("before-restore-*.sqlite3"))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    await asyncio.to_thread(check_copy, kept)
    with closing(reading(kept)) as connection:
        assert connection.execute('SELECT count(*) FROM "doc:devices" WHERE key = ?', (device(77).mac,)).fetchone() == (
            1,
        )
    assert not [name for name in os.listdir(folder) if name in (WAITING, FAILED, PREPARING)]


async def test_no_hash_of_a_code_and_no_answer_that_could_be_repeated_is_restored(folder, tmp_path):
    store = await with_code(folder)
    late = replace(CODE, sealed=None)
    again = device(5, state=State.WAITING_FOR_SIGN_IN, retry_key="ab", retry_until=NOW, token="cd" * 32)
    await store.save(Change(puts=(device(3, code=late, issued=1), again)))
    await store.close()
    save_copy(folder, tmp_path / "b.sqlite3")
    await restored(folder, tmp_path / "b.sqlite3")
    store = await opened(folder)
    try:
        devices = (await store.find(Device)).rows
        assert [(each.code, each.retry_key, each.retry_until) for each in devices] == [(None, "", None)] * 4
        assert next(each for each in devices if each.mac == again.mac).token == again.token
        assert await store.count(Device, span=Span("code_until")) == 0
    finally:
        await store.close()


async def test_no_sign_in_goes_on_and_nothing_is_asked_once_more_after_a_restore(folder, tmp_path):
    store = await opened(folder)
    restart = DeviceCommand(
        id="c1", name=CommandName.RESTART, by="dana", by_name="Dana", asked_at=NOW, due_at=NOW + timedelta(days=1)
    )
    asked, shown, ended = of_remote()
    await store.save(Change(puts=(replace(asked, commands=(restart,)), shown, ended)))
    await store.close()
    save_copy(folder, tmp_path / "b.sqlite3")
    await restored(folder, tmp_path / "b.sqlite3")
    store = await opened(folder)
    try:
        assert await store.count(Device, span=Span("sign_in_until")) == 0
        found = await store.get_many(Device, [asked.mac, shown.mac, ended.mac])
        assert [found[mac].sign_in.stage for mac in (asked.mac, shown.mac)] == [Stage.CANCELLED] * 2
        assert found[shown.mac].sign_in.sealed == ""
        assert found[ended.mac].sign_in == ended.sign_in
        assert [command.status for command in found[asked.mac].commands] == [CommandStatus.LAPSED]
    finally:
        await store.close()


async def test_the_cards_that_show_a_code_or_a_rollout_are_drawn_anew(folder, tmp_path):
    store = await with_code(folder)
    rollout = Rollout(channel=CHANNEL, site="Oslo", connected_by="d", connected_by_name="D", started_at=NOW)
    shows = next(record for record in one_of_each() if type(record).__name__ == "Post")
    card = replace(
        shows, conversation=CHANNEL, reader=CHANNEL.id, subject=CHANNEL.id, shows_code=False, activity_id="9"
    )
    await store.save(Change(puts=(rollout, shows, card)))
    await store.close()
    save_copy(folder, tmp_path / "b.sqlite3")
    await restored(folder, tmp_path / "b.sqlite3")
    store = await opened(folder)
    try:
        waiting = (await store.find(OutboxMessage, status="waiting")).rows
        assert Counter(each.subject for each in waiting) == Counter([shows.key, card.key])
    finally:
        await store.close()


async def test_a_running_store_takes_a_restore_between_two_units(folder, tmp_path):
    """Ids, watchers, and units that were decided on the former state."""
    clock = FakeClock()
    store = await with_code(folder)
    await store.close()
    store = await opened(folder, clock)
    try:
        save_copy(folder, tmp_path / "b.sqlite3")
        former = await store.get(Device, MAC)
        await store.save(Change(puts=(replace(former, notes="moved"), message("m1"), message("m2"))))
        stale = await store.get(Device, MAC)
        async with store.watch(MAC) as watch:
            await while_time_passes(clock, restored(folder, tmp_path / "b.sqlite3"))
            assert await watch.wait(0.1)
        known = await store.get(Device, MAC)
        assert (known.notes, known.code, known.version) == ("", None, former.version + 1 + LIFT)
        for old in (stale, former):
            with pytest.raises(Conflict):
                await store.save(Change(puts=(replace(old, notes="from the old state"),)))
        assert await store.count(OutboxMessage) == 0
        await store.save(Change(puts=(message("m3"), replace(known, notes="new"))))
        assert (await store.get(Device, MAC)).notes == "new"
        await store.verify(deep=True)
        await store.check()
    finally:
        await store.close()


async def test_a_running_new_store_goes_on_behind_the_rows_of_a_fuller_one(folder, tmp_path):
    other = await fill(tmp_path / "other")
    await other.close()
    save_copy(tmp_path / "other", tmp_path / "b.sqlite3")
    clock = FakeClock()
    store = await opened(folder, clock)
    try:
        fact = DeviceAdded(at=NOW, actor="dana", subject=MAC, location="Oslo")
        await store.save(Change(puts=(device(900), message("n1")), events=(fact,)))
        await while_time_passes(clock, restored(folder, tmp_path / "b.sqlite3"))
        await store.save(Change(puts=(device(901), message("n2", "new lane")), events=(fact,)))
        assert (await store.history(limit=1)).rows[0].event == fact
        assert (await store.find(OutboxMessage, status="waiting")).rows[-1].id == "n2"
        await store.verify(deep=True)
    finally:
        await store.close()


async def while_time_passes(clock, work):
    task = asyncio.create_task(work)
    async with asyncio.timeout(30):
        while not task.done():
            clock.advance(timedelta(seconds=1))
            await asyncio.sleep(0.05)
    await task


async def test_a_restore_under_load_is_one_step_from_the_old_state_to_the_new(folder, tmp_path):
    await (await with_code(folder)).close()
    save_copy(folder, tmp_path / "b.sqlite3")
    async with load(folder, tmp_path) as running:
        await restored(folder, tmp_path / "b.sqlite3")
        await running.busy(500)
        running.end()
        assert running.faults() == []
        acknowledged = running.acknowledged()
    store = await opened(folder)
    try:
        await store.verify(deep=True)
        assert (await store.get(Device, MAC)).code is None
        newest = (await store.history(limit=1000)).rows
        last = written((device(0xF00000 + writer).mac, number) for writer, number, _ in acknowledged)
        for writer in range(32):
            mac = device(0xF00000 + writer).mac
            assert int((await store.get(Device, mac)).notes) >= last[mac]
        assert {row.event.name for row in newest} >= {"DeviceAdded"}
        restores = [row for row in await every_fact(store) if row.event.name == "StoreRestored"]
        assert len(restores) == 1
    finally:
        await store.close()


async def every_fact(store):
    rows, after = [], None
    while True:
        page = await store.history(after=after, limit=1000)
        rows += page.rows
        after = page.after
        if after is None:
            return rows


@pytest.mark.parametrize("trial", range(4))
async def test_a_restore_that_is_killed_is_done_at_the_next_start(folder, tmp_path, trial):
    store = await with_code(folder)
    await store.save(Change(puts=tuple(device(n, notes="x" * 900) for n in range(100, 5000))))
    await store.close()
    save_copy(folder, tmp_path / "b.sqlite3")
    async with load(folder, tmp_path) as running:
        await prepared(folder, tmp_path / "b.sqlite3")
        async with asyncio.timeout(20):
            while not list(folder.glob("before-restore-*")):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.001)
        await asyncio.sleep(trial * 0.03)
        running.process.kill()
        running.process.wait()
    store = await opened(folder)
    try:
        assert (await store.get(Device, MAC)).code is None
        assert not (folder / WAITING).exists()
        await store.verify(deep=True)
        if trial == 0:
            assert await store.count(Device) == 4902
    finally:
        await store.close()


async def prepared(folder, file):
    """What the command hands over, applied by nobody yet."""

    async def void(aside):
        store = await opened(aside)
        known = await store.get(Device, MAC)
        await store.save(Change(puts=(replace(known, code=None),)))
        await store.close()
        return 1

    return await tinydb_restore.prepare(file, folder, void, lambda _done, _total: None)


async def test_a_restore_is_applied_once_even_if_its_file_comes_back(folder, tmp_path):
    """A power loss after the commit may bring back the name of a file that was removed."""
    await (await with_code(folder)).close()
    save_copy(folder, tmp_path / "b.sqlite3")
    await prepared(folder, tmp_path / "b.sqlite3")
    shutil.copy(folder / WAITING, tmp_path / "again")
    store = await opened(folder)
    await store.save(Change(puts=(device(3),)))
    await store.close()
    shutil.copy(tmp_path / "again", folder / WAITING)
    store = await opened(folder)
    assert await store.get(Device, device(3).mac) == stored(device(3))
    assert not (folder / WAITING).exists()
    await store.close()


@pytest.mark.parametrize("how", ["flipped", "header", "empty", "text", "gone"])
async def test_a_damaged_store_is_restored(folder, tmp_path, how):
    store = await with_code(folder, notes="note of the device")
    await store.close()
    save_copy(folder, tmp_path / "b.sqlite3")
    content = (folder / FILE).read_bytes()
    damage = {
        "flipped": content.replace(b"note of the device", b"note of the devicf", 1),
        "header": b"\xff" * 100 + content[100:],
        "empty": b"",
        "text": b"not a database at all, and longer than a header would be " * 100,
    }
    if how == "gone":
        shutil.rmtree(folder)
        with pytest.raises(FileFault, match=f"mkdir -p -m 700 {folder}"):  # a slip of the pen gets no store
            await restored(folder, tmp_path / "b.sqlite3")
        assert not folder.exists()
        folder.mkdir()
    else:
        (folder / FILE).write_bytes(damage[how])
    await restored(folder, tmp_path / "b.sqlite3")
    store = await opened(folder)
    try:
        assert (await store.get(Device, MAC)).notes == "note of the device"
        await store.verify(deep=True)
    finally:
        await store.close()
    if how in damage:
        assert list(folder.glob("before-restore-*.sqlite3"))  # nothing is thrown away


async def test_a_running_store_that_found_damage_is_healed_by_a_restore(folder, tmp_path):
    clock = FakeClock()
    store = await with_code(folder)
    await store.save(Change(puts=tuple(device(n, notes=f"note {n:06d}") for n in range(100, 400))))
    await store.close()
    save_copy(folder, tmp_path / "b.sqlite3")
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content.replace(b'"notes":"note 000123', b'"notes":"note 000124', 1))
    store = await opened(folder, clock)
    try:
        with pytest.raises(Unavailable):
            await store.get(Device, device(123).mac)
        with pytest.raises(Unavailable):
            await store.check()
        await while_time_passes(clock, restored(folder, tmp_path / "b.sqlite3"))
        assert (await store.get(Device, device(123).mac)).notes == "note 000123"
        await store.check()
        await store.verify(deep=True)
    finally:
        await store.close()


def newer(connection):
    connection.execute("PRAGMA user_version=999")


def foreign(connection):
    connection.execute("PRAGMA application_id=1")


def changed_row(connection):
    connection.execute("UPDATE \"doc:devices\" SET doc = replace(doc, 'Oslo', 'Olso')")


def other_counts(connection):
    connection.execute("UPDATE tally SET count = count + 1")


BAD = {"newer": (newer, "newer version"), "foreign": (foreign, "no store of this program"),
       "a row": (changed_row, 'row 1 of "devices"'), "counts": (other_counts, "counts")}  # fmt: skip


@pytest.mark.parametrize("case", [*BAD, "cut", "text", "not there", "unprepared", "a folder"])
async def test_a_file_that_cannot_be_restored_is_refused_and_nothing_is_touched(folder, tmp_path, case):
    await (await with_code(folder)).close()
    file = tmp_path / "b.sqlite3"
    save_copy(folder, file)
    said = "b.sqlite3"
    if case in BAD:
        change, said = BAD[case]
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            change(connection)
    elif case == "cut":
        file.write_bytes(file.read_bytes()[: -3 * 4096])
    elif case == "text":
        file.write_text("not a database")
    elif case in ("not there", "a folder"):
        file = tmp_path / "none" if case == "not there" else tmp_path
        said = "is not there"
    before, names = state_of(folder), sorted(os.listdir(folder))
    if case == "unprepared":  # somebody puts a backup itself where a prepared file is looked for
        shutil.copy(file, folder / WAITING)
        await (await opened(folder)).close()
        assert "was not prepared by the restore command" in (folder / FAILED).read_text()
        assert stat.S_IMODE((folder / FAILED).stat().st_mode) == 0o600
        (folder / FAILED).unlink()
        (refused,) = folder.glob("restore.refused-*.sqlite3")
        assert refused.read_bytes() == file.read_bytes()  # it may be the only one its owner has
        refused.unlink()
    else:
        with pytest.raises(FileFault, match=re.escape(said)):
            await restored(folder, file)
    assert state_of(folder) == before
    assert {*os.listdir(folder)} ^ {*names} <= {"store.sqlite3-wal", "store.sqlite3-shm", "restore.lock"}


async def test_a_restore_that_cannot_be_applied_says_why(folder, tmp_path, monkeypatch):
    await (await with_code(folder)).close()
    save_copy(folder, tmp_path / "b.sqlite3")
    before = state_of(folder)

    copy_pages = tinydb_restore.copy_pages

    def full(source, target, *more):
        if target.name.startswith("before-restore"):
            raise OSError(28, "No space left on device")
        copy_pages(source, target, *more)

    monkeypatch.setattr(tinydb_restore, "copy_pages", full)
    with pytest.raises(FileFault, match="No space left"):
        await restored(folder, tmp_path / "b.sqlite3")
    assert state_of(folder) == before
    assert not (folder / WAITING).exists()
    store = await opened(folder)
    await store.save(Change(puts=(device(9),)))
    await store.close()


class Unfolded(sqlite3.Connection):
    """Of a disk that is full as soon as a restore is committed."""

    full = False

    def execute(self, statement, *values):
        if Unfolded.full and statement.startswith("PRAGMA wal_checkpoint"):
            Unfolded.full = False
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(statement, *values)


async def test_a_restore_that_is_committed_is_applied_even_if_the_log_cannot_be_folded(folder, tmp_path, monkeypatch):
    await (await fill(tmp_path / "other")).close()
    save_copy(tmp_path / "other", tmp_path / "b.sqlite3")
    connect, clock = sqlite3.connect, FakeClock()
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **more: connect(*a, **({"factory": Unfolded} | more)))
    place = tinydb_restore._put_in_place

    def put_in_place(*arguments):
        place(*arguments)
        Unfolded.full = True

    monkeypatch.setattr(tinydb_restore, "_put_in_place", put_in_place)
    store = await opened(folder, clock)
    try:
        fact = DeviceAdded(at=NOW, actor="dana", subject=MAC, location="Oslo")
        await store.save(Change(puts=(device(900),), events=(fact,)))
        with capture_logs() as told:
            await while_time_passes(clock, restored(folder, tmp_path / "b.sqlite3"))
        assert not Unfolded.full
        assert [each["log_level"] for each in told if "restore" in each["event"]] == ["info"]
        assert [each["log_level"] for each in told if "folded" in each["event"]] == ["warning"]
        assert not [name for name in os.listdir(folder) if name in (WAITING, FAILED, PREPARING)]
        assert await store.get(Device, device(900).mac) is None
        await store.save(Change(puts=(device(901), message("n2", "new lane")), events=(fact,)))  # behind what is there
        await store.verify(deep=True)
    finally:
        Unfolded.full = False
        await store.close()


async def test_a_service_logs_a_restore_that_it_refused(folder, tmp_path):
    await (await with_code(folder)).close()
    save_copy(folder, tmp_path / "b.sqlite3")
    shutil.move(tmp_path / "b.sqlite3", folder / WAITING)
    with capture_logs() as told:
        await (await opened(folder)).close()
    (refused,) = (each for each in told if each["event"] == "a restore was refused")
    assert (refused["log_level"], "not prepared" in refused["reason"]) == ("error", True)


async def test_a_restore_whose_failure_nobody_could_write_down_does_not_guess(folder, tmp_path):
    await (await with_code(folder)).close()
    ground = Ground(lambda: f"tinydb:{folder}", FakeClock())
    with pytest.raises(FileFault, match=r"was not applied.*restore\.failed.*log of the service"):
        await _handed_over(ground, folder, "a token", lambda *_: None)


async def test_half_copies_are_cleared_when_the_store_is_opened(folder):
    await (await with_code(folder)).close()
    half = folder / "before-restore-20260101T000000Z.sqlite3.part"
    half.write_text("with live codes")
    (folder / PREPARING).mkdir()
    (folder / PREPARING / FILE).write_text("with live codes")
    with _only_one(folder):
        await (await opened(folder)).close()
        assert (half.exists(), (folder / PREPARING).exists()) == (False, True)  # a command is at work on it
    await (await opened(folder)).close()
    assert not (folder / PREPARING).exists()


async def test_a_state_that_cannot_be_kept_leaves_no_half_copy(folder, tmp_path, monkeypatch):
    await (await with_code(folder)).close()
    save_copy(folder, tmp_path / "b.sqlite3")
    copy_pages = tinydb_restore.copy_pages

    def full(source, target, *more):
        copy_pages(source, target, *more)
        if target.name.startswith("before-restore"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tinydb_restore, "copy_pages", full)
    with pytest.raises(FileFault, match="No space left"):
        await restored(folder, tmp_path / "b.sqlite3")
    assert list(folder.glob("before-restore-*")) == []


class Full(sqlite3.Connection):
    """Of a file that waits, where the disk is full before its last page is in the state."""

    def backup(self, target, **more):
        if not more:
            raise sqlite3.OperationalError("database or disk is full")
        super().backup(target, **more)


async def test_a_restore_that_does_not_fit_leaves_no_copy_of_the_state_that_is_still_there(
    folder, tmp_path, monkeypatch
):
    await (await with_code(folder)).close()
    save_copy(folder, tmp_path / "b.sqlite3")
    before, connect = state_of(folder), sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **more: connect(*a, **({"factory": Full} | more)))
    with pytest.raises(FileFault, match="disk is full"):
        await restored(folder, tmp_path / "b.sqlite3")
    assert state_of(folder) == before
    assert list(folder.glob("before-restore-*")) == []


async def test_a_backup_that_was_copied_into_the_place_of_the_store_is_refused_and_can_be_restored(folder, tmp_path):
    await (await with_code(folder)).close()
    save_copy(folder, tmp_path / "b.sqlite3")
    shutil.copy(tmp_path / "b.sqlite3", folder / FILE)
    for _ in range(2):
        with pytest.raises(Unavailable) as refusal:
            await opened(folder)
        assert refusal.value.reason.endswith(f"python app.py restore {folder / FILE}")
    assert (folder / FILE).read_bytes() == (tmp_path / "b.sqlite3").read_bytes()
    await restored(folder, folder / FILE)
    store = await opened(folder)
    try:
        assert (await store.get(Device, MAC)).code is None
    finally:
        await store.close()


async def test_damage_to_what_waits_is_not_taken_for_damage_to_the_store(folder, tmp_path):
    store = await with_code(folder)
    await store.save(Change(puts=tuple(device(n, notes="x" * 900) for n in range(100, 400))))
    await store.close()
    save_copy(folder, tmp_path / "b.sqlite3")
    await prepared(folder, tmp_path / "b.sqlite3")
    content = (folder / WAITING).read_bytes()
    (folder / WAITING).write_bytes(content[: 12 * 4096])
    store = await opened(folder)
    try:
        assert (folder / FAILED).read_text().strip()
        assert not (folder / WAITING).exists()
        assert (await store.get(Device, MAC)).code
        await store.check()
        await store.verify(deep=True)
    finally:
        await store.close()


async def test_a_second_restore_of_the_same_moment_is_refused(folder, tmp_path):
    await (await with_code(folder)).close()
    save_copy(folder, tmp_path / "b.sqlite3")
    with _only_one(folder), pytest.raises(FileFault, match="Another restore"):
        await restored(folder, tmp_path / "b.sqlite3")


async def test_what_an_interrupted_restore_left_is_cleared_away(folder, tmp_path):
    await (await with_code(folder)).close()
    save_copy(folder, tmp_path / "b.sqlite3")
    (folder / PREPARING).mkdir()
    (folder / PREPARING / FILE).write_text("half a copy")
    (folder / FAILED).write_text("an old reason")
    await restored(folder, tmp_path / "b.sqlite3")
    assert not (folder / PREPARING).exists()
    assert not (folder / FAILED).exists()


async def test_a_restored_state_is_backed_up_without_the_mark_of_its_restore(folder, tmp_path):
    await (await with_code(folder)).close()
    save_copy(folder, tmp_path / "b.sqlite3")
    await restored(folder, tmp_path / "b.sqlite3")
    save_copy(folder, tmp_path / "c.sqlite3")
    with closing(reading(tmp_path / "c.sqlite3")) as connection:
        assert meta(connection, "restored") is None
    await restored(folder, tmp_path / "c.sqlite3")
    with closing(reading(folder / FILE)) as connection:
        assert meta(connection, "restored")


@pytest.mark.parametrize("version", range(1, SCHEMA + 1))
async def test_a_backup_of_an_earlier_version_is_restored(folder, tmp_path, version):
    file = tmp_path / "old.sqlite3"
    file.write_bytes(gzip.decompress((FIXTURES / f"store-v{version}.sqlite3.gz").read_bytes()))
    before = file.read_bytes()
    await (await with_code(folder)).close()
    await restored(folder, file)
    assert file.read_bytes() == before
    store = await opened(folder)
    try:
        await store.verify(deep=True)
        assert await store.count(Device) > old_store.DEVICES
        assert await store.count(Device, span=Span("code_until")) == 0
    finally:
        await store.close()


async def test_a_store_of_an_earlier_version_is_not_saved_unseen(folder, tmp_path):
    folder.mkdir()
    (folder / FILE).write_bytes(gzip.decompress((FIXTURES / "store-v1.sqlite3.gz").read_bytes()))
    with pytest.raises(FileFault, match=r"older version of this program\. Start the service"):
        save_copy(folder, tmp_path / "b.sqlite3")


# ------------------------------------------------------------------ over HTTP

ADMIN = Actor(id=LOCAL_ADMIN.aad_object_id, name="Dana", tenant=LOCAL_TENANT, roles=frozenset({Role.ADMIN}))
PLACES = ("805EC0112233", "Oslo/2/2.14"), ("805EC0112234", "Oslo/2/2.15"), ("805EC0112235", "Oslo/2/2.16")


NETWORKS = count(1)


async def call_in(http, url, mac, code, key=""):
    """Each call from a network of its own, so that none has to slow down."""
    number = next(NETWORKS)
    headers = {"X-Forwarded-For": f"10.{number // 250}.{number % 250}.1"} | ({"Idempotency-Key": key} if key else {})
    async with http.post(f"{url}/api/v1/provision", json={"mac": mac, "code": code}, headers=headers) as answer:
        return answer.status, (await answer.json(content_type=None)).get("code", "")


async def issue_all(provisioning):
    order = IssueOrder(await provisioning.target(ADMIN, "all"), void=True)
    await provisioning.issue(ADMIN, order)
    page = await provisioning.codes(ADMIN)
    return {held.device.mac: held.digits for held in page.codes}


async def test_no_code_comes_back_to_life_in_a_running_service(folder, tmp_path):
    """One code was used after the backup, one revoked, one is still live, one was issued anew: all are refused."""
    with app._listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    settings = load_settings({"STORE_URL": f"tinydb:{folder}", "PORT": str(port)}, None)
    async with app.running(settings) as service, aiohttp.ClientSession() as http:
        core, url = service.provisioning, service.url.rstrip("/")
        await core.add(ADMIN, [Wanted(mac, location) for mac, location in PLACES])
        (used, _), (revoked, _), (living, _) = PLACES
        old = await issue_all(core)
        await asyncio.to_thread(save_copy, folder, tmp_path / "b.sqlite3")
        assert await call_in(http, url, used, old[used], "0" * 32) == (200, "")
        await core.revoke(ADMIN, await core.target(ADMIN, revoked))
        trying = asyncio.create_task(never_accepted(http, url, used, old[used]))
        await restored(folder, tmp_path / "b.sqlite3")
        assert not trying.done()
        trying.cancel()
        for mac in (used, revoked, living):
            assert await call_in(http, url, mac, old[mac]) == (403, "code_refused")
        assert await call_in(http, url, used, old[used], "0" * 32) == (403, "code_refused")
        fresh = await issue_all(core)
        assert {mac: await call_in(http, url, mac, fresh[mac]) for mac in fresh} == dict.fromkeys(fresh, (200, ""))
        async with http.get(f"{url}/readyz") as ready:
            assert ready.status == 200


async def never_accepted(http, url, mac, code):
    """Tries the used code all the while; every try is answered. Returns 200 if one is let in."""
    while True:
        status, _ = await call_in(http, url, mac, code, "")
        assert status in (200, 403)
        if status == 200:
            return 200
        await asyncio.sleep(0.02)
