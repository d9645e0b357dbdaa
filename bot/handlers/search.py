"""Finding a device from the compose box: what is chosen goes into a message that others read."""

from __future__ import annotations

from bot.turn import SearchResult, Turn
from cards.render import render
from cards.views import finding as cards
from cards.words import plain
from provisioning.model import Device
from provisioning.texts import current_speech


async def search(turn: Turn, text: str, skip: int, count: int) -> tuple[SearchResult, ...]:
    """Devices by a part of their MAC or by place; nothing, and no hint, for whoever may see none."""
    found = await turn.provisioning.search(turn.actor, text, skip=skip, limit=count)
    return tuple(_result(turn, device) for device in found)


def _result(turn: Turn, device: Device) -> SearchResult:
    title, text = cards.result_words(device)
    card = render(cards.shared_card(device, turn.now), operation="", locale=current_speech().language)
    return SearchResult(title=plain(title), text=plain(text), card=card)
