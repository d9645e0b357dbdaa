"""What a rehearsal found: a rollout played by simulated people and devices on a copy of the data. Times aware, in UTC.

MACs, codes and tokens are no part of it: places name devices.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Slip(StrEnum):
    """What goes wrong on site."""

    TYPO = "typo"  # one wrong digit: the check digit refuses it, and no try is lost
    WRONG_CODE = "wrong_code"  # several wrong digits that pass the check digit: a try is counted
    SWAP = "swap"  # two labels exchanged: a code is typed on the other device
    DEAD_CODE = "dead_code"  # it ended before its device was reached
    ANSWER_LOST = "answer_lost"  # the device's network fails between its call and the answer
    NO_NETWORK = "no_network"  # the device reaches nothing for a while
    PHONE_OFFLINE = "phone_offline"  # the technician's phone sends late
    MISSING = "missing"  # no device in the box
    BROKEN = "broken"  # or one that does not start
    PROBLEM = "problem"  # something that an admin has to answer: a port, a cable


class Conflict(StrEnum):
    """What the data itself says that will hurt."""

    SAME_PLACE = "same_place"  # several devices in one room of the list
    NEIGHBOURS = "neighbours"  # MACs on one floor that differ in one digit
    SAME_SERIAL = "same_serial"
    NO_TECHNICIAN = "no_technician"
    UNKNOWN_TECHNICIAN = "unknown_technician"  # a name behind a device who is not known, or no technician
    NO_CHAT = "no_chat"  # a technician who cannot be written to
    NO_FLOOR = "no_floor"  # places without floor and room: nobody can say which way is short
    OPEN_PROBLEM = "open_problem"
    RESET_AWAITED = "reset_awaited"
    SHORT_CODES = "short_codes"  # codes that live now and end before their technician gets there
    LONG_CODES = "long_codes"  # a lifetime that leaves codes lying about after the last install
    NOBODY = "nobody"  # there are no technicians at all
    NO_CHANNEL = "no_channel"  # no channel follows it


class Cure(StrEnum):
    """What to change."""

    ON_SITE = "on_site"  # start codes on site instead of at once
    LIFETIME = "lifetime"  # how many hours codes would have to live
    MORE_HANDS = "more_hands"  # so many more technicians, and when they would be done
    FEWER_HANDS = "fewer_hands"  # so many fewer would be done on the same day
    SPLIT = "split"  # somebody has far more to do than others
    FIX_DATA = "fix_data"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Counted:
    """How often, and how many minutes it took from people."""

    slip: Slip
    count: int
    minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """A conflict in the data; `places` name the first few."""

    conflict: Conflict
    count: int
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """One technician's part. Minutes of working time: at devices, walking, lost to mistakes, waiting for anything."""

    name: str
    devices: int
    installed: int
    work: float
    walk: float
    lost: float
    idle: float
    done_at: datetime | None = None  # their last install
    made_up: bool = False


@dataclass(frozen=True, slots=True)
class Dying:
    """Codes that end unused; `hours` says in which hour how many end, and `needed` how many hours they had to live."""

    count: int
    hours: tuple[tuple[datetime, int], ...] = ()
    lifetime: float = 24.0
    needed: int = 0
    on_site: bool = False


@dataclass(frozen=True, slots=True)
class Peak:
    """The most calls in any `window` seconds, of the `most` that Teams takes. `where`: a chat; empty: all together."""

    window: float
    most: int
    calls: int
    where: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A chat or channel that Teams answered with 429."""

    where: str
    refused: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was told, how it got through. Delays in seconds, from when a message was due to when it stood there."""

    told: tuple[tuple[str, int], ...] = ()  # kinds of messages
    answers: int = 0
    edits_asked: int = 0
    edits_sent: int = 0
    peaks: tuple[Peak, ...] = ()
    held: tuple[Held, ...] = ()
    usual_delay: float = 0.0  # median
    longest_delay: float = 0.0
    undelivered: int = 0

    @property
    def coalesced(self) -> int:
        return max(0, self.edits_asked - self.edits_sent)


@dataclass(frozen=True, slots=True)
class Advice:
    cure: Cure
    number: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`runs` of several seeds give `earliest` and `latest` (p10 and p90 of the end); of one run both are None."""

    scope: str
    made_up: bool  # devices that nobody has, or a copy of the data
    seed: int
    runs: int = 1
    seconds: float = 0.0  # that it took
    devices: int
    passed_over: int = 0  # codes of the Teams admin centre, or installed already
    start: datetime
    end: datetime | None = None  # the last install
    earliest: datetime | None = None
    latest: datetime | None = None
    provisioned: int = 0
    installed: int = 0
    signed_in: int = 0
    stuck: int = 0  # with a problem at the end
    unfinished: int = 0  # nobody got to them
    loads: tuple[Load, ...] = ()
    slips: tuple[Counted, ...] = ()
    conflicts: tuple[Found, ...] = ()
    dying: Dying
    traffic: Traffic
    advice: tuple[Advice, ...] = ()
