"""What a channel says and sees of its rollout."""

from __future__ import annotations

from dataclasses import replace

from bot.routing import Router, Where
from bot.turn import Living, Reply, Turn
from cards.views import rollouts as cards
from cards.views.common import note
from provisioning.access import Permission
from provisioning.errors import InvalidChoice, NotConnected, WrongPlace
from provisioning.messages import MessageKind
from provisioning.texts import _, speak_on

router = Router()
CONNECT = (Permission.CONNECT_CHANNELS,)
START_WORDS = {"on site": True, "codes on site": True, "at once": False, "codes at once": False}


@router.command("connect [<site>]", needs=CONNECT, where=Where.CHANNEL)
async def connect(turn: Turn, site: str = "") -> Reply:
    """Let this channel follow the rollout of a site, of a tag, or all of it, on one living card."""
    if not turn.in_channel:
        raise WrongPlace
    followed = await turn.provisioning.connect(turn.actor, turn.conversation, site)
    return replace(await _card(turn), text=cards.connected_note(followed))


async def _card(turn: Turn) -> Reply:
    channel = turn.conversation.id
    progress = await turn.provisioning.progress_in(channel)
    living = Living(subject=channel, view="rollout_again", params={"channel": channel})
    return Reply(card=cards.rollout_card(progress, turn.now), living=living)


@router.view
async def rollout_again(turn: Turn, channel: str) -> Reply | None:
    """The living card as it stands now; a channel that follows nothing keeps what it has."""
    try:
        return await _card(turn)
    except NotConnected:
        return None


@router.action("rollout_card")
async def rollout_card(turn: Turn, site: str = "") -> Reply:
    """Back to the living card; in a chat, to the site that was asked for."""
    return await rollout(turn, "" if turn.in_channel else site)


@router.command("rollout [<site>]")
async def rollout(turn: Turn, site: str = "") -> Reply:
    """Show how a rollout stands."""
    if turn.in_channel and not site:
        if not turn.pressed:  # all of the channel reads it
            speak_on(await turn.provisioning.channel_speech(turn.conversation.id))
        card = await _card(turn)
        stands = await turn.provisioning.thread_of(turn.conversation.id)
        return replace(card, living=None) if stands else card  # one living card a channel; this is how it stands now
    progress = await turn.provisioning.progress(turn.actor, site)
    return Reply(card=cards.details_card(progress))


@router.action("rollout_details")
async def rollout_details(turn: Turn, site: str = "") -> Reply:
    """The counts behind the bar."""
    if turn.in_channel:
        return Reply(card=cards.details_card(await turn.provisioning.progress_in(turn.conversation.id)))
    return Reply(card=cards.details_card(await turn.provisioning.progress(turn.actor, site)))


@router.command("policy <start>", needs=CONNECT, where=Where.CHANNEL)
async def policy(turn: Turn, start: str) -> Reply:
    """Say how codes of this channel's rollout start: policy on site, or policy at once."""
    if not turn.in_channel:
        raise WrongPlace
    chosen = START_WORDS.get(" ".join(start.casefold().split()))
    if chosen is None:
        raise InvalidChoice(text=start[:40], choices="policy on site, policy at once")
    changed = await turn.provisioning.set_start(turn.actor, turn.conversation, on_site=chosen)
    speak_on(await turn.provisioning.channel_speech(turn.conversation.id))  # all of the channel reads it
    return Reply(text=cards.policy_note(changed))


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
    return Reply(text=cards.milestone_note(found, percent))


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
