"""Which rollouts a device belongs to, and what they decide for it: how long its codes live, whether work rests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from provisioning.errors import Refused
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Device
from provisioning.notifications import Followers, folded, tell
from provisioning.rollouts import Rollout
from provisioning.service.lookup import Lookup, Target
from provisioning.texts import N_

MANY = 5  # devices of one rollout


class Resting(Refused):
    """Refused to a technician: the work was paused by an admin."""

    code = "rollout_paused"
    message = N_("{site} is paused, so no code starts there now. You are told when it goes on.")


@dataclass(frozen=True)
class Underway:
    """The rollouts that are not finished, as they are now: loaded once for many devices."""

    rollouts: Sequence[Rollout]

    def of(self, device: Device) -> list[Rollout]:
        return list(self._followers.of(device.site.casefold(), folded(device.tags)))

    @cached_property
    def _followers(self) -> Followers:
        return Followers(self.rollouts)

    def lifetime(self, device: Device) -> timedelta | None:
        """How long its codes live, where a rollout says so: of several the shortest."""
        hours = [rollout.lifetime_hours for rollout in self.of(device) if rollout.lifetime_hours]
        return timedelta(hours=min(hours)) if hours else None

    def rests(self, device: Device) -> Rollout | None:
        """The paused rollout it belongs to, the narrowest, where none of them goes on."""
        mine = self.of(device)
        return mine[-1] if mine and all(rollout.paused for rollout in mine) else None

    @property
    def any_rests(self) -> bool:
        return any(rollout.paused for rollout in self.rollouts)


def target_of(rollout: Rollout) -> Target:
    return Target(site=rollout.site, tag=rollout.tag)


class Following(Lookup):
    async def planned_for(self, target: Target) -> tuple[str, ...]:
        """Who works there, as the rollout of exactly this site or tag says; nobody where none does."""
        meant = target.scope.casefold()
        rollouts = (await self.underway()).rollouts
        named = [r.technicians for r in rollouts if r.scope.casefold() == meant and r.technicians]
        return named[0] if named and target.device is None else ()

    async def to_channels(
        self, kind: MessageKind, devices: Sequence[Device], **params: str
    ) -> tuple[OutboxMessage, ...]:
        """What concerns more than five devices of a rollout together is worth a reply in its channel."""
        if len(devices) <= MANY:
            return ()
        underway = await self.underway()
        counts = Counter(rollout.key for device in devices for rollout in underway.of(device) if not rollout.lost)
        many = {key: count for key, count in counts.items() if count > MANY}
        return await self.in_time([tell(kind, key, key, self.now(), count=str(n), **params) for key, n in many.items()])

    async def followers(self) -> Sequence[Rollout]:
        """Every channel that follows something."""
        return (await self.store.find(Rollout, limit=1000)).rows

    async def underway(self) -> Underway:
        return Underway([rollout for rollout in await self.followers() if not rollout.finished])

    async def starts_on_site(self, target: Target) -> bool:
        """Whether codes of this target start on site: so says a rollout that all of it belongs to."""
        rollouts = [rollout for rollout in (await self.underway()).rollouts if rollout.on_site]
        if device := target.device:
            return bool(Underway(rollouts).of(device))
        return any(r.scope.casefold() in ("", target.scope.casefold()) for r in rollouts)
