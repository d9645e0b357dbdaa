"""From rows of cells to rows that could be devices: the header, the duplicates, the notes at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Generic, TypeVar

from provisioning.errors import ProvisioningError
from provisioning.mac import looks_like_mac
from provisioning.sheets import cells as says
from provisioning.sheets import faults, limits
from provisioning.sheets.cells import Cell
from provisioning.sheets.columns import Column, Layout, layout_of, layout_without_header
from provisioning.sheets.rows import BadRow, RowFault

LOOKED_THROUGH = 10  # rows that may stand above the first device
CODES = 1_000  # rows that show how long codes are
HELD, HELD_TEXT = 100, 20_000  # rows without a MAC at the end, and characters, taken for notes; more of them are rows
NAMED = 12  # row numbers that one remark names

Row = TypeVar("Row")
Numbered = tuple[int, Sequence[Cell]]


# The first three values of a `SheetRow`, or all of them, in the order of its fields; one is made where they arrive.
Found = tuple[int, str, str] | tuple[int, str, str, str, str, str, tuple[str, ...], str, str, str]


@dataclass(frozen=True, slots=True)
class Piece(Generic[Row]):
    """Some rows, in the order of the file; `read` counts all so far, in this piece and before."""

    rows: tuple[Row, ...]
    bad: tuple[BadRow, ...]
    read: int


@dataclass(slots=True)
class Table:
    """A table whose columns are known. Its rows are read once, by `pieces`; `remarks` is complete after that."""

    layout: Layout
    rows: Iterator[Numbered]
    remarks: list[RowFault] = field(default_factory=list)

    def pieces(self) -> Iterator[Piece[Found]]:
        return _Reading(self).pieces()


def table_of(rows: Iterable[Numbered]) -> Table:
    """Finds the header, or does without. Errors: `NoMacColumn`, `TwoColumns`, `EmptySheet`."""
    coming = ((number, row) for number, row in rows if any(row))
    first: list[Numbered] = []
    while not first:
        looked_at = list(islice(coming, LOOKED_THROUGH))
        if not looked_at:
            raise faults.EmptySheet
        first = [(number, row) for number, row in looked_at if not _blank(row)]
    texts = [[says.text_of(cell) for cell in row] for _number, row in first]
    for index, row in enumerate(texts):
        if layout := layout_of(row):
            return _table(layout, first, index, coming)
    mac, at = _mac_column(first)
    above = layout_of(texts[at - 1], mac) if at else None
    if above:
        return _table(above, first, at - 1, coming)
    layout = layout_without_header(texts[at:], mac)
    place = layout.at.get(Column.LOCATION)
    told = {"mac": _letter(mac), "location": _letter(place) if place is not None else "–"}
    table = _table(layout, first, at - 1, coming)
    table.remarks.insert(0, RowFault.of("no_header", told))
    return table


def _table(layout: Layout, first: list[Numbered], header: int, coming: Iterator[Numbered]) -> Table:
    above = first[: header if layout.header else header + 1]
    remarks = [RowFault.of("above_header", {"rows": numbers([number for number, _row in above])})] if above else []
    if layout.unknown:
        names = ", ".join(says.shown(name) for name in layout.unknown[:NAMED])
        remarks.append(RowFault.of("unknown_columns", {"columns": names}))
    return Table(layout, chain(first[header + 1 :], coming), remarks)


def _blank(row: Sequence[Cell]) -> bool:
    return not any(cell.strip() if isinstance(cell, str) else cell for cell in row)


def _mac_column(rows: list[Numbered]) -> tuple[int, int]:
    """The column where most MACs stand, and the index of the first row that has one there."""
    found = Counter(
        column for _number, row in rows for column, cell in enumerate(row) if isinstance(cell, str) and _is_mac(cell)
    )
    if not found:
        raise faults.NoMacColumn
    column = max(found, key=lambda column: found[column])
    at = next(index for index, (_number, row) in enumerate(rows) if column < len(row) and _is_mac(str(row[column])))
    return column, at


def _is_mac(text: str) -> bool:
    return len(text) <= 60 and looks_like_mac(text)


def _meant_as_mac(cell: Cell) -> bool:
    """A MAC, or one with a typing error in it; not a word, a number or a date."""
    if not isinstance(cell, str) or len(cell) > 60:
        return False
    signs = [c for c in cell if c.isalnum()]
    return _is_mac(cell) or (
        len(signs) >= 10 and sum(c in "0123456789abcdefABCDEF" for c in signs) * 4 >= len(signs) * 3
    )


def _letter(column: int) -> str:
    return (chr(ord("A") + column // 26 - 1) if column >= 26 else "") + chr(ord("A") + column % 26)


def numbers(found: Sequence[int]) -> str:
    """`3, 7–9`; the first few."""
    parts: list[str] = []
    start = 0
    for index, number in enumerate(found):
        if index + 1 == len(found) or found[index + 1] != number + 1:
            parts.append(f"{found[start]}–{number}" if index > start else str(number))
            start = index + 1
    return ", ".join(parts[:NAMED]) + (" …" if len(parts) > NAMED else "")


class _Reading:
    """One pass over a table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._at = table.layout.at
        self._levels = table.layout.levels
        self._mac = self._at[Column.MAC]
        self._place = self._levels[0] if len(self._levels) == 1 else limits.COLUMNS  # where the whole location stands
        self._optional = [(*_OPTIONAL[column], index) for column, index in self._at.items() if column in _OPTIONAL]
        self._digits = 0  # of the codes in this sheet; 0 while none is known
        self._seen: dict[str, tuple[int, str, int]] = {}
        self._twice: list[int] = []
        self._held: list[BadRow] = []  # notes, unless another device follows
        self._rows: list[Found] = []
        self._bad: list[BadRow] = []
        self._read = 0
        self._weight = 0

    def pieces(self) -> Iterator[Piece[Found]]:
        rows = self._looked_ahead()
        for number, cells in rows:
            if not any(cells):
                continue
            self._read += 1
            if self._read > limits.ROWS:
                raise faults.TooManyRows(limit=limits.ROWS)
            self._take(number, cells)
            if len(self._rows) + len(self._bad) >= limits.PIECE or self._weight > limits.PIECE_TEXT:
                yield self._piece()
        self._end()
        yield self._piece()

    def _looked_ahead(self) -> Iterator[Numbered]:
        column = self._at.get(Column.CODE)
        if column is None:
            return self._table.rows
        first = list(islice(self._table.rows, CODES))
        lengths = Counter(
            len(text)
            for _number, row in first
            if column < len(row) and isinstance(cell := row[column], str) and (text := cell.strip()).isdecimal()
        )
        self._digits = max(lengths, key=lambda length: lengths[length], default=0)
        return chain(first, self._table.rows)

    def _piece(self) -> Piece[Found]:
        piece = Piece(tuple(self._rows), tuple(self._bad), self._read)
        self._rows, self._bad, self._weight = [], [], 0
        return piece

    def _take(self, number: int, cells: Sequence[Cell]) -> None:
        try:
            row = self._row(number, cells)
        except ProvisioningError as error:
            self._refuse(number, cells, faults.fault_of(error))
            return
        if self._held:
            self._release()
        mac, location = row[1], row[2]
        before = self._seen.get(mac)
        if before is None:
            self._seen[mac] = (number, location, hash(row[3:]) if self._optional else 0)
            self._rows.append(row)
            self._weight += len(location) + (sum(map(len, map(str, row[3:]))) if self._optional else 0)
        elif before[1].casefold() != location.casefold():
            self._refuse(
                number, cells, RowFault.of("same_mac", {"row": before[0], "there": before[1], "here": location})
            )
        elif self._optional and before[2] != hash(row[3:]):
            self._refuse(number, cells, RowFault.of("same_mac_else", {"row": before[0]}))
        else:
            self._twice.append(number)

    def _row(self, number: int, cells: Sequence[Cell]) -> Found:
        width = len(cells)
        mac = says.mac_of(cells[self._mac] if self._mac < width else "")
        only = cells[self._place] if self._place < width else ""
        if isinstance(only, str) and says.is_plain(only):
            location = only
        else:
            location = says.location_of([cells[index] for index in self._levels if index < width])
        if self._optional:
            return self._with_optional((number, mac, location), cells)
        if not location:
            raise says.refused("location_missing")
        return number, mac, location

    def _with_optional(self, found: tuple[int, str, str], cells: Sequence[Cell]) -> Found:
        rest: list[Any] = list(_NOTHING)
        for place, read, index in self._optional:
            if index < len(cells) and (cell := cells[index]) != "":
                rest[place] = read(cell)
        if rest[_CODE]:
            rest[_CODE] = says.code_of(rest[_CODE], self._digits)
        if not found[2] and not rest[_CODE]:
            raise says.refused("location_missing")
        return (*found, *rest)

    def _refuse(self, number: int, cells: Sequence[Cell], fault: RowFault) -> None:
        if _blank(cells):
            self._read -= 1
            return
        kept = tuple(says.text_of(cell)[: limits.CELL] for cell in cells[: limits.COLUMNS])
        while kept and not kept[-1]:
            kept = kept[:-1]
        row = BadRow(number, kept, fault)
        mac = cells[self._mac] if self._mac < len(cells) else ""
        alone = sum(map(bool, cells)) == 1
        word = alone or (isinstance(mac, str) and not mac.strip().isdecimal())  # a note may begin so
        if _meant_as_mac(mac) or not word:
            self._release()
            self._keep(row)
        else:
            self._held.append(row)
            if len(self._held) > HELD or sum(len(cell) for held in self._held for cell in held.cells) > HELD_TEXT:
                self._release()

    def _release(self) -> None:
        for row in self._held:
            self._keep(row)
        self._held.clear()

    def _keep(self, row: BadRow) -> None:
        self._bad.append(row)
        self._weight += 40 + sum(map(len, row.cells))

    def _end(self) -> None:
        if self._held:
            self._read -= len(self._held)
            rows = numbers([row.number for row in self._held])
            self._table.remarks.append(RowFault.of("notes_below", {"rows": rows}))
        if self._twice:
            told = {"count": len(self._twice), "rows": numbers(self._twice)}
            self._table.remarks.append(RowFault.of("counted_once", told))


_NOTHING: tuple[str, str, str, tuple[str, ...], str, str, str] = (
    "",
    "",
    "",
    (),
    "",
    "",
    "",
)  # in the columns that may be missing
_CODE = 6
# Which of them it is, and how its cell is read.
_OPTIONAL: Mapping[Column, tuple[int, Callable[[Cell], Any]]] = {
    Column.TYPE: (0, says.type_of),
    Column.ACCOUNT: (1, says.account_of),
    Column.TECHNICIAN: (2, lambda cell: says.words_of(cell, Column.TECHNICIAN)),
    Column.TAG: (3, says.tags_of),
    Column.ASSET_TAG: (4, lambda cell: says.words_of(cell, Column.ASSET_TAG)),
    Column.NOTES: (5, lambda cell: says.words_of(cell, Column.NOTES)),
    Column.CODE: (_CODE, lambda cell: cell),  # understood beside the others of its column
}
