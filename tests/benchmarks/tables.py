"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks import Failed, Outcome, Row, Skipped

HEAD = "| measured | ours | per second | anchor | ratio | target | |\n|---|---:|---:|---:|---:|---|---|"
BUDGET = 15 * 60  # seconds of a whole run


@dataclass(frozen=True)
class Section:
    """What one part of a run measured, and the seconds it took."""

    name: str
    seconds: float
    outcomes: Sequence[Outcome]

    @property
    def rows(self) -> list[Row]:
        return [each for each in self.outcomes if isinstance(each, Row)]


def status(sections: Sequence[Section]) -> int:
    """The exit code: 1 where a target is missed or a measurement broke."""
    everything = [each for section in sections for each in section.outcomes]
    return int(any(isinstance(each, Failed) or (isinstance(each, Row) and each.missed) for each in everything))


def report(sections: Sequence[Section]) -> str:
    """A table for each section, and a last line that says what was missed, the budget of time included."""
    return "\n\n".join((*map(chapter, sections), summary(sections)))


def chapter(section: Section) -> str:
    return f"### {section.name}, {section.seconds:.0f} s\n\n{table(section.outcomes)}"


def summary(sections: Sequence[Section]) -> str:
    everything = [each for section in sections for each in section.outcomes]
    missed = sum(isinstance(each, Row) and each.missed for each in everything)
    failed = sum(isinstance(each, Failed) for each in everything)
    took = sum(section.seconds for section in sections)
    said = f"{len(everything)} measurements in {took:.0f} s, {missed} missed"
    said += f", {failed} failed" if failed else ""
    return f"{said}; **longer than the {BUDGET} s allowed**." if took > BUDGET else f"{said}."


def table(outcomes: Sequence[Outcome]) -> str:
    lines = [
        f"| {row.name} | {amount(row.ours, row.unit)} | {_rate(row)} | {amount(row.anchor, row.unit)}"
        f" | {times(row.ratio)} | {row.target} | {row.verdict} |"
        for row in outcomes
        if isinstance(row, Row)
    ]
    notes = [f"Not measured: {each.name} ({each.reason})." for each in outcomes if isinstance(each, Skipped)]
    notes += [f"**Failed**: {each.name} ({each.reason})." for each in outcomes if isinstance(each, Failed)]
    return "\n".join((*((HEAD, *lines) if lines else ()), *(["", *notes] if notes else []))).strip()


def told(outcomes: Sequence[Outcome]) -> None:
    print(table(outcomes))


def _rate(row: Row) -> str:
    return f"{1e6 / row.ours:,.0f}" if row.unit == "µs" and row.ours else ""


def amount(value: float, unit: str) -> str:
    if unit != "µs":
        return (f"{value:,.0f} {unit}" if value >= 10 or value == int(value) else f"{value:.2g} {unit}").strip()
    return f"{value:.0f} µs" if value < 1_000 else f"{value / 1e3:,.1f} ms"


def times(ratio: float) -> str:
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.1f}×" if ratio >= 1 else f"{ratio:.2f}×"
