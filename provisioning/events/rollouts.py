"""Facts about rollouts; the subject is the channel that follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from provisioning.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConnected(Event):
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDisconnected(Event):
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLost(Event):
    """The channel of a rollout cannot be written to any more; `why` is the code of a delivery error."""

    site: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChosen(Event):
    """How codes of the channel's rollout start from now on."""

    on_site: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPlanned(Event):
    """What was decided about it beforehand; as it stands after the change."""

    site: str
    lead: str = ""
    technicians: tuple[str, ...] = ()
    lifetime_hours: int = 0
    planned_start: datetime | None = None
    planned_end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPaused(Event):
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResumed(Event):
    """It goes on, after a pause or although it was finished."""

    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFinished(Event):
    site: str
    total: int
    provisioned: int
    installed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TechniciansReminded(Event):
    """Whoever has open devices there was written to."""

    site: str
    people: int
