"""A language in which every translated text wears brackets, so that a text that was forgotten stands out."""

import gettext
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from provisioning.texts import Speech, operator_speech, speak_to_operator, speaking
from tests.cards.rules import parts, texts

OPEN, CLOSE = "⟦", "⟧"


class Bracketed(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return f"{OPEN}{message}{CLOSE}" if message else message

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        return self.gettext(singular if n == 1 else plural)


class _Pseudo(Speech):
    __slots__ = ()

    @property
    def catalog(self) -> gettext.NullTranslations:
        return Bracketed()


@contextmanager
def pseudo(locale: str = "en", timezone: str = "UTC") -> Iterator[None]:
    """Within this block every text that passes through `_` or `ngettext` is ⟦bracketed⟧."""
    with speaking(_Pseudo.of(locale, timezone)):
        yield


@contextmanager
def pseudo_operator() -> Iterator[None]:
    """Within this block every text for the operator is ⟦bracketed⟧, in every thread, and so is what is for nobody."""
    before = operator_speech()
    speak_to_operator(_Pseudo())
    try:
        yield
    finally:
        speak_to_operator(before)


def untranslated(card: dict[str, Any], *data: str) -> list[str]:
    """What people read on a card outside of brackets. `data`: names, places, accounts: nobody translates them."""
    return [text for text in dict.fromkeys(_readable(card)) if _foreign_words(text, data)]


def _readable(card: dict[str, Any]) -> Iterator[str]:
    """fallbackText repeats the body, and a line of it may be cut: the body itself is what counts."""
    yield from texts(card)
    for part in parts(card):
        for key in ("title", "label", "placeholder", "errorMessage"):
            if part["type"].startswith(("Action.", "Input.")) and part.get(key):
                yield part[key]
        for choice in part.get("choices", []):
            yield choice["title"]


def _foreign_words(text: str, data: tuple[str, ...]) -> bool:
    """Whether words are left once brackets and data are taken out. Codes, MACs and numbers with units are no words."""
    for known in sorted(data, key=len, reverse=True):
        text = text.replace(known, " ")
    while (stripped := re.sub(rf"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}", " ", text)) != text:
        text = stripped
    return any(re.search(r"[^\W\d_]{2,}", word) and not re.search(r"\d", word) for word in text.split())
