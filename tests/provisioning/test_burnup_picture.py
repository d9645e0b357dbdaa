"""The picture of a burn-up: read in light and dark, small, the same each time, whatever its sites are called."""

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from provisioning.documents import drawer
from provisioning.documents.plot import CURVES, HEIGHT, LARGEST, WIDTH, Curve, Plot, read, written
from tests.cards.samples import HOSTILE
from tests.provisioning.plots import SITES, curve, plot

drawn: Callable[[Plot], bytes] = drawer.load()

from provisioning.documents import burnup  # noqa: E402 - as the process that draws loads it: with our fonts alone

GROUND = tuple(int(burnup.GROUND[at : at + 2], 16) for at in (1, 3, 5))
NAMES = (*HOSTILE, "", "$x_1$", "$\\frac{1}{2", "_hidden", "a_b^c", "\\alpha", "%d %(x)s", "北京 办公室", "القاهرة")
LINE = 200  # pixels of an ink: smooth edges of other lines have some of it
PHONE = 328  # pixels that a card of 360 leaves a picture


def picture(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def colours(content: bytes) -> set[tuple[int, ...]]:
    return {colour for _count, colour in picture(content).convert("RGB").getcolors(1 << 16)}


def luminance(colour: tuple[int, ...]) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    shares = [value / 255 for value in colour]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def rgb(ink: str) -> tuple[int, ...]:
    return tuple(int(ink[at : at + 2], 16) for at in (1, 3, 5))


# ------------------------------------------------------------------ what everybody can read


def test_words_and_lines_stand_out_from_a_ground_of_their_own() -> None:
    inks = {burnup.INK, burnup.QUIET, *(look[0] for look in burnup.LOOKS)}
    assert {ink: round(contrast(rgb(ink), GROUND), 1) for ink in inks if contrast(rgb(ink), GROUND) < 4.5} == {}
    seen = picture(drawn(plot(*SITES[:3])))
    assert seen.mode == "P" and "transparency" not in seen.info  # a dark client shines through nowhere
    assert {seen.convert("RGB").getpixel(corner) for corner in ((0, 0), (WIDTH - 1, HEIGHT - 1))} == {GROUND}


def test_lines_are_told_apart_by_dashes_and_marks_where_colours_are_not_seen() -> None:
    assert len(burnup.LOOKS) == CURVES
    assert len({(dashes, mark) for _colour, dashes, mark in burnup.LOOKS}) == CURVES
    assert len({mark for _colour, _dashes, mark in burnup.LOOKS}) == CURVES


def test_letters_are_large_enough_on_a_phone() -> None:
    assert burnup.LETTERS * PHONE / WIDTH >= 11


@pytest.mark.parametrize("count", [1, 2, 5, 6, 8])
def test_a_line_for_each_site(count: int) -> None:
    seen = picture(drawn(plot(*SITES[:count]))).convert("RGB")
    pixels = {colour: many for many, colour in seen.getcolors(1 << 16)}
    inks = [pixels.get(rgb(look[0]), 0) > LINE for look in burnup.LOOKS]
    assert inks == [place < count for place in range(CURVES - 1)] + [True]  # the last one's ink is that of the frame
    assert pixels[rgb(burnup.INK)] > LINE and pixels[rgb(burnup.GRID)] > LINE


def test_more_than_eight_sites_are_nobodys_plot() -> None:
    with pytest.raises(ValueError, match="burn-up"):
        read(written(plot(*map(str, range(40)))))


# ------------------------------------------------------------------ size and sameness


@pytest.mark.parametrize("count", [1, 3, 8])
def test_it_is_small(count: int) -> None:
    content = drawn(plot(*SITES[:count]))
    assert len(content) <= (LARGEST if count == 8 else 9_000)
    assert picture(content).size == ((WIDTH, HEIGHT) if count < 8 else (480, 300))


def test_the_busiest_one_is_drawn_smaller_rather_than_too_large() -> None:
    busy = plot(*SITES, steps=119)
    zigzag = [
        replace(each, points=tuple((at, done if n % 2 else 0) for n, (at, done) in enumerate(each.points)))
        for each in busy.curves
    ]
    content = drawn(replace(busy, curves=tuple(zigzag)))
    assert len(content) <= LARGEST and picture(content).width < WIDTH


def test_the_same_plot_is_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Whatever a file in somebody's folder or home says of matplotlib; and nothing is left there."""
    shown = plot(*SITES)
    assert drawn(shown) == drawn(shown) == drawn(read(written(shown)))
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\naxes.facecolor: red\nfont.size: 40\n")
    house = Path(__file__).parents[2]
    begin = f"import sys; sys.path.insert(0, {str(house)!r}); from provisioning.documents.drawer import main"
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", f"{begin}; main('burn_up')"],
        input=written(shown), cwd=tmp_path, env=env, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(b'{"png":"'), done.stdout[:200]
    assert base64.b64decode(json.loads(done.stdout)["png"]) == drawn(shown)
    assert [path.name for path in tmp_path.iterdir()] == ["matplotlibrc"]


def test_what_nobody_waits_for_is_drawn_with_what_the_processor_has_left_over() -> None:
    shown = plot("Oslo")
    begin = f"import os, sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})"
    does = "from provisioning.documents.drawer import main; main('burn_ups')"
    told = "print(os.nice(0), os.sched_getscheduler(0) == os.SCHED_IDLE if hasattr(os, 'SCHED_IDLE') else True)"
    content = b"\n".join((written(shown), b"{}", written(shown)))
    done = subprocess.run(
        [sys.executable, "-c", f"{begin}; {does}; {told}"], input=content, capture_output=True, check=True
    )
    *answers, priority = done.stdout.splitlines()
    first, broken, last = map(json.loads, answers)
    assert base64.b64decode(first["png"]) == base64.b64decode(last["png"]) == drawn(shown)
    assert broken["broke"].startswith("KeyError at plot.py")
    assert priority == b"19 True"


def test_nothing_but_pixels_is_in_it() -> None:
    content = drawn(plot("Oslo"))
    assert picture(content).info == {}
    assert {content[at + 4 : at + 8] for at in _chunks(content)} == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


def _chunks(png: bytes) -> Iterator[int]:
    at = 8
    while at < len(png):
        yield at
        at += 12 + int.from_bytes(png[at : at + 4], "big")


# ------------------------------------------------------------------ what sites are called, and how little there is


@pytest.mark.parametrize("names", [NAMES[at : at + CURVES] for at in range(0, len(NAMES), CURVES)] + [("W" * 500,)])
def test_whatever_sites_are_called(names: tuple[str, ...]) -> None:
    """As it is written, as far as there is room for it; nothing in it is mathematics, nothing runs over an edge."""
    seen = picture(drawn(read(written(plot(*names))))).convert("RGB")
    edge = round(6 * seen.width / WIDTH)
    for strip in ((0, 0, edge, seen.height), (seen.width - edge, 0, seen.width, seen.height)):
        assert seen.crop(strip).getcolors() == [(edge * seen.height, GROUND)]


def test_signs_of_mathematics_are_shown_as_they_are() -> None:
    assert drawn(plot("$x^2$")) != drawn(plot("x2"))
    assert drawn(plot("$x^2$")) != drawn(plot("x^2"))


def test_words_from_right_to_left_are_shaped_by_a_font_that_has_them() -> None:
    assert burnup._file("שלום") == burnup._file("القاهرة") != burnup._file("Київ")
    assert burnup._shown("a\u202eb\u2066c\x00d\u200f") == "abcd"
    assert burnup._shown("北") == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "one",
    [
        Curve("Oslo", 1, 8, ((0.0, 1),)),
        Curve("Oslo", 0, 8, ((0.0, 0), (9.5, 0))),
        Curve("Oslo", 8, 8, ((0.0, 0), (9.5, 8))),
        Curve("Oslo", 9, 8, ((0.0, 0), (9.5, 9))),
        Curve("Oslo", 0, 0, ((0.0, 0),)),
        Curve("Oslo", 10**9, 10**9, ((0.0, 10**9), (9.5, 10**9))),
    ],
    ids=["one-point", "none", "all", "more-than-all", "empty", "many"],
)
def test_however_little_there_is(one: Curve) -> None:
    content = drawn(replace(plot("Oslo"), curves=(one,), ticks=()))
    assert picture(content).size == (WIDTH, HEIGHT) and len(colours(content)) > 4


@pytest.mark.parametrize("hours", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_that_is_none_is_refused(hours: float) -> None:
    with pytest.raises(ValueError, match="burn-up"):
        read(written(replace(plot("Oslo"), hours=hours)))


@pytest.mark.parametrize("points", [(), ((0.0, 1),) * 500, ((float("nan"), 1),)])
def test_points_that_are_none_are_refused(points: tuple[tuple[float, int], ...]) -> None:
    with pytest.raises(ValueError, match="curve"):
        read(written(replace(plot("Oslo"), curves=(replace(curve("Oslo", 8, 1), points=points),))))


@pytest.mark.parametrize("wanted", [[300.0] * 8, [16.0] * 8, [20, 22, 24, 100, 101, 102, 103, 340], [150.0]])
def test_names_keep_apart(wanted: list[float]) -> None:
    heights = burnup._apart(wanted, 27, 16, 350)
    assert all(above - below >= 27 for below, above in pairwise(heights))
    assert heights[0] >= 16 and heights[-1] <= 350
