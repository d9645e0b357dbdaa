"""What a burn-up shows, in finished words and numbers: made here, drawn elsewhere (see `drawer`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

from provisioning.errors import ProvisioningError
from provisioning.texts import N_

WIDTH, HEIGHT = 640, 400  # pixels: twice what a phone gives a card, so that small words stay sharp
LARGEST: Final = 10_500  # bytes of a picture: as base64 in a card it leaves 14 of the 28 KB that Teams takes
CURVES: Final = 8  # as many as people tell apart
POINTS: Final = 240  # of a curve
TICKS: Final = 8
TOGETHER: Final = 8  # plots that one process draws, at the most
LONGEST: Final = 120  # characters of a word in it; what does not fit is cut where it is drawn


@dataclass(frozen=True, slots=True)
class Curve:
    """One site: `points` are (hours since the left edge, devices provisioned by then), in order of time."""

    label: str
    done: int
    total: int
    points: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """A word below the time axis, `at` hours from its left edge."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A burn-up: per cent of each site's devices over `hours`. At most `CURVES` curves, the most important first."""

    heading: str
    hours: float
    curves: tuple[Curve, ...]
    ticks: tuple[Tick, ...] = ()


class NotDrawn(ProvisioningError):
    """The process that draws did not answer, or took too long."""

    code: ClassVar[str] = "not_drawn"
    message = N_("I cannot draw this picture now. Type rollout to read how it stands, or ask again in a minute.")


def written(plot: Plot) -> bytes:
    """As it goes to the process that draws it; the same plot is always the same bytes."""
    return json.dumps(asdict(plot), ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode()


def read(content: bytes) -> Plot:
    """Errors: ValueError, TypeError and KeyError for what `written` never wrote."""
    found: dict[str, Any] = json.loads(content)
    curves = tuple(
        Curve(str(c["label"])[:LONGEST], int(c["done"]), int(c["total"]), _points(c["points"])) for c in found["curves"]
    )
    ticks = tuple(Tick(float(tick["at"]), str(tick["text"])[:LONGEST]) for tick in found["ticks"])
    plot = Plot(str(found["heading"])[:LONGEST], float(found["hours"]), curves, ticks)
    if not 1 <= len(curves) <= CURVES or len(ticks) > TICKS or not 0 < plot.hours < float("inf"):
        raise ValueError("not a burn-up")
    return plot


def _points(found: Any) -> tuple[tuple[float, int], ...]:
    points = tuple((float(at), int(done)) for at, done in found)
    if not 1 <= len(points) <= POINTS or not all(abs(at) < float("inf") for at, _done in points):
        raise ValueError("not a curve")
    return points
