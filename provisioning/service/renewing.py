"""Codes that a technician makes for themselves, within limits, or asks one admin after the other for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from provisioning import lifecycle
from provisioning.access import Permission, allowed, require
from provisioning.errors import OutOfDate, ResetRequired
from provisioning.events import CodeDenied, CodeRequested
from provisioning.messages import MessageKind
from provisioning.model import Actor, Change, Device, Person, stored
from provisioning.notifications import ask
from provisioning.onsite import CodeRequest
from provisioning.service.day import Days, Job
from provisioning.service.following import Resting
from provisioning.service.handover import LiveOfTeams, OfTeams
from provisioning.texts import N_

RENEWAL_WINDOW = timedelta(hours=24)
MOST_ASKED = 12  # admins for one code: two hours


class NobodyAsks(OutOfDate):
    code = "nobody_asks"
    message = N_("Nobody asks for a code there any more.")


class Renewing(Days):
    async def renew(self, actor: Actor, text: str) -> Job:
        """A new code for an own device, at most 5 in 24 h; beyond that an admin is asked. The former code is dead.

        Where its codes come from the Teams admin centre, an admin is asked too. Errors: `LiveOfTeams`.
        """
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, str]:
            device = await self.device(actor, text)
            return await self._renewal(actor, device), device.mac

        return await self.job(actor, await self.unit(actor, decide))

    async def start(self, actor: Actor, text: str) -> Job:
        """The technician stands before the device: a live code is shown, else one is made now, as `renew` does.

        One that called in needs none any more.
        """
        require(actor, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, str]:
            device = await self.device(actor, text)
            needs_none = device.provisioned or device.live_code(self.now()) is not None
            return Change() if needs_none else await self._renewal(actor, device), device.mac

        return await self.job(actor, await self.unit(actor, decide))

    async def _renewal(self, actor: Actor, device: Device) -> Change:
        """A code made by themselves, or the request for one. Whoever is an admin as well asks nobody."""
        now, companion = self.now(), lifecycle.companion(device)
        if device.provisioned:
            raise ResetRequired(place=device.place)
        if companion and device.live_code(now):
            raise LiveOfTeams(place=device.place)
        admin = allowed(actor, Permission.ISSUE_CODES)
        if companion and admin:
            raise OfTeams(place=device.place)
        ready = replace(device, renewals=_recent(device, now))
        underway = await self.underway()
        if not admin and (resting := underway.rests(device)):
            raise Resting(site=resting.scope or device.site)
        if self.renewals_left(device) <= 0 and not admin:
            return await self._requested(actor, ready)
        counted = replace(ready, renewals=(*ready.renewals, now))
        return lifecycle.issue_code(counted, self.fresh_code(device, actor, underway.lifetime(device)), actor)

    def renewals_left(self, device: Device) -> int:
        """How often its technician may still make a new code without an admin."""
        return 0 if lifecycle.companion(device) else self.policy.renewals - len(_recent(device, self.now()))

    # -------------------------------------------------------------- asking an admin

    async def _requested(self, actor: Actor, device: Device) -> Change:
        """One admin is asked after the other; nothing where they are being asked already."""
        now = self.now()
        if device.request and device.request.open and device.request.asking(now):
            return Change()
        admins = await self._to_ask(actor, device)
        request = CodeRequest(by=actor.id, by_name=actor.name, at=now, admins=tuple(admin.id for admin in admins))
        person = await self.store.get(Person, actor.id)
        fact = CodeRequested(at=now, actor=actor.id, subject=device.mac)
        return Change(
            puts=(
                replace(device, request=request),
                *ask(device.mac, request),
                *(await self._phone_turns_to(actor, person, device.mac) if person else ()),
            ),
            events=(fact,),
        )

    async def _to_ask(self, actor: Actor, device: Device) -> list[Person]:
        """Whoever made its last code comes first, else whoever added it.

        Whoever cannot be reached, or does not want to be asked, is left out.
        """
        others = [admin for admin in await self.admins() if admin.reachable and admin.id != actor.id]
        known = [admin for admin in others if admin.telling.wants(MessageKind.CODE_WANTED, self.now())]
        makers = (device.code.issued_by if device.code else "", device.added_by)
        nearest = {maker: place for place, maker in reversed(list(enumerate(makers)))}
        return sorted(known, key=lambda admin: nearest.get(admin.id, len(makers)))[:MOST_ASKED]

    async def deny_code(self, actor: Actor, text: str) -> Device:
        """An admin's word that there will be no code; the technician is told so. Errors: `NobodyAsks`."""
        require(actor, Permission.ISSUE_CODES)

        async def decide() -> tuple[Change, Device]:
            now, device = self.now(), await self.device(actor, text)
            if device.request is None or not device.request.open:
                raise NobodyAsks
            fresh = replace(device, request=replace(device.request, refused_by=actor.name, refused_at=now))
            return Change(puts=(fresh,), events=(CodeDenied(at=now, actor=actor.id, subject=device.mac),)), stored(
                fresh
            )

        return await self.unit(actor, decide)


def _recent(device: Device, now: datetime) -> tuple[datetime, ...]:
    return tuple(at for at in device.renewals if now - at < RENEWAL_WINDOW)
