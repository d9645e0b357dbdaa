"""Facts about people, and the state as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from provisioning.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessAsked(Event):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGranted(Event):
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRefused(Event):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRevoked(Event):
    codes: int
    jobs: int
    heir: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupJoined(Event):
    """Somebody has a role because the directory says that they are in one of its groups."""

    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLeft(Event):
    """A role that came from a group is gone."""

    role: str
    unconfirmed: bool = False  # the directory did not say so: it could not be asked for too long
    ended: bool = False  # it was their last one: what they had in hand was taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonUnreachable(Event):
    why: str = ""  # code of the delivery error; empty: they removed the app


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRestored(Event):
    """The state of a backup took the place of the present one; `codes` that lived in it were voided before."""

    taken_at: datetime | None  # None: a database was put back by its own tools
    codes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditExported(Event):
    """Facts were taken away as a file. The subject is the device or person they are about, or `all`."""

    form: str  # "jsonl" or "csv"
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRedacted(Event):
    """Words that led to a person who left were taken out of earlier facts; their digests stay, and so does the chain.

    The subject is that person. `rows` are `NUMBER:DIGEST`: SHA-256 of what such a row says since, see storage/chain.py.
    """

    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonForgotten(Event):
    """Their access had ended; whatever led from the id (the subject) to the person is erased."""
