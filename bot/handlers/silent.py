"""Devices that do not call: what admins ask, and what they and the channels are told."""

from __future__ import annotations

from datetime import timedelta

from bot.handlers.devices import SEE
from bot.routing import Router
from bot.turn import Living, Reply, Turn
from cards.views import silent as cards
from provisioning.access import require
from provisioning.messages import MessageKind
from provisioning.notifications import OFFLINE
from provisioning.service.lookup import EVERYTHING, Target

router = Router()
LATELY = timedelta(minutes=10)
LONG_AGO = timedelta(days=30)


async def _scope(turn: Turn, text: str) -> Target:
    return await turn.provisioning.scope(text) if text else EVERYTHING


@router.command("offline <site>", "devices offline [<site>]", needs=SEE)
@router.action("offline_devices")
async def offline_devices(turn: Turn, site: str = "", after: str | None = None, first: int = 1) -> Reply:
    """List devices that do not call, with how long ago they last did: of a site, a tag, or everywhere."""
    target = await _scope(turn, site)
    page = await turn.provisioning.offline(turn.actor, target, after=after, first=first)
    return Reply(card=cards.offline_card(page, turn.now), private=True)


@router.command("stale [<site>]", "devices stale [<site>]", needs=SEE)
@router.action("stale_devices")
async def stale_devices(turn: Turn, site: str = "", after: str | None = None, first: int = 1) -> Reply:
    """List devices of which nothing was heard for long; they are never dropped by themselves."""
    target = await _scope(turn, site)
    page = await turn.provisioning.offline(turn.actor, target, stale=True, after=after, first=first)
    return Reply(card=cards.stale_card(page, turn.now), private=True)


# ------------------------------------------------------------------ told by the outbox


@router.notice(MessageKind.DEVICES_OFFLINE)
async def devices_offline(turn: Turn, subject: str = "") -> Reply | None:
    """Devices went silent; nothing where all of them are back."""
    if turn.in_channel:
        rollout = await turn.provisioning.rollout_in(turn.conversation.id)
        if await turn.provisioning.alerted_lately(rollout.key):
            return None  # the living card says it
        page = await turn.provisioning.silent_of(Target(site=rollout.site, tag=rollout.tag))
        return Reply(text=cards.channel_note(page)) if page.total else None
    if await turn.provisioning.told_lately(turn.actor, OFFLINE, turn.now - LATELY):
        return None  # that list changes by itself
    page = await turn.provisioning.silent_of(EVERYTHING)
    return await offline_now(turn) if page.total else None


@router.view
async def offline_now(turn: Turn) -> Reply | None:
    """The list as it stands now."""
    require(turn.actor, *SEE)  # whoever lost the right since is not told
    page = await turn.provisioning.silent_of(EVERYTHING)
    living = Living(subject=OFFLINE, view="offline_now", revision=int(bool(page.total)))
    return Reply(card=cards.told_card(page, turn.now), private=True, living=living)


@router.notice(MessageKind.DEVICES_STALE)
async def devices_stale(turn: Turn, subject: str = "") -> Reply | None:
    """Nothing was heard of some devices for long."""
    page = await turn.provisioning.offline(turn.actor, EVERYTHING, stale=True)
    limit = turn.provisioning.policy.stale_after or LONG_AGO
    return Reply(card=cards.stale_told(page, limit)) if page.total else None
