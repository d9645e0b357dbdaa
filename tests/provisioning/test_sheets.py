"""What the rows of a sheet say: whatever its header is called and however it is separated."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.sheets import faults
from provisioning.sheets.cells import Cell
from provisioning.sheets.columns import SYNONYMS, Column, layout_of
from provisioning.sheets.delimited import text_of
from provisioning.sheets.faults import say, say_row
from provisioning.sheets.reading import numbers, table_of
from provisioning.uploads import BadRow, SheetRow
from tests.fleets import as_csv, exported, small

A, B, C = "805EC0112233", "805EC0112234", "805EC0112235"
HEADER = ("MAC id", "Location")

Found = tuple[list[SheetRow], list[BadRow], list[str]]


def of_rows(rows: Sequence[Sequence[Cell]]) -> Found:
    return _found(table_of(enumerate(rows, 1)))


def of_text(content: bytes | str) -> Found:
    return _found(table_of(text_of(content.encode() if isinstance(content, str) else content).rows()))


def _found(table) -> Found:
    pieces = list(table.pieces())
    rows = [SheetRow(*row) for piece in pieces for row in piece.rows]
    return rows, [bad for piece in pieces for bad in piece.bad], [say(remark) for remark in table.remarks]


def said(found: Found) -> list[str]:
    return [say_row(row.number, row.fault) for row in found[1]]


# ------------------------------------------------------------------ columns


@pytest.mark.parametrize(("column", "word"), [(column, word) for column, words in SYNONYMS.items() for word in words])
def test_every_synonym_is_its_column_in_any_case_and_punctuation(column: Column, word: str) -> None:
    for shown in (word, word.upper(), f" {word.replace(' ', '_')}: "):
        layout = layout_of([shown] if column is Column.MAC else ["MAC id", shown])
        assert layout
        assert layout.at[column] == (0 if column is Column.MAC else 1)
        assert layout.unknown == ()


def test_no_synonym_stands_for_two_columns() -> None:
    from provisioning.sheets.columns import KNOWN, key

    assert all(KNOWN[key(word)] is column for column, words in SYNONYMS.items() for word in words)


def test_two_columns_of_the_same_meaning_are_both_named() -> None:
    with pytest.raises(faults.TwoColumns) as refused:
        of_rows([("MAC Address", "Location", "mac_id"), (A, "Oslo", B)])
    assert "MAC Address" in refused.value.sentence
    assert "mac_id" in refused.value.sentence


def test_levels_in_several_columns_are_one_location() -> None:
    rows, _bad, _remarks = of_rows([("Room", "Floor", "MAC", "Site", "Building"), ("2.14", "2", A, "Oslo", "")])
    assert rows == [SheetRow(2, A, "Oslo/2/2.14")]


def test_beside_a_location_levels_are_passed_over_with_a_remark() -> None:
    rows, _bad, remarks = of_rows([("MAC", "Location", "Room", "Colour"), (A, "Oslo/2", "9", "red")])
    assert rows == [SheetRow(2, A, "Oslo/2")]
    assert remarks == ["Passed over, as I do not know these columns: Room, Colour."]


def test_our_own_reason_is_passed_over_in_silence() -> None:
    assert of_rows([(*HEADER, "Reason"), (A, "Oslo", "no MAC.")]) == ([SheetRow(2, A, "Oslo")], [], [])


def test_a_header_may_stand_below_a_title() -> None:
    rows, bad, remarks = of_rows([("Devices of Oslo", ""), ("", ""), HEADER, (A, "Oslo")])
    assert (rows, bad) == ([SheetRow(4, A, "Oslo")], [])
    assert remarks == ["Passed over above the header: rows 1."]


@pytest.mark.parametrize("row", [(A, "Oslo"), ("Oslo", A), ("", "Oslo", A)])
def test_without_a_header_the_mac_shows_which_column_it_is(row: tuple[str, ...]) -> None:
    rows, bad, remarks = of_rows([row, tuple(cell.replace("33", "34") for cell in row)])
    assert (rows, bad) == ([SheetRow(1, A, "Oslo"), SheetRow(2, B, "Oslo")], [])
    assert "There is no header" in remarks[0]


def test_a_header_that_does_not_name_the_mac_column_still_counts() -> None:
    rows, bad, _remarks = of_rows([("Serial of the set", "Room"), (A, "Oslo"), (B, "Oslo")])
    assert (rows, bad) == ([SheetRow(2, A, "Oslo"), SheetRow(3, B, "Oslo")], [])


@pytest.mark.parametrize("rows", [[("a", "b"), ("c", "d")], [("Location",), ("Oslo",)]])
def test_a_sheet_without_macs_is_refused(rows: list[tuple[str, ...]]) -> None:
    with pytest.raises(faults.NoMacColumn):
        of_rows(rows)


# ------------------------------------------------------------------ rows

WRONG = [
    (("805EC01122", "Oslo"), 'Row 2 "805EC01122": 10 digits, a MAC has 12.'),
    (("8", "Oslo"), 'Row 2 "8": 1 digit, a MAC has 12.'),
    (("1.23E+11", "Oslo"), 'Row 2 "1.23E+11": Excel changed this to a number; format the column as Text.'),
    ((100000, "Oslo"), 'Row 2 "100000": Excel changed this to a number; format the column as Text.'),
    ((8.05e11, "Oslo"), 'Row 2 "805000000000": Excel changed this to a number; format the column as Text.'),
    ((True, "Oslo"), 'Row 2 "TRUE": Excel changed this to a number; format the column as Text.'),
    (
        ("80-5E-C0-11-22-3G", "Oslo"),
        'Row 2 "80-5E-C0-11-22-3G": not a MAC, which has 12 digits from 0 to 9 and A to F.',
    ),
    (
        ("FFFFFFFFFFFF", "Oslo"),
        'Row 2 "FFFFFFFFFFFF": a broadcast address, which no device has; copy it from the label.',
    ),
    (("", "Oslo"), "Row 2: no MAC."),
    ((A, ""), "Row 2: no location."),
    ((A, "x" * 201), "Row 2: the location is not one: at most 200 characters, its parts separated by /."),
]


@pytest.mark.parametrize(("row", "sentence"), WRONG)
def test_a_wrong_row_says_what_to_do(row: tuple[Cell, ...], sentence: str) -> None:
    found = of_rows([HEADER, row, (C, "Oslo")])
    assert said(found) == [sentence]
    assert [good.mac for good in found[0]] == [C]


def test_a_date_is_never_taken_for_what_was_typed() -> None:
    from datetime import date

    found = of_rows([HEADER, (date(2026, 2, 14), "Oslo"), (A, date(2026, 2, 14)), (C, "Oslo")])
    assert said(found) == [
        'Row 2 "2026-02-14": Excel changed this to a date; format the column as Text.',
        'Row 3 "2026-02-14": Excel changed this location to a date; format the column as Text.',
    ]


OPTIONAL = [
    ("Type", "Desk phone", "type", "phone"),
    ("Type", "MTR", "type", "room"),
    ("Account", "room-2.14@contoso.com", "account", "room-2.14@contoso.com"),
    ("Technician", " Sam  Lee ", "technician", "Sam Lee"),
    ("Tag", "wave 1, vip; Wave 1,", "tags", ("wave 1", "vip")),
    ("Asset tag", 4711, "asset_tag", "4711"),
    ("Notes", "by the\nwindow", "notes", "by the window"),
    ("Notes", "'=1+1", "notes", "=1+1"),
    ("Verification code", "ab 12-cd", "code", "AB12CD"),
    ("Verification code", "012345", "code", "012345"),
    ("Verification code", 123456.0, "code", "123456"),
]


@pytest.mark.parametrize(("header", "cell", "name", "value"), OPTIONAL)
def test_what_an_optional_column_holds(header: str, cell: Cell, name: str, value: object) -> None:
    rows, bad, _remarks = of_rows([(*HEADER, header), (A, "Oslo", cell)])
    assert (getattr(rows[0], name), bad) == (value, [])


WRONG_OPTIONAL = [
    ("Type", "toaster", '"toaster": not a type; write one of phone, display, panel, room, sip.'),
    ("Account", "sam", '"sam": not an account; it looks like room-2.14@contoso.com.'),
    ("Tag", "Oslo/2", '"Oslo/2": a tag has at most 40 characters and no /.'),
    ("Tag", "x" * 41, f'"{"x" * 40}": a tag has at most 40 characters and no /.'),
    ("Notes", "x" * 201, ": Notes has 201 characters, at most 200 fit."),
    ("Verification code", "abc", ": the verification code is not one: 4 to 16 letters and digits."),
    ("Verification code", "1.2E+5", ": Excel changed the verification code to a number; format the column as Text."),
    ("Verification code", 12345, ": the verification code may have lost its first zeros; format the column as Text."),
    ("Verification code", 1.5, ": Excel changed the verification code to a number; format the column as Text."),
]


@pytest.mark.parametrize(("header", "cell", "sentence"), WRONG_OPTIONAL)
def test_a_wrong_optional_column_says_what_to_do(header: str, cell: Cell, sentence: str) -> None:
    found = of_rows([(*HEADER, header), (A, "Oslo", cell)])
    assert found[0] == []
    assert said(found) == [f"Row 2{sentence}" if sentence.startswith(":") else f"Row 2 {sentence}"]


@pytest.mark.parametrize(("cell", "good"), [(12345678, True), (1234567, False), (123456789, False), ("1234567", False)])
def test_a_number_is_a_code_where_it_is_as_long_as_the_others(cell: Cell, good: bool) -> None:
    found = of_rows([(*HEADER, "Code"), (A, "Oslo", cell), (B, "Oslo", "01234567"), (C, "Oslo", "91234567")])
    assert [row.mac for row in found[0]] == ([A] if good else []) + [B, C]


def test_a_row_with_a_code_needs_no_location() -> None:
    rows, bad, _remarks = of_rows([(*HEADER, "Verification Code"), (A, "", "012345"), (B, "", "")])
    assert (rows, [row.number for row in bad]) == ([SheetRow(2, A, "", code="012345")], [3])


def test_blank_rows_are_skipped_and_numbers_stay() -> None:
    rows, bad, _remarks = of_rows([HEADER, ("", ""), (A, "Oslo"), (), (B, "Oslo")])
    assert ([row.number for row in rows], bad) == ([3, 5], [])


def test_notes_at_the_end_are_passed_over_and_those_between_are_not() -> None:
    found = of_rows([HEADER, (A, "Oslo"), ("Floor 2", ""), ("", "Oslo/2"), (B, "Oslo"), ("Total: 2", ""), ("", "Dana")])
    assert [row.mac for row in found[0]] == [A, B]
    assert [row.number for row in found[1]] == [3, 4]
    assert found[2] == ["Passed over at the end, as there is no MAC: rows 6–7."]


def test_a_mistyped_mac_in_the_last_row_is_no_note() -> None:
    found = of_rows([HEADER, (A, "Oslo"), ("805EC011ZZ", "Oslo")])
    assert [row.number for row in found[1]] == [3]


def test_the_same_twice_counts_once_and_elsewhere_is_wrong() -> None:
    rows = [(*HEADER, "Notes"), (A, "Oslo/2F", ""), (A, "oslo/2f", ""), (A, "Oslo/3F", ""), (A, "Oslo/2F", "spare")]
    found = of_rows(rows)
    assert len(found[0]) == 1
    assert said(found) == [
        "Row 4: same MAC as row 2 (Oslo/2F), here Oslo/3F.",
        "Row 5: same MAC as row 2, with something else in another column.",
    ]
    assert found[2] == ["1 row stands there twice and counts once: 3."]


def test_a_bad_row_keeps_its_cells() -> None:
    _rows, bad, _remarks = of_rows([HEADER, (805, 2.5, "x" * 2_000, ""), (A, "Oslo")])
    assert bad[0].cells == ("805", "2.5", "x" * 1_000)


@given(st.lists(st.integers(1, 60), unique=True).map(sorted))
def test_row_numbers_are_told_in_runs(found: list[int]) -> None:
    text = numbers(found).removesuffix(" …")
    spans = [tuple(map(int, part.split("–"))) for part in text.split(", ") if part]
    told = [number for span in spans for number in range(span[0], span[-1] + 1)]
    assert told == found[: len(told)]
    assert told == found or len(spans) == 12


# ------------------------------------------------------------------ texts

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("named", [False, True])
def test_any_separator_in_any_encoding(encoding: str, separator: str, named: bool) -> None:
    lines = [separator.join(row) for row in (HEADER, (A, "Zürich/2"), (B, '"Zürich, ""A"" / 3\nback"'))]
    text = "\r\n".join([f"sep={separator}", *lines] if named else lines)
    assert of_text(text.encode(encoding))[0] == [SheetRow(2, A, "Zürich/2"), SheetRow(3, B, 'Zürich, "A"/3 back')]


@pytest.mark.parametrize("first", ["sep=", 'sep="', "sep=a", "sep= "])
def test_a_separator_that_is_none_is_a_line_above_the_header(first: str) -> None:
    rows, bad, _remarks = of_text(f"{first}\r\nMAC id,Location\r\n{A},Oslo\r\n")
    assert (rows, bad) == ([SheetRow(3, A, "Oslo")], [])


def test_rows_below_a_quoted_break_keep_the_number_a_spreadsheet_shows() -> None:
    rows, _bad, _remarks = of_text(f'MAC id,Location\n{A},"Oslo\n2"\n\n{B},Oslo\n')
    assert [row.number for row in rows] == [2, 4]


@pytest.mark.parametrize(
    "text", [f"{A} Oslo, floor 2\n{B} Oslo/3", "80-5E-C0-11-22-33   Oslo, floor 2\r\n\n80 5E C0 11 22 34 Oslo/3\n"]
)
def test_pasted_lines_are_a_mac_and_a_place(text: str) -> None:
    rows, bad, _remarks = of_text(text)
    assert ([(row.mac, row.location) for row in rows], bad) == ([(A, "Oslo, floor 2"), (B, "Oslo/3")], [])


def test_a_pasted_line_that_is_wrong_is_told() -> None:
    assert said(of_text(f"{A} Oslo\n805EC0 Oslo/2\n{B} Oslo/3")) == ['Row 2 "805EC0": 6 digits, a MAC has 12.']


def test_a_quotation_mark_inside_of_a_cell_is_text() -> None:
    assert of_text(f'MAC,Location,Notes\n{A},Oslo,"24" display"\n{B},Oslo,27" display\n')[1] == []


REFUSED = [
    (b"", faults.EmptySheet),
    (b"\r\n \r\n", faults.EmptySheet),
    (b",,,\n,,,\n", faults.EmptySheet),
    (f'MAC,Location\n{A},"Oslo\n{B},Oslo\n'.encode(), faults.LoneQuote),
    (f'MAC,Location\n{A},"{"x" * 70_000}\n'.encode(), faults.LineTooLong),
    (f'MAC,Location\n{A},"'.encode() + b"xxxxxxxxx\n" * 8_000, faults.LoneQuote),
    (f"MAC,Location\n{A},{'x' * 70_000}\n".encode(), faults.LineTooLong),
    (b"MAC,Location\n" + A.encode() + b",Os\0lo\n", faults.NotASheet),
    (bytes(range(256)) * 40, faults.NotASheet),
    (b"," * 1_000_000, faults.LineTooLong),
    (b"a," * 20_000, faults.TooManyColumns),
    (b"\xff\xfe\x00\xd8a\x00", faults.NotASheet),  # half a surrogate pair
]


@pytest.mark.parametrize(("content", "error"), REFUSED)
def test_a_text_that_is_no_table_is_refused(content: bytes, error: type[faults.SheetError]) -> None:
    with pytest.raises(error) as refused:
        of_text(content)
    assert type(refused.value) is error
    assert "{" not in refused.value.sentence


def test_the_row_of_a_lone_quotation_mark_is_named() -> None:
    with pytest.raises(faults.LoneQuote, match="In row 3 "):
        of_text(f'MAC,Location\n{A},Oslo\n{B},"Oslo\n{C},Oslo\n')


def test_a_mac_that_became_a_number_is_no_note_in_the_last_row_either() -> None:
    _rows, bad, remarks = of_text(f"MAC,Location\n{A},Oslo\n100000,Oslo/2\nTotal: 2,\n2026,\n")
    assert [row.number for row in bad] == [3]
    assert [remark for remark in remarks if "4–5" in remark]


# ------------------------------------------------------------------ fleets


def test_a_fleet_kept_by_hand_is_read_as_it_was_meant() -> None:
    fleet = small()
    rows, bad, remarks = of_text(as_csv(fleet.rows, ";", "utf-16"))
    assert (len(rows), len(bad)) == (fleet.good, fleet.bad)
    assert any(f"{fleet.twice} rows stand there twice" in remark for remark in remarks)
    assert any(remark.startswith("Passed over at the end") for remark in remarks)


def test_an_exported_fleet_is_read_whole_and_of_real_vendors() -> None:
    from provisioning.mac import vendor

    rows, bad, remarks = of_text(as_csv(exported(3_000).rows))
    assert (len(rows), bad, remarks) == (3_000, [], [])
    assert {"Yealink", "Polycom", "Audiocodes", "Crestron", "Logitech", "Cisco"} & {vendor(row.mac) for row in rows}
    assert "" not in {vendor(row.mac) for row in rows}


cells = st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.booleans(), st.dates(), st.times())


@given(st.lists(st.lists(cells, max_size=5), max_size=12))
def test_whatever_stands_in_the_cells_each_row_is_taken_or_told(rows: list[list[Cell]]) -> None:
    good, bad, _remarks = of_rows([(*HEADER, "Type", "Tag", "Code"), (A, "Oslo"), *rows])
    assert good
    assert all(say_row(row.number, row.fault) for row in bad)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_they_are_read_or_told(content: bytes) -> None:
    try:
        of_text(content)
    except faults.SheetError as error:
        assert error.sentence
