"""A small round of `make crash`: what was acknowledged is there after a crash, and every control is found out."""

import asyncio

import pytest

from provisioning.errors import Unavailable
from storage import tinydb_writer
from tests.crash import damaged, imports, killed, power, relay, stock
from tests.crash.full import full
from tests.crash.stories import examine, opened, read_all, unit, violations
from tests.crash.together import together
from tests.crash.vfs import Op, delayed_sync, hidden, recording, watching

watched = pytest.mark.skipif(bool(hidden()), reason=hidden() or "-")


def held(result):
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.passed, (result.name, result.figures, result.violations[:5])


async def test_no_acknowledged_unit_is_lost_when_the_process_is_killed():
    held(await killed.random_kills(2, seed=1))


async def test_nor_when_it_is_killed_at_the_worst_moments():
    held(await killed.named_kills(len(killed.POINTS) + 1, seed=1))


async def test_of_an_import_that_was_killed_nothing_is_seen_until_it_is_published():
    held(await imports.killed_imports(4, seed=1))


async def test_a_relay_that_is_killed_loses_no_message_and_doubles_only_what_nobody_wrote_down():
    held(await relay.killed_relays(3, seed=1))


async def test_no_power_loss_takes_what_was_acknowledged():
    held(await power.power_losses_of_ours(4, seed=1))


@pytest.mark.parametrize("cut", [damaged.cut_log, damaged.cut_database, damaged.cut_beside_log])
async def test_a_file_that_is_cut_is_never_served_wrongly(cut):
    held(await cut(5, seed=1))


async def test_a_changed_byte_of_the_log_leaves_the_units_before_it():
    held(await damaged.flipped_log(5, seed=1))


async def test_a_changed_byte_of_the_database_is_never_served():
    held(await damaged.flipped_database(6, seed=1))


def test_a_full_disk_is_said_loses_nothing_and_heals():
    held(full(1))


async def test_writers_share_commits_and_lose_nothing():
    held(await together(4, seed=1))


FULL, BROKEN = 13, 10  # SQLITE_FULL, SQLITE_IOERR


@watched
@pytest.mark.parametrize("answer", [FULL, BROKEN])
@pytest.mark.parametrize(
    ("kind", "file"), [("write", "-wal"), ("sync", "-wal"), ("write", "store.sqlite3"), ("sync", "store.sqlite3")]
)
async def test_a_write_or_sync_that_fails_is_told_and_the_next_unit_is_taken(folder, kind, file, answer, monkeypatch):
    failed = []

    def fail_once(call, proceed):
        if opening or failed or call.kind != kind or not call.path.name.endswith(file):
            return proceed()
        failed.append(proceed())  # what it did may still be there, and must not come back to life
        return answer

    monkeypatch.setattr(tinydb_writer, "_LOG_ROWS", 10)
    opening, units, refused = True, 0, 0
    with watching(fail_once):
        async with opened(folder) as store:
            opening = False
            while units < 12:
                try:
                    await store.save(unit(1, units))
                    units += 1
                except Unavailable:
                    refused += 1
                assert violations(await read_all(store), {1: units}) == []
            await store.verify(deep=True)
    assert failed
    assert refused <= 1
    assert (await examine(folder, {1: units})).violations == []


# ------------------------------------------------------------------ the controls


async def test_commits_that_are_not_synced_would_be_found_out():
    held(await power.power_losses_when_careless(1, seed=1))


async def test_a_writer_that_acknowledges_early_would_be_found_out():
    held(await power.power_losses_when_early(1, seed=1))
    held(await killed.early_kills(3, seed=1))


def test_stock_tinydb_would_be_found_out():
    held(stock.stock_after_power_losses(3, seed=1))
    held(stock.stock_after_kills(1))


# ------------------------------------------------------------------ the tools


@watched
async def test_file_calls_are_watched_in_order_and_only_within_the_context(tmp_path):
    log: list[Op] = []
    with recording(log):
        async with opened(tmp_path / "store") as store:
            begun = len(log)
            await store.save(unit(1, 0))
            kinds = [op.kind for op in log[begun:]]
    assert kinds.count("sync") == 1
    assert kinds.index("sync") >= 2
    assert log[0] == Op("link", "store.sqlite3")
    closed = len(log)
    async with opened(tmp_path / "store") as store:
        await store.save(unit(1, 1))
    assert len(log) == closed


@watched
async def test_a_slow_disk_can_be_played(tmp_path):
    with delayed_sync(0.05):
        async with opened(tmp_path / "store") as store:
            began = asyncio.get_running_loop().time()
            await store.save(unit(1, 0))
            assert asyncio.get_running_loop().time() - began >= 0.05
