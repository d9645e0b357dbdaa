"""Forgetting somebody who left: the question, and that it is done."""

from __future__ import annotations

from cards.view import Button, Notice, Style, Tone
from cards.views.common import brief, cancel
from cards.views.facts import former_person
from cards.words import escape
from provisioning.model import Person
from provisioning.texts import _


def forget_question(person: Person) -> Notice:
    name = brief(escape(person.name or person.upn))
    return Notice(
        title=_("Forget {name}?", name=name),
        tone=Tone.WARNING,
        lines=(
            _("Name, UPN, chat and messages are erased here, also out of the audit. This cannot be undone."),
            _("What they did stays in the audit, as done by {who}.", who=former_person(person.id)),
            _("Rooms and tags that are called after somebody keep their names: move the devices first."),
        ),
        buttons=(
            Button(
                "forget_sure",
                _("Forget"),
                {"person": person.id, "rev": str(person.version)},
                style=Style.DESTRUCTIVE,
            ),
            cancel(),
        ),
        subject=person.id,
        revision=person.version,
    )


def forgotten(person: Person) -> Notice:
    """Without a name: this card stays."""
    return Notice(
        title=_("Forgotten: {who}", who=former_person(person.id)),
        lines=(_("Within minutes nothing here leads to them any more. Cards in their own chat are theirs to delete."),),
    )
