"""`make day`: a morning on the embedded store, and one on two instances over PostgreSQL. Ends with 1 at any error."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.crash import quiet
from tests.day import Plan
from tests.day.playing import play
from tests.day.report import report
from tests.storage import postgres

STORES = ("tinydb", "postgres")


@contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty store, gone in the end."""
    if kind == "tinydb":
        yield f"tinydb:{folder / 'store'}"
    else:
        with postgres.schema() as url:
            yield url


def morning(plan: Plan, kind: str) -> bool:
    """Whether all was well."""
    if kind == "postgres" and (reason := postgres.why_not()):
        print(f"PostgreSQL is passed over: {reason}.")
        return True
    with tempfile.TemporaryDirectory() as name, store(kind, Path(name)) as url:
        day = asyncio.run(play(plan, url, Path(name)))
    print(report(day), flush=True)
    return not day.wrong


def main() -> int:
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.day", description=__doc__)
    parser.add_argument("--minutes", type=float, default=usual.minutes, help="that are measured")
    parser.add_argument("--warm", type=float, default=usual.warm, help="seconds before that")
    parser.add_argument("--store", choices=STORES, help="only this one")
    parser.add_argument("--instances", type=int, help="1 on the embedded store, 2 on PostgreSQL where not said")
    parser.add_argument("--devices", type=int, default=usual.devices)
    parser.add_argument("--technicians", type=int, default=usual.technicians)
    parser.add_argument("--a-minute", type=int, default=usual.a_minute, help="devices that call in")
    parser.add_argument("--polls", type=int, default=usual.polls, help="long polls that are held")
    parser.add_argument("--seed", type=int, default=usual.seed)
    asked = parser.parse_args()
    quiet()
    chosen = {name: value for name, value in vars(asked).items() if name not in ("store", "instances")}
    well = True
    for kind in (asked.store,) if asked.store else STORES:
        instances = asked.instances or (1 if kind == "tinydb" else 2)
        if kind == "tinydb" and instances > 1:
            parser.error("the embedded store is one instance's alone")
        well = morning(replace(usual, **chosen, instances=instances), kind) and well
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
