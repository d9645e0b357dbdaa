"""Codes: issue, hand over, show, void. A reply that holds a code is private."""

from __future__ import annotations

from collections import Counter

from bot.handlers.devices import living
from bot.routing import Router
from bot.turn import Living, Reply, Turn
from cards.views import codes as cards
from cards.views.rollouts import codes_ended_note
from provisioning.access import Permission
from provisioning.errors import BadInput, InvalidChoice, NotFound
from provisioning.model import Batch, Device, MessageKind, State
from provisioning.service.codes import Issued, IssueOrder
from provisioning.service.lookup import Target
from provisioning.texts import _
from provisioning.untrusted import parse_duration

router = Router()
CODES = (Permission.ISSUE_CODES,)


def chosen(value: str) -> str:
    """The empty choice of a form is a dash."""
    return "" if value == "-" else value


@router.command(
    "issue",
    "issue codes",
    "issue <target> [to <person>] [for <lifetime>]",
    needs=CODES,
)
@router.action("issue", fresh=True)
async def issue(turn: Turn, target: str = "", person: str = "", lifetime: str = "") -> Reply:
    """Issue codes for a device, a site or all, to a technician, for 24 hours or as long as you say."""
    meant = await turn.provisioning.target(turn.actor, target) if target else Target()
    if not (meant.device or person):
        return await _form(turn, meant, chosen_target=bool(target))
    return await _issue(turn, meant, person, lifetime, void=False)


async def _issue(turn: Turn, target: Target, person: str, lifetime: str, *, void: bool, floor: str = "") -> Reply:
    technician = await turn.provisioning.person(person) if person else None
    if technician:
        turn.provisioning.require_technician(technician)
    order = IssueOrder(
        target=target,
        floor=floor,
        technician=technician.id if technician else "",
        lifetime=parse_duration(lifetime) if lifetime else None,
        void=void,
    )
    return await _issued(turn, await turn.provisioning.issue(turn.actor, order))


async def _issued(turn: Turn, done: Issued) -> Reply:
    if not (done.issued or done.kept):
        return Reply(card=cards.nothing_to_issue(done.target.title))
    return await _batch_card(turn, done.batch, refused=done.refused)


async def _batch_card(turn: Turn, batch: Batch, *, refused: int = 0, notice: str = "") -> Reply:
    person = await turn.provisioning.who(batch.technician) if batch.technician else None
    delivery = await turn.provisioning.delivery(person, batch.at) if person else None
    card = cards.issued_card(
        batch, turn.now, refused=refused, delivery=delivery, notice=notice, invite=turn.provisioning.policy.invite_link
    )
    watched = Living(subject=batch.technician, view="issued", params={"batch": batch.id}) if batch.technician else None
    return Reply(card=card, living=watched)


@router.view
@router.action("issued", needs=CODES)
async def issued(turn: Turn, batch: str) -> Reply | None:
    """What an issue did, and how far its technician has been reached."""
    done = await turn.provisioning.batch(turn.actor, batch)
    return await _batch_card(turn, done) if done else None


@router.action("issue_form", needs=CODES)
async def issue_form(turn: Turn, target: str = "all", fault: BadInput | None = None, technician: str = "-") -> Reply:
    """A form: which site, which floor, to whom."""
    meant = await turn.provisioning.target(turn.actor, target)
    if meant.device:
        return await _issue(turn, meant, "", "", void=False)
    return await _form(turn, meant, chosen_target=target != "all", fault=fault, technician=technician)


async def _form(
    turn: Turn, target: Target, *, chosen_target: bool, fault: BadInput | None = None, technician: str = "-"
) -> Reply:
    waiting = await turn.provisioning.devices_of(target, state=State.WAITING_FOR_ACTIVATION)
    if not waiting:
        return Reply(card=cards.nothing_to_issue(target.title))
    counts = _counts(waiting, target)
    floors = list(dict.fromkeys(device.floor for device in waiting if device.floor)) if target.site else []
    title = _("Issue codes: {title}", title=target.title) if chosen_target else _("Issue codes")
    technicians = await turn.provisioning.technicians()
    value = target.scope.casefold() or ("all" if len(counts) > 1 else counts[0][0])
    return Reply(card=cards.issue_form(value, title, counts, floors, technicians, technician, fault))


def _counts(waiting: list[Device], target: Target) -> list[tuple[str, str, int]]:
    """(value, name, devices waiting) for each site; of all of them, all together come first. A tag is one choice."""
    if target.tag:
        return [(target.scope.casefold(), target.scope, len(waiting))]
    sites = Counter(device.site for device in waiting)
    rows = [(site.casefold(), site, count) for site, count in sites.items()]
    return [("all", _("all sites"), len(waiting)), *rows] if not target.site and len(rows) > 1 else rows


@router.action("issue_save", form=issue_form, needs=CODES)
async def issue_save(turn: Turn, target: str, floor: str = "-", technician: str = "-") -> Reply:
    """Issue what the form says."""
    meant = await turn.provisioning.target(turn.actor, target)
    return await _issue(turn, meant, chosen(technician), "", void=False, floor=chosen(floor))


@router.command("reissue <target> [to <person>] [for <lifetime>]", needs=CODES)
@router.action("reissue", fresh=True)
async def reissue(turn: Turn, target: str, person: str = "", lifetime: str = "", sure: bool = False) -> Reply:
    """Issue new codes and void the live ones."""
    meant = await turn.provisioning.target(turn.actor, target)
    if not (meant.device or sure):
        question = _("Void every live code of {title} and issue new ones?", title=meant.title)
        small = _("Technicians get the new codes by themselves.")
        return Reply(card=cards.ask_many("reissue", question, _("Reissue"), target, small))
    return await _issue(turn, meant, person, lifetime, void=True)


@router.action("reissue_kept", needs=CODES)
async def reissue_kept(turn: Turn, batch: str) -> Reply:
    """Void the codes that an issue kept, and issue new ones."""
    done = await _known(turn, batch)
    return await _issued(turn, await turn.provisioning.reissue_kept(turn.actor, done))


async def _known(turn: Turn, key: str) -> Batch:
    batch = await turn.provisioning.batch(turn.actor, key)
    if batch is None:
        raise NotFound
    return batch


@router.action("remind", needs=CODES)
async def remind(turn: Turn, batch: str) -> Reply:
    """Send a technician their next device once more."""
    done = await _known(turn, batch)
    person = await turn.provisioning.who(done.technician)
    if person is None:
        raise NotFound
    await turn.provisioning.remind(turn.actor, person)
    return await _batch_card(turn, done, notice=_("{name} gets the next device again.", name=person.name))


@router.command("assign <target> to <person>", needs=CODES)
@router.action("assign", fresh=True)
async def assign(turn: Turn, target: str, person: str) -> Reply:
    """Give a device's or a site's open jobs to a technician."""
    meant = await turn.provisioning.target(turn.actor, target)
    technician = await turn.provisioning.person(person)
    count = await turn.provisioning.assign(turn.actor, meant, technician)
    return Reply(card=cards.assigned_card(count, technician, meant.title))


@router.action("assign_form", needs=CODES)
async def assign_form(turn: Turn, batch: str, fault: BadInput | None = None) -> Reply:
    """A form: who takes these devices."""
    done = await _known(turn, batch)
    return Reply(card=cards.assign_form(done, await turn.provisioning.technicians(), fault))


@router.action("assign_save", form=assign_form, needs=CODES)
async def assign_save(turn: Turn, batch: str, technician: str = "-") -> Reply:
    """Hand the devices of an issue to a technician."""
    if not chosen(technician):
        raise InvalidChoice(text="", choices=_("one of your technicians"))
    person = await turn.provisioning.person(technician)
    return await _batch_card(turn, await turn.provisioning.assign_batch(turn.actor, await _known(turn, batch), person))


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
    count = await turn.provisioning.revoke(turn.actor, meant)
    return Reply(card=cards.revoked_card(count, meant.title))


# ------------------------------------------------------------------ told by the outbox


@router.notice(MessageKind.CODE_LOCKED)
async def code_locked(turn: Turn, subject: str) -> Reply | None:
    """Too many wrong codes: the code is dead."""
    facts = await turn.provisioning.facts(turn.actor, subject)
    return Reply(card=cards.locked_card(facts.device))


@router.notice(MessageKind.CODE_WANTED)
async def code_wanted(turn: Turn, subject: str) -> Reply | None:
    """A technician needs a code that only an admin can make."""
    facts = await turn.provisioning.facts(turn.actor, subject)
    exhausted = turn.provisioning.renewals_left(facts.device) <= 0
    if facts.device.provisioned or (facts.device.live_code(turn.now) and not exhausted):
        return None
    return Reply(card=cards.wanted_card(facts.device, facts.technician or _("A technician")))


@router.notice(MessageKind.CODES_ENDED)
async def codes_ended(turn: Turn, subject: str, count: int = 0) -> Reply | None:
    """More than five codes of a rollout ended together."""
    return Reply(text=codes_ended_note(count))
