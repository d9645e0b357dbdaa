"""Codes: shown, listed, ended, and what the outbox tells of them. A reply that holds a code is private."""

from __future__ import annotations

from dataclasses import replace

from bot.handlers.devices import gone, living
from bot.handlers.jobs import LONG, ends, worked
from bot.routing import Router
from bot.turn import Reply, Turn
from cards.views import codes as cards
from provisioning.access import Permission
from provisioning.errors import NotFound
from provisioning.jobs import Job, JobKind
from provisioning.messages import MessageKind
from provisioning.service.codes import Revoked
from provisioning.service.lookup import Target
from provisioning.service.working import params_of, target_of
from provisioning.texts import _

router = Router()
CODES = (Permission.ISSUE_CODES,)


# ------------------------------------------------------------------ showing


@router.command("codes [<site>]", needs=CODES)
@router.action("codes")
async def codes(turn: Turn, site: str = "", after: str | None = None, first: int = 1) -> Reply:
    """List live codes, ten a page, in your own chat; each page is logged."""
    named = await turn.provisioning.target(turn.actor, site) if site else Target()
    if named.device:
        return await code_of(turn, named.device.mac)
    page = await turn.provisioning.codes(turn.actor, named, after=after, first=first)
    return Reply(card=cards.codes_card(page, turn.now), private=True)


async def code_of(turn: Turn, device: str, notice: str = "") -> Reply:
    """An admin's card of one code."""
    held = await turn.provisioning.show_code(turn.actor, device)
    card = cards.code_card(held, turn.now, notice)
    return Reply(card=card, private=True, living=living(held.device, "device_again", shows_code=True))


# ------------------------------------------------------------------ ending


@router.command("revoke <target>", needs=CODES)
@router.action("revoke", fresh=True)
async def revoke(turn: Turn, target: str, sure: bool = False) -> Reply:
    """End live codes of a device, a site or a person at once."""
    try:
        meant = await turn.provisioning.target(turn.actor, target)
    except NotFound:
        person = await turn.provisioning.person(target)
        count = await turn.provisioning.revoke_of(turn.actor, person)
        return Reply(card=cards.revoked_card(count, person.name))
    if not (meant.device or sure):
        question = _("Revoke every live code of {title}?", title=meant.title)
        return Reply(card=cards.ask_many("revoke", question, _("Revoke"), target, _("They never work again.")))
    if await turn.provisioning.how_many(turn.actor, meant) > LONG:
        return await worked(turn, JobKind.REVOKE, params_of(meant))
    count = await turn.provisioning.revoke(turn.actor, meant)
    return Reply(card=cards.revoked_card(count, meant.title))


@ends(JobKind.REVOKE)
async def _revoke_ended(turn: Turn, job: Job) -> Reply:
    done = Revoked(job.counted.get("own", 0), job.counted.get("teams", 0))
    return Reply(card=cards.revoked_card(done, target_of(job).title))


# ------------------------------------------------------------------ told by the outbox


@router.notice(MessageKind.CODE_LOCKED)
async def code_locked(turn: Turn, subject: str) -> Reply | None:
    """Too many wrong codes: the code is dead."""
    facts = await turn.provisioning.facts(turn.actor, subject)
    return Reply(card=cards.locked_card(facts.device))


@router.notice(MessageKind.CODE_WANTED)
async def code_wanted(turn: Turn, subject: str, asked: str = "") -> Reply | None:
    """A technician needs a code that only an admin can make."""
    facts = await turn.provisioning.facts(turn.actor, subject)
    request = facts.device.request
    if request is None or not request.open or request.at.isoformat() != asked:
        return None
    card = cards.wanted_card(facts.device, facts.technician or request.by_name)
    told = living(facts.device, "code_wanted_again")
    return Reply(card=card, living=replace(told, params={**told.params, "asked": asked}))


@router.view
async def code_wanted_again(turn: Turn, mac: str, asked: str) -> Reply | None:
    """The wish as it stands now: somebody else may have answered it."""
    try:
        wish = await code_wanted(turn, mac, asked)
        return wish or Reply(
            card=cards.answered_card((await turn.provisioning.facts(turn.actor, mac)).device, turn.now)
        )
    except NotFound:
        return await gone(turn, mac)


@router.command("refuse <device>", needs=CODES)
@router.action("deny_code")
async def refuse_code(turn: Turn, device: str) -> Reply:
    """Make no code for a technician who asks for one; they are told so."""
    denied = await turn.provisioning.deny_code(turn.actor, device)
    return Reply(card=cards.answered_card(denied, turn.now))
