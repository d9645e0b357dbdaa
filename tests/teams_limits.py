"""What Teams lets a bot send, and the weather: counted by the connector itself, on its own clock, by its own means.

Microsoft: "Optimize your bot with rate limiting in Teams" — per conversation 7 in 1 s, 8 in 2 s, 60 in 30 s, 1 800 in
1 h; the app, 50 a second in general, of which 20 are kept to here.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

PER_CONVERSATION = ((7, 1.0), (8, 2.0), (60, 30.0), (1800, 3600.0))
PER_APP = ((20, 1.0),)
GRACE = 1e-6  # seconds; what a float of a second today is wrong by


@dataclass
class TeamsLimits:
    """Every call taken is remembered for good: at the end a test can look at all windows once more."""

    now: Callable[[], float]
    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    everything: list[float] = field(default_factory=list)
    refused: int = 0

    def take(self, conversation: str) -> int:
        """0 where the call is taken, else the whole seconds after which it would be."""
        now = self.now()
        waits = [_wait(self.taken[conversation], now, *window) for window in PER_CONVERSATION]
        waits += [_wait(self.everything, now, *window) for window in PER_APP]
        if (wait := max(waits)) > 0:
            self.refused += 1
            return max(1, math.ceil(wait))
        self.taken[conversation].append(now)
        self.everything.append(now)
        return 0

    def broken(self) -> list[str]:
        """Windows that more was taken in than may be; the counting above, checked."""
        found = [f"app: {said}" for said in _too_many(self.everything, PER_APP)]
        for conversation, times in self.taken.items():
            found += [f"{conversation}: {said}" for said in _too_many(times, PER_CONVERSATION)]
        return found


def _wait(times: list[float], now: float, most: int, seconds: float) -> float:
    within = len(times) - bisect_right(times, now - seconds + GRACE)
    return times[-most] + seconds - now if within >= most else 0.0


def _too_many(times: list[float], windows: tuple[tuple[int, float], ...]) -> list[str]:
    return [
        f"{most + 1} within {seconds} s from {times[n - most]:.3f}"
        for most, seconds in windows
        for n in range(most, len(times))
        if times[n] - times[n - most] < seconds - GRACE
    ]


class Weather:
    """Of how many calls in a hundred what befalls: a status, `drop` (taken, the answer lost), `hang`."""

    def __init__(self, chances: Mapping[int | str, float], seed: int = 1) -> None:
        self._chances, self._rng = chances, random.Random(seed)
        self.fell: dict[int | str, int] = defaultdict(int)

    def next(self) -> int | str | None:
        drawn = self._rng.random() * 100
        for what, chance in self._chances.items():
            drawn -= chance
            if drawn < 0:
                self.fell[what] += 1
                return what
        return None
