"""Rows of an XLSX workbook, macros or not: its values are read and nothing in it is run."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

from provisioning.sheets import archive, faults, limits
from provisioning.sheets.cells import Cell

MERGED = 20_000  # cells that stand for many; more than that nobody merges by hand

Rows = Iterator[tuple[int, list[Cell]]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet of a workbook, which is unpacked when its rows are asked for."""

    name: str
    rows: Callable[[], Rows]


def sheets_of(content: bytes, counted: Callable[[int], None]) -> Iterator[Sheet]:
    """The visible sheets, in their order; `counted` is told how many rows there are before they are unpacked.

    Errors: the `SheetError` tree.
    """
    packed = archive.opened(content)
    archive.checked(packed)
    parts = [name for name in packed.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
    total = sum(archive.rows_in(packed, name) for name in parts)
    counted(total)
    book = _guarded(lambda: load_workbook(io.BytesIO(content)))
    for number, sheet in enumerate(book.sheets_metadata):
        if sheet.visible is SheetVisibleEnum.Visible and sheet.typ is SheetTypeEnum.WorkSheet:
            yield Sheet(sheet.name, lambda number=number: _rows(book, number))  # type: ignore[misc]


def _guarded(read: Callable[[], CalamineWorkbook]) -> CalamineWorkbook:
    try:
        return read()
    except PasswordError:
        raise faults.Encrypted from None
    except (CalamineError, OSError, ValueError):
        raise faults.Damaged from None


def _rows(book: CalamineWorkbook, number: int) -> Rows:
    try:
        sheet = book.get_sheet_by_index(number)
    except (CalamineError, OSError, ValueError):
        raise faults.Damaged from None
    if sheet.height > limits.ROWS and sum(1 for values in sheet.iter_rows() if any(values)) > limits.ROWS + 1:
        raise faults.TooManyRows(limit=limits.ROWS)
    merged = _merged(sheet)
    columns = range(limits.COLUMNS + 1)
    before = [""] * (sheet.start[1] if sheet.start else 0)
    above: dict[int, Cell] = {}
    for row, values in enumerate(sheet.iter_rows()):
        cells: list[Cell] = [*before, *values] if before else list(values)
        if merged:
            _fill(cells, above, merged.get(row, ()))
        if len(cells) > limits.COLUMNS and any(value != "" for value in cells[columns.stop - 1 :]):
            raise faults.TooManyColumns(row=row + 1, limit=limits.COLUMNS)
        yield row + 1, cells


def _merged(sheet: CalamineSheet) -> dict[int, list[tuple[int, bool]]]:
    """By row, the columns whose cell reaches over several rows, and whether it begins there."""
    found: dict[int, list[tuple[int, bool]]] = {}
    room = MERGED
    for (top, left), (bottom, _right) in sheet.merged_cell_ranges or ():
        room -= bottom - top
        if bottom > top and room > 0:
            for row in range(top, bottom + 1):
                found.setdefault(row, []).append((left, row == top))
    return found


def _fill(cells: list[Cell], above: dict[int, Cell], merged: list[tuple[int, bool]] | tuple[()]) -> None:
    for column, begins in merged:
        if column < len(cells):
            if begins:
                above[column] = cells[column]
            elif cells[column] == "":
                cells[column] = above.get(column, "")
