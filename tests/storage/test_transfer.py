"""Everything is carried from one store, or file, to another: whole, in order, or not at all."""

import json
import re
import stat
from dataclasses import replace
from datetime import timedelta

import pytest
from tinydb import Query, TinyDB

from provisioning.batches import Batch
from provisioning.bookkeeping import Segment
from provisioning.errors import Unavailable
from provisioning.events import DeviceAdded
from provisioning.messages import OutboxMessage
from provisioning.model import Change, Device
from provisioning.ports import Span
from storage import json_transfer, open_store, transfer
from storage.json_transfer import ABOUT, JsonSource, JsonTarget
from storage.kinds import KINDS
from storage.postgres_transfer import PostgresSource, PostgresTarget
from storage.records import encode
from storage.tinydb_restore import WAITING
from storage.tinydb_transfer import TinySource, TinyTarget
from storage.transfer import TABLES, NoSuchStore, TransferFault, check_counts, copy, folder_of, open_source, shown
from tests.fakes import FakeClock
from tests.storage.samples import NOW, device, import_of, message, of_remote, one_of_each

RECORDS = tuple(record for record in one_of_each() if not isinstance(record, Segment))
TEXTS = ("Møterom “2.14”", "\\u0000", "line\nbreak", "😀", '"quoted"', "\u2028")


def quiet(_what, _done, _total):
    pass


def in_use():
    return pytest.raises(Unavailable, check=lambda error: "in use by another process" in error.reason)


def opened(folder):
    return open_store(f"tinydb:{folder}", clock=FakeClock())


async def fill(folder):
    """One of each kind, texts that are hard to write, holes in the numbers, two segments and rows in none."""
    store = await opened(folder)
    for record in RECORDS:
        fact = DeviceAdded(at=NOW, actor="dana", subject=record.key, location="Oslo")
        await store.save(Change(puts=(record,), events=(fact,)))
    for number, text in enumerate(TEXTS, start=500):
        await store.save(Change(puts=(device(number, notes=text),)))
    await store.seal(NOW, limit=5)
    await store.seal(NOW, limit=3)
    await store.save(Change(puts=(message("gone"),)))
    await store.save(Change(deletes=(await store.get(OutboxMessage, "gone"),)))
    await store.save(Change(puts=(message("last"),)))
    await store.record_seen({"805EC0000001": NOW})
    return store


async def everything(source):
    async with source:
        return {table: [row async for chunk in source.rows(table) for row in chunk] for table in TABLES}


async def carried(source, target, progress=quiet):
    async with source, target:
        return await copy(source, target, progress)


@pytest.fixture
async def full(folder):
    await (await fill(folder)).close()
    return folder


@pytest.fixture
async def file(full, tmp_path):
    path = tmp_path / "all.json"
    await carried(TinySource(full), JsonTarget(path))
    return path


# ------------------------------------------------------------------ from store to store


async def test_a_store_arrives_elsewhere_row_by_row_with_the_same_numbers(full, tmp_path):
    said = []
    counts = await carried(TinySource(full), TinyTarget(tmp_path / "other"), lambda *step: said.append(step))
    there = await everything(TinySource(full))
    assert await everything(TinySource(tmp_path / "other")) == there
    assert counts == {table: len(rows) for table, rows in there.items()}
    assert all(counts[kind.table] for kind in KINDS.values())
    assert {(table, counts[table], counts[table]) for table in TABLES} <= set(said)


async def test_what_arrived_goes_on_like_any_store(full, tmp_path):
    await carried(TinySource(full), TinyTarget(tmp_path / "other"))
    before = await everything(TinySource(full))
    store = await opened(tmp_path / "other")
    try:
        await store.verify(deep=True)
        for record in RECORDS:
            assert await store.get(type(record), record.key) == replace(record, version=1)
        assert (await store.find(Device, site="oslo", limit=100)).rows
        assert await store.seal(NOW) == len(before["audit"]) - 8
        assert len(await store.claim(NOW, timedelta(minutes=1), 10)) == 1  # "m1" and "last" share a lane
        fact = DeviceAdded(at=NOW, actor="dana", subject="x", location="Oslo")
        await store.save(Change(puts=(message("new"),), events=(fact,)))
        await store.verify(deep=True)
    finally:
        await store.close()
    after = await everything(TinySource(tmp_path / "other"))
    assert after["outbox"][-1][0] == before["outbox"][-1][0] + 1
    assert after["audit"][-1][0] == before["audit"][-1][0] + 1


async def test_a_store_with_rows_is_not_filled(full, tmp_path):
    await carried(TinySource(full), TinyTarget(tmp_path / "other"))
    with pytest.raises(TransferFault, match='not empty: there are rows in "devices"'):
        await carried(TinySource(full), TinyTarget(tmp_path / "other"))
    await (await opened(tmp_path / "other")).close()  # it was let go


async def test_an_empty_store_is_filled(full, tmp_path):
    await (await opened(tmp_path / "other")).close()
    assert (await carried(TinySource(full), TinyTarget(tmp_path / "other")))["devices"] == 7 + len(TEXTS)


class Ends(TinySource):
    """A source that ends in the middle: of a table, or with one row less than it said."""

    def __init__(self, folder, how):
        super().__init__(folder)
        self._how = how

    async def rows(self, table):
        async for chunk in super().rows(table):
            if table == "audit" and self._how == "breaks":
                raise OSError("the cable was pulled")
            yield chunk[1:] if table == "operations" and self._how == "lacks" else chunk


@pytest.mark.parametrize(("how", "said"), [("breaks", "cable"), ("lacks", '"operations" has 1 rows .* and 0 where')])
async def test_what_does_not_arrive_whole_leaves_nothing(full, tmp_path, how, said):
    with pytest.raises((OSError, TransferFault), match=said):
        await carried(Ends(full, how), TinyTarget(tmp_path / "other"))
    assert not (tmp_path / "other").exists()
    await (await opened(tmp_path / "there")).close()
    with pytest.raises((OSError, TransferFault)):
        await carried(Ends(full, how), TinyTarget(tmp_path / "there"))
    assert not any((await everything(TinySource(tmp_path / "there"))).values())


async def test_a_broken_chain_is_not_carried_on(full, tmp_path):
    store = await opened(full)
    store.db.table("audit").update({"actor": "mallory"}, doc_ids=[2])
    await store.close()
    with pytest.raises(TransferFault, match="segment 1 of the audit were changed"):
        await carried(TinySource(full), TinyTarget(tmp_path / "other"))


async def test_a_source_holds_one_state_while_the_store_goes_on(folder):
    store = await fill(folder)
    try:
        async with TinySource(folder) as source:
            before = await source.sizes()
            await store.save(Change(puts=(device(9000),)))
            assert await source.sizes() == before
            assert sum([len(chunk) async for chunk in source.rows("devices")]) == before["devices"]
        with in_use():
            await everything(TinySource(folder, alone=True))
    finally:
        await store.close()


async def test_a_source_alone_keeps_the_service_away(full):
    async with TinySource(full, alone=True):
        with in_use():
            await opened(full)
    await (await opened(full)).close()


async def test_a_state_that_is_about_to_be_replaced_is_not_carried_away(full):
    (full / WAITING).touch()
    with pytest.raises(TransferFault, match="A restore waits"):
        await everything(TinySource(full, alone=True))
    (full / WAITING).unlink()
    await (await opened(full)).close()


async def test_where_there_is_no_store_none_is_made(tmp_path):
    with pytest.raises(TransferFault, match="holds no store"):
        await everything(TinySource(tmp_path / "none", alone=True))
    assert not (tmp_path / "none").exists()


def test_counts_are_compared_table_by_table():
    check_counts({"devices": 2}, {"devices": 2, "people": 0})
    with pytest.raises(TransferFault, match='"people" has 1 rows where it comes from and 0 where it went'):
        check_counts({"devices": 2, "people": 1}, {"devices": 2})


def test_an_address_says_which_store_and_is_shown_without_its_password():
    assert folder_of("tinydb:var/store").as_posix() == "var/store"
    assert folder_of("postgresql://bot:secret@db/x") is None
    for url in ("postgresql://bot:secret@db:5432/x?password=secret", "mysql://bot:secret@db/x", "bot:secret@db"):
        assert "secret" not in shown(url)
    assert shown("postgresql://bot:secret@db:5432/x?password=secret") == "postgresql://bot@db:5432/x"
    for url in ("tinydb:", "mysql://bot:secret@db/x", ""):
        with pytest.raises(NoSuchStore, match="names no store") as refused:
            open_source(url)
        assert "secret" not in str(refused.value)


SECRETS = [
    "p/ss",
    "p#ss",
    "p?ss",
    "p@ss",
    "p:ss",
    "12/ss",
    "1?ss",
    "1#s@s",
    "@ss",
    "/ss",
    "ss/",
    "s@s/x",
    "?ss@",
    "p ss",
]


@pytest.mark.parametrize("secret", [*SECRETS, "p ss"])
@pytest.mark.parametrize(
    "place", ["db/x", "db:5432/x", "[::1]:5432/x", "one:1,two:2/x", "", "/x", "db/x?sslmode=require"]
)
def test_no_part_of_a_password_is_shown_whatever_signs_are_in_it(secret, place):
    said = shown(f"postgresql://bot:{secret}@{place}")
    assert said in ("postgresql://…", f"postgresql://bot@{place.partition('?')[0]}")
    assert "ss" not in said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://bot@db.example/x", "postgresql://bot@db.example/x"),
        ("postgres://db:5432", "postgres://db:5432"),
        ("postgresql:///x?host=/var/run&user=bot", "postgresql:///x"),
        ("postgresql://bot:a%40b@%2Frun%2Fdb/x", "postgresql://bot@%2Frun%2Fdb/x"),
        ("postgresql://bot:s@one:5432,[::1]:5433/x?a=b", "postgresql://bot@one:5432,[::1]:5433/x"),
        ("postgresql://bot:secret", "postgresql://…"),
        ("postgresql://bot@db:secret/x", "postgresql://…"),
        ("postgresql://db/x?password=s@cret", "postgresql://…"),
        ("postgresql://db/s@cret", "postgresql://…"),
        ("postgresql://bot:secret@db/x/secret", "postgresql://…"),
        ("bot:secret@db://x", "…"),
        ("bot:secret@db", "…"),
        ("mysql://bot:secret@db/x", "mysql://bot@db/x"),
    ],
)
def test_an_address_is_shown_only_where_it_can_be_read_in_one_way(url, said):
    assert shown(url) == said


# ------------------------------------------------------------------ JSON


def codeless(tables):
    return tables | {
        "devices": [(number, plain | _device_without_code(plain)) for number, plain in tables["devices"]],
        "uploads": [(number, plain | {"codes": 0}) for number, plain in tables["uploads"]],
        "upload_parts": [(number, plain | _rows_without_code(plain)) for number, plain in tables["upload_parts"]],
    }


def _device_without_code(plain):
    sign_in = plain["sign_in"]
    ended = sign_in if sign_in and sign_in["ended_at"] else None
    return {"code": None, "retry_key": "", "retry_until": None, "sign_in": ended}


def _rows_without_code(part):
    return {name: [row | {"code": ""} for row in part[name]] for name in ("rows", "bad")}


async def test_a_file_comes_back_as_it_went(full, file, tmp_path):
    await carried(JsonSource(file), TinyTarget(tmp_path / "other"))
    assert await everything(TinySource(tmp_path / "other")) == codeless(await everything(TinySource(full)))
    store = await opened(tmp_path / "other")
    try:
        await store.verify(deep=True)
        assert await store.seal(NOW) > 0
        await store.verify(deep=True)
    finally:
        await store.close()


async def test_stock_tinydb_opens_the_file(file):
    with TinyDB(file) as db:
        assert db.tables() == {ABOUT, *TABLES}
        found = db.table("devices").get(Query().notes == TEXTS[0])
        assert found["mac"] == device(500).mac
        assert len(db.table("audit")) == len(RECORDS)


async def test_a_file_that_stock_tinydb_wrote_is_taken(file, tmp_path):
    with TinyDB(file) as db:
        db.table("devices").update({"notes": "seen to"}, Query().mac == device(500).mac)
        db.insert({"a note": "of one's own"})
        db.drop_table("_default")
    await carried(JsonSource(file), TinyTarget(tmp_path / "other"))
    store = await opened(tmp_path / "other")
    try:
        assert (await store.get(Device, device(500).mac)).notes == "seen to"
        await store.verify(deep=True)
    finally:
        await store.close()


async def test_only_its_owner_may_read_the_file_and_no_other_is_overwritten(full, file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    with pytest.raises(TransferFault, match="is there already"):
        await carried(TinySource(full), JsonTarget(file))
    with pytest.raises(OSError, match="cable"):
        await carried(Ends(full, "breaks"), JsonTarget(file, force=True))
    assert (file.read_bytes(), list(file.parent.glob("*.part"))) == (before, [])
    await carried(TinySource(full), JsonTarget(file, force=True))
    assert file.read_bytes() == before


def changed(file, change):
    data = json.loads(file.read_text("utf-8"))
    change(data)
    file.write_text(json.dumps(data), "utf-8")


def put(table, row, **fields):
    return lambda data: data[table][row].update(fields)


def renumber(table, row):
    return lambda data: data[table].update({row: data[table].pop("1")})


def nested(depth):
    inner = "ü"
    for _ in range(depth):
        inner = [inner]
    return inner


BAD = {
    "no number": (lambda d: d["devices"].update({"x": {}}), r'row x of "devices".*numbered'),
    "no document": (lambda d: d["devices"].update({"1": 5}), r'row 1 of "devices".*no document'),
    "no table": (lambda d: d.update(devices=[]), r'"devices" is no table'),
    "a table of others": (lambda d: d.update(invoices={}), '"invoices" that is not known'),
    "a field is missing": (lambda d: d["devices"]["2"].pop("location"), 'row 2 of "devices".*location'),
    "a field of another type": (put("devices", "1", location=5), 'row 1 of "devices".*location cannot be 5'),
    "a sign-in's stage": (put("devices", "1", sign_in={"stage": "lost"}), r'row 1 of "devices".*lost'),
    "a sign-in's pause": (put("devices", "1", sign_in={"interval": "5"}), r'row 1 of "devices".*sign_in\.interval'),
    "a sign-in that is none": (put("devices", "1", sign_in=5), r'row 1 of "devices".*sign_in cannot be 5'),
    "an inner field": (put("devices", "1", code={"issue": "x"}), r'row 1 of "devices".*code\.issue'),
    "rows of one's own": (lambda d: d.update(_default={"1": {"a": 1}}), '"_default", which are not carried'),
    "row 0": (lambda d: d["devices"].update({"0": d["devices"].pop("1")}), 'row 0 of "devices".*numbered'),
    "a negative row": (lambda d: d["devices"].update({"-1": d["devices"].pop("1")}), 'row -1 of "devices".*numbered'),
    "a row beyond 2^53": (renumber("audit", str(2**53 + 1)), 'row 9007199254740993 of "audit".*numbered'),
    "a row that no store can follow": (renumber("devices", str(2**63 - 1)), "numbered"),
    "a row of many digits": (renumber("devices", "1" * 5000), r'row 1{20} of "devices".*numbered'),
    "a row in other digits": (renumber("devices", "٣٣"), "numbered"),
    "a version beyond 2^53": (put("devices", "1", version=2**53 + 1), 'row 1 of "devices".*larger than 2.53'),
    "a count beyond 64 bits": (put("devices", "1", issued=2**70), 'row 1 of "devices".*larger than 2.53'),
    "a number of many digits": (put("devices", "1", issued=int("1" * 4000)), 'row 1 of "devices".*larger than 2.53'),
    "a segment's end": (put("segments", "1", last=2**70), 'row 1 of "segments".*larger than 2.53'),
    "a field unknown, its number too large": (put("devices", "1", junk=[{"a": -(2**60)}]), "larger than 2.53"),
    "nested": (lambda d: d["devices"]["1"].update(junk=nested(33)), 'row 1 of "devices".*nested too deeply'),
    "nested as deep as JSON goes": (lambda d: d["devices"]["1"].update(junk=nested(900)), "nested too deeply"),
    "a MAC that is none": (put("devices", "1", mac="../../etc"), 'row 1 of "devices"'),
    "a MAC written otherwise": (put("devices", "1", mac="80:5e:c0:00:00:01"), 'row 1 of "devices".*mac cannot be'),
    "a call's MAC": (put("seen", "1", mac="805ec0000001"), 'row 1 of "seen".*mac cannot be'),
    "a time before all": (put("devices", "1", added_at="0001-01-01T00:00:00+14:00"), 'row 1 of "devices"'),
    "a time that nothing comes after": (put("people", "1", asked_at="9999-12-31T23:00:00Z"), 'row 1 of "people"'),
    "a fact without a name": (put("audit", "1", event=[1]), 'row 1 of "audit".*event'),
    "format yes": (put(ABOUT, "1", format=True), "not written by export-json"),
    "format 0": (put(ABOUT, "1", format=0), "not written by export-json"),
    "format -5": (put(ABOUT, "1", format=-5), "not written by export-json"),
    "format 1.0": (put(ABOUT, "1", format=1.0), "not written by export-json"),
    "a list": (put("devices", "1", tags="lobby"), 'row 1 of "devices".*tags'),
    "a state": (put("devices", "1", state="lost"), 'row 1 of "devices".*lost'),
    "a time": (put("devices", "1", added_at="today"), 'row 1 of "devices".*today'),
    "a time without zone": (put("devices", "1", added_at="2026-03-02T08:00:00"), 'row 1 of "devices".*added_at'),
    "a yes or no": (put("people", "1", guest="no"), 'row 1 of "people".*guest'),
    "a version": (put("devices", "1", version=0), 'row 1 of "devices".*version'),
    "twice the same": (lambda d: d["devices"].update({"99": d["devices"]["1"]}), 'row 99 of "devices".*twice'),
    "hostile text": (put("devices", "1", notes="a\x00b"), 'row 1 of "devices"'),
    "too long": (put("devices", "1", location="x" * 3000), 'row 1 of "devices"'),
    "a fact": (lambda d: d["audit"]["3"].pop("at"), 'row 3 of "audit".*at'),
    "a fact that was changed": (put("audit", "3", actor="mallory"), "segment 1 of the audit"),
    "a call": (put("seen", "1", at=5), 'row 1 of "seen".*at cannot be 5'),
    "newer": (put(ABOUT, "1", format=3), "newer version"),
    "not ours": (lambda d: d.pop(ABOUT), "not written by export-json"),
    "not ours at all": (lambda d: d.update({ABOUT: 5}), "not written by export-json"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_file_is_refused_and_leaves_nothing(file, tmp_path, case):
    change, said = BAD[case]
    changed(file, change)
    with pytest.raises(TransferFault, match=f"(?s){said}"):
        await carried(JsonSource(file), TinyTarget(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


TWICE = {
    "a row": ('"devices": {', '"devices": {"1": {"mac": "lost"},', '"1" is there twice'),
    "a table": ('"devices": {', '"devices": {}, "devices": {', '"devices" is there twice'),
    "a field": ('"mac": ', '"mac": "805EC0000001", "mac": ', '"mac" is there twice'),
    "NaN": ('"issued": ', '"issued": NaN, "junk": ', "no JSON: NaN"),
    "-Infinity": ('"issued": ', '"issued": -Infinity, "junk": ', "no JSON: -Infinity"),
    "1e999": ('"issued": ', '"issued": 1e999, "junk": ', "larger than 2.53"),
}


@pytest.mark.parametrize("case", TWICE)
async def test_a_file_that_can_be_read_in_two_ways_is_refused(file, tmp_path, case):
    old, new, said = TWICE[case]
    text = json.dumps(json.loads(file.read_text("utf-8")))
    file.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(TransferFault, match=said):
        await carried(JsonSource(file), TinyTarget(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


ODD = {
    "the last row there is": renumber("devices", str(2**53)),
    "the last message there is": renumber("outbox", str(2**53)),
    "the last fact there is": lambda d: (d["segments"].clear(), renumber("audit", str(2**53))(d)),
    "the last version there is": put("devices", "1", version=2**53),
    "a field unknown, nested": lambda d: d["devices"]["1"].update(junk=nested(30)),
    "half an emoji's worth of escapes": put("devices", "1", notes="\\ud83d\\u0000 spelt out"),
    "negative numbers": put("devices", "1", life=-7, issued=-(2**53)),
    "a fact that is not known": lambda d: (d["segments"].clear(), put("audit", "1", event="nope")(d)),
    "no segments": lambda d: d["segments"].clear(),
    "nothing": lambda d: [d[table].clear() for table in TABLES],
}


@pytest.mark.parametrize("case", ODD)
async def test_whatever_is_taken_makes_a_store_that_works(file, tmp_path, case):
    changed(file, ODD[case])
    await carried(JsonSource(file), TinyTarget(tmp_path / "other"))
    store = await opened(tmp_path / "other")
    try:
        fact = DeviceAdded(at=NOW, actor="dana", subject="x", location="Oslo")
        await store.save(Change(puts=(device(9000), message("new")), events=(fact,)))
        for row in (await store.find(Device, limit=100)).rows:
            await store.save(Change(puts=(row,)))
        assert await store.claim(NOW, timedelta(minutes=1), 10)
        assert await store.seal(NOW) > 0
        await store.verify(deep=True)
    finally:
        await store.close()
    before = codeless(await everything(TinySource(tmp_path / "other")))
    assert before["devices"][-1][1]["mac"] == device(9000).mac


# ------------------------------------------------------------------ codes do not travel in a file


async def test_a_file_holds_no_code(full, file):
    coded = [plain for _, plain in (await everything(TinySource(full)))["devices"] if plain["code"]]
    assert coded
    text = file.read_text("utf-8")
    for plain in coded:
        assert plain["token"] in text
    assert f'"{coded[0]["code"]["sealed"]}"' not in text
    assert not re.search('"digest": ?"', text)  # the hash of a code; that of a person's settings is an hour, or none
    assert set(re.findall('"sealed": ?([^,}]*)', text)) == {'""'}  # of a sign-in that ended
    assert "Codes are left out" in json.loads(text)[ABOUT]["1"]["codes"]
    for plain in json.loads(text)["upload_parts"].values():
        assert {row["code"] for row in (*plain["rows"], *plain["bad"])} == {""}
    for plain in json.loads(text)["devices"].values():
        assert (plain["code"], plain["retry_key"], plain["retry_until"]) == (None, "", None)
        assert not plain["sign_in"] or plain["sign_in"]["stage"] == "wrong_account"


async def test_a_code_in_a_file_does_not_come_to_life(full, file, tmp_path):
    (coded, *_) = [plain for _, plain in (await everything(TinySource(full)))["devices"] if plain["code"]]
    row = next(r for r, plain in json.loads(file.read_text("utf-8"))["devices"].items() if plain["mac"] == coded["mac"])
    changed(file, put("devices", row, code=coded["code"], retry_key="ab", retry_until=NOW.isoformat()))
    await carried(JsonSource(file), TinyTarget(tmp_path / "other"))
    store = await opened(tmp_path / "other")
    try:
        found = await store.get(Device, coded["mac"])
        assert (found.code, found.retry_key, found.retry_until) == (None, "", None)
        assert (found.issued, found.token) == (coded["issued"], coded["token"])
        assert await store.count(Device, span=Span("code_until")) == 0
    finally:
        await store.close()


async def test_a_sign_in_that_is_under_way_does_not_go_on_from_a_file(file, tmp_path):
    *_, asked, shown, ended = of_remote()
    rows = {plain["mac"]: row for row, plain in json.loads(file.read_text("utf-8"))["devices"].items()}
    for each in (asked, shown):
        changed(file, put("devices", rows[each.mac], sign_in=encode(each)["sign_in"]))
    await carried(JsonSource(file), TinyTarget(tmp_path / "other"))
    store = await opened(tmp_path / "other")
    try:
        assert [(await store.get(Device, each.mac)).sign_in for each in (asked, shown)] == [None, None]
        assert (await store.get(Device, ended.mac)).sign_in == ended.sign_in
        assert await store.count(Device, span=Span("sign_in_until")) == 0
    finally:
        await store.close()


async def test_who_is_silent_is_known_wherever_a_store_goes(folder, tmp_path, database):
    """File, PostgreSQL, JSON, file."""
    store = await opened(folder)
    calls = {device(n).mac: NOW - timedelta(minutes=n) for n in range(5)}
    await store.record_seen(calls)
    await store.close()
    file, back = tmp_path / "x.json", tmp_path / "back"
    await carried(TinySource(folder), PostgresTarget(database))
    await carried(PostgresSource(database), JsonTarget(file))
    await carried(JsonSource(file), TinyTarget(back))
    for url in (database, f"tinydb:{back}"):
        store = await open_store(url, clock=FakeClock())
        assert (await store.silent(None, NOW)).rows == tuple(reversed(calls.items()))
        await store.verify(deep=True)
        await store.close()


async def test_a_code_of_a_row_does_not_come_to_life_either(file, tmp_path):
    (row, part), *_ = json.loads(file.read_text("utf-8"))["upload_parts"].items()
    changed(file, put("upload_parts", row, rows=[part["rows"][0] | {"code": "c2VhbGVk"}]))
    await carried(JsonSource(file), TinyTarget(tmp_path / "other"))
    ((_, kept),) = (await everything(TinySource(tmp_path / "other")))["upload_parts"]
    assert kept["rows"][0]["code"] == ""


async def test_what_hides_in_one_store_hides_in_the_next(tmp_path, database):
    """File, PostgreSQL, file; and through a JSON file."""
    store = await opened(tmp_path / "first")
    await store.save(Change(puts=(import_of("i", hides=True), device(1, batch="i"), device(2, tags=("x",)))))
    await store.close()
    file, away, back = tmp_path / "x.json", tmp_path / "away", tmp_path / "back"
    await carried(TinySource(tmp_path / "first"), PostgresTarget(database))
    await carried(PostgresSource(database), JsonTarget(file))
    await carried(JsonSource(file), TinyTarget(away))
    await carried(TinySource(away), TinyTarget(back))
    for url in (database, f"tinydb:{back}"):
        store = await open_store(url, clock=FakeClock())
        assert [row.mac for row in (await store.find(Device)).rows] == [device(2).mac]
        assert sum(row.count for row in await store.tally()) == await store.count(Device, tag="x") == 1
        await store.verify(deep=True)
        batch = await store.get(Batch, "i")
        await store.save(Change(puts=(replace(batch, hides=False),)))
        assert sum(row.count for row in await store.tally()) == await store.count(Device) == 2
        await store.close()


@pytest.mark.parametrize(
    "text", ["", "[]", "5", "null", '{"devices": ', "not json", '{"a": NaN}', "[" * 100_000, "\xff"]
)
async def test_what_is_no_file_of_ours_is_refused(tmp_path, text):
    file = tmp_path / "x.json"
    file.write_text(text, "latin-1")
    with pytest.raises(TransferFault, match=r"x\.json"):
        await everything(JsonSource(file))


async def test_a_file_that_is_cut_anywhere_is_refused(file):
    whole = file.read_bytes()
    for length in range(0, len(whole) - 2, 97):
        file.write_bytes(whole[:length])
        with pytest.raises(TransferFault, match="cut short"):
            await everything(JsonSource(file))


async def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TransferFault, match=r"none\.json cannot be read"):
        await everything(JsonSource(tmp_path / "none.json"))


async def test_long_tables_go_in_chunks(folder, tmp_path, monkeypatch):
    for module in (json_transfer, transfer):
        monkeypatch.setattr(module, "CHUNK", 3)
    await (await fill(folder)).close()
    await carried(TinySource(folder), JsonTarget(tmp_path / "x.json"))
    steps = []
    await carried(JsonSource(tmp_path / "x.json"), TinyTarget(tmp_path / "other"), lambda *step: steps.append(step))
    assert len([step for step in steps if step[0] == "audit"]) > 3
