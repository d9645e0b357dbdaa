"""What is printed says what it was given, and nothing more."""

import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import pytest
import segno

from provisioning.documents.paper import in_order
from provisioning.documents.printable import BOTTOM, LEFT, RIGHT, TOP, Block, printable

LINK = "https://teams.microsoft.com/l/chat/0/0?users=28:6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a3e&message=install%20"
MAC = "80-5E-C0-11-22-33"
PHONE = Block("2.14", "Oslo/2/2.14", MAC, "Yealink", link=LINK + MAC)
CODED = replace(PHONE, code="4829 1376 0257", valid="Valid until Mon 23 Nov 10:45", authority="Code of this bot")
FOOTER = "Made Sun 22 Nov 2026 10:45 UTC"
POINT = 25.4 / 72
FACES = ("plain", "bold", "fixed")  # in the order in which they are embedded
_SHOWN = re.compile(rb"/F(\d) ([\d.]+) Tf|BT ([\d.]+) ([\d.]+) Td \(((?:\\.|[^\\)])*)\) Tj", re.DOTALL)
_STREAM = re.compile(rb"stream\n(.*?)\nendstream", re.DOTALL)


def pages_of(pdf: bytes) -> list[bytes]:
    """What is drawn on each page."""
    drawn = []
    for stream in _STREAM.findall(pdf):
        if stream[:1] == b"x":
            content = zlib.decompress(stream)
            drawn += [content] if content.startswith(b"2 J") else []
    return drawn


def alphabets_of(pdf: bytes) -> list[dict[int, str]]:
    """By font, which glyph is which sign."""
    tables = re.findall(rb"begincmap.*?endcmap", pdf, re.DOTALL)
    pairs = [re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>\n", table) for table in tables]
    return [{int(glyph, 16): bytes.fromhex(sign.decode()).decode("utf-16-be") for glyph, sign in p} for p in pairs]


def texts_of(pdf: bytes) -> list[list[tuple[str, str, float, float]]]:
    """On each page: face, text, and where it begins, in millimetres from the upper left corner."""
    alphabets = alphabets_of(pdf)

    def texts(page: bytes) -> Iterator[tuple[str, str, float, float]]:
        font = 0
        for name, _size, x, y, raw in _SHOWN.findall(page):
            if name:
                font = int(name) - 1
                continue
            plain = re.sub(rb"\\(.)", lambda m: {b"r": b"\r", b"n": b"\n"}.get(m[1], m[1]), raw, flags=re.DOTALL)
            glyphs = zip(plain[::2], plain[1::2], strict=True) if font < 2 else ()
            said = "".join(alphabets[font][high * 256 + low] for high, low in glyphs) or plain.decode("ascii")
            yield FACES[font], said, float(x) * POINT, 297 - float(y) * POINT

    return [list(texts(page)) for page in pages_of(pdf)]


def words_of(pdf: bytes) -> list[list[str]]:
    return [[text for _face, text, _x, _y in page] for page in texts_of(pdf)]


def codes_of(page: bytes) -> list[tuple[tuple[tuple[int, ...], ...], float]]:
    """The QR codes drawn on a page, as matrices, and the side of a module in millimetres."""
    found = []
    for scale, body in re.findall(rb"q ([\d.]+) 0 0 -[\d.]+ [\d.]+ [\d.]+ cm\n(.*?)\nf Q", page, re.DOTALL):
        runs = [tuple(map(int, run.split()[:4])) for run in body.split(b"\n")]
        side = max(y for _x, y, _w, _h in runs) + 1
        rows = [[0] * side for _ in range(side)]
        for x, y, width, height in runs:
            assert height == 1
            rows[y][x : x + width] = [1] * width
        found.append((tuple(map(tuple, rows)), float(scale) * POINT))
    return found


def test_a_block_says_everything_it_was_given() -> None:
    (page,) = words_of(printable("Oslo", ["1 device for Sam"], [CODED], FOOTER))
    for text in ("Oslo", "1 device for Sam", FOOTER, "Page 1 of 1", "Installed", "Notes, signature"):
        assert text in page
    for text in (CODED.place, CODED.location, CODED.mac, CODED.vendor, CODED.code, CODED.valid, CODED.authority):
        assert text in page


def test_the_place_and_the_code_are_large_and_the_mac_has_a_fixed_width() -> None:
    (page,) = texts_of(printable("Oslo", [], [CODED], FOOTER))
    faces = {text: face for face, text, _x, _y in page}
    assert (faces["2.14"], faces["4829 1376 0257"], faces[MAC]) == ("bold", "bold", "fixed")


def test_without_a_code_none_is_printed_nor_its_time() -> None:
    pdf = printable("Oslo", [], [replace(CODED, code="")] * 9, FOOTER)
    assert not [word for page in words_of(pdf) for word in page if re.search(r"\d{4} \d{4}|Valid|Code of", word)]
    assert b"4829" not in pdf


def test_the_title_the_footer_and_the_number_are_on_every_page() -> None:
    pages = words_of(printable("Oslo", ["only once"], [PHONE] * 20, FOOTER))
    assert [page.count("only once") for page in pages] == [1, 0, 0]
    for number, page in enumerate(pages, start=1):
        assert {"Oslo", FOOTER, f"Page {number} of 3"} <= set(page)


@pytest.mark.parametrize(("count", "lines", "pages"), [(0, 0, [0]), (8, 0, [8]), (9, 0, [8, 1]), (17, 2, [7, 8, 2])])
def test_eight_devices_stand_on_a_page(count: int, lines: int, pages: list[int]) -> None:
    words = words_of(printable("Oslo", ["line"] * lines, [PHONE] * count, FOOTER))
    assert [page.count(MAC) for page in words] == pages


def test_lines_that_fill_the_first_page_push_the_blocks_to_the_next() -> None:
    words = words_of(printable("Oslo", ["line"] * 50, [PHONE] * 3, FOOTER))
    assert [page.count(MAC) for page in words] == [0, 3]


def test_all_stands_where_letter_shows_it_as_well() -> None:
    for page in texts_of(printable("Oslo", ["x"], [CODED] * 20, FOOTER)):
        for _face, _text, x, y in page:
            assert LEFT - 0.1 <= x <= RIGHT
            assert max(TOP, (297 - 279.4) / 2) <= y <= min(BOTTOM, 297 - (297 - 279.4) / 2)


def test_no_colour_and_no_grey() -> None:
    for page in pages_of(printable("Oslo", ["x"], [CODED] * 9, FOOTER)):
        assert not re.findall(rb"[\d.]+ (?:rg|RG|g|G|k|K)\b", page)


@pytest.mark.parametrize("count", [1, 3])
def test_the_qr_code_is_the_link(count: int) -> None:
    blocks = [replace(PHONE, link=f"{LINK}80-5E-C0-11-22-{number:02X}") for number in range(count)]
    (page,) = pages_of(printable("Oslo", [], blocks, FOOTER))
    drawn = codes_of(page)
    mask = segno.make(blocks[0].link, error="m", micro=False).mask
    for (matrix, module), block in zip(drawn, blocks, strict=True):
        expected = segno.make(block.link, error="m", micro=False, mask=mask)
        assert expected.error in "MQH"
        assert matrix == tuple(tuple(map(int, row)) for row in expected.matrix)
        assert len(matrix) * module >= 22
        assert module >= 0.35
    assert len({matrix for matrix, _module in drawn}) == count


def test_the_qr_code_has_its_white_edge() -> None:
    (page,) = pages_of(printable("Oslo", [], [PHONE], FOOTER))
    (scale, x) = re.findall(rb"q ([\d.]+) 0 0 -[\d.]+ ([\d.]+) [\d.]+ cm", page)[0]
    ((matrix, module),) = codes_of(page)
    right = float(x) * POINT + len(matrix) * module
    assert RIGHT - right == pytest.approx(4 * float(scale) * POINT, abs=0.01)


def test_a_seal_stands_beside_the_title_of_the_first_page_alone() -> None:
    seal = "PBS1.K7F3Q2MA.9F3A0C1D2E3B4A5F6071"
    bare = [replace(PHONE, link="")] * 9
    first, second = pages_of(printable("W" * 300, ["line " * 40], bare, FOOTER, seal=seal))
    ((matrix, module),) = codes_of(first)
    assert matrix == tuple(tuple(map(int, row)) for row in segno.make(seal, error="m", micro=False).matrix)
    assert module >= 0.6 and codes_of(second) == []
    for _face, _text, x, y in texts_of(printable("W" * 300, ["line " * 40], bare, FOOTER, seal=seal))[0]:
        assert x < RIGHT - 26 or y > TOP + 24


def test_no_link_no_qr_code() -> None:
    (page,) = pages_of(printable("Oslo", [], [replace(PHONE, link="")], FOOTER))
    assert codes_of(page) == []
    assert not [run for run, _all in groupby(page.split(b"\n")) if run.endswith(b" 1 re")]


@pytest.mark.parametrize("text", ["Zürich Ł đ ệ", "Ελληνικά", "Переговорная «Волга»", "2.14–2.15 “x”"])
def test_latin_greek_and_cyrillic_are_shown(text: str) -> None:
    (page,) = words_of(printable(text, [], [replace(PHONE, place=text, location=text)], FOOTER))
    assert page.count(text) == 3
    assert FOOTER in page


@pytest.mark.parametrize("text", ["会议室 5", "ערבית 12", "قاعة 3", "👩\u200d🔧 5", "\U0001f600"])
def test_what_the_font_lacks_is_seen_to_be_lacking(text: str) -> None:
    (page,) = words_of(printable("Oslo", [], [replace(PHONE, place=text)], FOOTER))
    assert [word for word in page if word.startswith("�") or word.endswith("�")]
    assert f"{FOOTER} · �: this font lacks the sign." in page


@pytest.mark.parametrize(
    "text", ["", " ", "\x00\u202e", "x" * 200, "many words " * 20, "a/" * 100, "(\\)\r\n(", "W" * 3000]
)
def test_any_text_stays_within_its_block(text: str) -> None:
    block = Block(text, text, text, text, text, text, text[:100] and PHONE.link, text)
    for page in texts_of(printable(text, [text], [block, PHONE], text)):
        (below,) = (y for _face, said, _x, y in page if said == MAC)
        above = [y for _face, said, _x, y in page if said == "Installed"]
        assert above[0] < below
        assert len(page) < 40


def test_a_mac_of_strange_signs_does_not_stop_the_others() -> None:
    (page,) = words_of(printable("Oslo", [], [replace(PHONE, mac="８０-5E"), PHONE], FOOTER))
    assert {"??-5E", MAC} <= set(page)


def test_another_font_may_be_given() -> None:
    other = Path(str(files("font_roboto") / "files" / "Roboto-Light.ttf"))
    pdf = printable("Oslo", [], [PHONE], FOOTER, other)
    assert b"Roboto-Light" in pdf or b"RobotoLight" in pdf
    assert "2.14" in words_of(pdf)[0]


@pytest.mark.parametrize(
    ("line", "seen"), [("Oslo 2.14", "Oslo 2.14"), ("אבג", "גבא"), ("Oslo אבג 12", "Oslo 12 גבא"), ("אבג 12", "12 גבא")]
)
def test_what_is_written_from_the_right_is_drawn_from_the_right(line: str, seen: str) -> None:
    assert in_order(line) == seen


def test_the_same_blocks_are_the_same_bytes() -> None:
    first, second = (printable("Oslo", ["x"], [CODED] * 9, FOOTER) for _ in range(2))
    assert first == second
    assert b"/CreationDate (D:1980" in first
    assert first != printable("Oslo", ["x"], [CODED] * 8, FOOTER)


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext is not installed")
def test_another_reader_finds_the_same_words(tmp_path: Path) -> None:
    pdf = tmp_path / "sheet.pdf"
    pdf.write_bytes(printable("Oslo", ["x"], [CODED, replace(PHONE, place="Переговорная")], FOOTER))
    done = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], check=True, capture_output=True, timeout=60)
    read = done.stdout.decode()
    assert all(text in read for text in ("4829 1376 0257", MAC, "Переговорная", "Page 1 of 1"))
