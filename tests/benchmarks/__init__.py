"""Measurements. Each is a ratio to an anchor taken in the same run, so that it means the same on any machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`ours` and `anchor` in microseconds or MB; `ratio` is how many times the anchor (or, where so said, ours) costs.

    `met` is None for what is told without a target. What is a stretch may be missed. `margin` is how many times better
    than its target a row is: 1 is just met, 0.5 misses by a factor of two; None where the target is no figure.
    """

    name: str
    ours: float
    anchor: float
    ratio: float
    target: str
    met: bool | None
    unit: str = "µs"
    stretch: bool = False
    margin: float | None = None

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


@dataclass(frozen=True)
class Failed:
    """What broke while it was measured, and how: no better than a target missed."""

    name: str
    reason: str


Outcome = Row | Skipped | Failed


def at_least(name: str, ours: float, anchor: float, least: float, of: str, *, stretch: bool = False) -> Row:
    """The anchor costs so many times what ours does."""
    target, ratio = f"≥ {least:,g}× {of}{' (a stretch)' if stretch else ''}", anchor / ours
    return Row(name, ours, anchor, ratio, target, ratio >= least, stretch=stretch, margin=ratio / least)


def at_most(
    name: str, ours: float, anchor: float, most: float, of: str, *, unit: str = "µs", stretch: bool = False
) -> Row:
    """Ours costs at most so many times what the anchor does."""
    target, ratio = f"≤ {most:g}× {of}{' (a stretch)' if stretch else ''}", ours / anchor
    return Row(name, ours, anchor, ratio, target, ratio <= most, unit, stretch, _times(most, ratio))


def below(name: str, ours: float, anchor: float, of: str) -> Row:
    """Ours costs less than the anchor."""
    return Row(name, ours, anchor, ours / anchor, f"< 1× {of}", ours < anchor, margin=_times(anchor, ours))


def within(name: str, ours: float, limit: float, unit: str = "µs") -> Row:
    """Ours stays within a limit, in the row's unit."""
    said = f"≤ {limit:g} {unit}".strip() if unit != "µs" else f"≤ {limit / 1e3:g} ms"
    return Row(name, ours, limit, ours / limit, said, ours <= limit, unit, margin=_times(limit, ours))


def reaches(name: str, ours: float, least: float, unit: str) -> Row:
    """Ours is at least so much, in the row's unit: a rate, a share."""
    return Row(name, ours, least, ours / least, f"≥ {least:,g} {unit}", ours >= least, unit, margin=ours / least)


def none(name: str, count: float, unit: str) -> Row:
    """Of what must not happen at all."""
    return Row(name, count, 0, count, "none", count == 0, unit)


def beside(name: str, ours: float, anchor: float, of: str) -> Row:
    """For information: ours beside something else."""
    return Row(name, ours, anchor, ours / anchor, f"beside {of}", None)


def _times(limit: float, ours: float) -> float:
    return limit / ours if ours else float("inf")
