"""The cards of what is asked of devices from afar, of further lives, and of devices that do not call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cards.view import View
from cards.views import commanding, day, devices, resets, silent
from cards.views.codes import code_card
from provisioning.commands import CommandName, CommandStatus, DeviceCommand
from provisioning.model import Actor, Device, Role, State
from provisioning.service.commanding import Asked
from provisioning.service.day import Job
from provisioning.service.finding import DeviceFacts
from provisioning.service.handover import InHand
from provisioning.service.lookup import Target
from provisioning.service.presence import Silent
from provisioning.service.resetting import ResetOutlook, WrongConfirmation
from provisioning.signin import SignIn

NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)
DIGITS = "482913760257"
DANA = Actor(id="dana", name="Dana Admin", tenant="t", roles=frozenset({Role.ADMIN}))
ACCOUNT = "room-2.14@contoso.example"


def remote_cards(live: Device, called: Device, row: list[Device], user: str) -> dict[str, View]:
    """Named views; `user` is whatever people, or devices, said."""
    signed_in = replace(called, state=State.SIGNED_IN, account=ACCOUNT, signed_in_as=ACCOUNT, signed_in_at=NOW)
    silent_ = replace(signed_in, offline_since=NOW - timedelta(hours=5))
    return {
        **_asked(signed_in, silent_, user),
        **_many(user.partition("/")[0]),
        **_devices(called, signed_in, silent_, user),
        **_resets(live, signed_in, user),
        **_types(live, called),
        **_silent([replace(each, offline_since=NOW - timedelta(minutes=40)) for each in row], user),
    }


def _command(name: CommandName, user: str, **fields: object) -> DeviceCommand:
    asked = NOW - timedelta(minutes=3)
    command = DeviceCommand(id="c1", name=name, by="dana", by_name=user[:60], asked_at=asked, due_at=asked)
    return replace(command, **fields)  # type: ignore[arg-type]


def _asked(device: Device, silent_: Device, user: str) -> dict[str, View]:
    cards: dict[str, View] = {}
    for name in CommandName:
        for status in CommandStatus:
            over = status is not CommandStatus.ASKED
            said = user[:200] if status in (CommandStatus.DONE, CommandStatus.FAILED) else ""
            command = _command(name, user, status=status, settled_at=NOW if over else None, detail=said)
            cards[f"asked-{name}-{status}"] = commanding.asked_card(Asked(device, command), DANA, NOW)
    command = _command(CommandName.SIGN_OUT, user)
    later = _command(CommandName.RESTART, user, by="lee", due_at=NOW + timedelta(hours=19))
    return cards | {
        "asked-again": commanding.asked_card(Asked(device, command, fresh=False), DANA, NOW, again=True),
        "asked-silent": commanding.asked_card(Asked(silent_, command), DANA, NOW),
        "asked-later": commanding.asked_card(Asked(device, later), DANA, NOW),
    }


def _many(site: str) -> dict[str, View]:
    oslo, lobby, later = Target(site=site or "x"), Target(tag="Lobby"), NOW + timedelta(hours=19)
    restart, sign_out, note = CommandName.RESTART, CommandName.SIGN_OUT, CommandName.DIAGNOSTICS
    return {
        "ask-restart": commanding.ask_first(restart, oslo, 38, later, NOW),
        "ask-restart-now": commanding.ask_first(restart, lobby, 2_000, None, NOW),
        "ask-sign-out": commanding.ask_first(sign_out, Target(), 38, None, NOW),
        "asked-restart-many": commanding.asked_many(restart, oslo, 38, later, NOW),
        "asked-sign-out-many": commanding.asked_many(sign_out, lobby, 1, None, NOW),
        "asked-none": commanding.asked_many(sign_out, oslo, 0, None, NOW),
        "ask-sign-out-later": commanding.ask_first(sign_out, oslo, 2, later, NOW),
        "ask-diagnose": commanding.ask_first(note, oslo, 38, None, NOW),
        "ask-diagnose-later": commanding.ask_first(note, Target(), 38, later, NOW),
        "asked-diagnose-many": commanding.asked_many(note, oslo, 38, None, NOW),
        "take-back-many": commanding.take_back_first(oslo, 38),
        "taken-back-many": commanding.taken_back_many(oslo, 38),
        "taken-back-none": commanding.taken_back_many(oslo, 0),
        "ask-nobody": commanding.nothing_to_ask(sign_out, oslo),
        "ask-nobody-called": commanding.nothing_to_ask(restart, Target()),
    }


def _devices(called: Device, signed_in: Device, silent_: Device, user: str) -> dict[str, View]:
    waiting = (
        _command(CommandName.SIGN_OUT, user),
        _command(CommandName.RESTART, user, id="c2", due_at=NOW + timedelta(hours=19)),
    )
    over = tuple(
        _command(name, user, id=f"d{n}", status=status, settled_at=NOW - timedelta(hours=n), detail=user[:200])
        for n, (name, status) in enumerate(
            ((CommandName.RESTART, CommandStatus.DONE), (CommandName.SIGN_OUT, CommandStatus.FAILED),
             (CommandName.DIAGNOSTICS, CommandStatus.DONE), (CommandName.RESTART, CommandStatus.WITHDRAWN))
        )
    )  # fmt: skip
    busy = replace(signed_in, commands=(*over, *waiting))
    flow = SignIn(id="f1", account=ACCOUNT, by="dana", by_name=user[:60], asked_at=NOW)
    out = replace(signed_in, state=State.SIGNED_OUT, signed_in_at=None)
    states = {
        "signed-in": signed_in,
        "asked": busy,
        "offline": silent_,
        "stale": replace(silent_, stale=True, offline_since=NOW - timedelta(days=41)),
        "signed-out": out,
        "under-way": replace(called, account=ACCOUNT, sign_in=flow),
    }
    return {
        f"device-{name}": devices.device_card(DeviceFacts(each, user, NOW - timedelta(minutes=3), "Contoso"), DANA, NOW)
        for name, each in states.items()
    }


def _resets(live: Device, signed_in: Device, user: str) -> dict[str, View]:
    fresh = replace(live, code=None, life=2, reset_token="x")
    outlook, doubted = ResetOutlook(signed_in), replace(signed_in, doubted_at=NOW)
    return {
        "reset": resets.reset_form(outlook),
        "reset-refused": resets.reset_form(outlook, WrongConfirmation(digits="2233")),
        "reset-asked": resets.reset_card(fresh, user, NOW, NOW),
        "reset-nobody": resets.reset_card(replace(fresh, technician="", reset_token=""), "", NOW, NOW),
        "reset-device": devices.device_card(DeviceFacts(fresh, user, NOW, "Contoso"), DANA, NOW),
        "doubt": resets.doubt_card(doubted, NOW),
        "doubt-ignored": resets.doubt_over(replace(doubted, doubt_ended_by=user[:60])),
        "doubt-over": resets.doubt_over(signed_in),
        "doubt-reset": resets.doubt_over(fresh),
        "job-reset-first": day.job_card(Job(InHand(fresh, "", user), 1, 12), NOW, "Contoso"),
    }


def _types(live: Device, called: Device) -> dict[str, View]:
    """How each kind of device gets its code, and what it shows."""
    cards: dict[str, View] = {}
    for kind in ("", "phone", "display", "panel", "room", "sip"):
        held = InHand(replace(live, type=kind, life=2, reset_token="x"), DIGITS, "Sam")
        cards[f"job-of-{kind}"] = day.job_card(Job(held, 1, 12), NOW, "Contoso", readers=("29:sam",))
        cards[f"job-called-{kind}"] = day.job_card(Job(InHand(replace(called, type=kind)), 1, 12), NOW, "Contoso")
        cards[f"code-of-{kind}"] = code_card(held, NOW)
    return cards


def _silent(row: list[Device], user: str) -> dict[str, View]:
    site = user.partition("/")[0]
    page, none = Silent(tuple(row), 38, site, "x"), Silent((), 0, site)
    return {
        "offline": silent.offline_card(page, NOW),
        "offline-none": silent.offline_card(none, NOW),
        "stale": silent.stale_card(page, NOW),
        "stale-none": silent.stale_card(none, NOW),
        "offline-told": silent.told_card(replace(page, scope=""), NOW),
        "offline-told-one": silent.told_card(Silent(tuple(row[:1]), 1, ""), NOW),
        "offline-over": silent.told_card(Silent((), 0, ""), NOW),
        "stale-told": silent.stale_told(replace(page, total=2), timedelta(days=30)),
        "stale-told-one": silent.stale_told(replace(page, total=1), timedelta(days=1)),
    }
