"""Tags: words of one's own on devices, by which they are found and handled together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from provisioning.access import Permission, require
from provisioning.errors import Refused
from provisioning.events import DeviceTagged
from provisioning.model import Actor, Change, Device
from provisioning.notifications import folded
from provisioning.service.handover import Beside, Handover
from provisioning.service.lookup import Target
from provisioning.texts import N_
from provisioning.untrusted import MOST_TAGS, clean_tag


class TooManyTags(Refused):
    code = "too_many_tags"
    message = N_("{place} has {limit} tags, which is the most. Take one away with untag first.")


@dataclass(frozen=True, slots=True)
class Tagged:
    """What a tag or untag did: `changed` devices have it now (or no longer), `same` had it so before, `full` cannot."""

    target: Target
    tag: str
    changed: int
    same: int
    full: int = 0
    removed: bool = False


class Tags(Handover):
    async def tag_devices(self, actor: Actor, target: Target, text: str, beside: Beside | None = None) -> Tagged:
        """The target's devices get a tag; one that has it, in whatever case, keeps it as it is written there.

        Errors: `InvalidTag`, and `TooManyTags` for a single device.
        """
        tag = clean_tag(text)
        done = await self._each(actor, target, tag, lambda tags: _with(tags, tag), beside, removed=False)
        if target.device and done.full:
            raise TooManyTags(place=target.device.place, limit=MOST_TAGS)
        return done

    async def untag_devices(self, actor: Actor, target: Target, text: str, beside: Beside | None = None) -> Tagged:
        """The target's devices lose a tag, in whatever case it is written there. Errors: `InvalidTag`."""
        tag = clean_tag(text)
        return await self._each(actor, target, tag, lambda tags: _without(tags, tag), beside, removed=True)

    async def _each(
        self,
        actor: Actor,
        target: Target,
        tag: str,
        change_of: Callable[[tuple[str, ...]], tuple[str, ...]],
        beside: Beside | None,
        *,
        removed: bool,
    ) -> Tagged:
        require(actor, Permission.EDIT_DEVICES)

        async def decide(chunk: Sequence[str]) -> tuple[Change, Counter[str]]:
            puts, full, now = list[Device](), 0, self.now()
            async for device in self._one_by_one(chunk):
                tags = change_of(device.tags)
                if device.removed or tags == device.tags:
                    continue
                if len(tags) > MOST_TAGS:
                    full += 1
                    continue
                puts.append(replace(device, tags=tags))
            facts = [DeviceTagged(at=now, actor=actor.id, subject=d.mac, tag=tag, removed=removed) for d in puts]
            return Change(puts=tuple(puts), events=tuple(facts)), Counter(changed=len(puts), full=full)

        devices = await self.devices_of(target)
        wanted = await asyncio.to_thread(  # of 20 000, others would wait for it
            lambda: [device.mac for device in devices if change_of(device.tags) != device.tags]
        )
        done = await self.in_parts(actor, wanted, decide, beside)
        changed, full = done["changed"], done["full"]
        return Tagged(target, tag, changed, len(devices) - changed - full, full, removed)

    async def how_many(self, actor: Actor, target: Target, text: str = "") -> int:
        """Listed devices of a target; with a tag named, those of them that have it. Errors: `InvalidTag`."""
        require(actor, Permission.SEE_DEVICES)
        equals = {"tag": clean_tag(text).casefold()} if text else {}
        return 1 if target.device else await self.store.count(Device, removed=False, **{**equals, **target.equals})

    async def tags(self, actor: Actor) -> Sequence[tuple[str, int]]:
        """The hundred tags that most listed devices have, case-folded, and how many those are."""
        require(actor, Permission.SEE_DEVICES)
        return await self.store.tags()


def _with(tags: tuple[str, ...], tag: str) -> tuple[str, ...]:
    return tags if tag.casefold() in folded(tags) else tuple(sorted((*tags, tag), key=str.casefold))


def _without(tags: tuple[str, ...], tag: str) -> tuple[str, ...]:
    return tuple(each for each in tags if each.casefold() != tag.casefold())
