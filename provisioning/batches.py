"""What one command did to many devices."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime

from provisioning.onsite import Installation, Problem


@dataclass(frozen=True, slots=True)
class Former:
    """What a device was like before an import changed it, and the version it has since."""

    mac: str
    version: int
    location: str
    issued: int = 0
    type: str = ""
    account: str = ""
    technician: str = ""
    tags: tuple[str, ...] = ()
    asset_tag: str = ""
    notes: str = ""
    installed: Installation | None = None
    problem: Problem | None = None
    renewals: tuple[datetime, ...] = ()
    removed_at: datetime | None = None
    added_at: datetime | None = None
    added_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one command did to many devices: the ground for undo, and for the ledger of a hand-over.

    Devices of an import name it by their `batch` and do not stand in `macs`; while it `hides`, nobody sees them.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    kind: str  # "add", "issue", "import" or "sheet"
    by: str
    by_name: str
    at: datetime
    macs: tuple[str, ...]
    kept: tuple[str, ...] = ()  # already there, left as they were
    technician: str = ""
    expires_at: datetime | None = None
    undone_at: datetime | None = None
    hides: bool = False  # of an import: it is not finished, or it was undone
    before: tuple[Former, ...] = ()  # of an import: what it changed was like this
    on_site: bool = False  # of an issue: no codes were made, their technicians start them
    key_id: str = ""  # of a sheet: the key it was signed with
    version: int = 0

    @property
    def key(self) -> str:
        return self.id
