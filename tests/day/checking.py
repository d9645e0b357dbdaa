"""Whether what was answered is so: the store is read once nobody serves it any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app import SystemClock
from provisioning.events import Event
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Device, State
from provisioning.ports import Store
from storage import open_store
from tests.day.people import Deeds

_AT_ONCE = 500


@dataclass
class Found:
    """What stands in the store: faults in words, and how long messages took, in seconds from when they were due."""

    wrong: list[str] = field(default_factory=list)
    late: dict[str, list[float]] = field(default_factory=dict)  # "edits", "messages"
    fates: Counter[str] = field(default_factory=Counter)  # of messages


async def checked(url: str, since: datetime, activated: Sequence[str], deeds: Deeds) -> Found:
    store, found = await open_store(url, clock=SystemClock()), Found()
    try:
        await store.verify()
        facts = await _facts(store, since)
        found.wrong += [text async for text in _activated(store, facts, activated)]
        found.wrong += [text async for text in _done(store, facts, deeds)]
        found.wrong += [text async for text in _imported(store, deeds.imported)]
        await _messages(store, since, found)
    finally:
        await store.close()
    return found


async def _facts(store: Store, since: datetime) -> Counter[tuple[str, str]]:
    """How often each thing happened to each subject that morning."""
    counted, after = Counter[tuple[str, str]](), None
    while True:
        page = await store.history(limit=1000, after=after)
        events: list[Event] = [row.event for row in page.rows if row.event.at >= since]
        counted.update((event.name, event.subject) for event in events)
        if (after := page.after) is None or len(events) < len(page.rows):
            return counted


async def _devices(store: Store, macs: Sequence[str]) -> AsyncIterator[tuple[str, Device | None]]:
    for start in range(0, len(macs), _AT_ONCE):
        some = macs[start : start + _AT_ONCE]
        known = await store.get_many(Device, some)
        for mac in some:
            yield mac, known.get(mac)


async def _activated(store: Store, facts: Counter[tuple[str, str]], macs: Sequence[str]) -> AsyncIterator[str]:
    if twice := [mac for mac, times in Counter(macs).items() if times > 1]:
        yield f"answered 200 twice: {twice[:5]}"
    async for mac, device in _devices(store, macs):
        if device is None or not device.provisioned or not device.token or device.life != 1:
            yield f"lost: {mac} was answered 200, and is {device and device.state.value}"
        if (times := facts["DeviceProvisioned", mac]) != 1:
            yield f"{mac} was provisioned {times} times, its audit says"
    others = {mac for (name, mac), _times in facts.items() if name == "DeviceProvisioned"} - set(macs)
    if others:
        yield f"provisioned, and not answered: {sorted(others)[:5]}"


async def _done(store: Store, facts: Counter[tuple[str, str]], deeds: Deeds) -> AsyncIterator[str]:
    async for mac, device in _devices(store, deeds.confirmed):
        if device is None or device.installed is None or facts["InstallConfirmed", mac] != 1:
            yield f"{mac} was confirmed {facts['InstallConfirmed', mac]} times, its audit says"
    async for mac, device in _devices(store, deeds.problems):
        if device is None or device.problem is None or facts["ProblemReported", mac] != 1:
            yield f"lost: the problem of {mac}"
    async for mac, device in _devices(store, list(deeds.moved)):
        if device is None or device.place != deeds.moved[mac]:
            yield f"lost: {mac} was moved to {deeds.moved[mac]}, and is at {device and device.place}"
    async for mac, device in _devices(store, list(deeds.approved)):
        if device is None or device.state is not State.SIGNED_IN or facts["DeviceSignedIn", mac] != 1:
            yield f"lost: {mac} was approved, and is {device and device.state.value}"


async def _imported(store: Store, sheets: Sequence[Sequence[str]]) -> AsyncIterator[str]:
    for macs in sheets:
        known = [device async for _mac, device in _devices(store, macs) if device and not device.removed]
        if len(known) != len(macs):
            yield f"half: of a sheet of {len(macs)} rows {len(known)} are on the list"


async def _messages(store: Store, since: datetime, found: Found) -> None:
    for status in MessageStatus:
        asked: dict[str, Any] = {"status": status}
        after = None
        while True:
            page = await store.find(OutboxMessage, limit=1000, after=after, **asked)
            for row in page.rows:
                found.fates[status.value] += 1
                if row.settled_at and row.settled_at >= since and status is MessageStatus.SENT:
                    kind = "edits" if row.kind is MessageKind.EDIT else "messages"
                    found.late.setdefault(kind, []).append((row.settled_at - row.due_at).total_seconds())
                elif status is MessageStatus.UNDELIVERABLE:
                    found.wrong.append(f"undeliverable: {row.kind.value} to {row.recipient}, {row.failure}")
            if (after := page.after) is None:
                break
