"""A sheet somebody sent, from its first byte to its undo: what was read of it, what became of it.

Nothing of it is a device before [Add]. Its rows wait in parts, so that any instance can go on where one stopped.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from provisioning.sheets.rows import BadRow, RowFault, SheetRow

__all__ = ["BadRow", "RowFault", "SheetRow", "Standing", "Upload", "UploadPart", "UploadState"]


class UploadState(StrEnum):
    READING = "reading"  # on the instance that was sent it; nothing is saved
    READY = "ready"  # previewed; waits for a decision
    ADDING = "adding"  # being saved; nobody sees any of it yet
    ADDED = "added"
    UNDOING = "undoing"  # off the list already; what it had added is being deleted
    UNDONE = "undone"
    CANCELLED = "cancelled"
    FAILED = "failed"  # it could not be read; `fault` says why


class Standing(StrEnum):
    """How a row stands to the list."""

    NEW = "new"  # no such device, or one that was taken off the list
    SAME = "same"  # here just so already
    DIFFERENT = "different"  # here with something else in one of the columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One sheet and its preview. Counts are of rows."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    by: str
    by_name: str
    at: datetime
    name: str  # of the file; empty for rows that were pasted
    state: UploadState = UploadState.READING
    header: tuple[str, ...] = ()  # as written, for the error file
    total: int = 0  # rows with something in them
    new: int = 0
    same: int = 0
    different: int = 0
    wrong: int = 0
    codes: int = 0  # rows with a code of the Teams admin centre
    sites: tuple[tuple[str, int], ...] = ()  # the largest first
    vendors: tuple[tuple[str, int], ...] = ()
    faults: tuple[tuple[int, RowFault], ...] = ()  # the first bad rows
    remarks: tuple[RowFault, ...] = ()  # what was passed over, in a word
    differing: tuple[tuple[str, str, str], ...] = ()  # (MAC, location here, location in the file), the first few
    parts: int = 0
    written: int = 0  # parts that are done; while ADDING
    erased: int = 0  # parts whose codes are gone, once it is over
    pending: tuple[int, ...] = ()  # parts with rows that change devices which are here; while ADDING
    technicians: tuple[str, ...] = ()  # person ids that its rows name
    update: bool = False  # devices that are here and different: take what the file says
    coded_at: datetime | None = None  # when the Teams admin centre made the codes, as the admin says
    added: int = 0
    changed: int = 0
    batch: str = ""  # once [Add] was pressed
    decided_at: datetime | None = None  # when it was
    settled_at: datetime | None = None
    progress_at: datetime | None = None  # when it last moved
    fault: RowFault | None = None
    cursor: str | None = ""  # while UNDOING: how far it was looked through for what has moved on; None: to its end
    undone: int = 0
    kept: tuple[tuple[str, RowFault], ...] = ()  # after an undo: the first devices (titles) that stayed, and why
    stayed: int = 0
    version: int = 0

    @property
    def key(self) -> str:
        return self.id

    @property
    def good(self) -> int:
        return self.new + self.same + self.different

    @property
    def unfinished(self) -> bool:
        """Something is still to be done by itself: reading, adding, deleting what nobody is to see, erasing codes."""
        cancelled_midway = self.state is UploadState.CANCELLED and bool(self.batch)
        under_way = self.state in (UploadState.READING, UploadState.ADDING, UploadState.UNDOING)
        return cancelled_midway or under_way or self.holds_codes

    @property
    def holds_codes(self) -> bool:
        """Its rows are needed no more, and sealed codes of the Teams admin centre still stand in them."""
        over = self.state in (UploadState.ADDED, UploadState.UNDONE, UploadState.CANCELLED, UploadState.FAILED)
        return over and self.codes > 0 and self.erased < self.parts


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPart:
    """Some hundred rows of an upload, in the order of the file."""

    upload: str
    number: int  # from 0
    rows: tuple[SheetRow, ...] = ()
    bad: tuple[BadRow, ...] = ()
    version: int = 0

    @property
    def key(self) -> str:
        return f"{self.upload}/{self.number:05d}"
