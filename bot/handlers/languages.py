"""The language somebody is spoken to in: as their Teams says, or as they chose."""

from __future__ import annotations

from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import languages as cards
from provisioning.languages import named
from provisioning.model import Person
from provisioning.texts import current_speech, speak_on

router = Router()


@router.command("language", "language <language>")
@router.action("language")
async def language(turn: Turn, language: str = "") -> Reply:
    """Choose the language I speak with you, like language german; auto follows your Teams."""
    if not language:
        person = await turn.provisioning.who(turn.actor.id) or Person(id=turn.actor.id)
        return Reply(card=cards.choice_card(current_speech(), chosen=bool(person.language)), private=True)
    person = await turn.provisioning.choose_language(turn.actor, named(language))
    speak_on(turn.provisioning.speech_of(person))
    return Reply(card=cards.chosen_card(current_speech(), chosen=bool(person.language)), private=True)
