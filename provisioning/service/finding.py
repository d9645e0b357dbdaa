"""Finding among 200 000: one device and what is known of it, and the list a page at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provisioning.access import Permission, require
from provisioning.model import Actor, Device, State
from provisioning.service.lookup import Lookup
from provisioning.untrusted import clean

PAGE = 10

FILTERS: Mapping[str, tuple[str, State | bool]] = {
    "waiting": ("state", State.WAITING_FOR_ACTIVATION),
    "activation": ("state", State.WAITING_FOR_ACTIVATION),
    "waiting for activation": ("state", State.WAITING_FOR_ACTIVATION),
    "awaiting activation": ("state", State.WAITING_FOR_ACTIVATION),
    "waiting on activation": ("state", State.WAITING_FOR_ACTIVATION),
    "sign-in": ("state", State.WAITING_FOR_SIGN_IN),
    "sign in": ("state", State.WAITING_FOR_SIGN_IN),
    "waiting for sign-in": ("state", State.WAITING_FOR_SIGN_IN),
    "waiting for sign in": ("state", State.WAITING_FOR_SIGN_IN),
    "awaiting sign-in": ("state", State.WAITING_FOR_SIGN_IN),
    "awaiting sign in": ("state", State.WAITING_FOR_SIGN_IN),
    "waiting on sign in": ("state", State.WAITING_FOR_SIGN_IN),
    "signed-in": ("state", State.SIGNED_IN),
    "signed in": ("state", State.SIGNED_IN),
    "signed-out": ("state", State.SIGNED_OUT),
    "signed out": ("state", State.SIGNED_OUT),
    "problem": ("problem", True),
    "problems": ("problem", True),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the list. `total` counts all pages."""

    devices: tuple[Device, ...]
    total: int
    after: str | None
    names: dict[str, str]
    filter: str  # the words that were asked for
    first: int  # number of the first row, from 1


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """All that is known about one device, for whoever may see it."""

    device: Device
    technician: str  # name
    last_seen: datetime | None


class Finding(Lookup):
    async def listing(self, actor: Actor, words: str, *, after: str | None = None, first: int = 1) -> Listing:
        """Listed devices by state, site or text, ten a page, in the order people walk."""
        require(actor, Permission.SEE_DEVICES)
        equals, contains = await self._filter(words := clean(words))
        page = await self.store.find(Device, contains=contains, after=after, limit=PAGE, removed=False, **equals)
        total = await self.store.count(Device, contains=contains, removed=False, **equals)
        names = await self.names(device.technician for device in page.rows)
        return Listing(page.rows, total, page.after, names, words.strip(), first)

    async def _filter(self, words: str) -> tuple[dict[str, Any], str | None]:
        """`waiting oslo`, `oslo waiting`, `problem`, `yealink`: a state, then a site where there is one, else text."""
        rest = " ".join(words.split())
        equals: dict[str, Any] = {}
        for word, (index, value) in sorted(FILTERS.items(), key=lambda item: -len(item[0])):
            said = re.fullmatch(
                rf"{re.escape(word)}(?: (?P<after>.+))?|(?P<before>.+) {re.escape(word)}", rest, re.IGNORECASE
            )
            if said:
                equals[index], rest = value, said["after"] or said["before"] or ""
                break
        if rest and (site := await self.site(rest)):
            return {**equals, "site": site.casefold()}, None
        return equals, rest.casefold() or None

    async def facts(self, actor: Actor, text: str) -> DeviceFacts:
        """One device. Technicians see their own."""
        require(actor, Permission.SEE_DEVICES, Permission.WORK_ON_SITE)
        return await self._facts(await self.device(actor, text))

    async def _facts(self, device: Device) -> DeviceFacts:
        seen = {**await self.store.last_seen((device.mac,)), **self._seen}
        names = await self.names((device.technician,))
        return DeviceFacts(device, names.get(device.technician, ""), seen.get(device.mac))
