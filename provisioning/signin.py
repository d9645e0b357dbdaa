"""Remote sign-in by the device authorization grant (RFC 8628): its nouns. Times aware in UTC.

The service starts the grant with its own client and redeems the device code itself; a person types the user code at
the provider's page. Nothing here ever comes from a device.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

INTERVAL = timedelta(seconds=5)  # between two polls where the provider names none (RFC 8628, 3.2)
SLOWER = timedelta(seconds=5)  # what `slow_down` adds for this and all later polls (RFC 8628, 3.5)
LONGEST_PAUSE = timedelta(seconds=60)  # between two polls of a provider that does not answer

_ACCOUNT = re.compile(r"[^\s@/\\]{1,120}@[^\s@/\\]{1,120}")


class Stage(StrEnum):
    """How far one sign-in is. Those that are not live are final, and hold no secret any more."""

    REQUESTED = "requested"  # saved; the provider has not answered yet
    CODE_SHOWN = "code_shown"  # a person can type the code
    SIGNED_IN = "signed_in"
    ENDED = "ended"  # nobody typed the code in time
    CANCELLED = "cancelled"  # by its admin, by a newer request, by a reset or removal
    DECLINED = "declined"  # whoever typed the code refused
    BLOCKED = "blocked"  # Conditional Access or another policy of the provider
    WRONG_ACCOUNT = "wrong_account"  # another account than the intended one approved
    FAILED = "failed"

    @property
    def live(self) -> bool:
        return self in (Stage.REQUESTED, Stage.CODE_SHOWN)


@dataclass(frozen=True, slots=True)
class DeviceGrant:
    """What the provider answered to the device authorization request (RFC 8628, 3.2)."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    verification_uri: str  # https, or http on loopback in local mode; the code is never part of it
    expires_in: timedelta
    interval: timedelta = INTERVAL


@dataclass(frozen=True, slots=True)
class Account:
    """Who approved, as a verified ID token says. `id` is the Entra object id (`oid`), else the subject (`sub`)."""

    id: str
    names: tuple[str, ...]  # preferred_username, upn, email: those there are, as written, each once
    tenant: str = ""  # `tid` of an Entra token

    @property
    def name(self) -> str:
        """What people call it."""
        return self.names[0] if self.names else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One sign-in of one device: at most one is live. What is secret is sealed, and erased when it ends."""

    id: str  # random; an answer that comes for another one is discarded
    account: str  # the intended one, as people write it
    account_id: str = ""  # its object id, where that is known
    by: str  # person id of the admin who asked; nobody else gets to see the code
    by_name: str
    asked_at: datetime
    stage: Stage = Stage.REQUESTED
    sealed: str = ""  # device code and user code
    page: str = ""  # where the code is typed
    interval: float = INTERVAL.total_seconds()  # seconds between two polls, as slow as the provider asked for
    expires_at: datetime | None = None
    shown_at: datetime | None = None  # the first poll comes one interval later
    silent_since: datetime | None = None  # the provider does not answer since then; polling goes on
    ended_at: datetime | None = None
    why: str = ""  # code of what ended it, see provider_errors; of CANCELLED who or what did
    detail: str = ""  # what goes with it: a wrong account, a provider's error number, minutes a clock is off

    @property
    def live(self) -> bool:
        return self.stage.live

    def late(self, now: datetime) -> bool:
        """Whether the time of its code is over."""
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True, slots=True)
class SignInRun:
    """An admin signs devices in one after the other: one code at a time, the next when the last one is settled."""

    scope: str  # as it is said: a site, `#tag`, or "all"
    started_at: datetime
    again: bool = False  # of signed-out devices instead of those that wait for their first sign-in
    mac: str = ""  # whose turn it is
    done: int = 0
    skipped: tuple[str, ...] = ()  # MACs that do not come again in this run
    idle: int = 0  # codes in a row that nobody typed
    paused: str = ""  # code of why it stands still; empty while it goes on

    @property
    def on(self) -> bool:
        return not self.paused


def is_account(text: str) -> bool:
    """Whether this looks like an account: `room-2.14@contoso.com` (a UPN, RFC 822's form)."""
    return bool(_ACCOUNT.fullmatch(text))


def same_account(account: Account, intended: str, intended_id: str = "") -> bool:
    """Whether the approving account is the intended one: by object id where it is known, else by name, in any case."""
    if intended_id:
        return account.id.casefold() == intended_id.casefold()
    return intended.casefold() in {name.casefold() for name in account.names}
