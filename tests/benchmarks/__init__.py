"""Measurements. Each is a ratio to an anchor taken in the same run, so that it means the same on any machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`ours` and `anchor` in microseconds; `ratio` is how many times the anchor (or, where so said, ours) costs."""

    name: str
    ours: float
    anchor: float
    ratio: float
    target: str
    met: bool
