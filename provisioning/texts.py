"""Every text that a person reads passes through here: gettext in the language of whoever is being spoken to."""

from __future__ import annotations

import gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LOCALE_DIR = Path(__file__).parent / "locale"
DOMAIN = "provisioning"


@cache
def _catalog(locale: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALE_DIR, languages=[locale.replace("-", "_")], fallback=True)


@dataclass(frozen=True, slots=True)
class Speech:
    """How to speak to one person: their language and their clock."""

    locale: str = "en"
    timezone: tzinfo = field(default=UTC)

    @classmethod
    def of(cls, locale: str | None, timezone: str | None) -> Speech:
        """Both values come from a client's `clientInfo`; whatever is unknown becomes English and UTC."""
        try:
            zone: tzinfo = ZoneInfo(timezone) if timezone else UTC
        except (ZoneInfoNotFoundError, ValueError, OSError):
            zone = UTC
        return cls(locale or "en", zone)

    @property
    def catalog(self) -> gettext.NullTranslations:
        return _catalog(self.locale)


_speech: ContextVar[Speech] = ContextVar("speech", default=Speech())  # noqa: B039 - frozen


def current_speech() -> Speech:
    return _speech.get()


@contextmanager
def speaking(speech: Speech) -> Iterator[None]:
    """Within this block `_` and the words of the views address one person."""
    token = _speech.set(speech)
    try:
        yield
    finally:
        _speech.reset(token)


def _(message: str, **values: object) -> str:
    """The message in the current language; `{name}` places are filled from `values`."""
    text = _speech.get().catalog.gettext(message)
    return text.format(**values) if values else text


def ngettext(singular: str, plural: str, n: int, **values: object) -> str:
    """The singular or plural form for `n`; `{n}` and the named places are filled."""
    return _speech.get().catalog.ngettext(singular, plural, n).format(n=n, **values)


def N_(message: str) -> str:
    """Marks a text for translation where it is declared; whoever shows it calls `_` on it."""
    return message
