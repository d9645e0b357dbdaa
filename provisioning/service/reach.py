"""Where the bot can write: channels that were lost, found again, or have another name now."""

from __future__ import annotations

from dataclasses import replace

from provisioning.conversations import Conversation
from provisioning.delivery_errors import Blocked
from provisioning.events import ChannelLost
from provisioning.messages import OutboxMessage
from provisioning.model import Change
from provisioning.rollouts import Rollout
from provisioning.service.people import SERVICE, People


class Reach(People):
    async def lost(self, channel_id: str, why: str) -> Change:
        """Nothing can be written there any more, `why` is a code; nothing where that is known, or no channel of ours.

        The rollout goes on; its channel hears no more of it, and the admins hear of that once.
        """
        rollout = await self.store.get(Rollout, channel_id)
        if rollout is None or rollout.lost:
            return Change()
        fact = ChannelLost(at=self.now(), actor=SERVICE.id, subject=channel_id, site=rollout.scope, why=why)
        return Change(puts=(replace(rollout, lost=why),), events=(fact,))

    async def left_team(self, place: Conversation) -> None:
        """The bot was taken out of the team (or the group chat): all its channels are lost."""
        rollouts = (await self.store.find(Rollout, limit=1000)).rows
        for key in [r.key for r in rollouts if place.id == r.key or (place.team and place.team == r.channel.team)]:

            async def decide(key: str = key) -> tuple[Change, None]:
                return await self.lost(key, Blocked.code), None

            await self.unit(SERVICE, decide)

    async def heard_in(self, place: Conversation) -> None:
        """An activity came from there: so the bot can write there, at the address and under the names it brings."""

        async def decide() -> tuple[Change, None]:
            rollout = await self.store.get(Rollout, place.id)
            if rollout is None:
                return Change(), None
            former = rollout.channel
            named = replace(place, name=place.name or former.name, team=place.team or former.team, kind=former.kind)
            fresh = replace(rollout, channel=named, lost="")
            if fresh == rollout:
                return Change(), None
            again: tuple[OutboxMessage, ...] = await self.redrawn(place.id, self.now()) if rollout.lost else ()
            return Change(puts=(fresh, *again)), None

        await self.quietly(decide)
