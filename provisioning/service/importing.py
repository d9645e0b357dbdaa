"""A preview becomes devices: all of it appears at once, or nothing does; and within ten minutes it can be taken back.

What is new is written part by part under a batch that hides it, so that others get their turns; nobody sees any of it
before that batch is opened. What was here already changes in the one unit that opens it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from provisioning import lifecycle
from provisioning.access import Permission, require
from provisioning.batches import Batch, Former
from provisioning.errors import AlreadyDone, Refused
from provisioning.events import (
    CodeReceived,
    DeviceAdded,
    DeviceChanged,
    DeviceMoved,
    Event,
    ImportFinished,
)
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import Actor, Change, Device, Person, Role
from provisioning.notifications import tell
from provisioning.rollouts import Rollout
from provisioning.service.handover import NotATechnician
from provisioning.service.unmaking import Unmaking
from provisioning.service.uploading import UploadOver, changed_columns, values_of
from provisioning.texts import N_
from provisioning.uploads import SheetRow, Upload, UploadPart, UploadState

MOST_CHANGED = 5_000  # devices that one import may change: all of them change in one unit, and others wait for it
TEAMS_LIFETIME = timedelta(hours=24)  # of a code of the Teams admin centre; no setting of ours changes it
WAIT_SECONDS = 1.0  # until an import looks again whether one before it, with devices of its own, is over
HANDED_OVER = timedelta(seconds=45)  # by then whoever received a sheet has begun to read it, or never will
REDRAWN = 500  # cards of changed devices, at most; the others come out fresh when they are pressed


class TooManyChanges(Refused):
    code = "too_many_changes"
    message = N_("{count} devices that are here would change at once; at most {limit}. Send the file in parts.")


class Importing(Unmaking):
    async def add_upload(
        self, actor: Actor, key: str, *, update: bool = False, coded_at: datetime | None = None
    ) -> Upload:
        """[Add]: from here on it is carried out, part by part, by `go_on`.

        Errors: `UploadOver`, `TooManyChanges`, `NotATechnician`.
        """
        require(actor, Permission.EDIT_DEVICES)

        async def decide() -> tuple[Change, Upload]:
            now, upload = self.now(), await self.upload(actor, key)
            if upload.state in (UploadState.ADDING, UploadState.ADDED):
                raise AlreadyDone
            if upload.state is not UploadState.READY:
                raise UploadOver
            here = upload.same + upload.different  # what is new is written part by part, codes and all
            if (count := min(upload.different * update + upload.codes, here)) > MOST_CHANGED:
                raise TooManyChanges(count=count, limit=MOST_CHANGED)
            await self._check_technicians(upload)
            batch = Batch(kind="import", by=actor.id, by_name=actor.name, at=now, macs=(), hides=True)
            fresh = replace(
                upload,
                state=UploadState.ADDING,
                batch=batch.id,
                decided_at=now,
                update=update,
                coded_at=coded_at or upload.at,
            )
            return await self.step_of(upload, fresh, batch)

        return await self.unit(actor, decide)

    async def _check_technicians(self, upload: Upload) -> None:
        """Errors: `NotATechnician` for one whose access ended since the preview."""
        for person in [await self.store.get(Person, id_) for id_ in upload.technicians]:
            if person and Role.TECHNICIAN not in self.roles_of(person):
                raise NotATechnician(name=person.name or person.upn)

    async def unfinished(self) -> Sequence[Upload]:
        """Uploads that have something left to be done by itself; one that has just come is with whoever received it."""
        rows, past = (await self.store.find(Upload, unfinished=True, limit=100)).rows, self.now() - HANDED_OVER
        return [row for row in rows if row.state is not UploadState.READING or row.at <= past]

    async def go_on(self, key: str) -> Upload | None:
        """One durable step of an upload that was decided on; None where there is nothing left to do."""
        upload = await self.store.get(Upload, key)
        if upload is None or not upload.unfinished or upload.state is UploadState.READING:
            return None
        try:
            if upload.state is UploadState.ADDING:
                return await (self._stage(upload) if upload.written < upload.parts else self._open(upload))
            if upload.state is UploadState.UNDOING:
                return await self.unmake(upload)
            return await (self.erase(upload) if upload.holds_codes and not _midway(upload) else self.clear(upload))
        except UploadOver:  # cancelled between two steps: what that leaves to do is the next one
            return await self.store.get(Upload, key)

    # -------------------------------------------------------------- adding, unseen

    async def _stage(self, upload: Upload) -> Upload:
        """The next part; nothing yet, where an import that goes first hides a device of this one."""

        async def decide() -> tuple[Change, Upload]:
            former = await self.in_state(upload.id, UploadState.ADDING)
            part = await self.store.get(UploadPart, f"{former.id}/{former.written:05d}")
            rows = part.rows if part else ()
            known = await self.store.get_many(Device, [row.mac for row in rows], hidden=True)
            hiding = await self._hiding(former, known.values())
            if hiding and _goes_first(await self.batch_of(former), hiding.values()):
                return Change(), former
            new = [self._made(former, row) for row in rows if row.mac not in known]
            unseen = any(device.batch in hiding for device in known.values())
            touched = unseen or any(_changes(former, row, known.get(row.mac)) for row in rows)
            fresh = replace(
                former,
                written=former.written + 1,
                added=former.added + len(new),
                pending=(*former.pending, former.written) if touched else former.pending,
            )
            change, after = await self.step_of(former, fresh, *new)
            return change + Change(events=tuple(self._facts_of(former, new))), after

        after = await self.quietly(decide)
        if after.version == upload.version:
            await self.clock.sleep(WAIT_SECONDS)
        return after

    async def _hiding(self, upload: Upload, devices: Iterable[Device]) -> Mapping[str, Batch]:
        """The other imports that hide some of these devices."""
        named = {device.batch for device in devices} - {"", upload.batch}
        hiding = (await self.store.find(Batch, hides=True, limit=1000)).rows if named else ()
        return {batch.id: batch for batch in hiding if batch.id in named}

    def _made(self, upload: Upload, row: SheetRow) -> Device:
        fields = dict(values_of(row))
        device = Device(mac=row.mac, added_at=self.now(), added_by=upload.by, batch=upload.batch, **fields)  # type: ignore[arg-type]
        return self._coded(upload, row, device)

    def _coded(self, upload: Upload, row: SheetRow, device: Device) -> Device:
        """The device with the row's code of the Teams admin centre, where it has one."""
        if not row.code or upload.coded_at is None:
            return device
        digits = self.unwrapped(row.mac, row.code)
        if not digits or self.has_code(device, digits):
            return device
        issue = device.issued + 1
        code = self.keys.receive(device.mac, digits, issue, upload.coded_at, TEAMS_LIFETIME, upload.by)
        return lifecycle.with_received(device, code)

    def _facts_of(self, upload: Upload, new: Sequence[Device]) -> list[Event]:
        at = self.now()
        facts: list[Event] = [
            DeviceAdded(at=at, actor=upload.by, subject=d.mac, location=d.location, batch=upload.batch) for d in new
        ]
        return facts + [_received(device, upload, at) for device in new if device.code]

    # -------------------------------------------------------------- the moment it appears

    async def _open(self, upload: Upload) -> Upload:
        """What was here changes, and the batch hides no longer: one unit."""

        async def decide() -> tuple[Change, Upload]:
            former = await self.in_state(upload.id, UploadState.ADDING)
            batch, now = await self.batch_of(former), self.now()
            seized, made, changed = list[Device](), list[Device](), list[Device]()
            before, events = list[Former](), list[Event]()
            async for row, device, unseen in self._here(former):
                if device is None or unseen:
                    seized += [device] if device else []
                    made.append(self._made(former, row))
                    continue
                fresh, facts = self._changed(former, row, device)
                if fresh != device:
                    changed.append(fresh)
                    before.append(_former(device))
                    events += facts
            count = await self.store.count(Device, batch=batch.id) + len(made)
            opened = replace(batch, hides=False, at=now, before=tuple(before))
            fact = ImportFinished(at=now, actor=former.by, subject=batch.id, added=count, changed=len(changed))
            added = replace(former, state=UploadState.ADDED, added=count, changed=len(changed), settled_at=now)
            if not (count or changed):  # others were faster: there is nothing in it for an undo to find
                change, after = await self.step_of(former, replace(added, batch=""))
                return change + Change(deletes=(batch,), events=(fact,)), after
            change, after = await self.step_of(former, added, *made, *changed, opened)
            told = await self._told_of_import(added, [device.mac for device in changed])
            events += [*self._facts_of(former, made), fact]
            return Change(deletes=tuple(seized)) + change + Change(puts=told, events=tuple(events)), after

        return await self.quietly(decide)

    async def _here(self, upload: Upload) -> AsyncIterator[tuple[SheetRow, Device | None, bool]]:
        """Rows that change a device which is here, or bring one back, each with the device as it stands.

        With them those whose device another import prepared unseen (True), or has let go of since: it is ours now.
        """
        for number in upload.pending:
            await asyncio.sleep(0)  # others get their turns: twenty thousand devices may be looked at
            part = await self.store.get(UploadPart, f"{upload.id}/{number:05d}")
            rows = part.rows if part else ()
            known = await self.store.get_many(Device, [row.mac for row in rows], hidden=True)
            hiding = await self._hiding(upload, known.values())
            for row in rows:
                device = known.get(row.mac)
                unseen = device is not None and device.batch in hiding and device.version == 1
                if device is None or unseen or _changes(upload, row, device):
                    yield row, device, unseen

    def _changed(self, upload: Upload, row: SheetRow, device: Device) -> tuple[Device, list[Event]]:
        now, facts = self.now(), list[Event]()
        fresh = device
        if device.removed:
            location = row.location or device.location
            installed = device.installed if location == device.location else None
            fresh = replace(
                device,
                removed_at=None,
                added_at=now,
                added_by=upload.by,
                technician="",
                problem=None,
                installed=installed,
            )
            facts.append(DeviceAdded(at=now, actor=upload.by, subject=device.mac, location=location))
        if device.removed or upload.update:
            columns = changed_columns(row, device)
            if "location" in columns and not device.removed:
                facts.append(
                    DeviceMoved(at=now, actor=upload.by, subject=device.mac, before=device.location, after=row.location)
                )
            if other := tuple(name for name in columns if name != "location"):
                facts.append(DeviceChanged(at=now, actor=upload.by, subject=device.mac, columns=other))
            fresh = replace(fresh, **values_of(row, fresh))  # type: ignore[arg-type]
            if fresh.technician != device.technician:  # who asked for a code, or whose code strayed, is another now
                fresh = replace(fresh, request=None, stray=None)
        coded = self._coded(upload, row, fresh) if not fresh.provisioned else fresh
        if coded is not fresh:
            facts.append(_received(coded, upload, now, voided=device.live_code(now) is not None))
        return coded, facts

    async def _told_of_import(self, upload: Upload, changed: Sequence[str]) -> tuple[OutboxMessage, ...]:
        """Whoever it gave devices to, the cards of what it changed, and the channels that follow any of it."""
        now = self.now()
        handed = upload.technicians if upload.added or upload.changed else ()
        told = list(await self.in_time([tell(MessageKind.NEW_JOBS, id_, "", now) for id_ in handed]))
        rollouts = (await self.store.find(Rollout, limit=1000)).rows
        for subject in (*(rollout.key for rollout in rollouts), *changed[:REDRAWN]):
            told += await self.redrawn(subject, now)
        return tuple(told)


def _goes_first(own: Batch, others: Iterable[Batch]) -> bool:
    """Whether one was decided on earlier, or is being taken back: in one order for all, so that none waits for ever."""
    return any(other.undone_at or (other.at, other.id) < (own.at, own.id) for other in others)


def _midway(upload: Upload) -> bool:
    """Cancelled while it was being added: what it had prepared goes first."""
    return upload.state is UploadState.CANCELLED and bool(upload.batch)


def _changes(upload: Upload, row: SheetRow, device: Device | None) -> bool:
    """Whether the row has anything to do to a device that is there: bring it back, change it, give it a code."""
    if device is None or device.batch == upload.batch:
        return False
    if device.removed or (row.code and not device.provisioned):
        return True
    return upload.update and bool(changed_columns(row, device))


def _former(device: Device) -> Former:
    return Former(
        mac=device.mac,
        version=device.version + 1,
        location=device.location,
        issued=device.issued,
        type=device.type,
        account=device.account,
        technician=device.technician,
        tags=device.tags,
        asset_tag=device.asset_tag,
        notes=device.notes,
        installed=device.installed,
        problem=device.problem,
        renewals=device.renewals,
        removed_at=device.removed_at,
        added_at=device.added_at,
        added_by=device.added_by,
    )


def _received(device: Device, upload: Upload, at: datetime, *, voided: bool = False) -> CodeReceived:
    expires_at = device.code.expires_at if device.code else at
    return CodeReceived(
        at=at, actor=upload.by, subject=device.mac, issue=device.issued, expires_at=expires_at, voided=voided
    )
