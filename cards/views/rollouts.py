"""The channel's living card, and what is said in its thread. Never a code, never a list of MACs."""

from __future__ import annotations

from datetime import datetime

from cards.view import Button, Notice, RolloutCard
from cards.views.common import place_words, problem_words
from cards.words import bar, clock, escape
from provisioning.model import Device
from provisioning.rollouts import Rollout
from provisioning.service.rollouts import Progress
from provisioning.texts import N_, _, ngettext

FACTS = {
    "DeviceProvisioned": N_("{place}, called in {time}"),
    "InstallConfirmed": N_("{place}, {name} {time}"),
    "ProblemReported": N_("{place}, problem, {name} {time}"),
}


def site_words(scope: str) -> str:
    return escape(scope) if scope else _("All sites")


def rollout_card(progress: Progress, now: datetime) -> RolloutCard:
    problems = ngettext("{n} problem", "{n} problems", progress.problems)
    counts = _(
        "{done} of {total} provisioned, {installed} installed, {problems}",
        done=progress.provisioned,
        total=progress.total,
        installed=progress.installed,
        problems=problems,
    )
    if progress.waiting_installed:
        counts = ngettext(
            "{counts}. {n} of the installed has not called in",
            "{counts}. {n} of the installed have not called in",
            progress.waiting_installed,
            counts=counts,
        )
    return RolloutCard(
        title=_("{site} rollout", site=site_words(progress.scope)),
        summary=_("{site} rollout: {percent} % provisioned", site=site_words(progress.scope), percent=progress.percent),
        headline=counts,
        bar=bar(progress.provisioned, progress.total),
        last=_last(progress, now),
        buttons=(Button("rollout_details", _("Details"), {"site": progress.scope}),),
        small=(_("Or type: rollout"),),
    )


def _last(progress: Progress, now: datetime) -> str:
    updated = _("Updated {time}.", time=clock(now, now))
    if progress.last is None or progress.last_at is None:
        return updated
    said = _(
        FACTS[progress.last_fact],
        place=escape(progress.last.place),
        name=escape(progress.last_by),
        time=clock(progress.last_at, now),
    )
    return _("Last: {said}. {updated}", said=said, updated=updated)


def details_card(progress: Progress) -> Notice:
    waiting = progress.total - progress.provisioned
    return Notice(
        title=_("{site} rollout", site=site_words(progress.scope)),
        lines=(
            ngettext("{n} device waits for activation.", "{n} devices wait for activation.", waiting),
            ngettext("{n} device called in.", "{n} devices called in.", progress.provisioned),
            ngettext("{n} device confirmed on site.", "{n} devices confirmed on site.", progress.installed),
            *_mounted_only(progress),
            ngettext("{n} device has a problem.", "{n} devices have a problem.", progress.problems),
            *((_("Codes start on site."),) if progress.on_site else ()),
        ),
        buttons=(Button("rollout_card", _("Back"), {"site": progress.scope}),),
    )


def _mounted_only(progress: Progress) -> tuple[str, ...]:
    """What was confirmed before the device called in; of a companion device nobody here knows more."""
    count = progress.waiting_installed
    said = ngettext("{n} of them has not called in here.", "{n} of them have not called in here.", count)
    return (said,) if count else ()


def policy_note(rollout: Rollout) -> str:
    site = site_words(rollout.scope)
    if rollout.on_site:
        return _("{site}: codes start on site from now on, when a technician is at the device.", site=site)
    return _("{site}: codes are made at once from now on, when they are issued.", site=site)


def connected_note(rollout: Rollout) -> str:
    return _("This channel follows {site} now.", site=site_words(rollout.scope))


def disconnected_note(rollout: Rollout) -> str:
    return _("This channel no longer follows {site}. The card above stays as it is.", site=site_words(rollout.scope))


def milestone_note(rollout: Rollout, percent: int) -> str:
    if percent == 0:
        return _("{site}: the first device called in. The rollout has started.", site=site_words(rollout.scope))
    if percent == 100:
        return _("{site}: 100 %. Every device has called in.", site=site_words(rollout.scope))
    return _("{site}: {percent} % of the devices have called in.", site=site_words(rollout.scope), percent=percent)


def codes_ended_note(count: int) -> str:
    return ngettext("{n} code ended unused.", "{n} codes ended unused.", count)


def problem_note(device: Device, owner: str) -> str:
    said = _("Problem at {place}: {problem}", place=place_words(device), problem=problem_words(device))
    return f"{owner} {said}" if owner else said


def card_gone_card(site: str) -> Notice:
    return Notice(
        title=_("The card of {site} was deleted twice", site=site_words(site)),
        lines=(
            _("I do not post it again by myself. Mention me there and say rollout to have it back, or disconnect."),
        ),
    )
