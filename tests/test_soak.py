"""A small round of `make soak`: what the service bears, over its real doors."""

from pathlib import Path

import pytest

from tests.crash import Result
from tests.soak.clocks import apart, moved
from tests.soak.notices import notified
from tests.soak.race import raced
from tests.soak.redelivered import redelivered
from tests.soak.stopped import killed
from tests.soak.troubled import away, damaged, full, restored
from tests.storage import cluster, postgres


def held(result: Result) -> None:
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.passed, (result.name, result.figures, result.violations[:5])


@pytest.fixture
def files(tmp_path: Path) -> str:
    return f"tinydb:{tmp_path / 'store'}"


async def test_a_service_that_is_killed_under_load_keeps_what_it_answered(tmp_path: Path, files: str) -> None:
    held(await killed(files, tmp_path, rounds=2, seed=1))


async def test_so_does_one_over_postgresql(tmp_path: Path) -> None:
    with postgres.schema() as url:
        held(await killed(url, tmp_path, rounds=1, seed=1))


async def test_a_full_disk_loses_nothing_and_heals_under_load(tmp_path: Path) -> None:
    held(await full(tmp_path, rounds=1, seed=1))


async def test_a_damaged_store_is_found_and_its_last_good_copy_restored(tmp_path: Path) -> None:
    held(await damaged(tmp_path, rounds=1, seed=1))


async def test_a_backup_is_restored_under_load_and_revives_no_code(tmp_path: Path) -> None:
    held(await restored(tmp_path, rounds=1, seed=1))


async def test_while_the_database_is_away_nothing_is_lost_and_soon_all_is_well(tmp_path: Path) -> None:
    with cluster.server() as server:
        held(await away(server, tmp_path, seconds=6, seed=1))


async def test_no_ended_code_is_accepted_and_no_live_one_refused_whatever_the_clock_does(files: str) -> None:
    held(await moved(files, rounds=4, seed=1))


async def test_nor_where_two_instances_disagree_on_the_time() -> None:
    with postgres.schema() as url:
        held(await apart(url, codes=24, seed=1))


async def test_a_code_at_two_instances_at_once_is_taken_once_and_a_careless_store_would_be_found_out() -> None:
    with postgres.schema() as url:
        held(await raced(url, count=2, codes=20))
    with postgres.schema() as url:
        held(await raced(url, count=2, codes=20, careless=True))


async def test_on_a_bad_day_every_message_arrives_in_order(tmp_path: Path) -> None:
    held(await notified(tmp_path, 300, seed=1))


async def test_a_relay_that_settles_what_it_never_sent_would_be_found_out(tmp_path: Path) -> None:
    held(await notified(tmp_path, 100, seed=1, day=False))


async def test_what_is_delivered_up_to_four_times_takes_effect_once(tmp_path: Path, files: str) -> None:
    held(await redelivered(files, tmp_path, 80, seed=1))
