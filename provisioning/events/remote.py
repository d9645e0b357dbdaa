"""Facts of what happens from afar: sign-in, commands, a device's further lives, whether it still calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from provisioning.events.base import Event

# ------------------------------------------------------------------ sign-in


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChosen(Event):
    """Which account is to be signed in on it; empty: none any more."""

    account: str
    former: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInAsked(Event):
    """The actor wants the account signed in; a sign-in that was under way gave way to it (`replaced`)."""

    account: str
    replaced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInCodeShown(Event):
    """The provider gave a user code, which one admin (`reader`) gets to see."""

    reader: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInTroubled(Event):
    """The provider does not answer (`silent`), or answers again."""

    silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInEnded(Event):
    """Without an account: the stage it ended in, and the code of why."""

    stage: str
    why: str = ""
    asked_by: str = ""  # the admin who had asked
    detail: str = ""  # as shown: a wrong account, a provider's error number


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSignedIn(Event):
    """The intended account approved it, as a verified ID token says."""

    account: str
    account_id: str
    asked_by: str  # the admin who had asked


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSignedOut(Event):
    """The device said so, as it was asked to."""

    account: str


# ------------------------------------------------------------------ commands


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAsked(Event):
    command: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettled(Event):
    """The device's own word, `detail` in its words. What lapses with a life is told by that life's end."""

    command: str
    status: str
    command_id: str = ""
    detail: str = ""
    asked_by: str = ""
    late: bool = False  # it took long enough that nobody is looking any more


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandWithdrawn(Event):
    command: str


# ------------------------------------------------------------------ further lives


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetOrdered(Event):
    """An admin ended the device's life; `life` is the new one. Its registration and any live code are dead."""

    life: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetReported(Event):
    """The device said that it was reset, after an admin had ordered it: its new life had begun already."""

    life: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetDoubted(Event):
    """A provisioned device presented its MAC again: was it reset by hand? Told at most hourly."""

    source: str  # network address it called from
    technician: str = ""  # who is asked, instead of the admins


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtDismissed(Event):
    """It was not reset."""


# ------------------------------------------------------------------ whether it still calls


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOffline(Event):
    """It has not called since."""

    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOnline(Event):
    """It calls again; it had been away since."""

    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStale(Event):
    """No contact for longer than STALE_AFTER. It stays on the list."""

    since: datetime
