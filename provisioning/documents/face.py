"""The faces of the font on paper."""

from __future__ import annotations

from enum import StrEnum


class Face(StrEnum):
    PLAIN = "plain"
    BOLD = "bold"
    FIXED = "courier"  # every reader of PDF has it; ASCII only
