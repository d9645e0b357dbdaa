"""Codes that end: told to whoever can do something about it, and made anew with one tap."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.handlers.codes import CODES
from bot.handlers.day import SITE, new_code
from bot.handlers.jobs import LONG, ends, worked
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import ending as cards
from provisioning.errors import OutOfDate
from provisioning.jobs import Job, JobKind
from provisioning.messages import MessageKind
from provisioning.service.lookup import Target
from provisioning.service.working import params_of, target_of

router = Router()


def _moment(text: str) -> datetime | None:
    """When somebody was told; none where nobody says so. Errors: `OutOfDate` for a forged one."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise OutOfDate from None
    if moment and moment.tzinfo is None:
        raise OutOfDate
    return moment


@router.notice(MessageKind.CODES_ENDING)
async def codes_ending(turn: Turn, since: str) -> Reply | None:
    """A technician's codes end; nothing where none of them is open any more."""
    found = await turn.provisioning.my_ends(turn.actor, _moment(since))
    return Reply(card=cards.ending_card(found, since, turn.now)) if found.devices else None


@router.command("renew [<device>]", needs=SITE)
@router.action("renew_ends")
async def renew_ends(turn: Turn, device: str = "", since: str = "") -> Reply:
    """Get new codes where one of yours ends or has ended; with a device, for that one."""
    if device:
        return await new_code(turn, device)
    return Reply(card=cards.renewed_card(await turn.provisioning.renew_ends(turn.actor, _moment(since))))


@router.notice(MessageKind.CODES_TO_EXTEND)
async def codes_to_extend(turn: Turn, subject: str, helpless: int = 0) -> Reply | None:
    """An admin's codes end; nothing where none of them is open any more."""
    found = await turn.provisioning.ends(turn.actor, batch=subject)
    if not found.devices:
        return None
    names = await turn.provisioning.names(device.technician for device in found.devices)
    told = replace(found, helpless=min(helpless, len(found.devices)))
    return Reply(card=cards.to_extend_card(told, subject, names, turn.now))


@router.command("extend [<site>]", needs=CODES)
@router.action("extend")
async def extend(turn: Turn, site: str = "", batch: str = "") -> Reply:
    """Make new codes where one ends within the hour or has ended unused: of a site, a tag, or everywhere."""
    meant = await turn.provisioning.target(turn.actor, site) if site else Target()
    found = await turn.provisioning.ends(turn.actor, meant, batch)
    if len(found.devices) > LONG:
        return await worked(turn, JobKind.EXTEND, {**params_of(meant), "batch": batch})
    count = await turn.provisioning.extend(turn.actor, meant, batch)
    return Reply(card=cards.extended_card(count, found.teams))


@ends(JobKind.EXTEND)
async def _extended(turn: Turn, job: Job) -> Reply:
    left = await turn.provisioning.ends(turn.actor, target_of(job), job.given.get("batch", ""))
    return Reply(card=cards.extended_card(job.counted.get("extended", 0), left.teams))
