"""The sheet for where there is no signal: whether it is genuine; and the installs that are confirmed together after."""

from __future__ import annotations

from datetime import datetime

from cards.view import Button, Notice, Tone
from cards.views.common import brief, place_words
from cards.words import clock, escape, listing
from provisioning.service.offline import MOST, Confirmed, PackOutlook, SheetFacts
from provisioning.texts import _, ngettext

NAMED = 10  # places that are named; of more, how many


def offer_words(outlook: PackOutlook) -> str:
    """Beside the name of the file that is offered."""
    words = [ngettext("Your {n} open device, with its code.", "Your {n} open devices with codes.", outlook.devices)]
    if outlook.new:
        words.append(ngettext("{n} gets a new code.", "{n} get a new code.", outlook.new))
    if outlook.without:
        words.append(ngettext("{n} gets none here: ask an admin.", "{n} get none here: ask an admin.", outlook.without))
    if outlook.left_out:
        words.append(_("Only the first {limit}; {n} more are left out.", limit=MOST, n=outlook.left_out))
    return " ".join((*words, _("Made when you accept, within 10 minutes, and logged.")))


def sheet_card(facts: SheetFacts, now: datetime) -> Notice:
    time = clock(facts.made_at, now)
    if not facts.own:
        return Notice(title=_("Genuine, but made for somebody else"), tone=Tone.WARNING, lines=(_keep_out(),))
    devices = ngettext("{n} device", "{n} devices", facts.devices)
    open_ = ngettext("{n} still open", "{n} still open", facts.open)
    return Notice(
        title=_("Genuine: made {time} for {name}", time=time, name=escape(facts.name)),
        tone=Tone.GOOD,
        lines=(_("{devices}, {open}.", devices=devices, open=open_),),
    )


def _keep_out() -> str:
    return _("Give it to an admin, and do not use its codes.")


def confirmed_card(done: Confirmed) -> Notice:
    """Which installs were confirmed; the server knew already that these devices had called in. The next device comes
    by itself.
    """
    if not done.devices:
        return Notice(
            title=_("Nothing to confirm: no device of yours has called in since."),
            buttons=(Button("jobs", _("List")),),
        )
    count = len(done.devices)
    named = [brief(place_words(device)) for device in done.devices[:NAMED]]
    if count > NAMED:
        named.append(ngettext("{n} more", "{n} more", count - NAMED))
    return Notice(
        title=ngettext("{n} install confirmed", "{n} installs confirmed", count),
        tone=Tone.GOOD,
        lines=(listing(named),),
        buttons=(Button("jobs", _("List")),),
    )
