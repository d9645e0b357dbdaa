"""`make bench`: every measurement beside its anchor, as Markdown. Ends with 1 where a target is missed."""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks.parts import names, section, wanted
from tests.benchmarks.tables import report, status, table, told

__all__ = ["table", "told"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", choices=names(), metavar="NAME", help=f"one of: {', '.join(names())}")
    asked = parser.parse_args()
    sections = [section(name, parts) for name, parts in wanted(asked.only).items()]
    print(report(sections))
    return status(sections)


if __name__ == "__main__":
    sys.exit(main())
