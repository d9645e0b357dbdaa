"""A photo as it is kept: small, and of the file that came nothing but what it shows (see `redrawing`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SIDE: Final = 1_024  # pixels of the longer side


@dataclass(frozen=True, slots=True)
class Evidence:
    """A JPEG of at most `LARGEST` bytes, without any metadata."""

    content: bytes
    width: int
    height: int
