"""What TinyDB's documentation promises, on stock TinyDB and on ours: the same calls, the same answers."""

import json
from datetime import timedelta

import pytest
from tinydb import Query, TinyDB, where
from tinydb.operations import add, delete, increment
from tinydb.storages import MemoryStorage
from tinydb.table import Document

from provisioning.errors import Duplicate
from provisioning.model import Change, Device, stored
from storage.kinds import KINDS
from storage.records import encode
from storage.tinydb_engine import RowDB
from storage.tinydb_layout import LAYOUTS
from storage.tinydb_query import equality
from tests.storage.samples import NOW, device, one_of_each

User = Query()


@pytest.fixture(params=["stock", "ours"])
def db(request, folder):
    with TinyDB(storage=MemoryStorage) if request.param == "stock" else RowDB(folder, layouts=()) as opened:
        yield opened


@pytest.fixture
def people(db):
    db.insert_multiple(
        [
            {"name": "Ann", "age": 31, "langs": ["en", "no"], "home": {"city": "Oslo"}},
            {"name": "Bo", "age": 17, "langs": [], "home": {"city": "Bergen"}},
            {"name": "Cy", "age": 44},
        ]
    )
    return db


def test_insert_gives_ids_that_count_up(db):
    assert [db.insert({"n": n}) for n in range(3)] == [1, 2, 3]
    assert db.insert_multiple({"n": n} for n in range(2)) == [4, 5]
    assert len(db) == 5
    assert [doc.doc_id for doc in db] == [1, 2, 3, 4, 5]


def test_a_document_may_bring_its_id(db):
    assert db.insert(Document({"n": 1}, doc_id=12)) == 12
    assert db.insert({"n": 2}) == 13
    with pytest.raises(ValueError, match="12"):
        db.insert(Document({"n": 3}, doc_id=12))
    assert db.get(doc_id=12) == {"n": 1}


def test_only_mappings_are_documents(db):
    with pytest.raises(ValueError, match="Mapping"):
        db.insert([1, 2])
    with pytest.raises(ValueError, match="Mapping"):
        db.insert_multiple([{"n": 1}, 2])


def test_search_and_get(people):
    assert [doc["name"] for doc in people.search(User.age > 18)] == ["Ann", "Cy"]
    assert people.get(User.name == "Bo").doc_id == 2
    assert people.get(User.name == "Nobody") is None
    assert people.get(doc_id=3)["name"] == "Cy"
    assert people.get(doc_id=99) is None
    assert [doc["name"] for doc in people.get(doc_ids=[3, 1, 99])] == ["Ann", "Cy"]
    with pytest.raises(RuntimeError):
        people.get()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (User.home.city == "Oslo", "Ann"),
        (User["name"] != "Ann", "Bo Cy"),
        (where("age") <= 31, "Ann Bo"),
        (User.home.exists(), "Ann Bo"),
        (User.name.matches("[AB]"), "Ann Bo"),
        (User.name.search("y"), "Cy"),
        (User.name.test(lambda name: len(name) == 2), "Bo Cy"),
        (User.langs.any(["no"]), "Ann"),
        (User.langs.all(["en"]), "Ann"),
        (User.name.one_of(["Bo", "Cy"]), "Bo Cy"),
        ((User.name == "Ann") | (User.name == "Cy"), "Ann Cy"),
        ((User.name == "Ann") & (User.age == 31), "Ann"),
        (~(User.name == "Ann"), "Bo Cy"),
        (User.fragment({"age": 17}), "Bo"),
        (User.noop(), "Ann Bo Cy"),
        (lambda doc: doc["age"] == 44, "Cy"),
    ],
)
def test_every_kind_of_query(people, query, names):
    assert [doc["name"] for doc in people.search(query)] == names.split()
    assert people.count(query) == len(names.split())
    assert people.contains(query)


def test_update(people):
    assert people.update({"age": 18}, User.name == "Bo") == [2]
    assert people.update(increment("age"), doc_ids=[1, 99]) == [1]
    assert people.update(delete("langs"), User.langs.exists()) == [1, 2]
    assert people.update({"seen": True}) == [1, 2, 3]
    assert people.all() == [
        {"name": "Ann", "age": 32, "home": {"city": "Oslo"}, "seen": True},
        {"name": "Bo", "age": 18, "home": {"city": "Bergen"}, "seen": True},
        {"name": "Cy", "age": 44, "seen": True},
    ]


def test_update_multiple(people):
    assert people.update_multiple([({"age": 1}, User.name == "Ann"), (add("age", 2), User.name == "Cy")]) == [1, 3]
    assert [doc["age"] for doc in people] == [1, 17, 46]


def test_an_update_that_fails_changes_nothing(people):
    def spoil(doc):
        doc["age"] = -1
        if doc["name"] == "Cy":
            raise KeyError("spoiled")

    before = json.loads(json.dumps(people.all()))
    with pytest.raises(KeyError):
        people.update(spoil, User.age > 0)
    if isinstance(people, RowDB):  # stock TinyDB has mutated its own copy by then
        assert people.all() == before


def test_upsert(people):
    assert people.upsert({"name": "Bo", "age": 20}, User.name == "Bo") == [2]
    assert people.upsert({"name": "Di"}, User.name == "Di") == [4]
    assert people.upsert(Document({"name": "Eve"}, doc_id=9)) == [9]
    assert people.get(User.name == "Bo")["age"] == 20
    assert [doc.doc_id for doc in people] == [1, 2, 3, 4, 9]
    with pytest.raises(ValueError, match="doc_id"):
        people.upsert({"name": "Flo"})


def test_remove_and_truncate(people):
    assert people.remove(User.age > 40) == [3]
    assert people.remove(doc_ids=[1, 99]) == [1]
    assert [doc.doc_id for doc in people] == [2]
    with pytest.raises(RuntimeError):
        people.remove()
    people.truncate()
    assert len(people) == 0
    assert people.insert({"name": "New"}) == 1


def test_tables_stand_apart(db):
    assert db.tables() == set()
    for name in ("A", "a", 'odd "name"; --', "ünï"):
        db.table(name).insert({"of": name})
    assert db.tables() == {"A", "a", 'odd "name"; --', "ünï"}
    assert all(db.table(name).all() == [{"of": name}] for name in db.tables())
    db.drop_table("A")
    db.drop_table("never there")
    assert db.tables() == {"a", 'odd "name"; --', "ünï"}
    assert len(db.table("A")) == 0
    db.drop_tables()
    assert db.tables() == set()


def test_the_default_table(db):
    db.insert({"n": 1})
    assert db.table(db.default_table_name).all() == [{"n": 1}]
    assert "_default" in repr(db)


def test_storage_read_and_write_know_the_whole(db):
    db.insert({"n": 1})
    db.table("other").insert({"n": 2})
    whole = db.storage.read()
    assert json.loads(json.dumps(whole)) == {"_default": {"1": {"n": 1}}, "other": {"1": {"n": 2}}}
    db.storage.write({"third": {"7": {"n": 3}}})
    assert db.tables() == {"third"}
    assert db.table("third").get(doc_id=7) == {"n": 3}


# ------------------------------------------------------------------ ours alone


def test_documents_are_there_after_opening_again(folder):
    with RowDB(folder, layouts=()) as db:
        db.insert({"n": 1})
        db.table("other").insert({"n": 2})
    with RowDB(folder, layouts=()) as db:
        assert db.all() == [{"n": 1}]
        assert db.insert({"n": 3}) == 2


def test_a_document_that_is_no_json_is_refused_whole(folder):
    with RowDB(folder, layouts=()) as db:
        with pytest.raises(TypeError):
            db.insert_multiple([{"n": 1}, {"n": object()}])
        assert db.all() == []


async def test_somebody_looks_on_beside_the_running_service(file_store, folder):
    await file_store.save(Change(puts=one_of_each()))
    with RowDB(folder, read_only=True) as db:
        assert db.table("devices").get(Query().location == "Oslo/2F/Møterom 2.14")["account"] == "Room-2.14@contoso.com"
        await file_store.save(Change(puts=(device(7, notes="new"),)))
        assert db.table("devices").count(Query().notes == "new") == 1
        with pytest.raises(PermissionError, match="reading"):
            db.table("devices").remove(Query().notes == "new")


async def test_somebody_looks_on_while_nothing_runs(file_store, folder):
    await file_store.save(Change(puts=(device(1),)))
    await file_store.close()
    with RowDB(folder, read_only=True) as db:
        assert len(db.table("devices")) == 1


async def test_the_running_store_is_a_tinydb(file_store):
    await file_store.save(Change(puts=(device(1), device(2, "Bergen/1"))))
    assert isinstance(file_store.db, TinyDB)
    devices = file_store.db.table("devices")
    assert devices.get(Query().mac == device(1).mac) == encode(stored(device(1)))

    assert devices.update({"location": "Moss/1"}, Query().location == "Bergen/1") == [2]
    moved = await file_store.get(Device, device(2).mac)
    assert (moved.location, moved.version) == ("Moss/1", 2)
    assert (await file_store.find(Device, site="moss")).rows == (moved,)
    assert [row.site for row in await file_store.tally()] == ["moss", "oslo"]

    assert devices.insert(encode(device(3, "Oslo/3"))) == 3
    with pytest.raises(Duplicate):
        devices.insert(encode(device(3)))
    assert devices.remove(Query().mac == device(1).mac) == [1]
    assert await file_store.count(Device, site="oslo") == 1
    await file_store.verify(deep=True)


async def test_a_call_noted_by_tinydb_itself_is_found_by_its_time(file_store):
    early, late = NOW - timedelta(days=9), NOW + timedelta(days=9)
    await file_store.record_seen({device(1).mac: NOW})
    seen = file_store.db.table("seen")
    assert seen.update({"at": late.isoformat()}, Query().mac == device(1).mac) == [1]
    seen.insert({"mac": device(2).mac, "at": early.isoformat()})
    assert (await file_store.silent(None, NOW)).rows == ((device(2).mac, early),)
    assert (await file_store.silent(NOW, late)).rows == ((device(1).mac, late),)
    await file_store.verify(deep=True)


PLANNED = [
    (layout.table, field, value)
    for layout in LAYOUTS
    for field in sorted(layout.plannable)
    for value in (
        "Oslo",
        "oslo",
        "",
        "kim",
        "Kim@Contoso.com",
        "waiting",
        "edit",
        "805EC000A1B2",
        "b1",
        True,
        False,
        None,
    )
]


async def test_a_planned_query_finds_what_reading_every_row_finds(file_store):
    await file_store.save(Change(puts=one_of_each()))
    unplanned = {"rollouts", "leases", "segments"}  # none of their indexes is a field of the document
    assert {table for table, _, _ in PLANNED} >= {kind.table for kind in KINDS.values()} - unplanned
    for table, field, value in PLANNED:
        rows = file_store.db.table(table)
        values = {value, *(str(doc[field]) for doc in rows if isinstance(doc.get(field), str))}
        for each in values:
            for query in (where(field) == each, (where(field) == each) & (where("version") == 1)):
                assert rows.search(query) == [doc for doc in rows if query(doc)], (table, field, each)


def test_a_planner_sees_only_what_every_match_must_have():
    both = (User.a == 1) & (User.b == "x") & (User.c > 2)
    assert equality(both) == {"a": 1, "b": "x"}
    for query in ((User.a == 1) | (User.b == 2), ~(User.a == 1), User.a.b == 1, User.a != 1, lambda doc: True):
        assert equality(query) == {}


async def test_a_planned_query_reads_few_rows(file_store):
    await file_store.save(Change(puts=tuple(device(n) for n in range(300))))
    asked = 0

    class Counting(type(where("mac") == device(7).mac)):
        def __call__(self, doc):
            nonlocal asked
            asked += 1
            return super().__call__(doc)

    plain = where("mac") == device(7).mac
    query = Counting(plain._test, plain._hash)
    assert len(file_store.db.table("devices").search(query)) == 1
    assert asked == 1
