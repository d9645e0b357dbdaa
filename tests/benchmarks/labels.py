"""Labels: how many of a hundred photos of each symbology are read, at any angle, blurred and in bad light.

python -m tests.benchmarks --only labels
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from provisioning.documents.barcodes import read
from provisioning.documents.labels import macs_of
from tests.benchmarks import Row, within
from tests.labels import LABELS, mac_of, photo

PHOTOS = 100
MISSED = 5  # of a hundred, at most


async def run() -> Sequence[Row]:
    rows: list[Row] = []
    for name in LABELS:
        missed, seconds = await asyncio.to_thread(_read, name)
        rows.append(within(f"labels not read of {PHOTOS} photos of {name}", missed, MISSED, "photos"))
        rows.append(within(f"processor time to read one, {name}", seconds * 1_000 / PHOTOS, 2_000, "ms"))
    return rows


def _read(name: str) -> tuple[int, float]:
    """How many were not read, and the seconds of processor time for all."""
    missed, spent = 0, 0.0
    for seed in range(PHOTOS):
        content, began = photo(name, seed), time.thread_time()
        missed += macs_of(read(content)) != (mac_of(seed),)
        spent += time.thread_time() - began
    return missed, spent
