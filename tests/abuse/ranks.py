"""A rank statistic: how well one measurement tells two groups apart. No assumption about how they are spread."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt


def auc(one: Sequence[float], other: Sequence[float]) -> float:
    """How often a value of `other` is larger than one of `one`, ties half: 0.5 tells nothing, 0 and 1 tell everything.

    It is Mann and Whitney's U over the number of pairs, the area under the ROC curve of whoever decides by the value.
    """
    values = sorted((*((value, 0) for value in one), *((value, 1) for value in other)))
    ranks, position = 0.0, 0
    while position < len(values):
        end = position
        while end < len(values) and values[end][0] == values[position][0]:
            end += 1
        middle = (position + 1 + end) / 2  # ranks count from 1; equal values share theirs
        ranks += middle * sum(side for _value, side in values[position:end])
        position = end
    return (ranks - len(other) * (len(other) + 1) / 2) / (len(one) * len(other))


def spread(one: int, other: int) -> float:
    """The standard deviation of `auc` where the groups are alike, for groups of these sizes."""
    return sqrt((one + other + 1) / (12 * one * other))
