"""Reading sheets: the whole way from bytes to checked rows in this process, beside the least anybody could do.

python -m tests.benchmarks.sheets
"""

from __future__ import annotations

import asyncio
import csv
import io
import multiprocessing
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from netaddr import EUI
from openpyxl import load_workbook

from bot.parsing import Sheet, read_sheet
from provisioning.mac import vendor
from provisioning.model import site_of
from tests.benchmarks import Row, Skipped, at_most, within
from tests.benchmarks.measuring import medians
from tests.fleets import as_csv, as_xlsx, exported

ROUNDS, LARGE, WHOLE = 5, 20_000, 100_000
MEMORY = 350  # MB: 600 are for 200 000 rows, and two processes take 70 of them for a few
PROBE = """
import asyncio, resource, sys
from bot.parsing import read_sheet

async def read(content, name):
    async with read_sheet(content, name) as sheet:
        async for piece in sheet:
            pass

asyncio.run(read(sys.stdin.buffer.read(), sys.argv[1]))
own, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(own, child)
"""


async def previewed(sheet: Sheet) -> tuple[int, int, Counter[str], Counter[str]]:
    """What a preview counts without a store: rows, bad rows, sites and vendors. The hook for what asks one."""
    good = bad = 0
    sites: Counter[str] = Counter()
    vendors: Counter[str] = Counter()
    async for piece in sheet:
        good, bad = good + len(piece.rows), bad + len(piece.bad)
        sites.update(site_of(row.location) for row in piece.rows)
        vendors.update(vendor(row.mac) for row in piece.rows)
    return good, bad, sites, vendors


async def _ours(content: bytes, name: str, good: int) -> None:
    async with read_sheet(content, name) as sheet:
        found = await previewed(sheet)
    assert found[:2] == (good, 0)


def bare_csv(text: str) -> int:
    rows = csv.reader(io.StringIO(text))
    next(rows)
    return sum(1 for row in rows if EUI(row[0]))


def _bare_xlsx(content: bytes) -> int:
    book = load_workbook(io.BytesIO(content), read_only=True)
    return sum(1 for row in book.active.iter_rows(values_only=True))


async def run() -> Sequence[Row | Skipped]:
    fleet = exported(LARGE)
    sheet, workbook = as_csv(fleet.rows), as_xlsx(fleet.rows)
    text = sheet.decode()
    ours, bare = await medians(
        lambda: _ours(sheet, "fleet.csv", fleet.good), lambda: bare_csv(text), rounds=ROUNDS, each=1, warm=0
    )
    xlsx, open_py = await medians(
        lambda: _ours(workbook, "fleet.xlsx", fleet.good), lambda: _bare_xlsx(workbook), rounds=ROUNDS, each=1, warm=0
    )
    return [
        at_most("read and check 20 000 rows of CSV", ours, bare, 2.0, "csv.reader + netaddr.EUI"),
        at_most("read and check 20 000 rows of XLSX", xlsx, open_py, 1.3, "a bare openpyxl read-only pass"),
        *_memory(),
    ]


def _memory() -> list[Row]:
    """Of both processes at their highest, added up."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=spawn, max_tasks_per_child=1) as processes:
        book, large, small = processes.map(_peak, ("xlsx", "csv", "csv"), (WHOLE, WHOLE, LARGE))
    return [
        within(f"memory to read {WHOLE:,} rows of CSV", large, MEMORY, "MB"),
        within(f"memory to read {WHOLE:,} rows of XLSX", book, MEMORY, "MB"),
        at_most("the same of CSV", large, small, WHOLE / LARGE, "20 000 rows", unit="MB"),
    ]


def _peak(form: str, rows: int) -> float:
    """Megabytes of the process that asks and of the one that reads, where nothing else was done before."""
    content = {"csv": as_csv, "xlsx": as_xlsx}[form](exported(rows).rows)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, f"fleet.{form}"], input=content, capture_output=True, check=True
    )
    own, child = map(int, done.stdout.split())
    return (own + child) / (1024 * 1024 if sys.platform == "darwin" else 1024)


async def main() -> None:
    from tests.benchmarks.tables import told

    told(await run())


if __name__ == "__main__":
    asyncio.run(main())
