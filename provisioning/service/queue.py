"""Devices that wait for sign-in, and an admin who signs them in one after the other: one code at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from provisioning import lifecycle, remote
from provisioning.access import Permission, require
from provisioning.errors import NothingMatches, OutOfDate, Refused
from provisioning.lifecycle import Step
from provisioning.messages import MessageKind
from provisioning.model import Actor, Change, Device, Person, Record, State
from provisioning.notifications import tell
from provisioning.service.finding import PAGE
from provisioning.service.lookup import EVERYTHING, Target
from provisioning.service.signing import AccountNeeded, NotAnAccount, SignInFacts, Signing
from provisioning.signin import SignIn, SignInRun, Stage, is_account
from provisioning.texts import N_

IDLE = 2  # codes in a row that nobody typed, after which a run stands still
LOOKED_AT = 100
MOST_SKIPPED = 1000  # of a run that are counted as waiting on
DONE, STOPPED, NOBODY = "done", "stopped", "nobody_types"  # why a run stands still, beside the provider's codes
# What would end the next sign-in as well: the run stands still until somebody mended it.
STANDSTILL = frozenset(
    {
        *("provider_away", "invalid_client", "consent_required", "discovery_wrong"),
        *("no_device_flow", "clock_off", "token_untrusted", "asker_gone"),
    }
)


class NoRun(OutOfDate):
    code = "no_run"
    message = N_("You sign in no devices one after the other. Say: sign in all")


@dataclass(frozen=True, slots=True)
class Queue:
    """A page of devices that wait for sign-in, in the order people walk."""

    devices: tuple[Device, ...]
    total: int
    scope: str
    again: bool = False  # signed-out ones, which can be signed in again
    after: str | None = None
    first: int = 1
    site: str = ""  # where all of them are of one


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a run stands: the device whose turn it is with its sign-in, and how many are left behind it."""

    run: SignInRun
    facts: SignInFacts | None  # None: it stands still, or is over
    left: int

    @property
    def number(self) -> int:
        """Of the device whose turn it is, from 1."""
        return self.run.done + len(self.run.skipped) + 1

    @property
    def total(self) -> int:
        return self.number + self.left

    @property
    def needs_account(self) -> bool:
        """The device whose turn it is has none that could be signed in."""
        device = self.facts.device if self.facts else None
        waits = device is not None and device.live_sign_in is None and lifecycle.can(device, Step.SIGN_IN)
        return device is not None and waits and not is_account(device.account)


class SignInQueue(Signing):
    async def waiting_for_sign_in(
        self, actor: Actor, text: str = "", *, again: bool = False, after: str | None = None, first: int = 1
    ) -> Queue:
        """Errors: those of `scope`."""
        require(actor, Permission.SIGN_IN)
        target = await self._scope_of(text)
        question = _question(target, again)
        page = await self.store.find(Device, after=after, limit=PAGE, **question)
        total = await self.store.count(Device, **question) if after or page.after else len(page.rows)
        site = await self._one_site(page.rows, total, again)
        return Queue(page.rows, total, target.scope, again, page.after, first, site)

    async def _one_site(self, devices: Sequence[Device], total: int, again: bool) -> str:
        sites = {device.site.casefold(): device.site for device in devices}
        if len(sites) != 1:
            return ""
        (site,) = sites.values()
        same = (
            len(devices)
            if len(devices) == total
            else await self.store.count(Device, **_question(Target(site=site), again))
        )
        return site if same == total else ""

    async def next_to_sign_in(self, actor: Actor, near: str = "") -> Device | None:
        """The first that waits and is nobody else's just now: of the site of the device `near`, else of all."""
        require(actor, Permission.SIGN_IN)
        device = await self.store.get(Device, near) if near else None
        for target in (*([Target(site=device.site)] if device else []), EVERYTHING):
            async for found in self._unclaimed(target):
                return found
        return None

    async def _scope_of(self, text: str) -> Target:
        return EVERYTHING if text.strip().casefold() in ("", "all", "everything", "*") else await self.scope(text)

    # -------------------------------------------------------------- one after the other

    async def start_run(self, actor: Actor, text: str, *, again: bool = False) -> Turn:
        """Begin with the first device of a site, a tag or all; a run of theirs that is under way gives way to it.

        Errors: `NothingMatches`.
        """
        require(actor, Permission.SIGN_IN)
        target = await self._scope_of(text)
        run = SignInRun(scope=target.scope, started_at=self.now(), again=again)
        return await self._turn_to_next(actor, lambda former: run)

    async def go_on_signing(self, actor: Actor) -> Turn:
        """A run that stood still goes on with its next device; one code is settled before the next. Errors: `NoRun`."""
        turn = await self.turn_of(actor)
        flow = turn.facts.flow if turn and turn.facts else None
        if turn and (turn.needs_account or (flow and flow.live and flow.by == actor.id)):
            return turn
        return await self._turn_to_next(actor, lambda former: _resumed(_there(former)))

    async def skip_sign_in(self, actor: Actor, mac: str = "") -> Turn:
        """The device whose turn it is does not come again in this run.

        mac: which one that is, as a card shows it. Errors: `NoRun`, `OutOfDate`.
        """
        return await self._turn_to_next(actor, lambda former: _skipping(_there(former), mac))

    async def stop_run(self, actor: Actor) -> Turn:
        """What is signed in stays so. Errors: `NoRun`."""
        require(actor, Permission.SIGN_IN)

        async def decide() -> tuple[Change, SignInRun]:
            person = await self.store.get(Person, actor.id)
            run = _there(person.signing if person else None)
            if person is None or run.paused:
                return Change(), run
            stopped = replace(run, paused=STOPPED)
            return await self._decide_withdrawal(actor, run) + Change(puts=(replace(person, signing=stopped),)), stopped

        run = await self.unit(actor, decide)
        return Turn(run, None, await self._left(run))

    async def turn_of(self, actor: Actor) -> Turn | None:
        """Where their run stands now; None where there is none."""
        require(actor, Permission.SIGN_IN)
        person = await self.store.get(Person, actor.id)
        run = person.signing if person else None
        if run is None:
            return None
        facts = None
        if run.on and run.mac and (device := await self.store.get(Device, run.mac)) and not device.removed:
            facts = await self.sign_in_facts(actor, device.mac)
        return Turn(run, facts, await self._left(run))

    async def _left(self, run: SignInRun) -> int:
        question = _question(await self._target_of(run), run.again)
        total = await self.store.count(Device, **question)
        skipped = (await self.store.get_many(Device, run.skipped[-MOST_SKIPPED:])).values()
        wait = sum(1 for device in skipped if device.state.value == question["state"] and not device.removed)
        return max(total - wait - (1 if run.mac and run.on else 0), 0)

    async def _target_of(self, run: SignInRun) -> Target:
        try:
            return await self._scope_of(run.scope)
        except NothingMatches:  # its last device went elsewhere
            return Target(site=run.scope)

    async def _decide_withdrawal(self, actor: Actor, run: SignInRun) -> Change:
        """A code of theirs that is still shown for the device whose turn it was is over."""
        device = await self.store.get(Device, run.mac) if run.mac else None
        flow = device.live_sign_in if device else None
        if device is None or flow is None or flow.by != actor.id:
            return Change()
        return remote.cancel_sign_in(device, flow, self.now(), actor)

    # -------------------------------------------------------------- the next one

    async def _turn_to_next(self, actor: Actor, begin: Callable[[SignInRun | None], SignInRun]) -> Turn:
        """The former device is left, the next one is asked for, and becomes the run's, in one piece."""
        require(actor, Permission.SIGN_IN)

        async def decide() -> tuple[Change, SignInRun]:
            person = await self.store.get(Person, actor.id)
            run = begin(person.signing if person else None)
            if person is None:
                raise NoRun
            former = person.signing.mac if person.signing else ""
            change, fresh = await self._decide_next(actor, run, own=former)
            if person.signing and fresh.mac != former:  # a newer request replaces it anyway
                change = await self._decide_withdrawal(actor, person.signing) + change
            return change + Change(puts=(replace(person, signing=fresh),)), fresh

        run = await self.unit(actor, decide)
        device = await self.store.get(Device, run.mac) if run.on else None
        live = device.live_sign_in if device else None
        if device and live and live.by == actor.id:
            await self._prompt(actor, device.mac, live.id)
        turn = await self.turn_of(actor)
        return turn or Turn(run, None, 0)

    async def _decide_next(self, actor: Actor, run: SignInRun, own: str = "") -> tuple[Change, SignInRun]:
        target = await self._target_of(run)
        async for device in self._unclaimed(target, run.again, run.skipped, (own, actor.id)):
            try:
                change = await self._decide_request(actor, device)
            except (AccountNeeded, NotAnAccount):
                change = Change()  # its card asks for the account first
            except Refused:
                continue
            return change, replace(run, mac=device.mac)
        return Change(), replace(run, mac="", paused=DONE)

    async def _unclaimed(
        self, target: Target, again: bool = False, skipped: Collection[str] = (), own: tuple[str, str] = ("", "")
    ) -> AsyncIterator[Device]:
        """Those that wait, can be reached and are nobody's just now; `own`, a MAC and whose, even with a code of theirs
        that is still shown.
        """
        question, after = _question(target, again), None
        while True:
            page = await self.store.find(Device, after=after, limit=LOOKED_AT, **question)
            for device in page.rows:
                flow = device.live_sign_in
                free = flow is None or (device.mac, flow.by) == own
                if free and device.mac not in skipped and not device.cut_off:
                    yield device
            if (after := page.after) is None:
                return

    async def _decide_run(self, mac: str, over: SignIn, *, looked_on: bool) -> tuple[Change, tuple[str, str] | None]:
        """The run whose device that was turns to the next one, or stands still; its admin is told by a message.

        looked_on: they read it anyhow, as the answer to what they pressed.
        """
        person = await self.store.get(Person, over.by)
        run = person.signing if person else None
        if person is None or run is None or not run.on or run.mac != mac:
            return Change(), None
        actor, settled = self.actor_of(person), _settled(run, over)
        change, fresh = await self._decide_next(actor, settled) if settled.on else (Change(), settled)
        told = () if looked_on else (tell(MessageKind.NEXT_SIGN_IN, person.id, fresh.mac, self.now()),)
        puts: tuple[Record, ...] = (replace(person, signing=fresh), *told)
        begun = next((record.sign_in for record in change.puts if isinstance(record, Device)), None)
        return change + Change(puts=puts), (fresh.mac, begun.id) if begun else None


def _there(run: SignInRun | None) -> SignInRun:
    if run is None:
        raise NoRun
    return run


def _settled(run: SignInRun, over: SignIn) -> SignInRun:
    """The run after its device came to an end, as values: who is skipped, and whether it goes on.

    Where there was not even a code, there would be none for the next one either.
    """
    if over.stage is Stage.SIGNED_IN:
        return replace(run, done=run.done + 1, idle=0)
    if over.why in STANDSTILL or over.shown_at is None:
        return replace(run, paused=over.why)
    idle = run.idle + 1 if over.stage is Stage.ENDED else 0
    fresh = replace(run, skipped=(*run.skipped, run.mac), idle=idle)
    return replace(fresh, paused=NOBODY) if idle >= IDLE else fresh


def _skipping(run: SignInRun, mac: str) -> SignInRun:
    if mac and mac != run.mac:
        raise OutOfDate
    skipped = run.skipped if run.mac in ("", *run.skipped) else (*run.skipped, run.mac)
    return replace(run, skipped=skipped, paused="", idle=0)


def _resumed(run: SignInRun) -> SignInRun:
    """Those whose code nobody typed come again; one that was cancelled, or went to somebody else, does not."""
    if run.on:
        return _skipping(run, "")
    come_again = run.skipped[: len(run.skipped) - run.idle] if run.paused == NOBODY else run.skipped
    return replace(run, skipped=come_again, paused="", idle=0)


def _question(target: Target, again: bool) -> dict[str, Any]:
    state = State.SIGNED_OUT if again else State.WAITING_FOR_SIGN_IN
    return {"state": state.value, "removed": False, **target.equals}
