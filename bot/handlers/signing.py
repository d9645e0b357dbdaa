"""Remote sign-in: accounts, the list of who waits, one sign-in, and several one after the other. All of it private."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.handlers.devices import gone, living
from bot.routing import Router
from bot.turn import Living, Reply, Turn
from cards.views import accounts, sign_in_queue
from cards.views import signing as cards
from cards.views.people import access_ended
from provisioning.access import Permission, allowed
from provisioning.errors import BadInput, DeviceNotFound, NearMiss, NothingMatches
from provisioning.lifecycle import companion
from provisioning.messages import MessageKind
from provisioning.model import Device
from provisioning.notifications import GRAVE, QUEUE
from provisioning.service import queue
from provisioning.service.signing import AccountNeeded, NotAnAccount, OneDeviceOnly, SignInFacts, TeamsSignsIn
from provisioning.signin import Stage

router = Router()
SIGN_IN = (Permission.SIGN_IN,)
LATELY = timedelta(minutes=10)  # a list that was posted since is kept up to date: no further push

# ------------------------------------------------------------------ accounts


@router.command("account <device> [<account>]", needs=SIGN_IN)
@router.action("account")
async def account(turn: Turn, device: str, account: str = "") -> Reply:
    """Say which account is to be signed in on a device; none takes it away; without one it is shown."""
    found, account = await turn.provisioning.device_and_rest(turn.actor, f"{device} {account}")
    if companion(found):
        raise TeamsSignsIn(place=found.place)
    if account:
        found = await turn.provisioning.choose_account(turn.actor, found.mac, account)
    return _account(turn, found)


def _account(turn: Turn, device: Device) -> Reply:
    card = accounts.account_card(device, turn.now)
    return Reply(card=card, private=True, living=living(device, "account_again"))


@router.view
async def account_again(turn: Turn, mac: str) -> Reply | None:
    """The intended account as it stands now."""
    if not allowed(turn.actor, *SIGN_IN):
        return Reply(card=access_ended())
    try:
        return _account(turn, await turn.provisioning.device(turn.actor, mac))
    except (DeviceNotFound, NearMiss):
        return await gone(turn, mac)


# ------------------------------------------------------------------ one device


@router.command("sign in", "sign in <device> [as <account>]", needs=SIGN_IN)
@router.action("sign_in")
async def sign_in(turn: Turn, device: str = "", account: str = "", flow: str = "") -> Reply:
    """Sign a device in from afar; of a site, a tag or all, one after the other; alone, list who waits."""
    if not device:
        return await sign_ins(turn)
    meant = await turn.provisioning.target(turn.actor, device)
    if meant.device:
        return await _begun(turn, meant.device, account, flow)
    if account:
        raise OneDeviceOnly
    return await _turned(turn, await turn.provisioning.start_run(turn.actor, meant.word))


async def _begun(turn: Turn, device: Device, account: str = "", flow: str = "") -> Reply:
    try:
        return await _shown(turn, await turn.provisioning.begin_sign_in(turn.actor, device.mac, account, after=flow))
    except (AccountNeeded, NotAnAccount) as fault:
        return await _asked_for_account(turn, device, account, fault)


async def _asked_for_account(turn: Turn, device: Device, account: str, fault: BadInput) -> Reply:
    run = _at(await turn.provisioning.turn_of(turn.actor), device.mac)
    return Reply(card=accounts.account_form(device, account, fault, run), private=True)


async def _shown(turn: Turn, facts: SignInFacts) -> Reply:
    """A sign-in as it stands. Its card changes by itself until it is over, then it stays as it is."""
    mac, flow = facts.device.mac, facts.flow
    run = await turn.provisioning.turn_of(turn.actor)
    signed_in = flow is not None and flow.stage is Stage.SIGNED_IN
    alone = signed_in and not (run and run.run.on)  # a run goes on by itself
    others = alone and await turn.provisioning.next_to_sign_in(turn.actor, mac) is not None
    card = cards.sign_in_card(facts, cards.Around(turn.actor.id, turn.now, _at(run, mac), others=others))
    kept = living(facts.device, "sign_in_again", shows_code=bool(facts.user_code))
    stands = replace(kept, params={"mac": mac, "flow": flow.id}) if flow and flow.live else None
    return Reply(card=card, private=True, living=stands)


def _at(run: queue.Turn | None, mac: str) -> queue.Turn | None:
    """The run, where it is this device's turn."""
    return run if run and run.run.mac == mac and run.run.paused != queue.STOPPED else None


@router.view
async def sign_in_again(turn: Turn, mac: str, flow: str) -> Reply | None:
    """A sign-in's card as it stands now; without the code for whoever has no right to it any more."""
    if not allowed(turn.actor, *SIGN_IN):
        return Reply(card=access_ended())
    try:
        return await _shown(turn, await turn.provisioning.sign_in_facts(turn.actor, mac, flow))
    except (DeviceNotFound, NearMiss):
        return await _left_off(turn, mac)


async def _left_off(turn: Turn, mac: str) -> Reply:
    """The device went in the middle of it: a run stands still until it is told to go on."""
    reply, run = await gone(turn, mac), _at(await turn.provisioning.turn_of(turn.actor), mac)
    return replace(reply, card=cards.gone_card(reply.card, mac, run=run is not None)) if reply.card else reply


@router.command("cancel sign in <device>", needs=SIGN_IN)
@router.action("sign_in_cancel")
async def cancel_sign_in(turn: Turn, device: str, flow: str = "") -> Reply:
    """End a sign-in that is under way: its code is worth nothing any more."""
    return await _shown(turn, await turn.provisioning.cancel_sign_in(turn.actor, device, flow))


@router.notice(MessageKind.SIGN_IN_REFUSED)
async def sign_in_refused(turn: Turn, subject: str) -> Reply | None:
    """Another account approved, or what came cannot be trusted."""
    facts = await turn.provisioning.sign_in_facts(turn.actor, subject)
    if facts.flow is None or facts.flow.why not in GRAVE or facts.flow.by != turn.actor.id:
        return None
    reply = await _shown(turn, facts)
    return replace(reply, card=replace(reply.card, summary=cards.refused_push(facts.device))) if reply.card else None


# ------------------------------------------------------------------ who waits


@router.action("sign_ins", needs=SIGN_IN)
async def sign_ins(turn: Turn, site: str = "", again: bool = False, after: str | None = None, first: int = 1) -> Reply:
    """List who waits for sign-in, or who is signed out."""
    page = await turn.provisioning.waiting_for_sign_in(turn.actor, site, again=again, after=after, first=first)
    card = sign_in_queue.queue_card(page, turn.actor.id, turn.now)
    params = {"site": page.scope, **({"again": "true"} if again else {})}
    stands = Living(subject=QUEUE, view="sign_ins_again", params=params) if after is None else None
    return Reply(card=card, private=True, living=stands)


@router.view
async def sign_ins_again(turn: Turn, site: str = "", again: bool = False) -> Reply | None:
    """The list as it stands now."""
    if not allowed(turn.actor, *SIGN_IN):
        return Reply(card=access_ended())
    try:
        return await sign_ins(turn, site, again)
    except NothingMatches:  # its last device went elsewhere
        return await sign_ins(turn, again=again)


@router.notice(MessageKind.SIGN_INS_WAITING)
async def sign_ins_waiting(turn: Turn) -> Reply | None:
    """Devices called in and wait; nothing where somebody is at each of them, or a list came lately."""
    if await turn.provisioning.told_lately(turn.actor, QUEUE, turn.now - LATELY):
        return None
    waiting = await turn.provisioning.next_to_sign_in(turn.actor)
    return await sign_ins(turn) if waiting else None


# ------------------------------------------------------------------ one after the other


async def _turned(turn: Turn, standing: queue.Turn) -> Reply:
    """The device whose turn it is; or why there is none."""
    facts = standing.facts
    if facts is None:
        return Reply(card=sign_in_queue.run_card(standing), private=True)
    if standing.needs_account:
        fault = NotAnAccount(text=facts.device.account) if facts.device.account else AccountNeeded()
        return await _asked_for_account(turn, facts.device, "", fault)
    return await _shown(turn, facts)


@router.command("sign in again [<device>]", needs=SIGN_IN)
@router.action("sign_in_anew")
async def sign_in_anew(turn: Turn, device: str = "") -> Reply:
    """Sign signed-out devices in again, with nobody on site: of a site, a tag or all; alone, list them."""
    if not device:
        return await sign_ins(turn, again=True)
    meant = await turn.provisioning.target(turn.actor, device)
    if meant.device:
        return await _begun(turn, meant.device)
    return await _turned(turn, await turn.provisioning.start_run(turn.actor, meant.word, again=True))


@router.command("sign in next", needs=SIGN_IN)
@router.action("sign_in_next")
async def sign_in_next(turn: Turn, device: str = "") -> Reply:
    """Go on with the next device that waits for sign-in."""
    standing = await turn.provisioning.turn_of(turn.actor)
    if standing and standing.run.paused not in (queue.DONE, queue.STOPPED):
        return await sign_in_go_on(turn)
    waiting = await turn.provisioning.next_to_sign_in(turn.actor, device)
    return await _begun(turn, waiting) if waiting else await sign_ins(turn)


@router.command("sign in go on", needs=SIGN_IN)
@router.action("sign_in_go_on")
async def sign_in_go_on(turn: Turn) -> Reply:
    """Go on where you stopped signing in one after the other."""
    return await _turned(turn, await turn.provisioning.go_on_signing(turn.actor))


@router.command("sign in skip", needs=SIGN_IN)
@router.action("sign_in_skip")
async def sign_in_skip(turn: Turn, device: str = "") -> Reply:
    """Leave out the device whose turn it is; its code is worth nothing any more."""
    return await _turned(turn, await turn.provisioning.skip_sign_in(turn.actor, device))


@router.command("sign in stop", needs=SIGN_IN)
@router.action("sign_in_stop")
async def sign_in_stop(turn: Turn) -> Reply:
    """Stop signing in one after the other; what is signed in stays so."""
    return await _turned(turn, await turn.provisioning.stop_run(turn.actor))


@router.notice(MessageKind.NEXT_SIGN_IN)
async def next_sign_in(turn: Turn, subject: str = "") -> Reply | None:
    """The next device of a run, or why it goes on no further; nothing where it has moved on since."""
    standing = await turn.provisioning.turn_of(turn.actor)
    return await _turned(turn, standing) if standing and standing.run.mac == subject else None
