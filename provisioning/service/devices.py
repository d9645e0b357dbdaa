"""The list: add, move, replace, swap, remove, undo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.batches import Batch
from provisioning.errors import (
    DeviceExists,
    MovedOn,
    NothingToUndo,
    OutOfDate,
    ProvisioningError,
    Refused,
    TooLateToUndo,
    TooMany,
    UndoneAlready,
)
from provisioning.events import AddUndone, DeviceAdded, DeviceMoved, DeviceReplaced, DevicesSwapped
from provisioning.mac import normalise
from provisioning.making import changed
from provisioning.model import Actor, Change, Device, stored
from provisioning.service.finding import DeviceFacts, Finding
from provisioning.service.importing import Importing
from provisioning.service.lookup import device_title
from provisioning.texts import N_
from provisioning.untrusted import clean_location
from provisioning.uploads import RowFault, Upload

UNDOABLE = ("add", "import")  # kinds of batches
AT_ONCE = 200  # devices in one message or form; more come as a file


@dataclass(frozen=True, slots=True)
class Wanted:
    """One line of an add, as it was typed."""

    mac: str
    location: str


@dataclass(frozen=True, slots=True)
class Added:
    """What an add did: saved, there already just so, and the lines that were wrong (nothing of those is saved)."""

    batch: Batch
    new: tuple[Device, ...]
    same: tuple[Device, ...]
    faults: tuple[tuple[int, ProvisioningError], ...] = ()  # (line number from 1, what was wrong)


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo took off the list, and the devices (titles) that stay, each with its reason."""

    count: int
    stayed: tuple[tuple[str, RowFault], ...] = ()


class SameDevice(Refused):
    code = "same_device"
    message = N_("That is the same device twice. Name two different ones.")


class Devices(Importing, Finding):
    async def add(self, actor: Actor, wanted: Sequence[Wanted]) -> Added:
        """All lines or none: the bad ones come back with their number and reason, and then nothing is saved."""
        require(actor, Permission.EDIT_DEVICES)
        if len(wanted) > AT_ONCE:
            raise TooMany(count=len(wanted), limit=AT_ONCE)
        return await self.unit(actor, lambda: self._decide_add(actor, wanted))

    async def _decide_add(self, actor: Actor, wanted: Sequence[Wanted]) -> tuple[Change, Added]:
        now = self.now()
        seen: dict[str, Device] = {}
        new: list[Device] = []
        same: list[Device] = []
        faults: list[tuple[int, ProvisioningError]] = []
        for number, line in enumerate(wanted, 1):
            try:
                device, listed = await self._candidate(actor, line, now)
                former = seen.get(device.mac)
                if former is not None and former.location != device.location:
                    raise DeviceExists(mac=dashed(device.mac), location=former.location)
            except ProvisioningError as fault:
                faults.append((number, fault))
                continue
            if device.mac not in seen:
                (same if listed else new).append(device)
            seen[device.mac] = device
        batch = Batch(kind="add", by=actor.id, by_name=actor.name, at=now, macs=tuple(d.mac for d in new))
        if faults or not new:
            return Change(), Added(batch, (), tuple(same), tuple(faults))
        facts = tuple(DeviceAdded(at=now, actor=actor.id, subject=d.mac, location=d.location) for d in new)
        change = Change(puts=(*new, batch), events=facts)
        return change, Added(stored(batch), tuple(map(stored, new)), tuple(same))

    async def _candidate(self, actor: Actor, line: Wanted, now: datetime) -> tuple[Device, bool]:
        """The device as it would stand: new, come back with its former state and life, or (True) there just so already.

        In another place it has to be installed anew.
        """
        mac, location = normalise(line.mac), clean_location(line.location)
        known = await self.store.get(Device, mac)
        if known is None:
            return Device(mac=mac, location=location, added_at=now, added_by=actor.id), False
        if known.removed:
            back = replace(known, location=location, removed_at=None, added_at=now, added_by=actor.id)
            installed = known.installed if known.location == location else None
            return replace(back, technician="", problem=None, installed=installed), False
        if known.location != location:
            raise DeviceExists(mac=dashed(mac), location=known.location)
        return known, True

    async def undo(self, actor: Actor, batch: str = "") -> Undone | Upload:
        """Take back an add or an import of the actor's, the latest where none is named, within 10 minutes.

        What has moved on since stays, each device with its reason. An import is taken back step by step (`go_on`).
        Errors: `MovedOn` where nothing is left to take back, `NothingToUndo` (`TooLateToUndo`, `UndoneAlready`).
        """
        require(actor, Permission.EDIT_DEVICES)
        await self.require_new(actor.operation)  # before what its first arrival left behind is looked at
        meant = await self._batch_to_undo(actor, batch)
        if meant.kind == "import":
            return await self.begin_undo(actor, meant)
        return await self.unit(actor, lambda: self._decide_undo(actor, meant.id))

    async def _batch_to_undo(self, actor: Actor, key: str) -> Batch:
        """The add or import that is meant, as long as it can be taken back."""
        if key:
            named = await self.store.get(Batch, key)
            if named is None or named.kind not in UNDOABLE or named.by != actor.id:
                raise NothingToUndo
            if named.undone_at:
                raise UndoneAlready
            if self.now() - named.at > self.policy.undo:
                raise TooLateToUndo
            return named
        pages = [await self.store.find(Batch, by=actor.id, kind=kind, limit=1) for kind in UNDOABLE]
        rows = [row for page in pages for row in page.rows if row.undone_at or not row.hides]
        latest = max(rows, key=lambda row: row.at, default=None)
        if latest is None or latest.undone_at or self.now() - latest.at > self.policy.undo:
            raise NothingToUndo
        return latest

    async def _decide_undo(self, actor: Actor, key: str) -> tuple[Change, Undone]:
        now, batch = self.now(), await self._batch_to_undo(actor, key)
        devices = [d for d in [await self.store.get(Device, mac) for mac in batch.macs] if d and not d.removed]
        stayed = [(device, reason) for device in devices if (reason := _moved_on(device, batch, now))]
        kept = {device.mac for device, _ in stayed}
        gone = [device for device in devices if device.mac not in kept]
        if stayed and not gone:
            raise MovedOn(titles=", ".join(device_title(device) for device, _ in stayed[:5]))
        change = Change(puts=(replace(batch, undone_at=now),))
        for device in gone:
            fact = AddUndone(at=now, actor=actor.id, subject=device.mac, location=device.location)
            change += lifecycle.remove(device, now, actor, fact)
        return change, Undone(len(gone), tuple((device_title(device), reason) for device, reason in stayed))

    # -------------------------------------------------------------- changing

    async def move(self, actor: Actor, text: str, to: str) -> DeviceFacts:
        require(actor, Permission.EDIT_DEVICES)
        location = clean_location(to)

        async def decide() -> tuple[Change, Device]:
            device = await self.device(actor, text)
            if device.location == location:
                return Change(), device
            fresh = changed(device, location=location)
            fact = DeviceMoved(
                at=self.now(), actor=actor.id, subject=device.mac, before=device.location, after=location
            )
            return Change(puts=(fresh,), events=(fact,)), stored(fresh)

        return await self._facts(await self.unit(actor, decide))

    async def take_room(self, actor: Actor, text: str) -> DeviceFacts:
        """The room in which its technician saw it hang goes into the list."""
        require(actor, Permission.EDIT_DEVICES)
        device = await self.device(actor, text)
        if not device.elsewhere:
            return await self._facts(device)
        above = device.location.rpartition("/")[0] or device.location  # of a bare site the room is a level more
        return await self.move(actor, device.mac, f"{above}/{device.elsewhere}")

    async def replace_mac(self, actor: Actor, text: str, by: str) -> DeviceFacts:
        """Another MAC takes the device's place, technician and notes; the former keeps its state, off the list."""
        require(actor, Permission.EDIT_DEVICES)
        mac = normalise(by)

        async def decide() -> tuple[Change, Device]:
            now, device, known = self.now(), await self.device(actor, text), await self.store.get(Device, mac)
            if known and not known.removed:
                raise DeviceExists(mac=dashed(mac), location=known.location)
            fresh = known or Device(mac=mac, location=device.location, added_at=now, added_by=actor.id)
            taken = {name: getattr(device, name) for name in ("location", "technician", "account", "tags", "notes")}
            fresh = replace(
                fresh, removed_at=None, added_at=now, added_by=actor.id, problem=None, installed=None, **taken
            )
            fact = DeviceReplaced(at=now, actor=actor.id, subject=mac, former=device.mac)
            return Change(puts=(fresh,), events=(fact,)) + lifecycle.remove(device, now, actor), stored(fresh)

        return await self._facts(await self.unit(actor, decide))

    async def swap(self, actor: Actor, one: str, other: str) -> tuple[Device, Device]:
        """Two devices stand in each other's place: locations and technicians change sides, codes stay with the MAC."""
        require(actor, Permission.EDIT_DEVICES, Permission.WORK_ON_SITE)

        async def decide() -> tuple[Change, tuple[Device, Device]]:
            a, b = await self.device(actor, one), await self.device(actor, other)
            if a.mac == b.mac:
                raise SameDevice
            fresh_a = replace(a, location=b.location, technician=b.technician, stray=None, request=None)
            fresh_b = replace(b, location=a.location, technician=a.technician, stray=None, request=None)
            facts = (
                DevicesSwapped(at=self.now(), actor=actor.id, subject=a.mac, other=b.mac),
                DevicesSwapped(at=self.now(), actor=actor.id, subject=b.mac, other=a.mac),
            )
            return Change(puts=(fresh_a, fresh_b), events=facts), (stored(fresh_a), stored(fresh_b))

        return await self.unit(actor, decide)

    async def remove(self, actor: Actor, text: str, revision: int | None = None) -> Device:
        """Off the list. Errors: `OutOfDate` where the device changed since `revision` was shown."""
        require(actor, Permission.EDIT_DEVICES)

        async def decide() -> tuple[Change, Device]:
            device = await self.device(actor, text)
            if revision is not None and device.version != revision:
                raise OutOfDate
            return lifecycle.remove(device, self.now(), actor), device

        return await self.unit(actor, decide)


def _moved_on(device: Device, batch: Batch, now: datetime) -> RowFault | None:
    """Why it is not taken back: the first thing that happened to it since the add.

    What it had been before it was added again does not count.
    """
    called, installed = device.provisioned_at, device.installed
    reasons = (
        ("stays_provisioned", called and called > batch.at),
        ("stays_installed", installed and installed.at > batch.at),
        ("stays_code", device.live_code(now)),
        ("stays_changed", device.added_at != batch.at),
    )
    return next((RowFault(code) for code, holds in reasons if holds), None)


def dashed(mac: str) -> str:
    return "-".join(mac[i : i + 2] for i in range(0, len(mac), 2))
