"""When the next call to Teams may go: a log of the latest calls, of each conversation and of the app. Pure.

The limits are Teams' own (Microsoft: "Optimize your bot with rate limiting in Teams"). Times are seconds on the clock
that is handed in.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Window:
    """At most so many calls within so many seconds, wherever those seconds begin."""

    calls: int
    seconds: float


CONVERSATION: Final = (Window(7, 1), Window(8, 2), Window(60, 30), Window(1_800, 3_600))
APP: Final = Window(20, 1)
SLACK: Final = 0.1  # seconds; one call may take so much longer on its way than a later one to the same conversation
STORM: Final = 5  # conversations that are throttled …
STORM_SECONDS: Final = 10.0  # … within so long: then the app goes at half its pace for as long


@dataclass(slots=True)
class _Calls:
    """Of one conversation: when the latest calls went, and what is to come."""

    times: deque[float] = field(default_factory=deque)
    until: float = 0.0  # Teams said to leave it alone so long
    expected: int = 0  # begun, and not yet noted
    open: int = 0  # begun, and not yet ended

    def wait(self, window: Window, now: float, slack: float) -> float:
        nth = window.calls - self.expected
        if nth <= 0:  # those that are about to go fill it
            return window.seconds
        return self.times[-nth] + window.seconds + slack - now if len(self.times) >= nth else 0.0


class Pacing:
    """Every call to Teams is noted when it goes, whoever makes it; whoever can wait asks first when it may go.

    What is `begun` counts as a call that goes now, until it is noted or ended. No windows: no limit, nothing is kept.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        conversation: Sequence[Window] = CONVERSATION,
        app: Window | None = APP,
        slack: float = SLACK,
    ) -> None:
        self._now, self._windows, self._limit, self._slack = now, conversation, app, slack
        self._places: OrderedDict[str, _Calls] = OrderedDict()  # the one called longest ago comes first
        self._app = _Calls(deque(maxlen=app.calls if app else 0))
        self._longest = max((window.seconds for window in conversation), default=0.0)
        self._most = max((window.calls for window in conversation), default=0)
        self._fewest = min((window.calls for window in conversation), default=0)
        self._refusals: deque[tuple[float, str]] = deque()
        self._slow_until = 0.0
        self._rank, self._count = 0, 1

    # ------------------------------------------------------------------ asking

    def wait(self, place: str) -> float:
        """Seconds until the next call to this conversation may go, as far as the conversation is concerned."""
        calls = self._places.get(place)
        if calls is None:
            return 0.0
        now = self._now()
        _forget_the_future(calls, now)
        left_alone = max(0.0, calls.until - now)
        if len(calls.times) + calls.expected < self._fewest:  # mostly: no window is filled
            return left_alone
        return max((left_alone, *(calls.wait(window, now, self._slack) for window in self._windows)))

    def app_wait(self) -> float:
        """Seconds until the app's next call may go, to whomever."""
        if self._limit is None:
            return 0.0
        now = self._now()
        _forget_the_future(self._app, now)
        return max(0.0, self._app.wait(self._share(self._limit, now), now, 0.0))

    @property
    def rate(self) -> float:
        """Calls a second that are this instance's; infinite without a limit."""
        share = self._share(self._limit, self._now()) if self._limit else None
        return share.calls / share.seconds if share else float("inf")

    def _share(self, limit: Window, now: float) -> Window:
        """Of `count` instances each has its part of the app's calls; parts add up to the whole, none is empty."""
        whole = limit.calls if now >= self._slow_until else max(1, limit.calls // 2)
        mine = whole * (self._rank + 1) // self._count - whole * self._rank // self._count
        if self._count > whole:
            return Window(1, limit.seconds * self._count / whole)
        return Window(mine, limit.seconds)

    # ------------------------------------------------------------------ telling

    def among(self, rank: int, count: int) -> None:
        """This instance is number `rank` (from 0) of `count` that share the app's limit."""
        self._rank, self._count = rank, count

    def begin(self, place: str) -> None:
        """A call is about to be made; `end` it, whatever comes of it."""
        for calls in (self._calls(place), self._app):
            calls.expected += 1
            calls.open += 1

    def end(self, place: str) -> None:
        """It is over; where it was never noted, it does not count."""
        for calls in (self._calls(place), self._app):
            calls.open -= 1
            calls.expected = min(calls.expected, calls.open)

    def note(self, place: str) -> None:
        """A call goes now; an empty `place` is a call to no conversation, which counts for the app alone."""
        now = self._now()
        for calls in (self._calls(place), self._app) if place else (self._app,):
            calls.expected = max(0, calls.expected - 1)
            calls.times.append(now)
        self._forget_idle(now)

    def throttled(self, place: str, seconds: float) -> None:
        """Teams refused a call with 429 or 412: the conversation is left alone for so long.

        Where this happens to many at once it is the app that is too fast.
        """
        now, calls = self._now(), self._calls(place)
        calls.until = max(calls.until, now + seconds)
        self._refusals.append((now, place))
        while self._refusals[0][0] <= now - STORM_SECONDS:
            self._refusals.popleft()
        if len({refused for _at, refused in self._refusals}) >= STORM:
            self._slow_until = now + STORM_SECONDS

    # ------------------------------------------------------------------ what is kept

    @property
    def known(self) -> int:
        """How many conversations something is known of."""
        return len(self._places)

    def _calls(self, place: str) -> _Calls:
        calls = self._places.get(place)
        if calls is None:
            calls = self._places[place] = _Calls(deque(maxlen=self._most))
        self._places.move_to_end(place)
        return calls

    def _forget_idle(self, now: float) -> None:
        """Two of those called longest ago are looked at for each call, so that all that is idle goes in time."""
        for place in [place for place, _ in zip(self._places, range(2), strict=False)]:
            calls = self._places[place]
            if calls.open:
                self._places.move_to_end(place)
            elif calls.until > now or (calls.times and calls.times[-1] > now - self._longest):
                return
            else:
                del self._places[place]


def unlimited(now: Callable[[], float]) -> Pacing:
    """For a service that has no limits: it is waited only where it says so itself."""
    return Pacing(now, conversation=(), app=None)


def _forget_the_future(calls: _Calls, now: float) -> None:
    """The clock was set back: what it said before means nothing any more."""
    while calls.times and calls.times[-1] > now:
        calls.times.pop()
