"""A sheet somebody sent, read by another process: this one sees its bytes go and rows come, and believes neither."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog

from bot.confined import End, confined, end_of
from provisioning.errors import TextTooLong
from provisioning.sheets import faults, limits
from provisioning.sheets.cells import TAG, TYPES, is_plain
from provisioning.sheets.kinds import ZIP
from provisioning.sheets.reading import Piece
from provisioning.sheets.rows import BadRow, RowFault, SheetRow
from provisioning.untrusted import clean

log = structlog.get_logger(__name__)

LONGEST_LINE: Final = 2 * 1024 * 1024  # bytes; two rows that are as long as can be, and what came before them
SILENCE: Final = limits.CPU_MOST  # seconds; where processor time is not limited, this is the limit

# How a process ended that said nothing more.
_ENDED: Mapping[End, type[faults.SheetError]] = {
    End.TIME: faults.TookTooLong,
    End.MEMORY: faults.TooMuchMemory,
}
_MAC = re.compile("[0-9A-F]{12}")
_CODE = re.compile("(?:[0-9A-Z]{4,16})?")


@dataclass(frozen=True, slots=True)
class Head:
    """What is known before the first row."""

    header: tuple[str, ...]  # as written; empty where there is none
    form: Literal["csv", "xlsx"]
    rows: int  # about how many are to come; blank ones of a workbook may be among them
    code_at: int | None  # which cell of a bad row holds a verification code


class Distrusted(Exception):
    """The reading process said something that it never says."""


class Sheet:
    """A sheet while it is read: iterate over it once, then see the `remarks`."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name
        self._read = 0
        self.head = Head((), "csv", 0, None)
        self.remarks: tuple[RowFault, ...] = ()

    async def begin(self) -> None:
        kind, value = await self._line()
        if kind != "head":
            raise self._damaged("a head was due")
        self.head = self._believed(_head, value)

    async def __aiter__(self) -> AsyncIterator[Piece[SheetRow]]:
        while True:
            kind, value = await self._line()
            if kind == "end":
                remarks = self._believed(_remarks, value)
                self.remarks = tuple(r for r in remarks if self._name or r.code != "no_header")  # pasted rows have none
                return
            if kind != "piece":
                raise self._damaged("a piece was due")
            piece = self._believed(_piece, value)
            if not self._read <= piece.read + limits.PIECE or piece.read > limits.ROWS:
                raise self._damaged("its count is wrong")
            self._read = piece.read
            yield piece

    async def _line(self) -> tuple[str, Any]:
        """What comes next. Errors: the `SheetError` tree."""
        assert self._process.stdout  # noqa: S101 - it was asked for
        try:
            async with asyncio.timeout(SILENCE):
                line = await self._process.stdout.readline()
                if not line:
                    await self._process.wait()
        except TimeoutError:
            raise faults.TookTooLong from None
        except ValueError:
            raise self._damaged("a line was too long") from None
        if not line:
            raise self._ended()
        kind, value = self._believed(_said, line)
        if kind == "error":
            raise self._believed(_error, value)
        if kind == "broke":
            raise self._damaged(str(value)[:200])
        return kind, value

    def _believed(self, check: Callable[[Any], Any], value: Any) -> Any:
        try:
            return check(value)
        except (
            Distrusted,
            AttributeError,
            TypeError,
            ValueError,
            KeyError,
            IndexError,
            RecursionError,
            TextTooLong,
        ) as error:
            raise self._damaged(type(error).__name__) from None

    def _ended(self) -> faults.SheetError:
        if error := _ENDED.get(end_of(self._process)):
            return error()
        return self._damaged(f"it ended with {self._process.returncode}")

    def _damaged(self, reason: str) -> faults.SheetError:
        log.warning("a sheet was not read", reason=reason)
        return faults.Damaged()


@asynccontextmanager
async def read_sheet(content: bytes, name: str) -> AsyncIterator[Sheet]:
    """Reads a file, or rows that were pasted (`name` is empty). Errors: the `SheetError` tree, here or while iterating.

    Leaving it early ends the process that reads.
    """
    if len(content) > limits.BYTES:
        raise faults.TooLarge(limit=limits.BYTES // 1024 // 1024)
    if not content:
        raise faults.EmptySheet
    form = "xlsx" if content.startswith(ZIP) else "csv"
    async with confined("provisioning.sheets.child", form, content, longest_line=LONGEST_LINE) as process:
        sheet = Sheet(process, name)
        await sheet.begin()
        yield sheet


# ------------------------------------------------------------------ what is believed


def _said(line: bytes) -> tuple[str, Any]:
    [(kind, value)] = json.loads(line).items()
    return kind, value


def _head(value: Any) -> Head:
    header = _texts(value["header"], limits.COLUMNS)
    form, rows, code = value["form"], value["rows"], value["code"]
    _hold(form in ("csv", "xlsx") and type(rows) is int and rows >= 0)
    _hold(code is None or (type(code) is int and 0 <= code < limits.COLUMNS))
    return Head(header, form, rows, code)


def _piece(value: Any) -> Piece[SheetRow]:
    rows, bad, read = value
    _hold(type(read) is int and read >= 0 and len(rows) + len(bad) <= limits.PIECE + _SLACK)
    return Piece(tuple(map(_row, rows)), tuple(map(_bad, bad)), read)


_SLACK = 128  # rows that were held back until it was known that they are no notes


def _row(value: Any) -> SheetRow:
    number, mac, location = value[:3]
    if type(number) is not int or number < 1 or not _MAC.fullmatch(mac) or not _is_line(location):
        raise Distrusted
    if len(value) == 3:
        _hold(location != "")
        return SheetRow(number, mac, location)
    kind, account, technician, tags, asset_tag, notes, code = value[3:]
    _hold(kind == "" or kind in TYPES)
    _hold(all(map(_is_line, (account, technician, asset_tag, notes))) and _CODE.fullmatch(code) is not None)
    _hold(type(tags) is list and all(_is_line(tag) and 0 < len(tag) <= TAG and "/" not in tag for tag in tags))
    _hold(location != "" or code != "")
    return SheetRow(number, mac, location, kind, account, technician, tuple(tags), asset_tag, notes, code)


def _is_line(text: Any) -> bool:
    """Whether it is as `clean` leaves a text."""
    return type(text) is str and (is_plain(text) or clean(text) == text)


def _bad(value: Any) -> BadRow:
    number, cells, fault = value
    _hold(type(number) is int and number > 0)
    return BadRow(number, _texts(cells, limits.COLUMNS), _fault(fault, faults.ROWS))


def _remarks(value: Any) -> tuple[RowFault, ...]:
    _hold(len(value) <= len(faults.REMARKS))
    return tuple(_fault(remark, faults.REMARKS) for remark in value)


def _fault(value: Any, known: Mapping[str, object]) -> RowFault:
    code, values = value
    _hold(code in known and all(_is_short(name) and _is_short(text) for name, text in values))
    fault = RowFault(code, tuple((name, text) for name, text in values))
    _hold_said(faults.say(fault), fault.values)
    return fault


def _error(value: Any) -> faults.SheetError:
    code, values = value
    _hold(all(_is_short(name) and _is_short(text) for name, text in values.items()))
    error = faults.sheet_error(code)(**values)
    _hold_said(error.sentence, error.values)
    return error


def _hold_said(sentence: str, values: object) -> None:
    """A sentence fails where one of its values is missing, and says their names where all are."""
    _hold(bool(values) or "{" not in sentence)


def _is_short(text: Any) -> bool:
    return type(text) is str and len(text) <= limits.CELL


def _texts(value: Any, most: int) -> tuple[str, ...]:
    _hold(type(value) is list and len(value) <= most and all(map(_is_short, value)))
    return tuple(value)


def _hold(condition: bool) -> None:
    if not condition:
        raise Distrusted
