"""A burn-up as a picture: a line for each site, told apart by dashes, marks and words, on a ground of its own.

The ground makes it readable in light and in dark clients alike; every word and line stands out from it by at least
4.5 : 1 (WCAG 2.2, 1.4.3). Only the fonts that are installed with us are used, so the same plot gives the same bytes
on every machine. Not for threads: matplotlib's fonts are not safe there, so a process of its own draws (`drawer`).
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.lines import Line2D
from matplotlib.transforms import Affine2D
from PIL import Image

from provisioning.documents.plot import CURVES, HEIGHT, LARGEST, WIDTH, Curve, Plot

GROUND: Final = "#F3F2F1"
INK: Final = "#201F1E"
QUIET: Final = "#484644"  # ticks and the line of those that are left
GRID: Final = "#C8C6C4"
# Colour, dashes (in widths of the line), mark. Any one of the three tells two neighbours apart.
LOOKS: Final = (
    ("#0B5CAD", (), "o"),
    ("#A4262C", (4, 1.6), "s"),
    ("#0B6A0B", (6, 1.5, 1, 1.5), "^"),
    ("#6B2E9E", (1.2, 1.4), "D"),
    ("#8A4B00", (8, 2), "v"),
    ("#005E6A", (3, 1, 3, 3), "P"),
    ("#A01D77", (2, 2), "X"),
    (QUIET, (1, 3), "*"),
)
STEPS: Final = (1.0, 0.66, 0.33)  # of an ink over the ground, for smooth edges: more would cost bytes and show little
SCALES: Final = (1.0, 0.75, 0.6, 0.5)  # of the full size, where the picture would be too many bytes
DPI: Final = 100  # at full size; all lengths below are its pixels, 1/100 inch
LEFT, RIGHT, TOP, BOTTOM = 74, 248, 52, 42  # around the field of the lines
LETTERS: Final = 22  # of a word's height: 11 on a phone
LINE: Final = 27  # from word to word
ROOMY: Final = 5  # sites whose names may stand on a line of their own, above their numbers
MARKS: Final = 5  # on each line
SAMPLE: Final = 30  # of the bit of line beside a site's name
EDGE: Final = 10  # right of the words
_HIDDEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_POINT: Final = 72 / DPI


def drawn(plot: Plot) -> bytes:
    """A PNG of at most `LARGEST` bytes: in full size, or smaller where its lines are too many. Errors: ValueError."""
    for scale in SCALES:
        content = _png(_Sheet(plot, scale).figure)
        if len(content) <= LARGEST:
            return content
    raise ValueError("this burn-up does not fit into a picture")


def _png(figure: Figure) -> bytes:
    """In few colours, and without a date or a name in it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    picture = Image.frombuffer("RGBA", canvas.get_width_height(), pixels).convert("RGB")
    content = io.BytesIO()
    picture.quantize(palette=_palette(), dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return content.getvalue()


@cache
def _palette() -> Image.Image:
    inks = dict.fromkeys((INK, QUIET, *(look[0] for look in LOOKS)))
    colours = [_over(GROUND, 1), _over(GRID, 1), *(_over(ink, step) for ink in inks for step in STEPS)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in colours for value in colour])
    return palette


def _over(ink: str, step: float) -> list[int]:
    """So much of an ink over the ground."""
    return [round(over * step + under * (1 - step)) for over, under in zip(_rgb(ink), _rgb(GROUND), strict=True)]


def _rgb(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


class _Sheet:
    """A figure being drawn; its coordinates are pixels of the full size, from the lower left corner."""

    def __init__(self, plot: Plot, scale: float) -> None:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()  # whatever a file in somebody's home says
            self.figure = Figure((WIDTH / DPI, HEIGHT / DPI), dpi=DPI * scale, facecolor=GROUND)
            self._pixels = Affine2D().scale(1 / DPI) + self.figure.dpi_scale_trans
            field = ((WIDTH - LEFT - RIGHT) / WIDTH, (HEIGHT - TOP - BOTTOM) / HEIGHT)
            axes = self.figure.add_axes((LEFT / WIDTH, BOTTOM / HEIGHT, *field), facecolor=GROUND)
            _frame(axes, plot)
            curves = plot.curves[:CURVES]
            for place, curve in reversed(list(enumerate(curves))):
                _line(axes, curve, place)
            self._names(axes, curves)
            self._say(plot.heading, (16, HEIGHT - 26), WIDTH - 32, bold=True)

    def _names(self, axes: Axes, curves: Sequence[Curve]) -> None:
        """Each site's name beside the end of its line, in the order of the ends, moved apart where they would touch."""
        ends = [(self._end(axes, curve), place) for place, curve in enumerate(curves)]
        ends.sort(key=lambda end: (end[0][1], -end[1]))
        lines = 2 if len(curves) <= ROOMY else 1
        gap = LINE * lines + 4 * (lines - 1)
        heights = _apart([y for (_x, y), _place in ends], gap, gap / 2, HEIGHT - TOP + LINE / 2 - gap / 2)
        for (end, place), height in zip(ends, heights, strict=True):
            self._name(curves[place], place, end, height, in_two=lines == 2)

    def _name(self, curve: Curve, place: int, end: tuple[float, float], height: float, *, in_two: bool) -> None:
        edge = WIDTH - RIGHT
        colour, dashes, mark = LOOKS[place]
        start, stop = edge + 22, edge + 22 + SAMPLE
        self._draw((end[0] + 7, start - 2), (end[1], height), color=colour, linewidth=0.9)
        self._draw((start, stop), (height, height), color=colour, linewidth=2.6, dashes=dashes or (None, None))
        self._draw(((start + stop) / 2,), (height,), color=colour, marker=mark, markersize=7.5, markeredgecolor=GROUND)
        left, right, count = stop + 6, WIDTH - EDGE, f"{curve.done}/{curve.total}"
        if in_two:
            self._say(curve.label, (left, height + LINE / 2), right - left)
            self._say(count, (left, height - LINE / 2), right - left)
        else:
            self._say(count, (right - _width(count), height), right - left)
            self._say(curve.label, (left, height), right - left - _width(count) - 8)

    def _end(self, axes: Axes, curve: Curve) -> tuple[float, float]:
        at, done = curve.points[-1]
        x, y = (axes.transData - self._pixels).transform((at, _per_cent(done, curve.total)))
        return float(x), float(y)

    def _draw(self, x: Sequence[float], y: Sequence[float], **look: Any) -> None:
        self.figure.add_artist(Line2D(x, y, transform=self._pixels, **look))

    def _say(self, text: str, at: tuple[float, float], room: float, *, bold: bool = False) -> None:
        shown = _fitted(_shown(text), room, bold=bold)
        look: dict[str, Any] = {"color": INK, "fontproperties": _font(shown, bold=bold), "parse_math": False}
        self.figure.text(*at, shown, transform=self._pixels, va="center_baseline", **look)


def _frame(axes: Axes, plot: Plot) -> None:
    axes.set_xlim(0, plot.hours)
    axes.set_ylim(-2, 103)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=7)
    for per_cent in (0, 50, 100):
        axes.axhline(per_cent, color=GRID if per_cent else QUIET, linewidth=1.2, zorder=0)
    axes.set_yticks((0, 50, 100), ("0", "50", "100 %"))
    ticks = [tick for tick in plot.ticks if 0 <= tick.at <= plot.hours]
    axes.set_xticks([tick.at for tick in ticks], [_shown(tick.text) for tick in ticks])
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set(color=QUIET, fontproperties=_font(label.get_text()), parse_math=False)


def _line(axes: Axes, curve: Curve, place: int) -> None:
    colour, dashes, mark = LOOKS[place]
    at, done = zip(*curve.points, strict=True)
    share = [_per_cent(each, curve.total) for each in done]
    every = max(1, len(at) // MARKS)
    axes.add_line(
        Line2D(
            at,
            share,
            color=colour,
            linewidth=2.6,
            dashes=dashes or (None, None),
            dash_capstyle="butt",
            marker=mark,
            markersize=7.5,
            markeredgecolor=GROUND,
            markeredgewidth=0.8,
            markevery=[*range((place * every // CURVES) % every, len(at) - 1, every), len(at) - 1],
            clip_on=False,
            zorder=3,
        )
    )


def _per_cent(done: int, total: int) -> float:
    return min(100.0, 100 * done / total) if total > 0 else 0.0


def _apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The same heights, rising, at least `gap` from one another, within the edges as long as there is room."""
    heights: list[float] = []
    for height in wanted:
        heights.append(max(height, heights[-1] + gap if heights else low))
    for place in range(len(heights) - 1, -1, -1):
        ceiling = heights[place + 1] - gap if place + 1 < len(heights) else high
        heights[place] = min(heights[place], ceiling)
    return heights


# ------------------------------------------------------------------ words


def _shown(text: str) -> str:
    """One line of what one of the fonts has; for everything else a sign that is seen."""
    kept = [c for c in " ".join(text.split()) if unicodedata.category(c) not in _HIDDEN]
    line = unicodedata.normalize("NFC", "".join(kept))
    known = _signs(_file(line))
    return "".join(c if ord(c) in known or c == " " else _REPLACEMENT for c in line)


def _fitted(text: str, room: float, *, bold: bool = False) -> str:
    """As much of it as fits."""
    if _width(text, bold=bold) <= room:
        return text
    while text and _width(f"{text}…", bold=bold) > room:
        text = text[:-1].rstrip()
    return f"{text}…"


def _width(text: str, *, bold: bool = False) -> float:
    """Of a text in the size that all have."""
    font = get_font(_file(text, bold=bold))
    font.set_size(LETTERS * _POINT, DPI)
    font.set_text(text, 0.0)
    width: float = font.get_width_height()[0] / 64
    return width


def _font(text: str, *, bold: bool = False) -> FontProperties:
    return FontProperties(fname=_file(text, bold=bold), size=LETTERS * _POINT)


def _file(text: str, *, bold: bool = False) -> str:
    """The first of our fonts that has the whole text, else the first."""
    fonts = _files(bold=bold)
    return next((file for file in fonts if all(ord(c) in _signs(file) for c in text)), fonts[0])


@cache
def _files(*, bold: bool = False) -> tuple[str, ...]:
    """Roboto has Latin, Greek and Cyrillic signs; DejaVu, which comes with matplotlib, Hebrew and Arabic as well."""
    kind = "-Bold" if bold else ""
    ours = files("font_roboto") / "files" / f"Roboto{kind or '-Regular'}.ttf"
    return str(ours), f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans{kind}.ttf"


@cache
def _signs(file: str) -> frozenset[int]:
    return frozenset(get_font(file).get_charmap())
