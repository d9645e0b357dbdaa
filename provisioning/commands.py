"""What a device is asked to do from afar: a short queue in its record that its long poll reads. Times in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

SETTLED_KEPT = 5  # the latest outcomes that stay in a device's record; all are in the audit
DETAIL_LIMIT = 200  # characters of what a device says to a command


class CommandName(StrEnum):
    """The values are the names on the wire."""

    SIGN_OUT = "sign_out"
    RESTART = "restart"
    DIAGNOSTICS = "diagnostics"  # answered with a note: `detail`


class CommandStatus(StrEnum):
    ASKED = "asked"  # waits for the device, or for its hour
    DONE = "done"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"  # by an admin, before the device had done it
    LAPSED = "lapsed"  # the device was reset, taken off the list, or began anew


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCommand:
    """One thing asked of one device."""

    id: str
    name: CommandName
    by: str  # person id
    by_name: str
    asked_at: datetime
    due_at: datetime  # not given to the device before
    status: CommandStatus = CommandStatus.ASKED
    settled_at: datetime | None = None
    detail: str = ""  # what the device said

    @property
    def open(self) -> bool:
        return self.status is CommandStatus.ASKED

    def scheduled(self, now: datetime) -> bool:
        """For an hour that is still to come."""
        return self.open and now < self.due_at != self.asked_at

    def due(self, now: datetime) -> bool:
        return self.open and self.due_at <= now


def bounded(commands: tuple[DeviceCommand, ...]) -> tuple[DeviceCommand, ...]:
    """Those that wait, and those that were settled last, in the order they were asked for."""
    over = sorted((each for each in commands if not each.open), key=lambda each: each.settled_at or each.asked_at)
    kept = over[-SETTLED_KEPT:]
    return tuple(each for each in commands if each.open or each in kept)
