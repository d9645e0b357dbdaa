"""`rehearse` as it is typed: beside a store in use, from a database, interrupted; what it leaves behind: nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

import app
from bot.rehearsal.command import from_json
from provisioning.codes import Key, Keyring
from provisioning.conversations import Conversation, ConversationKind
from provisioning.messages import MessageKind
from provisioning.model import Change, Device, Person, Role
from provisioning.notifications import tell
from storage import open_store
from storage.json_transfer import JsonTarget
from storage.transfer import copy, open_source
from tests.storage import postgres

HOUSE = Path(__file__).parents[1]
NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
QUICK = ("--start", "2026-12-01 08:00", "--json")
KEYS = Keyring([Key("real", bytes(32))])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORE_URL", "tinydb:store")


def types(*words: str) -> tuple[int, str, list[str]]:
    done = CliRunner().invoke(app.cli, ["rehearse", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr.splitlines()


async def fill(url: str) -> None:
    """Four devices with Sam, a live code, a message that waits for him."""
    store = await open_store(url, clock=app.SystemClock())
    chat = Conversation("a:sam", ConversationKind.PERSONAL, "https://smba.trafficmanager.net/emea/", "t", "28:bot")
    sam = Person(id="sam", name="Sam", teams_id="29:sam", roles=frozenset({Role.TECHNICIAN}), chat=chat)
    devices = [
        Device(mac=f"805EC01122{n}", location=f"Oslo/2/2.{n}", added_at=NOW, added_by="dana", technician="sam")
        for n in range(10, 14)
    ]
    code = KEYS.issue(devices[0].mac, "482913760257", 1, NOW, timedelta(days=3), "dana")
    devices[0] = replace(devices[0], code=code, issued=1)
    waiting = tell(MessageKind.NEW_JOBS, "sam", "", NOW)
    await store.save(Change(puts=(sam, *devices, waiting)))
    await store.close()


def checksum(url: str, folder: Path) -> str:
    """Of everything the store holds: records, audit, outbox."""
    file = folder / f"all-{os.urandom(4).hex()}.json"

    async def write() -> None:
        async with open_source(url) as source, JsonTarget(file, force=True) as target:
            await copy(source, target, lambda *_: None)

    asyncio.run(write())
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_data_is_as_it_was_to_the_last_byte_and_the_report_is_about_it(tmp_path: Path) -> None:
    asyncio.run(fill("tinydb:store"))
    before, files = checksum("tinydb:store", tmp_path), contents(tmp_path / "store")
    status, out, _said = types("oslo", *QUICK)
    report = from_json(out)
    assert status == 0
    assert (report.scope, report.devices, report.installed, report.made_up) == ("Oslo", 4, 4, False)
    assert [load.name for load in report.loads] == ["Sam"]
    assert checksum("tinydb:store", tmp_path) == before
    assert contents(tmp_path / "store") == files
    assert "482913760257" not in out
    assert "805EC0" not in out


def contents(folder: Path) -> dict[str, str]:
    """The store's own file; locks and logs of SQLite come and go with a reader."""
    file = folder / "store.sqlite3"
    found = [file] if file.exists() else [path for path in folder.iterdir() if path.suffix == ".sqlite3"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_it_runs_beside_the_service_that_has_the_store() -> None:
    asyncio.run(fill("tinydb:store"))

    async def beside() -> tuple[int, str, list[str]]:
        store = await open_store("tinydb:store", clock=app.SystemClock())
        try:
            return await asyncio.to_thread(types, *QUICK)
        finally:
            await store.close()

    status, out, _said = asyncio.run(beside())
    assert status == 0
    assert from_json(out).installed == 4


def test_a_database_is_rehearsed_from_a_copy(tmp_path: Path) -> None:
    with postgres.schema() as url:
        asyncio.run(fill(url))
        before = checksum(url, tmp_path)
        status, out, _said = types("--store", url, *QUICK)
        assert checksum(url, tmp_path) == before
    assert status == 0
    assert from_json(out).installed == 4


def test_an_empty_store_gets_a_fleet_that_nobody_has(tmp_path: Path) -> None:
    status, out, said = types("--technicians", "8", *QUICK)
    report = from_json(out)
    assert status == 0
    assert (report.devices, report.made_up, len(report.loads)) == (100, True, 8)
    assert json.loads(said[-1])["total"] == 100
    assert not (tmp_path / "store").exists()


def test_people_read_it_in_sentences() -> None:
    status, out, _said = types("--devices", "6", "--technicians", "1", "--start", "2026-12-01 08:00", "--runs", "2")
    assert status == 0
    for words in ("Rehearsal of all sites: done about", "How long", "What to change", "Technicians", "nobody was told"):
        assert words in out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("bergen",), 1, "bergen"),
        (("--start", "tomorrow"), 2, "2026-12-01 08:00"),
        (("--rate", "hunger=3"), 2, "typo"),
        (("--store", "mysql:x"), 2, "names no store"),
    ],
)
def test_what_cannot_be_rehearsed_is_said(words: tuple[str, ...], status: int, said: str) -> None:
    asyncio.run(fill("tinydb:store"))
    done, out, faults = types(*words)
    assert (done, out) == (status, "")
    assert said in " ".join(faults)


def test_an_interrupted_one_leaves_nothing_behind(tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    environment = {**os.environ, "TMPDIR": str(temp)}
    words = (sys.executable, str(HOUSE / "app.py"), "rehearse", "--devices", "3000", "--json")
    before = set(tmp_path.iterdir())
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        process.stderr.readline()
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, faults = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Interrupted." in faults
    assert "Traceback" not in faults
    assert set(tmp_path.iterdir()) == before
    assert not list(temp.iterdir())
