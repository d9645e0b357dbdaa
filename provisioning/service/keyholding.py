"""Whether the keys at hand are those that the codes in the store were made with."""

from __future__ import annotations

from collections import Counter

from provisioning.model import Device
from provisioning.ports import Span
from provisioning.service.unit import UseCases

LOOKED_AT = 1000  # devices read together


class KeyHolding(UseCases):
    async def codes_without_key(self) -> Counter[str]:
        """How many live codes cannot be read or accepted, by the id of the key that is missing."""
        missing = Counter[str]()
        after: str | None = None
        while True:
            found, after = await self._live_codes_by_key(after)
            missing += found
            if after is None:
                return Counter({key: count for key, count in missing.items() if key not in self.keys.ids})

    async def foreign_keys(self) -> Counter[str]:
        """Live codes by the ids of their keys, where not one of the first thousand was made with a key at hand.

        Then these are the keys of another store, and the service would refuse every device. Else nothing.
        """
        found, _after = await self._live_codes_by_key(None)
        return Counter() if found.keys() & set(self.keys.ids) else found

    async def _live_codes_by_key(self, after: str | None) -> tuple[Counter[str], str | None]:
        span = Span("code_until", after=self.now())
        page = await self.store.find(Device, span=span, after=after, limit=LOOKED_AT)
        return Counter(device.code.key_id for device in page.rows if device.code), page.after
