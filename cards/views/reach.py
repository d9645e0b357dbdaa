"""What admins are told where the bot cannot write any more."""

from __future__ import annotations

from cards.view import Notice, Tone
from cards.views.rollouts import site_words
from cards.words import escape
from provisioning.delivery_errors import ChatGone
from provisioning.rollouts import Rollout
from provisioning.texts import _


def channel_lost_card(rollout: Rollout) -> Notice:
    site, name = site_words(rollout.scope), escape(rollout.channel.name)
    gone = rollout.lost == ChatGone.code
    return Notice(
        title=_("I cannot write into channel {name}", name=name) if name else _("I cannot write into a channel"),
        tone=Tone.WARNING,
        lines=(
            _("The channel does not exist any more.") if gone else _("The bot was removed from the team."),
            _("It followed {site}. That goes on, and nobody reads of it there.", site=site),
        ),
        small=(
            _("Say connect in another channel.")
            if gone
            else _("Add the app to the team again and mention me there, or say connect in another channel."),
        ),
    )
