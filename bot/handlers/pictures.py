"""How a rollout went, as a picture: for whoever asks, and for the card of a channel."""

from __future__ import annotations

from bot.routing import Router
from bot.turn import Reply, Turn
from cards.view import CardPicture
from cards.views import pictures as cards
from provisioning.access import Permission
from provisioning.burnup import BurnUp
from provisioning.documents.plot import NotDrawn
from provisioning.ports import InlinePicture
from provisioning.texts import speak_on

router = Router()


@router.command("picture [<site>]", "chart [<site>]", needs=(Permission.FOLLOW_ROLLOUT,))
async def picture(turn: Turn, site: str = "") -> Reply:
    """Show how a rollout went as a picture, hour by hour, one line per site."""
    burn_up = await _asked(turn, site)
    if not burn_up.lines:
        return Reply(text=cards.nothing_to_draw(burn_up))
    if turn.drawings is None:
        raise NotDrawn
    png = await turn.drawings.png(cards.plot_of(burn_up))
    if turn.in_channel:
        return Reply(card=cards.picture_card(burn_up, cards.card_picture(burn_up, png, turn.now), turn.now))
    alt = cards.alt_text(burn_up, turn.now)
    return Reply(picture=InlinePicture(alt, png, kind="image/png", push=cards.heading(burn_up)))


async def _asked(turn: Turn, site: str) -> BurnUp:
    if turn.in_channel and not site:
        speak_on(await turn.provisioning.channel_speech(turn.conversation.id))  # all of the channel sees it
        return await turn.provisioning.burn_up_in(turn.conversation.id)
    return await turn.provisioning.burn_up(turn.actor, site)


async def living_picture(turn: Turn, channel: str) -> CardPicture | None:
    """How the channel's rollout went, for its living card, which waits for no drawing: the newest that is there.

    None before the first one, and where nobody draws. Errors: `NotConnected`.
    """
    if turn.drawings is None:
        return None
    burn_up = await turn.provisioning.burn_up_in(channel)
    if not burn_up.lines:
        return None
    drawn = turn.drawings.newest(channel, cards.plot_of(burn_up), burn_up)
    return cards.card_picture(drawn.about, drawn.png, turn.now) if drawn else None
