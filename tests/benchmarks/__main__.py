"""`make bench`: every measurement as one Markdown table. Ends with 1 where a target is missed."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from tests.benchmarks import (
    Row,
    Skipped,
    export,
    importing,
    labels,
    postgres,
    relay,
    sheets,
    signing,
    slow_disk,
    storage,
    turns,
    uploads,
)

HEAD = "| measured | ours | per second | anchor | ratio | target | |\n|---|---:|---:|---:|---:|---|---|"


def table(rows: Sequence[Row | Skipped]) -> str:
    lines = [
        f"| {row.name} | {_amount(row.ours, row.unit)} | {_rate(row)} | {_amount(row.anchor, row.unit)}"
        f" | {_ratio(row.ratio)} | {row.target} | {row.verdict} |"
        for row in rows
        if isinstance(row, Row)
    ]
    skipped = [f"Not measured: {row.name} ({row.reason})." for row in rows if isinstance(row, Skipped)]
    return "\n".join((HEAD, *lines, *(["", *skipped] if skipped else [])))


def told(rows: Sequence[Row | Skipped]) -> None:
    print(table(rows))


def _rate(row: Row) -> str:
    return f"{1e6 / row.ours:,.0f}" if row.unit == "µs" else ""


def _amount(value: float, unit: str) -> str:
    if unit != "µs":
        return f"{value:.0f} {unit}"
    return f"{value:.0f} µs" if value < 1_000 else f"{value / 1e3:,.1f} ms"


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.1f}×" if ratio >= 1 else f"{ratio:.2f}×"


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--small", action="store_true", help="the large store is half as large")
    names = (
        "storage",
        "importing",
        "slow_disk",
        "postgres",
        "export",
        "turns",
        "relay",
        "signing",
        "sheets",
        "uploads",
        "labels",
    )
    parser.add_argument("--only", choices=names)
    asked = parser.parse_args()
    parts = {
        "storage": lambda: storage.run(small=asked.small),
        "importing": importing.run,
        "slow_disk": slow_disk.run,
        "postgres": postgres.run,
        "export": export.run,
        "turns": turns.run,
        "relay": relay.run,
        "signing": signing.run,
        "sheets": sheets.run,
        "uploads": uploads.run,
        "labels": labels.run,
    }
    began, rows = time.perf_counter(), []
    async with turns.quiet():
        for name, measure in parts.items():
            if asked.only in (None, name):
                rows += await measure()
    missed = [row for row in rows if isinstance(row, Row) and row.missed]
    told(rows)
    print(f"\n{len(rows)} measurements in {time.perf_counter() - began:.0f} s, {len(missed)} missed; a run of its own.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
