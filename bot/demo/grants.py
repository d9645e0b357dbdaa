"""What the demo provider remembers: one grant per code it gave out, and how they may be polled (RFC 8628)."""

from __future__ import annotations

import secrets
import unicodedata
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hmac import compare_digest
from math import ceil
from typing import Final

from provisioning.errors import ProvisioningError
from provisioning.signin import SLOWER
from provisioning.texts import N_

LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so no words, and nothing that looks like a digit (RFC 8628, 6.1)
CODE_LETTERS: Final = 8
DEVICE_CODE_BYTES: Final = 32
MOST_GRANTS: Final = 1000
WRONG_ENTRIES: Final = 10  # within WRONG_WITHIN; then whoever types waits (RFC 8628, 5.1)
WRONG_WITHIN: Final = timedelta(minutes=1)
EARLY: Final = timedelta(milliseconds=200)  # the way of two requests is not equally long: no reason to slow down


class NoToken(StrEnum):
    """Why a poll is answered without a token, in the words of RFC 8628, 3.5 and RFC 6749, 5.2."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DECLINED = "access_denied"
    EXPIRED = "expired_token"
    UNKNOWN = "invalid_grant"  # never given out, redeemed before, or another client's


class NotGranted(Exception):
    """A poll without a token."""

    def __init__(self, reason: NoToken) -> None:
        super().__init__(reason.value)
        self.reason = reason


class CodeNotKnown(ProvisioningError):
    code = "code_not_known"
    message = N_("There is no such code, or it was used or has ended. Check it, or ask for a new one.")


class TooManyEntries(ProvisioningError):
    code = "too_many_entries"
    message = N_("Too many wrong codes. Wait {seconds} s, then try again.")

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds=seconds)
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One code that somebody may approve. `ticket` goes with the question, so that only who was asked can answer."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)  # the letters alone
    ticket: str = field(repr=False)
    expires_at: datetime
    interval: timedelta
    hint: str = ""  # the account that is meant to approve
    polled_at: datetime | None = None
    account: str = ""  # who approved
    declined: bool = False

    @property
    def shown_code(self) -> str:
        """As people read it: WDJB MJHT."""
        half = CODE_LETTERS // 2
        return f"{self.user_code[:half]} {self.user_code[half:]}"

    def is_open(self, now: datetime) -> bool:
        """Whether a person can still decide."""
        return not self.account and not self.declined and now < self.expires_at

    def too_early(self, now: datetime) -> bool:
        return self.polled_at is not None and now - self.polled_at < self.interval - EARLY


def letters(typed: str) -> str:
    """What somebody typed, as the code is kept: case, blanks, dashes and the width of letters do not matter."""
    plain = unicodedata.normalize("NFKC", typed).upper()
    return "".join(character for character in plain if character.isalnum())


class Grants:
    """The grants of one provider, the oldest first; beyond `most` the oldest is forgotten."""

    def __init__(
        self, now: Callable[[], datetime], lifetime: timedelta, interval: timedelta, most: int = MOST_GRANTS
    ) -> None:
        self._now = now
        self._lifetime = lifetime
        self._interval = interval
        self._most = most
        self._grants: dict[str, Grant] = {}  # by device code
        self._device_codes: dict[str, str] = {}  # by user code
        self._wrong: deque[datetime] = deque(maxlen=WRONG_ENTRIES)

    def begin(self, hint: str = "") -> Grant:
        """A new grant, with codes that no other has."""
        grant = Grant(
            device_code=secrets.token_urlsafe(DEVICE_CODE_BYTES),
            user_code=self._free_code(),
            ticket=secrets.token_urlsafe(16),
            expires_at=self._now() + self._lifetime,
            interval=self._interval,
            hint=hint,
        )
        self._grants[grant.device_code] = grant
        self._device_codes[grant.user_code] = grant.device_code
        while len(self._grants) > self._most:
            self._forget(next(iter(self._grants.values())))
        return grant

    def poll(self, device_code: str) -> str:
        """The account that approved, once; the grant is spent then. Errors: `NotGranted`."""
        grant, now = self._grants.get(device_code), self._now()
        if grant is None:
            raise NotGranted(NoToken.UNKNOWN)
        if now >= grant.expires_at:
            raise NotGranted(NoToken.EXPIRED)
        if grant.declined:
            raise NotGranted(NoToken.DECLINED)
        if grant.account:
            self._forget(grant)
            return grant.account
        early = grant.too_early(now)
        slower = grant.interval + SLOWER if early else grant.interval
        self._grants[device_code] = replace(grant, polled_at=now, interval=slower)
        raise NotGranted(NoToken.SLOW_DOWN if early else NoToken.PENDING)

    def find(self, typed: str) -> Grant:
        """The open grant of a code that a person typed. Errors: `CodeNotKnown`, `TooManyEntries`."""
        now = self._now()
        while self._wrong and now - self._wrong[0] >= WRONG_WITHIN:
            self._wrong.popleft()
        if len(self._wrong) >= WRONG_ENTRIES:
            raise TooManyEntries(ceil((self._wrong[0] + WRONG_WITHIN - now).total_seconds()))
        grant = self._grants.get(self._device_codes.get(letters(typed), ""))
        if grant is None or not grant.is_open(now):
            self._wrong.append(now)
            raise CodeNotKnown
        return grant

    def asked(self, typed: str, ticket: str) -> Grant:
        """The open grant that somebody was asked about and now answers. Errors: `CodeNotKnown`."""
        grant = self._grants.get(self._device_codes.get(letters(typed), ""))
        right = grant is not None and compare_digest(grant.ticket.encode(), ticket.encode())
        if grant is None or not right or not grant.is_open(self._now()):
            raise CodeNotKnown
        return grant

    def approve(self, grant: Grant, account: str) -> None:
        self._grants[grant.device_code] = replace(grant, account=account)

    def decline(self, grant: Grant) -> None:
        self._grants[grant.device_code] = replace(grant, declined=True)

    def _free_code(self) -> str:
        while (code := "".join(secrets.choice(LETTERS) for _ in range(CODE_LETTERS))) in self._device_codes:
            pass
        return code

    def _forget(self, grant: Grant) -> None:
        del self._grants[grant.device_code]
        del self._device_codes[grant.user_code]
