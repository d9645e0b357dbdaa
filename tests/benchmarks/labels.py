"""Labels: how many photos of each symbology are read, at any angle, blurred and in bad light.

python -m tests.benchmarks.labels  # a hundred of each, which takes minutes; make bench a few of them
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from provisioning.documents.barcodes import read
from provisioning.documents.labels import macs_of
from tests.benchmarks import Row, within
from tests.labels import LABELS, mac_of, photo

FEW, ALL = 20, 100
MISSED = 20  # one in so many, at most


async def run(photos: int = FEW) -> Sequence[Row]:
    rows: list[Row] = []
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        for name in LABELS:
            done = list(processes.map(_read, [name] * photos, range(photos)))
            missed, seconds = (sum(each) for each in zip(*done, strict=True))
            rows.append(within(f"labels not read of {photos} photos of {name}", missed, photos / MISSED, "photos"))
            rows.append(within(f"processor time to read one, {name}", seconds * 1_000 / photos, 2_000, "ms"))
    return rows


def _read(name: str, seed: int) -> tuple[bool, float]:
    """Whether it was not read, and the seconds of processor time."""
    content = photo(name, seed)
    began = time.thread_time()
    missed = macs_of(read(content)) != (mac_of(seed),)
    return missed, time.thread_time() - began


if __name__ == "__main__":
    from tests.benchmarks.tables import told

    told(asyncio.run(run(ALL)))
