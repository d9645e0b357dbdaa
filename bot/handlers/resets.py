"""A device's further lives: a factory reset is ordered, or somebody is asked whether one was done by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.handlers.commanding import REMOTE
from bot.handlers.day import SITE, job_reply
from bot.handlers.devices import device_again, gone, living
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import resets as cards
from provisioning.errors import BadInput, DeviceNotFound, NearMiss
from provisioning.messages import MessageKind
from provisioning.model import Device
from provisioning.texts import _

router = Router()
EITHER = (*REMOTE, *SITE)  # a technician only for a device of theirs that called again


@router.action("reset_form", needs=EITHER)
async def reset_form(turn: Turn, device: str, fault: BadInput | None = None) -> Reply:
    """Ask before a reset: the last four digits of the MAC confirm it."""
    return Reply(card=cards.reset_form(await turn.provisioning.reset_outlook(turn.actor, device), fault), private=True)


@router.command("reset <device> [confirm <digits>]", needs=EITHER)
@router.action("reset", form=reset_form)
async def reset(turn: Turn, device: str, digits: str = "") -> Reply:
    """End a device's life: after a factory reset it can be provisioned again; its history stays."""
    if not digits:
        return await reset_form(turn, device)
    done = await turn.provisioning.order_reset(turn.actor, device, digits)
    if turn.actor.is_admin:
        return await _asked(turn, done, turn.now)
    reply = await job_reply(turn, await turn.provisioning.job(turn.actor, done.mac))
    said = _("Reset: {place} begins life {life}.", place=done.place, life=done.life)
    return replace(reply, card=replace(reply.card, notice=said)) if reply.card else reply


async def _asked(turn: Turn, device: Device, at: datetime) -> Reply:
    names = await turn.provisioning.names((device.technician,))
    watched = living(device, "reset_again")
    return Reply(
        card=cards.reset_card(device, names.get(device.technician, ""), at, turn.now),
        private=True,
        living=replace(watched, params={**watched.params, "at": at.isoformat(), "life": str(device.life)}),
    )


@router.view
async def reset_again(turn: Turn, mac: str, at: str, life: int) -> Reply | None:
    """The new life as it stands now: once it has a code, or was provisioned, the device's card."""
    try:
        device = (await turn.provisioning.facts(turn.actor, mac)).device
    except (DeviceNotFound, NearMiss):
        return await gone(turn, mac)
    if device.life != life or device.provisioned or device.live_code(turn.now):
        return await device_again(turn, mac)
    return await _asked(turn, device, datetime.fromisoformat(at))


# ------------------------------------------------------------------ was it reset by hand?


@router.notice(MessageKind.RESET_DOUBTED)
async def reset_doubted(turn: Turn, subject: str) -> Reply | None:
    """A provisioned device called again; nothing where that is settled."""
    device = await turn.provisioning.doubted(turn.actor, subject)
    return _doubt(turn, device) if device else None


def _doubt(turn: Turn, device: Device) -> Reply:
    return Reply(card=cards.doubt_card(device, turn.now), private=True, living=living(device, "doubt_again"))


@router.view
async def doubt_again(turn: Turn, mac: str) -> Reply | None:
    """The question as it stands now: open, or what became of it."""
    if device := await turn.provisioning.doubted(turn.actor, mac):
        return _doubt(turn, device)
    try:
        device = (await turn.provisioning.facts(turn.actor, mac)).device
    except (DeviceNotFound, NearMiss):
        return await gone(turn, mac)
    return Reply(card=cards.doubt_over(device), private=True, living=living(device, "doubt_again"))


@router.command("ignore <device>", needs=EITHER)
@router.action("doubt_ignore")
async def ignore(turn: Turn, device: str) -> Reply | None:
    """Say that a device which called again was not reset."""
    return await doubt_again(turn, (await turn.provisioning.dismiss_doubt(turn.actor, device)).mac)
