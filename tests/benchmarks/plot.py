"""How far each target is met, as a picture: a bar for each, from the target to the right where it is met.

Colour, hatch and words each tell a target met from one missed. The same figures give the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from PIL import Image

from tests.benchmarks import Row
from tests.benchmarks.tables import Section

GROUND, INK, QUIET, GRID = "#FFFFFF", "#201F1E", "#484644", "#C8C6C4"
# By verdict: the bar's colour and hatch.
LOOKS: Final = {"met": ("#0B5CAD", ""), "missed": ("#A4262C", "///"), "not reached": ("#8A4B00", "...")}
WIDTH, LINE = 9.0, 0.185  # inches: of the picture, of one row
LABELS = 0.58  # of the width
LEAST, MOST = 1 / 8, 128  # the ends of the scale; what is beyond ends there, and its figure says so
DPI: Final = 200
COLOURS: Final = 48  # of the PNG
SIZE: Final = 7.0  # points
LONGEST: Final = 108  # letters of a label


@dataclass(frozen=True)
class Bar:
    """`margin`: how many times better than the target; None where the target is no figure."""

    label: str
    verdict: str
    margin: float | None

    @property
    def end(self) -> float:
        if self.margin is None:
            return 1.0
        return min(max(self.margin, LEAST), MOST)

    @property
    def said(self) -> str:
        if self.margin is None or math.isinf(self.margin):
            return self.verdict
        figure = f"{self.margin:,.0f}×" if self.margin >= 10 else f"{self.margin:.2g}×"
        return figure if self.verdict == "met" else f"{self.verdict}, {figure}"


def bars(rows: Sequence[Row]) -> list[Bar]:
    """One for each row with a target."""
    made, name = [], ""
    for row in rows:
        name = name if row.name == "the same" else row.name
        if row.met is not None:
            made.append(Bar(_cut(f"{name}: {row.target}"), row.verdict.strip("*"), row.margin))
    return made


def drawn(sections: Sequence[Section], heading: str) -> bytes:
    """A PNG. `heading` is one line or more."""
    lines = _lines(sections)
    head = 0.3 + 0.17 * len(heading.splitlines())
    height = head + LINE * len(lines) + 0.35
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever a file in somebody's home says
        matplotlib.rcParams["hatch.linewidth"] = 0.8
        figure = Figure((WIDTH, height), dpi=DPI, facecolor=GROUND)
        field = (LABELS, 0.32 / height, 1 - LABELS - 0.075, (LINE * len(lines)) / height)
        axes = figure.add_axes(field, facecolor=GROUND)
        _scale(axes, len(lines))
        for place, line in enumerate(lines):
            _draw(axes, place, line)
        figure.text(0.015, 1 - 0.1 / height, heading, va="top", fontproperties=_font(SIZE + 1.5), color=INK)
        return _png(figure)


def _lines(sections: Sequence[Section]) -> list[str | Bar]:
    """From top to bottom: the name of a section, then its bars."""
    lines: list[str | Bar] = []
    for section in sections:
        if found := bars(section.rows):
            lines += [section.name, *found]
    return lines


def _scale(axes: Axes, lines: int) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlim(LEAST, MOST)
    axes.set_ylim(lines - 0.4, -0.6)
    axes.set_yticks([])
    axes.set_xticks([1 / 4, 1, 4, 16, 64], ["4× worse", "target", "4× better", "16×", "64×"])
    axes.set_xticks([], minor=True)
    axes.tick_params(axis="x", length=0, colors=QUIET, labeltop=True)
    for label in axes.get_xticklabels():
        label.set_fontproperties(_font(SIZE))
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.axvline(1, color=INK, linewidth=1.2)
    for side in axes.spines.values():
        side.set_visible(False)


def _draw(axes: Axes, place: int, line: str | Bar) -> None:
    beside = axes.get_yaxis_transform()
    if isinstance(line, str):
        left = -LABELS / (1 - LABELS - 0.075) + 0.035
        axes.text(left, place, line, transform=beside, va="center", fontproperties=_font(SIZE + 1, "Bold"), color=INK)
        return
    colour, hatch = LOOKS[line.verdict]
    axes.barh(
        place, line.end - 1, left=1, height=0.66, color=GROUND if hatch else colour, edgecolor=colour, hatch=hatch
    )
    if line.margin is None:
        axes.plot(1, place, marker="o" if line.verdict == "met" else "X", color=colour, markersize=5)
    at = max(line.end, 1.0) * 1.15
    axes.text(at, place, line.said, va="center", fontproperties=_font(SIZE), color=INK if not hatch else colour)
    axes.text(-0.02, place, line.label, transform=beside, ha="right", va="center", fontproperties=_font(), color=INK)


def _cut(text: str) -> str:
    text = text.replace("`", "")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1].rstrip()}…"


def _font(size: float = SIZE, weight: str = "Regular") -> FontProperties:
    return FontProperties(fname=str(files("font_roboto") / f"files/Roboto-{weight}.ttf"), size=size)


def _png(figure: Figure) -> bytes:
    """In few colours, and without a date or a name in it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")
    content = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return content.getvalue()
