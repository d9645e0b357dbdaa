"""Facts about attacks on codes. The subject is always the attack, there is one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from provisioning.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackBegan(Event):
    """A limit of the whole fleet was reached."""

    failures: int  # wrong codes within ten minutes
    networks: int  # that had a part in it
    exempt: bool = False  # it was the limit of the exempt networks


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackEnded(Event):
    """No limit of the fleet was reached for ten minutes after the last stop."""

    began: datetime
    spent: int  # how often a limit of the fleet was reached


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAllowed(Event):
    """It counts as known for 24 hours: the fleet's first limit does not concern it."""

    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDenied(Event):
    """It counts as unknown for 24 hours, whatever is provisioned from there."""

    network: str
