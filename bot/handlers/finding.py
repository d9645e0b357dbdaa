"""Finding devices: what admins say and press to page through the list."""

from __future__ import annotations

from bot.handlers.devices import SEE, device
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import finding as cards

router = Router()


@router.command("devices [<words>]", needs=SEE)
@router.action("devices")
async def devices(turn: Turn, words: str = "", after: str | None = None, first: int = 1) -> Reply:
    """List devices by state (waiting, sign-in, signed-in, problem …), site, tag, maker, technician, text."""
    page = await turn.provisioning.listing(turn.actor, words, after=after, first=first)
    return Reply(card=cards.listing_card(page, turn.now), private=True)


@router.command("find <words>", needs=SEE)
async def find(turn: Turn, words: str) -> Reply:
    """Find devices as devices does; a single one is shown at once."""
    page = await turn.provisioning.listing(turn.actor, words)
    if page.total == 1:
        return await device(turn, page.devices[0].mac)
    return Reply(card=cards.listing_card(page, turn.now), private=True)
