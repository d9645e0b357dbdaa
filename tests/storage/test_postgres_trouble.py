"""PostgreSQL away at the start, away in the middle, with another password, without connections, failing over."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.errors import Unavailable
from provisioning.model import Change, Device, stored
from storage import open_store
from tests.fakes import FakeClock
from tests.storage.cluster import Server, free_port, server
from tests.storage.samples import device

HOUSE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home():
    with server() as one:
        yield one


@pytest.fixture
def primary(home: Server):
    if not home.running:
        home.start()
    return home


async def refused(url: str) -> str:
    with pytest.raises(Unavailable) as refusal:
        await open_store(url, clock=FakeClock())
    return refusal.value.reason


async def until_it_works(act, seconds: float = 10):
    """The bar: it works again within ten seconds."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await act()
            except Unavailable:
                await asyncio.sleep(0.1)


# ------------------------------------------------------------------ at the start

NOWHERE = free_port()
BAD_ADDRESSES = [
    (f"postgresql://kim:right@127.0.0.1:{NOWHERE}/postgres", "refused"),
    ("postgresql://kim:right@no-such-host.invalid/postgres", "no-such-host.invalid"),
    ("postgresql://kim:wrong@127.0.0.1:{port}/postgres", "password authentication failed"),
    ("postgresql://kim@127.0.0.1:{port}/postgres", "no password"),
    ("postgresql://kim:right@127.0.0.1:{port}/nothing", '"nothing" does not exist'),
    ("postgresql://nobody:right@127.0.0.1:{port}/postgres", "nobody"),
    ("postgresql://kim:right@127.0.0.1:{port}/postgres?options=-csearch_path%3Dnowhere", "search_path"),
    ("postgresql://kim:right@127.0.0.1:{port}/postgres?colour=right", "STORE_URL"),
    ("postgresql://kim:hunter2/x@127.0.0.1:1/postgres", "%2F"),
    ("postgresql://kim:12/34@127.0.0.1:1/postgres", "%2F"),
    ("postgresql://kim:x@hunter2@127.0.0.1:1/postgres", "%40"),
]


@pytest.mark.parametrize(("url", "said"), BAD_ADDRESSES, ids=[said for _, said in BAD_ADDRESSES])
async def test_a_database_that_cannot_be_used_is_told_in_one_line_without_the_password(primary, url, said):
    reason = await refused(url.format(port=primary.port))
    assert said in reason
    assert "\n" not in reason
    assert "right@" not in reason
    assert "hunter2" not in reason
    assert "12/34" not in reason
    assert ":wrong" not in reason


@pytest.mark.parametrize("url", [BAD_ADDRESSES[0][0], BAD_ADDRESSES[2][0]], ids=["away", "password"])
def test_the_service_ends_with_2_and_one_line(primary, tmp_path, url):
    done = subprocess.run(
        [sys.executable, str(HOUSE / "app.py"), "serve"],
        cwd=tmp_path,
        env={"STORE_URL": url.format(port=primary.port), "PORT": str(free_port()), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert f"postgresql://127.0.0.1:{primary.port if 'wrong' in url else NOWHERE}/postgres" in done.stderr


# ------------------------------------------------------------------ in the middle


async def test_while_the_server_is_away_nothing_is_taken_and_nothing_lost(primary):
    store = await open_store(primary.url, clock=FakeClock())
    other = await open_store(primary.url, clock=FakeClock())
    try:
        one = device(1)
        await store.save(Change(puts=(one,)))
        async with other.watch(one.mac) as watch:
            primary.stop("immediate")  # as if its machine had failed
            for act in (store.get(Device, one.mac), store.save(Change(puts=(stored(one),))), store.check()):
                with pytest.raises(Unavailable) as refusal:
                    await act
                assert f"127.0.0.1:{primary.port}" in refusal.value.reason
                assert "right" not in refusal.value.reason
            primary.start()
            assert await until_it_works(lambda: store.get(Device, one.mac)) == stored(one)
            await until_it_works(store.check)
            assert await watch.wait(10)  # it hears again, and looks whether it missed something
            while await watch.wait(0.1):
                pass
            await store.save(Change(puts=(replace(stored(one), notes="new"),)))
            assert await watch.wait(10)
            assert (await other.get(Device, one.mac)).notes == "new"
        await store.verify()
        await store.save(Change(deletes=(device(1, version=2),)))
    finally:
        await store.close()
        await other.close()


async def test_every_unit_that_was_acknowledged_survives_crashes_of_the_server(primary):
    store = await open_store(primary.url, clock=FakeClock())
    acknowledged, crashes = [], [0]

    async def write_on(writer: int) -> None:
        for n in range(200):
            one = device(10_000 + writer * 1000 + n)
            try:
                await store.save(Change(puts=(one,)))
                acknowledged.append(one)
            except Unavailable:
                await asyncio.sleep(0.05)

    try:
        writing = asyncio.gather(*(write_on(writer) for writer in range(8)))
        for _ in range(2):
            while len(acknowledged) < crashes[-1] + 20:  # noqa: ASYNC110 - some of them come before the crash
                await asyncio.sleep(0)
            await asyncio.to_thread(primary.stop, "immediate")
            crashes.append(len(acknowledged))
            await asyncio.to_thread(primary.start)
        await writing
        assert len(acknowledged) > crashes[-1]
        await until_it_works(store.check)
        assert [await store.get(Device, one.mac) for one in acknowledged] == [stored(one) for one in acknowledged]
        await store.verify()
    finally:
        await store.close()


async def test_without_a_free_connection_it_is_told_so_and_goes_on_when_there_is_one(primary):
    stores = []
    with pytest.raises(Unavailable) as refusal:
        for _ in range(12):
            stores.append(await open_store(primary.url, clock=FakeClock()))
    assert "no more connections" in refusal.value.reason
    assert "max_connections" in refusal.value.reason
    first, *others = stores
    await first.check()
    for each in others:
        await each.close()
    await asyncio.gather(*(first.save(Change(puts=(device(n),))) for n in range(50_000, 50_100)))
    await first.close()


async def test_after_a_failover_the_new_primary_is_found(primary):
    standby = primary.standby()
    standby.start()
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    url = f"postgresql://kim:right@{hosts}/postgres?target_session_attrs=read-write"
    store = await open_store(url, clock=FakeClock())
    try:
        await store.save(Change(puts=(device(90_000),)))
        assert "standby" in await refused(f"postgresql://kim:right@127.0.0.1:{standby.port}/postgres")
        primary.stop("fast")  # what was acknowledged has been sent to the standby
        standby.promote()
        assert await until_it_works(lambda: store.get(Device, device(90_000).mac)) == stored(device(90_000))
        await until_it_works(lambda: store.save(Change(puts=(device(90_001),))))
        await until_it_works(store.check)  # it listens again too
    finally:
        await store.close()
        standby.stop("immediate")
