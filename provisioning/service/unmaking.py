"""What an import did is taken back: one that was cancelled on its way, and one that is undone within ten minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from provisioning.access import Permission, require
from provisioning.batches import Batch, Former
from provisioning.errors import TooLateToUndo, UndoneAlready
from provisioning.events import AddUndone, DeviceChanged, DeviceMoved, Event, ImportCancelled, ImportUndone
from provisioning.model import Actor, Change, Device, Record
from provisioning.rollouts import Rollout
from provisioning.service.lookup import device_title
from provisioning.service.uploading import Uploading, UploadOver
from provisioning.uploads import RowFault, Upload, UploadPart, UploadState

CHUNK = 50  # devices in one durable step, so that others wait for it hardly at all
ERASED = 20  # parts of an upload whose codes go in one step
PAGE = 500  # facts looked through at once
SHOWN = 5  # devices named, of those that an undo leaves where they are


class Unmaking(Uploading):
    async def cancel_upload(self, actor: Actor, key: str) -> Upload:
        """Nothing of it is saved; what was prepared unseen is deleted step by step. Errors: `UploadOver`."""
        require(actor, Permission.EDIT_DEVICES)

        async def decide() -> tuple[Change, Upload]:
            upload = await self.upload(actor, key)
            if upload.state is UploadState.CANCELLED:
                return Change(), upload
            if upload.state not in (UploadState.READING, UploadState.READY, UploadState.ADDING):
                raise UploadOver
            fresh = replace(upload, state=UploadState.CANCELLED, settled_at=self.now())
            return await self.step_of(upload, fresh)

        return await self.unit(actor, decide)

    async def in_state(self, key: str, state: UploadState) -> Upload:
        """As it stands. Errors: `UploadOver` where somebody ended it."""
        found = await self.store.get(Upload, key)
        if found is None or found.state is not state:
            raise UploadOver
        return found

    async def batch_of(self, upload: Upload) -> Batch:
        batch = await self.store.get(Batch, upload.batch)
        if batch is None:
            raise UploadOver
        return batch

    # -------------------------------------------------------------- cancelled on its way

    async def clear(self, upload: Upload) -> Upload:
        """The next devices that a cancelled import had prepared; after the last, its batch."""

        async def decide() -> tuple[Change, Upload]:
            former = await self.in_state(upload.id, UploadState.CANCELLED)
            hidden = (await self.store.find(Device, batch=former.batch, limit=CHUNK)).rows
            if hidden:
                fresh = replace(former, added=max(0, former.added - len(hidden)))
                change, after = await self.step_of(former, fresh)
                return change + Change(deletes=hidden), after
            batch = await self.batch_of(former)
            fact = ImportCancelled(at=self.now(), actor=former.by, subject=batch.id)
            change, after = await self.step_of(former, replace(former, batch="", added=0))
            return change + Change(deletes=(batch,), events=(fact,)), after

        return await self.quietly(decide)

    async def erase(self, upload: Upload) -> Upload:
        """The sealed codes of the next parts go: they stand with their devices now, or are wanted by nobody.

        Rows that are wrong keep theirs for the error file, for as long as the upload is kept.
        """

        async def decide() -> tuple[Change, Upload]:
            former = await self.in_state(upload.id, upload.state)
            numbers = range(former.erased, min(former.erased + ERASED, former.parts))
            parts = await self.store.get_many(UploadPart, [f"{former.id}/{number:05d}" for number in numbers])
            bare = [replace(part, rows=()) for part in parts.values() if part.rows]
            return await self.step_of(former, replace(former, erased=numbers.stop), *bare)

        return await self.quietly(decide)

    # -------------------------------------------------------------- undone

    async def begin_undo(self, actor: Actor, batch: Batch) -> Upload:
        """Takes an import back, step by step. What has moved on since stays, each device with its reason.

        Errors: `TooLateToUndo`, `UndoneAlready`.
        """
        require(actor, Permission.EDIT_DEVICES)
        mine = (await self.store.find(Upload, by=actor.id, limit=50)).rows
        upload = next((row for row in mine if row.batch == batch.id), None)

        async def decide() -> tuple[Change, Upload]:
            former = await self.store.get(Upload, upload.id) if upload else None
            if former and former.state in (UploadState.UNDOING, UploadState.UNDONE):
                raise UndoneAlready
            if former is None or former.state is not UploadState.ADDED or self.now() - batch.at > self.policy.undo:
                raise TooLateToUndo
            return await self.step_of(former, replace(former, state=UploadState.UNDOING, decided_at=self.now()))

        return await self.unit(actor, decide)

    async def unmake(self, upload: Upload) -> Upload:
        """First what has moved on is let go of, then all the rest disappears at once, then it is deleted."""
        batch = await self.batch_of(upload)
        if batch.undone_at:
            return await self.quietly(lambda: self._decide_delete(upload))
        if upload.cursor is not None:
            return await self.quietly(lambda: self._decide_let_go(upload))
        return await self.quietly(lambda: self._decide_hide(upload))

    async def _decide_let_go(self, upload: Upload) -> tuple[Change, Upload]:
        """A page further: devices that have moved on belong to the import no longer."""
        former = await self.in_state(upload.id, UploadState.UNDOING)
        page = await self.store.find(Device, batch=former.batch, after=former.cursor or None, limit=CHUNK)
        moved = [(device, reason) for device in page.rows if (reason := _moved_on(device))]
        fresh = replace(_with_stayed(former, moved), cursor=page.after)
        return await self.step_of(former, fresh, *(replace(device, batch="") for device, _ in moved))

    async def _decide_hide(self, upload: Upload) -> tuple[Change, Upload]:
        """The moment it disappears, and what it had changed is as it was."""
        former, now = await self.in_state(upload.id, UploadState.UNDOING), self.now()
        batch = await self.batch_of(former)
        puts: list[Record] = []
        facts: list[Event] = []
        stayed: list[tuple[Device, RowFault]] = []
        for start in range(0, len(batch.before), CHUNK):
            chunk = batch.before[start : start + CHUNK]
            await asyncio.sleep(0)  # others get their turns
            known = await self.store.get_many(Device, [was.mac for was in chunk])
            for was in chunk:
                device = known.get(was.mac)
                if device and _as_left(device, was.version, batch.at):
                    puts.append(_restored(device, was))
                    facts.append(_restored_fact(device, was, now, former.by))
                elif device:
                    stayed.append((device, _moved_on(device) or RowFault("stays_changed")))
        lately = await self._moved_lately(former)
        fresh = _with_stayed(former, [*stayed, *lately])
        hidden = replace(batch, hides=True, undone_at=now, before=())
        facts.append(ImportUndone(at=now, actor=former.by, subject=batch.id, stayed=fresh.stayed))
        change, after = await self.step_of(former, replace(fresh, undone=fresh.undone + len(puts)), *puts, hidden)
        change += Change(puts=tuple(replace(device, batch="") for device, _ in lately))
        told = [edit for rollout in await self._followed() for edit in await self.redrawn(rollout.key, now)]
        return change + Change(puts=tuple(told), events=tuple(facts)), after

    async def _moved_lately(self, upload: Upload) -> list[tuple[Device, RowFault]]:
        """Devices of the import that something happened to since their page was looked through: no device that has
        just called in may disappear, not even for a moment.
        """
        subjects: dict[str, None] = {}
        after, began = None, upload.decided_at or upload.at
        while True:
            page = await self.store.history(after=after, limit=PAGE)
            subjects |= dict.fromkeys(row.event.subject for row in page.rows if row.event.at >= began)
            after = page.after
            if after is None or page.rows[-1].event.at < began:
                break
        found: list[tuple[Device, RowFault]] = []
        for start in range(0, len(subjects), PAGE):
            known = await self.store.get_many(Device, list(subjects)[start : start + PAGE])
            ours = [device for device in known.values() if device.batch == upload.batch]
            found += [(device, reason) for device in ours if (reason := _moved_on(device))]
        return found

    async def _followed(self) -> Sequence[Rollout]:
        return (await self.store.find(Rollout, limit=1000)).rows

    async def _decide_delete(self, upload: Upload) -> tuple[Change, Upload]:
        former, now = await self.in_state(upload.id, UploadState.UNDOING), self.now()
        page = await self.store.find(Device, batch=former.batch, limit=CHUNK)
        moved = [(device, reason) for device in page.rows if (reason := _moved_on(device))]  # in the last moment
        gone = [device for device in page.rows if not _moved_on(device)]
        fresh = replace(_with_stayed(former, moved), undone=former.undone + len(gone))
        if page.after is None:
            fresh = replace(fresh, state=UploadState.UNDONE, settled_at=now)
        facts = [AddUndone(at=now, actor=former.by, subject=d.mac, location=d.location) for d in gone]
        change, after = await self.step_of(former, fresh, *(replace(device, batch="") for device, _ in moved))
        return change + Change(deletes=tuple(gone), events=tuple(facts)), after


def _as_left(device: Device, version: int, since: datetime) -> bool:
    """Whether nothing happened to it since it had this version, but that somebody was told of its code's end."""
    told = device.code is not None and device.code.told_at is not None and device.code.told_at >= since
    return device.version == version + told


def _moved_on(device: Device) -> RowFault | None:
    """Why a device that an import added is not taken back: the first thing that happened to it since."""
    if _as_left(device, 1, device.added_at):
        return None
    reasons = (
        ("stays_provisioned", device.provisioned),
        ("stays_installed", device.installed),
        ("stays_problem", device.problem),
        ("stays_code", device.code),
        ("stays_removed", device.removed),
    )
    return RowFault(next((code for code, holds in reasons if holds), "stays_changed"))


def _with_stayed(upload: Upload, moved: Sequence[tuple[Device, RowFault]]) -> Upload:
    named = tuple((device_title(device), reason) for device, reason in moved)
    return replace(upload, stayed=upload.stayed + len(moved), kept=(*upload.kept, *named)[:SHOWN])


def _restored(device: Device, was: Former) -> Device:
    """As it was before the import; a code that came with it is dead, one that gave way to it does not come back."""
    return replace(
        device,
        location=was.location,
        type=was.type,
        account=was.account,
        technician=was.technician,
        tags=was.tags,
        asset_tag=was.asset_tag,
        notes=was.notes,
        installed=was.installed,
        problem=was.problem,
        renewals=was.renewals,
        removed_at=was.removed_at,
        added_at=was.added_at or device.added_at,
        added_by=was.added_by,
        code=None if device.issued != was.issued else device.code,
    )


def _restored_fact(device: Device, was: Former, at: datetime, by: str) -> Event:
    if was.removed_at:
        return AddUndone(at=at, actor=by, subject=device.mac, location=device.location)
    if was.location != device.location:
        return DeviceMoved(at=at, actor=by, subject=device.mac, before=device.location, after=was.location)
    return DeviceChanged(at=at, actor=by, subject=device.mac, columns=("undone",))
