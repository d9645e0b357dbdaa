"""What a store needs keys for is read beside the service, the same from either store, and nothing is written."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.key_use import Need, Tally
from provisioning.model import Change
from storage import open_store
from storage.key_use import key_uses, live_codes
from storage.postgres_schema import applied_migration, migrations
from storage.postgres_sql import queries
from storage.transfer import TransferFault
from tests.fakes import FakeClock
from tests.storage import postgres
from tests.storage.samples import CODE, NOW, device, import_of


def quiet(_what, _done, _total):
    return


@pytest.fixture(params=["files", "postgres"])
async def url(request, folder):
    yield f"tinydb:{folder}" if request.param == "files" else postgres.emptied()


async def test_each_key_is_told_with_what_needs_it(url):
    store = await open_store(url, clock=FakeClock())
    try:
        code = replace(CODE, issued_at=NOW, expires_at=NOW + timedelta(hours=24), key_id="k1")
        coded = [device(n, code=replace(code, issue=n)) for n in range(1, 1200)]
        other = device(2000, code=replace(code, key_id="k2", expires_at=NOW + timedelta(hours=2)))
        hidden = device(2001, code=replace(code, key_id="k3"), batch="i")  # of an import nobody sees yet
        await store.save(Change(puts=(import_of("i", hides=True), *coded, other, hidden)))
        shown = []
        uses = await key_uses(url, "k0", lambda: NOW, lambda *seen: shown.append(seen))
        until = code.expires_at
        assert {key: needs[Need.LIVE_CODE] for key, needs in uses.found.items()} == {
            "k1": Tally(1199, until),
            "k2": Tally(1, NOW + timedelta(hours=2)),
            "k3": Tally(1, until),
        }
        assert ("devices", 1201, 1201) in shown
        assert await live_codes(url, NOW) == {"k1": 1199, "k2": 1, "k3": 1}
        assert await live_codes(url, NOW + timedelta(hours=3)) == {"k1": 1199, "k3": 1}
        later = await key_uses(url, "k0", lambda: until + timedelta(days=8), quiet)
        assert later.found == {}
        await store.save(Change(puts=(device(3000),)))  # the service writes as ever
    finally:
        await store.close()


async def test_where_there_is_no_store_no_key_is_judged(folder):
    with pytest.raises(TransferFault):
        await key_uses(f"tinydb:{folder}", "k0", lambda: NOW, quiet)
    assert await live_codes(f"tinydb:{folder}", NOW) == {}
    assert await live_codes("postgresql://bot@127.0.0.1:9/none", NOW) == {}


async def test_a_database_of_an_older_version_is_left_as_it_is(database):
    async with postgres.client(database) as connection:
        await connection.execute(queries()["make_migrations"])
        await connection.execute(migrations()[1].read_text("utf-8"), prepare=False)
        await connection.execute(queries()["add_migration"], (1, "first"))
        with pytest.raises(TransferFault, match="another version"):
            await key_uses(database, "k0", lambda: NOW, quiet)
        assert await live_codes(database, NOW) == {}
        assert await applied_migration(connection) == 1
