"""`audit verify`, as it is typed: whatever is done to facts or segments behind the service's back is found, with its
segment and rows, in both stores; a noted head finds what the chain alone cannot show."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from typer.testing import CliRunner

import app
from provisioning.events import DeviceAdded, FactsRedacted
from provisioning.model import Change
from storage import open_store
from storage.audit import digest
from storage.records import encode_event, micros
from storage.tinydb_layout import LAYOUTS
from storage.tinydb_rows import checksum
from tests.fakes import FakeClock
from tests.storage import postgres
from tests.storage.samples import NOW

DAY = timedelta(days=1)
LATE = NOW + 9 * DAY
SIZE, COUNT = 4, 4  # facts of a segment, and segments


def fact(number, actor="dana"):
    return DeviceAdded(at=NOW + timedelta(minutes=number), actor=actor, subject=f"s{number}", location="Oslo")


async def fill(url):
    """Sixteen facts in four segments, the first of which retention dropped; two more in none."""
    store = await open_store(url, clock=FakeClock())
    for number in range(1, SIZE * COUNT + 1):
        await store.save(Change(events=(fact(number),)))
    while await store.seal(NOW + DAY, SIZE):
        pass
    await store.drop_audit(NOW + timedelta(minutes=SIZE + 1), LATE)
    await store.save(Change(events=(fact(17), fact(18))))
    await store.close()


class InFile:
    """An embedded store in the hands of somebody who knows how its rows are written."""

    def __init__(self, url):
        self.url, self.path = url, f"{url.partition(':')[2]}/store.sqlite3"

    def says(self, *statements):
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for statement in statements:
                connection.execute(statement.format(audit='"doc:audit"', segments='"doc:segments"', key="id"))

    def plain(self, table, row):
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute(f'SELECT doc FROM "doc:{table}" WHERE id = ?', (row,)).fetchone()
        return json.loads(found[0]) if found else encode_event(fact(99, "mallory"))

    def swap(self, one, other):
        plains = self.plain("audit", one), self.plain("audit", other)
        self.put("audit", one, **plains[1])
        self.put("audit", other, **plains[0])

    def put(self, table, row, *, digest="", **fields):
        """With everything that stands beside it; `digest` keeps one that is no longer the document's."""
        layout = next(each for each in LAYOUTS if each.table == table)
        plain = self.plain(table, row) | fields
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        names = ", ".join(("id", "doc", "crc", *(f'"{name}"' for name in layout.columns)))
        beside = list(layout.values(plain))
        if digest:
            beside[-1] = digest
        values = (row, text, checksum(row, text), *beside)
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(f'DELETE FROM "doc:{table}" WHERE id = ?', (row,))
            connection.execute(f'INSERT INTO "doc:{table}" ({names}) VALUES ({", ".join("?" * len(values))})', values)


class InDatabase:
    """So too a PostgreSQL store."""

    def __init__(self, url):
        self.url = url

    def says(self, *statements):
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.format(audit="audit", segments="segments", key="(doc->>'number')::int"))

    def swap(self, one, other):
        self.says(
            f"UPDATE audit SET id = -{one} WHERE id = {one}",
            f"UPDATE audit SET id = {one} WHERE id = {other}",
            f"UPDATE audit SET id = {other} WHERE id = -{one}",
        )

    def put(self, table, row, *, digest="", **fields):
        with psycopg.connect(self.url, autocommit=True) as connection:
            at = "id" if table == "audit" else "(doc->>'number')::int"
            found = connection.execute(f"SELECT doc FROM {table} WHERE {at} = %s", (row,)).fetchone()
            plain = (found[0] if found else encode_event(fact(99, "mallory"))) | fields
            text = json.dumps(plain)
            if table == "segments":
                connection.execute(f"UPDATE segments SET doc = %s WHERE {at} = %s", (text, row))
                return
            connection.execute("DELETE FROM audit WHERE id = %s", (row,))
            values = (row, plain["subject"], micros(NOW), digest or digest_of(plain), text)
            connection.execute("INSERT INTO audit (id, subject, at, digest, doc) VALUES (%s, %s, %s, %s, %s)", values)


digest_of = digest


@pytest.fixture(params=["file", "postgres"])
async def kept(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = f"tinydb:{tmp_path / 'store'}" if request.param == "file" else postgres.emptied()
    if request.param == "postgres":  # numbers begin anew, so that rows are called alike in both
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER SEQUENCE audit_id_seq RESTART")
    await fill(url)
    monkeypatch.setenv("STORE_URL", url)
    return (InFile if request.param == "file" else InDatabase)(url)


def verifies(*words):
    """Exit code, stdout, and what stderr says but for progress."""
    done = CliRunner().invoke(app.cli, ["audit", "verify", *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, [line for line in done.stderr.splitlines() if not line.startswith("facts: ")]


def head_of(said):
    return re.search("Head of segment 4: ([0-9a-f]{64})", said)[1]


def test_what_nobody_touched_is_well_and_says_how_it_stands(kept):
    status, said, faults = verifies()
    assert (status, faults) == (0, [])
    for words in (
        "Dropped, being older than they are kept: segments 1 to 1, 4 facts, the newest from 2026-03-02 08:04:00 UTC.",
        "Sealed: segments 2 to 4, 12 facts, the newest from 2026-03-02 08:16:00 UTC.",
        "In no segment yet: 2 facts.",
        "Facts from 2026-03-02T08:05:00+00:00 to 2026-03-02T08:18:00+00:00.",
        "All is well.",
    ):
        assert words in said
    assert verifies("--head", head_of(said), "--store", kept.url)[0] == 0


TAMPERING = {
    "edited, with all that stands beside it": (
        lambda kept: kept.put("audit", 6, actor="mallory"),
        ["rows of segment 2 of the audit were changed, added or taken away: rows 5 to 8, 4 of 4 are there"],
    ),
    "edited under its old digest": (
        lambda kept: kept.put("audit", 6, actor="mallory", digest=digest(encode_event(fact(6)))),
        ["row 6 of the audit (segment 2) was changed"],
    ),
    "edited in no segment yet": (
        lambda kept: kept.put("audit", 18, actor="mallory", digest=digest(encode_event(fact(18)))),
        ["row 18 of the audit (no segment yet) was changed"],
    ),
    "redacted by somebody else": (
        lambda kept: kept.put("audit", 6, actor="mallory", original=digest(encode_event(fact(6)))),
        ["row 6 of the audit was redacted, and no fact behind it says so"],
    ),
    "removed": (
        lambda kept: kept.says("DELETE FROM {audit} WHERE id = 6"),
        ["rows of segment 2 of the audit were changed, added or taken away: rows 5 to 8, 3 of 4 are there"],
    ),
    "added": (
        lambda kept: kept.put("audit", 0),
        ["rows of segment 1 of the audit were changed, added or taken away: rows 1 to 4, 1 of 4 are there"],
    ),
    "reordered": (
        lambda kept: kept.swap(5, 6),
        ["rows of segment 2 of the audit were changed, added or taken away: rows 5 to 8, 4 of 4 are there"],
    ),
    "a segment's count edited": (
        lambda kept: kept.put("segments", 2, count=3),
        ["rows of segment 2 of the audit were changed, added or taken away: rows 5 to 8, 4 of 3 are there"],
    ),
    "a segment's head edited": (
        lambda kept: kept.put("segments", 2, head="ab" * 32),
        [f"rows of segment {n} of the audit were changed, added or taken away: rows" for n in (2, 3)],
    ),
    "a segment dropped out of turn": (
        lambda kept: (
            kept.put("segments", 3, dropped_at=LATE.isoformat()),
            kept.says("DELETE FROM {audit} WHERE id BETWEEN 9 AND 12"),
        ),
        ["segment 3 of the audit was dropped out of turn: rows 9 to 12, 0 of 4 are there"],
    ),
    "a segment gone": (
        lambda kept: kept.says("DELETE FROM {segments} WHERE {key} = 3"),
        ["segment 3 of the audit is missing: rows 13 to 16, 8 of 4 are there"],
    ),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_found_with_segment_and_rows(kept, how):
    tamper, expected = TAMPERING[how]
    tamper(kept)
    status, said, faults = verifies()
    assert (status, "All is well" in said, len(faults)) == (1, False, len(expected) + 1)
    assert all(line.startswith(begin) for line, begin in zip(faults, expected, strict=False))
    assert faults[-1] == f"{len(faults) - 1} faults: the audit is not what was sealed."


def cut(kept):
    kept.says("DELETE FROM {segments} WHERE {key} = 4", "DELETE FROM {audit} WHERE id > 12")


def test_an_end_that_was_cut_off_is_found_by_a_noted_head_alone(kept):
    noted = head_of(verifies()[1])
    cut(kept)
    assert verifies()[0] == 0
    status, _, faults = verifies("--head", noted)
    assert (status, faults[0].startswith(f"the noted head {noted} stands in no segment")) == (1, True)


async def test_a_chain_that_was_written_anew_is_found_by_a_noted_head_alone(kept):
    noted = head_of((await asyncio.to_thread(verifies))[1])
    kept.put("audit", 14, actor="mallory")
    kept.says("DELETE FROM {segments} WHERE {key} = 4")
    store = await open_store(kept.url, clock=FakeClock())
    assert await store.seal(NOW + DAY, SIZE) == SIZE
    await store.close()
    assert (await asyncio.to_thread(verifies))[0] == 0
    assert (await asyncio.to_thread(verifies, "--head", noted))[0] == 1


async def test_it_runs_beside_the_service_that_has_the_store(kept):
    store = await open_store(kept.url, clock=FakeClock())
    try:
        await store.save(Change(events=(fact(19),)))
        status, said, faults = await asyncio.to_thread(verifies)
    finally:
        await store.close()
    assert (status, faults, "In no segment yet: 3 facts." in said) == (0, [], True)


def test_where_no_store_is_none_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, said, faults = verifies("--store", "tinydb:nowhere")
    assert (status, said, "holds no store" in faults[0]) == (1, "", True)
    assert not (tmp_path / "nowhere").exists()


# ------------------------------------------------------------------ what was redacted


async def redact(url, number=6):
    """One fact is redacted as the service does it."""
    store = await open_store(url, clock=FakeClock())
    order = FactsRedacted(at=LATE, actor="dana", subject="sam", rows=())
    assert await store.redact([number], lambda text: text.replace("Oslo", "…"), order) == 1
    await store.seal(LATE)
    await store.close()


async def test_what_the_service_redacted_is_well_and_counted(kept):
    noted = head_of((await asyncio.to_thread(verifies))[1])
    await redact(kept.url)
    status, said, faults = await asyncio.to_thread(verifies, "--head", noted)
    assert (status, faults, "Redacted, each named by a later fact: 1." in said) == (0, [], True)


async def test_a_redacted_fact_is_no_cover_for_other_words(kept):
    await redact(kept.url)
    kept.put("audit", 6, actor="mallory")  # its digest of what it said at first stays
    status, _, faults = await asyncio.to_thread(verifies)
    assert (status, faults[0]) == (1, "row 6 of the audit was redacted, and no fact behind it says so")


async def test_a_redaction_is_not_named_by_a_fact_before_it(kept):
    await redact(kept.url)
    kept.put("audit", 18, **{"event": "FactsRedacted", "rows": [f"19:{'ab' * 32}"]})
    kept.put("audit", 19, original="ab" * 32)
    status, _, faults = await asyncio.to_thread(verifies)
    assert (status, "row 19 of the audit was redacted, and no fact behind it says so" in faults) == (1, True)


# ------------------------------------------------------------------ after retention, wherever the audit is carried


def types(*words):
    done = CliRunner().invoke(app.cli, [*map(str, words)])
    assert done.exit_code == 0, done.stderr


def carried_to_a_file(kept, folder):
    types("migrate", kept.url, f"tinydb:{folder}")
    return f"tinydb:{folder}"


def carried_to_a_database(kept, folder):
    between = carried_to_a_file(kept, folder)
    url = postgres.emptied()
    types("migrate", between, url)
    return url


def through_json(kept, folder):
    types("export-json", folder.with_suffix(".json"))
    types("import-json", folder.with_suffix(".json"), "--store", f"tinydb:{folder}")
    return f"tinydb:{folder}"


def put_back(kept, folder):
    url = carried_to_a_file(kept, folder)
    types("backup", folder.with_suffix(".sqlite3"), "--store", url)
    types("restore", folder.with_suffix(".sqlite3"), "--yes", "--store", url)
    return url


@pytest.mark.parametrize("carried", [carried_to_a_file, carried_to_a_database, through_json, put_back])
async def test_what_retention_and_redaction_left_is_verified_wherever_it_is_carried(kept, tmp_path, carried):
    noted = head_of((await asyncio.to_thread(verifies))[1])
    await redact(kept.url)
    url = await asyncio.to_thread(carried, kept, tmp_path / "new")
    status, said, faults = await asyncio.to_thread(verifies, "--head", noted, "--store", url)
    assert (status, faults) == (0, [])
    assert "segments 1 to 1, 4 facts" in said
    assert "Redacted, each named by a later fact: 1." in said


async def test_retention_goes_on_and_the_noted_head_stays(kept):
    noted = head_of((await asyncio.to_thread(verifies))[1])
    store = await open_store(kept.url, clock=FakeClock())
    while await store.drop_audit(LATE, LATE):
        pass
    assert await store.seal(LATE) == 2
    await store.close()
    status, said, _ = await asyncio.to_thread(verifies, "--head", noted)
    assert (status, "segments 1 to 4, 16 facts" in said, "Sealed: segments 5 to 5, 2 facts" in said) == (0, True, True)
