"""A rollout's plan: the form, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cards.view import Button, ChoiceInput, FormCard, Input, Notice, Style, TextInput
from cards.views.common import names_to_choose
from cards.views.rollouts import plan_lines, scope_word, site_words
from cards.words import escape, local_text
from provisioning.errors import BadInput
from provisioning.model import Person
from provisioning.rollouts import Rollout
from provisioning.service.planning import Reminded
from provisioning.service.rollouts import Followed
from provisioning.texts import N_, _, ngettext

STARTS = {"at once": N_("At once, when they are issued"), "on site": N_("On site, at the device")}


def plan_form(
    followed: Followed,
    people: tuple[list[Person], list[Person]],
    values: Mapping[str, str],
    fault: BadInput | None,
) -> FormCard:
    """`people`: who may lead, and who may work; `values`: what was typed, where the form comes back."""
    rollout = followed.rollout
    where = {"channel": rollout.key, "scope": scope_word(rollout)}
    return FormCard(
        title=_("Plan of {site}", site=site_words(rollout.scope)),
        inputs=(*_people(rollout, *people, values), *_codes(rollout, values, fault), *_times(rollout, values, fault)),
        buttons=(
            Button("plan_save", _("Save"), where, style=Style.POSITIVE),
            Button("dismiss", _("Cancel"), inputs=False),
        ),
        small=(_("Or type: plan lead Sam, plan technicians Sam and Kim, plan codes 48h, plan until 2026-12-03 17:00"),),
    )


def _people(
    rollout: Rollout, leaders: list[Person], workers: list[Person], values: Mapping[str, str]
) -> tuple[Input, ...]:
    lead = ChoiceInput(
        id="lead",
        label=_("Lead"),
        choices=(("-", _("Whoever connected it")), *names_to_choose(leaders)),
        value=values.get("lead", rollout.lead or "-"),
    )
    if not workers:
        return (lead,)
    technicians = ChoiceInput(
        id="technicians",
        label=_("Technicians"),
        choices=names_to_choose(workers),
        value=values.get("technicians", ",".join(rollout.technicians)),
        multiple=True,
    )
    return lead, technicians


def _codes(rollout: Rollout, values: Mapping[str, str], fault: BadInput | None) -> tuple[Input, ...]:
    start = ChoiceInput(
        id="policy",
        label=_("Codes start"),
        choices=tuple((value, _(title)) for value, title in STARTS.items()),
        value=values.get("policy", "on site" if rollout.on_site else "at once"),
        expanded=True,
    )
    hours = f"{rollout.lifetime_hours}h" if rollout.lifetime_hours else ""
    return start, _text("lifetime", _("Codes live"), values.get("lifetime", hours), "48h", fault)


def _times(rollout: Rollout, values: Mapping[str, str], fault: BadInput | None) -> tuple[Input, ...]:
    starts, ends = local_text(rollout.planned_start), local_text(rollout.planned_end)
    return (
        _text("starts", _("Starts"), values.get("starts", starts), "2026-12-01 08:00", fault),
        _text("ends", _("Planned end"), values.get("ends", ends), "2026-12-03 17:00", fault),
    )


def _text(name: str, label: str, value: str, hint: str, fault: BadInput | None) -> TextInput:
    error = escape(fault.sentence) if fault and fault.field == name else ""
    return TextInput(id=name, label=label, value=value, placeholder=hint, error=error, limit=40)


def planned_card(followed: Followed, now: datetime) -> Notice:
    rollout = followed.rollout
    start = _("Codes start on site.") if rollout.on_site else _("Codes are made at once, when they are issued.")
    hours = rollout.lifetime_hours
    live = ngettext("Codes live {n} hour.", "Codes live {n} hours.", hours) if hours else ""
    return Notice(
        title=_("Plan of {site}", site=site_words(rollout.scope)),
        lines=(*plan_lines(followed, now), start, *((live,) if live else ())),
        small=(_("Or type: plan lead Sam, plan codes 48h, plan until 2026-12-03 17:00"),),
    )


def reminded_note(reminded: Reminded) -> str:
    site = site_words(reminded.rollout.scope)
    return ngettext(
        "{site}: {n} technician with open devices is reminded.",
        "{site}: {n} technicians with open devices are reminded.",
        reminded.people,
        site=site,
    )


def reminder_summary(scope: str, count: int) -> str:
    """The push line of a reminder."""
    return ngettext(
        "{site}: {n} of your devices is still open",
        "{site}: {n} of your devices are still open",
        count,
        site=site_words(scope),
    )
