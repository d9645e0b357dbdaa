"""Facts about the list, and about the device's own road."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.events.base import Event


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFreed(Event):
    """Nobody has it any more: the access of `former` ended."""

    former: str


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
