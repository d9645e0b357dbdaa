"""Devices in walking order, parted: evenly, by floor, the first so many."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.model import Device
from provisioning.shares import by_floor, evenly, floors_of, leading

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def building(*floors: int, site: str = "Oslo") -> list[Device]:
    """So many rooms on each floor."""
    places = [f"{site}/{floor}/{floor}.{room:02d}" for floor, rooms in enumerate(floors, 1) for room in range(rooms)]
    return [Device(mac=f"{n:012X}", location=place, added_at=NOW, added_by="dana") for n, place in enumerate(places)]


def sizes(runs: list[list[Device]]) -> list[int]:
    return [len(run) for run in runs]


@pytest.mark.parametrize(("count", "hands", "wanted"), [(10, 3, [3, 3, 4]), (2, 3, [0, 1, 1]), (0, 2, [0, 0])])
def test_even_shares_differ_by_one_at_most(count: int, hands: int, wanted: list[int]) -> None:
    assert sizes(evenly(building(count), hands)) == wanted


@pytest.mark.parametrize(
    ("floors", "hands", "wanted"),
    [
        ((5, 5, 5, 5), 2, [10, 10]),
        ((5, 5, 5, 5), 3, [5, 10, 5]),
        ((20, 1, 1), 3, [20, 1, 1]),
        ((1, 1, 20), 3, [1, 1, 20]),
        ((7,), 3, [7, 0, 0]),
        ((30, 10, 10, 10), 2, [30, 30]),
        ((), 2, [0, 0]),
    ],
)
def test_floors_are_kept_whole_and_shared_as_evenly_as_they_allow(
    floors: tuple[int, ...], hands: int, wanted: list[int]
) -> None:
    assert sizes(by_floor(building(*floors), hands)) == wanted


@given(st.lists(st.integers(1, 30), max_size=12), st.integers(1, 10))
def test_every_device_is_in_one_hand_in_walking_order(floors: list[int], hands: int) -> None:
    devices = building(*floors)
    for runs in (evenly(devices, hands), by_floor(devices, hands)):
        assert len(runs) == hands
        assert [device for run in runs for device in run] == devices
    whole = by_floor(devices, hands)
    assert sum(len(floors_of(run)) for run in whole) == len(floors)
    assert sum(1 for run in whole if run) == min(hands, len(floors))


def test_two_sites_with_a_floor_of_the_same_name_are_two_floors() -> None:
    assert [len(floor) for floor in floors_of([*building(3), *building(2, site="Bergen")])] == [3, 2]


@pytest.mark.parametrize(
    ("limit", "count", "floors"),
    [(40, 40, ("1", "2")), (45, 40, ("1", "2")), (25, 25, ("1",)), (20, 20, ()), (100, 60, ("1", "2", "3"))],
)
def test_whole_floors_while_they_fit_else_the_first(limit: int, count: int, floors: tuple[str, ...]) -> None:
    first = leading(building(25, 15, 20), limit)
    assert (len(first.devices), first.floors) == (count, floors)
    assert list(first.devices) == building(25, 15, 20)[:count]
