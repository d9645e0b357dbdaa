"""Every text that a person reads passes through here: gettext in the language of whoever is being spoken to."""

from __future__ import annotations

import gettext
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import cache, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOCALE_DIR = Path(__file__).parent / "locale"
DOMAIN = "provisioning"


@cache
def _catalog(locale: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALE_DIR, languages=[locale.replace("-", "_")], fallback=True)


@cache
def languages() -> frozenset[str]:
    """The BCP 47 tags of every language that there is a catalog for; English, in which the code is written, always."""
    found = (path.parts[-3].replace("_", "-") for path in LOCALE_DIR.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))
    return frozenset({"en", *found})


@dataclass(frozen=True, slots=True)
class Speech:
    """How to speak to one person: their language and their clock."""

    locale: str = "en"
    timezone: tzinfo = field(default=UTC)

    @classmethod
    def of(cls, locale: str | None, timezone: str | None, home: tzinfo = UTC) -> Speech:
        """Both values come from a client's `clientInfo`; whatever is unknown becomes English and the time at `home`."""
        try:
            zone: tzinfo = ZoneInfo(timezone) if timezone else home
        except (ZoneInfoNotFoundError, ValueError, OSError):
            zone = home
        return cls(locale or "en", zone)

    @property
    def language(self) -> str:
        """The tag of the language in which they are answered: their own where there is a catalog for it."""
        own = self.locale.replace("_", "-").partition("-")[0].lower()
        return own if own in languages() else "en"

    @property
    def catalog(self) -> gettext.NullTranslations:
        return _catalog(self.locale)


_speech: ContextVar[Speech | None] = ContextVar("speech", default=None)
_operator = Speech()  # whoever runs this process; spoken to wherever nobody else is, in every thread


def current_speech() -> Speech:
    return _speech.get() or _operator


def operator_speech() -> Speech:
    return _operator


def speak_to_operator(speech: Speech) -> None:
    """From now on this process speaks to its operator like this; said once, by whoever starts it."""
    global _operator  # noqa: PLW0603 - threads know nothing of a context variable that the main one set
    _operator = speech


def speech_of(environ: Mapping[str, str]) -> Speech:
    """The operator's language as POSIX names it: the first of LC_ALL, LC_MESSAGES and LANG that is set; UTC.

    https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html
    """
    named = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(name))), "")
    locale = named.partition(".")[0].partition("@")[0]
    return Speech.of(None if locale in ("C", "POSIX") else locale, None)


@contextmanager
def speaking(speech: Speech) -> Iterator[None]:
    """Within this block `_` and the words of the views address one person."""
    token = _speech.set(speech)
    try:
        yield
    finally:
        _speech.reset(token)


def speak_on(speech: Speech) -> None:
    """From here to the end of the block somebody is addressed differently: they are known by now, or chose anew."""
    _speech.set(speech)


def _(message: str, **values: object) -> str:
    """The message in the current language; `{name}` places are filled from `values`."""
    return _said(_speech.get() or _operator, message, values)


def to_operator(message: str, **values: object) -> str:
    """As `_`, in the operator's language, whoever else is being spoken to: for logs and for reasons."""
    return _said(_operator, message, values)


def _said(speech: Speech, message: str, values: Mapping[str, object]) -> str:
    text = _translated(speech.catalog, message)
    return text.format(**values) if values else text


@lru_cache(maxsize=10_000)  # there are 1 300 messages
def _translated(catalog: gettext.NullTranslations, message: str) -> str:
    """A card asks thirty times, and gettext's own way goes through three functions."""
    return catalog.gettext(message)


def ngettext(singular: str, plural: str, n: int, **values: object) -> str:
    """The singular or plural form for `n`; `{n}` and the named places are filled."""
    return current_speech().catalog.ngettext(singular, plural, n).format(n=n, **values)


def N_(message: str) -> str:
    """Marks a text for translation where it is declared; whoever shows it calls `_` on it."""
    return message
