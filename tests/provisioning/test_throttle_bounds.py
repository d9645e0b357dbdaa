"""No order of tries gets more failures than the rules allow: days of attackers, and whatever Hypothesis thinks of."""

import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.bookkeeping import Attempts
from provisioning.codes import Key, Keyring
from provisioning.throttle import EXEMPT, FLEET, NETWORK, PAIR, counted, failed, slots, wait
from tests.profiles import examples

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
KEYS = Keyring([Key("k", b"k" * 32)])
DAY, WINDOW = 86_400.0, FLEET.window.total_seconds()
A_DAY = 172_800  # both limits of the fleet, 144 windows of ten minutes
ODDS = 2e-6  # of one right guess among them, of 10^11 codes


class House:
    """The counters as the store keeps them, and every failure that was let through, in seconds from the start."""

    def __init__(self) -> None:
        self.rows: dict[str, Attempts] = {}
        self.heard: dict[str, list[float]] = {"fleet": [], "exempt": []}
        self.pairs: dict[str, list[float]] = {}

    def tries(self, at: float, mac: str, source: str, *, known: bool) -> int:
        """A wrong code: 0 where it was heard and counted, else the seconds to wait."""
        now = START + timedelta(seconds=at)
        named = slots(KEYS, mac, source, trusted=known)
        counters = [(self.rows.get(slot, Attempts(slot=slot)), limit) for slot, limit in named]
        if pause := wait(counters, now):
            return pause
        for row in counted(counters, now):
            self.rows[row.slot] = row
        self.heard["exempt" if known else "fleet"].append(at)
        self.pairs.setdefault(named[0][0], []).append(at)
        return 0


def most(times: list[float], span: float) -> int:
    """The most of them within any half-open span of this length."""
    return max((bisect_left(times, begin + span) - place for place, begin in enumerate(times)), default=0)


# ------------------------------------------------------------------ strategies of a day


class Budget:
    """A limit of the fleet alone: what an attacker meets who never uses a network or a MAC twice."""

    def __init__(self) -> None:
        self.row, self.heard = Attempts(slot="fleet"), list[float]()

    def tries(self, at: float) -> int:
        now = START + timedelta(seconds=at)
        if pause := wait([(self.row, FLEET)], now):
            return pause
        self.row = failed(self.row, FLEET, now)
        self.heard.append(at)
        return 0


def eager(budget: Budget) -> None:
    """At every chance."""
    at = 0.0
    while at < 2 * DAY:
        at += budget.tries(at) or 0.001


def late(budget: Budget) -> None:
    """Just before a window ends and just after: as many as fit into one moment."""
    for window in range(int(2 * DAY / WINDOW)):
        begin = window * WINDOW + window * 0.001
        budget.tries(begin)
        for n in range(610):
            budget.tries(begin + WINDOW - 1 + n / 2000)


def steady(budget: Budget) -> None:
    """Twice a second, all day long."""
    for n in range(int(2 * DAY / 0.5)):
        budget.tries(n * 0.5)


@pytest.mark.parametrize("strategy", [eager, late, steady], ids=lambda strategy: strategy.__name__)
def test_no_attacker_gets_more_than_the_bound_in_a_day(strategy: Callable[[Budget], None]) -> None:
    """Of the two limits of the fleet. A day that begins with a window has at most 172 800; one that begins within a
    window has what was left of that as well, 599 for each limit. Both are below the odds that were promised.
    """
    budget = Budget()
    strategy(budget)
    whole = 2 * bisect_left(budget.heard, DAY + budget.heard[0])
    any_day = 2 * most(budget.heard, DAY)
    print(f"{strategy.__name__}: {whole} in the first day, {any_day} in any day, odds {any_day / 1e11:.2e}")
    assert 0 < whole <= A_DAY
    assert any_day <= A_DAY + 2 * (FLEET.free - 1)
    assert any_day / 1e11 < ODDS and most(budget.heard, DAY) / 1e11 < ODDS / 2


def test_networks_and_macs_without_end_get_no_more_than_the_fleet() -> None:
    """Over all counters, with known and unknown networks, for half an hour."""
    house, dice = House(), random.Random(7)
    for number in range(6000):
        at, known = number * 0.3, dice.random() < 0.5
        source = f"{dice.randrange(1, 224)}.{number >> 8}.{number & 255}.1"
        house.tries(at, f"{dice.getrandbits(48):012X}", source, known=known)
    for heard in house.heard.values():
        assert len(heard) <= 3 * FLEET.free


def test_one_network_gets_thirty_in_ten_minutes_and_a_device_of_it_five_and_then_few() -> None:
    house = House()
    for second in range(20_000):
        house.tries(second, "805EC0112233", "10.1.2.3", known=False)
    [times] = house.pairs.values()
    assert len(times) <= 5 + 8 + 20_000 / PAIR.longest.total_seconds() + 1
    many = House()
    for second in range(8_000):
        many.tries(second / 4, f"{second:012X}", "10.1.2.3", known=False)
    assert most(many.heard["fleet"], WINDOW) <= 2 * NETWORK.free - 1
    assert len(many.heard["fleet"]) <= NETWORK.free * (8_000 / 4 / WINDOW + 1)


def test_the_counters_of_a_day_of_attackers_are_a_fixed_table() -> None:
    house, dice = House(), random.Random(3)
    for number in range(3000):
        house.tries(
            number * 2.0, f"{dice.getrandbits(48):012X}", f"10.{dice.randrange(256)}.{number % 256}.1", known=False
        )
    assert max(Counter(slot.split(":")[0] for slot in house.rows).values()) <= 65_536
    assert all(len(slot) < 20 for slot in house.rows)


# ------------------------------------------------------------------ whatever order


TRIES = st.lists(
    st.tuples(st.floats(0, 900), st.integers(0, 3), st.integers(0, 2), st.booleans(), st.integers(1, 20)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=examples(30), deadline=None)
@given(TRIES)
def test_in_any_order_no_window_holds_more_than_its_limit(tries: list[tuple[float, int, int, bool, int]]) -> None:
    """Steps of time, devices, networks, known or not, how often at that moment. Windows are fixed, so any ten minutes
    hold at most what two that touch may: one less than twice the limit.
    """
    house, at = House(), 0.0
    networks: dict[int, list[float]] = {}
    for step, device, network, known, times in tries:
        at += step
        for _ in range(times):
            if house.tries(at, f"{device:012X}", f"10.0.{network}.1", known=known) == 0:
                networks.setdefault(network, []).append(at)
    for heard in networks.values():
        assert most(heard, WINDOW) <= 2 * NETWORK.free - 1
    for slot, row in house.rows.items():
        limit = {"net": NETWORK, "fleet": FLEET}.get(slot.partition(":")[0])
        assert limit is None or row.failures <= limit.free
    for heard in house.pairs.values():
        _doubles(heard)


def _doubles(heard: list[float]) -> None:
    """Beyond five within a day of the first, each waits at least its pause: 2, 4, 8 … 300 s."""
    day: list[float] = []
    for at in heard:
        if day and at - day[0] >= PAIR.window.total_seconds():
            day = []
        if len(day) > PAIR.free:
            pause = min(2.0 ** (len(day) - PAIR.free), PAIR.longest.total_seconds())
            assert at - day[-1] >= pause - 1e-6
        day.append(at)


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 1), st.integers(1, 200)), max_size=15), st.floats(-100, 100))
def test_two_instances_whose_clocks_differ_allow_no_more(steps: list[tuple[float, int, int]], skew: float) -> None:
    """Up to two minutes apart: in any window of the first one's clock no more than a window and the skew allow."""
    house, at = House(), 1000.0
    for step, instance, times in steps:
        at += step
        for number in range(times):
            mac = f"{instance}{number:011X}"
            before = len(house.heard["fleet"])
            house.tries(at + skew * instance, mac, f"10.{instance}.{number}.1", known=False)
            if len(house.heard["fleet"]) > before:
                house.heard["fleet"][-1] = at
    span = WINDOW - abs(skew)
    within = house.heard["fleet"]
    assert all(bisect_right(within, begin + span) - place <= 2 * FLEET.free - 1 for place, begin in enumerate(within))
    assert EXEMPT.free == FLEET.free


def test_an_attacker_gains_nothing_by_going_back_and_forth_between_two_clocks() -> None:
    """One is five seconds behind the other: a window that began on the one goes on, on the other."""
    house = House()
    for number in range(2000):
        house.tries(1000.0 - 5.0 * (number % 2), f"{number:012X}", f"10.{number >> 8}.{number & 255}.1", known=False)
    assert len(house.heard["fleet"]) == FLEET.free
