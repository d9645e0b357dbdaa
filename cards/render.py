"""From a view to the JSON of its card: a template per shape, every value through `tojson`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from cards.view import View
from cards.words import plain, without_controls
from provisioning.delivery_errors import CardTooLarge

TEMPLATES = Path(__file__).parent / "templates"

_encode = json.JSONEncoder().encode
_write = json.JSONEncoder(ensure_ascii=False).encode
_HIDDEN = re.compile(r"\\[^\"\\/]")  # JSON's escapes but for those of what is printed
_LIMIT = 28 * 1024  # bytes that Teams takes
_LARGEST = 27_000  # bytes of ASCII JSON, of the 28 KB that Teams takes
_WIDEST = 12  # bytes that one character may cost there
_SPOKEN = 300  # characters: whoever listens cannot skim


class _Templates(Environment):
    """With the shortest way to what a card asks a hundred times: attributes of views, and the templates themselves."""

    getattr = staticmethod(getattr)  # type: ignore[assignment]  # jinja2's own tries items too, at three times the cost

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._known: dict[str, Template] = {}

    def get_template(self, name: str | Template, parent: str | None = None, globals: Any = None) -> Template:
        """They do not change while the service runs; jinja2 makes sure of each one's loader each time."""
        if globals is not None or not isinstance(name, str):
            return super().get_template(name, parent, globals)
        if name not in self._known:
            self._known[name] = super().get_template(name, parent)
        return self._known[name]

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """One dict for all: jinja2 lays an empty one over it, and to compare the two cost 30 µs a card."""
        return self.globals if d is None else super().make_globals(d)


@cache
def environment() -> Environment:
    """Autoescape is for HTML; here `tojson` is what keeps a value inside its string, and a test holds us to it.

    It is ours: jinja2's makes JSON that is safe within HTML, at 5 µs a value, of which a card has fifty.
    """
    env = _Templates(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # JSON
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters |= {"tojson": _json, "plain": plain, "also": _also}
    return env


def render(view: View, *, operation: str, locale: str = "en") -> dict[str, Any]:
    """The card of a view. `operation` travels in every button, so that a press delivered twice acts once.

    Errors: `CardTooLarge`.
    """
    text = environment().get_template(view.template).render(view=view, operation=operation, locale=locale)
    card: dict[str, Any] = json.loads(text)
    if _may_hide(text):
        card = _clean(card)
    for action in card["actions"]:
        if action["type"] == "Action.Execute":
            action["fallback"] = _as_submit(action)
    card["speak"] = speak = _spoken(view, card["body"])
    card["fallbackText"] = fallback = "\n".join(_sentences(card["body"]))
    # A template is wider than its JSON, and only buttons stand there twice: most cards need not be measured.
    if 2 * ascii_at_most(text) + _WIDEST * (len(speak) + len(fallback)) > _LARGEST:
        size = len(_encode(card)) - len(_encode({"fallbackText": fallback}))
        card["fallbackText"] = fallback[: max((_LARGEST - size) // _WIDEST, 100)]
        if len(_encode(card)) > _LIMIT:
            if view.smaller is None:
                raise CardTooLarge
            return render(view.smaller, operation=operation, locale=locale)
    return card


def _as_submit(action: Mapping[str, Any]) -> dict[str, Any]:
    """The same press, for a client that does not know Action.Execute."""
    same = {name: action[name] for name in ("title", "style", "associatedInputs", "data")}
    return {"type": "Action.Submit", "id": f"{action['id']}-submit", **same}


def _json(value: Any) -> str:
    """A value as it stands in a template. Keys stay in the order they are written; most values are strings."""
    return encode_basestring(value) if isinstance(value, str) else _write(value)


def _may_hide(text: str) -> bool:
    """The last gate, so nothing invisible is in a card, whatever a builder let through: whether to look at each string.

    True of every template with an invisible character in a value, and of some others.
    """
    return not text.replace("\n", "").isprintable() or _HIDDEN.search(text) is not None


def ascii_at_most(text: str) -> int:
    """Bytes of the same JSON in ASCII: of what UTF-8 writes with 2, 3 and 4 bytes, each is 6, 6 and 12."""
    return len(text) if text.isascii() else len(text) + 5 * (len(text.encode(errors="surrogatepass")) - len(text))


def _also(value: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """An object with some properties more, which win. A filter is called in 1 µs, `dict` in 4."""
    return {**value, **more}


def _clean(value: Any) -> Any:
    """The same value with nothing invisible in its strings."""
    if isinstance(value, str):
        return without_controls(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return {key: _clean(item) for key, item in value.items()} if isinstance(value, dict) else value


def _sentences(elements: list[dict[str, Any]]) -> Iterator[str]:
    """What a client that cannot draw the card shows instead, and what a log of it may hold: no code."""
    for element in elements:
        yield from _sentences(element.get("items", []))
        if "text" in element and not element.get("id", "").startswith("code"):
            yield plain(element["text"])
        for fact in element.get("facts", []):
            yield plain(f"{fact['title']}: {fact['value']}")
        if said := element.get("altText") or element.get("label"):
            yield said


def _spoken(view: View, elements: list[dict[str, Any]]) -> str:
    """What is read aloud: notice, title and sentences. No code, no rows, no MAC, no bar, no hint of what to type."""
    said = [plain(view.notice)[: _SPOKEN // 2], plain(view.title)]
    for block in elements:
        if "text" in block and "id" not in block and block.get("size") != "Small":
            said.append(plain(block["text"]))
    sentences = [text if text[-1] in ".!?:" else f"{text}." for text in map(str.strip, said) if text]
    spoken = without_controls(" ".join(" ".join(sentences).split()))
    return spoken[:_SPOKEN]
