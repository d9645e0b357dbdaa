"""Remote sign-in (RFC 8628): asked for by an admin, run with the identity provider, verified, told to the device."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from provisioning import lifecycle, remote
from provisioning.access import Permission, allowed, require
from provisioning.errors import BadInput, OutOfDate, Refused
from provisioning.lifecycle import Step
from provisioning.model import Actor, Change, Device, Person, State, stored
from provisioning.ports import IdentityProvider, Span
from provisioning.provider_errors import AskerGone, DiscoveryWrong, GrantUnknown, ProviderError, WrongAccount
from provisioning.service.lookup import Lookup
from provisioning.service.people import PENDING, SERVICE
from provisioning.signin import Account, DeviceGrant, SignIn, Stage, is_account, same_account
from provisioning.texts import N_
from provisioning.untrusted import clean

PROMPT = 2.0  # seconds that an answer waits for the provider; Teams waits for three
TAKEN_OVER = timedelta(seconds=4)  # a flow that has no code by then is gone on with by the poller
AT_ONCE = 1000  # live flows of one service
NONE = frozenset({"none", "-", "keins", "nobody"})  # what people type for: no account


class NotCalledInYet(Refused):
    code = "not_called_in_yet"
    message = N_("{place} has not called in yet: its code comes first, then it can be signed in.")


class AlreadySignedIn(Refused):
    code = "already_signed_in"
    message = N_("{place} is signed in as {account}. Sign it out first: sign out {place}")


class TeamsSignsIn(Refused):
    code = "teams_signs_in"
    message = N_("{place} belongs to the Teams admin centre: it is signed in, signed out and restarted there.")


class CutOff(Refused):
    code = "cut_off"
    message = N_("{place} was off the list, so nothing reaches it any more until it is reset. Say: reset {place}")


class TooManySignIns(Refused):
    code = "too_many_sign_ins"
    message = N_("{count} sign-ins are under way, which is the most. Try again when some of them are over.")


class AccountNeeded(BadInput):
    code = "account_needed"
    field = "account"
    message = N_("Which account is to be signed in at {place}?")


class NotAnAccount(BadInput):
    code = "not_an_account"
    field = "account"
    message = N_('"{text}" is not an account; it looks like room-2.14@contoso.com.')


class OneDeviceOnly(BadInput):
    code = "one_device_only"
    message = N_("An account is signed in on one device: name that device.")


class NoSignIn(OutOfDate):
    code = "no_sign_in"
    message = N_("No sign-in of {place} is under way.")


@dataclass(frozen=True, slots=True)
class SignInFacts:
    """One sign-in as one person may see it: the user code only for the admin who asked, while it is live."""

    device: Device
    flow: SignIn | None  # None: another one took its place
    user_code: str = ""


class Secrets(NamedTuple):
    device_code: str
    user_code: str


class Taken(NamedTuple):
    """What an answer led to: the flow (None: it was over before), and the one that a run goes on with."""

    flow: SignIn | None
    begun: tuple[str, str] | None = None  # MAC and id


class Signing(Lookup):
    # -------------------------------------------------------------- accounts

    async def choose_account(self, actor: Actor, text: str, account: str) -> Device:
        """Which account is to be signed in on a device; "none" takes it away. Errors: `NotAnAccount`."""
        require(actor, Permission.SIGN_IN)
        wanted = "" if account.strip().casefold() in NONE else _account(account)

        async def decide() -> tuple[Change, Device]:
            device = await self.device(actor, text)
            change = remote.choose_account(device, wanted, self.now(), actor)
            fresh = next((record for record in change.puts if isinstance(record, Device)), None)
            return change, stored(fresh) if fresh else device

        return await self.unit(actor, decide)

    # -------------------------------------------------------------- asked for

    async def begin_sign_in(self, actor: Actor, text: str, account: str = "", *, after: str = "") -> SignInFacts:
        """Ask the provider for a code; what was under way for this device is over.

        Answers with the code where the provider is quick, else with a flow that is still `REQUESTED`. after: the id
        of the sign-in that a card shows, which must be the latest. Errors: `AccountNeeded`, `NotAnAccount`,
        `NotCalledInYet`, `AlreadySignedIn`, `TeamsSignsIn`, `OutOfDate`.
        """
        require(actor, Permission.SIGN_IN)

        async def decide() -> tuple[Change, Device]:
            device = await self.device(actor, text)
            if after and (device.sign_in is None or device.sign_in.id != after):
                raise OutOfDate
            change = await self._decide_request(actor, device, account)
            (fresh,) = (record for record in change.puts if isinstance(record, Device))
            return change, fresh

        device = await self.unit(actor, decide)
        if device.sign_in is None:
            raise AssertionError("a request has its flow")
        return await self._prompt(actor, device.mac, device.sign_in.id)

    async def _decide_request(self, actor: Actor, device: Device, account: str = "") -> Change:
        can_be_signed_in(device)
        if await self.count_sign_ins() >= AT_ONCE:
            raise TooManySignIns(count=AT_ONCE)
        if not (wanted := account or device.account):
            raise AccountNeeded(place=device.place)
        wanted = _account(wanted)
        flow = SignIn(
            id=secrets.token_hex(8),
            account=wanted,
            account_id=await self._id_of(device, wanted),
            by=actor.id,
            by_name=actor.name,
            asked_at=self.now(),
        )
        return remote.request_sign_in(device, flow, actor)

    async def _id_of(self, device: Device, account: str) -> str:
        """The object id of an account, where Teams or a former sign-in told it; empty where nobody did."""
        if device.signed_in_id and device.signed_in_as.casefold() == account.casefold():
            return device.signed_in_id
        if not self.policy.teams_accounts or device.account_anew:
            return ""
        people = (await self.store.find(Person, upn=account.casefold(), limit=2)).rows
        known = [person.id for person in people if not person.id.startswith(PENDING)]
        return known[0] if len(known) == 1 else ""

    async def _prompt(self, actor: Actor, mac: str, flow_id: str) -> SignInFacts:
        """What there is to show after a short wait for the provider."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PROMPT):
                answer = await self.ask_provider(mac, flow_id)
            if answer is not None:
                await self.take_answer(mac, flow_id, answer, asker=actor)
        return await self.sign_in_facts(actor, mac, flow_id)

    async def sign_in_facts(self, actor: Actor, mac: str, flow_id: str = "") -> SignInFacts:
        """A sign-in as it stands now; without an id the latest. Nobody but the admin who asked sees a code.

        Nor does anybody once its time is over, even where the poll that ends it is still to come.
        """
        require(actor, Permission.SIGN_IN)
        device = await self.device(actor, mac)
        flow = device.sign_in if device.sign_in and flow_id in ("", device.sign_in.id) else None
        code = ""
        if flow and flow.stage is Stage.CODE_SHOWN and flow.by == actor.id and not flow.late(self.now()):
            with suppress(ValueError):
                code = self._secrets(device, flow).user_code
        return SignInFacts(device, flow, code)

    async def cancel_sign_in(self, actor: Actor, text: str, flow_id: str = "") -> SignInFacts:
        """Its code is worth nothing here from now on; whatever the provider still says is discarded.

        Errors: `NoSignIn`.
        """
        require(actor, Permission.SIGN_IN)

        async def decide() -> tuple[Change, Device]:
            device = await self.device(actor, text)
            flow = device.live_sign_in
            if flow is None or flow_id not in ("", flow.id):
                raise NoSignIn(place=device.place)
            return remote.cancel_sign_in(device, flow, self.now(), actor), device

        device = await self.unit(actor, decide)
        return await self.sign_in_facts(actor, device.mac)

    # -------------------------------------------------------------- run with the provider

    async def count_sign_ins(self) -> int:
        """How many flows are live."""
        return await self.store.count(Device, span=Span("sign_in_until"))

    async def live_sign_ins(
        self, *, after: datetime | None = None, until: datetime | None = None
    ) -> Sequence[tuple[str, SignIn]]:
        """Every live flow, with the MAC of its device.

        after, until: only those whose code ends then; one that has no code counts by when it was asked for.
        """
        found: list[tuple[str, SignIn]] = []
        span, beyond = Span("sign_in_until", after, until), None
        while len(found) < AT_ONCE:
            page = await self.store.find(Device, span=span, after=beyond, limit=500)
            found += [(device.mac, device.live_sign_in) for device in page.rows if device.live_sign_in]
            if (beyond := page.after) is None:
                break
        return found

    async def ask_provider(self, mac: str, flow_id: str) -> Account | DeviceGrant | ProviderError | None:
        """One step with the provider: for a code where there is none yet, else one poll. None: the flow is over."""
        device = await self.store.get(Device, mac)
        flow = _same(device, flow_id)
        if device is None or flow is None:
            return None
        if flow.stage is Stage.REQUESTED:
            return await self._ask_for_code()
        person = await self.store.get(Person, flow.by)
        if person is None or not allowed(self.actor_of(person), Permission.SIGN_IN):
            return AskerGone()
        try:
            return await self._provider.redeem(self._secrets(device, flow).device_code)
        except ValueError:
            return GrantUnknown()  # the key that sealed it is gone from CODE_KEYS
        except ProviderError as error:
            return error

    @property
    def _provider(self) -> IdentityProvider:
        if self.provider is None:
            raise DiscoveryWrong
        return self.provider

    async def _ask_for_code(self) -> DeviceGrant | ProviderError:
        try:
            return await self._provider.begin()
        except ProviderError as error:
            return error

    async def take_answer(
        self,
        mac: str,
        flow_id: str,
        answer: Account | DeviceGrant | ProviderError,
        faults: int = 0,
        asker: Actor | None = None,
    ) -> float | None:
        """What an answer leads to; seconds until the next poll, None where the flow is over.

        faults: how many answers in a row failed before this one. asker: who asked in this turn, and reads the outcome
        as its answer. An answer for a flow that is over is discarded.
        """
        actor = replace(SERVICE, post=asker.post) if asker else SERVICE
        taken = await self.unit(
            actor, lambda: self._decide_taken(mac, flow_id, answer, faults, looked_on=asker is not None)
        )
        if taken.begun:
            await self._ask_at_once(*taken.begun)
        if taken.flow is None or not taken.flow.live:
            return None
        return remote.pause(taken.flow, answer, faults, self.now())

    async def _ask_at_once(self, mac: str, flow_id: str) -> None:
        if (answer := await self.ask_provider(mac, flow_id)) is not None:
            await self.take_answer(mac, flow_id, answer)

    async def _decide_taken(
        self, mac: str, flow_id: str, answer: Account | DeviceGrant | ProviderError, faults: int, *, looked_on: bool
    ) -> tuple[Change, Taken]:
        device = await self.store.get(Device, mac)
        flow = _same(device, flow_id)
        if device is None or flow is None:
            return Change(), Taken(None)
        change = self._decide_answer(device, flow, answer, faults)
        fresh = next((record for record in change.puts if isinstance(record, Device)), device)
        if fresh.sign_in is None or fresh.sign_in.live:
            return change, Taken(fresh.sign_in)
        more, begun = await self._decide_run(mac, fresh.sign_in, looked_on=looked_on)
        return change + more, Taken(fresh.sign_in, begun)

    async def _decide_run(self, mac: str, over: SignIn, *, looked_on: bool) -> tuple[Change, tuple[str, str] | None]:
        """What the end of a sign-in means for a run it was part of: see `SignInQueue`."""
        return Change(), None

    def _decide_answer(
        self, device: Device, flow: SignIn, answer: Account | DeviceGrant | ProviderError, faults: int
    ) -> Change:
        now = self.now()
        if isinstance(answer, DeviceGrant):
            if flow.stage is not Stage.REQUESTED:
                return Change()  # the poller and the turn both asked; the first code counts
            sealed = self.keys.wrap(device.mac, json.dumps([answer.device_code, answer.user_code]), _purpose(flow))
            return remote.show_code(device, flow, answer, sealed, now)
        if isinstance(answer, ProviderError):
            return remote.not_yet(device, flow, answer, faults, now)
        if not same_account(answer, flow.account, flow.account_id):
            return remote.end_sign_in(device, flow, WrongAccount(answer.name), now)
        return lifecycle.sign_in(device, flow, answer, now)

    def _secrets(self, device: Device, flow: SignIn) -> Secrets:
        """Raises ValueError where they are erased, or their key is gone."""
        return Secrets(*json.loads(self.keys.unwrap(device.mac, flow.sealed, _purpose(flow))))


def can_be_signed_in(device: Device) -> None:
    """Errors: `TeamsSignsIn`, `NotCalledInYet`, `AlreadySignedIn`."""
    if lifecycle.companion(device):
        raise TeamsSignsIn(place=device.place)
    if device.state is State.WAITING_FOR_ACTIVATION:
        raise NotCalledInYet(place=device.place)
    if device.cut_off:
        raise CutOff(place=device.place)
    if not lifecycle.can(device, Step.SIGN_IN):
        raise AlreadySignedIn(place=device.place, account=device.signed_in_as)


def _account(text: str) -> str:
    """Errors: `NotAnAccount`."""
    said = clean(text).removeprefix("mailto:")
    if not is_account(said):
        raise NotAnAccount(text=said[:60])
    return said


def _same(device: Device | None, flow_id: str) -> SignIn | None:
    """The device's live flow, if it is this one."""
    flow = device.live_sign_in if device and not device.removed else None
    return flow if flow and flow.id == flow_id else None


def _purpose(flow: SignIn) -> str:
    return f"sign-in {flow.id}"
