"""What the service keeps for itself: counters of failures, marks of what was done, leases, seals of the audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from provisioning.defence import Attack


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Failures counted in one slot of a fixed table (see throttle.py)."""

    slot: str
    failures: int = 0
    since: datetime | None = None
    blocked_until: datetime | None = None
    networks: int = 0  # of the fleet's: how many networks had a part in it
    part_of: datetime | None = None  # of a network's: the fleet's window in which it was counted among those
    attack: Attack | None = None  # in the slot `attack` alone
    version: int = 0

    @property
    def key(self) -> str:
        return self.slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Says that an intent took effect: stored in the unit that carried it out, so a second delivery finds it."""

    id: str
    at: datetime
    version: int = 0

    @property
    def key(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A job that one instance at a time does, and until when it is theirs; then any other may take it."""

    name: str
    holder: str  # the instance
    until: datetime
    version: int = 0

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Audit rows that were chained together. Its rows may be dropped one day; the segment and its head stay."""

    number: int  # from 1, without a gap
    first: int  # sequence of its first row
    last: int
    count: int
    newest: datetime  # when its last fact happened
    head: str  # SHA-256 over the head before it and the digests of its rows, hex
    sealed_at: datetime
    dropped_at: datetime | None = None  # its rows were older than they are kept
    version: int = 0

    @property
    def key(self) -> str:
        return f"{self.number:012d}"

    @property
    def dropped(self) -> bool:
        return self.dropped_at is not None
