"""One remote sign-in as admins read it, from the request for a code to its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cards.view import Button, CodeCard, Fact, Style, Tone, View
from cards.views.common import KINDS, SIP, place_words, site_and_place, what
from cards.words import clock, escape, mac_dashed, user_code_groups
from provisioning.lifecycle import Step, can
from provisioning.model import Device
from provisioning.provider_errors import PROVIDER_ERRORS, GrantEnded, ProviderError
from provisioning.service.queue import Turn
from provisioning.service.signing import SignInFacts
from provisioning.signin import SignIn, Stage
from provisioning.texts import N_, _

# ------------------------------------------------------------------ one sign-in


@dataclass(frozen=True, slots=True)
class Around:
    """What one sign-in stands among: the reader's run where it is this device's turn, and whether others wait."""

    reader: str
    now: datetime
    run: Turn | None = None
    others: bool = False


TITLES: Mapping[Stage, str] = {
    Stage.ENDED: N_("Ended: {place}"),
    Stage.CANCELLED: N_("Cancelled: {place}"),
    Stage.DECLINED: N_("Declined: {place}"),
    Stage.BLOCKED: N_("Blocked by Conditional Access: {place}"),
    Stage.WRONG_ACCOUNT: N_("Wrong account: {place}"),
    Stage.FAILED: N_("Not signed in: {place}"),
}
TONES: Mapping[Stage, Tone] = {
    Stage.REQUESTED: Tone.ACCENT,
    Stage.CODE_SHOWN: Tone.ACCENT,
    Stage.SIGNED_IN: Tone.GOOD,
    Stage.CANCELLED: Tone.PLAIN,
    Stage.WRONG_ACCOUNT: Tone.ATTENTION,
    Stage.FAILED: Tone.ATTENTION,
}


def sign_in_card(facts: SignInFacts, around: Around) -> CodeCard:
    """One sign-in in each of its stages. The code is on it for the admin who asked, as long as it can be typed."""
    device, flow = facts.device, facts.flow
    if flow is None:
        return _replaced_card(device, around)
    if flow.live and not flow.late(around.now):
        return _live_card(device, flow, facts.user_code, around)
    return _over_card(device, flow, around)


def _live_card(device: Device, flow: SignIn, code: str, around: Around) -> CodeCard:
    return CodeCard(
        title=_("Sign in {place}, {mac}", place=site_and_place(device), mac=mac_dashed(device.mac)),
        summary=_push(device, around),
        tone=TONES[flow.stage],
        device=_asked_words(flow, around),
        code=user_code_groups(code) if code else "",
        valid=_ends_words(flow, around.now) if code else "",
        how=_how(device, flow) if code else _waits(flow),
        lines=_live_lines(flow, code, around.now),
        facts=(Fact(_("Account"), escape(flow.account)), Fact(_("Device"), f"{place_words(device)} ({what(device)})")),
        buttons=_live_buttons(device, flow, around),
        small=(_live_typed(device, around),),
        subject=device.mac,
        revision=device.version,
    )


def _asked_words(flow: SignIn, around: Around) -> str:
    time = clock(flow.asked_at, around.now)
    if flow.by == around.reader:
        return _("asked by you {time}", time=time)
    return _("asked by {name} {time}", name=escape(flow.by_name), time=time)


def _ends_words(flow: SignIn, now: datetime) -> str:
    if flow.expires_at is None:
        return ""
    minutes = max((flow.expires_at - now) // timedelta(minutes=1), 1)
    return _("Ends {time}, {n} min from {now}.", time=clock(flow.expires_at, now), n=minutes, now=clock(now))


def _how(device: Device, flow: SignIn) -> str:
    where = _("Type it at {page} yourself, in any browser.", page=escape(page_words(flow.page)))
    return f"{where} {_('On the phone itself nothing is typed.')}" if device.type == SIP else where


def page_words(page: str) -> str:
    """An address as people type it: `microsoft.com/devicelogin`."""
    return re.sub(r"^https?://(www\.)?", "", page).rstrip("/")


def _waits(flow: SignIn) -> str:
    if flow.stage is Stage.REQUESTED:
        return _("Asking the identity provider for a code…")
    return _("Only {name} sees its code.", name=escape(flow.by_name))


def _live_lines(flow: SignIn, code: str, now: datetime) -> tuple[str, ...]:
    lines = [_("Continue only if you asked for this.")] if code else []
    if flow.silent_since and flow.expires_at:
        since, until = clock(flow.silent_since, now), clock(flow.expires_at, now)
        lines.insert(
            0,
            _(
                "The identity provider does not answer since {since}. I go on asking until {until}.",
                since=since,
                until=until,
            ),
        )
    return tuple(lines)


def _live_buttons(device: Device, flow: SignIn, around: Around) -> tuple[Button, ...]:
    data = {"device": device.mac, "flow": flow.id}
    page = (Button("", _("Open page"), url=flow.page, style=Style.POSITIVE),) if flow.page else ()
    if around.run:
        skip = Button("sign_in_skip", _("Skip"), {"device": device.mac})
        return (*page, skip, Button("sign_in_stop", _("Stop")))
    again = (Button("sign_in", _("New code"), data),) if flow.stage is Stage.CODE_SHOWN else ()
    return (*page, *again, Button("sign_in_cancel", _("Cancel"), data))


def _live_typed(device: Device, around: Around) -> str:
    place = escape(device.place)
    if run := around.run:
        typed = _("Or type: sign in skip, sign in stop, sign in {place}", place=place)
        return f"{_('{n} of {total}.', n=run.number, total=run.total)} {typed}"
    return _("Or type: sign in {place}, cancel sign in {place}", place=place)


def _push(device: Device, around: Around) -> str:
    if run := around.run:
        return _("Next: {place} ({n} of {total})", place=site_and_place(device), n=run.number, total=run.total)
    return _("Sign in {place}", place=site_and_place(device))


# ------------------------------------------------------------------ its end


def _over_card(device: Device, flow: SignIn, around: Around) -> CodeCard:
    stage = Stage.ENDED if flow.live else flow.stage  # its time is over, the poll that ends it is still to come
    return CodeCard(
        title=_signed_in_title(flow, around) if stage is Stage.SIGNED_IN else _titled(stage, device),
        summary=_over_push(stage, device, flow),
        tone=TONES.get(stage, Tone.WARNING),
        device=f"{place_words(device)}, {mac_dashed(device.mac)}",
        how=WHY[stage](device, flow, around),
        lines=_account_lines(stage, flow),
        buttons=_over_buttons(stage, device, flow, around),
        small=_over_small(stage, device, flow, around),
        subject=device.mac,
        revision=device.version,
    )


def _titled(stage: Stage, device: Device) -> str:
    return _(TITLES[stage], place=site_and_place(device))


def _signed_in_title(flow: SignIn, around: Around) -> str:
    time = clock(flow.ended_at or around.now, around.now)
    return _("Signed in as {account}, {time}", account=escape(flow.account), time=time)


def _over_push(stage: Stage, device: Device, flow: SignIn) -> str:
    if stage is Stage.SIGNED_IN:
        return _("Signed in: {place}", place=site_and_place(device))
    return _titled(stage, device)


def _account_lines(stage: Stage, flow: SignIn) -> tuple[str, ...]:
    """Whom it was about, where the title does not say it."""
    if stage in (Stage.SIGNED_IN, Stage.WRONG_ACCOUNT):
        return ()
    return (_("Account: {account}", account=escape(flow.account)),)


def _sentence(flow: SignIn) -> str:
    """Why it failed, as the identity provider's fault says it."""
    fault = PROVIDER_ERRORS.get(flow.why, ProviderError)(flow.detail)
    return escape(fault.sentence)


def _why_signed_in(device: Device, flow: SignIn, around: Around) -> str:
    if device.type == SIP:
        return _("Nothing else is needed on the phone.")
    return _("The {kind} learns it with its next call; nobody has to be there.", kind=_kind(device))


def _why_ended(device: Device, flow: SignIn, around: Around) -> str:
    return _(GrantEnded.message)


def _why_cancelled(device: Device, flow: SignIn, around: Around) -> str:
    time = clock(flow.ended_at or around.now, around.now)
    if flow.why == "gone":
        return _why_gone(device, flow, time)
    if flow.why == "by_other":
        return _("By {name} {time}. The code is worth nothing here.", name=escape(flow.detail), time=time)
    if flow.why:
        return _sentence(flow)
    if flow.by == around.reader:
        return _("By you {time}. The code is worth nothing here.", time=time)
    return _("By {name} {time}. The code is worth nothing here.", name=escape(flow.by_name), time=time)


def _why_gone(device: Device, flow: SignIn, time: str) -> str:
    if not device.provisioned:
        return _("The device was reset {time}: a new life began, and it needs a code first.", time=time)
    if flow.ended_at and device.provisioned_at and device.provisioned_at > flow.ended_at:
        return _("The device was reset {time}, and has called in again since.", time=time)
    return _("The device was taken off the list {time}. The code is worth nothing here.", time=time)


def _why_blocked(device: Device, flow: SignIn, around: Around) -> str:
    account = escape(flow.account)
    return _("Allow device code flow for the network of the device or for {account}, then try again.", account=account)


def _why_wrong(device: Device, flow: SignIn, around: Around) -> str:
    wrong, right = escape(flow.detail), escape(flow.account)
    if flow.detail.casefold() == flow.account.casefold():
        return _(
            "An account of that name approved, but it is not the one that is known here by it. Where it was made anew, "
            "say so: account {place} {account}",
            place=escape(device.place),
            account=right,
        )
    return _(
        "{wrong} approved, {right} was intended. The device is not signed in. Type the code where only {right} is "
        "signed in, for example in a private window.",
        wrong=wrong,
        right=right,
    )


def _why_failed(device: Device, flow: SignIn, around: Around) -> str:
    return _sentence(flow)


WHY: Mapping[Stage, Callable[[Device, SignIn, Around], str]] = {
    Stage.SIGNED_IN: _why_signed_in,
    Stage.ENDED: _why_ended,
    Stage.CANCELLED: _why_cancelled,
    Stage.DECLINED: _why_failed,
    Stage.BLOCKED: _why_blocked,
    Stage.WRONG_ACCOUNT: _why_wrong,
    Stage.FAILED: _why_failed,
}


def _over_buttons(stage: Stage, device: Device, flow: SignIn, around: Around) -> tuple[Button, ...]:
    """One goes on by itself with the next device, unless its run stands still or somebody interfered."""
    signed_in = stage is Stage.SIGNED_IN
    style = Style.POSITIVE if signed_in else Style.DEFAULT
    following = Button("sign_in_next", _("Next device"), {"device": device.mac}, style=style)
    if signed_in:
        return (following,) if around.others else ()
    again = (_again(stage, device, flow),) if can(device, Step.SIGN_IN) else _code_first(device)
    if around.run and around.run.run.paused:
        return (go_on(), Button("sign_in_stop", _("Stop")))
    if around.run:
        return (*again, following, Button("sign_in_stop", _("Stop")))
    return again


def _again(stage: Stage, device: Device, flow: SignIn) -> Button:
    title = _("New code") if stage in (Stage.ENDED, Stage.CANCELLED) else _("Try again")
    return Button("sign_in", title, {"device": device.mac, "flow": flow.id}, style=Style.POSITIVE)


def _code_first(device: Device) -> tuple[Button, ...]:
    """What begins a new life."""
    if not _needs_code(device):
        return ()
    return (Button("issue", _("Issue code"), {"target": device.mac}, style=Style.POSITIVE),)


def _needs_code(device: Device) -> bool:
    return not device.provisioned and can(device, Step.ISSUE_CODE)


def go_on() -> Button:
    return Button("sign_in_go_on", _("Go on"), style=Style.POSITIVE)


def _over_small(stage: Stage, device: Device, flow: SignIn, around: Around) -> tuple[str, ...]:
    place = escape(device.place)
    detail = _detail(stage, device, flow, around)
    if stage is Stage.SIGNED_IN:
        return (_("Or type: sign in next"),) if around.others else ()
    if not can(device, Step.SIGN_IN):
        return (*detail, *_code_typed(device, around))
    if around.run:
        return (*detail, _("Or type: sign in go on, sign in stop, sign in {place}", place=place))
    if stage is Stage.WRONG_ACCOUNT:
        return (_("Or type: sign in {place}, or: sign in {place} as another account", place=place),)
    return (*detail, _("Or type: sign in {place}", place=place))


def _detail(stage: Stage, device: Device, flow: SignIn, around: Around) -> tuple[str, ...]:
    """What the identity provider said, for an operator, where the sentence does not say it."""
    detail = escape(flow.detail) if stage in (Stage.FAILED, Stage.DECLINED, Stage.BLOCKED) else ""
    return (detail,) if detail and detail not in WHY[stage](device, flow, around) else ()


def _code_typed(device: Device, around: Around) -> tuple[str, ...]:
    place = escape(device.place)
    if not _needs_code(device):
        return (_("Or type: sign in go on, sign in stop"),) if around.run else ()
    if around.run:
        return (_("Or type: issue {place}, sign in go on, sign in stop", place=place),)
    return (_("Or type: issue {place}", place=place),)


def _replaced_card(device: Device, around: Around) -> CodeCard:
    """Another sign-in of the same device took its place."""
    newer = device.sign_in
    said = ""
    if newer and newer.by == around.reader:
        said = _("You asked for a new one {time}.", time=clock(newer.asked_at, around.now))
    elif newer:
        name, time = escape(newer.by_name), clock(newer.asked_at, around.now)
        said = _("{name} asked for a new one {time}.", name=name, time=time)
    show = Button("device", _("Show it"), {"device": device.mac})
    return CodeCard(
        title=_("This code is over: {place}", place=site_and_place(device)),
        device=f"{place_words(device)}, {mac_dashed(device.mac)}",
        how=said,
        buttons=_run_buttons(device.mac) if around.run else (show,),
        small=(
            _("Or type: sign in next, sign in stop")
            if around.run
            else _("Or type: sign in {place}", place=escape(device.place)),
        ),
        subject=device.mac,
        revision=device.version,
    )


def _run_buttons(mac: str) -> tuple[Button, ...]:
    following = Button("sign_in_next", _("Next device"), {"device": mac}, style=Style.POSITIVE)
    return (following, Button("sign_in_stop", _("Stop")))


def gone_card(card: View, mac: str, *, run: bool) -> View:
    """What became of a device that was being signed in, and what to go on with: the run it was part of, or the list."""
    if run:
        return replace(card, buttons=_run_buttons(mac), small=(_("Or type: sign in next, sign in stop"),))
    return replace(card, buttons=(Button("sign_ins", _("Waiting list")),), small=(_("Or type: sign in"),))


def refused_push(device: Device) -> str:
    """What is pushed to whoever asked, where more went wrong than a card that changes can say."""
    flow = device.sign_in
    if flow and flow.stage is Stage.WRONG_ACCOUNT:
        return _("Another account approved at {place}: not signed in", place=site_and_place(device))
    return _("Not signed in: {place}", place=site_and_place(device))


def _kind(device: Device) -> str:
    return _(KINDS[device.type]) if device.type in KINDS else _("device")
