"""Each question is led to its rows by the one index that tells most; no page is sorted, none is counted off."""

from datetime import timedelta

import pytest

from provisioning.messages import OutboxMessage
from provisioning.model import Device
from provisioning.ports import Span
from storage.kinds import INDEXES, KINDS
from storage.records import micros
from storage.tinydb_engine import RowDB
from storage.tinydb_store import TinyStore
from tests.fakes import FakeClock
from tests.storage.samples import NOW

HOUR = timedelta(hours=1)


class OneThreadStore(TinyStore):
    """Reads everything in the thread that asks, where the test can listen."""

    async def _in_thread(self, read):
        return read()


@pytest.fixture
async def file_store(folder):
    store = OneThreadStore(RowDB(folder), FakeClock())
    yield store
    await store.close()


async def plan(store, ask):
    """How SQLite goes about the question that `ask` puts to it."""
    said = []
    connection = store.db.rows.file.reader()
    connection.set_trace_callback(said.append)
    await ask
    connection.set_trace_callback(None)
    return " · ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {said[-1]}"))


EQUALS = [(kind, name) for kind, names in INDEXES.items() for name in names if name != "text"]


@pytest.mark.parametrize(("kind", "name"), EQUALS, ids=[f"{kind.__name__}-{name}" for kind, name in EQUALS])
async def test_a_page_by_one_index_walks_that_index_in_order(file_store, kind, name):
    value = True if name in KINDS[kind].flags else "x"
    said = await plan(file_store, file_store.find(kind, after="5", **{name: value}))
    assert f"USING INDEX {KINDS[kind].table}.{name}" in said
    assert "TEMP B-TREE" not in said


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ({"site": "x", "state": "x", "removed": False}, "site"),
        ({"state": "x", "technician": "x", "open": True}, "technician_open"),
        ({"technician": "x", "open": True, "removed": False}, "technician_open"),
        ({"technician": "x", "open": False}, "technician "),
        ({"technician": "x", "open": True, "removed": False, "span": Span("provisioned_at")}, "technician_open"),
        ({"span": Span("hashed_until", until=NOW), "site": "x", "state": "x", "open": True}, "site_hashed"),
        ({"span": Span("offline_since"), "site": "x", "removed": False}, "site_offline"),
        ({"span": Span("provisioned_at", until=NOW), "state": "x", "removed": False}, "state"),
        ({"span": Span("provisioned_at", after=NOW), "state": "x", "removed": False}, "provisioned_at"),
        ({"technician": "x", "suffix": "x"}, "suffix"),
        ({"site": "x", "problem": True}, "site_problem"),
        ({"site": "x", "problem": True, "removed": False}, "site_problem"),
        ({"span": Span("code_until", after=NOW), "removed": False}, "live"),
        ({"span": Span("code_until", after=NOW), "removed": False, "site": "x"}, "site_live"),
        ({"span": Span("code_until", after=NOW), "removed": False, "technician": "x"}, "technician"),
        ({"contains": "x", "removed": False}, "words"),
        ({"removed": False, "state": "x", "open": True}, "state"),
        ({"removed": False, "installed": True}, "installed"),
        ({"removed": False}, "ord"),
        ({"contains": "x"}, "ord"),
        ({}, "ord"),
        ({"span": Span("code_until", until=NOW)}, "code_until"),
        ({"span": Span("code_until", until=NOW), "removed": False}, "code_until"),
        ({"span": Span("code_until", until=NOW), "technician": "x"}, "technician"),
        ({"span": Span("sign_in_until", until=NOW)}, "sign_in_until"),
        ({"span": Span("offline_since"), "removed": False}, "offline_since"),
        ({"span": Span("provisioned_at", until=NOW), "removed": False}, "provisioned_at"),
        ({"stale": True, "removed": False, "site": "x"}, "stale"),
    ],
    ids=str,
)
async def test_the_most_telling_index_leads(file_store, question, index):
    said = await plan(file_store, file_store.find(Device, **question))
    assert f"USING INDEX devices.{index}" in said
    assert said.count("INDEX devices.") == 1


@pytest.mark.parametrize("more", [{}, {"site": "x"}, {"technician": "x", "removed": False}, {"contains": "x"}], ids=str)
async def test_a_page_by_tag_walks_the_devices_that_have_it(file_store, more):
    said = await plan(file_store, file_store.find(Device, tag="x", after="5", **more))
    assert "SEARCH tagged USING PRIMARY KEY (tag=? AND place>?) · SEARCH doc:devices USING INTEGER PRIMARY KEY" in said
    assert "TEMP B-TREE" not in said


async def test_a_device_with_one_name_is_looked_at_for_its_tag(file_store):
    said = await plan(file_store, file_store.find(Device, tag="x", suffix="1234"))
    assert "USING INDEX devices.suffix" in said
    assert "SEARCH tagged USING PRIMARY KEY (tag=? AND place=?)" in said


async def test_many_records_are_looked_up_one_by_one(file_store):
    said = await plan(file_store, file_store.get_many(Device, ["a", "b"]))
    assert "devices_1 (key=?)" in said
    assert "SCAN doc:devices" not in said


@pytest.mark.parametrize(
    "more", [{}, {"site": "x"}, {"technician": "x"}, {"site": "x", "technician": "x"}], ids="-".join
)
async def test_live_codes_are_counted_without_looking_at_devices(file_store, more):
    asked = file_store.count(Device, span=Span("code_until", after=NOW), removed=False, **more)
    assert "COVERING INDEX devices.live_count" in await plan(file_store, asked)


async def test_what_a_technician_has_left_and_did_is_counted_without_looking_at_devices(file_store):
    mine = {"technician": "x", "removed": False}
    said = await plan(file_store, file_store.count(Device, open=True, **mine))
    assert "COVERING INDEX devices.technician_open" in said
    said = await plan(file_store, file_store.count(Device, span=Span("installed_at", after=NOW), **mine))
    assert "COVERING INDEX devices.technician_installed (ix_technician=? AND ix_installed_at>?)" in said


@pytest.mark.parametrize("index", ["provisioned_at", "installed_at"])
@pytest.mark.parametrize("more", [{}, {"site": "x"}], ids=str)
async def test_a_timeline_is_counted_without_looking_at_devices(file_store, index, more):
    said = await plan(file_store, file_store.timeline(index, NOW, NOW + HOUR, HOUR, **more))
    assert f"COVERING INDEX devices.{index}_count" in said
    assert (f"(ix_site=? AND ix_{index}>? AND ix_{index}<?)" in said) == bool(more)


async def test_a_timeline_of_few_devices_begins_with_them(file_store):
    said = await plan(file_store, file_store.timeline("installed_at", NOW, NOW + HOUR, HOUR, tag="x"))
    assert "SEARCH tagged USING PRIMARY KEY (tag=?) · SEARCH doc:devices USING INTEGER PRIMARY KEY" in said
    said = await plan(file_store, file_store.timeline("installed_at", NOW, NOW + HOUR, HOUR, technician="x"))
    assert "USING INDEX devices.technician" in said


async def test_listed_devices_are_counted_by_their_tally(file_store):
    for more in ({}, {"site": "x"}, {"state": "signed_in"}, {"site": "x", "open": True}, {"problem": False}):
        said = await plan(file_store, file_store.count(Device, removed=False, **more))
        assert "devices" not in said


async def test_the_outbox_looks_at_waiting_rows_alone(file_store):
    said = await plan(file_store, file_store.next_due())
    assert "outbox.due" in said
    assert "outbox.heads" in said
    assert "TEMP B-TREE" not in said
    assert "outbox.unique" in await plan(file_store, file_store.find(OutboxMessage, unique="x", status="waiting"))


@pytest.mark.parametrize(
    ("after", "beyond", "begins"),
    [
        (None, None, "at<?"),
        (NOW, None, "at>? AND at<?"),
        (NOW, f"{micros(NOW)} x", "at>? AND at<?"),
        (None, f"{micros(NOW)} x", "(at,key)>(?,?) AND at<?"),
        (NOW, f"{micros(NOW) + 1} x", "(at,key)>(?,?) AND at<?"),
    ],
    ids=str,
)
async def test_a_page_of_silent_devices_begins_where_the_one_before_ended(file_store, after, beyond, begins):
    said = await plan(file_store, file_store.silent(after, NOW, beyond=beyond))
    assert f"USING INDEX seen.at ({begins})" in said
    assert "TEMP B-TREE" not in said


async def test_readers_of_all_facts_go_by_number(file_store):
    assert "PRIMARY KEY (rowid>?)" in await plan(file_store, file_store.facts(5))


async def test_history_goes_by_number(file_store):
    assert "audit.subject" in await plan(file_store, file_store.history("x", after="5"))
    assert "PRIMARY KEY" in await plan(file_store, file_store.history(after="5"))


@pytest.mark.parametrize(
    ("question", "here"),
    [
        ({"suffix": "x"}, True),
        ({"stale": True}, False),
        ({"stale": True, "site": "x", "removed": False, "span": Span("offline_since")}, False),
        ({"problem": True, "technician": "x"}, False),
        ({"technician": "x", "open": True}, False),
    ],
)
async def test_only_what_names_a_handful_of_devices_is_looked_for_on_the_event_loop(folder, question, here):
    store, said = TinyStore(RowDB(folder), FakeClock()), []
    store.db.rows.file.reader().set_trace_callback(said.append)  # that of this thread
    await store.find(Device, limit=10, **question)
    assert bool(said) is here
    await store.close()
