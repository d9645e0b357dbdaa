"""Codes: shown, listed, revoked. Making them is issuing.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.errors import NoLiveCode, OutOfDate, ResetRequired
from provisioning.events import CodeShown
from provisioning.model import Actor, Change, Device, Person
from provisioning.ports import Span
from provisioning.service.handover import Beside, InHand
from provisioning.service.issuing import Issuing
from provisioning.service.lookup import EVERYTHING, Target

PAGE = 10


@dataclass(frozen=True, slots=True)
class CodePage:
    codes: tuple[InHand, ...]
    total: int
    after: str | None
    scope: str  # the site, or the tag with its sign
    first: int


@dataclass(frozen=True, slots=True)
class Revoked:
    """How many codes were ours, which never work again, and how many Microsoft's, which are only erased here."""

    own: int = 0
    teams: int = 0

    @property
    def total(self) -> int:
        return self.own + self.teams


class Codes(Issuing):
    # -------------------------------------------------------------- showing

    async def show_code(self, actor: Actor, text: str) -> InHand:
        """The device's live code, for an admin or its technician; from now on their phone shows this one only.

        Errors: `NoLiveCode`, `ResetRequired`.
        """
        require(actor, Permission.ISSUE_CODES, Permission.WORK_ON_SITE)
        device = await self.device(actor, text)
        if device.provisioned:
            raise ResetRequired(place=device.place)
        if not device.live_code(self.now()):
            raise NoLiveCode(place=device.place)
        held = await self.hold(actor, device.mac)
        if not held.digits:
            raise NoLiveCode(place=device.place)
        return held

    async def codes(
        self, actor: Actor, target: Target = EVERYTHING, *, after: str | None = None, first: int = 1
    ) -> CodePage:
        """Live codes, ten a page; each page is audited before it is unsealed."""
        require(actor, Permission.ISSUE_CODES)
        now = self.now()
        alive = Span("code_until", after=now)
        page = await self.store.find(Device, span=alive, after=after, limit=PAGE, removed=False, **target.equals)
        total = await self.store.count(Device, span=alive, removed=False, **target.equals)
        facts = tuple(
            CodeShown(at=now, actor=actor.id, subject=d.mac, issue=d.issued, reader=actor.id) for d in page.rows
        )
        if facts:
            await self.store.save(Change(events=facts))
        shown = [await self._unsealed(device) for device in page.rows]
        return CodePage(tuple(shown), total, page.after, target.scope, first)

    # -------------------------------------------------------------- ending

    async def revoke(
        self, actor: Actor, target: Target, revision: int | None = None, beside: Beside | None = None
    ) -> Revoked:
        """Live codes of the target die at once."""
        require(actor, Permission.ISSUE_CODES)
        if target.device and revision is not None and target.device.version != revision:
            raise OutOfDate
        devices = await self.devices_of(target)
        return await self._revoke_all(actor, [d.mac for d in devices if d.live_code(self.now())], beside)

    async def revoke_of(self, actor: Actor, person: Person) -> Revoked:
        """Every live code in this person's hands dies."""
        require(actor, Permission.ISSUE_CODES)
        return await self._revoke_all(actor, [d.mac for d in await self.live_of(person.id)])

    async def _revoke_all(self, actor: Actor, macs: Sequence[str], beside: Beside | None = None) -> Revoked:
        async def decide(chunk: Sequence[str]) -> tuple[Change, Counter[str]]:
            alive = [device async for device in self._one_by_one(chunk) if device.live_code(self.now())]
            change = Change()
            for device in alive:
                change += lifecycle.revoke_code(device, self.now(), actor)
            teams = sum(map(lifecycle.companion, alive))
            return change, Counter(own=len(alive) - teams, teams=teams)

        done = await self.in_parts(actor, macs, decide, beside)
        return Revoked(done["own"], done["teams"])
