"""Facts, in the past tense. One fact is one audit row and the source of every notification about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`actor` is a person id, `device` or `service`; `subject` a MAC, person id or channel id. Never a code."""

    at: datetime
    actor: str
    subject: str

    registry: ClassVar[dict[str, type[Event]]] = {}

    def __init_subclass__(cls) -> None:
        # slots=True builds each class twice; the second, final one overwrites the first
        Event.registry[cls.__name__] = cls

    @property
    def name(self) -> str:
        return type(self).__name__


# ------------------------------------------------------------------ the list


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAdded(Event):
    """Of an import (`batch`) it holds once that import is finished: `ImportFinished`."""

    location: str
    batch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMoved(Event):
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReplaced(Event):
    """The subject took the place of `former`."""

    former: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesSwapped(Event):
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRemoved(Event):
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUndone(Event):
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChanged(Event):
    """An import gave these columns other values."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTagged(Event):
    tag: str
    removed: bool = False  # the tag was taken away


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFinished(Event):
    """From here on everybody sees what it added. The subject is the batch."""

    added: int
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCancelled(Event):
    """What it had prepared is deleted; nobody ever saw it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportUndone(Event):
    """What it had added is off the list, except devices that had moved on."""

    stayed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAssigned(Event):
    technician: str
    former: str = ""


# ------------------------------------------------------------------ codes


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


# ------------------------------------------------------------------ near misses


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


# ------------------------------------------------------------------ the device's own road


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProvisioned(Event):
    life: int
    source: str  # network address it called from


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionRepeated(Event):
    """The same call again (Idempotency-Key): a new token, the former died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionRefused(Event):
    """Kept for known devices only, so that strangers cannot fill the audit."""

    reason: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReset(Event):
    """The device reported its factory reset; `life` is the new one."""

    life: int


# ------------------------------------------------------------------ on site


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


# ------------------------------------------------------------------ people and channels


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
class PersonUnreachable(Event):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConnected(Event):
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChosen(Event):
    """How codes of the channel's rollout start from now on."""

    on_site: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDisconnected(Event):
    site: str


# ------------------------------------------------------------------ the state as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRestored(Event):
    """The state of a backup took the place of the present one; `codes` that lived in it were voided before."""

    taken_at: datetime | None  # None: a database was put back by its own tools
    codes: int
