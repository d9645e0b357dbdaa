"""Near misses: a code that was typed on another device, as its technician reads it, and what admins are asked."""

from __future__ import annotations

from datetime import datetime

from cards.view import Button, CodeCard, Fact, FormCard, Notice, Style, TextInput, Tone
from cards.views.common import place_words, site_and_place, valid_words
from cards.words import clock, code_groups, escape, mac_dashed, mac_end
from provisioning.errors import BadInput
from provisioning.mac import vendor
from provisioning.model import Device
from provisioning.service.day import Job
from provisioning.service.nearmiss import Astray, StrayRequest
from provisioning.texts import _


def stray_card(job: Job, found: Astray, now: datetime, readers: tuple[str, ...] = ()) -> CodeCard:
    """A technician's card of the device whose code it is, until they did something about it. The code stays on it."""
    device = job.device
    live = device.live_code(now)
    shows = bool(job.held.digits) and live is not None
    title, lines = _told(found)
    return CodeCard(
        title=title,
        summary=_("{place}: its code was typed on another device", place=escape(device.place)),
        tone=Tone.WARNING,
        lines=(*lines, *_answer_so_far(found)),
        device=_whose(found),
        code=code_groups(job.held.digits) if shows else "",
        valid=valid_words(device, live, now) if shows and live else "",
        buttons=_answers(found),
        small=(_typed(found),),
        subject=device.mac,
        revision=device.version,
        readers=readers,
        refresh_verb="refresh" if readers else "",
    )


def _told(found: Astray) -> tuple[str, tuple[str, ...]]:
    """Where the device that called hangs is said only to whoever may see it."""
    end, caller = mac_end(found.device.mac), mac_end(found.stray.mac)
    if found.caller:
        title = _(
            "That code is for MAC ending {end}. The device that called ends {caller} ({room}).",
            end=end,
            caller=caller,
            room=_room(found.caller),
        )
        known = found.caller.provisioned
        return title, (_("The device that called was provisioned before."),) if known else ()
    if found.listed:
        title = _("That code is for MAC ending {end}. The device that called ends {caller}.", end=end, caller=caller)
        return title, (_("That one is not with you."),)
    return _("This device is not on the list"), ()


def _whose(found: Astray) -> str:
    """Above the code: which device it is for; of a stranger first what can be read on it."""
    whose = _(
        "The code is for {place}, MAC ends {end}.", place=place_words(found.device), end=mac_end(found.device.mac)
    )
    if found.listed:
        return whose
    caller, maker = mac_end(found.stray.mac), escape(vendor(found.stray.mac))
    called = _("ends {caller}, {maker}", caller=caller, maker=maker) if maker else _("ends {caller}", caller=caller)
    return f"*({called})* {whose}"


def _room(device: Device) -> str:
    """`room 2.14`, or the place as it is called."""
    return place_words(device).rsplit(", ", 1)[-1]


def _answer_so_far(found: Astray) -> tuple[str, ...]:
    stray = found.stray
    if not found.can_ask:
        return ()
    if stray.answered_at:
        return (_("{name} refused {time}.", name=escape(stray.answered_by), time=clock(stray.answered_at)),)
    if stray.asked_at:
        return (_("Asked {time}. You get the answer here.", time=clock(stray.asked_at)),)
    return ()


def _answers(found: Astray) -> tuple[Button, ...]:
    data = {"device": found.device.mac}
    mine = Button("stray_dismiss", _("Not mine"), data)
    if found.caller:
        code = Button("stray_code", _("Code for {end}", end=mac_end(found.caller.mac)), data, style=Style.POSITIVE)
        swap = Button("stray_swap", _("Swapped"), data)
        return (swap, mine) if found.caller.provisioned else (code, swap, mine)
    if found.can_ask and not found.stray.asked_at:
        return (Button("stray_ask", _("Ask admin"), data, style=Style.POSITIVE), mine)
    return (mine, Button("jobs", _("List"), inputs=False))


def _typed(found: Astray) -> str:
    place = escape(found.device.place)
    if found.caller:
        return _(
            "Or type: code {end}, swap {place} {other}, not mine {place}",
            end=mac_end(found.caller.mac),
            place=place,
            other=escape(found.caller.place),
        )
    if found.can_ask:
        return _("Or type: ask admin {place}, not mine {place}", place=place)
    return _("Or type: not mine {place}, list", place=place)


# ------------------------------------------------------------------ the admins


def asked_card(request: StrayRequest) -> Notice:
    """A technician stands before a device that is not theirs to install; or what was answered."""
    stray = request.stray
    if stray is None:
        return Notice(title=_("This is settled: the device that called is not asked for any more."))
    if stray.answered_at:
        return _answered_card(request)
    if request.caller and request.caller.technician:
        return Notice(title=_("{place} has its technician now.", place=place_words(request.caller)), tone=Tone.GOOD)
    return _open_card(request)


def _open_card(request: StrayRequest) -> Notice:
    stray, name, near = request.stray, escape(request.technician), site_and_place(request.device)
    if stray is None:
        raise AssertionError("a question that is open is about a device that called")
    data = {"device": request.device.mac}
    mac, listed = mac_dashed(stray.mac), request.caller
    if listed:
        title = _("{name} is at {place}, which is with nobody.", name=name, place=place_words(listed))
        grant = Button("stray_assign", _("Assign and issue"), data, style=Style.POSITIVE)
        typed = _("Or type: issue {mac} to {name}, refuse stray {place}", mac=mac, name=name, place=near)
    else:
        title = _("Unknown {mac} next to {place}, {name} on site.", mac=mac, place=near, name=name)
        grant = Button("stray_add_form", _("Add and issue"), data, style=Style.POSITIVE)
        typed = _("Or type: add {mac} and its place, then issue {mac} to {name}", mac=mac, name=name)
    since, asked = clock(stray.at), clock(stray.asked_at or stray.at)
    where = _("On site: {name}, who typed the code of {place} on it {time}.", name=name, place=near, time=since)
    return Notice(
        title=title,
        summary=_("{name} is at a device that is with nobody", name=name)
        if listed
        else _("{name} is at a device that is not on the list", name=name),
        tone=Tone.WARNING,
        lines=(
            where,
            _(
                "MAC {mac}. Asked {time}.",
                mac=f"{mac}, {maker}" if (maker := escape(vendor(stray.mac))) else mac,
                time=asked,
            ),
        ),
        buttons=(grant, Button("stray_refuse", _("Refuse"), data)),
        small=(typed,),
        subject=request.device.mac,
        revision=request.device.version,
    )


def _answered_card(request: StrayRequest) -> Notice:
    stray = request.stray
    if stray is None or stray.answered_at is None:
        raise AssertionError("an answer has its time")
    by, time = escape(stray.answered_by), clock(stray.answered_at)
    if not stray.over:
        return Notice(title=_("Refused by {name} {time}", name=by, time=time), lines=(mac_dashed(stray.mac),))
    place = place_words(request.caller) if request.caller else mac_dashed(stray.mac)
    return Notice(
        title=_("{place} is with {name} now", place=place, name=escape(request.technician)),
        tone=Tone.GOOD,
        lines=(_("A code was issued, by {name} {time}.", name=by, time=time), mac_dashed(stray.mac)),
    )


def add_form(request: StrayRequest, location: str = "", fault: BadInput | None = None) -> FormCard:
    """Where the unknown device hangs: near the one whose code was typed on it."""
    device, stray = request.device, request.stray
    near = device.location.rpartition("/")[0] or device.site
    return FormCard(
        title=_("Where does {mac} hang?", mac=mac_dashed(stray.mac) if stray else ""),
        facts=(Fact(_("Next to"), place_words(device)), Fact(_("Technician"), escape(request.technician))),
        inputs=(
            TextInput(
                id="location",
                label=_("Location"),
                value=location or f"{near}/",
                required=True,
                required_message=_("Type the location."),
                error=escape(fault.sentence) if fault else "",
            ),
        ),
        buttons=(
            Button("stray_add", _("Add and issue"), {"device": device.mac}, style=Style.POSITIVE),
            Button("stray_asked", _("Back"), {"device": device.mac}, inputs=False),
        ),
        subject=device.mac,
        revision=device.version,
    )
