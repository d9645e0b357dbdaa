"""What in a store still needs which key: the ground on which a key is kept or dropped. Times aware in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from provisioning.batches import Batch
from provisioning.codes import key_of
from provisioning.model import ActivationCode, Device, Record
from provisioning.texts import N_
from provisioning.uploads import UploadPart

REMEMBER_ENDED = timedelta(days=7)  # how long what became of a code is known after its end
KEEP_SHEET = timedelta(days=30)  # then the ledger forgets a sheet: its codes ended weeks ago
KINDS = (Device, UploadPart, Batch)  # what names keys; nothing else in a store does


class Need(StrEnum):
    """What a key is needed for; the value is what it is called."""

    LIVE_CODE = N_("live codes")
    ENDED_CODE = N_("codes that ended, so that the right one is told so")
    RECEIVED_CODE = N_("codes of the Teams admin centre that are known again")
    ANSWER = N_("answers that a device may ask for again")
    SIGN_IN = N_("remote sign-ins")
    UPLOAD = N_("rows of uploads")
    SHEET = N_("sheets of paper")


@dataclass(frozen=True, slots=True)
class Use:
    """One use of one key; `key` is empty for what was made when nothing named its key: that is the oldest's."""

    key: str
    need: Need
    until: datetime | None  # None: until somebody decided on it, a day at most


@dataclass(slots=True)
class Tally:
    """The uses of one key for one need."""

    count: int = 0
    until: datetime | None = None


@dataclass(slots=True)
class KeyUses:
    """All uses in a store, by key and need. `oldest`: the key of what names none."""

    oldest: str
    found: dict[str, dict[Need, Tally]] = field(default_factory=dict)

    def see(self, record: Record, now: datetime) -> None:
        for use in uses_of(record, now):
            tally = self.found.setdefault(use.key or self.oldest, {}).setdefault(use.need, Tally())
            tally.count += 1
            tally.until = max(filter(None, (tally.until, use.until)), default=None)


def uses_of(record: Record, now: datetime) -> Iterator[Use]:
    """What a record needs keys for from now on."""
    if isinstance(record, Device):
        yield from _of_device(record, now)
    elif isinstance(record, UploadPart):
        sealed = (*(row.code for row in record.rows), *(row.code for row in record.bad))
        yield from (Use(key_of(code), Need.UPLOAD, None) for code in sealed if code)
    elif isinstance(record, Batch) and record.kind == "sheet" and now < record.at + KEEP_SHEET:
        yield Use(record.key_id, Need.SHEET, record.at + KEEP_SHEET)


def _of_device(device: Device, now: datetime) -> Iterator[Use]:
    if device.code:
        yield from _of_code(device.code, now)
    if device.retry_key and device.retry_until and now < device.retry_until:
        yield Use(key_of(device.retry_key), Need.ANSWER, device.retry_until)
    if device.live_sign_in and device.live_sign_in.sealed:
        yield Use(key_of(device.live_sign_in.sealed), Need.SIGN_IN, device.live_sign_in.expires_at)


def _of_code(code: ActivationCode, now: datetime) -> Iterator[Use]:
    remembered = code.expires_at + REMEMBER_ENDED
    if code.live(now):
        yield Use(code.key_id, Need.LIVE_CODE, code.expires_at)
    if code.digest is not None and now < remembered:
        yield Use(code.key_id, Need.ENDED_CODE, remembered)
    if code.mark and now < remembered:
        yield Use(key_of(code.mark), Need.RECEIVED_CODE, remembered)
