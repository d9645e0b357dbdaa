"""Living cards whose forecast goes by: they are drawn anew though nothing happens."""

from __future__ import annotations

from datetime import timedelta

from provisioning.forecast import WINDOW
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Change, Device
from provisioning.ports import Span
from provisioning.rollouts import Rollout
from provisioning.service.following import Following, target_of

AGAIN = timedelta(minutes=10)  # as fine as a forecast is said


class Refreshing(Following):
    async def refresh_cards(self) -> int:
        """Cards of rollouts that go on, where a device called in lately; every ten minutes at most. Returns how many.

        What they say of the pace, of the end and of what waits for long changes by itself until the pace is forgotten.
        Who draws them edits none that says the same already.
        """
        edits = list[OutboxMessage]()
        for rollout in (await self.underway()).rollouts:
            if not (rollout.paused or rollout.lost) and await self._goes_by(rollout):
                edits += await self.redrawn(rollout.key, self.now())
        if edits:
            await self.store.save(Change(puts=tuple(edits)))
        return len(edits)

    async def _goes_by(self, rollout: Rollout) -> bool:
        now = self.now()
        lately = Span("provisioned_at", after=now - WINDOW - 2 * AGAIN)
        if not await self.store.count(Device, removed=False, span=lately, **target_of(rollout).equals):
            return False
        drawn = Span("created", after=now - AGAIN)
        return not await self.store.count(OutboxMessage, recipient=rollout.key, kind=MessageKind.EDIT.value, span=drawn)
