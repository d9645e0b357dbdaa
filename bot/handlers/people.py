"""People: the first hello, access asked and granted, who is here, the end of an access."""

from __future__ import annotations

from bot.handlers.issuing import chosen
from bot.routing import Router
from bot.turn import Living, Reply, Turn
from cards.views import people as cards
from cards.views.common import note
from cards.views.telling import whoami_words
from provisioning.access import Permission
from provisioning.errors import BadInput, InvalidChoice, LastAdmin
from provisioning.messages import MessageKind
from provisioning.model import Person, Role
from provisioning.texts import _

router = Router()
PEOPLE = (Permission.MANAGE_PEOPLE,)


@router.command("hi", "hello")
async def hi(turn: Turn) -> Reply:
    """Say hello: what you can do next."""
    provisioning, actor = turn.provisioning, turn.actor
    if not actor.roles:
        person = await provisioning.who(actor.id)
        return Reply(card=cards.no_access(await provisioning.admins(), asked=bool(person and person.asked_at)))
    if not actor.is_admin:
        return Reply(card=cards.welcome_technician(actor.name))
    organisation = provisioning.policy.organisation
    configured = actor.id in provisioning.policy.admins
    total = (await provisioning.listing(actor, "")).total
    return Reply(card=cards.welcome_admin(actor.name, organisation, configured=configured, devices=total))


@router.command("whoami")
async def whoami(turn: Turn) -> Reply:
    """Show who you are to me: account, role, object id."""
    person = await turn.provisioning.who(turn.actor.id) or Person(id=turn.actor.id, name=turn.actor.name)
    muted = ""
    if turn.actor.roles:
        muted = whoami_words(await turn.provisioning.telling_of(turn.actor), turn.now)
    by_group = turn.provisioning.by_group_alone(person)
    return Reply(card=cards.whoami(person, turn.actor.roles, muted, by_group), private=True)


@router.action("ask_access")
async def ask_access(turn: Turn) -> Reply:
    """Ask the admins for access."""
    if turn.actor.roles:
        return await hi(turn)
    admins = await turn.provisioning.ask_access(turn.actor)
    return Reply(card=cards.no_access(admins, asked=True))


@router.notice(MessageKind.ACCESS_ASKED)
async def access_asked(turn: Turn, subject: str) -> Reply | None:
    """Somebody asks for access."""
    person = await turn.provisioning.who(subject)
    if person is None or not person.asked_at:
        return None
    living = Living(subject=person.id, view="access_asked_again", params={"person": person.id}, revision=0)
    return Reply(card=cards.access_asked(person), living=living)


@router.view
async def access_asked_again(turn: Turn, person: str) -> Reply | None:
    """The asking card as it stands now: still open, or answered by somebody."""
    asking = await turn.provisioning.who(person)
    if asking is None:
        return None
    if asking.asked_at:
        return await access_asked(turn, person)
    return await _answered(turn, asking)


async def _answered(turn: Turn, person: Person) -> Reply:
    """The role somebody has, by whom and since when."""
    by = await turn.provisioning.who(person.granted_by) if person.roles else None
    roles, alone = turn.provisioning.roles_of(person), turn.provisioning.by_group_alone(person)
    at = person.granted_at or turn.now
    return Reply(card=cards.access_answered(person, by.name if by else "", at, roles, alone))


@router.command("grant <person> <role>", needs=PEOPLE)
@router.action("grant")
async def grant(turn: Turn, person: str, role: str) -> Reply:
    """Give somebody a role: admin or technician."""
    if not turn.pressed:  # names have several words; the last word is the role
        person, _blank, role = f"{person} {role}".rpartition(" ")
    try:
        wanted = Role("".join(role.casefold().split()[-1:]))
    except ValueError:
        raise InvalidChoice(text=role[:40], choices="admin, technician") from None
    answering = turn.pressed and bool(turn.data.get("subject"))
    named = _mentioned(turn, person)
    return await _answered(turn, await turn.provisioning.grant(turn.actor, named, wanted, answering=answering))


def _mentioned(turn: Turn, text: str) -> str:
    """The id behind a mention, where the name typed is one that was mentioned."""
    ids = {mention.name.casefold(): mention.object_id for mention in turn.mentions if mention.object_id}
    return ids.get(text.strip().lstrip("@").casefold(), text)


@router.notice(MessageKind.ACCESS_GRANTED)
async def access_granted(turn: Turn, subject: str) -> Reply | None:
    """Access was granted."""
    if turn.actor.is_technician:
        day = await turn.provisioning.day(turn.actor)
        if not day.total:
            return Reply(card=note(_("No devices today. I will write when there are.")))
    return await hi(turn) if turn.actor.roles else None


@router.action("refuse_access", needs=PEOPLE)
async def refuse_access(turn: Turn, person: str) -> Reply:
    """Give no access."""
    refused = await turn.provisioning.refuse(turn.actor, person)
    return Reply(card=cards.access_answered(refused, turn.actor.name, turn.now, refused.roles))


@router.command("people", needs=PEOPLE)
@router.action("people")
async def people(turn: Turn, after: str | None = None, first: int = 1) -> Reply:
    """List everybody I know, with their roles."""
    roster = await turn.provisioning.roster(turn.actor, after=after, first=first)
    roles = {person.id: turn.provisioning.roles_of(person) for person in roster.people}
    by_group = {person.id: turn.provisioning.by_group_alone(person) for person in roster.people}
    return Reply(card=cards.roster_card(roster, roles, by_group), private=True)


@router.command("revoke access <person> [to <heir>]", needs=PEOPLE)
@router.action("revoke_access")
async def revoke_access(turn: Turn, person: str, heir: str = "", fault: BadInput | None = None) -> Reply:
    """End somebody's access; their codes die and their jobs go to somebody else."""
    work = await turn.provisioning.revocable(turn.actor, _mentioned(turn, person))
    successor = (await turn.provisioning.heir_of(work.person, heir)).id if chosen(heir) else "-"
    heirs = await turn.provisioning.technicians()
    return Reply(card=cards.revoke_form(work, heirs, turn.now, successor, fault.sentence if fault else ""))


@router.action("revoke_access_save", form=revoke_access, needs=PEOPLE)
async def revoke_access_save(turn: Turn, person: str, rev: int, heir: str = "-") -> Reply:
    """End the access."""
    ended = await turn.provisioning.revoke_access(turn.actor, person, chosen(heir), rev)
    return Reply(card=cards.ended_card(ended, turn.now))


@router.notice(MessageKind.UNREACHABLE)
async def unreachable(turn: Turn, subject: str) -> Reply | None:
    """Somebody's chat answered 403, or they removed the app."""
    try:
        work = await turn.provisioning.workload(turn.actor, subject)
    except LastAdmin:
        return None
    if work.person.reachable:
        return None
    if await turn.provisioning.ended_by_group(work.person):
        return None  # told already
    if ended := await turn.provisioning.ended_by_itself(work.person):
        return Reply(card=cards.left_card(ended))
    if not (work.live or work.open):
        return None
    return Reply(card=cards.unreachable_card(work.person, work))


@router.notice(MessageKind.LEFT_GROUP)
async def left_group(turn: Turn, subject: str) -> Reply | None:
    """Somebody's access ended with their Entra group."""
    person = await turn.provisioning.who(subject)
    ended = await turn.provisioning.ended_by_group(person) if person and turn.actor.is_admin else None
    return Reply(card=cards.left_group_card(ended)) if ended else None
