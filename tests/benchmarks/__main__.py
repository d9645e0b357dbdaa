"""`make bench`: every measurement beside its anchor, as Markdown. Ends with 1 where a target is missed."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.machine import described
from tests.benchmarks.parts import names, section, wanted
from tests.benchmarks.tables import chapter, status, summary
from tests.benchmarks.writing import written


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--only", choices=names(), metavar="NAME", help=f"one of: {', '.join(names())}")
    what.add_argument("--write", action="store_true", help="put the table and a plot into docs/bench.* and README")
    asked = parser.parse_args()
    for name in ("SIGTERM", "SIGHUP"):  # what was started ends too, and its files go
        if number := getattr(signal, name, None):
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    machine = described()
    print(f"{machine}.\n", flush=True)
    sections = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name, parts in wanted(asked.only).items():
            sections.append(section(name, parts, Path(folder)))
            print(f"{chapter(sections[-1])}\n", flush=True)
    print(summary(sections))
    if asked.write:
        written(sections, machine)
    return status(sections)


if __name__ == "__main__":
    sys.exit(main())
