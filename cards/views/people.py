"""Cards of people: welcome, access asked and granted, the roster, the end of an access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from cards.view import Button, ChoiceInput, Fact, FormCard, ListCard, Notice, Row, Style, Tone
from cards.views.common import cancel, more, names_to_choose
from cards.words import clock, escape, listing
from provisioning.model import Person, Role
from provisioning.service.people import Ended, Roster, Workload
from provisioning.texts import N_, _, ngettext

ROLES = {Role.ADMIN: N_("Admin"), Role.TECHNICIAN: N_("Technician")}


def role_words(roles: frozenset[Role], by_group: frozenset[Role] = frozenset()) -> str:
    """Names of roles; of those that come from a group alone, that as well."""
    if not roles:
        return _("no access")
    through = {role: _("{role} through an Entra group", role=_(ROLES[role])) for role in by_group}
    return listing([through.get(role, _(ROLES[role])) for role in Role if role in roles])


def welcome_admin(name: str, organisation: str, *, configured: bool, devices: int) -> Notice:
    name, organisation = escape(name), escape(organisation)
    return Notice(
        title=_("Hello {name}, you installed this for {organisation}.", name=name, organisation=organisation)
        if configured
        else _("Hello {name}, you are an admin for {organisation}.", name=name, organisation=organisation),
        summary=_("Set up device provisioning, 2 steps"),
        lines=(
            *((_("You are the first admin (from configuration)."),) if configured else ()),
            _("1 Add devices."),
            _("2 Give codes to a technician."),
        ),
        buttons=(
            Button("add_form", _("Add one"), style=Style.POSITIVE),
            *([Button("samples", _("Try 3 samples"))] if not devices else [Button("devices", _("Devices"))]),
        ),
        small=(_("In a channel, mention me and say connect. help shows all."),),
    )


def welcome_technician(name: str) -> Notice:
    return Notice(
        title=_("Hello {name}.", name=escape(name)),
        lines=(_("You get each device's code here, one at a time, and confirm its install."),),
        buttons=(Button("next", _("Next device"), style=Style.POSITIVE), Button("jobs", _("List"))),
        small=(_("help shows all you can type."),),
    )


def no_access(admins: Sequence[Person], *, asked: bool) -> Notice:
    names = listing([escape(person.name or person.upn) for person in admins])
    lines = (_("Admins: {names}.", names=names),) if admins else (_("No admin has said hi to me yet."),)
    if asked:
        return Notice(
            title=_("You have asked for access."), lines=(*lines, _("I write as soon as one of them answers."))
        )
    return Notice(
        title=_("You have no access yet."),
        lines=lines,
        buttons=(Button("ask_access", _("Ask for access"), style=Style.POSITIVE),),
    )


def access_asked(person: Person) -> Notice:
    data = {"person": person.id}
    name = escape(person.name or person.upn)
    return Notice(
        title=_("{name} asks for access", name=name),
        lines=(escape(person.upn),) if person.upn else (),
        buttons=(
            Button("grant", _("Technician"), {**data, "role": Role.TECHNICIAN}, style=Style.POSITIVE),
            Button("grant", _("Admin"), {**data, "role": Role.ADMIN}),
            Button("refuse_access", _("Refuse"), data),
        ),
        small=(_("Or type: grant {name} technician", name=name),),
        subject=person.id,
        revision=person.version,
    )


def access_answered(
    person: Person, by: str, at: datetime, roles: frozenset[Role], by_group: frozenset[Role] = frozenset()
) -> Notice:
    """What the asking card becomes once somebody answered."""
    name = escape(person.name or person.upn)
    said = role_words(roles, by_group)
    line = _("{role}, by {by} {time}", role=said, by=escape(by), time=clock(at)) if by else said
    return Notice(title=name, tone=Tone.GOOD if roles else Tone.PLAIN, lines=(line,))


def access_ended(by: str = "") -> Notice:
    return Notice(
        title=_("Access ended"), lines=(_("Your codes no longer work. Ask an admin if you need access again."),)
    )


def roster_card(
    roster: Roster, roles: Mapping[str, frozenset[Role]], by_group: Mapping[str, frozenset[Role]]
) -> ListCard:
    rows = tuple(
        Row(
            title=escape(person.name or person.upn or person.id),
            detail=_(
                "{role}{upn}{asks}",
                role=role_words(roles[person.id], by_group.get(person.id, frozenset())),
                upn=f", {escape(person.upn)}" if person.upn else "",
                asks=_(", asks for access") if person.asked_at else "",
            ),
        )
        for person in roster.people
    )
    return ListCard(
        title=ngettext("{n} person", "{n} people", roster.total),
        rows=rows,
        buttons=more("people", roster.after, roster.first, len(rows)),
        small=(_("Type: grant and a name, then technician or admin; revoke access and a name"),),
        empty="" if rows else _("Nobody has said hi to me yet."),
    )


def whoami(person: Person, roles: frozenset[Role], muted: str = "", by_group: frozenset[Role] = frozenset()) -> Notice:
    facts = (
        (_("Name"), escape(person.name)),
        (_("Account"), escape(person.upn)),
        (_("Role"), role_words(roles, by_group)),
        (_("Object id"), escape(person.id)),
        (_("Muted"), muted),
    )
    return Notice(title=_("This is you"), facts=tuple(Fact(label, value) for label, value in facts if value))


# ------------------------------------------------------------------ ending


def _reached_words(work: Workload, now: datetime) -> tuple[str, ...]:
    """When they were last seen: what they opened last."""
    opened = work.reached.opened_at if work.reached else None
    return (_("Last opened a card {time}.", time=clock(opened, now)),) if opened else ()


def revoke_form(work: Workload, heirs: Sequence[Person], now: datetime, heir: str = "-", error: str = "") -> FormCard:
    name = escape(work.person.name or work.person.upn)
    data = {"person": work.person.id, "rev": str(work.person.version)}
    others = names_to_choose([person for person in heirs if person.id != work.person.id], heir)
    live = ngettext("{n} live code", "{n} live codes", work.live)
    jobs = ngettext("{n} open job", "{n} open jobs", work.open)
    inputs = (
        (
            ChoiceInput(
                id="heir",
                label=_("Give jobs to"),
                choices=(("-", _("nobody")), *others),
                value=heir,
                error=escape(error),
            ),
        )
        if work.open and others
        else ()
    )
    return FormCard(
        title=_("{name}: {live}, {jobs}", name=name, live=live, jobs=jobs),
        tone=Tone.WARNING,
        lines=(*_reached_words(work, now), _("Access ends at once and all their codes die.")),
        inputs=inputs,
        buttons=(Button("revoke_access_save", _("Revoke now"), data, style=Style.DESTRUCTIVE), cancel()),
        small=(_("Or type: revoke access {name} to …", name=name),),
        subject=work.person.id,
        revision=work.person.version,
    )


def ended_card(ended: Ended, now: datetime) -> Notice:
    name = escape(ended.person.name or ended.person.upn)
    lines = [ngettext("{n} code dead", "{n} codes dead", ended.codes)]
    if ended.jobs and ended.heir:
        heir = escape(ended.heir.name)
        lines.append(_moved(ended, heir))
    elif ended.jobs:
        lines.append(ngettext("{n} job with nobody now", "{n} jobs with nobody now", ended.jobs))
    return Notice(
        title=_("{name} has no access since {time}.", name=name, time=clock(now, now)), lines=(", ".join(lines) + ".",)
    )


def left_card(ended: Ended) -> Notice:
    """To admins: the service ended an access by itself."""
    card = ended_card(ended, ended.person.access_ended_at) if ended.person.access_ended_at else None
    name = escape(ended.person.name or ended.person.upn)
    return Notice(
        title=_("I cannot reach {name}: access ended", name=name),
        tone=Tone.WARNING,
        lines=(
            _("They removed or blocked the app, and this deployment ends such an access by itself."),
            *(card.lines if card else ()),
        ),
        buttons=(Button("people", _("People")),),
        small=(_("Or type: assign …, grant {name} technician", name=name),),
    )


def left_group_card(ended: Ended) -> Notice:
    """To admins: somebody's last role went with an Entra group."""
    card = ended_card(ended, ended.person.access_ended_at) if ended.person.access_ended_at else None
    name = escape(ended.person.name or ended.person.upn)
    return Notice(
        title=_("{name} left the Entra group: access ended", name=name),
        tone=Tone.WARNING,
        lines=card.lines if card else (),
        buttons=(Button("people", _("People")),),
        small=(_("Or type: assign …, grant {name} technician", name=name),),
    )


def _moved(ended: Ended, heir: str) -> str:
    """Only a live code that died is followed by a new one."""
    if ended.codes >= ended.jobs:
        return ngettext("{n} job to {heir} with new codes", "{n} jobs to {heir} with new codes", ended.jobs, heir=heir)
    moved = ngettext("{n} job to {heir}", "{n} jobs to {heir}", ended.jobs, heir=heir)
    return _("{moved}, {count} with new codes", moved=moved, count=ended.codes) if ended.codes else moved


def unreachable_card(person: Person, work: Workload) -> Notice:
    name = escape(person.name or person.upn)
    live = ngettext("{n} live code", "{n} live codes", work.live)
    return Notice(
        title=_("I cannot reach {name}.", name=name),
        tone=Tone.WARNING,
        lines=(
            _(
                "They removed or blocked the app. With them: {live}, {jobs}.",
                live=live,
                jobs=ngettext("{n} open job", "{n} open jobs", work.open),
            ),
        ),
        buttons=(
            Button("revoke_access", _("Give jobs away"), {"person": person.id}, style=Style.POSITIVE),
            Button("audit", _("Ledger"), {"about": person.id}),
        ),
        small=(_("Or type: assign …, revoke access {name}", name=name),),
    )
