"""The story on a terminal: who says what, cards as small panels. Readable without colour and at 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from cards.words import plain, stamp
from provisioning.texts import _

WIDTH: Final = 80
PANEL: Final = 60
UNSEEN: Final = str.maketrans("", "", "\u200b\u200c\u200d")
_AT: Final = re.compile(r"<at>([^<]*)</at>")


@dataclass(frozen=True, slots=True)
class Lane:
    """Where on the terminal somebody stands."""

    name: str
    indent: int
    colour: str


class Terminal:
    """Draws; decides nothing."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, WIDTH)

    def title(self, text: str, lines: tuple[str, ...]) -> None:
        self._print(Text(text, style="bold"))
        for line in lines:
            self._print(Text(line, style="dim"))

    def chapter(self, number: int, title: str, now: datetime) -> None:
        self._print()
        self._print(
            Rule(Text(f"{number}  {title}  ·  {stamp(now)}", style="bold"), characters="─", align="left", style="dim")
        )

    def aside(self, text: str) -> None:
        self._print()
        self._print(Text(f"  ({text})", style="italic dim"))

    def says(self, lane: Lane, text: str) -> None:
        """What somebody types or presses."""
        first, *rest = text.splitlines() or [""]
        line = Text.assemble((lane.name, f"bold {lane.colour}"), " » ", first)
        for more in rest:
            line.append("\n" + " " * (len(lane.name) + 3) + more)
        self._print()
        self._print(Padding(line, (0, 0, 0, lane.indent), expand=False))

    def hears(self, lane: Lane, text: str, *, label: str = "") -> None:
        """A plain sentence that reaches somebody."""
        words = Text(shown(text))
        head = f"{lane.name} · {label}" if label else lane.name
        self._print(
            Padding(Text.assemble((head, f"bold {lane.colour}"), " « ", words), (0, 0, 0, lane.indent), expand=False)
        )

    def card(self, lane: Lane, card: Mapping[str, Any], *, label: str) -> None:
        self._panel(lane, Group(*_body(card.get("body", ())), *_buttons(card)), label)

    def screen(self, lane: Lane, *lines: str) -> None:
        """A device's own display."""
        self._panel(lane, Group(*(Text(line, justify="center") for line in lines)), "", box.DOUBLE)

    def end(self, text: str, *, good: bool) -> None:
        self._print()
        self._print(Text(text, style="bold green" if good else "bold red"))

    def _panel(self, lane: Lane, inside: Group, label: str, frame: box.Box = box.ROUNDED) -> None:
        name = f"{lane.name} · {label}" if label else lane.name
        panel = Panel(
            inside,
            title=Text(name, style=f"bold {lane.colour}"),
            title_align="left",
            box=frame,
            border_style=lane.colour,
            width=min(PANEL, self._width - lane.indent),
        )
        self._print(Padding(panel, (0, 0, 0, lane.indent), expand=False))

    def _print(self, what: Any = "") -> None:
        self._console.print(what, width=self._width, highlight=False)


def shown(text: str) -> str:
    """A card's Markdown as a terminal shows it."""
    return _AT.sub(r"@\1", plain(text).replace("\n\n", "\n")).translate(UNSEEN)


def texts(element: Any) -> Iterator[str]:
    """Everything readable of a card or a part of it, its buttons left out."""
    if isinstance(element, list | tuple):
        for part in element:
            yield from texts(part)
    elif isinstance(element, Mapping):
        for key in ("text", "label"):
            if element.get(key):
                yield shown(str(element[key]))
        for fact in element.get("facts", ()):
            yield f"{shown(fact['title'])}: {shown(fact['value'])}"
        yield from texts(element.get("body", ()))
        yield from texts(element.get("items", ()))


def _body(elements: Any) -> Iterator[Text]:
    for element in elements:
        kind = element["type"]
        if kind == "Container":
            yield from _body(element["items"])
        elif kind == "TextBlock":
            yield _text_block(element)
        elif kind == "FactSet":
            yield from (Text(line) for line in texts({"facts": element["facts"]}))
        elif kind.startswith("Input."):
            yield Text(f"▸ {shown(element.get('label', ''))}: {_value(element)}")


def _text_block(element: Mapping[str, Any]) -> Text:
    words = shown(element["text"])
    if element.get("id") == "code":
        return Text(f"\n{words}\n", style="bold", justify="center")
    if element.get("weight") == "Bolder":
        return Text(words, style="bold")
    return Text(words, style="dim" if element.get("isSubtle") else "")


def _value(field: Mapping[str, Any]) -> str:
    """What stands in an input before anybody touched it."""
    for choice in field.get("choices", ()):
        if choice["value"] == field.get("value"):
            return str(choice["title"])
    if field["type"] == "Input.Toggle":
        mark = "x" if field.get("value") == "true" else " "
        return f"[{mark}] {shown(field['title'])}"
    return str(field.get("value") or "…")


def _buttons(card: Mapping[str, Any]) -> Iterator[Text]:
    titles = [f"[{shown(action['title'])}]" for action in card.get("actions", ())]
    if titles:
        yield Text("  ".join(titles), style="bold")


def pressed(title: str, values: Mapping[str, str]) -> str:
    given = ", ".join(f'{name} "{value}"' for name, value in values.items())
    said = _("presses [{title}]", title=shown(title))
    return _("{said} with {given}", said=said, given=given) if given else said
