"""How a rehearsal is set: who takes part, how long things take, what goes wrong how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Final

from provisioning.rehearsals import Slip


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_thousand` of the devices that are installed; what it costs in minutes, from … to."""

    per_thousand: int
    least: float
    longest: float


# What goes wrong, how often and for how long. These are assumptions, not measurements: `--mistakes 0` plays without
# any, `--mistakes 3` a bad week, and `--rate SLIP=N` sets one of them. A dead code is not drawn: it follows from the
# lifetime of codes and the hours that people work.
MISTAKES: Final[Mapping[Slip, Rate]] = {
    Slip.TYPO: Rate(60, 0.3, 0.8),  # of 12 digits typed on a phone's keypad
    Slip.WRONG_CODE: Rate(5, 0.5, 1.5),
    Slip.SWAP: Rate(15, 1.0, 3.0),
    Slip.ANSWER_LOST: Rate(10, 1.0, 5.0),
    Slip.NO_NETWORK: Rate(25, 5.0, 25.0),
    Slip.PHONE_OFFLINE: Rate(40, 2.0, 15.0),
    Slip.MISSING: Rate(10, 2.0, 6.0),
    Slip.BROKEN: Rate(5, 5.0, 15.0),
    Slip.PROBLEM: Rate(15, 3.0, 8.0),
}

WALK_TO_ROOM: Final = (0.5, 2.0)  # minutes
WALK_TO_FLOOR: Final = (2.0, 5.0)
WALK_TO_SITE: Final = (25.0, 60.0)
TYPE_CODE: Final = (0.4, 0.9)
CONFIRM: Final = (0.2, 0.6)
BREAKS: Final = ((time(10), 15), (time(12), 30), (time(14, 30), 15))  # when, minutes
MINUTES: Final = 8.0
ADMIN_REACTS: Final = (2.0, 20.0)  # minutes until an admin looks at what they were told
ADMIN_SIGNS_IN: Final = (0.7, 1.6)  # minutes for one device at the provider's page
LATEST_LOOK: Final = 10.0  # minutes until a technician whose phone stays silent types "next"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`devices` and `technicians` 0: those of the data. Times in minutes; hours on the clocks of the deployment."""

    site: str = ""
    devices: int = 0
    technicians: int = 0
    minutes: float = MINUTES  # at one device, from the box to its screen
    spread: float = 0.35  # standard deviation of that, as a part of it
    start: datetime | None = None  # aware; None: the next working morning
    begin: time = time(8)
    finish: time = time(16, 30)
    issued_before: float = 0.0  # hours between the issuing of codes and the start
    on_site: bool | None = None  # None: as the rollout's policy says
    lifetime: float | None = None  # hours of a code; None: as configured
    mistakes: float = 1.0  # times the rates of MISTAKES
    rates: Mapping[Slip, int] = field(default_factory=dict)  # per thousand, instead of the table's
    sign_in: bool = False  # an admin signs in whatever called in
    days: int = 15  # after which it ends, done or not
    seed: int = 7
    runs: int = 1

    def rate(self, slip: Slip) -> float:
        """How likely, 0 … 1, for one device."""
        usual = self.rates.get(slip, MISTAKES[slip].per_thousand * self.mistakes)
        return min(1.0, usual / 1000)
