"""What a channel says and sees of its rollout."""

from __future__ import annotations

import dataclasses
import hashlib

from bot.handlers.pictures import living_picture
from bot.routing import Router, Where
from bot.turn import Living, Reply, Turn
from cards.view import RolloutCard
from cards.views import rollouts as cards
from cards.views.common import note
from provisioning.access import Permission, allowed
from provisioning.errors import NotConnected, WrongPlace
from provisioning.messages import MessageKind
from provisioning.service.people import SERVICE
from provisioning.texts import _, speak_on

router = Router()
CONNECT = (Permission.CONNECT_CHANNELS,)


@router.command("connect [<site>]", needs=CONNECT, where=Where.CHANNEL)
async def connect(turn: Turn, site: str = "") -> Reply:
    """Let this channel follow the rollout of a site, of a tag, or all of it, on one living card."""
    if not turn.in_channel:
        raise WrongPlace
    followed = await turn.provisioning.connect(turn.actor, turn.conversation, site)
    return dataclasses.replace(await _for_all(turn), text=cards.connected_note(followed))


async def _card(turn: Turn) -> Reply:
    """As the turn's actor may see it: the one that stands in the channel is drawn for nobody in particular."""
    channel = turn.conversation.id
    followed = await turn.provisioning.followed_in(channel)
    admin = allowed(turn.actor, *CONNECT)
    readers = await turn.provisioning.card_readers()
    picture = await living_picture(turn, channel)
    card = dataclasses.replace(cards.rollout_card(followed, turn.now, admin=admin, readers=readers), picture=picture)
    living = Living(subject=channel, view="rollout_again", params={"channel": channel}, drawn=_digest(card))
    return Reply(card=card, living=living)


def _digest(card: RolloutCard) -> str:
    """Of what the card says and shows, but for when it was drawn."""
    said = dataclasses.replace(card, updated="", revision=0)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


async def _for_all(turn: Turn) -> Reply:
    """What is posted is read by everybody, whoever asked for it."""
    return await _card(dataclasses.replace(turn, actor=SERVICE))


@router.view
async def rollout_again(turn: Turn, channel: str) -> Reply | None:
    """The living card as it stands now; a channel that follows nothing keeps what it has."""
    try:
        return await _card(turn)
    except NotConnected:
        return None


@router.action("rollout_mine")
async def rollout_mine(turn: Turn) -> Reply:
    """The living card as its reader sees it: admins decide there, others read."""
    return dataclasses.replace(await _card(turn), living=None)


@router.action("rollout_card")
async def rollout_card(turn: Turn, site: str = "") -> Reply:
    """Back to the living card; in a chat, to the site that was asked for."""
    return await rollout_mine(turn) if turn.in_channel else await rollout(turn, site)


@router.command("rollout [<site>]")
async def rollout(turn: Turn, site: str = "") -> Reply:
    """Show how a rollout stands, in words; in a chat without a site, all of them."""
    if turn.in_channel and not site:
        speak_on(await turn.provisioning.channel_speech(turn.conversation.id))  # all of the channel reads it
        if not await turn.provisioning.thread_of(turn.conversation.id):
            return await _for_all(turn)
        followed = await turn.provisioning.followed_in(turn.conversation.id)
        return Reply(text=cards.plain_note(followed, turn.now))  # one living card a channel; this is how it stands now
    progress = await turn.provisioning.progress(turn.actor, site)
    if not site and (every := await turn.provisioning.rollouts(turn.actor)):
        return Reply(card=cards.rollouts_card(every, progress, turn.now))
    return Reply(card=cards.details_card(progress, turn.now))


@router.action("rollout_details")
async def rollout_details(turn: Turn, site: str = "") -> Reply:
    """The counts behind the bar."""
    if turn.in_channel:
        followed = await turn.provisioning.followed_in(turn.conversation.id)
        return Reply(card=cards.details_card(followed.progress, turn.now, followed))
    return Reply(card=cards.details_card(await turn.provisioning.progress(turn.actor, site), turn.now))


@router.command("disconnect", needs=CONNECT, where=Where.CHANNEL)
async def disconnect(turn: Turn) -> Reply:
    """Let this channel follow nothing any more."""
    return Reply(text=cards.disconnected_note(await turn.provisioning.disconnect(turn.actor, turn.conversation)))


@router.notice(MessageKind.ROLLOUT_STARTED)
@router.notice(MessageKind.MILESTONE)
async def milestone(turn: Turn, subject: str, percent: int = 0) -> Reply | None:
    """A milestone of the channel's rollout."""
    try:
        found = await turn.provisioning.rollout_in(subject)
    except NotConnected:
        return None
    if found.finished or percent not in found.reached:  # the channel follows another one by now, or it is over
        return None
    return Reply(text=cards.milestone_note(found, percent))


@router.notice(MessageKind.CODES_ENDED)
async def codes_ended(turn: Turn, subject: str, count: int = 0) -> Reply:
    """More than five codes of a rollout ended together."""
    return Reply(text=cards.codes_ended_note(count))


@router.notice(MessageKind.CODES_DYING)
async def codes_dying(turn: Turn, subject: str, count: int = 0) -> Reply:
    """More than five codes of a rollout end soon."""
    return Reply(text=cards.codes_dying_note(count))


@router.notice(MessageKind.CARD_GONE)
async def card_gone(turn: Turn, subject: str) -> Reply | None:
    """The living card was deleted twice."""
    try:
        found = await turn.provisioning.rollout_in(subject)
    except NotConnected:
        return None
    return Reply(card=cards.card_gone_card(found.scope))


@router.action("dismiss")
async def dismiss(turn: Turn) -> Reply:
    """Nothing is done."""
    return Reply(card=note(_("Nothing was done.")))
