"""Three fleets that look like life, the same in every run: what admins really send, with its typing errors.

    python -m tests.fleets OUTDIR

2 000 phones on 8 sites as a person keeps them (mixed notations, typing errors, duplicates, notes at the end), 20 000
and 200 000 as an inventory system exports them. Vendors are those of the IEEE registry.
"""

from __future__ import annotations

import csv
import io
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import xlsxwriter

# Prefix, device type, how many of a hundred.
VENDORS = (
    ("805EC0", "phone", 34),  # Yealink
    ("249AD8", "phone", 12),
    ("44DBD2", "panel", 6),
    ("64167F", "phone", 9),  # Polycom
    ("0004F2", "phone", 5),
    ("482567", "room", 4),  # Poly
    ("00908F", "phone", 6),  # AudioCodes
    ("C44268", "panel", 4),  # Crestron
    ("00107F", "panel", 3),
    ("38F0C8", "room", 4),  # Logitech
    ("48C35A", "display", 3),  # Lenovo
    ("C463FB", "room", 3),  # Neatframe
    ("E80AB9", "sip", 3),  # Cisco
    ("481BA4", "sip", 2),
    ("000413", "sip", 2),  # snom
)
SITES = ("Oslo", "Bergen", "Trondheim", "Stavanger", "Tromsø", "København", "Göteborg", "Malmö")
NOTES = ("by the window", "ceiling bracket", "spare cable in the drawer", "ask reception for the key", "")
LARGE_SITE = 2_500  # devices; more of them need more sites


@dataclass(frozen=True, slots=True)
class Fleet:
    """A sheet as it was sent, and what is to be found in it."""

    name: str
    rows: tuple[tuple[str, ...], ...]
    good: int  # rows that are a device
    bad: int
    twice: int = 0
    notes: int = 0


def small(devices: int = 2_000, seed: int = 1) -> Fleet:
    """Kept by hand: one row in a hundred has something wrong."""
    chance = random.Random(seed)
    rows = [list(row) for row in _devices(devices, chance)]
    header = ("Mac Address", "Device location", "Type", "Tags", "Remark")
    wrong = chance.sample(range(devices), devices // 100)
    for index in wrong:
        rows[index][0] = chance.choice(ERRORS)(rows[index][0])
    others = [row for index, row in enumerate(rows) if index not in wrong]
    twice = chance.sample(others, 5)
    elsewhere = [[row[0], "Oslo/0/Lager", *row[2:]] for row in chance.sample(others, 4)]
    for row in rows:
        row[0] = chance.choice(NOTATIONS)(row[0]) if len(row[0]) == 12 and row[0].isalnum() else row[0]
    table = (header, *map(tuple, rows), *map(tuple, twice), *map(tuple, elsewhere))
    notes = (("", "", "", "", ""), (f"Total: {devices}", "", "", "", ""), ("Created by Dana", "2026-11-20", "", "", ""))
    return Fleet("small", (*table, *notes), len(others), len(wrong) + len(elsewhere), len(twice), 2)


def exported(devices: int, seed: int = 2) -> Fleet:
    """Of an inventory system: two columns, one notation, nothing wrong."""
    rows = ((_dashed(row[0]), row[1]) for row in _devices(devices, random.Random(seed)))
    return Fleet(str(devices), (("MAC id", "Location"), *rows), devices, 0)


FLEETS = {"small": small, "medium": lambda: exported(20_000), "large": lambda: exported(200_000)}


def _devices(count: int, chance: random.Random) -> Iterator[tuple[str, ...]]:
    sites = [*SITES, *(f"Office {number}" for number in range(9, count // LARGE_SITE + 1))]
    prefixes = chance.choices(VENDORS, weights=[share for _prefix, _kind, share in VENDORS], k=count)
    serials = chance.sample(range(1, 0xFFFFF), count)
    for number, ((prefix, kind, _share), serial) in enumerate(zip(prefixes, serials, strict=True)):
        site = sites[number * len(sites) // count]
        floor = number // 40 % 12
        place = f"{site}/{floor}/{floor}.{number % 40 + 1:02d}"
        tags = chance.choice(("", "", "", "wave 1", "wave 2; vip"))
        yield f"{prefix}{serial:06X}", place, kind, tags, chance.choice(NOTES)


def _grouped(mac: str, size: int, separator: str) -> str:
    return separator.join(mac[start : start + size] for start in range(0, 12, size))


def _dashed(mac: str) -> str:
    return _grouped(mac, 2, "-")


NOTATIONS = (
    lambda mac: mac,
    str.lower,
    _dashed,
    lambda mac: _grouped(mac, 2, ":").lower(),
    lambda mac: _grouped(mac, 4, ".").lower(),
    lambda mac: _grouped(mac, 2, " "),
    lambda mac: f" {mac} ",
)
ERRORS = (
    lambda mac: mac[:-2],  # cut
    lambda mac: mac + mac[-1],  # a key pressed twice
    lambda mac: f"{mac[:4]}O{mac[5:]}",  # the letter for the digit
    lambda mac: f"{mac[:3]}G{mac[4:]}",
    lambda mac: "8.05E+11",  # Excel
    lambda mac: "01" + mac[2:],  # of a group
)


def as_csv(rows: Sequence[Sequence[str]], separator: str = ",", encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode(encoding)


def as_xlsx(rows: Sequence[Sequence[object]], name: str = "Devices") -> bytes:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True, "strings_to_numbers": False}) as book:
        sheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return content.getvalue()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in FLEETS.items():
        fleet = make()
        (folder / f"{name}.csv").write_bytes(as_csv(fleet.rows))
        (folder / f"{name}.xlsx").write_bytes(as_xlsx(fleet.rows))
        print(f"{name}: {fleet.good} devices, {fleet.bad} bad rows")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
