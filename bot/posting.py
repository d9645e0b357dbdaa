"""What is posted for a reply, and what is kept of a card that stays in a chat; both doors, in and out, use these."""

from __future__ import annotations

import secrets

from bot.turn import Living, Reply, Turn
from cards.render import render
from cards.words import plain
from provisioning.messages import Post
from provisioning.ports import Message
from provisioning.texts import current_speech


def message_of(reply: Reply) -> Message:
    """What is posted for a reply, in the reader's language. A card's push line holds no code."""
    if reply.card is None:
        return Message(summary=plain(reply.text), text=reply.text, mentions=reply.mentions)
    card = render(reply.card, operation=secrets.token_hex(8), locale=current_speech().language)
    return Message(summary=reply.card.push, card=card)


def post_of(turn: Turn, activity_id: str, living: Living, reader: str) -> Post:
    """What has to be known of a living card to draw it anew."""
    return Post(
        conversation=turn.conversation,
        activity_id=activity_id,
        reader=reader,
        subject=living.subject,
        view=living.view,
        params=tuple(sorted(living.params.items())),
        revision=living.revision,
        shows_code=living.shows_code,
        drawn=living.drawn,
        posted_at=turn.now,
    )
