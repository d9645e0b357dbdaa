"""Which account is intended on a device: what stands in the list, and the form that asks for it."""

from __future__ import annotations

from datetime import datetime

from cards.view import Button, FormCard, Notice, Style, TextInput
from cards.views.common import cancel, place_words, site_and_place
from cards.words import clock, escape, mac_dashed
from provisioning.errors import BadInput
from provisioning.lifecycle import Step, can
from provisioning.model import Device
from provisioning.service.queue import Turn
from provisioning.texts import _

LIMIT = 241  # characters of an account


def account_form(device: Device, typed: str, fault: BadInput, run: Turn | None) -> FormCard:
    """Without an account nobody is signed in: it is asked for first."""
    data = {"device": device.mac}
    needed = fault.code == "account_needed"
    push = (
        _("Next: {place} ({n} of {total})", place=site_and_place(device), n=run.number, total=run.total) if run else ""
    )
    return FormCard(
        title=_("Sign in {place}, {mac}", place=site_and_place(device), mac=mac_dashed(device.mac)),
        summary=push or _("Sign in {place}", place=site_and_place(device)),
        inputs=(
            TextInput(
                id="account",
                label=_("Which account is to be signed in there?"),
                value=(typed or device.account)[:LIMIT],
                placeholder="room-2.14@contoso.com",
                required=True,
                required_message=_("Type the account, like room-2.14@contoso.com."),
                error="" if needed else escape(fault.sentence),
                limit=LIMIT,
            ),
        ),
        buttons=(
            Button("sign_in", _("Sign in"), data, style=Style.POSITIVE),
            Button("sign_in_skip", _("Skip"), data, inputs=False) if run else cancel(),
            *((Button("sign_in_stop", _("Stop"), inputs=False),) if run else ()),
        ),
        small=(_("Or type: sign in {place} as …", place=escape(device.place)),),
        subject=device.mac,
        revision=device.version,
    )


def account_card(device: Device, now: datetime) -> Notice:
    """Which account is intended on a device, and what that means just now."""
    place = escape(device.place)
    ready = can(device, Step.SIGN_IN) and bool(device.account) and device.live_sign_in is None
    lines = (
        _("{account} is to be signed in.", account=escape(device.account))
        if device.account
        else _("No account is intended yet."),
        *_until_then(device, now),
    )
    return Notice(
        title=_("{place}: account", place=site_and_place(device)),
        lines=("\n\n".join(lines), f"{place_words(device)}, {mac_dashed(device.mac)}"),
        buttons=(Button("sign_in", _("Sign in"), {"device": device.mac}, style=Style.POSITIVE),) if ready else (),
        small=(
            _("Or type: account {place} …, account {place} none, sign in {place}", place=place)
            if ready
            else _("Or type: account {place} …, account {place} none", place=place),
        ),
        subject=device.mac,
        revision=device.version,
    )


def _until_then(device: Device, now: datetime) -> tuple[str, ...]:
    if flow := device.live_sign_in:
        account, name, time = escape(flow.account), escape(flow.by_name), clock(flow.asked_at, now)
        return (
            _("A sign-in of {account} is under way, asked by {name} {time}.", account=account, name=name, time=time),
        )
    if device.signed_in_at:
        return (_("Signed in now: {account}.", account=escape(device.signed_in_as)),)
    if not can(device, Step.SIGN_IN):
        return (_("It has not called in yet; its code comes first."),)
    return ()
