"""The languages that the product speaks, and what people call them."""

from __future__ import annotations

from babel import Locale

from provisioning.errors import BadInput
from provisioning.texts import N_, languages

AUTOMATIC = "auto"  # as the person's own client says


class UnknownLanguage(BadInput):
    code = "unknown_language"
    message = N_('I do not speak "{text}". I speak {languages}. Say for example: language {example}')


def own_name(tag: str) -> str:
    """`Deutsch` for `de`: readers find their language by the name it has there."""
    return _known(tag).get_display_name(tag) or tag


def offered() -> tuple[tuple[str, str], ...]:
    """(tag, own name) of every language, in the order of the names."""
    return tuple(sorted(((tag, own_name(tag)) for tag in languages()), key=lambda pair: pair[1]))


def named(text: str) -> str:
    """The tag of a language: by its tag, its English name, its own, or its name in any language that is spoken here.

    Empty for `auto`. Errors: `UnknownLanguage`.
    """
    wanted = " ".join(text.split()).casefold()
    if wanted == AUTOMATIC:
        return ""
    for tag in sorted(languages()):
        names = {_known(tag).get_display_name(other) for other in languages()}
        if wanted in {tag, *(name.casefold() for name in names if name)} or wanted.startswith((f"{tag}-", f"{tag}_")):
            return tag
    there = offered()
    raise UnknownLanguage(
        text=text[:40], languages=", ".join(name for _tag, name in there), example=there[0][1].casefold()
    )


def _known(tag: str) -> Locale:
    return Locale.parse(tag, sep="-")
