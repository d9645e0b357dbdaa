"""Steps of what is done to a device from afar, one pure function each: sign-in up to its end, commands, contact."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from provisioning import lifecycle
from provisioning.commands import CommandName, CommandStatus, DeviceCommand, bounded
from provisioning.events import (
    AccountChosen,
    CommandAsked,
    CommandSettled,
    CommandWithdrawn,
    DeviceOffline,
    DeviceOnline,
    DeviceStale,
    Event,
    SignInAsked,
    SignInCodeShown,
    SignInEnded,
    SignInTroubled,
)
from provisioning.lifecycle import Step, after
from provisioning.model import Actor, Change, Device, State
from provisioning.provider_errors import (
    AuthorizationPending,
    GrantEnded,
    GrantUnknown,
    PollSlower,
    ProviderAway,
    ProviderError,
)
from provisioning.signin import LONGEST_PAUSE, SLOWER, DeviceGrant, SignIn, Stage

SILENT_FROM = 2  # polls in a row without an answer, from which the card says so

LOOKED_ON = timedelta(minutes=2)  # an outcome that comes later is told: nobody looks at the card any more

# ------------------------------------------------------------------ sign-in


def choose_account(device: Device, account: str, now: datetime, actor: Actor) -> Change:
    """Which account is intended. Said again, it was made anew: the object id that is known of that name is void."""
    again = device.account.casefold() == account.casefold() and bool(account) and device.state is not State.SIGNED_IN
    if (device.account, device.account_anew) == (account, again):
        return Change()
    known = "" if again else device.signed_in_id
    fact = AccountChosen(at=now, actor=actor.id, subject=device.mac, account=account, former=device.account)
    fresh = replace(device, account=account, account_anew=again, signed_in_id=known)
    return Change(puts=(fresh,), events=(fact,))


def request_sign_in(device: Device, flow: SignIn, actor: Actor) -> Change:
    """One live flow per device: whatever was under way is over. Errors: `ResetRequired` where it cannot sign in."""
    after(device, Step.SIGN_IN)
    fresh = replace(device, sign_in=flow, account=flow.account)
    fact = SignInAsked(
        at=flow.asked_at,
        actor=actor.id,
        subject=device.mac,
        account=flow.account,
        replaced=device.live_sign_in is not None,
    )
    return Change(puts=(fresh,), events=(fact,))


def show_code(device: Device, flow: SignIn, grant: DeviceGrant, sealed: str, now: datetime) -> Change:
    """The provider gave a code: sealed, with the page it is typed on and how often to ask."""
    shown = replace(
        flow,
        stage=Stage.CODE_SHOWN,
        sealed=sealed,
        page=grant.verification_uri,
        interval=grant.interval.total_seconds(),
        shown_at=now,
        expires_at=now + grant.expires_in,
    )
    fact = SignInCodeShown(at=now, actor="service", subject=device.mac, reader=flow.by)
    return Change(puts=(replace(device, sign_in=shown),), events=(fact,))


def not_yet(device: Device, flow: SignIn, error: ProviderError, faults: int, now: datetime) -> Change:
    """No account, but an answer or none: the flow goes on, more slowly where that was asked for, or it ends.

    `slow_down` holds for all later polls (RFC 8628, 3.5). Silence is told from the second time on.
    """
    late = flow.late(now)
    if isinstance(error, AuthorizationPending):
        if late:
            return end_sign_in(device, flow, GrantEnded(), now)
        slower = SLOWER.total_seconds() if isinstance(error, PollSlower) else 0.0
        return _noted(device, flow, replace(flow, interval=flow.interval + slower, silent_since=None), now)
    if isinstance(error, ProviderAway) and flow.stage is Stage.CODE_SHOWN and not late:
        silent = flow.silent_since or (now if faults + 1 >= SILENT_FROM else None)
        return _noted(device, flow, replace(flow, silent_since=silent), now)
    over = late and isinstance(error, GrantUnknown)  # some providers forget a code soon after it ended
    return end_sign_in(device, flow, GrantEnded() if over else error, now)


def _noted(device: Device, flow: SignIn, fresh: SignIn, now: datetime) -> Change:
    """Nothing where nothing changed; people see only whether the provider answers."""
    if fresh == flow:
        return Change()
    told = fresh.silent_since != flow.silent_since
    fact = SignInTroubled(at=now, actor="service", subject=device.mac, silent=fresh.silent_since is not None)
    return Change(puts=(replace(device, sign_in=fresh),), events=(fact,) if told else ())


def pause(flow: SignIn, answer: object, faults: int, now: datetime) -> float:
    """Seconds until the next poll: the interval, longer and longer while there is no answer, never past the end."""
    if not isinstance(answer, ProviderAway):
        return flow.interval
    doubled = min(flow.interval * 2.0 ** min(faults + 1, 10), LONGEST_PAUSE.total_seconds())
    left = (flow.expires_at - now).total_seconds() if flow.expires_at else doubled
    return max(flow.interval, min(max(doubled, answer.retry_after), left))


def cancel_sign_in(device: Device, flow: SignIn, now: datetime, actor: Actor) -> Change:
    """By whoever asked, or by another admin, who is named."""
    why, detail = ("", "") if flow.by == actor.id else ("by_other", actor.name)
    return _over(device, flow, Stage.CANCELLED, now, actor.id, why, detail)


def end_sign_in(device: Device, flow: SignIn, error: ProviderError, now: datetime) -> Change:
    """Over without an account, for this reason."""
    return _over(device, flow, error.stage, now, "service", error.code, error.detail)


def _over(
    device: Device, flow: SignIn, stage: Stage, now: datetime, actor: str, why: str = "", detail: str = ""
) -> Change:
    """Its secrets are erased."""
    over = replace(flow, stage=stage, ended_at=now, why=why, detail=detail, sealed="", page="")
    fact = SignInEnded(
        at=now, actor=actor, subject=device.mac, stage=stage.value, why=why, asked_by=flow.by, detail=detail
    )
    return Change(puts=(replace(device, sign_in=over),), events=(fact,))


# ------------------------------------------------------------------ commands


def ask(device: Device, command: DeviceCommand, actor: Actor) -> Change:
    """The device finds it with its next call. One of the same id that waits already is moved to this one's hour."""
    others = (each for each in device.commands if each.id != command.id)
    fresh = replace(device, commands=bounded((*others, command)))
    fact = CommandAsked(
        at=command.asked_at, actor=actor.id, subject=device.mac, command=command.name.value, due_at=command.due_at
    )
    return Change(puts=(fresh,), events=(fact,))


def settle(device: Device, command: DeviceCommand, done: bool, detail: str, now: datetime) -> Change:
    """What the device says of it; a sign-out that was done takes it to the next state."""
    status = CommandStatus.DONE if done else CommandStatus.FAILED
    kept = _with(device, replace(command, status=status, settled_at=now, detail=detail))
    signs_out = done and command.name is CommandName.SIGN_OUT and lifecycle.can(device, Step.SIGN_OUT)
    change = lifecycle.sign_out(kept, now) if signs_out else Change(puts=(kept,))
    fact = CommandSettled(
        at=now,
        actor="device",
        subject=device.mac,
        command=command.name.value,
        command_id=command.id,
        status=status.value,
        detail=detail,
        asked_by=command.by,
        late=now - max(command.asked_at, command.due_at) > LOOKED_ON,
    )
    return change + Change(events=(fact,))


def withdraw(device: Device, command: DeviceCommand, now: datetime, actor: Actor) -> Change:
    kept = _with(device, replace(command, status=CommandStatus.WITHDRAWN, settled_at=now))
    fact = CommandWithdrawn(at=now, actor=actor.id, subject=device.mac, command=command.name.value)
    return Change(puts=(kept,), events=(fact,))


def withdraw_all(device: Device, now: datetime, actor: Actor) -> Change:
    """Whatever it was asked for and has not done yet."""
    kept, facts = device, list[Event]()
    for command in device.waiting_commands:
        kept = _with(kept, replace(command, status=CommandStatus.WITHDRAWN, settled_at=now))
        facts.append(CommandWithdrawn(at=now, actor=actor.id, subject=device.mac, command=command.name.value))
    return Change(puts=(kept,), events=tuple(facts)) if facts else Change()


def _with(device: Device, command: DeviceCommand) -> Device:
    commands = tuple(command if each.id == command.id else each for each in device.commands)
    return replace(device, commands=bounded(commands))


# ------------------------------------------------------------------ contact


def went_offline(device: Device, since: datetime, now: datetime) -> Change:
    fact = DeviceOffline(at=now, actor="service", subject=device.mac, since=since)
    return Change(puts=(replace(device, offline_since=since),), events=(fact,))


def came_online(device: Device, now: datetime) -> Change:
    """Nothing where it was not away."""
    if device.offline_since is None:
        return Change()
    fact: Event = DeviceOnline(at=now, actor="device", subject=device.mac, since=device.offline_since)
    return Change(puts=(replace(device, offline_since=None, stale=False),), events=(fact,))


def went_stale(device: Device, now: datetime) -> Change:
    fact = DeviceStale(at=now, actor="service", subject=device.mac, since=device.offline_since or now)
    return Change(puts=(replace(device, stale=True),), events=(fact,))
