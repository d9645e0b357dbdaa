"""Pictures that technicians take of what they installed."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime

PIECE = 48_000  # characters of base64 in one string: every store takes 65 536
LARGEST = 64 * 1024  # bytes of a kept picture; as base64 a message with it stays below the 100 KB that Teams takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A picture kept as evidence: a JPEG that this service drew itself, so nothing else of the file that came is in it.

    One for each life of a device; a newer one takes its place.
    """

    device: str  # its MAC
    life: int
    by: str
    by_name: str
    at: datetime
    width: int  # pixels
    height: int
    pieces: tuple[str, ...]  # base64
    version: int = 0

    @property
    def key(self) -> str:
        return f"{self.device}:{self.life}"

    @property
    def content(self) -> bytes:
        return b64decode("".join(self.pieces))


def pieces_of(content: bytes) -> tuple[str, ...]:
    """A picture as a store keeps it."""
    text = b64encode(content).decode()
    return tuple(text[start : start + PIECE] for start in range(0, len(text), PIECE))
