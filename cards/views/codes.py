"""Cards of codes: the issue form, what an issue did, one code, a page of codes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cards.view import Button, ChoiceInput, CodeCard, FormCard, Input, ListCard, Notice, Row, Style, Tone
from cards.views.common import (
    CHOICES,
    cancel,
    danger,
    more,
    names_to_choose,
    place_words,
    short,
    valid_words,
    what_and_mac,
)
from cards.words import clock, code_groups, escape, mac_dashed, until
from provisioning.errors import BadInput
from provisioning.lifecycle import companion
from provisioning.model import Batch, Device, Person
from provisioning.service.codes import CodePage
from provisioning.service.handover import Delivery, InHand
from provisioning.texts import _, ngettext


def people_choice(
    id_: str, label: str, people: Sequence[Person], value: str, nobody: str, error: str = ""
) -> ChoiceInput:
    """A technician choice; `nobody` names the empty choice."""
    choices = (("-", nobody), *names_to_choose(people, value))
    return ChoiceInput(id=id_, label=label, choices=choices, value=value or "-", error=error)


def issue_form(
    target: str,
    title: str,
    counts: Sequence[tuple[str, str, int]],
    floors: Sequence[str],
    technicians: Sequence[Person],
    technician: str = "",
    fault: BadInput | None = None,
) -> FormCard:
    """`counts` = (value, site, devices waiting) of each site that can be chosen; one means the site is settled."""
    waiting = sum(count for _value, _site, count in counts)
    sites = tuple(
        (value, _("{site} ({n} waiting)", site=site, n=count)) for value, site, count in counts[: CHOICES + 1]
    )
    inputs: list[Input] = [ChoiceInput(id="target", label=_("Site"), choices=sites, value=target)]
    if floors:
        all_floors = (("-", _("all floors")),)
        inputs.append(
            ChoiceInput(id="floor", label=_("Floor"), choices=(*all_floors, *((f, f) for f in floors)), value="-")
        )
    if technicians:
        inputs.append(people_choice("technician", _("Technician"), technicians, technician, _("as assigned")))
    small = [_("A live code is kept."), _("Or type: issue {target} to Sam for 48h", target=escape(target))]
    if len(counts) > CHOICES + 1 or len(technicians) > CHOICES:
        small.append(_("Not in the list? Type issue, a site, to and a name."))
    button = _("Issue {n}", n=waiting) if len(counts) == 1 else _("Issue codes")
    return FormCard(
        title=title,
        notice=escape(fault.sentence) if fault else "",
        inputs=tuple(inputs),
        buttons=(Button("issue_save", button, style=Style.POSITIVE), cancel()),
        small=tuple(small),
    )


def nothing_to_issue(title: str) -> Notice:
    return Notice(
        title=_("No device waits for a code: {title}", title=escape(title)),
        lines=(_("All that are listed there have called in already, or none is listed."),),
        buttons=(Button("devices", _("Devices")), Button("add_form", _("Add one"))),
    )


def issued_card(
    batch: Batch,
    now: datetime,
    *,
    refused: int = 0,
    delivery: Delivery | None = None,
    notice: str = "",
    invite: str = "",
) -> Notice:
    """What an issue did, and how far its technician has been reached; redrawn as that changes."""
    count, kept = len(batch.macs), len(batch.kept)
    name = escape(delivery.person.name) if delivery else ""
    lines = []
    if kept:
        lines.append(ngettext("{n} had a live code and keeps it.", "{n} had a live code and keep it.", kept))
    if refused:
        lines.append(ngettext("{n} was provisioned already.", "{n} were provisioned already.", refused))
    if batch.expires_at:
        lines.append(_("Valid until {time}.", time=until(batch.expires_at, now)))
    if delivery is None:
        lines.append(
            ngettext(
                "It is with nobody yet: assign gives it to a technician.",
                "They are with nobody yet: assign gives them to a technician.",
                count + kept,
            )
        )
    return Notice(
        title=_issued_title(count, name),
        tone=Tone.GOOD if count else Tone.PLAIN,
        notice=notice,
        lines=(" ".join(lines), *((_ledger(delivery, now),) if delivery else ())),
        buttons=_issued_buttons(batch, delivery, invite),
        small=(
            _(
                "by {name} {time}. Or type: codes, reissue, assign, revoke",
                name=escape(batch.by_name),
                time=clock(batch.at, now),
            ),
        ),
    )


def _issued_title(count: int, name: str) -> str:
    if name:
        return ngettext("{n} code issued to {name}", "{n} codes issued to {name}", count, name=name)
    return ngettext("{n} code issued", "{n} codes issued", count)


def _ledger(delivery: Delivery, now: datetime) -> str:
    name = escape(delivery.person.name)
    if not delivery.person.reachable or delivery.person.chat is None:
        return _("I cannot reach {name}: they have to open the app and say hi once.", name=name)
    if delivery.delivered_at is None:
        return _("{name}: being delivered", name=name)
    told = _("{name}: delivered {time}", name=name, time=clock(delivery.delivered_at, now))
    return _("{told}, opened {time}", told=told, time=clock(delivery.opened_at, now)) if delivery.opened_at else told


def _issued_buttons(batch: Batch, delivery: Delivery | None, invite: str) -> tuple[Button, ...]:
    data = {"batch": batch.id}
    buttons: list[Button] = []
    if delivery and delivery.person.chat and delivery.person.reachable:
        buttons.append(
            Button("remind", _("Message {name}", name=_first(delivery.person.name)), data, style=Style.POSITIVE)
        )
    else:
        if delivery and invite:
            buttons.append(Button("", _("Invite link"), url=invite))
        buttons.append(Button("assign_form", _("Choose another") if delivery else _("Choose technician"), data))
    if batch.kept:
        buttons.append(Button("reissue_kept", _("Reissue the {n}", n=len(batch.kept)), data))
    return tuple(buttons)


def _first(name: str) -> str:
    return (name.split() or [""])[0][:10]


def assign_form(batch: Batch, technicians: Sequence[Person], fault: BadInput | None = None) -> FormCard:
    choices = names_to_choose(technicians)
    if not choices:
        return FormCard(
            title=_("Nobody is a technician yet"),
            lines=(_("Say: grant and a name, then technician. People are known once they said hi to me."),),
            buttons=(Button("people", _("People"), inputs=False),),
        )
    return FormCard(
        title=ngettext("Who takes {n} device?", "Who takes {n} devices?", len(batch.macs) + len(batch.kept)),
        inputs=(
            ChoiceInput(
                id="technician",
                label=_("Technician"),
                choices=choices,
                required=True,
                required_message=_("Choose somebody."),
                error=_("Choose somebody.") if fault else "",
            ),
        ),
        buttons=(
            Button("assign_save", _("Hand over"), {"batch": batch.id}, style=Style.POSITIVE),
            Button("issued", _("Back"), {"batch": batch.id}, inputs=False),
        ),
        small=(_("Or type: assign Oslo to Sam"),),
    )


def code_card(held: InHand, now: datetime, notice: str = "") -> CodeCard:
    """One code, for an admin."""
    device, data = held.device, {"target": held.device.mac}
    live, teams = device.live_code(now), companion(device)
    renew = () if teams else (Button("reissue", _("New code"), data),)
    place = escape(device.place)
    typed = (
        _("Or type: revoke {place}", place=place)
        if teams
        else _("Or type: reissue {place}, revoke {place}", place=place)
    )
    return CodeCard(
        title=place_words(device),
        notice=notice,
        device=what_and_mac(device),
        code=code_groups(held.digits),
        valid=valid_words(device, live, now) if live else _("no live code"),
        lines=(_("With {name}.", name=escape(held.technician)),) if held.technician else (),
        buttons=(*renew, Button("revoke", _("Revoke code"), data)) if live else (),
        small=(_("Seeing a code is logged."), typed),
        subject=device.mac,
        revision=device.version,
    )


def codes_card(page: CodePage, now: datetime) -> ListCard:
    title = ngettext("{n} live code", "{n} live codes", page.total)
    small = [_("Codes are secrets; each page you see is logged.")] if page.codes else []
    if any(companion(held.device) for held in page.codes):
        small.append(_("Those of the Teams admin centre work with Microsoft's service alone, the others with ours."))
    return ListCard(
        title=f"{title}: {escape(page.scope)}" if page.scope else title,
        summary=title,
        rows=tuple(_code_row(held, now) for held in page.codes),
        empty="" if page.codes else _("No code is live. issue makes some."),
        small=tuple(small),
        buttons=more("codes", page.after, page.first, len(page.codes), site=page.scope),
    )


def _code_row(held: InHand, now: datetime) -> Row:
    code = held.device.live_code(now)
    ends = _("until {time}", time=until(code.expires_at, now)) if code else _("ended")
    who = escape(held.technician) if held.technician else _("nobody")
    by = [_("Teams admin centre")] if companion(held.device) else []
    return Row(title=short(held.device), code=code_groups(held.digits), detail=", ".join((who, ends, *by)))


def revoked_card(count: int, title: str) -> Notice:
    return Notice(
        title=ngettext("{n} code revoked", "{n} codes revoked", count) + f": {escape(title)}",
        lines=(_("Revoked codes never work again."),) if count else (_("No live code there."),),
    )


def ask_many(verb: str, question: str, button: str, target: str, small: str) -> Notice:
    """Before live codes of more than one device die."""
    return Notice(
        title=question, buttons=(danger(verb, button, {"target": target, "sure": "true"}), cancel()), small=(small,)
    )


def assigned_card(count: int, person: Person, title: str) -> Notice:
    return Notice(
        title=ngettext(
            "{n} device is with {name} now", "{n} devices are with {name} now", count, name=escape(person.name)
        ),
        tone=Tone.GOOD if count else Tone.PLAIN,
        lines=(escape(title),),
    )


def locked_card(device: Device) -> Notice:
    """To the admins: a code died under wrong tries."""
    return Notice(
        title=_("Too many wrong codes for {place}", place=place_words(device)),
        tone=Tone.ATTENTION,
        lines=(_("Its code was revoked. If the right device is being installed, issue a new one."),),
        buttons=(Button("issue", _("New code"), _this_code(device), style=Style.POSITIVE),),
        small=(_("Or type: issue {mac}", mac=mac_dashed(device.mac)),),
        subject=device.mac,
        revision=device.version,
    )


def wanted_card(device: Device, name: str) -> Notice:
    """To the admins: a technician may not renew by themselves any more, or only Microsoft can."""
    if companion(device):
        return Notice(
            title=_("{name} needs a code, {place}", name=escape(name), place=place_words(device)),
            lines=(_("Make a new one in the Teams admin centre, then upload the file here."), what_and_mac(device)),
            buttons=(Button("device", _("Show it"), {"device": device.mac}), Button("dismiss", _("Refuse"))),
            subject=device.mac,
            revision=device.version,
        )
    return Notice(
        title=_("{name} needs a code, {place}", name=escape(name), place=place_words(device)),
        buttons=(  # the live code that does not work on site dies
            Button("reissue", _("Issue"), _this_code(device), style=Style.POSITIVE),
            Button("dismiss", _("Refuse")),
        ),
        small=(_("Or type: issue {mac}", mac=mac_dashed(device.mac)),),
        subject=device.mac,
        revision=device.version,
    )


def _this_code(device: Device) -> dict[str, str]:
    """Of use as long as no other code was issued since."""
    return {"target": device.mac, "issue": str(device.issued)}
