"""Forgetting somebody who left: asked for, then confirmed."""

from __future__ import annotations

from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import forgetting as cards
from provisioning.access import Permission

router = Router()
PEOPLE = (Permission.MANAGE_PEOPLE,)


@router.command("forget <person>", needs=PEOPLE)
@router.action("forget")
async def forget(turn: Turn, person: str) -> Reply:
    """Forget somebody who left: what they did stays in the audit, without a name."""
    found = await turn.provisioning.to_forget(turn.actor, person)
    return Reply(card=cards.forget_question(found), private=True)


@router.action("forget_sure", needs=PEOPLE)
async def forget_sure(turn: Turn, person: str, rev: int) -> Reply:
    """Forget them."""
    forgotten = await turn.provisioning.forget_person(turn.actor, person, rev)
    return Reply(card=cards.forgotten(forgotten), private=True)
