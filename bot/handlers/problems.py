"""Problems on site: told by technicians, solved by admins."""

from __future__ import annotations

from dataclasses import replace

from bot.handlers.day import SITE, job_reply
from bot.handlers.devices import EDIT, gone, living
from bot.handlers.devices import device as device_card
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import problems as cards
from cards.views.rollouts import problem_note
from provisioning.access import require
from provisioning.errors import BadInput, DeviceNotFound, NearMiss
from provisioning.messages import MessageKind
from provisioning.model import Device
from provisioning.texts import _

router = Router()


@router.action("problem_form", needs=SITE)
async def problem_form(turn: Turn, device: str, note: str = "", fault: BadInput | None = None) -> Reply:
    """The form that reports a problem."""
    found = await turn.provisioning.device(turn.actor, device)
    return Reply(card=cards.problem_form(found, fault, note))


@router.command("problem <device> [<note>]", needs=SITE)
@router.action("problem")
async def problem(turn: Turn, device: str, note: str = "") -> Reply:
    """Report what is wrong with a device; the admins and the channel are told."""
    found, note = await turn.provisioning.device_and_rest(turn.actor, f"{device} {note}")
    return await problem_save(turn, found.mac, "other", note) if note else await problem_form(turn, found.mac)


@router.action("problem_save", form=problem_form, needs=SITE)
async def problem_save(turn: Turn, device: str, kind: str = "", note: str = "") -> Reply:
    """Send the problem."""
    reported = await turn.provisioning.report(turn.actor, device, kind, note)
    await turn.provisioning.forget_photo(turn.actor)  # only now: who gets the form back has not moved on
    return Reply(card=cards.problem_sent(reported))


@router.command("solved <device>", needs=EDIT)
@router.action("solve")
async def solved(turn: Turn, device: str) -> Reply:
    """Say that a reported problem is over: its technician gets the device again."""
    found, was = await turn.provisioning.solve(turn.actor, device)
    reply = await device_card(turn, found.mac)
    said = _("The problem is solved.") if was else _("No problem is reported there.")
    return replace(reply, card=replace(reply.card, notice=said)) if reply.card else reply


def _told(turn: Turn, device: Device) -> Reply:
    return Reply(card=cards.problem_told(device, turn.now), private=True, living=living(device, "problem_again"))


@router.view
@router.action("problem_back", needs=EDIT)
async def problem_again(turn: Turn, device: str = "", mac: str = "") -> Reply | None:
    """A problem as it stands now: open, answered or solved."""
    try:
        return _told(turn, (await turn.provisioning.facts(turn.actor, mac or device)).device)
    except (DeviceNotFound, NearMiss):
        return await gone(turn, mac or device)


@router.action("answer_form", needs=EDIT)
async def answer_form(turn: Turn, device: str, words: str = "", fault: BadInput | None = None) -> Reply:
    """The form that answers a problem."""
    found = (await turn.provisioning.facts(turn.actor, device)).device
    return Reply(card=cards.answer_form(found, fault, words)) if found.problem else _told(turn, found)


@router.command("answer <device> [<words>]", needs=EDIT)
@router.action("answer")
async def answer(turn: Turn, device: str, words: str = "") -> Reply:
    """Say what to do about a reported problem: its technician is told."""
    found, words = await turn.provisioning.device_and_rest(turn.actor, f"{device} {words}")
    return await answer_save(turn, found.mac, words) if words else await answer_form(turn, found.mac)


@router.action("answer_save", form=answer_form, needs=EDIT)
async def answer_save(turn: Turn, device: str, words: str = "") -> Reply:
    """Send the answer."""
    return _told(turn, await turn.provisioning.answer(turn.actor, device, words))


@router.notice(MessageKind.PROBLEM_REPORTED)
async def problem_reported(turn: Turn, subject: str) -> Reply | None:
    """A problem, to the admins and to the channel's thread."""
    told = await turn.provisioning.problem_of(subject)
    if told is None:
        return None
    if turn.in_channel:
        owner = await turn.provisioning.lead_in(turn.conversation.id) or told.owner
        mentions = ((owner.teams_id, owner.name),) if owner and owner.teams_id else ()
        name = f"<at>{owner.name}</at>" if owner and mentions else ""
        return Reply(text=problem_note(told.device, name), mentions=mentions)
    require(turn.actor, *EDIT)  # whoever lost the right since is not told
    return _told(turn, told.device)


@router.notice(MessageKind.PROBLEM_ANSWERED)
async def problem_answered(turn: Turn, subject: str) -> Reply | None:
    """What an admin said to it, on the device's card."""
    told = await turn.provisioning.problem_of(subject)
    answer = told.device.problem.answer if told and told.device.problem else None
    if told is None or answer is None or not turn.actor.is_technician:
        return None
    reply = await job_reply(turn, await turn.provisioning.job(turn.actor, subject))
    push = cards.answered_push(told.device, answer)
    return replace(reply, card=replace(reply.card, summary=push)) if reply.card else reply
