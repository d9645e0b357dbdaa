"""Devices in walking order, parted among several hands."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from provisioning.model import Device


@dataclass(frozen=True, slots=True)
class Leading:
    """The first devices on the way: whole floors where any fits, which are then named."""

    devices: tuple[Device, ...]
    floors: tuple[str, ...] = ()


def floors_of(devices: Sequence[Device]) -> list[list[Device]]:
    """Neighbours on the way that share site and second level."""
    return [list(floor) for _, floor in groupby(devices, key=lambda d: (d.site.casefold(), d.floor.casefold()))]


def evenly(devices: Sequence[Device], hands: int) -> list[list[Device]]:
    """Contiguous runs whose lengths differ by one at most, so that nobody gets every third room."""
    ends = [len(devices) * number // hands for number in range(hands + 1)]
    return [list(devices[start:end]) for start, end in pairwise(ends)]


def by_floor(devices: Sequence[Device], hands: int) -> list[list[Device]]:
    """Contiguous runs of whole floors, each ending where it comes closest to an even share.

    Where there are fewer floors than hands, the last hands stay empty.
    """
    floors = floors_of(devices)
    ends = [0, *accumulate(len(floor) for floor in floors)]
    runs: list[list[Device]] = []
    start = 0
    for number in range(1, hands + 1):
        left = hands - number  # hands that still want a floor each
        end = min(max(_closest(ends, len(devices) * number / hands), start + 1), max(len(floors) - left, start + 1))
        end = min(end, len(floors)) if left else len(floors)
        runs.append([device for floor in floors[start:end] for device in floor])
        start = end
    return runs


def _closest(ends: Sequence[int], wanted: float) -> int:
    """The place in the ascending row whose value comes closest; the earlier of two."""
    behind = bisect_left(ends, wanted)
    if behind == 0 or behind == len(ends):
        return min(behind, len(ends) - 1)
    return behind if ends[behind] - wanted < wanted - ends[behind - 1] else behind - 1


def leading(devices: Sequence[Device], limit: int) -> Leading:
    """At most so many from the beginning of the way: whole floors while they fit, else simply the first."""
    taken: list[list[Device]] = []
    for floor in floors_of(devices):
        if sum(map(len, taken)) + len(floor) > limit:
            break
        taken.append(floor)
    if not taken:
        return Leading(tuple(devices[:limit]))
    return Leading(tuple(device for floor in taken for device in floor), tuple(floor[0].floor for floor in taken))
