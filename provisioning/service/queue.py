"""Devices that wait for sign-in, and an admin who signs them in one after the other: one code at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from provisioning.access import Permission, require
from provisioning.errors import NothingMatches, OutOfDate, ProvisioningError
from provisioning.model import Actor, Change, Device, MessageKind, Person, Post, Record, State
from provisioning.notifications import QUEUE, tell
from provisioning.provider_errors import ProviderError
from provisioning.service.finding import PAGE
from provisioning.service.lookup import EVERYTHING, Target
from provisioning.service.people import SERVICE
from provisioning.service.signing import AccountNeeded, NotAnAccount, SignInFacts, Signing
from provisioning.signin import Account, DeviceGrant, SignInRun, Stage
from provisioning.texts import N_

IDLE = 2  # codes in a row that nobody typed, after which a run stands still
LOOKED_AT = 100
DONE, STOPPED, NOBODY = "done", "stopped", "nobody_types"  # why a run stands still, beside the provider's codes
# What would end the next sign-in as well: the run stands still until somebody mended it.
STANDSTILL = frozenset(
    {
        *("provider_away", "invalid_client", "consent_required", "discovery_wrong"),
        *("no_device_flow", "clock_off", "token_untrusted"),
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


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a run stands: the device whose turn it is with its sign-in, and how many are left behind it."""

    run: SignInRun
    facts: SignInFacts | None  # None: it stands still, or is over
    left: int


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
        return Queue(page.rows, total, target.scope, again, page.after, first)

    async def queue_told_lately(self, actor: Actor, since: datetime) -> bool:
        """Whether a list that is kept up to date was posted to them since then: no further push."""
        rows = (await self.store.find(Post, subject=QUEUE, reader=actor.id, limit=1)).rows
        return bool(rows) and rows[0].posted_at >= since

    async def _scope_of(self, text: str) -> Target:
        return EVERYTHING if text.strip().casefold() in ("", "all", "everything", "*") else await self.scope(text)

    # -------------------------------------------------------------- one after the other

    async def start_run(self, actor: Actor, text: str, *, again: bool = False) -> Turn:
        """Begin with the first device of a site, a tag or all; a run of theirs that is under way gives way to it.

        Errors: `NothingMatches`.
        """
        require(actor, Permission.SIGN_IN)
        target = await self._scope_of(text)
        await self.stop_run(actor, quietly=True)
        run = SignInRun(scope=target.scope, started_at=self.now(), again=again)
        return await self._turn_to_next(actor, run)

    async def go_on_signing(self, actor: Actor) -> Turn:
        """A run that stood still goes on with its next device. Errors: `NoRun`."""
        run = await self._run_of(actor)
        return await self._turn_to_next(actor, replace(run, paused="", idle=0))

    async def skip_sign_in(self, actor: Actor) -> Turn:
        """The device whose turn it is does not come again in this run. Errors: `NoRun`."""
        run = await self._run_of(actor)
        await self._cancel_current(actor, run)
        skipped = (*run.skipped, run.mac) if run.mac else run.skipped
        return await self._turn_to_next(actor, replace(run, skipped=skipped))

    async def stop_run(self, actor: Actor, *, quietly: bool = False) -> SignInRun | None:
        """What is signed in stays so. Errors: `NoRun`, unless `quietly`."""
        require(actor, Permission.SIGN_IN)
        person = await self.store.get(Person, actor.id)
        if person is None or person.signing is None:
            if quietly:
                return None
            raise NoRun
        await self._cancel_current(actor, person.signing)

        async def decide() -> tuple[Change, SignInRun | None]:
            fresh = await self.store.get(Person, actor.id)
            if fresh is None or fresh.signing is None:
                return Change(), None
            stopped = replace(fresh.signing, paused=fresh.signing.paused or STOPPED)
            return Change(puts=(replace(fresh, signing=stopped),)), stopped

        return await self.quietly(decide)

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
        total = await self.store.count(Device, **_question(await self._target_of(run), run.again))
        return max(total - len(run.skipped) - (1 if run.mac and run.on else 0), 0)

    async def _target_of(self, run: SignInRun) -> Target:
        try:
            return await self._scope_of(run.scope)
        except NothingMatches:  # its last device went elsewhere
            return Target(site=run.scope)

    async def _run_of(self, actor: Actor) -> SignInRun:
        require(actor, Permission.SIGN_IN)
        person = await self.store.get(Person, actor.id)
        if person is None or person.signing is None:
            raise NoRun
        return person.signing

    async def _cancel_current(self, actor: Actor, run: SignInRun) -> None:
        device = await self.store.get(Device, run.mac) if run.mac else None
        flow = device.live_sign_in if device else None
        if device and flow and flow.by == actor.id:
            await self.cancel_sign_in(actor, device.mac, flow.id)

    # -------------------------------------------------------------- the next one

    async def _turn_to_next(self, actor: Actor, run: SignInRun) -> Turn:
        """The next device is asked for, and becomes the run's, in one piece."""

        async def decide() -> tuple[Change, SignInRun]:
            person = await self.store.get(Person, actor.id)
            if person is None:
                raise NoRun
            change, fresh = await self._decide_next(actor, run)
            return change + Change(puts=(replace(person, signing=fresh),)), fresh

        fresh = await self.unit(actor, decide)
        device = await self.store.get(Device, fresh.mac) if fresh.on else None
        if device is None:
            return Turn(fresh, None, await self._left(fresh))
        live = device.live_sign_in
        facts = (
            await self._prompt(actor, device.mac, live.id)
            if live and live.by == actor.id
            else await self.sign_in_facts(actor, device.mac)
        )
        return Turn(fresh, facts, await self._left(fresh))

    async def _decide_next(self, actor: Actor, run: SignInRun) -> tuple[Change, SignInRun]:
        async for device in self._in_turn(run):
            try:
                change = await self._decide_request(actor, device)
            except (AccountNeeded, NotAnAccount):
                change = Change()  # its card asks for the account first
            except ProvisioningError:
                continue
            return change, replace(run, mac=device.mac)
        return Change(), replace(run, mac="", paused=DONE)

    async def _in_turn(self, run: SignInRun) -> AsyncIterator[Device]:
        """Those that wait and are nobody else's just now."""
        question, after = _question(await self._target_of(run), run.again), None
        while True:
            page = await self.store.find(Device, after=after, limit=LOOKED_AT, **question)
            for device in page.rows:
                if device.mac not in run.skipped and device.live_sign_in is None:
                    yield device
            if (after := page.after) is None:
                return

    async def take_answer(
        self, mac: str, flow_id: str, answer: Account | DeviceGrant | ProviderError, faults: int = 0
    ) -> float | None:
        """As ever; and where it ended a device of a run, that run goes on by itself."""
        device = await self.store.get(Device, mac)
        flow = device.live_sign_in if device else None
        pause = await super().take_answer(mac, flow_id, answer, faults)
        if pause is None and flow and flow.id == flow_id:
            await self._settle_turn(flow.by, mac, flow_id)
        return pause

    async def _settle_turn(self, person_id: str, mac: str, flow_id: str) -> None:
        """The run whose device that was turns to the next one, or stands still; its admin is told by a message."""

        async def decide() -> tuple[Change, tuple[str, str] | None]:
            person, device = await self.store.get(Person, person_id), await self.store.get(Device, mac)
            run, flow = person.signing if person else None, device.sign_in if device else None
            if person is None or run is None or not run.on or run.mac != mac or flow is None or flow.id != flow_id:
                return Change(), None
            actor, settled = self.actor_of(person), _settled(run, flow.stage, flow.why)
            change, fresh = await self._decide_next(actor, settled) if settled.on else (Change(), settled)
            told = tell(MessageKind.NEXT_SIGN_IN, person.id, fresh.mac, self.now())
            puts: tuple[Record, ...] = (replace(person, signing=fresh), told)
            begun = next((record.sign_in for record in change.puts if isinstance(record, Device)), None)
            return change + Change(puts=puts), (fresh.mac, begun.id) if begun else None

        begun = await self.unit(SERVICE, decide)
        if begun:
            answer = await self.ask_provider(*begun)
            if answer is not None:
                await self.take_answer(*begun, answer)


def _settled(run: SignInRun, stage: Stage, why: str) -> SignInRun:
    """The run after its device came to an end, as values: who is skipped, and whether it goes on."""
    if stage is Stage.SIGNED_IN:
        return replace(run, done=run.done + 1, idle=0)
    if why in STANDSTILL:
        return replace(run, paused=why)
    idle = run.idle + 1 if stage is Stage.ENDED else 0
    fresh = replace(run, skipped=(*run.skipped, run.mac), idle=idle)
    return replace(fresh, paused=NOBODY) if idle >= IDLE else fresh


def _question(target: Target, again: bool) -> dict[str, Any]:
    state = State.SIGNED_OUT if again else State.WAITING_FOR_SIGN_IN
    return {"state": state.value, "removed": False, **target.equals}
