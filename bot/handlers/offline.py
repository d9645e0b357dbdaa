"""Work where there is no signal: the signed sheet, and catching up afterwards."""

from __future__ import annotations

from dataclasses import replace

from bot.handlers.day import SITE
from bot.handlers.exports import BLOCK_BYTES, SEE, offer, plain_name
from bot.handlers.silent import offline_devices
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import day
from cards.views import offline as cards
from provisioning.texts import _

router = Router()


@router.command("offline", needs=(*SITE, *SEE))
@router.action("offline")
async def offline(turn: Turn) -> Reply:
    """For technicians the sheet of pack, for admins the devices that do not call."""
    return await pack(turn) if turn.actor.is_technician else await offline_devices(turn)


@router.command("pack", needs=SITE)
@router.action("pack")
async def pack(turn: Turn) -> Reply:
    """Take your open devices with their codes along on paper, for where there is no signal."""
    outlook = await turn.provisioning.pack_outlook(turn.actor)
    if not outlook.devices:
        return Reply(card=day.no_jobs(await turn.provisioning.day(turn.actor)), private=True)
    name = _("offline {name}.pdf", name=plain_name(turn.actor.name))
    made = offer(turn, name, outlook.devices * BLOCK_BYTES, kind="pack")
    if made.offer is None:
        raise AssertionError("an offer offers")
    return replace(made, offer=replace(made.offer, description=cards.offer_words(outlook)))


@router.command("sheet <words>", needs=(*SITE, *SEE))
@router.action("sheet")
async def sheet(turn: Turn, words: str) -> Reply:
    """Check whether a printed sheet is genuine: type what its footer or its QR code says."""
    return Reply(card=cards.sheet_card(await turn.provisioning.check_sheet(turn.actor, words), turn.now), private=True)


@router.command("install all", needs=SITE)
@router.action("install_all")
async def install_all(turn: Turn) -> Reply:
    """Confirm the install of every device of yours that called in."""
    done = await turn.provisioning.confirm_called_in(turn.actor)
    if done.devices:
        await turn.provisioning.forget_photo(turn.actor)
    return Reply(card=cards.confirmed_card(done), private=True)
