"""Cards of an issue: its form, what it did for one technician or several, what is asked before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cards.view import Button, ChoiceInput, FormCard, Input, ListCard, Notice, Row, Style, Tone
from cards.views.common import CHOICES, cancel, names_to_choose, place_words
from cards.words import clock, escape, listing, until
from provisioning.batches import Batch
from provisioning.errors import BadInput
from provisioning.model import Device, Person
from provisioning.service.handover import Delivery
from provisioning.service.issuing import MOST, Issued, IssueOrder, Ledger, Outlook
from provisioning.texts import _, ngettext

ROWS = MOST
BUTTONS = 6
NAME = 30  # characters of a name or a place in a row: ten rows have to fit on one card in any script


@dataclass(frozen=True, slots=True)
class Choices:
    """What the form offers. `counts` = (value, site, devices waiting); one means that the site is settled."""

    target: str
    counts: Sequence[tuple[str, str, int]]
    floors: Sequence[str] = ()
    technicians: Sequence[Person] = ()
    technician: str = ""  # ids that are chosen already, with commas
    split: str = "even"
    start: str = "at once"


def issue_form(title: str, choices: Choices, fault: BadInput | None = None) -> FormCard:
    waiting = sum(count for _value, _site, count in choices.counts)
    sites = tuple((value, _("{site} ({n} waiting)", site=site, n=count)) for value, site, count in choices.counts)
    inputs: list[Input] = [
        ChoiceInput(id="target", label=_("Site"), choices=sites[: CHOICES + 1], value=choices.target)
    ]
    if choices.floors:
        floors = (("-", _("all floors")), *((floor, floor) for floor in choices.floors))
        inputs.append(ChoiceInput(id="floor", label=_("Floor"), choices=floors, value="-"))
    small = [_("A live code is kept."), _("Or type: issue {target} to Sam for 48h", target=escape(choices.target))]
    if len(choices.technicians) > 1:
        small[1] = _("Or type: issue {target} to Sam and Kim by floor", target=escape(choices.target))
    if len(sites) > CHOICES + 1 or len(choices.technicians) > CHOICES:
        small.append(_("Not in the list? Type issue, a site, to and a name."))
    button = _("Issue {n}", n=waiting) if len(sites) == 1 else _("Issue codes")
    return FormCard(
        title=title,
        notice=escape(fault.sentence) if fault else "",
        inputs=(*inputs, *_to_whom(choices), _start(choices.start)),
        buttons=(Button("issue_save", button, style=Style.POSITIVE), cancel()),
        small=tuple(small),
    )


def _start(value: str) -> ChoiceInput:
    return ChoiceInput(
        id="start",
        label=_("Codes start"),
        choices=(("at once", _("at once")), ("on site", _("on site, when somebody is at the device"))),
        value=value,
    )


def _to_whom(choices: Choices) -> tuple[Input, ...]:
    """One technician to choose from is asked as one; of several any number may be chosen, and how they share."""
    people, chosen = choices.technicians, choices.technician
    if not people:
        return ()
    if len(people) == 1:
        return (people_choice("technician", _("Technician"), people, chosen, _("as assigned")),)
    return (
        ChoiceInput(
            id="technician",
            label=_("Technicians (none: as assigned)"),
            choices=names_to_choose(people, chosen),
            value=chosen,
            multiple=True,
        ),
        ChoiceInput(
            id="split",
            label=_("Several share"),
            choices=(("even", _("evenly, one after another")), ("floor", _("by floor, each kept whole"))),
            value=choices.split,
        ),
    )


def people_choice(
    id_: str, label: str, people: Sequence[Person], value: str, nobody: str, error: str = ""
) -> ChoiceInput:
    """A technician choice; `nobody` names the empty choice."""
    choices = (("-", nobody), *names_to_choose(people, value))
    return ChoiceInput(id=id_, label=label, choices=choices, value=value or "-", error=error)


def nothing_to_issue(done: Issued) -> Notice:
    why = left_out(done) or _("All that are listed there have called in already, or none is listed.")
    return Notice(
        title=_("No device waits for a code: {title}", title=escape(done.target.title)),
        lines=(why,),
        buttons=(Button("devices", _("Devices")), Button("add_form", _("Add one"))),
    )


def left_out(done: Issued) -> str:
    """Whom the order did not concern, and why."""
    words = []
    if done.refused:
        words.append(ngettext("{n} was provisioned already.", "{n} were provisioned already.", done.refused))
    if done.teams:
        words.append(
            ngettext(
                "{n} gets its code from the Teams admin centre: make it there and upload the file.",
                "{n} get their codes from the Teams admin centre: make them there and upload the file.",
                done.teams,
            )
        )
    if done.nobody:
        words.append(
            ngettext(
                "{n} is with nobody who could start its code: name a technician.",
                "{n} are with nobody who could start their codes: name a technician.",
                done.nobody,
            )
        )
    return " ".join(words)


# ------------------------------------------------------------------ what is asked before


def outlook_card(outlook: Outlook, order: IssueOrder) -> Notice:
    """More than is usually installed while the codes live: begin with what is."""
    count, people = len(outlook.leading.devices), ",".join(order.technicians)
    names = listing([escape(person.name) for person in outlook.people])
    data = {
        "target": order.target.word,
        "floor": order.floor or "-",
        "technician": people,
        "split": "floor" if order.by_floor else "even",
        "lifetime": f"{int(order.lifetime.total_seconds() // 3600)}h" if order.lifetime else "",
    }
    usually = ngettext(
        "{name} installs about {usual}.",
        "{name} install about {usual}.",
        len(outlook.people),
        name=names,
        usual=outlook.usual,
    )
    return Notice(
        title=_("{total} in {time}", total=outlook.total, time=_span(outlook.lifetime)),
        lines=(usually, _begin_with(outlook, count)),
        buttons=(
            Button("issue_save", _("{n} now", n=count), {**data, "first": str(outlook.usual)}, style=Style.POSITIVE),
            Button("issue_save", _("All {n}", n=outlook.total), {**data, "sure": "true"}),
            cancel(),
        ),
        small=(_("Nothing is issued yet. Codes that are not used in time end."),),
    )


def _begin_with(outlook: Outlook, count: int) -> str:
    floors = outlook.leading.floors
    one_site = len({device.site for device in outlook.leading.devices}) == 1
    if not (floors and all(floors) and one_site):
        return ngettext("Issue the first one now?", "Issue the first {n} now?", count)
    if len(floors) == 1:
        return _("Issue floor {floor} ({n}) now?", floor=escape(floors[0]), n=count)
    return _("Issue floors {floors} ({n}) now?", floors=listing([escape(floor) for floor in floors]), n=count)


def _span(lifetime: timedelta) -> str:
    hours = int(lifetime.total_seconds() // 3600)
    return _("{n} h", n=hours) if hours < 48 or hours % 24 else _("{n} days", n=hours // 24)


def own_code_question(device: Device, person: str, lifetime: str) -> Notice:
    """Before a device whose codes came from the Teams admin centre gets one of ours."""
    data = {"target": device.mac, "person": person, "lifetime": lifetime, "sure": "true"}
    return Notice(
        title=_("{place} had its code from the Teams admin centre", place=place_words(device)),
        tone=Tone.WARNING,
        lines=(
            _("Make a new one there and upload the file. A code of ours works only if the device calls our service."),
        ),
        buttons=(Button("issue", _("Issue one of ours"), {k: v for k, v in data.items() if v}), cancel()),
        subject=device.mac,
        revision=device.version,
    )


# ------------------------------------------------------------------ what it did


def issued_card(ledger: Ledger, now: datetime, *, notice: str = "", invite: str = "") -> Notice:
    """What an issue did for one technician, and how far they have been reached; redrawn as that changes."""
    batch, delivery = ledger.batch, ledger.delivery
    count, kept = len(batch.macs), len(batch.kept)
    lines = []
    if kept:
        lines.append(ngettext("{n} had a live code and keeps it.", "{n} had a live code and keep it.", kept))
    if batch.expires_at:
        lines.append(_("Valid until {time}.", time=until(batch.expires_at, now)))
    if batch.on_site and count:
        lines.append(_("Codes start on site, so none can end before."))
    elif delivery is None:
        lines.append(
            ngettext(
                "It is with nobody yet: assign gives it to a technician.",
                "They are with nobody yet: assign gives them to a technician.",
                count + kept,
            )
        )
    return Notice(
        title=_issued_title(batch, escape(delivery.person.name) if delivery else ""),
        tone=Tone.GOOD if count or kept else Tone.PLAIN,
        notice=notice,
        lines=(" ".join(lines), *((_ledger(delivery, now),) if delivery else ())),
        buttons=_issued_buttons(ledger, invite),
        small=(
            _(
                "by {name} {time}. Or type: codes, reissue, assign, revoke",
                name=escape(batch.by_name),
                time=clock(batch.at, now),
            ),
        ),
    )


def _issued_title(batch: Batch, name: str) -> str:
    count, kept = len(batch.macs), len(batch.kept)
    if batch.on_site and count:
        if not name:
            return ngettext("{n} device handed over", "{n} devices handed over", count)
        return ngettext("{n} device handed to {name}", "{n} devices handed to {name}", count, name=name)
    if name and kept and not count:
        return ngettext("{n} live code is with {name}", "{n} live codes are with {name}", kept, name=name)
    if name:
        return ngettext("{n} code issued to {name}", "{n} codes issued to {name}", count, name=name)
    return ngettext("{n} code issued", "{n} codes issued", count)


def _ledger(delivery: Delivery, now: datetime) -> str:
    name = escape(delivery.person.name[:NAME])
    if not delivery.person.reachable or delivery.person.chat is None:
        return _("I cannot reach {name}: they have to open the app and say hi once.", name=name)
    if delivery.delivered_at is None:
        return _("{name}: being delivered", name=name)
    told = _("{name}: delivered {time}", name=name, time=clock(delivery.delivered_at, now))
    return _("{told}, opened {time}", told=told, time=clock(delivery.opened_at, now)) if delivery.opened_at else told


def _issued_buttons(ledger: Ledger, invite: str) -> tuple[Button, ...]:
    batch, delivery, data = ledger.batch, ledger.delivery, {"batch": ledger.batch.id}
    buttons: list[Button] = []
    if delivery and delivery.person.chat and delivery.person.reachable:
        buttons.append(
            Button("remind", _("Message {name}", name=_first(delivery.person.name)), data, style=Style.POSITIVE)
        )
    else:
        if delivery and invite:
            buttons.append(Button("", _("Invite link"), url=invite))
        buttons.append(Button("assign_form", _("Choose another") if delivery else _("Choose technician"), data))
    if ledger.renewable:
        buttons.append(Button("reissue_kept", ngettext("Reissue it", "Reissue the {n}", ledger.renewable), data))
    if batch.technician:
        buttons.append(Button("export_codes", _("Download"), {"person": batch.technician}))
    return tuple(buttons)


def _first(name: str) -> str:
    return (name.split() or [""])[0][:10]


def issued_many_card(
    ledgers: Sequence[Ledger], ids: str, now: datetime, *, notice: str = "", readers: tuple[str, ...] = ()
) -> ListCard:
    """A row for each technician; a button opens the card with everything about one of them."""
    total, kept = sum(len(each.batch.macs) for each in ledgers), sum(len(each.batch.kept) for each in ledgers)
    names = listing([_short(each) for each in ledgers])
    ends = max((each.batch.expires_at for each in ledgers if each.batch.expires_at), default=None)
    lines = [ngettext("{n} had a live code and keeps it.", "{n} had a live code and keep it.", kept)] if kept else []
    if ends:
        lines.append(_("Valid until {time}.", time=until(ends, now)))
    title = ngettext("{n} code issued to {name}", "{n} codes issued to {name}", total, name=names)
    if ledgers[0].batch.on_site:
        title = ngettext("{n} device handed to {name}", "{n} devices handed to {name}", total, name=names)
        lines.append(_("Codes start on site, so none can end before."))
    return ListCard(
        title=title,
        tone=Tone.GOOD,
        notice=notice,
        lines=(" ".join(lines),),
        rows=tuple(_hand_row(each, now) for each in ledgers),
        buttons=tuple(Button("issued", _short(each)[:20], {"batch": each.batch.id}) for each in ledgers[:BUTTONS]),
        small=(_("Each has a message. A button shows one of them: remind, reissue, download."),),
        subject=ledgers[0].batch.id,
        readers=readers,
        refresh_verb="refresh" if readers else "",
    )


def _short(ledger: Ledger) -> str:
    return escape(_first(ledger.delivery.person.name)) if ledger.delivery else _("nobody")


def _hand_row(ledger: Ledger, now: datetime) -> Row:
    batch, delivery = ledger.batch, ledger.delivery
    name = escape(delivery.person.name[:NAME]) if delivery else _("nobody")
    if batch.on_site:
        count = ngettext("{name}: {n} device", "{name}: {n} devices", len(batch.macs), name=name)
    else:
        count = ngettext("{name}: {n} code", "{name}: {n} codes", len(batch.macs), name=name)
    first, last = escape(ledger.first[:NAME]), escape(ledger.last[:NAME])
    way = first if first == last else _("{first} to {last}", first=first, last=last)
    kept = ngettext("{n} kept", "{n} kept", len(batch.kept)) if batch.kept else ""
    reached = _ledger(delivery, now) if delivery else ""
    return Row(title=count, detail=". ".join(filter(None, (", ".join(filter(None, (way, kept))), reached))))


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


def assigned_card(count: int, person: Person, title: str) -> Notice:
    return Notice(
        title=ngettext(
            "{n} device is with {name} now", "{n} devices are with {name} now", count, name=escape(person.name)
        ),
        tone=Tone.GOOD if count else Tone.PLAIN,
        lines=(escape(title),),
    )
