"""The list that goes to the site on paper: a block for each device, to be cut apart, ticked off and signed.

A4 that prints on Letter without scaling as well; black only. The same blocks give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.documents.face import Face
from provisioning.texts import _

if TYPE_CHECKING:
    from provisioning.documents.paper import Paper

LEFT, RIGHT = 14.0, 196.0  # millimetres from the left edge
WIDTH = RIGHT - LEFT
TOP, BOTTOM = 16.0, 281.0  # from the upper edge; Letter shows 17.6 less of it
HEADER, FOOTER = 9.0, 6.0
LINE = 4.6
BLOCK = 31.0
SEAL = 26.0  # the QR code that proves the sheet, with its white edge
QR = 29.0  # with its white edge; a link of 150 characters is then 25 mm of modules of half a millimetre
CODE = 62.0
GAP = 4.0
MAC = 17.0  # from the top of the block
BOX = 4.5
_UNDATED = datetime(1980, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Block:
    """One device, in finished words. The code stands on paper only if it is given here."""

    place: str
    location: str
    mac: str
    vendor: str
    code: str = ""
    valid: str = ""
    link: str = ""  # what the QR code opens
    authority: str = ""  # whose code it is


def printable(
    title: str, lines: Sequence[str], blocks: Sequence[Block], footer: str, font: Path | None = None, seal: str = ""
) -> bytes:
    """A PDF: `lines` stand below the title of the first page, `footer` (with the date) on each page.

    A `seal` proves where the sheet comes from: a QR code beside the title of the first page, to be read by us.
    Signs that the font has not are shown as a replacement, and the footer says so. `font` is a TrueType file for
    places that are named in other scripts than Latin, Greek and Cyrillic.
    """
    from provisioning.documents.paper import Paper  # with fpdf 0.3 s and 27 MB: a service that never prints spares them

    paper = Paper(font)
    paper.set_creation_date(_UNDATED)  # the date people see is in the footer
    title, footer, *lines = (paper.shown(text) for text in (title, footer, *lines))
    paper.set_title(title)
    shown = [_shown(paper, block) for block in blocks]
    if paper.lacks:
        footer = f"{footer} · {_('{sign}: this font lacks the sign.', sign=paper.replacement)}"
    pages = _pages(shown, max(TOP + HEADER + LINE * len(lines), TOP + SEAL if seal else 0))
    width = WIDTH - (SEAL + GAP if seal else 0)
    for number, (start, page) in enumerate(pages, start=1):
        paper.add_page()
        _frame(
            paper,
            title,
            width if number == 1 else WIDTH,
            footer,
            _("Page {page} of {pages}", page=number, pages=len(pages)),
        )
        for line, text in enumerate(lines if number == 1 else ()):
            paper.put(text, (LEFT, TOP + HEADER - 1.5 + LINE * line), (width, LINE), (9.5, 8, 7))
        if seal and number == 1:
            paper.put_code(seal, (RIGHT - SEAL, TOP - 2), SEAL)
        for place, block in enumerate(page):
            _draw(paper, block, start + place * BLOCK)
    return bytes(paper.output())


def _shown(paper: Paper, block: Block) -> Block:
    shown = replace(block, **{name: paper.shown(getattr(block, name)) for name in _WORDS})
    return replace(shown, mac=block.mac.encode("ascii", "replace").decode())


def _pages(blocks: Sequence[Block], first: float) -> list[tuple[float, Sequence[Block]]]:
    """Where the blocks of each page begin, and which they are. There is always a first page."""
    fits = max(0, int((BOTTOM - FOOTER - first) // BLOCK))
    later = int((BOTTOM - FOOTER - TOP - HEADER) // BLOCK)
    rest = range(fits, len(blocks), later)
    return [(first, blocks[:fits]), *((TOP + HEADER, blocks[start : start + later]) for start in rest)]


def _frame(paper: Paper, title: str, width: float, footer: str, page: str) -> None:
    """What stands on every page around the blocks."""
    paper.set_line_width(0.2)
    paper.put(title, (LEFT, TOP), (width, HEADER - 2), (15, 13, 11, 9), Face.BOLD)
    paper.put(footer, (LEFT, BOTTOM - FOOTER + 2), (WIDTH - 30, FOOTER), (8, 7, 6))
    paper.put(page, (RIGHT - 30, BOTTOM - FOOTER + 2), (30, FOOTER), (8, 7, 6), right=True)


def _draw(paper: Paper, block: Block, top: float) -> None:
    """The device on the left, its code in the middle, what opens the chat on the right; a cut line above and below."""
    for y in (top, top + BLOCK):
        paper.set_dash_pattern(dash=1.5, gap=1.5)
        paper.line(LEFT, y, RIGHT, y)
    paper.set_dash_pattern()
    edge = RIGHT
    if block.link:
        edge -= QR
        paper.put_code(block.link, (edge, top + 1), QR)
        edge -= GAP / 2
    words = edge - CODE - GAP if block.code else edge
    y = paper.put(block.place, (LEFT, top + 1.5), (words - LEFT, 8.6), (20, 17, 14, 12, 10), Face.BOLD)
    paper.put(block.location, (LEFT, y), (words - LEFT, top + MAC - y), (10, 9, 8, 7))
    paper.put(block.mac, (LEFT, top + MAC), (48, 6), (12.5, 11, 9, 7), Face.FIXED)
    paper.put(block.vendor, (LEFT + 49, top + MAC + 0.4), (words - LEFT - 49, 5), (10, 9, 8, 7))
    if block.code:
        x = words + GAP
        y = paper.put(block.code, (x, top + 1.5), (CODE, 10), (22, 20, 17, 14, 11), Face.BOLD)
        y = paper.put(block.valid, (x, y), (CODE, 5), (10, 9, 8))
        paper.put(block.authority, (x, y), (CODE, top + MAC + 5 - y), (8.5, 8, 7))
    _tick(paper, top + BLOCK - BOX - 2.5, edge)


def _tick(paper: Paper, y: float, edge: float) -> None:
    """A box for what was done and a line for a word about it."""
    paper.set_line_width(0.4)
    paper.rect(LEFT, y, BOX, BOX)
    paper.set_line_width(0.2)
    paper.put(_("Installed"), (LEFT + BOX + 1.5, y), (26, 5), (10, 9, 8, 7))
    paper.put(_("Notes, signature"), (LEFT + 36, y), (28, 5), (8.5, 8, 7, 6))
    paper.line(LEFT + 66, y + BOX, edge, y + BOX)


_WORDS = tuple(field.name for field in fields(Block) if field.name not in ("mac", "link"))
