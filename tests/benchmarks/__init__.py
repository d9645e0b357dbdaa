"""Measurements. Each is a ratio to an anchor taken in the same run, so that it means the same on any machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`ours` and `anchor` in microseconds or MB; `ratio` is how many times the anchor (or, where so said, ours) costs.

    `met` is None for what is told without a target. What is a stretch may be missed.
    """

    name: str
    ours: float
    anchor: float
    ratio: float
    target: str
    met: bool | None
    unit: str = "µs"
    stretch: bool = False

    @property
    def missed(self) -> bool:
        return self.met is False and not self.stretch

    @property
    def verdict(self) -> str:
        if self.met is None:
            return "–"
        return "met" if self.met else "not reached" if self.stretch else "**missed**"


@dataclass(frozen=True)
class Skipped:
    """What could not be measured here, and why."""

    name: str
    reason: str


def at_least(name: str, ours: float, anchor: float, least: float, of: str) -> Row:
    """The anchor costs so many times what ours does."""
    return Row(name, ours, anchor, anchor / ours, f"≥ {least:,.0f}× {of}", anchor / ours >= least)


def at_most(name: str, ours: float, anchor: float, most: float, of: str, *, stretch: bool = False) -> Row:
    """Ours costs at most so many times what the anchor does."""
    target = f"≤ {most:g}× {of}{' (a stretch)' if stretch else ''}"
    return Row(name, ours, anchor, ours / anchor, target, ours / anchor <= most, stretch=stretch)


def within(name: str, ours: float, limit: float, unit: str = "µs") -> Row:
    """Ours stays within a limit, in the row's unit."""
    said = f"≤ {limit:g} {unit}" if unit != "µs" else f"≤ {limit / 1e3:g} ms"
    return Row(name, ours, limit, ours / limit, said, ours <= limit, unit)


def beside(name: str, ours: float, anchor: float, of: str) -> Row:
    """For information: ours beside something else."""
    return Row(name, ours, anchor, ours / anchor, f"beside {of}", None)
