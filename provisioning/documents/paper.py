"""Paper that texts are fitted onto: shrunk, then wrapped, then cut, never over an edge."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import segno
from fpdf import FPDF
from fpdf.bidi import BidiParagraph
from fpdf.fonts import TTFFont

from provisioning.documents.face import Face

_REPLACEMENTS = "\N{REPLACEMENT CHARACTER}?"
_POINT = 25.4 / 72  # millimetres
_LEADING = 1.2  # from line to line, in heights of the font
_ASCENT = 0.93  # from the top of a line to its base
_QUIET = 4  # modules left white around a QR code, ISO/IEC 18004
_BREAKS = re.compile(r"(?<=[\s/,;-])")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
_FROM_RIGHT = {"R", "AL"}


_FILES = {Face.PLAIN: "Roboto-Regular.ttf", Face.BOLD: "Roboto-Bold.ttf"}


class Paper(FPDF):
    """A4 in millimetres, with a font of Latin, Greek and Cyrillic signs or the one that is given."""

    def __init__(self, font: Path | None = None) -> None:
        super().__init__(format="A4", unit="mm")
        self.set_auto_page_break(False)
        self.set_margin(0)
        for face, file in _FILES.items():
            self.add_font(face, fname=font or str(files("font_roboto") / "files" / file))
        self._embedded = {name: font for name, font in self.fonts.items() if isinstance(font, TTFFont)}
        self.replacement = next(c for c in _REPLACEMENTS if ord(c) in self._embedded[Face.PLAIN].cmap)
        self.lacks = False  # whether a sign was wanted that the font has not

        self._mask: int | None = None  # the best for the first link; the others are nearly the same, and it costs 10 ms

    def shown(self, text: str) -> str:
        """One line of what the font has; for everything else a sign that is seen."""
        line = unicodedata.normalize("NFC", " ".join(text.split()))
        if line.isascii() and line.isprintable():
            return line
        kept = [c for c in line if unicodedata.category(c) not in _HIDDEN]
        known = self._embedded[Face.PLAIN].cmap
        replaced = "".join(c if ord(c) in known else self.replacement for c in kept)
        self.lacks |= replaced != "".join(kept)
        return replaced

    def put(
        self,
        text: str,
        at: tuple[float, float],
        room: tuple[float, float],
        sizes: Sequence[float],
        face: Face = Face.PLAIN,
        *,
        right: bool = False,
    ) -> float:
        """Writes from the corner `at` downwards and returns where the last line ends; `right` aligns with that edge.

        In the largest of the sizes in which all of it fits into the room (width and height), in the last of them cut.
        """
        (x, y), width = at, room[0]
        size, lines = self._fitted(text, face, room, sizes)
        self.set_font(face, style="B" if face is Face.FIXED else "", size=size)
        for line in lines:
            left = x + width - self._ems(line, face) * size * _POINT if right else x
            self.text(left, y + size * _POINT * _ASCENT, in_order(line))
            y += size * _POINT * _LEADING
        return y

    def put_code(self, link: str, at: tuple[float, float], side: float) -> None:
        """A QR code, its white edge within the side."""
        drawn = segno.make(link, error="m", micro=False, mask=self._mask)
        self._mask, rows = drawn.mask, drawn.matrix
        module = side / (len(rows) + 2 * _QUIET)
        path = []
        for down, row in enumerate(rows):
            across = 0
            for dark, run in groupby(row):
                length = len(list(run))
                if dark:
                    path.append(f"{across} {down} {length} 1 re")
                across += length
        x, y = (edge + _QUIET * module for edge in at)
        scale = module * self.k
        self._out(f"q {scale:.4f} 0 0 {-scale:.4f} {x * self.k:.4f} {(self.h - y) * self.k:.4f} cm")
        self._out("\n".join([*path, "f Q"]))

    def _fitted(
        self, text: str, face: Face, room: tuple[float, float], sizes: Sequence[float]
    ) -> tuple[float, list[str]]:
        """The size, and the lines in it."""
        for size in sizes:
            width, most = room[0] / (size * _POINT), max(1, int(room[1] / (size * _POINT * _LEADING)))
            lines = self._wrapped(text, face, width)
            if len(lines) <= most:
                return size, [line.strip() for line in lines]
        last = lines[most - 1].strip()
        while last and self._ems(f"{last}...", face) > width:
            last = last[:-1]
        return size, [*(line.strip() for line in lines[: most - 1]), f"{last}..."]

    def _wrapped(self, text: str, face: Face, room: float) -> list[str]:
        """Lines that end at a blank, a slash or a dash, or in the middle of what is too long for a line."""
        lines = [""]
        for piece in _BREAKS.split(text):
            if self._ems(f"{lines[-1]}{piece}".rstrip(), face) <= room:
                lines[-1] += piece
                continue
            lines.append("")
            for sign in piece:
                if lines[-1] and self._ems(f"{lines[-1]}{sign}", face) > room:
                    lines.append("")
                lines[-1] += sign
        return [line for line in lines if line.strip()]

    def _ems(self, text: str, face: Face) -> float:
        """The width of a text in heights of its font."""
        if face is Face.FIXED:
            return 0.6 * len(text)
        widths = self._embedded[face].cw
        return sum(widths[ord(c)] for c in text) / 1000


def in_order(line: str) -> str:
    """The signs from left to right as they are seen."""
    if any(unicodedata.bidirectional(c) in _FROM_RIGHT for c in line):
        return BidiParagraph(line).get_reordered_string()
    return line
