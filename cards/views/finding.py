"""Cards of a search: a page of the list."""

from __future__ import annotations

from datetime import datetime

from cards.view import Button, ListCard, Row
from cards.views.common import live_words, more, problem_words, state_words, tone_of
from cards.words import escape, mac_dashed
from provisioning.model import Device
from provisioning.service.finding import Listing
from provisioning.texts import _, ngettext


def listing_card(page: Listing, now: datetime) -> ListCard:
    last = page.first + len(page.devices) - 1
    title = ngettext("{n} device", "{n} devices", page.total)
    return ListCard(
        title=f"{title}: {escape(page.filter[:60])}" if page.filter else title,
        rows=tuple(_row(device, page.names.get(device.technician, ""), now) for device in page.devices),
        empty=_("No device here. add puts one on the list; devices shows all.") if not page.devices else "",
        small=(
            _(
                "{first} to {last} of {total}. Type device and a place for one of them.",
                first=page.first,
                last=last,
                total=page.total,
            ),
        )
        if page.devices
        else (),
        buttons=(
            *more("devices", page.after, page.first, len(page.devices), words=page.filter),
            *([] if page.total else [Button("add_form", _("Add one"))]),
        ),
    )


def _row(device: Device, technician: str, now: datetime) -> Row:
    details = [state_words(device)]
    if live := live_words(device, now):
        details.append(live)
    if technician:
        details.append(escape(technician))
    if device.installed:
        details.append(_("installed"))
    if device.problem:
        details.append(problem_words(device))
    title = f"{escape(device.location)} · {mac_dashed(device.mac)}"
    return Row(title=title, detail=", ".join(details), tone=tone_of(device))
