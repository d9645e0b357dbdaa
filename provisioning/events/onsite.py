"""Facts that people on site tell."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallConfirmed(Event):
    mounting_only: bool
    screen: bool = False  # it showed the organisation, as the technician says
    room: str = ""  # where it hangs, as the technician says, where the list says another room
    photo: bool = False  # one is to follow: the next device waits for it


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoKept(Event):
    life: int
    awaited: bool = True  # the next device waited for it; else they had moved on meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoSkipped(Event):
    """No photo comes with this install after all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoShown(Event):
    """Committed before somebody gets to see it."""

    life: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemReported(Event):
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemAnswered(Event):
    """An admin said what to do; the problem stays until it is solved."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSolved(Event):
    kind: str
