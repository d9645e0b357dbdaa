"""New codes for what ends: an admin's one tap, for many devices at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.batches import Batch
from provisioning.ending import ending
from provisioning.errors import NotFound
from provisioning.model import Actor, Change, Device
from provisioning.service.handover import Beside, Handover
from provisioning.service.lookup import EVERYTHING, Target

AT_ONCE = 500  # devices that are read together
ENDING = "ending"  # kind of the row that keeps which codes an admin was told of


@dataclass(frozen=True, slots=True)
class Ends:
    """Devices on site whose code ends soon or ended unused, in walking order; `helpless` need an admin."""

    devices: tuple[Device, ...]
    helpless: int = 0

    @property
    def teams(self) -> int:
        """Their codes are made in the Teams admin centre."""
        return sum(map(lifecycle.companion, self.devices))

    @property
    def own(self) -> int:
        return len(self.devices) - self.teams


class Extending(Handover):
    async def ends(self, actor: Actor, target: Target = EVERYTHING, batch: str = "") -> Ends:
        """What ends of a target, or of what an admin was told of. Errors: `NotFound`."""
        require(actor, Permission.ISSUE_CODES)
        devices = await self._told_of(batch) if batch else await self.devices_of(target, open=True)
        return Ends(tuple(device for device in devices if ending(device, self.now())))

    async def _told_of(self, key: str) -> list[Device]:
        batch = await self.store.get(Batch, key)
        if batch is None or batch.kind != ENDING:
            raise NotFound
        found: list[Device] = []
        for start in range(0, len(batch.macs), AT_ONCE):
            known = await self.store.get_many(Device, batch.macs[start : start + AT_ONCE])
            found += [known[mac] for mac in batch.macs[start : start + AT_ONCE] if mac in known]
        return found

    async def extend(
        self, actor: Actor, target: Target = EVERYTHING, batch: str = "", beside: Beside | None = None
    ) -> int:
        """A new code for each that is still open; its technician gets it. Returns how many."""
        ends = await self.ends(actor, target, batch)

        async def decide(chunk: Sequence[str]) -> tuple[Change, Counter[str]]:
            change, count, underway = Change(), 0, await self.underway()
            async for device in self._one_by_one(chunk):
                if ending(device, self.now()) and not lifecycle.companion(device):
                    ready = replace(device, renewals=())
                    change += lifecycle.issue_code(
                        ready, self.fresh_code(device, actor, underway.lifetime(device)), actor
                    )
                    count += 1
            return change, Counter(extended=count)

        own = [device.mac for device in ends.devices if not lifecycle.companion(device)]
        return (await self.in_parts(actor, own, decide, beside))["extended"]
