"""Codes are issued and handed over: to one technician or several, with a ledger card for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.handlers.jobs import LONG, ends, worked
from bot.routing import Router
from bot.turn import Living, Reply, Turn
from cards.views import issuing as cards
from cards.views.codes import ask_many
from provisioning.access import Permission
from provisioning.batches import Batch
from provisioning.errors import BadInput, InvalidChoice, NotFound
from provisioning.jobs import Job, JobKind
from provisioning.lifecycle import companion
from provisioning.model import Device, State
from provisioning.service.issuing import Issued, IssueOrder
from provisioning.service.lookup import Target
from provisioning.service.working import order_of, params_of, params_of_order, target_of
from provisioning.texts import _
from provisioning.untrusted import parse_duration

router = Router()
CODES = (Permission.ISSUE_CODES,)
SPLITS: Mapping[str, bool] = {"even": False, "evenly": False, "floor": True, "floors": True}


def chosen(value: str) -> str:
    """The empty choice of a form is a dash."""
    return "" if value == "-" else value


def _with_split(target: str, person: str, split: str) -> tuple[str, str, str]:
    """ "Hall by the sea" is no way to split: the words go back to where they were taken from."""
    if not split or split.casefold() in SPLITS:
        return target, person, split.casefold()
    if person:
        return target, f"{person} by {split}", ""
    place, to, people = f"{target} by {split}".rpartition(" to ")
    return (place, people, "") if to else (people, "", "")


STARTS: Mapping[str, bool] = {"on site": True, "at once": False}  # said behind everything else


def _with_start(words: Sequence[str], start: str) -> tuple[tuple[str, ...], bool | None]:
    """The words without how codes start, and whether on site; None where that is not said."""
    if start.casefold() in STARTS:
        return tuple(words), STARTS[start.casefold()]
    at = next((at for at in reversed(range(len(words))) if words[at]), 0)
    for said, on_site in STARTS.items():
        if words[at].casefold().endswith(f" {said}"):
            return (*words[:at], words[at][: -len(said)].strip(), *words[at + 1 :]), on_site
    return tuple(words), None


@router.command(
    "issue",
    "issue codes",
    "issue <target> [to <person>] [by <split>] [for <lifetime>] [starting <start>]",
    needs=CODES,
)
@router.action("issue", fresh=True)
async def issue(
    turn: Turn,
    target: str = "",
    person: str = "",
    split: str = "",
    lifetime: str = "",
    start: str = "",
    sure: bool = False,
) -> Reply:
    """Issue codes for a device, a site or all, to one or several technicians, at once or on site."""
    (target, person, split, lifetime), on_site = _with_start((target, person, split, lifetime), start)
    target, person, split = _with_split(target, person, split)
    meant = await turn.provisioning.target(turn.actor, target) if target else Target()
    if not (meant.device or person):
        return await _form(turn, meant, chosen_target=bool(target))
    device = meant.device
    if device and companion(device) and not device.live_code(turn.now) and not device.provisioned and not sure:
        return Reply(card=cards.own_code_question(device, person, lifetime))
    order = await _order(turn, meant, person, lifetime, on_site)
    return await _issue(turn, replace(order, by_floor=SPLITS.get(split, False), own=sure), sure=sure)


async def _order(turn: Turn, target: Target, person: str, lifetime: str, on_site: bool | None = False) -> IssueOrder:
    """`on_site` None: as the rollout of this target says."""
    people = await turn.provisioning.receivers(person) if person else ()
    return IssueOrder(
        target=target,
        technicians=tuple(each.id for each in people),
        lifetime=parse_duration(lifetime) if lifetime else None,
        on_site=await turn.provisioning.starts_on_site(target) if on_site is None else on_site,
    )


async def _issue(turn: Turn, order: IssueOrder, *, sure: bool = False) -> Reply:
    """Asks first where more would be issued than is usually installed while codes live."""
    outlook = None if sure else await turn.provisioning.outlook(turn.actor, order)
    if outlook:
        return Reply(card=cards.outlook_card(outlook, order))
    if min(await turn.provisioning.waiting_of(turn.actor, order.target), order.first or LONG + 1) > LONG:
        return await worked(turn, JobKind.ISSUE, params_of_order(order))
    return await _issued(turn, await turn.provisioning.issue(turn.actor, order))


@ends(JobKind.ISSUE)
@ends(JobKind.REISSUE_KEPT)
async def _issue_ended(turn: Turn, job: Job) -> Reply:
    rows = [await turn.provisioning.batch(turn.actor, key) for key in job.batches]
    counts, target = job.counted, order_of(job).target
    batches = tuple(row for row in rows if row)
    left_out = (counts.get(name, 0) for name in ("refused", "teams", "nobody"))
    return await _issued(turn, Issued(target, batches, *left_out))


async def _issued(turn: Turn, done: Issued) -> Reply:
    if not done.batches:
        return Reply(card=cards.nothing_to_issue(done))
    notice = cards.left_out(done)
    if len(done.batches) == 1:
        return await _batch_card(turn, done.batches[0], notice=notice)
    return await _batches_card(turn, done.batches, notice)


async def _batch_card(turn: Turn, batch: Batch, *, notice: str = "") -> Reply:
    ledger = await turn.provisioning.ledger(turn.actor, batch)
    invite = turn.provisioning.policy.invite_link
    card = cards.issued_card(ledger, turn.now, notice=notice, invite=invite)
    watched = Living(subject=batch.technician, view="issued", params={"batch": batch.id}) if batch.technician else None
    return Reply(card=card, living=watched)


async def _batches_card(turn: Turn, batches: tuple[Batch, ...], notice: str = "") -> Reply:
    """It is drawn anew when its reader opens it: several technicians' phones are followed at once."""
    person = await turn.provisioning.who(turn.actor.id)
    ledgers = [await turn.provisioning.ledger(turn.actor, batch) for batch in batches]
    readers = (person.teams_id,) if person and person.teams_id else ()
    ids = ",".join(batch.id for batch in batches)
    card = cards.issued_many_card(ledgers, ids, turn.now, notice=notice, readers=readers)
    return Reply(card=card, living=Living(subject=batches[0].id, view="issued_many", params={"batches": ids}))


@router.view
@router.action("issued", needs=CODES)
async def issued(turn: Turn, batch: str) -> Reply | None:
    """What an issue did, and how far its technician has been reached."""
    done = await turn.provisioning.batch(turn.actor, batch)
    return await _batch_card(turn, done) if done else None


@router.view
@router.action("issued_many", needs=CODES)
async def issued_many(turn: Turn, batches: str) -> Reply | None:
    """What an issue to several technicians did."""
    found = [await turn.provisioning.batch(turn.actor, key) for key in batches.split(",")[: cards.ROWS]]
    known = tuple(batch for batch in found if batch)
    return await _batches_card(turn, known) if known else None


@router.action("issue_form", needs=CODES)
async def issue_form(
    turn: Turn, target: str = "all", fault: BadInput | None = None, technician: str = "-", split: str = "even"
) -> Reply:
    """A form: which site, which floor, to whom."""
    meant = await turn.provisioning.target(turn.actor, target)
    if meant.device:
        return await issue(turn, meant.device.mac)
    return await _form(
        turn, meant, chosen_target=target != "all", fault=fault, technician=chosen(technician), split=split
    )


async def _form(
    turn: Turn,
    target: Target,
    *,
    chosen_target: bool,
    fault: BadInput | None = None,
    technician: str = "",
    split: str = "even",
) -> Reply:
    waiting = await turn.provisioning.devices_of(target, state=State.WAITING_FOR_ACTIVATION)
    if not waiting:
        return Reply(card=cards.nothing_to_issue(Issued(target, ())))
    counts, technicians = _counts(waiting, target), await turn.provisioning.technicians()
    technician = technician or ",".join(await turn.provisioning.planned_for(target))
    if len(technicians) == 1 and not any(device.technician for device in waiting):
        technician = technician or technicians[0].id  # else codes would run that nobody has
    choices = cards.Choices(
        target=target.scope.casefold() or ("all" if len(counts) > 1 else counts[0][0]),
        counts=counts,
        floors=list(dict.fromkeys(device.floor for device in waiting if device.floor)) if target.site else [],
        technicians=technicians,
        technician=technician,
        split=split,
        start="on site" if await turn.provisioning.starts_on_site(target) else "at once",
    )
    title = _("Issue codes: {title}", title=target.title) if chosen_target else _("Issue codes")
    return Reply(card=cards.issue_form(title, choices, fault))


def _counts(waiting: list[Device], target: Target) -> list[tuple[str, str, int]]:
    """(value, name, devices waiting) for each site; of all of them, all together come first. A tag is one choice."""
    if target.tag:
        return [(target.scope.casefold(), target.scope, len(waiting))]
    sites = Counter(device.site for device in waiting)
    rows = [(site.casefold(), site, count) for site, count in sites.items()]
    return [("all", _("all sites"), len(waiting)), *rows] if not target.site and len(rows) > 1 else rows


@router.action("issue_save", form=issue_form, needs=CODES)
async def issue_save(
    turn: Turn,
    target: str,
    floor: str = "-",
    technician: str = "-",
    split: str = "even",
    lifetime: str = "",
    start: str = "at once",
    first: int = 0,
    sure: bool = False,
) -> Reply:
    """Issue what the form says, or what was answered to the hint."""
    meant = await turn.provisioning.target(turn.actor, target)
    order = await _order(turn, meant, chosen(technician), lifetime, STARTS.get(start, False))
    order = replace(order, floor=chosen(floor), by_floor=SPLITS.get(split, False), first=first)
    return await _issue(turn, order, sure=sure)


@router.command("reissue <target> [to <person>] [for <lifetime>]", needs=CODES)
@router.action("reissue", fresh=True)
async def reissue(turn: Turn, target: str, person: str = "", lifetime: str = "", sure: bool = False) -> Reply:
    """Issue new codes and void the live ones."""
    meant = await turn.provisioning.target(turn.actor, target)
    order = await _order(turn, meant, person, lifetime)
    if not (meant.device or sure):
        question = _("Void every live code of {title} and issue new ones?", title=meant.title)
        small = _("Technicians get the new codes by themselves.")
        again = {"person": ",".join(order.technicians), "lifetime": lifetime}
        return Reply(card=ask_many("reissue", question, _("Reissue"), target, small, again))
    return await _issue(turn, replace(order, void=True))


@router.action("reissue_kept", needs=CODES)
async def reissue_kept(turn: Turn, batch: str) -> Reply:
    """Void the codes that an issue kept, and issue new ones."""
    done = await _known(turn, batch)
    if len(done.kept) > LONG:
        return await worked(turn, JobKind.REISSUE_KEPT, {"batch": done.id})
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
    if await turn.provisioning.how_many(turn.actor, meant) > LONG:
        return await worked(turn, JobKind.ASSIGN, {**params_of(meant), "technicians": technician.id})
    count = await turn.provisioning.assign(turn.actor, meant, technician)
    return Reply(card=cards.assigned_card(count, technician, meant.title))


@ends(JobKind.ASSIGN)
async def _assign_ended(turn: Turn, job: Job) -> Reply:
    technician = await turn.provisioning.person(job.given["technicians"])
    return Reply(card=cards.assigned_card(job.counted.get("changed", 0), technician, target_of(job).title))


@ends(JobKind.ASSIGN_BATCH)
async def _assign_batch_ended(turn: Turn, job: Job) -> Reply:
    return await _batch_card(turn, await _known(turn, job.given["batch"]))


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
    done = await _known(turn, batch)
    if len(done.macs) + len(done.kept) > LONG:
        return await worked(turn, JobKind.ASSIGN_BATCH, {"batch": done.id, "technicians": person.id})
    return await _batch_card(turn, await turn.provisioning.assign_batch(turn.actor, done, person))
