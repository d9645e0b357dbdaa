"""What `make bench` says of its figures, and what it leaves behind. The figures themselves are no business of these."""

import io
import multiprocessing
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from storage.audit import Chain, Unsealed
from tests.benchmarks import (
    Failed,
    Row,
    Skipped,
    at_least,
    at_most,
    below,
    beside,
    echo,
    filled,
    none,
    parts,
    polls,
    reaches,
    within,
)
from tests.benchmarks.plot import LEAST, MOST, Bar, bars, drawn
from tests.benchmarks.tables import BUDGET, Section, report, status, summary, table
from tests.benchmarks.writing import MARKS, written
from tests.scale.state import FACTS, NOW

MET = at_least("get a device", 25, 100_000, 2_000, "stock TinyDB")
MISSED = at_most("the same", 25, 5, 4, "hand-written SQLite")
STRETCH = at_most("the same", 25, 5, 4, "hand-written SQLite (as far as it goes)", stretch=True)
TOLD = beside("the same", 25, 5, "the wind")
MACHINE = "1 May 2026, Some Processor, 2 cores, Linux 6"


def section(*outcomes: Row | Skipped | Failed, seconds: float = 10.0) -> Section:
    return Section("storage", seconds, outcomes)


@pytest.mark.parametrize(
    ("row", "met", "margin"),
    [
        (MET, True, 2.0),
        (at_least("a", 2, 100, 100, "b"), False, 0.5),
        (at_most("a", 8, 2, 4, "b"), True, 1.0),
        (MISSED, False, 0.8),
        (below("a", 2, 4, "b"), True, 2.0),
        (below("a", 4, 4, "b"), False, 1.0),
        (within("a", 5, 20, "MB"), True, 4.0),
        (within("a", 40, 20, "MB"), False, 0.5),
        (within("a", 0, 20, "MB"), True, float("inf")),
        (within("a", 0, 20), True, float("inf")),
        (reaches("a", 2_000, 1_000, "calls/s"), True, 2.0),
        (reaches("a", 500, 1_000, "calls/s"), False, 0.5),
        (none("a", 0, "messages"), True, None),
        (none("a", 1, "messages"), False, None),
        (TOLD, None, None),
    ],
)
def test_a_row_knows_how_far_its_target_is(row: Row, met: bool | None, margin: float | None) -> None:
    assert (row.met, row.margin) == (met, pytest.approx(margin) if margin is not None else None)


def test_a_missed_row_is_shown_as_missed_and_fails_the_run() -> None:
    assert status([section(MET, TOLD, STRETCH, Skipped("PostgreSQL", "no server"))]) == 0
    assert status([section(MET), section(MISSED)]) == 1
    assert status([section(MET, Failed("relay", "RuntimeError: gone"))]) == 1
    lines = table([MET, MISSED, STRETCH, TOLD]).splitlines()[2:]
    assert [line.split("|")[-2].strip() for line in lines] == ["met", "**missed**", "not reached", "–"]
    assert table([within("nothing at all", 0, 20)]).endswith(
        "| nothing at all | 0 µs |  | 20 µs | 0.00× | ≤ 0.02 ms | met |"
    )
    assert lines[0] == "| get a device | 25 µs | 40,000 | 100.0 ms | 4,000× | ≥ 2,000× stock TinyDB | met |"


def test_what_was_not_measured_and_what_broke_are_named() -> None:
    said = report([section(MET, Skipped("PostgreSQL", "no server"), Failed("relay", "RuntimeError: gone"))])
    assert "### storage, 10 s" in said
    assert "Not measured: PostgreSQL (no server)." in said
    assert "**Failed**: relay (RuntimeError: gone)." in said
    assert said.endswith("3 measurements in 10 s, 0 missed, 1 failed.")


def test_a_successor_that_breaks_is_no_absent_one() -> None:
    taken = {"ours": 1.0, "stock": 20.0, "plain": 0.5}
    absent: dict[str, echo.Absent] = {"teams_sdk": (Skipped, "not installed"), "agents_sdk": (Failed, "ended early")}
    done = echo._beside("CPU of an echo", taken, absent, least=10)
    assert [type(each) for each in done] == [Row, Skipped, Failed, Row]
    assert status([section(*done)]) == 1


def test_a_service_that_needs_all_of_its_core_for_polls_misses_its_target() -> None:
    """It has no more than that one, so a limit of 100 % would be none."""
    busy, easy = (polls.Held(100, 300, cpu, 32, 15_000, (), (0.01,), 15_000) for cpu in (31.5, 14.0))
    assert [[row.unit for row in polls.rows(15_000, each, easy) if row.missed] for each in (busy, easy)] == [["%"], []]


def test_a_run_that_takes_too_long_says_so() -> None:
    assert summary([section(MET, seconds=BUDGET)]) == f"1 measurements in {BUDGET} s, 0 missed."
    assert "longer than" in summary([section(MET, seconds=BUDGET), section(MISSED, seconds=1)])


def test_the_plot_has_a_bar_for_each_target() -> None:
    lost = none("notifications lost", 2, "messages")
    assert bars([MET, TOLD, MISSED, STRETCH, lost]) == [
        Bar("get a device: ≥ 2,000× stock TinyDB", "met", 2.0),
        Bar("get a device: ≤ 4× hand-written SQLite", "missed", 0.8),
        Bar("get a device: ≤ 4× hand-written SQLite (as far as it goes) (a stretch)", "not reached", 0.8),
        Bar("notifications lost: none", "missed", None),
    ]


def test_a_bar_says_in_words_what_its_colour_says() -> None:
    assert Bar("a", "met", 4.0).said == "4×"
    assert Bar("a", "missed", 0.8).said == "missed, 0.8×"
    assert Bar("a", "missed", None).said == "missed"
    assert [Bar("a", "met", margin).end for margin in (1e9, 4.0, None)] == [MOST, 4.0, 1.0]
    assert Bar("a", "missed", 1e-9).end == LEAST


def test_the_picture_is_the_same_each_time_and_grows_with_its_bars() -> None:
    one, two = ([section(*rows)] for rows in ([MET], [MET, MISSED, STRETCH]))
    assert drawn(one, MACHINE) == drawn(one, MACHINE)
    heights = [Image.open(io.BytesIO(drawn(each, MACHINE))).height for each in (one, two)]
    assert heights[0] < heights[1]


def test_a_run_is_written_into_readme_between_its_marks(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{MARKS[0]}old{MARKS[1]}\nafter\n", encoding="utf-8")
    headline = at_least("CPU of an echo, a message", 700, 11_000, 10, "stock")
    written([section(headline, MISSED, TOLD)], MACHINE, tmp_path)
    said = readme.read_text(encoding="utf-8")
    assert said.startswith(f"before\n{MARKS[0]}{MACHINE}: 3 measurements in 10 s, 1 missed.")
    assert said.endswith(f"{MARKS[1]}\nafter\n")
    assert "old" not in said
    assert "| CPU of an echo, a message |" in said
    assert "| the same |" not in said  # no headline
    assert "1 are met. Not met: the same](docs/bench.png)" in said
    assert "| the same |" in (tmp_path / "docs/bench.md").read_text(encoding="utf-8")
    assert (tmp_path / "docs/bench.png").read_bytes().startswith(b"\x89PNG")


def test_each_part_of_the_bench_is_there_once() -> None:
    listed = [part for some in parts.PARTS.values() for part in some]
    assert len(listed) == len(set(listed))
    for part in parts.names():
        assert part in parts.PARTS or find_spec(f"tests.benchmarks.{part}")
        assert parts.wanted(part)
    assert parts.wanted(None) == parts.PARTS
    assert parts.wanted("echo") == {"wire": ("echo",)}


def test_a_part_that_breaks_is_told_and_takes_no_other_with_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    done = parts.section("storage", ["no_such_part", "nor_this"], tmp_path)
    assert [type(each) for each in done.outcomes] == [Failed, Failed]
    assert "no_such_part" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_a_part_that_hangs_is_stopped_and_told(tmp_path: Path) -> None:
    done = parts.section("day", ["day"], tmp_path, limit=0.0)
    assert done.outcomes == [Failed("day", "it was stopped after 0 s")]
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no fifos and no groups of processes here")
def test_a_part_that_is_stopped_takes_along_what_it_started(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    spawn = multiprocessing.get_context("spawn")
    _hears, tells = spawn.Pipe(duplex=False)
    process = spawn.Process(target=parts.measured, args=(".hanging", tmp_path, str(tmp_path), tells))
    process.start()
    with (tmp_path / "alive").open() as alive:  # once it was begun
        parts._end(process)
        assert not alive.read()


def test_what_seals_a_filled_store_seals_each_fact_once() -> None:
    facts = [Unsealed(number, number, f"{number:064x}") for number in range(1, 2 * FACTS + 4)]
    made = [*filled.segments(facts, NOW)]
    assert [(each.number, each.first, each.last) for each in made] == [
        (1, 1, FACTS),
        (2, FACTS + 1, 2 * FACTS),
        (3, 2 * FACTS + 1, 2 * FACTS + 3),
    ]
    chain = Chain()
    digests = [each.digest for each in facts]
    assert not [fault for each in made if (fault := chain.fault(each, digests[each.first - 1 : each.last]))]
