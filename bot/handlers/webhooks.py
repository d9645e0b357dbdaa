"""Webhooks: what admins ask about events that go to other systems."""

from __future__ import annotations

from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import webhooks as cards
from provisioning.access import Permission

router = Router()
RUN = (Permission.RUN_WEBHOOKS,)


@router.command("webhooks [<endpoint>]", needs=RUN)
@router.action("webhooks")
async def webhooks(turn: Turn, endpoint: str = "") -> Reply:
    """Show where events go, and what did not arrive there."""
    states = await turn.provisioning.endpoints(turn.actor, endpoint)
    card = cards.endpoint_card(states[0], turn.now) if endpoint else cards.webhooks_card(states, turn.now)
    return Reply(card=card, private=True)


@router.command("webhooks again [<endpoint>]", needs=RUN)
@router.action("webhooks_again")
async def webhooks_again(turn: Turn, endpoint: str = "") -> Reply:
    """Send again what an endpoint did not take, or what none of them did."""
    return Reply(card=cards.replayed_card(await turn.provisioning.replay(turn.actor, endpoint)), private=True)
