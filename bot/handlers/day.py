"""The technician's day: the next device, the list, a device's code."""

from __future__ import annotations

import dataclasses

from bot.handlers.codes import code_of
from bot.handlers.devices import gone, living
from bot.routing import Router
from bot.turn import Reply, Trigger, Turn
from cards.views import day as cards
from cards.views.people import access_ended
from cards.views.strays import stray_card
from provisioning.access import Permission
from provisioning.messages import MessageKind
from provisioning.service.day import Job
from provisioning.texts import current_speech

router = Router()
SITE = (Permission.WORK_ON_SITE,)


async def job_reply(turn: Turn, job: Job, *, upcoming: bool = False) -> Reply:
    """A device as its technician holds it; redrawn when it changes."""
    person = await turn.provisioning.who(turn.actor.id)
    readers = (person.teams_id,) if person and person.teams_id else ()
    organisation = turn.provisioning.policy.organisation
    if astray := await turn.provisioning.astray(turn.actor, job.device):
        card = stray_card(job, astray, turn.now, readers)
    else:
        card = cards.job_card(job, turn.now, organisation, upcoming=upcoming, readers=readers)
    kept = living(job.device, "job_again", shows_code=bool(job.held.digits))
    if upcoming:
        kept = dataclasses.replace(kept, params={**kept.params, "upcoming": "true"})
    return Reply(card=card, private=True, living=kept)


@router.command("next", needs=SITE)
@router.action("next")
@router.notice(MessageKind.NEXT_DEVICE)
async def next_device(turn: Turn, former: str = "") -> Reply | None:
    """Show your next device with its place and code."""
    if turn.trigger is not Trigger.NOTICE:
        await turn.provisioning.forget_photo(turn.actor)
    job = await turn.provisioning.next_job(turn.actor)
    if job is None:
        return Reply(card=cards.no_jobs(await turn.provisioning.day(turn.actor)), private=True)
    reply = await job_reply(turn, job, upcoming=True)
    giver = await turn.provisioning.who(former) if former else None
    if giver is None or reply.card is None:
        return reply
    count = await turn.provisioning.handed_on(giver.id, turn.actor.id)
    return dataclasses.replace(reply, card=dataclasses.replace(reply.card, summary=cards.from_words(giver, count)))


@router.notice(MessageKind.NEW_JOBS)
async def new_jobs(turn: Turn, subject: str = "", former: str = "", asked: str = "") -> Reply | None:
    """Show your next device with its place and code."""
    if not asked and await turn.provisioning.all_rests(turn.actor):
        return None  # they are written to when it goes on
    return await next_device(turn, former)


@router.notice(MessageKind.MORNING)
async def morning(turn: Turn, day: str) -> Reply | None:
    """The day begins: its next device, and how many there are. Not on another day, however late it gets through."""
    if day != turn.now.astimezone(current_speech().timezone).date().isoformat():
        return None
    mine = await turn.provisioning.day(turn.actor)
    reply = await next_device(turn) if mine.open else None
    if reply is None or reply.card is None:
        return None
    return dataclasses.replace(reply, card=dataclasses.replace(reply.card, summary=cards.morning_words(mine)))


@router.view
async def job_again(turn: Turn, mac: str, upcoming: bool = False) -> Reply | None:
    """The job's card as it stands now."""
    if not turn.actor.roles:
        return Reply(card=access_ended())
    job = await turn.provisioning.redraw_job(turn.actor, mac)
    return await job_reply(turn, job, upcoming=upcoming) if job else await gone(turn, mac)


@router.action("job", needs=SITE)
async def job(turn: Turn, device: str) -> Reply:
    """Back to a device's card."""
    await turn.provisioning.forget_photo(turn.actor)
    return await job_reply(turn, await turn.provisioning.job(turn.actor, device))


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


@router.command("start <device>", needs=SITE)
@router.action("start")
async def start(turn: Turn, device: str) -> Reply:
    """You stand before one of your devices: get its code, made now where none lives."""
    return await job_reply(turn, await turn.provisioning.start(turn.actor, device))


@router.notice(MessageKind.CODE_ANSWERED)
async def code_answered(turn: Turn, subject: str) -> Reply | None:
    """An admin made the code that was asked for, or refused it."""
    job = await turn.provisioning.job(turn.actor, subject)
    reply = await job_reply(turn, job)
    return dataclasses.replace(reply, card=cards.answered(reply.card, job)) if reply.card else None


@router.command("new code <device>", needs=SITE)
@router.action("renew", fresh=True)
async def new_code(turn: Turn, device: str) -> Reply:
    """Get a new code for one of your devices; the old one dies."""
    return await job_reply(turn, await turn.provisioning.renew(turn.actor, device))
