"""Codes that end: to whoever can do something about it, with one tap for all that are still open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from cards.view import Button, Notice, Style, Tone
from cards.words import escape, listing, until
from provisioning.model import Device
from provisioning.service.extending import Ends
from provisioning.service.radar import Renewed
from provisioning.texts import _, ngettext

NAMED = 5  # places or people in one sentence


def ending_card(ends: Ends, since: str, now: datetime) -> Notice:
    """To a technician."""
    able = len(ends.devices) - ends.helpless
    title, ended = _title(ends, now)
    lines = [*ended, _places(ends)]
    if ends.helpless:
        lines.append(ngettext("{n} needs an admin.", "{n} need an admin.", ends.helpless))
    renew = Button("renew_ends", ngettext("Renew it", "Renew the {n}", able), {"since": since}, style=Style.POSITIVE)
    return Notice(
        title=title,
        tone=Tone.WARNING,
        lines=tuple(lines),
        buttons=(*([renew] if able else []), Button("jobs", _("List"))),
        small=(_("Or type: renew"),) if able else (),
    )


def to_extend_card(ends: Ends, batch: str, names: Mapping[str, str], now: datetime) -> Notice:
    """To an admin."""
    title, ended = _title(ends, now)
    sites = {device.site.casefold(): device.site for device in ends.devices}
    site = next(iter(sites.values())) if len(sites) == 1 else ""
    lines = [*ended, _holders(ends, names)]
    if ends.helpless:
        lines.append(ngettext("{n} cannot be renewed on site.", "{n} cannot be renewed on site.", ends.helpless))
    if ends.teams:
        lines.append(_of_teams(ends.teams))
    extend = Button("extend", _("Extend by new codes"), {"batch": batch}, style=Style.POSITIVE)
    typed = _("Or type: extend {site}", site=escape(site)) if site else _("Or type: extend")
    return Notice(
        title=title,
        summary=_("{site}: {title}", site=escape(site), title=title) if site else title,
        tone=Tone.WARNING,
        lines=tuple(lines),
        buttons=(extend,) if ends.own else (),
        small=(typed,) if ends.own else (),
    )


def _title(ends: Ends, now: datetime) -> tuple[str, list[str]]:
    """How many end and by when; and how many of them did already."""
    live = [code for device in ends.devices if (code := device.live_code(now))]
    count, ended = len(ends.devices), len(ends.devices) - len(live)
    if not live:
        return ngettext("{n} code ended", "{n} codes ended", count), []
    time = until(max(code.expires_at for code in live), now)
    title = ngettext("{n} code ends by {time}", "{n} codes end by {time}", count, time=time)
    return title, [ngettext("{n} ended already.", "{n} ended already.", ended)] if ended else []


def _places(ends: Ends) -> str:
    return _few([escape(device.place) for device in ends.devices])


def _holders(ends: Ends, names: Mapping[str, str]) -> str:
    """`Sam 8, Kim 4 and nobody 1`."""
    counts = Counter(map(_technician, ends.devices))
    return _few([f"{escape(names.get(id_, '')) or _('nobody')} {n}" for id_, n in counts.most_common()])


def _technician(device: Device) -> str:
    return device.technician


def _few(words: list[str]) -> str:
    more = len(words) - NAMED
    if more > 0:
        return listing([*words[:NAMED], ngettext("{n} more", "{n} more", more)])
    return listing(words)


def _of_teams(count: int) -> str:
    return ngettext(
        "{n} comes from the Teams admin centre: make a new one there and upload the file.",
        "{n} come from the Teams admin centre: make new ones there and upload the file.",
        count,
    )


def _made(count: int) -> str:
    return ngettext("{n} new code", "{n} new codes", count) if count else _("No new code could be made here")


def renewed_card(done: Renewed) -> Notice:
    """To the technician: what one tap did, and what it could not."""
    lines = []
    if done.limit:
        lines.append(
            ngettext(
                "{n} had its new codes of the day already: ask an admin there with new code.",
                "{n} had their new codes of the day already: ask an admin there with new code.",
                done.limit,
            )
        )
    if done.teams:
        lines.append(
            ngettext(
                "{n} comes from the Teams admin centre: an admin makes a new one there.",
                "{n} come from the Teams admin centre: an admin makes new ones there.",
                done.teams,
            )
        )
    if not (done.done or lines):
        return nothing_ends(Button("next", _("Next device")))
    return Notice(
        title=_made(done.done),
        tone=Tone.WARNING if lines else Tone.GOOD,
        lines=tuple(lines) or (_("The former ones are dead."),),
        buttons=(Button("next", _("Next device"), style=Style.POSITIVE), Button("jobs", _("List"))),
    )


def extended_card(count: int, teams: int) -> Notice:
    """To the admin."""
    if not (count or teams):
        return nothing_ends()
    return Notice(
        title=_made(count),
        tone=Tone.GOOD if count else Tone.PLAIN,
        lines=(
            *([_("Technicians get the new codes by themselves.")] if count else []),
            *([_of_teams(teams)] if teams else []),
        ),
    )


def nothing_ends(*buttons: Button) -> Notice:
    return Notice(title=_("No open code ends within the hour"), buttons=buttons)
