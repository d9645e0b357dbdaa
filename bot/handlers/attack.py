"""Attacks on codes: what admins are told and asked, and what they say. No channel ever shows it."""

from __future__ import annotations

from bot.routing import Router
from bot.turn import Living, Reply, Turn
from cards.views import attack as cards
from provisioning.access import Permission, require
from provisioning.messages import MessageKind
from provisioning.notifications import ATTACK

router = Router()
DEFEND = (Permission.DEFEND,)


async def _now(turn: Turn, said: str = "") -> Reply:
    """The card of it as it stands now; `said` is what was just decided."""
    siege = await turn.provisioning.siege(turn.actor)
    living = Living(subject=ATTACK, view="attack_now", drawn=cards.digest_of(siege))
    return Reply(card=cards.attack_card(siege, turn.now, said), private=True, living=living)


@router.command("attack", needs=DEFEND)
@router.action("attack")
async def attack(turn: Turn) -> Reply:
    """Show whether somebody tries codes all over the fleet, and which networks get through meanwhile."""
    return await _now(turn)


@router.command("allow <network>", needs=DEFEND)
@router.action("allow_network")
async def allow_network(turn: Turn, network: str) -> Reply:
    """Let a network through for 24 hours although codes are being tried all over the fleet."""
    name = await turn.provisioning.allow_network(turn.actor, network)
    return await _now(turn, cards.allowed_words(name))


@router.command("deny <network>", needs=DEFEND)
@router.action("deny_network")
async def deny_network(turn: Turn, network: str) -> Reply:
    """Do not let a network through for 24 hours while codes are being tried, nor ask about it again."""
    name = await turn.provisioning.deny_network(turn.actor, network)
    return await _now(turn, cards.denied_words(name))


# ------------------------------------------------------------------ told by the outbox


@router.notice(MessageKind.ATTACK)
async def attack_began(turn: Turn, subject: str = "") -> Reply | None:
    """It began; nothing where it is over by the time this is sent."""
    reply, siege = await _now(turn), await turn.provisioning.siege(turn.actor)
    return reply if siege.attack.on else None


@router.notice(MessageKind.ATTACK_OVER)
async def attack_over(turn: Turn, subject: str = "") -> Reply | None:
    """It is over; nothing where the next one goes on already."""
    siege = await turn.provisioning.siege(turn.actor)
    return None if siege.attack.on else Reply(card=cards.over_card(siege, turn.now), private=True)


@router.view
async def attack_now(turn: Turn) -> Reply | None:
    """The card as it stands now."""
    require(turn.actor, *DEFEND)  # whoever lost the right since is not told
    return await _now(turn)
