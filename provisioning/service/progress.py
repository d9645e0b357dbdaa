"""How a site, a tag, or everything stands: counts, pace, what is stuck, and the newest thing that happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from provisioning.events import DeviceProvisioned, InstallConfirmed, ProblemReported
from provisioning.forecast import STEP, WINDOW, Pace, pace
from provisioning.model import Device, State
from provisioning.notifications import folded, follows
from provisioning.ports import Span, TallyRow
from provisioning.service.following import Following
from provisioning.service.lookup import Target

RECENT = 100  # audit rows looked through for the newest thing that happened
LOOKED_THROUGH = (1, 10, RECENT)  # so far by each question: mostly the first is it, else three are asked and not 100
TELLING = (DeviceProvisioned, InstallConfirmed, ProblemReported)
NO_PACE = Pace()
LOOKED_AT = 50  # devices of each kind of trouble
SHOWN = 5  # of them, the oldest trouble first
PATIENCE = timedelta(hours=1)  # that a device may wait for its sign-in before it counts as stuck


class Why(StrEnum):
    """Why a device is stuck."""

    PROBLEM = "problem"  # somebody on site reported one
    CODE_ENDED = "code_ended"  # its code ended unused
    SIGN_IN = "sign_in"  # called in, and nobody signs it in
    OFFLINE = "offline"  # does not call any more


@dataclass(frozen=True, slots=True)
class Stuck:
    """A device that does not get on: why, since when, and whose it is."""

    device: Device
    why: Why
    since: datetime
    whose: str = ""  # the technician's name; empty: nobody's


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of one site or tag (or all), and the newest thing that happened."""

    scope: str  # as it is said: "Oslo", "#lobby"; "" for everything
    total: int
    provisioned: int
    installed: int
    problems: int
    coded: int = 0  # have a live code
    signed_in: int = 0
    last: Device | None = None
    last_by: str = ""
    last_at: datetime | None = None
    last_fact: str = ""  # name of the event
    waiting_installed: int = 0  # installed, as was said on site, and have not called in
    pace: Pace = NO_PACE
    stuck: tuple[Stuck, ...] = ()  # the oldest
    stuck_more: int = 0  # beyond those, as far as was looked …
    stuck_beyond: bool = False  # … and there are others still

    @property
    def percent(self) -> int:
        return self.provisioned * 100 // self.total if self.total else 0

    @property
    def left(self) -> int:
        return self.total - self.provisioned


class Progressing(Following):
    async def counts(self, target: Target) -> Progress:
        """The counts alone; those of a tag are not all taken at one moment."""
        count = partial(self.store.count, Device, removed=False, **target.equals)
        live = Span("code_until", after=self.now())
        if not target.tag:
            counted = _tallied(target.site, await self.store.tally(target.site.casefold() or None))
            return replace(counted, coded=await count(span=live))
        waits = State.WAITING_FOR_ACTIVATION
        total, waiting, installed, problems, mounted, signed_in, coded = await asyncio.gather(
            count(),
            count(state=waits),
            count(installed=True),
            count(problem=True),
            count(installed=True, state=waits),
            count(state=State.SIGNED_IN),
            count(span=live),
        )
        provisioned = max(0, total - waiting)  # they are not counted at one moment
        return Progress(
            target.scope,
            total,
            provisioned,
            installed,
            problems,
            coded=coded,
            signed_in=signed_in,
            waiting_installed=mounted,
        )

    async def progress_of(self, target: Target) -> Progress:
        """All of it."""
        counted = await self.counts(target)
        stuck, beyond = await self._troubles(target)
        shown = await self._with_names(stuck[:SHOWN])
        speed = await self.pace_of(target, counted)
        progress = replace(counted, pace=speed, stuck=shown, stuck_more=len(stuck) - len(shown))
        progress = replace(progress, stuck_beyond=beyond)
        return await self._with_newest(target, progress)

    async def pace_of(self, target: Target, counted: Progress) -> Pace:
        """Over the last two hours, or since the first device called in where that is less."""
        now = self.now()
        rows = await self.store.timeline("provisioned_at", now - WINDOW, now, STEP, **target.equals)
        recent = sum(row.count for row in rows)
        first_of_all = bool(rows) and recent >= counted.provisioned
        since = min(row.start for row in rows) if first_of_all else now - WINDOW
        return pace(recent, since, counted.left, now, self.policy.hours, self.policy.timezone)

    async def _troubles(self, target: Target) -> tuple[list[Stuck], bool]:
        """The oldest first, and whether there are more than were looked at.

        A device that is stuck for two reasons stands there once, with the first of them.
        """
        now, found, beyond = self.now(), dict[str, Stuck](), False
        for why, question in _QUESTIONS.items():
            page = await self.store.find(Device, removed=False, limit=LOOKED_AT, **question(now), **target.equals)
            beyond = beyond or page.after is not None
            for device in page.rows:
                if since := _since(why, device):
                    found.setdefault(device.mac, Stuck(device, why, since, device.technician))
        return sorted(found.values(), key=lambda stuck: stuck.since), beyond

    async def _with_names(self, stuck: Sequence[Stuck]) -> tuple[Stuck, ...]:
        names = await self.names(each.whose for each in stuck)
        return tuple(replace(each, whose=names.get(each.whose, "")) for each in stuck)

    async def _with_newest(self, target: Target, progress: Progress) -> Progress:
        rows = [row for row in (await self.store.history(limit=RECENT)).rows if isinstance(row.event, TELLING)]
        begin = 0
        for end in LOOKED_THROUGH:
            some, begin = rows[begin:end], end
            devices = await self.store.get_many(Device, sorted({row.event.subject for row in some})) if some else {}
            for row in some:
                device = devices.get(row.event.subject)
                if device and follows(target, device.site.casefold(), folded(device.tags)):
                    by = (await self.names((row.event.actor,))).get(row.event.actor, "")
                    return replace(progress, last=device, last_by=by, last_at=row.event.at, last_fact=row.event.name)
        return progress


def _code_ended(now: datetime) -> dict[str, Any]:
    return {"span": Span("hashed_until", until=now), "state": State.WAITING_FOR_ACTIVATION, "open": True}


def _sign_in(now: datetime) -> dict[str, Any]:
    return {"span": Span("provisioned_at", until=now - PATIENCE), "state": State.WAITING_FOR_SIGN_IN}


def _problem(_now: datetime) -> dict[str, Any]:
    return {"problem": True}


def _offline(_now: datetime) -> dict[str, Any]:
    return {"span": Span("offline_since")}


# What the store is asked for each of them; of a device that is there twice, the first counts.
_QUESTIONS: Mapping[Why, Callable[[datetime], dict[str, Any]]] = {
    Why.PROBLEM: _problem,
    Why.CODE_ENDED: _code_ended,
    Why.SIGN_IN: _sign_in,
    Why.OFFLINE: _offline,
}


def _since(why: Why, device: Device) -> datetime | None:
    """Since when it is so; None where it is not any more."""
    match why:
        case Why.PROBLEM:
            return device.problem.at if device.problem else None
        case Why.CODE_ENDED:
            return device.code.expires_at if device.code else None
        case Why.SIGN_IN:
            return device.provisioned_at
        case Why.OFFLINE:
            return device.offline_since


def _tallied(site: str, rows: Sequence[TallyRow]) -> Progress:
    return Progress(
        scope=site,
        total=sum(row.count for row in rows),
        provisioned=sum(row.count for row in rows if row.state is not State.WAITING_FOR_ACTIVATION),
        installed=sum(row.count for row in rows if row.installed),
        problems=sum(row.count for row in rows if row.problem),
        signed_in=sum(row.count for row in rows if row.state is State.SIGNED_IN),
        waiting_installed=sum(row.count for row in rows if row.installed and row.state is State.WAITING_FOR_ACTIVATION),
    )
