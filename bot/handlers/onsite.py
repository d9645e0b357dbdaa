"""The technician's day: the next device, its code, the install, a problem."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

from bot.handlers.codes import code_of
from bot.handlers.devices import EDIT, gone, living
from bot.handlers.devices import device as device_card
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import onsite as cards
from cards.views.people import access_ended
from cards.views.rollouts import problem_note
from provisioning.access import Permission
from provisioning.errors import BadInput
from provisioning.lifecycle import awaits_word, companion
from provisioning.model import Device, MessageKind
from provisioning.service.onsite import Job
from provisioning.texts import _

router = Router()
SITE = (Permission.WORK_ON_SITE,)


async def _job(turn: Turn, job: Job, *, upcoming: bool = False) -> Reply:
    person = await turn.provisioning.who(turn.actor.id)
    readers = (person.teams_id,) if person and person.teams_id else ()
    organisation = turn.provisioning.policy.organisation
    card = cards.job_card(job, turn.now, organisation, upcoming=upcoming, readers=readers)
    kept = living(job.device, "job_again", shows_code=bool(job.held.digits))
    if upcoming:
        kept = dataclasses.replace(kept, params={**kept.params, "upcoming": "true"})
    return Reply(card=card, private=True, living=kept)


@router.command("next", needs=SITE)
@router.action("next")
@router.notice(MessageKind.NEXT_DEVICE)
@router.notice(MessageKind.NEW_JOBS)
async def next_device(turn: Turn, subject: str = "") -> Reply | None:
    """Show your next device with its place and code."""
    job = await turn.provisioning.next_job(turn.actor)
    if job is None:
        return Reply(card=cards.no_jobs(await turn.provisioning.day(turn.actor)), private=True)
    return await _job(turn, job, upcoming=True)


@router.view
async def job_again(turn: Turn, mac: str, upcoming: bool = False) -> Reply | None:
    """The job's card as it stands now."""
    if not turn.actor.roles:
        return Reply(card=access_ended())
    job = await turn.provisioning.redraw_job(turn.actor, mac)
    return await _job(turn, job, upcoming=upcoming) if job else await gone(turn, mac)


@router.action("job", needs=SITE)
async def job(turn: Turn, device: str) -> Reply:
    """Back to a device's card."""
    return await _job(turn, await turn.provisioning.job(turn.actor, device))


@router.command("my devices", "list", needs=SITE)
@router.action("jobs")
async def my_devices(turn: Turn, after: int = 0, first: int = 0) -> Reply:
    """List your open devices in walking order, without codes."""
    return Reply(card=cards.jobs_card(await turn.provisioning.day(turn.actor), turn.now, after), private=True)


@router.command("code <device>", needs=(*SITE, Permission.ISSUE_CODES))
@router.action("code")
async def code(turn: Turn, device: str) -> Reply:
    """Show a device's code, in your own chat."""
    if turn.actor.is_admin:
        found = await turn.provisioning.device(turn.actor, device)
        if found.technician != turn.actor.id:
            return await code_of(turn, found.mac)
    return await job(turn, device)


@router.command("new code <device>", needs=SITE)
@router.action("renew", fresh=True)
async def new_code(turn: Turn, device: str) -> Reply:
    """Get a new code for one of your devices; the old one dies."""
    return await _job(turn, await turn.provisioning.renew(turn.actor, device))


# ------------------------------------------------------------------ the install


@router.action("install_form", needs=SITE)
async def install_form(
    turn: Turn,
    device: str,
    mounting_only: bool = False,
    note: str = "",
    screen: bool = False,
    fault: BadInput | None = None,
) -> Reply:
    """The form that confirms an install; asks first where the device has not called in."""
    current = (await turn.provisioning.job(turn.actor, device)).device
    organisation = turn.provisioning.policy.organisation
    if current.installed and not awaits_word(current):
        return await _saved(turn, current)
    if not (current.provisioned or companion(current) or mounting_only):
        return Reply(card=cards.not_called_in(current, note))
    return Reply(
        card=cards.install_form(
            current, organisation, mounting_only=mounting_only, fault=fault, note=note, screen=screen
        )
    )


@router.command("install <device> [<note>]", needs=SITE)
@router.action("install")
async def install(turn: Turn, device: str, note: str = "") -> Reply:
    """Confirm that a device is installed, with a note if you like."""
    found, note = await turn.provisioning.device_and_rest(turn.actor, f"{device} {note}")
    if awaits_word(found):
        return await install_form(turn, found.mac, note=note)
    if not found.provisioned and not found.installed:
        return Reply(card=cards.not_called_in(found, note))
    return await _saved(turn, found, note, checked=True)


@router.action("install_save", form=install_form, needs=SITE)
async def install_save(
    turn: Turn,
    device: str,
    note: str = "",
    checked: bool = False,
    screen: bool = False,
    mounting_only: bool = False,
) -> Reply:
    """Save the install."""
    found = await turn.provisioning.device(turn.actor, device)
    return await _saved(turn, found, note, checked=checked, screen=screen, mounting_only=mounting_only)


async def _saved(turn: Turn, found: Device, note: str = "", **word: bool) -> Reply:
    """The install as it stands. What was confirmed before stays so, and whoever taps again reads by whom and when."""
    said = found.installed and not (word.get("screen") and awaits_word(found))
    actor = replace(turn.actor, operation="") if said else turn.actor
    saved = await turn.provisioning.confirm(actor, found.mac, note, **word)
    return Reply(card=cards.saved_card(saved, turn.now, turn.actor.id, turn.provisioning.policy.organisation))


# ------------------------------------------------------------------ problems


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
    return Reply(card=cards.problem_sent(await turn.provisioning.report(turn.actor, device, kind, note)))


@router.command("solved <device>", needs=EDIT)
@router.action("solve")
async def solved(turn: Turn, device: str) -> Reply:
    """Say that a reported problem is over: its technician gets the device again."""
    found, was = await turn.provisioning.solve(turn.actor, device)
    reply = await device_card(turn, found.mac)
    said = _("The problem is solved.") if was else _("No problem is reported there.")
    return replace(reply, card=replace(reply.card, notice=said)) if reply.card else reply


@router.notice(MessageKind.PROBLEM_REPORTED)
async def problem_reported(turn: Turn, subject: str) -> Reply | None:
    """A problem, to the admins and to the channel's thread."""
    told = await turn.provisioning.problem_of(subject)
    if told is None:
        return None
    if turn.in_channel:
        owner = told.owner
        mentions = ((owner.teams_id, owner.name),) if owner and owner.teams_id else ()
        name = f"<at>{owner.name}</at>" if owner and mentions else ""
        return Reply(text=problem_note(told.device, name), mentions=mentions)
    return Reply(card=cards.problem_told(told.device, told.reporter))
