"""A rehearsal changes nothing: all that is decided here is who may ask for one, and of what."""

from __future__ import annotations

from provisioning.access import Permission, require
from provisioning.model import Actor
from provisioning.service.lookup import EVERYTHING, Lookup, Target

ALL = frozenset({"all", "everything", "*"})


class Rehearsing(Lookup):
    async def rehearsable(self, actor: Actor, text: str) -> Target:
        """The site or tag whose rollout is to be rehearsed, or all. Errors: those of `scope`."""
        require(actor, Permission.ISSUE_CODES)
        return EVERYTHING if text.strip().casefold() in ALL else await self.scope(text)
