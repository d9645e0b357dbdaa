"""A shortened morning of a large rollout, on each store; `make day` plays a whole one.

    python -m tests.benchmarks.day

The bare echo bot of the stock SDK is asked in the same minutes, with the same connector behind it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.benchmarks import Failed, Outcome, Skipped, at_most, beside, none, within
from tests.benchmarks.measuring import quantile
from tests.day import Plan
from tests.day.playing import Day, play
from tests.storage import postgres

ECHO = "anchor: bare stock echo"
PLAN = Plan(minutes=0.5, warm=10.0, polls=800, imports_apart=40.0, sign_ins_apart=15.0, echo_apart=0.5)
TURN, CALL = 50_000, 25_000  # microseconds


def _turns(day: Day) -> list[float]:
    """Seconds of everything that people typed and pressed; what works through a whole sheet is not a turn."""
    return [
        each
        for kind, taken in day.book.taken.items()
        if kind.startswith(("turn: ", "press: ", "refresh: ")) and kind != "press: add what a sheet holds"
        for each in taken
    ]


def _rows(day: Day, of: str) -> Iterator[Outcome]:
    turns, echo, calls = _turns(day), day.book.taken[ECHO], day.book.taken["device: provision"]
    (p50, p99), (echo_p50, echo_p99) = ([quantile(taken, n) * 1e6 for n in (50, 99)] for taken in (turns, echo))
    name = f"a morning {of}: a turn"
    yield within(f"{name}, p50 of {len(turns):,}", p50, TURN)
    yield at_most("the same", p50, echo_p50, 1 if day.plan.instances == 1 else 2, "bare stock echo, p50")
    yield beside(f"{name}, p99", p99, echo_p99, "bare stock echo, p99")
    p50, p99 = (quantile(calls, n) * 1e6 for n in (50, 99))
    name = f"a morning {of}: a device's call at {len(calls) / day.book.seconds * 60:,.0f} a minute"
    yield within(f"{name}, p50", p50, CALL)
    yield beside(f"{name}, p99", p99, echo_p99, "bare stock echo, p99")
    edits = quantile(day.found.late["edits"], 50)
    yield within(f"a morning {of}: an edit, from due to over the wire, p50", edits * 1e6, 100_000)
    name = f"a morning {of}: {day.plan.import_rows:,} rows, [Add] to on the list"
    added = day.book.taken["import: from [Add] to all of it on the list"]
    yield within(name, max(added) * 1e6, 10e6) if added else Failed(name, "none was all on the list in that time")
    load = sum(each.load for each in day.watched)
    yield within(f"a morning {of}: CPU of the service, of one core", load, 100 * day.plan.instances, "%")
    yield none(f"a morning {of}: lost, doubled, errors", len(day.wrong), "things")


async def _played(plan: Plan, url: str) -> Day:
    with tempfile.TemporaryDirectory() as name:
        day = await play(plan, url or f"tinydb:{name}/store", Path(name))
    print(*day.wrong[:10], *day.book.words[:10], sep="\n", file=sys.stderr)
    return day


async def run() -> list[Outcome]:
    embedded = await _played(PLAN, "")
    rows: list[Outcome] = [*_rows(embedded, "on the embedded store")]
    if reason := postgres.why_not():
        return [*rows, Skipped("a morning on two instances over PostgreSQL", reason)]
    with postgres.schema() as url:
        shared = await _played(replace(PLAN, instances=2), url)
    rows += _rows(shared, "on two instances over PostgreSQL")
    theirs, ours = (quantile(_turns(day), 50) * 1e6 for day in (embedded, shared))
    return [*rows, beside("a turn on two instances over PostgreSQL, p50", ours, theirs, "the embedded store")]


if __name__ == "__main__":
    from tests.benchmarks.tables import told

    told(asyncio.run(run()))
