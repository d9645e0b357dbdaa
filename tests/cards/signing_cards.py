"""The cards of remote sign-in, each in all its states; places and names are whatever people typed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cards.view import View
from cards.views import accounts, sign_in_queue
from cards.views.common import note
from cards.views.signing import Around, gone_card, sign_in_card
from provisioning.model import Device, State
from provisioning.provider_errors import (
    PROVIDER_ERRORS,
    AuthorizationDeclined,
    BlockedByPolicy,
    GrantEnded,
    ProviderError,
    WrongAccount,
)
from provisioning.service.queue import DONE, NOBODY, STOPPED, Queue, Turn
from provisioning.service.signing import AccountNeeded, NotAnAccount, SignInFacts
from provisioning.signin import SignIn, SignInRun, Stage

NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)
CODE, ACCOUNT = "H7KQ2MPN", "room-2.14@contoso.example"
PAGE = "https://microsoft.com/devicelogin"


def signing_cards(called: Device, row: list[Device], name: str) -> dict[str, View]:
    """Named views; `called` waits for sign-in."""
    flow = SignIn(
        id="f1",
        account=ACCOUNT,
        by="dana",
        by_name=name,
        asked_at=NOW - timedelta(minutes=2),
        stage=Stage.CODE_SHOWN,
        page=PAGE,
        shown_at=NOW - timedelta(minutes=2),
        expires_at=NOW + timedelta(minutes=13),
    )
    device = replace(called, account=ACCOUNT, sign_in=flow)
    waiting = [replace(each, state=State.WAITING_FOR_SIGN_IN, provisioned_at=NOW - timedelta(hours=1)) for each in row]
    return {
        **_live(device, flow),
        **_over(device, flow, name),
        **_accounts(device, flow, name),
        **_queues(device, waiting),
        **_runs(),
    }


def _run(device: Device | None = None, **fields: object) -> Turn:
    run = SignInRun(scope="Oslo", started_at=NOW, mac=device.mac if device else "", done=3, skipped=("x",))
    facts = SignInFacts(device, device.sign_in) if device else None
    return Turn(replace(run, **fields), facts, 8)  # type: ignore[arg-type]


def _live(device: Device, flow: SignIn) -> dict[str, View]:
    dana, run = Around("dana", NOW), Around("dana", NOW, _run(device))
    asked = replace(flow, stage=Stage.REQUESTED, page="", shown_at=None, expires_at=None)
    silent = replace(flow, silent_since=NOW - timedelta(minutes=1))
    local = replace(flow, page="http://127.0.0.1:3978/demo/idp/device")

    def card(flow: SignIn, around: Around, code: str = CODE, **more: str) -> View:
        fresh = replace(device, sign_in=flow, **more)  # type: ignore[arg-type]
        return sign_in_card(SignInFacts(fresh, flow, code), around)

    return {
        "sign-in": card(flow, dana),
        "sign-in-sip": card(flow, dana, type="sip"),
        "sign-in-run": card(flow, run),
        "sign-in-silent": card(silent, dana),
        "sign-in-local": card(local, dana, "WDJB-MJHT"),
        "sign-in-nine": card(flow, dana, "A3KWJ6K9L"),
        "sign-in-asking": card(asked, dana, ""),
        "sign-in-asking-run": card(asked, run, ""),
        "sign-in-of-another": card(flow, Around("lee", NOW), ""),
        "sign-in-late": card(replace(flow, expires_at=NOW), dana, ""),
    }


def _over(device: Device, flow: SignIn, name: str) -> dict[str, View]:
    def card(stage: Stage, why: str = "", detail: str = "", around: Around | None = None, **more: str) -> View:
        over = replace(flow, stage=stage, why=why, detail=detail, ended_at=NOW, sealed="", page="")
        fresh = replace(device, sign_in=over, **more)  # type: ignore[arg-type]
        return sign_in_card(SignInFacts(fresh, over), around or Around("dana", NOW))

    def failed(error: ProviderError) -> View:
        return card(error.stage, error.code, error.detail)

    newer = replace(device, sign_in=replace(flow, id="f2", by="lee", by_name=name, asked_at=NOW))
    faults = {f"sign-in-over-{code}": failed(error("10")) for code, error in PROVIDER_ERRORS.items()}
    again = replace(device, state=State.WAITING_FOR_ACTIVATION)
    off, run = note("This device is off the list."), Around("dana", NOW, _run(device))
    gone = replace(flow, stage=Stage.CANCELLED, why="gone", ended_at=NOW)
    return faults | {
        "signed-in": card(Stage.SIGNED_IN),
        "signed-in-sip": card(Stage.SIGNED_IN, type="sip"),
        "signed-in-others": card(Stage.SIGNED_IN, around=Around("dana", NOW, others=True)),
        "sign-in-ended": failed(GrantEnded()),
        "sign-in-ended-run": card(Stage.ENDED, "expired_token", around=Around("dana", NOW, _run(device))),
        "sign-in-paused-run": card(
            Stage.FAILED, "provider_away", around=Around("dana", NOW, _run(device, paused="provider_away"))
        ),
        "sign-in-declined": failed(AuthorizationDeclined()),
        "sign-in-blocked": failed(BlockedByPolicy("AADSTS53003")),
        "sign-in-wrong": failed(WrongAccount("kim.elisabeth.nordmann@contoso.example")),
        "sign-in-wrong-again": failed(WrongAccount(ACCOUNT)),
        "sign-in-cancelled": card(Stage.CANCELLED),
        "sign-in-cancelled-other": card(Stage.CANCELLED, "by_other", name),
        "sign-in-cancelled-read": card(Stage.CANCELLED, around=Around("lee", NOW)),
        "sign-in-reset": sign_in_card(SignInFacts(again, gone), Around("dana", NOW)),
        "sign-in-reset-run": sign_in_card(SignInFacts(again, gone), run),
        "sign-in-off-list": sign_in_card(SignInFacts(device, gone), Around("dana", NOW)),
        "sign-in-gone": gone_card(off, device.mac, run=False),
        "sign-in-gone-run": gone_card(off, device.mac, run=True),
        "sign-in-replaced": sign_in_card(SignInFacts(newer, None), Around("dana", NOW)),
        "sign-in-replaced-self": sign_in_card(SignInFacts(newer, None), Around("lee", NOW)),
        "sign-in-replaced-run": sign_in_card(SignInFacts(newer, None), Around("dana", NOW, _run(device))),
    }


def _accounts(device: Device, flow: SignIn, name: str) -> dict[str, View]:
    bare = replace(device, account="", sign_in=None)
    return {
        "account-form": accounts.account_form(bare, "", AccountNeeded(place="x"), None),
        "account-form-wrong": accounts.account_form(bare, name[:60], NotAnAccount(text=name[:60]), None),
        "account-form-run": accounts.account_form(bare, "", AccountNeeded(place="x"), _run(bare)),
        "account": accounts.account_card(replace(device, sign_in=None), NOW),
        "account-none": accounts.account_card(bare, NOW),
        "account-under-way": accounts.account_card(device, NOW),
        "account-early": accounts.account_card(replace(bare, state=State.WAITING_FOR_ACTIVATION), NOW),
        "account-signed-in": accounts.account_card(
            replace(device, sign_in=None, state=State.SIGNED_IN, signed_in_as=ACCOUNT, signed_in_at=NOW), NOW
        ),
    }


def _queues(device: Device, waiting: list[Device]) -> dict[str, View]:
    def card(devices: list[Device], total: int, **more: object) -> View:
        queue = Queue(tuple(devices), total, **{"scope": "", **more})  # type: ignore[arg-type]
        return sign_in_queue.queue_card(queue, "dana", NOW)

    out = [replace(each, state=State.SIGNED_OUT, account=ACCOUNT) for each in waiting]
    return {
        "sign-ins": card([device, *waiting[1:]], 10, site="Oslo"),
        "sign-ins-more": card(waiting, 2_000, after="x", scope=device.site),
        "sign-ins-end": card(waiting[:3], 2_000, first=1_998),
        "sign-ins-one": card([replace(device, sign_in=None)], 1),
        "sign-ins-under-way": card([device], 1),
        "sign-ins-none": card([], 0),
        "signed-out": card(out, 12, again=True, after="x"),
        "signed-out-none": card([], 0, again=True, scope=device.site),
    }


def _runs() -> dict[str, View]:
    def card(**fields: object) -> View:
        return sign_in_queue.run_card(_run(**fields))  # type: ignore[arg-type]

    return {
        "run-done": card(paused=DONE, skipped=(), done=12),
        "run-done-skipped": card(paused=DONE),
        "run-nothing": card(paused=DONE, skipped=(), done=0),
        "run-stopped": card(paused=STOPPED),
        "run-nobody": card(paused=NOBODY),
        "run-away": card(paused="provider_away"),
        "run-clock": card(paused="clock_off"),
        "run-on": card(),
    }
