"""What people on site say, ask and find: parts of a device's record. Times aware in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

REQUEST_STANDS = timedelta(hours=24)  # then the technician may make codes by themselves again
ASK_NEXT = timedelta(minutes=10)  # unanswered, after which the next admin is asked for a code


@dataclass(frozen=True, slots=True)
class Installation:
    """A technician's word that a device is mounted; stands beside the server's own knowledge, never instead of it."""

    by: str
    by_name: str
    at: datetime
    note: str = ""
    mounting_only: bool = False  # confirmed before the device had called in
    checked: bool = False  # mounted, cabled, screen on
    screen: bool = False  # it showed the tenant's name, as the technician says
    room: str = ""  # where it hangs, in the technician's words, where the list says another room
    photo: str = ""  # key of the picture that was kept with it


@dataclass(frozen=True, slots=True)
class Answered:
    """An admin's answer to a problem."""

    text: str
    by: str
    by_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Problem:
    kind: str
    note: str
    by: str
    by_name: str
    at: datetime
    answer: Answered | None = None


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """A technician asks for a code that only an admin can make; `admins` are asked one after the other."""

    by: str
    by_name: str
    at: datetime
    admins: tuple[str, ...] = ()  # person ids, in the order they are asked
    refused_by: str = ""  # name of the admin who refused
    refused_at: datetime | None = None

    @property
    def open(self) -> bool:
        return self.refused_at is None

    def asking(self, now: datetime) -> bool:
        """Whether some admin's ten minutes are not over, or a refusal is that fresh: not the time to ask again."""
        latest = self.refused_at or (self.turns[-1][1] if self.admins else None)
        return latest is not None and now < latest + ASK_NEXT

    def stands(self, now: datetime) -> bool:
        """Whether there is still something to say of it, answered or not."""
        return now - self.at < REQUEST_STANDS

    @property
    def turns(self) -> tuple[tuple[str, datetime], ...]:
        """Which admin is asked when, as long as nobody answers."""
        return tuple((admin, self.at + place * ASK_NEXT) for place, admin in enumerate(self.admins))

    def latest(self, now: datetime) -> tuple[str, datetime]:
        """Who was asked last, and when; nobody where there was nobody to ask."""
        return next((turn for turn in reversed(self.turns) if turn[1] <= now), ("", self.at))


@dataclass(frozen=True, slots=True)
class Stray:
    """Another device presented this one's code: told to this one's technician alone, never to the caller."""

    mac: str  # who called
    at: datetime
    asked_at: datetime | None = None  # an admin was asked to add or to assign the caller
    told: str = ""  # person id: whoever holds the device later learns nothing of it
    answered_by: str = ""  # name of the admin who answered …
    answered_at: datetime | None = None  # … by refusing, unless it is `over` by that
    over: bool = False  # acted upon: nothing is shown of it any more
    ignored: tuple[str, ...] = ()  # callers that are not this technician's, told no more for this code

    @property
    def waits(self) -> bool:
        """For an admin's answer."""
        return self.asked_at is not None and self.answered_at is None and not self.over
