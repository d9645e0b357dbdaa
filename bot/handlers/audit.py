"""What admins ask of the ledger: what happened, who did it, and whether what was told of it arrived."""

from __future__ import annotations

from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import audit as cards
from provisioning.access import Permission
from provisioning.service.ledger import Show

router = Router()


@router.command("audit [<about>]", needs=(Permission.SEE_AUDIT,))
@router.action("audit")
async def audit(turn: Turn, about: str = "", show: str = Show.ALL, after: str | None = None) -> Reply:
    """Show what happened and which messages arrived: of a device, a person, or everything."""
    page = await turn.provisioning.audit(turn.actor, about, show, after)
    return Reply(card=cards.audit_card(page, turn.now), private=True)
