"""What `make bench ARGS=--write` leaves behind: docs/bench.md, its picture, and README's part of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks import Row
from tests.benchmarks.plot import drawn
from tests.benchmarks.tables import Section, report, summary, table

HOUSE: Final = Path(__file__).parents[2]
PICTURE: Final = "docs/bench.png"
WHOLE: Final = "docs/bench.md"
MARKS: Final = ("<!-- bench -->\n", "\n<!-- /bench -->")
# README shows the rows whose names begin so, as far as they have a target.
HEADLINES: Final = (
    "get a device by MAC, 10 000 devices",
    "change a device, durable",
    "a unit of work: device and fact",
    "open the store in a fresh process",
    "CPU of an echo",
    "turns: ",
    "longest hold of the loop",
    "token requests",
    "new connections",
    "[Add] of",
    "export of 20 000 rows",
    "10,000 notifications",
    "one event to outbox to wire",
    "300 sign-ins at once",
    "device provision calls on one core",
    "p99 of them at",
    "15,000 long polls",
    "start to the first answer, 200",
    "memory of an idle service",
    "a morning on the embedded store: a turn",
    "a morning on the embedded store: a device's call",
    "a morning on the embedded store: lost",
)


def written(sections: Sequence[Section], machine: str, house: Path = HOUSE) -> None:
    """`machine` begins with the date, up to its first comma."""
    (house / PICTURE).write_bytes(drawn(sections, f"How far each target of make bench is met\n{heading(machine)}"))
    (house / WHOLE).write_text(whole(sections, machine), encoding="utf-8")
    readme = house / "README.md"
    before, begin, rest = readme.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    readme.write_text(before + begin + short(sections, machine) + MARKS[1] + after, encoding="utf-8")


def heading(machine: str) -> str:
    """Date, processor and cores."""
    return ", ".join(machine.split(", ")[:3])


def whole(sections: Sequence[Section], machine: str) -> str:
    image = f"![{alternative(sections)}]({Path(PICTURE).name})"
    return f"# What make bench measured\n\n{machine}.\n\n{image}\n\n{report(sections)}\n"


def short(sections: Sequence[Section], machine: str) -> str:
    """README's part: the machine, the picture, and the headlines."""
    rows = [
        row for section in sections for row in section.rows if row.met is not None and row.name.startswith(HEADLINES)
    ]
    image = f"![{alternative(sections)}]({PICTURE})"
    said = f"{machine}: {summary(sections)} [All of them]({WHOLE})."
    return f"{said}\n\n{image}\n\n{table(rows)}"


def alternative(sections: Sequence[Section]) -> str:
    """What the picture shows, in words."""
    rows = _targeted(sections)
    met = sum(bool(row.met) for row in rows)
    missed = [row.name.replace("`", "") for row in rows if not row.met]
    said = f"A bar for each of {len(rows)} targets, from the target on, on a logarithmic scale: {met} are met"
    return f"{said}. Not met: {'; '.join(missed)}" if missed else said


def _targeted(sections: Sequence[Section]) -> list[Row]:
    return [row for section in sections for row in section.rows if row.met is not None]
