"""What admins hear of channels that cannot be written to."""

from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views.reach import channel_lost_card
from provisioning.errors import NotConnected
from provisioning.messages import MessageKind

router = Router()


@router.notice(MessageKind.CHANNEL_LOST)
async def channel_lost(turn: Turn, subject: str) -> Reply | None:
    """A channel answered 403 or 404, or the bot was taken out of its team."""
    try:
        found = await turn.provisioning.rollout_in(subject)
    except NotConnected:
        return None
    return Reply(card=channel_lost_card(found)) if found.lost else None
