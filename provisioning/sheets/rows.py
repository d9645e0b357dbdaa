"""What was read of a sheet, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class RowFault:
    """Why a row was not taken: a stable code and the values of its sentence, so that it can be said in any language."""

    code: str
    values: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, code: str, values: Mapping[str, object]) -> RowFault:
        return cls(code, tuple((name, str(value)) for name, value in values.items()))


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row that could be a device: normalised, cleaned. `number` is the row in the file, from 1, header included."""

    sparse: ClassVar[bool] = True  # two hundred thousand of them are stored without the columns they leave empty

    number: int
    mac: str  # 12 upper-case hex digits
    location: str
    type: str = ""
    account: str = ""
    technician: str = ""  # as written; a person's id once it was looked up
    tags: tuple[str, ...] = ()
    asset_tag: str = ""
    notes: str = ""
    code: str = ""  # of the Teams admin centre; sealed as soon as it left the file


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not taken: its cells as they were, and why."""

    number: int
    cells: tuple[str, ...]  # without the code of the Teams admin centre
    fault: RowFault
    code: str = ""  # that code, sealed, as its cell was
