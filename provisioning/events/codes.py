"""Facts about codes, and about codes that were typed on another device."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from provisioning.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeIssued(Event):
    issue: int
    expires_at: datetime
    voided: bool = False  # a live code died for it
    asked_by: str = ""  # the technician who waited for it


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHandedOver(Event):
    """Without a code: its technician starts one in front of the device."""

    technician: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReceived(Event):
    """A code that the Teams admin centre made came with an upload; Microsoft's service alone accepts it."""

    issue: int
    expires_at: datetime
    voided: bool = False  # a live code gave way to it


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesExported(Event):
    """Committed before the codes are unsealed, with a `CodeShown` for each. The subject is a site, tag or person."""

    count: int
    form: str  # "xlsx", "csv" or "pdf"


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetMade(Event):
    """A signed sheet of a technician's own devices. The subject is the person; `digest` is of the MACs, keyed."""

    sheet: str  # its number
    count: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeShown(Event):
    """Committed before the code is unsealed."""

    issue: int
    reader: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRevoked(Event):
    issue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeUsed(Event):
    """A code of the Teams admin centre, as the technician says: the screen showed it. Its sealed copy was erased."""

    issue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeEnded(Event):
    """It expired unused; its sealed copy was erased."""

    issue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeLocked(Event):
    """Too many wrong codes for this device: the code was revoked."""

    issue: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequested(Event):
    """A technician asked an admin for a code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDenied(Event):
    """An admin refused the code that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeStrayed(Event):
    """Another device, `caller`, was refused with the subject's code. Its technician is told, nobody else."""

    caller: str
    source: str  # network address it called from


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayFollowed(Event):
    """The technician went on with the device that had called."""

    caller: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayDismissed(Event):
    """The technician has nothing to do with the device that had called."""

    caller: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayAsked(Event):
    """The technician asked the admins for the device that had called."""

    caller: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayAnswered(Event):
    caller: str
    granted: bool
