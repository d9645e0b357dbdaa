"""`make bench`: every measurement as one Markdown table. Ends with 1 where a target is missed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence

from tests.benchmarks import Row, storage, turns

HEAD = "| measured | ours | per second | anchor | ratio | target | |\n|---|---:|---:|---:|---:|---|---|"


def table(rows: Sequence[Row]) -> str:
    lines = [
        f"| {row.name} | {_time(row.ours)} | {1e6 / row.ours:,.0f} | {_time(row.anchor)} | {_ratio(row.ratio)} |"
        f" {row.target} | {'met' if row.met else '**missed**'} |"
        for row in rows
    ]
    return "\n".join((HEAD, *lines))


def _time(microseconds: float) -> str:
    if microseconds < 1_000:
        return f"{microseconds:.0f} µs"
    return f"{microseconds / 1e3:,.1f} ms"


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.1f}×" if ratio >= 1 else f"{ratio:.2f}×"


async def main() -> int:
    began = time.perf_counter()
    rows = [*await storage.run(), *await turns.run()]
    print(table(rows))
    print(f"\n{len(rows)} measurements in {time.perf_counter() - began:.0f} s, each ratio from this one run.")
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
