"""What people take away opens everywhere, computes nothing, and comes back as it left."""

import csv
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from provisioning.sheets.guard import guarded, unguarded
from provisioning.sheets.writing import MOST_ROWS, TYPES, Form, Heading, errors, table, template
from tests.profiles import examples

MACS = ["0001E5000001", "805E10112233", "001122334455", "80-5E-C0-11-22-33", "1E5000000000"]
HEADINGS = [Heading("MAC id", 22, "12 hex digits"), Heading("Location")]
OURS = ["MAC id", "Location", "Type", "Account", "Technician", "Tag", "Asset tag", "Notes"]


def rows_of(form: Form, content: bytes) -> list[list[str]]:
    """All rows as a reader that is not ours sees them."""
    if form is Form.CSV:
        assert content.startswith(b"\xef\xbb\xbf")
        return list(csv.reader(StringIO(content.decode("utf-8-sig"), newline="")))
    read = CalamineWorkbook.from_filelike(BytesIO(content)).get_sheet_by_index(0).to_python()
    assert all(isinstance(value, str) for row in read for value in row)
    return [[str(value) for value in row] for row in read]


def sheet_of(content: bytes):
    book = openpyxl.load_workbook(BytesIO(content))
    assert len(book.worksheets) == 1
    return book.worksheets[0]


@pytest.mark.parametrize("form", Form)
def test_macs_that_look_like_numbers_stay_texts(form: Form) -> None:
    content = table(form, "Devices", HEADINGS, [[mac, "Oslo/2/2.14"] for mac in MACS])
    assert rows_of(form, content) == [["MAC id", "Location"], *([mac, "Oslo/2/2.14"] for mac in MACS)]


def test_a_workbook_is_ready_to_be_worked_with() -> None:
    content = table(Form.XLSX, "Oslo", HEADINGS, [[mac, "Oslo"] for mac in MACS])
    sheet = sheet_of(content)
    assert sheet.title == "Oslo"
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:B{len(MACS) + 1}"
    assert sheet["A1"].font.bold
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s"}
    assert {cell.number_format for row in sheet.iter_rows() for cell in row} == {"@"}
    assert sheet.column_dimensions["A"].width > sheet.column_dimensions["B"].width


def test_a_workbook_names_nobody_and_is_the_same_for_the_same_rows() -> None:
    content = table(Form.XLSX, "Oslo", HEADINGS, [MACS[:2]])
    book = openpyxl.load_workbook(BytesIO(content))
    assert not book.properties.creator
    assert not book.properties.lastModifiedBy
    assert book.properties.created.year == 1980
    assert content == table(Form.XLSX, "Oslo", HEADINGS, [MACS[:2]])


HOSTILE = [
    *(
        "=1+1",
        "+47 22 33",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "  =1",
        "\u00a0=1",
        "\u200b=1",
        "＝1+1",
        "＋1",
        "－1",
        "＠x",
    ),
    *(
        "a;=1+1",
        "a;=1+1;b",
        "a\n=1+1\nb",
        "a\t=1",
        "'=1",
        "' =1",
        "\ttext",
        "<r><t>x</t></r>",
        '=HYPERLINK("http://x")',
    ),
]


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula(form: Form, text: str) -> None:
    content = table(form, "x", HEADINGS, [["805EC0112233", text]])
    cell = rows_of(form, content)[1][1]
    assert cell != text
    for part in (cell, *cell.split(";"), *cell.split("\n"), *cell.split("\t")):
        assert part.strip(" \u00a0\u200b")[:1] not in {*"=+-@＝＋－＠"} - {""}
    assert unguarded(cell) == text.replace("\r", "\n")


def test_where_lists_are_separated_by_semicolons_no_formula_breaks_out() -> None:
    content = table(Form.CSV, "x", HEADINGS, [["805EC0112233", "a;=1+1;b"], ["805EC0112234", "a\n=2\nb"]])
    cells = [cell for line in content.decode("utf-8-sig").splitlines() for cell in line.split(";")]
    assert not [cell for cell in cells if cell.startswith("=")]


@pytest.mark.parametrize("text", ["Oslo/2/2.14", "80-5E-C0-11-22-33", "a=b", "1-2", "a@b.example", "it's", "x; y", ""])
def test_what_is_harmless_is_left_alone(text: str) -> None:
    assert guarded(text) == text


@given(st.text(st.sampled_from("=+-@＝ '\t\n;,a<r>\u00a0\u200b"), max_size=12))
def test_what_was_guarded_comes_back_as_it_was(text: str) -> None:
    assert unguarded(guarded(text)) == text


@settings(max_examples=examples(60))
@given(st.lists(st.text(max_size=20), min_size=2, max_size=2))
def test_any_text_is_written_and_read_back_alike_from_both_forms(row: Sequence[str]) -> None:
    filled = [f"a{row[0]}", f"{row[1]}z"]
    read = [rows_of(form, table(form, "x", HEADINGS, [filled]))[1] for form in Form]
    assert read[0] == read[1]


def test_a_long_row_of_blanks_is_judged_at_once() -> None:
    for run in ("\t" * 32_000, " " * 32_000, "'" * 32_000, ";" * 32_000):
        assert guarded(run + "a").endswith("a")
        assert unguarded(run + "a").endswith("a")


@pytest.mark.parametrize("form", Form)
def test_control_characters_go_and_a_cell_ends_where_excel_ends_it(form: Form) -> None:
    content = table(form, "x", HEADINGS, [["a\x00\x1b\x85\ud800b", "👍" * 20_000], ["c\r\nd", "x" * 40_000]])
    first, second = rows_of(form, content)[1:]
    assert first == ["ab", "👍" * 16_383]
    assert second == ["c\nd", "x" * 32_767]


@pytest.mark.parametrize("form", Form)
def test_more_rows_than_a_sheet_has_are_refused(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_ROWS == 1_048_575
    monkeypatch.setattr("provisioning.sheets.writing.MOST_ROWS", 3)
    assert len(rows_of(form, table(form, "x", HEADINGS, [["a", "b"]] * 3))) == 4
    with pytest.raises(ValueError, match="at most 3 rows"):
        table(form, "x", HEADINGS, [["a", "b"]] * 4)


@pytest.mark.parametrize("title", ["", "'", "a/b:c*[d]?\\", "History", "x" * 99, "\x00", "'Oslo'"])
def test_any_title_names_a_worksheet(title: str) -> None:
    name = sheet_of(table(Form.XLSX, title, HEADINGS, [])).title
    assert 0 < len(name) <= 31
    assert not set(name) & set("[]:*?/\\'")


# ── the template ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", Form)
def test_the_template_has_the_admin_centres_columns_first_and_no_rows(form: Form) -> None:
    assert rows_of(form, template(form)) == [OURS]


def test_the_template_helps_whoever_fills_it_in() -> None:
    sheet = sheet_of(template(Form.XLSX))
    rules = {str(rule.sqref): rule for rule in sheet.data_validations.dataValidation}
    mac, kind = rules[f"A2:A{MOST_ROWS + 1}"], rules[f"C2:C{MOST_ROWS + 1}"]
    assert (mac.type, mac.errorStyle, mac.formula1, mac.formula2) == ("textLength", "warning", "12", "17")
    assert (mac.promptTitle, mac.showInputMessage) == ("MAC id", True)
    assert "80-5E-C0-11-22-33" in mac.prompt
    assert kind.formula1 == f'"{",".join(TYPES)}"'
    assert len(rules) == len(OURS)
    assert all(rule.prompt for rule in rules.values())
    assert sheet.column_dimensions["A"].width >= 17


# ── the error file ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", Form)
def test_bad_rows_go_back_as_they_were_with_the_reason_last(form: Form) -> None:
    bad = [(["805EC01122", "Oslo"], "10 digits, a MAC has 12"), (["1.23E+11"], "A number"), (["a", "b", "c"], "Three")]
    assert rows_of(form, errors(form, ["mac", "Where"], bad)) == [
        ["mac", "Where", "", "Reason"],
        ["805EC01122", "Oslo", "", "10 digits, a MAC has 12"],
        ["1.23E+11", "", "", "A number"],
        ["a", "b", "c", "Three"],
    ]


@pytest.mark.parametrize("form", Form)
def test_reasons_of_the_last_time_are_left_out(form: Form) -> None:
    bad = [(["805EC01122", "Oslo", "old"], "new"), (["x"], "short")]
    read = rows_of(form, errors(form, ["MAC id", "Location", " reason "], bad))
    assert read == [["MAC id", "Location", "Reason"], ["805EC01122", "Oslo", "new"], ["x", "", "short"]]


@pytest.mark.parametrize("form", Form)
def test_rows_without_a_header_get_ours(form: Form) -> None:
    assert rows_of(form, errors(form, [], [(["805EC01122", "Oslo"], "short")]))[0] == [*OURS, "Reason"]


@pytest.mark.parametrize("form", Form)
def test_hostile_headings_are_guarded_too(form: Form) -> None:
    assert rows_of(form, errors(form, ["=1+1"], [(["x"], "y")]))[0] == ["'=1+1", "Reason"]


# ── another program ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice is not installed")
def test_macs_survive_libreoffice(tmp_path: Path) -> None:
    sheet = tmp_path / "devices.xlsx"
    sheet.write_bytes(table(Form.XLSX, "Devices", HEADINGS, [[mac, "=1+1"] for mac in MACS]))
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    asked = ["soffice", profile, "--headless", "--convert-to", "csv", "--outdir", str(tmp_path), str(sheet)]
    subprocess.run(asked, check=True, capture_output=True, timeout=110)
    read = list(csv.reader((tmp_path / "devices.csv").read_text(encoding="utf-8").splitlines()))
    assert read[1:] == [[mac, "'=1+1"] for mac in MACS]


def test_no_part_of_a_workbook_is_anything_but_sheets_and_texts() -> None:
    names = zipfile.ZipFile(BytesIO(table(Form.XLSX, "x", HEADINGS, [[MACS[0], "http://x.example"]]))).namelist()
    assert not [name for name in names if "hyperlink" in name or "externalLink" in name or name.endswith(".bin")]
