"""Near misses: a code that was typed on another device. Its technician is told, and decides; admins only if asked."""

from __future__ import annotations

from bot.handlers.day import SITE, job, job_again, job_reply
from bot.handlers.devices import EDIT, living
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import strays as cards
from cards.views.common import note
from provisioning.errors import BadInput
from provisioning.messages import MessageKind
from provisioning.service.nearmiss import StrayRequest
from provisioning.texts import _

router = Router()


@router.notice(MessageKind.STRAY)
async def stray(turn: Turn, subject: str) -> Reply | None:
    """A code of theirs was typed on another device."""
    found = await turn.provisioning.device(turn.actor, subject)
    told = await turn.provisioning.astray(turn.actor, found)
    return await job_again(turn, found.mac) if told else None


@router.action("stray_code", needs=SITE)
async def stray_code(turn: Turn, device: str) -> Reply:
    """Go on with the device that called: its card, with its code."""
    caller = await turn.provisioning.follow_stray(turn.actor, device)
    return await job(turn, caller.mac)


@router.action("stray_swap", needs=SITE)
async def stray_swap(turn: Turn, device: str) -> Reply:
    """The two devices hang in each other's room: exchange them."""
    caller = await turn.provisioning.swap_stray(turn.actor, device)
    return await job(turn, caller.mac)


@router.command("not mine <device>", needs=SITE)
@router.action("stray_dismiss")
async def stray_dismiss(turn: Turn, device: str) -> Reply | None:
    """You have nothing to do with the device that called with this one's code."""
    found = await turn.provisioning.dismiss_stray(turn.actor, device)
    return await job_again(turn, found.mac)


@router.command("ask admin <device>", needs=SITE)
@router.action("stray_ask")
async def stray_ask(turn: Turn, device: str) -> Reply | None:
    """Ask the admins for the device that called with this one's code."""
    found = await turn.provisioning.ask_stray(turn.actor, device)
    return await job_again(turn, found.mac)


@router.notice(MessageKind.STRAY_ADDED)
async def stray_added(turn: Turn, subject: str) -> Reply | None:
    """The device they asked for is theirs: its card, with its code. A photo that is waited for stays so."""
    return await job_reply(turn, await turn.provisioning.job(turn.actor, subject))


# ------------------------------------------------------------------ the admins


def _asked(request: StrayRequest) -> Reply:
    return Reply(card=cards.asked_card(request), private=True, living=living(request.device, "stray_asked_again"))


@router.notice(MessageKind.STRAY_ASKED)
async def stray_told(turn: Turn, subject: str) -> Reply | None:
    """A technician is at a device that is nobody's."""
    request = await turn.provisioning.stray_request(turn.actor, subject)
    return _asked(request) if request.stray and not request.stray.over else None


@router.view
async def stray_asked_again(turn: Turn, mac: str) -> Reply | None:
    """The question as it stands now: open, or answered by somebody."""
    return _asked(await turn.provisioning.stray_request(turn.actor, mac))


@router.action("stray_asked", needs=EDIT)
async def stray_asked(turn: Turn, device: str) -> Reply | None:
    """Back to what a technician asked."""
    return await stray_asked_again(turn, device)


@router.action("stray_add_form", needs=EDIT)
async def stray_add_form(turn: Turn, device: str, location: str = "", fault: BadInput | None = None) -> Reply:
    """A form: where the unknown device hangs."""
    request = await turn.provisioning.stray_request(turn.actor, device)
    if request.stray is None or request.stray.answered_at or request.caller:
        return _asked(request)
    return Reply(card=cards.add_form(request, location, fault))


@router.action("stray_add", form=stray_add_form, needs=EDIT)
async def stray_add(turn: Turn, device: str, location: str) -> Reply:
    """Put the unknown device on the list, with a code, into the hands of whoever stands before it."""
    return _asked(await turn.provisioning.grant_stray(turn.actor, device, location))


@router.action("stray_assign", needs=EDIT)
async def stray_assign(turn: Turn, device: str) -> Reply:
    """Give the device to whoever stands before it, with a code."""
    return _asked(await turn.provisioning.grant_stray(turn.actor, device))


@router.command("refuse stray <device>", needs=EDIT)
@router.action("stray_refuse")
async def stray_refuse(turn: Turn, device: str) -> Reply:
    """Do not give a technician the device they asked for."""
    return _asked(await turn.provisioning.refuse_stray(turn.actor, device))


@router.action("not_meant")
async def not_meant(turn: Turn) -> Reply:
    """Another device was meant than the one that was suggested."""
    return Reply(card=note(_("Nothing was done. Read the label once more, or type the room.")))
