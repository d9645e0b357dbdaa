"""`audit export`, as it is typed: what stands in the file, and that it can be checked without a store."""

import asyncio
import csv
import hashlib
import json
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

import app
from provisioning.events import CodeShown, DeviceAdded, DeviceMoved
from provisioning.model import Change, Person
from storage import open_store
from storage.tinydb_rows import checksum
from tests.fakes import FakeClock
from tests.storage import postgres
from tests.storage.samples import NOW
from tests.storage.test_transfer import opened

SAM, DANA = "3f2a0000-0000-4000-8000-0000000000a1", "00000000-0000-4000-8000-00000000000a"
A, B = "805EC0112233", "805EC0112234"
DAY = timedelta(days=1)


def facts():
    yield DeviceAdded(at=NOW, actor=DANA, subject=A, location="=1+1")
    yield DeviceMoved(at=NOW + DAY, actor=DANA, subject=B, before="Oslo/1", after="Oslo/2")
    yield CodeShown(at=NOW + 2 * DAY, actor=SAM, subject=A, issue=1, reader=SAM)


async def fill(url):
    store = await open_store(url, clock=FakeClock())
    await store.save(Change(puts=(Person(id=DANA, name="Dana Berg", upn="dana@contoso.com"),)))
    for fact in facts():
        await store.save(Change(events=(fact,)))
    assert await store.seal(NOW + 3 * DAY, 2) == 2
    assert await store.seal(NOW + 3 * DAY, 2) == 1
    await store.close()


@pytest.fixture(params=["file", "postgres"])
async def url(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = f"tinydb:{tmp_path / 'store'}" if request.param == "file" else postgres.emptied()
    await fill(url)
    monkeypatch.setenv("STORE_URL", url)
    return url


def exports(*words):
    done = CliRunner().invoke(app.cli, ["audit", "export", *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def lines(file="a.jsonl"):
    *rows, chain = map(json.loads, Path(file).read_text("utf-8").strip().split("\n"))
    return rows, chain


def checked(file):
    """README's recipe: nothing of this program, and no store."""
    *rows, end = map(json.loads, Path(file).read_text("utf-8").strip().split("\n"))
    for row in rows:
        text = json.dumps(row["fact"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert row["digest"] == row["fact"].get("original", hashlib.sha256(text.encode()).hexdigest()), row["number"]
    head = "0" * 64
    for s in end["chain"]:
        if not s["dropped_at"]:
            digests = "".join(row["digest"] for row in rows if row["segment"] == s["number"])
            names = ("number", "first", "last", "count", "newest", "sealed_at")
            begin = f"{head} {' '.join(str(s[name]) for name in names)}\n"
            assert s["head"] == hashlib.sha256((begin + digests).encode()).hexdigest(), s["number"]
        head = s["head"]
    return head


def test_every_fact_is_there_in_words_and_the_export_is_one_itself(url):
    status, said, faults = exports("a.jsonl")
    assert (status, said, faults) == (0, "a.jsonl: 4 facts.\n", "")
    rows, chain = lines()
    assert [row["kind"] for row in rows] == ["DeviceAdded", "DeviceMoved", "CodeShown", "AuditExported"]
    assert [row["segment"] for row in rows] == [1, 1, 2, None]
    assert rows[1]["words"] == "Moved from Oslo/1 to Oslo/2"
    assert rows[2]["words"] == "Code 1 shown to a former person (3f2a…)"
    assert (rows[2]["actor"], rows[2]["subject"], rows[2]["fact"]["reader"]) == (SAM, A, SAM)
    assert (rows[3]["actor"], rows[3]["words"]) == ("operator", "Facts exported as JSONL")
    assert chain["whole"]
    assert stat.S_IMODE(Path("a.jsonl").stat().st_mode) == 0o600


def test_a_file_is_checked_without_the_store(url):
    exports("a.jsonl")
    assert checked("a.jsonl") == lines()[1]["chain"][-1]["head"]
    text = Path("a.jsonl").read_text("utf-8")
    for before, after in (("Oslo/2", "Oslo/3"), ('"count":2,"newest"', '"count":3,"newest"')):
        Path("b.jsonl").write_text(text.replace(before, after), "utf-8")
        with pytest.raises(AssertionError):
            checked("b.jsonl")


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("--since 2026-03-03", ["DeviceMoved", "CodeShown", "AuditExported"]),
        ("--until 2026-03-03", ["DeviceAdded", "DeviceMoved"]),
        ("--since 2026-03-03T08:00 --until 2026-03-04T08:00", ["DeviceMoved"]),
        ("--device 80:5e:c0:11:22:33", ["DeviceAdded", "CodeShown", "AuditExported"]),
        ("--person dana@CONTOSO.com", ["DeviceAdded", "DeviceMoved", "AuditExported"]),
        (f"--person {SAM} --device {A}", ["CodeShown"]),
    ],
)
def test_what_is_asked_for_is_there_and_nothing_else(url, words, kinds):
    assert exports("a.jsonl", *words.split())[0] == 0
    rows, chain = lines()
    assert [row["kind"] for row in rows] == kinds
    assert not chain["whole"]


@pytest.mark.parametrize("at", ["2026-03-04T08:00:00", "2026-03-04", "at some time", None], ids=str)
def test_a_fact_whose_time_was_tampered_with_keeps_nobody_from_the_others(url, at):
    if url.startswith("tinydb"):
        path, tell = url.removeprefix("tinydb:") + "/store.sqlite3", json.dumps({"event": "X", "at": at})
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute('UPDATE "doc:audit" SET doc = ?, crc = ? WHERE id = 1', (tell, checksum(1, tell)))
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            first = "id = (SELECT min(id) FROM audit)"
            connection.execute(f"UPDATE audit SET doc = doc || jsonb_build_object('at', %s::text) WHERE {first}", (at,))
    assert exports("a.jsonl", "--since", "2026-03-03", "--until", "2026-03-04") == (0, "a.jsonl: 2 facts.\n", "")


def test_in_a_spreadsheet_no_cell_is_a_formula(url):
    assert exports("a.csv", "--format", "csv")[0] == 0
    with open("a.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert rows[0]["words"] == "Put on the list at =1+1"
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_nothing_is_overwritten_and_what_broke_off_leaves_nothing(url, tmp_path):
    Path("a.jsonl").write_text("mine")
    status, _, fault = exports("a.jsonl")
    assert (status, fault) == (1, "a.jsonl is there already. Name another file, or say --force.\n")
    assert Path("a.jsonl").read_text() == "mine"
    assert exports("a.jsonl", "--force")[0] == 0
    assert checked("a.jsonl")
    assert exports("b.jsonl", "--since", "yesterday")[0] == 2
    assert exports("b.jsonl", "--device", "8x")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "store") == ["a.jsonl"]


async def test_beside_the_service_the_file_comes_and_says_that_no_fact_tells_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await fill("tinydb:store")
    store = await opened(Path("store"))
    try:
        status, said, faults = await asyncio.to_thread(exports, "a.jsonl", "--store", "tinydb:store")
        assert next(row.event.name for row in (await store.history()).rows) == "CodeShown"
    finally:
        await store.close()
    assert (status, said) == (0, "a.jsonl: 3 facts.\n")
    assert "a service has the store, and it alone writes there" in faults
    assert checked("a.jsonl")
