"""What `make bench` consists of, and how a part of it is run."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from typing import Final

from tests.benchmarks import Failed, Outcome
from tests.benchmarks.measuring import quiet
from tests.benchmarks.tables import Section

# By heading: modules of this folder with an `async def run() -> list[Row | Skipped]`.
PARTS: Final[Mapping[str, Sequence[str]]] = {
    "storage": ("storage", "slow_disk", "postgres"),
    "wire": ("echo", "turns", "tokens"),
    "bulk": ("importing", "uploads", "sheets", "export", "labels"),
    "relay": ("relay",),
    "sign-in": ("signing",),
    "provision": ("provision",),
    "polls": ("polls",),
    "starting": ("starting",),
    "day": ("day",),
}


def section(name: str, parts: Sequence[str]) -> Section:
    """Each part in a process of its own: what one leaves in memory is no burden of the next."""
    began, outcomes = time.perf_counter(), list[Outcome]()
    for part in parts:
        started = time.perf_counter()
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            try:
                outcomes += process.submit(measured, part).result()
            except Exception as error:  # one that breaks must not take the others with it
                traceback.print_exc()
                outcomes.append(Failed(part, f"{type(error).__name__}: {error}"))
        print(f"{name}: {part}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return Section(name, time.perf_counter() - began, outcomes)


def measured(part: str) -> list[Outcome]:
    async def run() -> list[Outcome]:
        async with quiet():
            return list(await import_module(f"tests.benchmarks.{part}").run())

    return asyncio.run(run())


def names() -> list[str]:
    """What can be run alone: a section or a part of one."""
    return sorted({*PARTS, *(part for parts in PARTS.values() for part in parts)})


def wanted(only: str | None) -> Mapping[str, Sequence[str]]:
    """Everything, or one of `names`."""
    if only is None or only in PARTS:
        return {name: parts for name, parts in PARTS.items() if only in (None, name)}
    return {name: (only,) for name, parts in PARTS.items() if only in parts}
