"""Rows of a text: CSV with any usual separator, or lines that were pasted."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from provisioning.errors import InvalidMac
from provisioning.mac import looks_like_mac, split_mac
from provisioning.sheets import faults, limits
from provisioning.sheets.columns import recognised
from provisioning.sheets.kinds import encoding_of

SEPARATORS = (",", ";", "\t", "|")
BLANKS = " "  # no separator: a MAC, then the rest of the line
SAMPLE = 20  # rows that show which separator it is
_NAMED = re.compile(r'\s*"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)  # what Excel reads and does not show as a row

Rows = Iterator[tuple[int, list[str]]]


@dataclass(frozen=True, slots=True)
class Text:
    """A text that was read through once; `count` is of the rows with something in them."""

    lines: Callable[[], Iterator[str]]
    separator: str
    count: int

    def rows(self) -> Rows:
        """Each row with its number as a spreadsheet would show it."""
        if self.separator == BLANKS:
            return enumerate(map(_split, self.lines()), 1)
        return enumerate(csv.reader(self.lines(), delimiter=self.separator), 1)


def text_of(content: bytes) -> Text:
    """Errors: `NotASheet`, `EmptySheet`, `LoneQuote`, `LineTooLong`, `TooManyRows`, `TooManyColumns`."""
    encoding, mark = encoding_of(content)
    csv.field_size_limit(limits.LINE)

    def lines(skipped: int = 0) -> Iterator[str]:
        stream = io.BytesIO(content)
        stream.seek(mark)
        return islice(io.TextIOWrapper(stream, encoding, newline=""), skipped, None)

    _no_long(lines)
    named = _NAMED.fullmatch(next(lines(), ""))
    skipped = 1 if named else 0
    separator = named[1] if named else _separator(list(islice(lines(), SAMPLE)))
    if separator == BLANKS:
        rows = enumerate(map(_split, lines()), 1)
        return Text(lines, separator, _counted(rows))
    try:
        count = _counted(_read(lines(skipped), separator, strict=True))
    except faults.LoneQuote:  # or a quotation mark inside of a quoted cell that is not doubled
        count = _counted(_read(lines(skipped), separator, strict=False))
    return Text(lambda: lines(skipped), separator, count)


def _read(lines: Iterator[str], separator: str, *, strict: bool) -> Rows:
    reader = csv.reader(lines, delimiter=separator, strict=strict)
    number = before = 0
    try:
        for number, cells in enumerate(reader, 1):
            if not strict and reader.line_num - before > 1:  # a quotation mark took in the next line
                raise faults.LoneQuote(row=number)
            before = reader.line_num
            yield number, cells
    except csv.Error:
        raise faults.LoneQuote(row=number + 1) from None


def _no_long(lines: Callable[[], Iterator[str]]) -> None:
    if max(map(len, lines()), default=0) > limits.LINE:
        number = next(number for number, line in enumerate(lines(), 1) if len(line) > limits.LINE)
        raise faults.LineTooLong(line=number, limit=limits.LINE)


def _counted(rows: Rows) -> int:
    count = 0
    for number, cells in rows:
        if any(map(str.strip, cells)):
            count += 1
            if count > limits.ROWS + 1:
                raise faults.TooManyRows(limit=limits.ROWS)
            if len(cells) > limits.COLUMNS and any(cells[limits.COLUMNS :]):
                raise faults.TooManyColumns(row=number, limit=limits.COLUMNS)
    if not count:
        raise faults.EmptySheet
    return count


def _separator(sample: list[str]) -> str:
    """The one that lets most rows have a cell that is a MAC, or lets a header be read; blanks where none does."""
    scores = {separator: _score(sample, separator) for separator in SEPARATORS}
    best = max(scores, key=lambda separator: scores[separator])
    blanks = sum(1 for line in sample if line.strip() and _is_mac(_split(line)[0]))
    return BLANKS if blanks > scores[best][0] and not scores[best][1] else best


def _score(sample: list[str], separator: str) -> tuple[int, int, int]:
    rows = list(_leniently(sample, separator))
    try:
        named = max((len(recognised(row)) for row in rows), default=0)
    except faults.TwoColumns:
        named = 2
    macs = sum(1 for row in rows if any(_is_mac(cell) for cell in row))
    return macs, named, max((len(row) for row in rows), default=0)


def _leniently(sample: list[str], separator: str) -> Iterator[list[str]]:
    reader = csv.reader(sample, delimiter=separator)
    while True:
        try:
            yield next(reader)
        except (StopIteration, csv.Error):
            return


def _is_mac(cell: str) -> bool:
    return len(cell) <= 60 and looks_like_mac(cell)


def _split(line: str) -> list[str]:
    """The MAC and the rest; a wrong MAC is told as such by whoever reads the row."""
    try:
        mac, rest = split_mac(line)
    except InvalidMac:
        mac, _blank, rest = line.strip().partition(" ")
    return [mac, rest.strip()] if rest else [mac] if mac else []
