"""An attack on the codes of the whole fleet, as it is remembered: who was turned away, and what the admins said. Pure.

All of it is bounded: whoever calls from a million addresses makes no record longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

QUIET = timedelta(minutes=10)  # after the last stop, an attack is over
HOLDS = timedelta(hours=24)  # an admin's word about a network
NAMED = 8  # networks that are remembered of an attack, those that called most
COUNTED = 64  # networks that one instance tells apart between two writes
WORDS = 50  # of admins; the oldest are forgotten first


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """A network whose calls were turned away because a limit of the whole fleet was reached.

    exempt: it was the second limit, that of networks which the first one does not concern.
    """

    network: str  # `10.1.2.0/24`
    calls: int
    exempt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an admin said about a network; it holds for 24 hours."""

    network: str
    allowed: bool
    by_name: str
    at: datetime

    def holds(self, now: datetime) -> bool:
        return now - self.at < HOLDS

    @property
    def until(self) -> datetime:
        return self.at + HOLDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """The latest attack, and what was decided about networks. Without `began` there was none yet."""

    began: datetime | None = None
    over: datetime | None = None
    spent: int = 0  # how often a budget of ten minutes was used up in it
    shut_until: datetime | None = None  # networks that nobody knows
    exempt_until: datetime | None = None  # the others, where they used up theirs
    turned: tuple[Turned, ...] = ()  # those that called most come first
    verdicts: tuple[Verdict, ...] = ()

    @property
    def on(self) -> bool:
        return self.began is not None and self.over is None

    def quiet(self, now: datetime) -> bool:
        """Whether no limit of the fleet was reached for so long that it counts as over."""
        stops = [stop for stop in (self.shut_until, self.exempt_until) if stop]
        return self.on and (not stops or now >= max(stops) + QUIET)

    def spends(self, until: datetime, now: datetime, *, exempt: bool) -> Attack:
        """A budget was used up, which stops its networks until then; the first time, an attack begins."""
        going = self if self.on else Attack(began=now, verdicts=self.verdicts)
        spent = replace(going, spent=going.spent + 1)
        return replace(spent, exempt_until=until) if exempt else replace(spent, shut_until=until)

    def turns_away(self, calls: Mapping[tuple[str, bool], int]) -> Attack:
        """So many more calls of networks (and whether they were exempt) were turned away; the most frequent stay."""
        total = {(each.network, each.exempt): each.calls for each in self.turned}
        for key, count in calls.items():
            total[key] = total.get(key, 0) + count
        most = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:NAMED]
        return replace(self, turned=tuple(Turned(network=name, exempt=exempt, calls=n) for (name, exempt), n in most))

    def decides(self, verdict: Verdict) -> Attack:
        """The latest word about a network counts; what holds no longer is forgotten."""
        others = [each for each in self.verdicts if each.network != verdict.network and each.holds(verdict.at)]
        return replace(self, verdicts=(*others, verdict)[-WORDS:])

    def said(self, now: datetime) -> tuple[Verdict, ...]:
        """What admins said and still holds, the latest first."""
        return tuple(each for each in reversed(self.verdicts) if each.holds(now))

    def open_question(self, now: datetime) -> Turned | None:
        """The network that called most and about which nobody has said anything."""
        decided = {each.network for each in self.said(now)}
        return next((each for each in self.turned if each.network not in decided), None)


def note(calls: dict[tuple[str, bool], int], network: str, *, exempt: bool) -> None:
    """One more call that was turned away, counted in a table that never outgrows `COUNTED`.

    Where it is full, the rarest gives way and its count goes on (the Space-Saving summary of Metwally, Agrawal and
    El Abbadi): a network that calls often is never missing, and counted too high rather than too low.
    """
    key = (network, exempt)
    if key not in calls and len(calls) >= COUNTED:
        rarest = min(calls, key=calls.__getitem__)
        calls[key] = calls.pop(rarest)
    calls[key] = calls.get(key, 0) + 1
