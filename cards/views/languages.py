"""The card on which people choose the language they are spoken to in."""

from __future__ import annotations

from cards.view import Button, Notice
from provisioning.languages import AUTOMATIC, offered, own_name
from provisioning.texts import Speech, _

BUTTONS = 5  # beside the one that follows Teams


def choice_card(speech: Speech, *, chosen: bool) -> Notice:
    """What is spoken now and why; a button for each language there is."""
    name = own_name(speech.language)
    said = _("I speak {language}, as you chose.") if chosen else _("I follow your Teams as far as I can: {language}.")
    buttons = [Button("language", title, {"language": tag}) for tag, title in offered()[:BUTTONS]]
    return Notice(
        title=_("Language"),
        lines=(said.format(language=name),),
        buttons=(*buttons, Button("language", _("As in Teams"), {"language": AUTOMATIC})),
        small=(_("Or type: language {name}, language auto", name=name.casefold()),),
    )


def chosen_card(speech: Speech, *, chosen: bool) -> Notice:
    name = own_name(speech.language)
    said = _("I speak {language} with you now.") if chosen else _("I follow your Teams again: {language}.")
    small = _("What you type stays English: help lists it. Or type: language auto")
    return Notice(title=said.format(language=name), small=(small,) if chosen else ())
