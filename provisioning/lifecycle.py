"""A device's life: which step leads from which state, and one pure function per step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from provisioning.commands import CommandStatus, bounded
from provisioning.errors import ResetRequired
from provisioning.events import (
    CodeIssued,
    CodeReceived,
    CodeRevoked,
    CodeUsed,
    DeviceHandedOver,
    DeviceProvisioned,
    DeviceRemoved,
    DeviceReset,
    DeviceSignedIn,
    DeviceSignedOut,
    Event,
    InstallConfirmed,
    ProblemAnswered,
    ProblemReported,
    ProblemSolved,
    ResetOrdered,
    ResetReported,
)
from provisioning.making import changed
from provisioning.model import ActivationCode, Actor, Authority, Change, Device, State
from provisioning.onsite import Answered, Installation, Problem
from provisioning.signin import Account, SignIn, Stage


class Step(StrEnum):
    ISSUE_CODE = "issue_code"
    PROVISION = "provision"
    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    RESET = "reset"


TRANSITIONS: Mapping[tuple[State, Step], State] = {
    (State.WAITING_FOR_ACTIVATION, Step.ISSUE_CODE): State.WAITING_FOR_ACTIVATION,
    (State.WAITING_FOR_ACTIVATION, Step.PROVISION): State.WAITING_FOR_SIGN_IN,
    (State.WAITING_FOR_SIGN_IN, Step.SIGN_IN): State.SIGNED_IN,
    (State.WAITING_FOR_SIGN_IN, Step.RESET): State.WAITING_FOR_ACTIVATION,
    (State.SIGNED_IN, Step.SIGN_OUT): State.SIGNED_OUT,
    (State.SIGNED_IN, Step.RESET): State.WAITING_FOR_ACTIVATION,
    (State.SIGNED_OUT, Step.SIGN_IN): State.SIGNED_IN,
    (State.SIGNED_OUT, Step.RESET): State.WAITING_FOR_ACTIVATION,
}


def can(device: Device, step: Step) -> bool:
    return not device.removed and (device.state, step) in TRANSITIONS


def after(device: Device, step: Step) -> State:
    """The state the step leads to. Errors: `ResetRequired` where only a factory reset leads on."""
    if not can(device, step):
        raise ResetRequired(place=device.place)
    return TRANSITIONS[device.state, step]


def _at_ease(device: Device) -> Device:
    """Nobody asks for its code any more, no other device called with it, and no wrong ones are remembered.

    What an admin was asked about another device stays asked: it is about that one.
    """
    asked = device.stray if device.stray and device.stray.waits else None
    if device.request is None and device.stray is asked and device.locked_at is None:
        return device
    return replace(device, request=None, stray=asked, locked_at=None)


def issue_code(device: Device, code: ActivationCode, actor: Actor) -> Change:
    """The device gets this code; whatever code it had is dead."""
    voided = device.live_code(code.issued_at) is not None
    asked_by = device.request.by if device.request and device.request.open else ""
    fresh = replace(_at_ease(device), state=after(device, Step.ISSUE_CODE), code=code, issued=code.issue)
    event = CodeIssued(
        at=code.issued_at,
        actor=actor.id,
        subject=device.mac,
        issue=code.issue,
        expires_at=code.expires_at,
        voided=voided,
        asked_by=asked_by,
    )
    return Change(puts=(fresh,), events=(event,))


def hand_over(device: Device, technician: str, now: datetime, actor: Actor) -> Change:
    """Without a code: whoever stands before it starts one."""
    fresh = replace(_at_ease(device), technician=technician, renewals=(), problem=None)
    fact = DeviceHandedOver(at=now, actor=actor.id, subject=device.mac, technician=technician)
    return Change(puts=(fresh,), events=(fact,))


def companion(device: Device) -> bool:
    """Its last code came from the Teams admin centre: Microsoft's service provisions it, ours never does."""
    return device.code is not None and device.code.authority is Authority.TEAMS


def awaits_word(device: Device) -> bool:
    """A companion device of which nobody has said yet that its screen shows the organisation."""
    return companion(device) and not (device.installed and device.installed.screen)


def with_received(device: Device, code: ActivationCode) -> Device:
    """The device with a code of the Teams admin centre. Errors: those of `receive_code`."""
    return replace(
        _at_ease(device),
        state=after(device, Step.ISSUE_CODE),
        code=code,
        issued=code.issue,
        installed=None,
        problem=None,
        renewals=(),
    )


def receive_code(device: Device, code: ActivationCode, actor: Actor, now: datetime) -> Change:
    """A code of the Teams admin centre takes the place of whatever code the device had.

    It has to be typed on the device, so there is work on site again, installed before or not. Errors: `ResetRequired`
    for a device that was provisioned with us.
    """
    fresh = with_received(device, code)
    event = CodeReceived(
        at=now,
        actor=actor.id,
        subject=device.mac,
        issue=code.issue,
        expires_at=code.expires_at,
        voided=device.live_code(now) is not None,
    )
    return Change(puts=(fresh,), events=(event,))


def revoke_code(device: Device, now: datetime, actor: Actor, fact: Event | None = None) -> Change:
    """The code is erased, sealed copy and hash; `fact` says why where it was not an admin's wish."""
    issue = device.code.issue if device.code else device.issued
    event = fact or CodeRevoked(at=now, actor=actor.id, subject=device.mac, issue=issue)
    return Change(puts=(replace(device, code=withdrawn(device), stray=None),), events=(event,))


def withdrawn(device: Device) -> ActivationCode | None:
    """What stays of a code that was taken back: of Microsoft's, that there was one (it may come again)."""
    return replace(device.code, sealed=None, mark="") if device.code and companion(device) else None


def provision(device: Device, now: datetime, token: str, source: str, report: Mapping[str, str]) -> Change:
    """The device presented its code: the code is erased, the former token is dead, it waits for sign-in."""
    fresh = changed(
        _at_ease(device),
        state=after(device, Step.PROVISION),
        code=None,
        token=token,
        reset_token="",
        provisioned_at=now,
        doubted_at=None,
        doubt_ended_by="",
        problem=None,
        type=report.get("type") or device.type,
        model=report.get("model") or device.model,
        serial=report.get("serial") or device.serial,
        software=report.get("software") or device.software,
    )
    fact = DeviceProvisioned(at=now, actor="device", subject=device.mac, life=device.life, source=source)
    return Change(puts=(fresh,), events=(fact,))


def sign_in(device: Device, flow: SignIn, account: Account, now: datetime) -> Change:
    """The intended account approved it. Its secrets are erased with the end of the flow."""
    fresh = replace(
        device,
        state=after(device, Step.SIGN_IN),
        sign_in=replace(flow, stage=Stage.SIGNED_IN, ended_at=now, sealed="", page="", detail=""),
        account_anew=False,
        signed_in_as=account.name,
        signed_in_id=account.id,
        signed_in_at=now,
    )
    fact = DeviceSignedIn(
        at=now,
        actor="service",
        subject=device.mac,
        account=account.name,
        account_id=account.id,
        asked_by=flow.by,
    )
    return Change(puts=(fresh,), events=(fact,))


def sign_out(device: Device, now: datetime) -> Change:
    """The device did as it was asked: it can be signed in again with nobody on site."""
    fresh = replace(device, state=after(device, Step.SIGN_OUT), signed_in_at=None)
    fact = DeviceSignedOut(at=now, actor="device", subject=device.mac, account=device.signed_in_as)
    return Change(puts=(fresh,), events=(fact,))


def _new_life(device: Device, now: datetime) -> Device:
    """What only the former life had is gone, a sign-in under way with it; what waited for the device has lapsed."""
    return replace(
        parted(_at_ease(replace(device, stray=None)), now),
        state=after(replace(device, removed_at=None), Step.RESET),
        life=device.life + 1,
        token="",
        reset_token="",
        retry_key="",
        retry_until=None,
        code=None,
        provisioned_at=None,
        installed=None,
        signed_in_at=None,
    )


def parted(device: Device, now: datetime) -> Device:
    """Nothing from afar reaches it any more: a sign-in under way is over, what waited for it has lapsed."""
    flow = device.live_sign_in
    over = (
        replace(flow, stage=Stage.CANCELLED, ended_at=now, why="gone", sealed="", page="") if flow else device.sign_in
    )
    lapsed = tuple(
        replace(each, status=CommandStatus.LAPSED, settled_at=now) if each.open else each for each in device.commands
    )
    return replace(device, sign_in=over, commands=bounded(lapsed), offline_since=None, stale=False, doubted_at=None)


def reset(device: Device, now: datetime) -> Change:
    """The device was set back to factory settings and said so, listed or not: a new life begins, its token is dead.

    Where an admin had begun that life already, it is only known now that the device followed.
    """
    if not device.provisioned and device.reset_token:
        followed = ResetReported(at=now, actor="device", subject=device.mac, life=device.life)
        return Change(puts=(replace(device, reset_token=""),), events=(followed,))
    fresh = _new_life(device, now)
    return Change(puts=(fresh,), events=(DeviceReset(at=now, actor="device", subject=device.mac, life=fresh.life),))


def order_reset(device: Device, now: datetime, actor: Actor) -> Change:
    """An admin ends this life: its registration, its sign-in and any live code are dead at once, final.

    With its old token the device still hears that it has to be reset, and reports that it was.
    """
    fresh = replace(_new_life(device, now), reset_token=device.token or device.reset_token)
    return Change(puts=(fresh,), events=(ResetOrdered(at=now, actor=actor.id, subject=device.mac, life=fresh.life),))


def remove(device: Device, now: datetime, actor: Actor, fact: Event | None = None) -> Change:
    """Off the list, its code and token dead. MAC, state and life are kept: adding it again is no way round a reset.

    With the token it can still report that reset, so that it can come back.
    """
    gone = replace(
        parted(_at_ease(replace(device, stray=None)), now),
        removed_at=now,
        code=None,
        token="",
        reset_token=device.token or device.reset_token,
        retry_key="",
        retry_until=None,
    )
    event = fact or DeviceRemoved(at=now, actor=actor.id, subject=device.mac, location=device.location)
    return Change(puts=(gone,), events=(event,))


def confirm_install(device: Device, word: Installation, *, photo: bool = False) -> Change:
    """The technician's word; a reported problem is over with it. `photo`: one of it is to follow.

    Where they say that the screen showed the organisation, Microsoft's code was used: it is erased.
    """
    code, events = device.code, list[Event]()
    if word.screen and code and code.sealed is not None:
        events.append(CodeUsed(at=word.at, actor=word.by, subject=device.mac, issue=code.issue))
        code = replace(code, sealed=None)
    fresh = replace(device, installed=word, problem=None, request=None, code=code)
    fact = InstallConfirmed(
        at=word.at,
        actor=word.by,
        subject=device.mac,
        mounting_only=word.mounting_only,
        screen=word.screen,
        room=fresh.elsewhere,
        photo=photo,
    )
    return Change(puts=(fresh,), events=(*events, fact))


def report_problem(device: Device, problem: Problem) -> Change:
    event = ProblemReported(at=problem.at, actor=problem.by, subject=device.mac, kind=problem.kind)
    return Change(puts=(replace(device, problem=problem),), events=(event,))


def answer_problem(device: Device, answer: Answered) -> Change:
    """Nothing where no problem is open; a further answer takes the place of the one before."""
    if device.problem is None:
        return Change()
    event = ProblemAnswered(at=answer.at, actor=answer.by, subject=device.mac, kind=device.problem.kind)
    return Change(puts=(replace(device, problem=replace(device.problem, answer=answer)),), events=(event,))


def solve_problem(device: Device, now: datetime, actor: Actor) -> Change:
    """Nothing where no problem is open."""
    if device.problem is None:
        return Change()
    event = ProblemSolved(at=now, actor=actor.id, subject=device.mac, kind=device.problem.kind)
    return Change(puts=(replace(device, problem=None),), events=(event,))
