"""The device's own road: present MAC + code, wait for what comes next, report a factory reset."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from provisioning import codes, lifecycle, remote, throttle
from provisioning.bookkeeping import Attempts
from provisioning.errors import (
    CodeExpired,
    CodeRefused,
    DeviceRefusal,
    DeviceResetRequired,
    ProvisioningError,
    SlowDown,
    TokenRefused,
    Unavailable,
)
from provisioning.events import CodeLocked, Event, ProvisionRefused, ProvisionRepeated
from provisioning.key_use import REMEMBER_ENDED
from provisioning.mac import normalise
from provisioning.model import Actor, Authority, Change, Device, State
from provisioning.ports import Watch
from provisioning.service.gathering import Gathering
from provisioning.service.guarding import Guarding
from provisioning.throttle import Limit
from provisioning.untrusted import clean

RETRY_WINDOW = timedelta(minutes=10)  # how long an Idempotency-Key is remembered
REMEMBER_EXPIRED = REMEMBER_ENDED  # how long the right but late code is told from a wrong one
JUST_DUE = timedelta(seconds=30)  # the longest that a call waits
NOTICE = timedelta(minutes=1)  # how long it is only remembered that a device called
REPORT_LIMIT = 64  # characters of model, serial and software
TOGETHER_TRIES = 3  # of an activation that is to be saved with others; then alone
DEVICE = Actor(id="device", name="", tenant="")


@dataclass(frozen=True, slots=True)
class ProvisionCall:
    """What a device presents; `source` is the caller's network address, `retry_key` its Idempotency-Key."""

    mac: str
    code: str
    source: str
    token: str = ""
    retry_key: str = ""
    type: str = ""
    model: str = ""
    serial: str = ""
    software: str = ""

    def report(self) -> dict[str, str]:
        said = {"type": self.type, "model": self.model, "serial": self.serial, "software": self.software}
        return {name: clean(value[:REPORT_LIMIT]) for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Provisioned:
    tenant_id: str
    tenant_name: str
    mac: str
    location: str
    state: State
    life: int
    token: str


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    revision: int
    state: State
    tenant_name: str
    tenant_id: str
    location: str
    account: str
    life: int
    commands: tuple[tuple[str, str], ...] = ()  # (id, name)


Answer = tuple[Device | None, DeviceRefusal | None]  # one of them
Decision = tuple[Change, Answer]


class Activation(Guarding):
    _closing = False
    _noticed_since = datetime.min.replace(tzinfo=UTC)

    async def provision(self, call: ProvisionCall) -> Provisioned:
        """Trade MAC + code for a token, once.

        Order of answers: InvalidMac, DeviceResetRequired (only for this device's own token), InvalidCode, SlowDown,
        then CodeExpired (only for the right code) or CodeRefused, the same for every other reason.
        """
        mac = normalise(call.mac)
        token = secrets.token_urlsafe(32)
        if await self._holds_token(mac, call.token):
            raise DeviceResetRequired
        code = codes.normalise(call.code, self.policy.code_digits)
        device, refusal = await self._settled(lambda: self._try(mac, code, token, call))
        if refusal:
            raise refusal
        if device is None:
            raise AssertionError("a try without refusal has its device")
        await self._notice(device.mac)
        return Provisioned(
            tenant_id=self.policy.tenant,
            tenant_name=self.policy.organisation,
            mac=device.mac,
            location=device.location,
            state=device.state,
            life=device.life,
            token=token,
        )

    async def _settled(self, decide: Callable[[], Awaitable[Decision]]) -> Answer:
        """Activations that come at the same moment are saved together, each decided by itself: a morning has hundreds.

        A refusal counts for the whole fleet, so that no two of them could. Where the store is away, one may be saved
        all the same: decided anew, it would be refused the code that it just used.
        """
        try:
            for _ in range(TOGETHER_TRIES):
                change, answer = await decide()
                if not change:
                    return answer
                if answer[1]:
                    break
                if await self._gathering.saved(change):
                    return answer
        except Unavailable:
            raise
        except ProvisioningError:
            pass  # one of a piece is at fault, as one that somebody else holds: the others wait for it once
        return await self.unit(DEVICE, decide)

    @cached_property
    def _gathering(self) -> Gathering:
        async def save(change: Change) -> None:
            async def decided() -> tuple[Change, None]:
                return change, None

            await self._attempt(DEVICE, decided, "", set())

        return Gathering(save)

    async def _holds_token(self, mac: str, token: str) -> bool:
        device = await self.store.get(Device, mac) if token else None
        return device is not None and device.token == codes.hash_token(token) and device.provisioned

    async def _try(self, mac: str, code: str, token: str, call: ProvisionCall) -> Decision:
        """One try. A repeated call whose answer was lost is answered again, whatever others at its site got wrong."""
        now, device = self.now(), await self.store.get(Device, mac)
        retry = ("retry", mac, call.retry_key, code) if call.retry_key else ()
        known, counters = await self._counters(mac, call.source)
        right = self.keys.matches(mac, device.code if device else None, code)
        again = bool(retry) and self.keys.signed(device.retry_key if device else "", *retry)
        if device and again and device.retry_until and now < device.retry_until:
            return self._repeat(device, token)
        if pause := throttle.wait(counters, now):
            stops = throttle.stopped_by(counters, now)
            self._turned_away(call.source, stops)
            return Change(), (None, SlowDown(pause, stops[0].name))
        if device and right and not device.removed and device.live_code(now):
            change, answer = self._accept(device, token, self.keys.sign(*retry) if retry else "", call)
            return change + self._remembered(known), answer
        refusal = self._refusal(device if right else None)
        counted = throttle.counted(counters, now)
        change = Change(puts=counted) + await self._count_against(mac, device, refusal, call)
        return change + await self._alarm(counted), (None, refusal)

    async def _counters(self, mac: str, source: str) -> tuple[Attempts, list[tuple[Attempts, Limit]]]:
        """What is known of the caller's network, and the counters of its limits: read at one go."""
        limits = throttle.slots(self.keys, mac, source, trusted=False)
        network = throttle.known_beside(limits)
        rows = await self.store.get_many(Attempts, [network, *(slot for slot, _ in limits), throttle.EXEMPT_SLOT])
        known = rows.get(network) or Attempts(slot=network)
        if self._trusted(source, known):
            limits = throttle.exempted(limits)
        return known, [(rows.get(slot) or Attempts(slot=slot), limit) for slot, limit in limits]

    def _refusal(self, whose: Device | None) -> DeviceRefusal:
        """One answer for all; only whoever presents the right code, at most seven days late, hears that it ended."""
        code = whose.code if whose and not whose.removed else None
        late = code is not None and self.now() - code.expires_at < REMEMBER_EXPIRED
        return CodeExpired() if late else CodeRefused()

    def _accept(
        self, device: Device, token: str, retry: str, call: ProvisionCall
    ) -> tuple[Change, tuple[Device, None]]:
        now = self.now()
        change = lifecycle.provision(device, now, codes.hash_token(token), call.source, call.report())
        fresh = next(record for record in change.puts if isinstance(record, Device))
        if retry or fresh.retry_key:  # a device has forty fields: to copy it costs as much as to look it up
            fresh = replace(fresh, retry_key=retry, retry_until=now + RETRY_WINDOW if retry else None)
        return Change(puts=(fresh,), events=change.events), (fresh, None)

    def _repeat(self, device: Device, token: str) -> tuple[Change, tuple[Device, None]]:
        """The answer was lost on its way: the same call gets a new token, the former dies."""
        fresh = replace(device, token=codes.hash_token(token))
        fact = ProvisionRepeated(at=self.now(), actor="device", subject=device.mac)
        return Change(puts=(fresh,), events=(fact,)), (fresh, None)

    async def _count_against(
        self, mac: str, device: Device | None, refusal: DeviceRefusal, call: ProvisionCall
    ) -> Change:
        """A failure counts against our own live code of a listed device; at the cap the code is revoked.

        A code of the Teams admin centre was never for this door: nothing said here can end it. Where there is no code,
        or no device, as many rows are written: a refusal tells nothing about the MAC.
        """
        now = self.now()
        spare, blank = [replace(await self._attempts(slot), since=now) for slot in throttle.blanks(self.keys, mac)]
        if device is None:
            return Change(puts=(spare, blank))
        fact: Event = ProvisionRefused(
            at=now, actor="device", subject=device.mac, reason=refusal.code, source=call.source
        )
        code = device.live_code(now)
        if code is None or code.authority is not Authority.OWN:
            return Change(puts=(spare,), events=(fact,))
        failures = code.failures + 1
        if failures < throttle.CODE_FAILURES:
            return Change(puts=(replace(device, code=replace(code, failures=failures)),), events=(fact,))
        locked = CodeLocked(at=now, actor="service", subject=device.mac, issue=code.issue, failures=failures)
        return lifecycle.revoke_code(replace(device, locked_at=now), now, DEVICE, locked)

    # -------------------------------------------------------------- the token's road

    async def _by_token(self, token: str) -> Device:
        """Errors: `TokenRefused` for a token that is not, or no longer, a device's; `DeviceResetRequired` for that of a
        life which an admin ended.
        """
        return _admitted(await self._holder(token))

    async def _holder(self, token: str) -> Device:
        """Whose token it is, or was until the device was taken off the list. Errors: `TokenRefused`."""
        page = await self.store.find(Device, token=codes.hash_token(token), limit=1) if token else None
        if page is None or not page.rows:
            raise TokenRefused
        return page.rows[0]

    async def _still_with(self, known: str, mac: str) -> Device:
        """The device whose token has the hash `known`, as it is now. Errors: as `_by_token`.

        By its key, which takes half the time of looking for the token.
        """
        device = await self.store.get(Device, mac)
        if device is None or known != (device.token or device.reset_token):
            raise TokenRefused
        return _admitted(device)

    async def device_status(self, token: str, *, since: int | None, wait: float) -> DeviceStatus:
        """Where the device stands: at once if its revision is not `since`, else after a change or `wait` seconds.

        A command whose hour comes meanwhile ends the wait. It is the heartbeat as well. Errors: `TokenRefused`,
        `DeviceResetRequired`.
        """
        device = await self._by_token(token)
        known, mac = codes.hash_token(token), device.mac
        await self._notice(mac)
        if device.offline_since:
            await self.unit(DEVICE, lambda: self._decide_online(mac))
            device = await self._still_with(known, mac)
        if device.version == since and wait > 0:
            async with self.store.watch(mac) as watch:
                device = await self._still_with(known, mac)
                if device.version == since and (pause := self._until_due(device, wait)) > 0:
                    del device  # 15 000 wait at a time, and none needs it meanwhile
                    await self._wait(watch, pause)
                    device = await self._still_with(known, mac)
        now = self.now()
        return DeviceStatus(
            revision=device.version,
            state=device.state,
            tenant_name=self.policy.organisation,
            tenant_id=self.policy.tenant,
            location=device.location,
            account=device.signed_in_as if device.state is State.SIGNED_IN else device.account,
            life=device.life,
            commands=tuple((each.id, each.name.value) for each in device.commands if each.due(now)),
        )

    async def _decide_online(self, mac: str) -> tuple[Change, None]:
        device = await self.store.get(Device, mac)
        return remote.came_online(device, self.now()) if device else Change(), None

    def _until_due(self, device: Device, wait: float) -> float:
        """Seconds until a command is due, at most `wait`; few where one fell due between two calls of the device."""
        now = self.now()
        hours = [(each.due_at - now).total_seconds() for each in device.waiting_commands if not each.due(now)]
        fell_due = any(
            each.due(now) and each.due_at != each.asked_at and now - each.due_at < JUST_DUE
            for each in device.waiting_commands
        )
        return min((1.0 if fell_due else wait, wait, *hours))

    async def _notice(self, mac: str) -> None:
        """It called just now; kept in memory and written for all devices together, once a minute."""
        now = self.now()
        self._seen[mac] = now
        if not timedelta(0) <= now - self._noticed_since < NOTICE:
            await self.write_seen()

    async def write_seen(self) -> None:
        """What this instance only remembers of calls: by the sweep too, for nobody may call any more."""
        if self._seen:
            self._noticed_since, seen, self._seen = self.now(), self._seen, {}
            await self.store.record_seen(seen)

    async def _wait(self, watch: Watch, seconds: float) -> None:
        """Wait for the change, but not past the end of the service."""
        if self._closing:
            return
        self._waiting.add(watch)
        try:
            await watch.wait(seconds)
        finally:
            self._waiting.discard(watch)

    def release_polls(self) -> None:
        """Every waiting poll answers at once with the present state: the service is about to end."""
        self._closing = True
        for watch in self._waiting:
            watch.release()

    async def report_reset(self, token: str) -> None:
        """The device was reset to factory settings: its token is dead, a new life begins.

        One that was taken off the list may say so too, on the list again or not. Errors: `TokenRefused`.
        """

        async def decide() -> tuple[Change, None]:
            return lifecycle.reset(await self._holder(token), self.now()), None

        await self.unit(DEVICE, decide)


def _admitted(device: Device) -> Device:
    """Errors: `TokenRefused`, `DeviceResetRequired`: whose token it was is not let in any more."""
    if device.reset_awaited:
        raise DeviceResetRequired
    if device.removed or not device.token:
        raise TokenRefused
    return device
