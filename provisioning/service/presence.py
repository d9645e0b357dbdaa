"""Whether devices still call: offline after a while, stale after long, online again with the next call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from provisioning import lifecycle, remote
from provisioning.access import Permission, require
from provisioning.model import Actor, Change, Device
from provisioning.ports import Span
from provisioning.service.finding import PAGE
from provisioning.service.lookup import EVERYTHING, Lookup, Target
from provisioning.service.people import SERVICE

LOOKED_AT = 500  # last calls read at once
PART = 100  # devices of one unit
PARTS = 60  # in one sweep


@dataclass(frozen=True, slots=True)
class Silent:
    """A page of devices that do not call, in the order people walk."""

    devices: tuple[Device, ...]
    total: int
    scope: str
    after: str | None = None
    first: int = 1

    @property
    def site(self) -> str:
        """The one site of them all; empty where there are several, or more pages."""
        sites = {device.site.casefold(): device.site for device in self.devices}
        return next(iter(sites.values())) if len(sites) == 1 and self.total == len(self.devices) else ""


class Presence(Lookup):
    _judging_since: datetime | None = None  # this instance has run, without a gap, since then
    _judged_at: datetime | None = None
    _judged_until: datetime | None = None  # whoever called last before that was looked at …
    _judging: tuple[datetime, str] | None = None  # … and how far a look has come that was too long for one sweep

    async def watch_contact(self) -> None:
        """A step of the sweep. While the service itself was away nobody could call, so it waits before it judges."""
        after, now = self.policy.offline_after, self.now()
        if after is None:
            return
        steady = self._judged_at is not None and now - self._judged_at < after
        self._judging_since = self._judging_since if steady else now
        self._judged_at = now
        if self._judging_since is not None and now - self._judging_since >= after:
            await self._flag_silent(now - after)
        await self._flag_stale(now)

    async def _flag_silent(self, until: datetime) -> None:
        """Each device is looked at once, when its last call grows too old."""
        beyond: str | None = None
        if self._judging:
            until, beyond = self._judging
        for _ in range(PARTS):
            page = await self.store.silent(self._judged_until, until, beyond=beyond, limit=LOOKED_AT)
            for start in range(0, len(page.rows), PART):
                await self.unit(SERVICE, partial(self._decide_silent, page.rows[start : start + PART]))
            if (beyond := page.after) is None:
                self._judged_until, self._judging = until, None
                return
            self._judging = until, beyond

    async def _decide_silent(self, rows: Sequence[tuple[str, datetime]]) -> tuple[Change, None]:
        now, change = self.now(), Change()
        devices = await self.store.get_many(Device, [mac for mac, _at in rows])
        for mac, at in rows:
            device = devices.get(mac)
            if device and _should_call(device) and device.offline_since is None and not self._seen.get(mac):
                change += remote.went_offline(device, at, now)
        return change, None

    async def _flag_stale(self, now: datetime) -> None:
        if self.policy.stale_after is None:
            return
        long_ago = Span("offline_since", until=now - self.policy.stale_after)
        for _ in range(PARTS):
            page = await self.store.find(Device, span=long_ago, stale=False, removed=False, limit=PART)
            if not page.rows:
                return
            await self.unit(SERVICE, partial(self._decide_stale, [device.mac for device in page.rows]))

    async def _decide_stale(self, macs: Sequence[str]) -> tuple[Change, None]:
        now, change = self.now(), Change()
        for device in (await self.store.get_many(Device, macs)).values():
            if device.offline_since and not device.stale:
                change += remote.went_stale(device, now)
        return change, None

    # -------------------------------------------------------------- shown

    async def offline(
        self,
        actor: Actor,
        target: Target = EVERYTHING,
        *,
        stale: bool = False,
        after: str | None = None,
        first: int = 1,
    ) -> Silent:
        """Devices that do not call, ten a page; `stale`: only those of which nothing was heard for long."""
        require(actor, Permission.SEE_DEVICES)
        return await self.silent_of(target, stale=stale, after=after, first=first)

    async def silent_of(
        self, target: Target, *, stale: bool = False, after: str | None = None, first: int = 1
    ) -> Silent:
        """The same for the outbox, which addresses only those concerned."""
        equals: dict[str, Any] = {"removed": False, **target.equals, **({"stale": True} if stale else {})}
        span = Span("offline_since")
        page = await self.store.find(Device, span=span, after=after, limit=PAGE, **equals)
        more = after is not None or page.after is not None
        total = await self.store.count(Device, span=span, **equals) if more else len(page.rows)
        return Silent(page.rows, total, target.scope, page.after, first)


def _should_call(device: Device) -> bool:
    return not device.removed and device.provisioned and bool(device.token) and not lifecycle.companion(device)
