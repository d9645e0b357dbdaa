"""No audit, no change: a unit whose facts cannot be written changes nothing, on every backend."""

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg
import pytest

from provisioning.bookkeeping import Segment
from provisioning.errors import ProvisioningError, TextTooLong, UnreadableText
from provisioning.events import DeviceAdded, FactsRedacted
from provisioning.messages import OutboxMessage
from provisioning.model import Change, Device
from provisioning.service import Provisioning
from storage import open_store
from tests.fakes import FakeClock
from tests.provisioning.world import KEYS, KIM, POLICY, SAM, A, B, World
from tests.storage import postgres
from tests.storage.samples import NOW, device, message


def fact(location="Oslo"):
    return DeviceAdded(at=NOW, actor="dana", subject=device(1).mac, location=location)


async def state(store):
    kinds = [(await store.find(kind, limit=1000)).rows for kind in (Device, OutboxMessage)]
    return [*kinds, (await store.history(limit=1000)).rows]


@pytest.mark.parametrize(("words", "error"), [("\x00", UnreadableText), ("x" * 70_000, TextTooLong)])
async def test_a_fact_that_cannot_be_kept_keeps_its_change_away(store, words, error):
    await store.save(Change(puts=(device(1), message("m1")), events=(fact(),)))
    before = await state(store)
    (known,) = before[0]
    change = Change(
        puts=(replace(known, notes="changed"), device(2), message("m2")),
        deletes=(before[1][0],),
        events=(fact(), fact(words)),
    )
    with pytest.raises(error):
        await store.save(change)
    assert await state(store) == before


@contextmanager
def facts_refused_in_file(url):
    """The very insert of a fact fails, as by somebody who wants changes that nobody hears of."""
    with closing(sqlite3.connect(f"{url.partition(':')[2]}/store.sqlite3", isolation_level=None)) as connection:
        connection.execute(
            "CREATE TRIGGER mute BEFORE INSERT ON \"doc:audit\" BEGIN SELECT RAISE(ABORT, 'no more facts'); END"
        )
        yield
        connection.execute("DROP TRIGGER mute")


@contextmanager
def facts_refused_in_database(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE audit ADD CONSTRAINT mute CHECK (id < 0) NOT VALID")
        yield
        connection.execute("ALTER TABLE audit DROP CONSTRAINT mute")


@pytest.fixture(params=["file", "postgres"])
async def muted(request, tmp_path):
    """A store over which stories are told, and what keeps facts out of it."""
    url = f"tinydb:{tmp_path / 'store'}" if request.param == "file" else postgres.emptied()
    store = await open_store(url, clock=FakeClock())
    refused = facts_refused_in_file if request.param == "file" else facts_refused_in_database
    yield store, lambda: refused(url)
    await store.close()


async def test_where_the_audit_takes_no_row_nothing_is_changed_and_afterwards_all_is_well(muted):
    store, refused = muted
    await store.save(Change(puts=(device(1),), events=(fact(),)))
    before = await state(store)
    change = Change(puts=(replace(before[0][0], notes="changed"), device(2)), events=(fact(),))
    with refused():
        with pytest.raises(ProvisioningError):
            await store.save(change)
        assert await state(store) == before
    await store.save(change)
    assert len((await state(store))[0]) == 2


async def test_a_use_case_without_its_fact_does_not_happen_and_no_code_is_shown(muted):
    store, refused = muted
    clock = FakeClock()
    world = await World(store, clock, Provisioning(store, clock, KEYS, POLICY)).people()
    await world.add((A, "Oslo/2/2.14"))
    await world.issue("2.14")
    code, before = await world.digits(A), await state(store)
    with refused():
        dana = await world.dana()
        for tried in (
            lambda: world.add((B, "Oslo/2/2.16")),
            lambda: world.core.show_code(dana, A),
            lambda: world.core.codes(dana),
            lambda: world.calls(A, code),
        ):
            with pytest.raises(ProvisioningError):
                await tried()
        assert await state(store) == before
    await world.calls(A, code)
    assert (await world.device(A)).provisioned


# ------------------------------------------------------------------ facts are only added

_STAY = """CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'facts stay'; END $$;
CREATE TRIGGER stay BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION stay()"""


@contextmanager
def facts_stay_in_file(url):
    with closing(sqlite3.connect(f"{url.partition(':')[2]}/store.sqlite3", isolation_level=None)) as connection:
        for what in ("UPDATE", "DELETE"):
            refusal = "BEGIN SELECT RAISE(ABORT, 'facts stay'); END"
            connection.execute(f'CREATE TRIGGER stay_{what} BEFORE {what} ON "doc:audit" {refusal}')
        yield
        for what in ("UPDATE", "DELETE"):
            connection.execute(f"DROP TRIGGER stay_{what}")


@contextmanager
def facts_stay_in_database(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_STAY)
        yield
        connection.execute("DROP FUNCTION stay CASCADE")


@pytest.fixture(params=["file", "postgres"])
async def lasting(request, tmp_path):
    url = f"tinydb:{tmp_path / 'store'}" if request.param == "file" else postgres.emptied()
    store = await open_store(url, clock=FakeClock())
    with (facts_stay_in_file if request.param == "file" else facts_stay_in_database)(url):
        yield store
    await store.close()


async def test_the_service_only_adds_facts_but_for_retention_and_redaction(lasting):
    clock = FakeClock()
    policy = replace(POLICY, keep_audit=None)
    world = await World(lasting, clock, Provisioning(lasting, clock, KEYS, policy)).people()
    dana = world.dana
    await world.add((A, "Oslo/2/2.14"), (B, "Oslo/2/2.16"))
    await world.issue("oslo", SAM)
    await world.core.show_code(await world.sam(), A)
    await world.provisions(A)
    await world.core.move(await dana(), B, "Oslo/3")
    await world.core.revoke_access(await dana(), SAM, KIM)
    await world.core.remove(await dana(), B)
    for _ in range(9):
        world.later(days=1)
        await world.delivers()
        await world.core.sweep()
    numbers = [row.sequence for row in (await lasting.history(limit=1000)).rows]
    assert len(numbers) == 15
    assert await lasting.count(Segment) > 0
    order = FactsRedacted(at=clock.now(), actor="dana", subject="x", rows=())
    with pytest.raises((ProvisioningError, sqlite3.IntegrityError)):
        await lasting.redact(numbers, lambda _: "x", order)
    with pytest.raises((ProvisioningError, sqlite3.IntegrityError)):
        await lasting.drop_audit(clock.now(), clock.now())
    assert [row.sequence for row in (await lasting.history(limit=1000)).rows] == numbers
