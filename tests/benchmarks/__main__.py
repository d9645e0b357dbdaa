"""`make bench`: every measurement beside its anchor, as Markdown. Ends with 1 where a target is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.benchmarks.machine import described
from tests.benchmarks.parts import names, section, wanted
from tests.benchmarks.tables import report, status, table, told
from tests.benchmarks.writing import written

__all__ = ["table", "told"]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--only", choices=names(), metavar="NAME", help=f"one of: {', '.join(names())}")
    what.add_argument("--write", action="store_true", help="put the table and a plot into docs/bench.* and README")
    asked = parser.parse_args(words)
    machine = described()
    print(f"{machine}.\n", flush=True)
    sections = [section(name, parts) for name, parts in wanted(asked.only).items()]
    print(report(sections))
    if asked.write:
        written(sections, machine)
    return status(sections)


if __name__ == "__main__":
    sys.exit(main())
