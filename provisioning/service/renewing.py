"""Codes that a technician makes for themselves, within limits, or asks an admin for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.errors import ResetRequired
from provisioning.events import CodeRequested
from provisioning.model import Actor, Change, Device, stored
from provisioning.service.day import Days, Job
from provisioning.service.handover import LiveOfTeams

RENEWAL_WINDOW = timedelta(hours=24)


class Renewing(Days):
    async def renew(self, actor: Actor, text: str) -> Job:
        """A new code for an own device, at most 5 in 24 h; beyond that an admin is asked. The former code is dead.

        Where its codes come from the Teams admin centre, an admin is asked too. Errors: `LiveOfTeams`.
        """
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, tuple[Device, bool]]:
            now, device = self.now(), await self.device(actor, text)
            if device.provisioned:
                raise ResetRequired(place=device.place)
            if lifecycle.companion(device) and device.live_code(now):
                raise LiveOfTeams(place=device.place)
            recent = _recent(device, now)
            if self.renewals_left(device) <= 0:
                fact = CodeRequested(at=now, actor=actor.id, subject=device.mac)
                return Change(puts=(replace(device, renewals=recent),), events=(fact,)), (stored(device), True)
            counted = replace(device, renewals=(*recent, now))
            change = lifecycle.issue_code(counted, self.fresh_code(device, actor), actor)
            return change, (stored(device), False)

        device, asked = await self.unit(actor, decide)
        job = await self.job(actor, device.mac)
        return replace(job, asked=asked)

    def renewals_left(self, device: Device) -> int:
        """How often its technician may still make a new code without an admin."""
        return 0 if lifecycle.companion(device) else self.policy.renewals - len(_recent(device, self.now()))


def _recent(device: Device, now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in device.renewals if now - at < RENEWAL_WINDOW)
