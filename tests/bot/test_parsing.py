"""Whatever is sent, it ends in rows or in one sentence, in time, and nothing of it stays behind."""

import asyncio
import datetime
import io
import os
import random
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Sequence

import pytest
import structlog
import xlsxwriter

from bot import confined
from bot.parsing import read_sheet
from provisioning.sheets import faults, limits
from provisioning.sheets.faults import SheetError, say, say_row
from provisioning.uploads import BadRow, SheetRow
from tests.fleets import as_csv, as_xlsx, exported, small

A, B = "805EC0112233", "805EC0112234"
HEADER = ("MAC id", "Location")
SOON = 2.0 + 1.0  # seconds of processor time: what the budget grants a file without rows, and the start of a process


def worked() -> float:
    """Seconds of processor time, with those of processes that ended; others on a busy machine do not count."""
    return sum(os.times()[:4])


async def read(content: bytes, name: str = "fleet") -> tuple[list[SheetRow], list[BadRow], list[str]]:
    rows: list[SheetRow] = []
    bad: list[BadRow] = []
    async with read_sheet(content, name) as sheet:
        async for piece in sheet:
            assert len(piece.rows) + len(piece.bad) <= limits.PIECE + 128
            rows += piece.rows
            bad += piece.bad
    return rows, bad, [say(remark) for remark in sheet.remarks]


# ------------------------------------------------------------------ what people send


@pytest.mark.parametrize("form", [as_csv, as_xlsx])
async def test_a_fleet_kept_by_hand_is_read_alike_in_both_forms(form: Callable[..., bytes]) -> None:
    fleet = small()
    async with read_sheet(form(fleet.rows), "fleet") as sheet:
        assert sheet.head.header[0] == "Mac Address"
        assert sheet.head.form == form.__name__.removeprefix("as_")
        pieces = [piece async for piece in sheet]
    assert sum(len(piece.rows) for piece in pieces) == fleet.good
    assert sum(len(piece.bad) for piece in pieces) == fleet.bad
    assert [piece.read for piece in pieces] == sorted(piece.read for piece in pieces)
    assert pieces[-1].read == fleet.good + fleet.bad + fleet.twice
    assert len(sheet.remarks) == 2
    assert abs(sheet.head.rows - pieces[-1].read) <= 3


async def test_pasted_rows_need_no_name_and_get_no_word_about_a_header() -> None:
    rows, bad, remarks = await read(f"{A} Oslo/2/2.14\n{B} Oslo".encode(), "")
    assert [(row.mac, row.location) for row in rows] == [(A, "Oslo/2/2.14"), (B, "Oslo")]
    assert (bad, remarks) == ([], [])


async def test_long_texts_in_any_script_come_in_pieces_that_fit() -> None:
    """Nothing of such a file is damaged, however many bytes a sign takes."""
    texts = ",".join(sign * 200 for sign in "𠀀𠀁𠀂")
    lines = [f"80-5E-C0-00-{n // 256:02X}-{n % 256:02X},東京/1/{n},{texts}" for n in range(700)]
    rows, bad, _remarks = await read("\n".join(["MAC,Location,Notes,Asset tag,Technician", *lines]).encode())
    assert (len(rows), bad) == (700, [])


async def test_long_rows_without_a_mac_are_handed_on_before_they_are_too_many() -> None:
    long = ",".join(["x" * 1_000] * 20)
    lines = ["MAC,Location", *[f",Oslo,{long}"] * 90, "80-5E-C0-11-22-33,Oslo"]
    rows, bad, _remarks = await read("\n".join(lines).encode())
    assert (len(rows), len(bad)) == (1, 90)


def workbook(fill: Callable[[xlsxwriter.Workbook], None]) -> bytes:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        fill(book)
    return content.getvalue()


async def test_cells_of_a_workbook_are_what_was_typed_or_a_fault() -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row("B3", (*HEADER, "Verification code"))
        sheet.write_row("B4", (A, 2.14, 123456))
        sheet.write_row("B5", (100000, "Oslo", ""))
        sheet.write_datetime("B6", datetime.datetime(2026, 2, 14), day)
        sheet.write("C6", "Oslo")
        sheet.write_formula("B7", '="805EC01122"&"34"', None, B)
        sheet.write("C7", "Oslo")
        sheet.write_formula("B8", "=1/0", None, "#DIV/0!")
        sheet.write("C8", "Oslo")
        sheet.write_boolean("B9", True)
        sheet.write("C9", "Oslo")

    rows, bad, _remarks = await read(workbook(fill))
    assert [(row.number, row.mac, row.location, row.code) for row in rows] == [
        (4, A, "2.14", "123456"),
        (7, B, "Oslo", ""),
    ]
    assert [say_row(row.number, row.fault) for row in bad][:2] == [
        'Row 5 "100000": Excel changed this to a number; format the column as Text.',
        'Row 6 "2026-02-14": Excel changed this to a date; format the column as Text.',
    ]
    assert [row.number for row in bad] == [5, 6, 8, 9]


async def test_the_first_visible_sheet_with_macs_is_read_and_the_others_are_named() -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        book.add_worksheet("Read me").write("A1", "Hello")
        hidden = book.add_worksheet("Old")
        hidden.write_row("A1", HEADER)
        hidden.write_row("A2", (B, "Oslo"))
        hidden.hide()
        found = book.add_worksheet("Devices")
        found.write_row("A1", HEADER)
        found.write_row("A2", (A, "Oslo"))

    rows, _bad, remarks = await read(workbook(fill))
    assert [row.mac for row in rows] == [A]
    assert remarks == ['Only the sheet "Devices" was read, not: Read me.']


async def test_a_cell_merged_over_several_rows_counts_for_each() -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        sheet.write_row("A1", ("Site", "Room", "MAC"))
        sheet.merge_range("A2:A3", "Oslo")
        sheet.write_row("B2", ("2.14", A))
        sheet.write_row("B3", ("2.15", B))

    rows, _bad, _remarks = await read(workbook(fill))
    assert [row.location for row in rows] == ["Oslo/2.14", "Oslo/2.15"]


async def test_a_far_note_is_a_note() -> None:
    rows, _bad, remarks = await read(as_xlsx_with(lambda sheet: sheet.write("A1048576", "end")))
    assert [row.mac for row in rows] == [A]
    assert remarks == ["Passed over at the end, as there is no MAC: rows 1048576."]


async def test_macros_are_not_run_and_values_are_read() -> None:
    content = with_member(as_xlsx([HEADER, (A, "Oslo")]), "xl/vbaProject.bin", b"\xd0\xcf\x11\xe0" + b"macro" * 100)
    assert [row.mac for row in (await read(content, "fleet.xlsm"))[0]] == [A]


# ------------------------------------------------------------------ what nobody should send


def as_xlsx_with(more: Callable[..., object]) -> bytes:
    def fill(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        sheet.write_row("A1", HEADER)
        sheet.write_row("A2", (A, "Oslo"))
        more(sheet)

    return workbook(fill)


def with_member(content: bytes, name: str, part: bytes) -> bytes:
    """The zip with this part put in, or in the place of the one of that name."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            if member.filename != name:
                new.writestr(member.filename, old.read(member))
        new.writestr(name, part)
    return changed.getvalue()


async def test_rows_are_counted_whatever_the_parts_of_a_workbook_are_called() -> None:
    """By them more time is granted, and a forecast made."""
    packed, content = io.BytesIO(), as_xlsx([("MAC", "Location"), ("80-5E-C0-11-22-33", "Oslo")])
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(packed, "w") as made:
        for name in given.namelist():
            part = given.read(name).replace(b"worksheets/sheet1.xml", b"worksheets/data.xml")
            made.writestr(name.replace("worksheets/sheet1.xml", "worksheets/data.xml"), part)
    async with read_sheet(packed.getvalue(), "fleet.xlsx") as sheet:
        assert sheet.head.rows == 1


def sheet_xml(body: str, before: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>{before}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"{body}</worksheet>"
    ).encode()


PLAIN = as_xlsx([HEADER, (A, "Oslo")])
SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
INLINE = '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row></sheetData>'


def zip_of(*parts: tuple[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, part in parts:
            packed.writestr(name, part)
    return content.getvalue()


def bomb() -> bytes:
    return with_member(PLAIN, SHEET, b" " * 300_000_000)


def flat_bomb() -> bytes:
    """Each member is small, all of them are not."""
    noise = random.Random(1).randbytes(500) * 1_000
    return zip_of(("xl/workbook.xml", b""), *((f"xl/media/{n}.bin", noise) for n in range(600)))


def lying() -> bytes:
    """300 MB in one shared string that the directory calls 1 000 bytes."""
    content = bytearray(with_member(PLAIN, STRINGS, b"<sst><si><t>" + b"x" * 300_000_000 + b"</t></si></sst>"))
    for signature, at, name_at in ((b"PK\x01\x02", 24, 46), (b"PK\x03\x04", 22, 30)):
        for found in re.finditer(re.escape(signature), bytes(content)):
            start = found.start()
            if content[start + name_at : start + name_at + len(STRINGS)] == STRINGS.encode():
                struct.pack_into("<I", content, start + at, 1_000)
    return bytes(content)


def encrypted_members() -> bytes:
    content = bytearray(PLAIN)
    for found in re.finditer(rb"PK\x01\x02", bytes(content)):
        content[found.start() + 8] |= 1
    return bytes(content)


def ole(stream: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504 + stream.encode("utf-16-le") + b"\0" * 2_000


HOSTILE: dict[str, tuple[Callable[[], bytes], type[SheetError]]] = {
    "nothing": (lambda: b"", faults.EmptySheet),
    "only zeros": (lambda: b"\0" * 5_000, faults.EmptySheet),
    "one byte over 20 MiB": (lambda: b"x" * (20 * 1024 * 1024 + 1), faults.TooLarge),
    "a bomb": (bomb, faults.TooMuchInside),
    "a bomb of many members": (flat_bomb, faults.TooMuchInside),
    "a million members": (lambda: zip_of(*((f"{n}", b"") for n in range(3_000))), faults.TooMuchInside),
    "a zip in a zip": (lambda: with_member(PLAIN, "xl/more.zip", PLAIN), faults.Suspicious),
    "a zip of a workbook": (lambda: zip_of(("fleet.xlsx", PLAIN)), faults.Archive),
    "sizes that lie": (lying, faults.Damaged),
    "a far cell": (lambda: as_xlsx_with(lambda sheet: sheet.write("XFD1048576", "x")), faults.TooMuchMemory),
    "a picture called xlsx": (lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 5_000, faults.Picture),
    "a photo": (lambda: b"\xff\xd8\xff\xe0" + random.Random(2).randbytes(5_000), faults.Picture),
    "a PDF": (lambda: b"%PDF-1.7\n" + b"x" * 100, faults.Pdf),
    "a password": (lambda: ole("EncryptedPackage"), faults.Encrypted),
    "a password of the zip": (encrypted_members, faults.Encrypted),
    "Excel 2003": (lambda: ole("Workbook"), faults.OldWorkbook),
    "OpenDocument": (lambda: zip_of(("mimetype", b"x"), ("content.xml", b"<x/>")), faults.OpenDocument),
    "Numbers": (lambda: zip_of(("Index/Document.iwa", b"x")), faults.Numbers),
    "a binary workbook": (lambda: zip_of(("xl/workbook.bin", b"x")), faults.BinaryWorkbook),
    "a letter": (lambda: zip_of(("word/document.xml", b"<x/>")), faults.NotASheet),
    "random bytes": (lambda: random.Random(3).randbytes(100_000), faults.NotASheet),
    "a zip and then noise": (lambda: b"PK\x03\x04" + random.Random(4).randbytes(100_000), faults.Damaged),
    "half a workbook": (lambda: PLAIN[: len(PLAIN) // 2], faults.Damaged),
    "half a sheet": (lambda: with_member(PLAIN, SHEET, sheet_xml("<sheetData><row>")[:-20]), faults.Damaged),
    "no sheet": (lambda: zip_of(("xl/workbook.xml", b"<workbook/>")), faults.Damaged),
    "laughs": (lambda: with_member(PLAIN, SHEET, sheet_xml(INLINE.format("&i;"), LAUGHS + "]>")), faults.Suspicious),
    "an external entity": (
        lambda: with_member(
            PLAIN, STRINGS, b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><sst><si><t>&a;</t></si></sst>'
        ),
        faults.Suspicious,
    ),
    "a million columns of CSV": (lambda: b"," * 1_000_000, faults.LineTooLong),
    "65 columns of CSV": (lambda: as_csv([HEADER, (A, *["x"] * 64)]), faults.TooManyColumns),
    "65 columns of XLSX": (lambda: as_xlsx([HEADER, (A, *["x"] * 64)]), faults.TooManyColumns),
    "16 384 columns": (lambda: as_xlsx([HEADER, (A, *["x"] * 16_383)]), faults.TooManyColumns),
    "a lone quotation mark": (lambda: b'MAC,Location\n805EC0112233,"Oslo\n805EC0112234,Oslo\n', faults.LoneQuote),
    "no MACs": (lambda: as_xlsx([("a", "b"), ("c", "d")]), faults.NoMacColumn),
    "an empty workbook": (lambda: as_xlsx([]), faults.EmptySheet),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_file_ends_in_one_sentence_in_time(name: str) -> None:
    make, error = HOSTILE[name]
    content = make()
    began = worked()
    with pytest.raises(SheetError) as refused:
        async with asyncio.timeout(60):  # and nothing is waited for
            await read(content)
    assert type(refused.value) is error, refused.value
    assert worked() - began < SOON
    assert refused.value.sentence.count("\n") == 0


@pytest.mark.parametrize("form", [as_csv, as_xlsx])
async def test_one_row_too_many_is_refused_before_any_is_given(
    form: Callable[[Sequence[Sequence[str]]], bytes],
) -> None:
    rows = [HEADER, *((f"805EC{n:07X}", "Oslo") for n in range(limits.ROWS + 1))]
    with pytest.raises(faults.TooManyRows, match="200000"):
        async with read_sheet(form(rows), "fleet") as sheet:
            await anext(aiter(sheet))


@pytest.mark.parametrize("dimension", ["A1:A1", "A1:XFD1048576", "nonsense"])
async def test_a_false_dimension_is_not_believed(dimension: str) -> None:
    with zipfile.ZipFile(io.BytesIO(PLAIN)) as packed:
        part = packed.read(SHEET)
    changed = re.sub(rb'<dimension ref="[^"]*"', f'<dimension ref="{dimension}"'.encode(), part)
    assert changed != part
    try:
        rows, _bad, _remarks = await read(with_member(PLAIN, SHEET, changed))
    except SheetError as error:
        assert dimension == "nonsense", error
    else:
        assert [row.mac for row in rows] == [A]


@pytest.mark.parametrize("seed", range(12))
async def test_a_workbook_with_broken_bytes_is_read_or_told(seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(as_xlsx(exported(50).rows))
    for _ in range(chance.choice((1, 20, 400))):
        content[chance.randrange(len(content))] = chance.randrange(256)
    try:
        await read(bytes(content))
    except SheetError as error:
        assert error.sentence


# ------------------------------------------------------------------ the process


async def test_this_process_does_not_grow_with_what_is_refused() -> None:
    resource = pytest.importorskip("resource")
    content = lying()
    with pytest.raises(SheetError):
        await read(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SheetError):
        await read(content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


async def test_leaving_early_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[asyncio.subprocess.Process] = []
    again = asyncio.Event()
    create = asyncio.create_subprocess_exec

    async def remembered(*args: object, **options: object) -> asyncio.subprocess.Process:
        started.append(await create(*args, **options))  # type: ignore[arg-type]
        if len(started) > 1:
            again.set()
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", remembered)
    content = as_csv(exported(30_000).rows)
    async with read_sheet(content, "fleet.csv") as sheet:
        assert (await anext(aiter(sheet))).rows
    assert started[0].returncode is not None

    task = asyncio.create_task(read(content))
    await again.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert started[1].returncode is not None


# What another process could say; each is told as a damaged file and never believed.
HEAD = '{"head":{"header":[],"form":"csv","rows":1,"code":null}}'
LIES = [
    "",
    "nonsense",
    "[]",
    '{"piece":[[],[],0]}',
    '{"head":{"header":["x"],"form":"exe","rows":1,"code":null}}',
    HEAD + '\n{"piece":[[[1,"805EC011223","Oslo"]],[],1]}',
    HEAD + '\n{"piece":[[[1,"805EC0112233","Os\\nlo"]],[],1]}',
    HEAD + '\n{"piece":[[[1,"805EC0112233",""]],[],1]}',
    HEAD + '\n{"piece":[[[0,"805EC0112233","Oslo"]],[],1]}',
    HEAD + '\n{"piece":[[[1,"805EC0112233","Oslo","toaster","","",[],"","",""]],[],1]}',
    HEAD + '\n{"piece":[[[1,"805EC0112233","Oslo","","","",["a/b"],"","",""]],[],1]}',
    HEAD + '\n{"piece":[[],[],200001]}',
    HEAD + '\n{"piece":[[],[[1,["x"],["nonsense",[]]]],1]}',
    HEAD + '\n{"piece":[[],[[1,["x"],["mac",[]]]],1]}',
    HEAD + '\n{"end":[["mac",[["text","x"]]]]}',
    '{"error":["nonsense",{}]}',
    '{"error":["sheet_rows",{}]}',
    '{"broke":"KeyError at reading.py:1"}',
    "x" * 3_000_000,
]


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
async def test_nothing_the_process_says_is_believed(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "START", "import sys; sys.stdout.write(sys.stdin.read().strip())")
    with structlog.testing.capture_logs() as logs, pytest.raises(faults.Damaged):
        await read(lie.encode() or b" ")
    assert [entry["event"] for entry in logs] == ["a sheet was not read"]


@pytest.mark.parametrize(
    ("does", "error"),
    [
        ("from provisioning.sheets.child import Budget; Budget().close(); x = b'x' * 300_000_000", faults.Damaged),
        ("from provisioning.sheets.child import Budget; Budget().close(); open('/dev/null')", faults.Damaged),
        ("from provisioning.sheets.child import Budget; Budget().close()\nwhile True: pass", faults.TookTooLong),
    ],
    ids=["memory", "files", "time"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="the limits are those of POSIX")
async def test_the_process_may_do_nothing_else(
    does: str, error: type[SheetError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined, "START", f"import sys; sys.path += sys.argv[3:]\n{does}\nprint({HEAD!r})")
    with pytest.raises(error):
        await read(b"MAC,Location\n")


async def test_what_a_library_says_of_a_file_is_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    with structlog.testing.capture_logs() as logs, pytest.raises(SheetError):
        await read(HOSTILE["a far cell"][0]())
    assert logs == []
    assert capfd.readouterr() == ("", "")
