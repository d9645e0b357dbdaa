"""The cards of near misses and of sheets taken along, each in all its states; `name` is whatever people typed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cards.view import View
from cards.views import day, offline, strays
from cards.views.common import did_you_mean
from provisioning.errors import Choice
from provisioning.model import Device, State
from provisioning.onsite import Stray
from provisioning.service.day import Day, Job
from provisioning.service.handover import InHand
from provisioning.service.nearmiss import Astray, RoomMissing, StrayRequest
from provisioning.service.offline import Confirmed, SheetFacts

NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)
DIGITS = "482913760257"


def stray_cards(live: Device, ended: Device, name: str) -> dict[str, View]:
    """Named views."""
    stray = Stray(mac="805EC0447710", at=NOW - timedelta(minutes=3), told="sam")
    asked = replace(stray, asked_at=NOW)
    refused = replace(asked, answered_by=name, answered_at=NOW)
    granted = replace(refused, over=True)
    caller = replace(live, mac="805EC0447710", location=live.location[:-1] + "6", code=None)
    known = replace(caller, state=State.WAITING_FOR_SIGN_IN, provisioned_at=NOW - timedelta(hours=1))

    def told(stray: Stray, device: Device = live, digits: str = DIGITS, **more: object) -> View:
        job = Job(InHand(device, digits, name), 1, 12)
        return strays.stray_card(job, Astray(device, stray, **more), NOW, readers=("29:sam",))  # type: ignore[arg-type]

    def question(stray: Stray | None, caller: Device | None = None) -> View:
        return strays.asked_card(StrayRequest(live, stray, caller, name))

    locked = replace(live, code=None, locked_at=NOW)
    choice = Choice(live.mac, "x", live.place)
    form = StrayRequest(live, asked, None, name)
    return {
        "stray": told(stray, caller=caller, listed=True),
        "stray-ended": told(stray, ended, "", caller=caller, listed=True),
        "stray-known": told(stray, caller=known, listed=True),
        "stray-of-nobody": told(stray, listed=True, free=True),
        "stray-of-another": told(stray, listed=True),
        "stray-unknown": told(stray),
        "stray-asked": told(asked),
        "stray-refused": told(refused),
        "stray-question": question(asked),
        "stray-question-listed": question(asked, replace(caller, technician="")),
        "stray-question-over": question(asked, caller),
        "stray-refused-admin": question(refused),
        "stray-granted": question(granted, caller),
        "stray-settled": question(None),
        "did-you-mean": did_you_mean("80-5E-C0-11-22-73", "code", "device", choice, {}),
        "job-locked": day.job_card(Job(InHand(locked), 1, 12), NOW, "Contoso", readers=("29:sam",)),
        "jobs-called-in": day.jobs_card(Day((*(known,) * 5, *(live,) * 6), 3), NOW),
        "sheet-genuine": offline.sheet_card(SheetFacts(NOW, name, True, 12, 9), NOW),
        "sheet-of-another": offline.sheet_card(SheetFacts(NOW, name, False, 12, 9), NOW),
        "confirmed": offline.confirmed_card(Confirmed((caller,) * 14)),
        "confirmed-none": offline.confirmed_card(Confirmed(())),
        "stray-add": strays.add_form(form),
        "stray-add-refused": strays.add_form(form, live.location[:50] + "/", RoomMissing()),
    }
