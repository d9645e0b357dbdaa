"""How much one sheet may be, for the process that reads it and for the one that believes nothing of it."""

from __future__ import annotations

BYTES = 20 * 1024 * 1024  # of the file
ROWS = 200_000
COLUMNS = 64
CELL = 1_000  # characters
LINE = 64 * 1024  # characters of one line of text
PIECE = 500  # rows handed on at once
PIECE_TEXT = 100_000  # characters handed on at once

MEMORY = 256 * 1024 * 1024  # by which the reading process may grow
CPU_START, CPU_PER_ROW, CPU_MOST = 2.0, 0.0003, 90.0  # seconds


def cpu(rows: int) -> float:
    """Seconds of processor time that reading may have taken once so many rows were seen."""
    return min(CPU_MOST, CPU_START + CPU_PER_ROW * rows)
