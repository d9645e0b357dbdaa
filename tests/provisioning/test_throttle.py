"""How many wrong codes are borne, and for how long nobody listens."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.bookkeeping import Attempts
from provisioning.codes import Key, Keyring
from provisioning.throttle import (
    FLEET,
    NETWORK,
    PAIR,
    SLOTS,
    Limit,
    blanks,
    failed,
    known_beside,
    known_network,
    network_of,
    slots,
    wait,
)

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
KEYS = Keyring([Key("k", b"k" * 32)])


def fail(times: int, limit: Limit, attempts: Attempts | None = None, now: datetime = NOW) -> Attempts:
    attempts = attempts or Attempts(slot="s")
    for _ in range(times):
        attempts = failed(attempts, limit, now)
    return attempts


def test_five_wrong_codes_are_free_then_the_pause_doubles_to_five_minutes() -> None:
    pauses = [wait([(fail(n, PAIR), PAIR)], NOW) for n in range(17)]
    assert pauses == [0, 0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert wait([(fail(5000, PAIR), PAIR)], NOW) == 300


@pytest.mark.parametrize(("limit", "free"), [(NETWORK, 30), (FLEET, 600)])
def test_a_network_and_the_fleet_have_a_budget_for_ten_minutes(limit: Limit, free: int) -> None:
    assert wait([(fail(free - 1, limit), limit)], NOW) == 0
    spent = fail(free, limit)
    assert wait([(spent, limit)], NOW) == 600
    assert wait([(spent, limit)], NOW + timedelta(minutes=9, seconds=59.5)) == 1
    assert wait([(spent, limit)], NOW + timedelta(minutes=10)) == 0
    assert fail(1, limit, spent, NOW + timedelta(minutes=10)).failures == 1


def test_the_longest_pause_counts() -> None:
    assert wait([(fail(6, PAIR), PAIR), (fail(30, NETWORK), NETWORK), (fail(1, FLEET), FLEET)], NOW) == 600


def test_after_a_day_a_pair_begins_anew() -> None:
    assert fail(1, PAIR, fail(12, PAIR), NOW + timedelta(hours=24)).failures == 1


def test_a_clock_set_back_begins_a_new_window_instead_of_a_long_silence() -> None:
    earlier = NOW - timedelta(hours=2)
    for limit, times in ((PAIR, 12), (NETWORK, 30), (FLEET, 600)):
        spent = fail(times, limit)
        assert wait([(spent, limit)], earlier) == 0
        assert fail(1, limit, spent, earlier).failures == 1


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("10.1.2.3", "10.1.2.0"),
        ("::ffff:10.1.2.3", "10.1.2.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_neighbours_count_together(source: str, network: str) -> None:
    assert network_of(source) == network


def test_slots_are_a_fixed_table_that_tells_no_mac() -> None:
    names = {
        name for n in range(300) for name, _ in slots(KEYS, f"805EC011{n:04X}", f"10.{n % 250}.0.1", trusted=False)
    }
    assert not [name for name in names if "805EC0" in name or "10." in name]
    assert all(int(name.split(":")[1]) < SLOTS for name in names if ":" in name)
    assert slots(KEYS, "A", "10.0.0.1", trusted=True)[2][0] != slots(KEYS, "A", "10.0.0.1", trusted=False)[2][0]
    assert slots(KEYS, "A", "10.0.0.1", trusted=False) == slots(KEYS, "A", "10.0.0.9", trusted=False)
    for source in ("10.0.0.1", "2001:db8::1", "nowhere", ""):
        assert known_beside(slots(KEYS, "A", source, trusted=False)) == known_network(KEYS, source)
    assert len(set(blanks(KEYS, "A"))) == 2


def test_counters_survive_a_key_rotation() -> None:
    rotated = Keyring([Key("new", b"n" * 32), Key("k", b"k" * 32)])
    assert slots(rotated, "A", "10.0.0.1", trusted=False) == slots(KEYS, "A", "10.0.0.1", trusted=False)


def test_a_counter_keeps_its_version() -> None:
    assert failed(replace(Attempts(slot="s"), version=7), PAIR, NOW).version == 7
