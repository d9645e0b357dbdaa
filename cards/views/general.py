"""Help, suggestions and the shortest answers."""

from __future__ import annotations

from collections.abc import Sequence

from cards.view import Button, ListCard, Notice, Row
from cards.views.common import more
from cards.words import escape
from provisioning.texts import _

PAGE = 10


def help_card(entries: Sequence[tuple[str, str]], start: int, quick: Sequence[Button]) -> ListCard:
    """`entries` = (usages, summary)."""
    rows = tuple(Row(title=_code(usage), detail=summary) for usage, summary in entries[start : start + PAGE])
    following = str(start + PAGE) if start + PAGE < len(entries) else None
    return ListCard(
        title=_("What you can say"),
        rows=rows,
        buttons=(*quick, *more("help", following, start, PAGE)),
        small=(
            _("A device is a MAC in any notation, its last 4 digits, or its place. help and a command explains it."),
        ),
    )


def command_help(usages: Sequence[str], summary: str, who: str) -> Notice:
    return Notice(
        title=_code(usages[0]), lines=(summary, *(_code(usage) for usage in usages[1:])), small=(who,) if who else ()
    )


def unknown(text: str, suggestion: str) -> Notice:
    line = _("Did you mean: {usage}", usage=_code(suggestion)) if suggestion else _("help shows what I understand.")
    return Notice(
        title=_('I do not know "{text}".', text=escape(text[:60])), lines=(line,), buttons=(Button("help", _("Help")),)
    )


def half(usages: Sequence[str], summary: str) -> Notice:
    return Notice(
        title=_("Something is missing"),
        lines=(_("Say it like this: {usage}", usage=_code(usages[0])), summary),
        buttons=(Button("help", _("Help")),),
    )


def _code(usage: str) -> str:
    """A usage without its brackets' Markdown meaning."""
    return escape(usage.replace("<", "‹").replace(">", "›"))
