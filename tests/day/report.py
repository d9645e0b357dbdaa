"""The morning as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.benchmarks.measuring import quantile
from tests.day.playing import Day

_HEAD = "| kind | count | a minute | p50 | p99 | longest |\n|---|---:|---:|---:|---:|---:|"


def report(day: Day) -> str:
    return "\n".join(_lines(day))


def _lines(day: Day) -> Iterator[str]:
    plan, book = day.plan, day.book
    yield f"## A morning: {day.store}, {plan.instances} instance{'s' if plan.instances > 1 else ''}\n"
    said = f"{plan.devices:,} devices, {plan.technicians} technicians, {plan.a_minute} activations a minute, "
    said += f"{plan.polls:,} long polls held, {len(day.deeds.imported)} imports of {plan.import_rows:,} rows, "
    said += f"{len(day.deeds.approved)} sign-ins; {book.seconds:.0f} s after a warm-up of {plan.warm:.0f} s, seed "
    yield f"{said}{plan.seed}. The connector takes {plan.connector * 1e3:.0f} ms over an answer, with Teams' limits.\n"
    yield _HEAD
    for kind in sorted(book.taken):
        yield _row(kind, book.taken[kind], book.seconds)
    yield _row("all turns typed", book.all_of("turn: "), book.seconds)
    yield _row("all presses and refreshes", book.all_of("press: ") + book.all_of("refresh: "), book.seconds)
    yield ""
    yield from (f"- {said}" for said in (*_relay(day), *_processes(day)))
    yield f"- Store: {day.megabytes[0]:.0f} MB before, {day.megabytes[1]:.0f} MB after; filled in {day.filled:.0f} s."
    if day.log:
        yield f"- Logged at warning and above: {', '.join(f'{n} × {line}' for line, n in day.log.most_common(8))}."
    yield from _verdict(day)


def _row(kind: str, taken: Sequence[float], seconds: float) -> str:
    if not taken:
        return f"| {kind} | 0 | | | | |"
    times = " | ".join(milliseconds(each) for each in (quantile(taken, 50), quantile(taken, 99), max(taken)))
    return f"| {kind} | {len(taken):,} | {len(taken) / seconds * 60:,.1f} | {times} |"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def _relay(day: Day) -> Iterator[str]:
    for kind, late in sorted(day.found.late.items()):
        times = f"p50 {milliseconds(quantile(late, 50))}, p99 {milliseconds(quantile(late, 99))}"
        yield f"Relay: {len(late):,} {kind} sent, from when each was due until it was over the wire {times}."
    fates = ", ".join(f"{n:,} {fate}" for fate, n in sorted(day.found.fates.items()))
    yield f"Messages in the store: {fates or 'none'}. The connector answered 429 {day.statuses[429]} times."
    if day.heard:
        times = f"p50 {milliseconds(quantile(day.heard, 50))}, the last {milliseconds(max(day.heard))}"
        yield f"Sign-ins: {len(day.heard)} heard by their device after the approval, {times} (polled each 5 s)."


def _processes(day: Day) -> Iterator[str]:
    for number, each in enumerate(day.watched, start=1):
        first, last = each.memory
        slope = f"{each.slope:+.0f} MB/h over {day.book.seconds / 60:.1f} min"
        noisy = " (too short to mean much)" if day.book.seconds < 600 else ""
        yield f"Instance {number}: {each.load:.0f} % of one core, {first:.0f} → {last:.0f} MB, {slope}{noisy}."


def _verdict(day: Day) -> Iterator[str]:
    deeds = day.deeds
    held = f"{len(day.devices.activated):,} activations, {len(deeds.confirmed):,} installs, {len(deeds.problems)} "
    held += f"problems, {len(deeds.moved)} moves, {len(deeds.approved)} sign-ins and {len(deeds.imported)} imports"
    yield f"\nHeld against the store: {held}; {len(day.wrong)} wrong."
    yield ""
    yield from (f"- {words}" for words in [*day.wrong[:20], *day.book.words])
