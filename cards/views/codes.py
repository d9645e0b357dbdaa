"""Cards of codes: one code, a page of codes, what ended, who needs one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from cards.view import Button, CodeCard, ListCard, Notice, Row, Style, Tone
from cards.views.common import (
    cancel,
    danger,
    dial_words,
    more,
    place_words,
    short,
    valid_words,
    what_and_mac,
)
from cards.words import clock, code_groups, escape, mac_dashed, until
from provisioning.lifecycle import companion
from provisioning.model import Device
from provisioning.service.codes import CodePage, Revoked
from provisioning.service.handover import InHand
from provisioning.texts import _, ngettext

NOTHING: Mapping[str, str] = MappingProxyType({})


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
        dial=dial_words(device, held.digits),
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


def revoked_card(done: Revoked, title: str) -> Notice:
    """What was revoked; of Microsoft's codes no more is claimed than is so."""
    lines = [_("Revoked codes never work again.")] if done.own else []
    if done.teams:
        lines.append(
            ngettext(
                "{n} was of the Teams admin centre: erased here, but Microsoft's service takes it until it ends.",
                "{n} were of the Teams admin centre: erased here, but Microsoft's service takes them until they end.",
                done.teams,
            )
        )
    return Notice(
        title=ngettext("{n} code revoked", "{n} codes revoked", done.total) + f": {escape(title)}",
        lines=tuple(lines) or (_("No live code there."),),
    )


def ask_many(
    verb: str, question: str, button: str, target: str, small: str, again: Mapping[str, str] = NOTHING
) -> Notice:
    """Before live codes of more than one device die. `again`: what else was said, if it is to be said again."""
    data = {"target": target, "sure": "true", **{name: value for name, value in again.items() if value}}
    return Notice(title=question, buttons=(danger(verb, button, data), cancel()), small=(small,))


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
    refuse = Button("deny_code", _("Refuse"), {"device": device.mac})
    if companion(device):
        return Notice(
            title=_("{name} needs a code, {place}", name=escape(name), place=place_words(device)),
            lines=(_("Make a new one in the Teams admin centre, then upload the file here."), what_and_mac(device)),
            buttons=(Button("device", _("Show it"), {"device": device.mac}), refuse),
            small=(_("Or type: refuse {mac}", mac=mac_dashed(device.mac)),),
            subject=device.mac,
            revision=device.version,
        )
    return Notice(
        title=_("{name} needs a code, {place}", name=escape(name), place=place_words(device)),
        buttons=(  # the live code that does not work on site dies
            Button("reissue", _("Issue"), _this_code(device), style=Style.POSITIVE),
            refuse,
        ),
        small=(_("Or type: reissue {mac}, refuse {mac}", mac=mac_dashed(device.mac)),),
        subject=device.mac,
        revision=device.version,
    )


def answered_card(device: Device, now: datetime) -> Notice:
    """What stands where a technician's wish for a code was told, once somebody decided on it."""
    request, place = device.request, place_words(device)
    if request and request.refused_at:
        words = {"name": escape(request.refused_by), "place": place, "time": clock(request.refused_at, now)}
        return Notice(title=_("{name} refused a new code for {place} {time}", **words))
    if device.live_code(now):
        return Notice(title=_("There is a code for {place} now", place=place))
    return Notice(title=_("Nobody asks for a code for {place} any more", place=place))


def _this_code(device: Device) -> dict[str, str]:
    """Of use as long as no other code was issued since."""
    return {"target": device.mac, "issue": str(device.issued)}
