"""The process that reads one sheet: bytes come in by stdin, JSON lines go out by stdout, and it may do nothing else.

It is started afresh for each sheet, without the environment of the service, and gives up every right it does not need
before it looks at the first byte. Memory is counted as growth of the address space over what the interpreter and the
libraries had taken before that byte, as this is what the system can enforce on one process. Processor time is counted
from there too, and more of it is granted with every thousand rows that were really seen.
"""

from __future__ import annotations

import codecs
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from provisioning.confinement import confine, place, send
from provisioning.sheets import delimited, faults, limits
from provisioning.sheets.columns import Column
from provisioning.sheets.kinds import is_workbook
from provisioning.sheets.reading import Found, Piece, Table, table_of
from provisioning.sheets.rows import BadRow, RowFault

if TYPE_CHECKING:
    from provisioning.sheets.workbook import Sheet

try:
    import resource
except ImportError:  # Windows: whoever started this process watches the clock instead
    resource = None  # type: ignore[assignment]

LONG = 20_000  # rows; reading more takes so long that answers to chats come first
POLITE = 5  # of nice
# Of texts, and cp437 of the names in a zip.
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp1252", "cp437")


class Budget:
    """What this process may take; the system ends it where it does not stop by itself."""

    def __init__(self) -> None:
        self._began = time.process_time()
        self._rows = 0

    def close(self) -> None:
        """Gives up what reading does not need: files, children, core dumps, more memory, endless time."""
        confine(limits.MEMORY)
        self.seen(0)

    def seen(self, rows: int) -> None:
        """So many rows were seen. Errors: `TookTooLong`."""
        if rows > LONG >= self._rows and resource is not None:
            os.nice(POLITE)
        self._rows = max(self._rows, rows)
        allowed = limits.cpu(self._rows)
        if time.process_time() - self._began > allowed:
            raise faults.TookTooLong
        if resource is not None:
            most = math.ceil(self._began + limits.CPU_MOST) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(self._began + allowed), most))


def main(form: str) -> None:
    """`form` is what the file looks like; what it is decides itself here."""
    budget = Budget()
    try:
        for encoding in ENCODINGS:
            codecs.lookup(encoding)
        sheets_of = _workbooks() if form == "xlsx" else None  # what is imported is in before the doors close
        budget.close()
        content = sys.stdin.buffer.read(limits.BYTES + 1)
        if not is_workbook(content):
            lines = _text(content, budget)
        elif sheets_of:
            lines = _workbook(content, budget, sheets_of)
        else:
            raise faults.NotASheet
        for line in lines:
            send(line)
    except MemoryError:
        _tell(faults.TooMuchMemory())
    except faults.SheetError as error:
        _tell(error)
    except Exception as error:  # a fault of ours: where it is, and nothing of what the file holds
        send({"broke": f"{type(error).__name__} at {place(error)}"})
    except BaseException as error:  # a library that panicked
        send({"broke": type(error).__name__})


def _tell(error: faults.SheetError) -> None:
    send({"error": [error.code, {name: str(value) for name, value in error.values.items()}]})


SheetsOf = Callable[[bytes, Callable[[int], None]], Iterator["Sheet"]]


def _workbooks() -> SheetsOf:
    from provisioning.sheets.workbook import sheets_of  # a third of the start that a text does not need

    return sheets_of


def _text(content: bytes, budget: Budget) -> Iterator[dict[str, Any]]:
    text = delimited.text_of(content)
    budget.seen(text.count)
    yield from _told(table_of(text.rows()), "csv", text.count, budget, [])


def _workbook(content: bytes, budget: Budget, sheets_of: SheetsOf) -> Iterator[dict[str, Any]]:
    rows = 0

    def counted(found: int) -> None:
        nonlocal rows
        rows = found
        budget.seen(rows)

    sheets = list(sheets_of(content, counted))
    if not sheets:
        raise faults.EmptySheet
    problem: faults.SheetError = faults.EmptySheet()
    for sheet in sheets:
        try:
            table = table_of(sheet.rows())
        except faults.EmptySheet:
            continue
        except faults.NoMacColumn as error:
            problem = error
            continue
        others = ", ".join(other.name[:40] for other in sheets if other is not sheet)
        told = [RowFault.of("other_sheets", {"sheet": sheet.name[:40], "others": others[:200]})] if others else []
        yield from _told(table, "xlsx", rows, budget, told)
        return
    raise problem


def _told(table: Table, form: str, rows: int, budget: Budget, remarks: Iterable[RowFault]) -> Iterator[dict[str, Any]]:
    header = [cell[: limits.CELL] for cell in table.layout.header[: limits.COLUMNS]]
    expected = max(0, rows - 1) if header else rows
    code = table.layout.at.get(Column.CODE)
    yield {"head": {"header": header, "form": form, "rows": expected, "code": code}}
    for piece in table.pieces():
        budget.seen(piece.read)
        yield {"piece": _piece(piece)}
    yield {"end": [_fault(remark) for remark in (*remarks, *table.remarks)]}


def _piece(piece: Piece[Found]) -> list[Any]:
    return [piece.rows, [_bad(row) for row in piece.bad], piece.read]


def _bad(row: BadRow) -> list[Any]:
    return [row.number, row.cells, _fault(row.fault)]


def _fault(fault: RowFault) -> list[Any]:
    return [fault.code, fault.values]
