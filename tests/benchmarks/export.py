"""An export beside the bare library writing the same texts, and a printed list.

python -m tests.benchmarks --only export
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from io import BytesIO

from xlsxwriter import Workbook

from provisioning.documents.printable import Block, printable
from provisioning.sheets.writing import Form, Heading, table
from tests.benchmarks import Row, Skipped, at_most, beside, within
from tests.benchmarks.measuring import medians
from tests.scale.state import CITIES, mac_of

ROWS, BLOCKS = 20_000, 500
TITLES = ("MAC id", "Location", "Type", "Account", "Technician", "Tag", "Asset tag", "Notes", "State", "Since")
LINK = "https://teams.microsoft.com/l/chat/0/0?users=28:6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a3e&message=install%20"


async def run() -> list[Row | Skipped]:
    rows = list(_rows())
    headings = [Heading(title) for title in TITLES]
    ours, bare, csv = await medians(
        lambda: table(Form.XLSX, "Devices", headings, rows),
        lambda: _bare(rows),
        lambda: table(Form.CSV, "Devices", headings, rows),
        rounds=3,
        each=1,
        warm=0,
    )
    blocks = [_block(row) for row in rows[:BLOCKS]]
    (printed,) = await medians(lambda: printable("Devices", [], blocks, "now"), rounds=2, each=1, warm=0)
    return [
        at_most("export of 20 000 rows as XLSX", ours, bare, 1.5, "a bare xlsxwriter loop over the same texts"),
        beside("the same as CSV", csv, bare, "the same"),
        within("a printed list of 500 devices with codes and QR codes", printed, 10e6),
    ]


def _rows() -> Iterator[tuple[str, ...]]:
    for n in range(ROWS):
        mac = "-".join(mac_of(n)[k : k + 2] for k in range(0, 12, 2))
        place = f"{CITIES[n % len(CITIES)]}/{n // 500}/{n // 500}.{n % 500:03d}"
        person = ("phone", f"room{n}@contoso.example", "Sam Technician", "lobby", f"A-{n}", "Beside the door")
        yield (mac, place, *person, "waiting for activation", "2026-11-22 10:45")


def _bare(rows: list[tuple[str, ...]]) -> bytes:
    out = BytesIO()
    book = Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet()
    for number, row in enumerate((TITLES, *rows)):
        for column, value in enumerate(row):
            sheet.write_string(number, column, value)
    book.close()
    return out.getvalue()


def _block(row: tuple[str, ...]) -> Block:
    mac, location = row[:2]
    place = location.rsplit("/", 1)[-1]
    return Block(place, location, mac, "Yealink", "4829 1376 0257", "Valid until 10:45", LINK + mac, "Code of this bot")


if __name__ == "__main__":
    from tests.benchmarks.tables import told

    told(asyncio.run(run()))
