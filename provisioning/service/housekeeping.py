"""What is done without being asked: codes that ended, days that begin, old marks, the audit's care, verification.

Several instances may share one store. A job that one of them does at a time is taken by a lease.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from provisioning.batches import Batch
from provisioning.bookkeeping import Lease, Operation, Segment
from provisioning.errors import Conflict, Duplicate
from provisioning.events import CodeEnded
from provisioning.jobs import Job
from provisioning.key_use import KEEP_SHEET, REMEMBER_ENDED
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change, Device, Record, stored
from provisioning.ports import Page, Span
from provisioning.service.activation import Activation
from provisioning.service.digests import Digests
from provisioning.service.extending import ENDING
from provisioning.service.forgetting import Forgetting
from provisioning.service.mornings import Mornings
from provisioning.service.offline import SHEET
from provisioning.service.people import SERVICE
from provisioning.service.presence import Presence
from provisioning.service.radar import Radar
from provisioning.service.refreshing import Refreshing
from provisioning.uploads import Upload, UploadPart, UploadState

R = TypeVar("R", bound=Record)

CHUNK = 500  # rows of one unit, so that other writers get their turns
CHUNKS = 60  # of one kind in one sweep: 90 000 rows a minute, ten times what 3 000 activations a minute leave behind
SEGMENTS = 20  # sealed or dropped in one sweep
UPLOADS, PARTS = 20, 50  # looked at, and deleted of each, in one sweep

REMEMBER_HASH = REMEMBER_ENDED
KEEP_UPLOAD = timedelta(days=1)
REMEMBER_OPERATION = timedelta(days=2)
KEEP_BATCHES = {
    ENDING: timedelta(days=2),  # its button has nothing left to renew
    SHEET: KEEP_SHEET,
}
BATCHES = 50  # rows read together: each may name thousands of devices
KEEP_SETTLED = {
    MessageStatus.SENT: timedelta(days=7),
    MessageStatus.DROPPED: timedelta(days=7),
    MessageStatus.UNDELIVERABLE: timedelta(days=30),
}  # and no message longer than the audit

SWEEP, AUDIT, VERIFY = "sweep", "audit", "verify"  # names of leases
SWEEP_LEASE = timedelta(minutes=1)
SEAL_EVERY = timedelta(minutes=15)  # a segment costs a row for ever: 96 a day at most where little happens
BELIEVED = timedelta(days=2)  # how far a clock may have gone on since a moment that was noted, to be believed
VERIFY_LEASE = timedelta(hours=20)  # whoever verified spares the others that day


class Housekeeping(Radar, Mornings, Digests, Refreshing, Presence, Forgetting, Activation):
    _cared_at: datetime | None = None  # when this instance last had nothing left to seal or to drop
    _looked_through_at: datetime | None = None  # when batches were last looked through
    _more = False  # there was too much for one sweep
    verified_at: datetime | None = None  # when this instance last found the whole store in order

    # -------------------------------------------------------------- leases

    async def holds(self, name: str, for_: timedelta) -> bool:
        """Whether the job `name` is this instance's for so long from now: one read and one conditional save.

        Whoever has it has it again. A lease that nobody can have taken for so long was written by a clock that was
        wrong, and does not count.
        """
        now, known = self.now(), await self.store.get(Lease, name)
        if known and known.holder != self.instance and now < known.until <= now + 2 * for_:
            return False
        return await self._write_lease(known, name, now + for_)

    async def let_go(self, name: str) -> None:
        """Any other instance may have the job now; nothing happens where it was not this one's."""
        known = await self.store.get(Lease, name)
        if known and known.holder == self.instance:
            await self._write_lease(known, name, self.now())

    async def _write_lease(self, known: Lease | None, name: str, until: datetime) -> bool:
        version = known.version if known else 0
        try:
            lease = Lease(name=name, holder=self.instance, until=until, version=version)
            await self.store.save(Change(puts=(lease,)))
        except (Conflict, Duplicate):
            return False
        return True

    async def rest(self) -> None:
        """Nothing is done by itself from here on: another instance need not wait until the leases run out."""
        for name in (SWEEP, AUDIT):
            await self.let_go(name)

    # -------------------------------------------------------------- the sweep

    async def sweep(self) -> int:
        """Codes that ended lose their sealed copy, and their cards change; what is old goes. Returns codes ended.

        One instance at a time; what is too much for one sweep is left for the next.
        """
        await self.write_seen()
        await self.write_turned_away()
        if not await self.holds(SWEEP, SWEEP_LEASE):
            return 0
        ended = await self._end_codes()
        await self.watch_attack()
        await self.watch_codes()
        await self.greet()
        await self.tell_digests()
        await self.watch_contact()
        await self.refresh_cards()
        await self._forget_hashes()
        await self._prune()
        await self._forget_uploads()
        await self._forget_jobs()
        await self._forget_batches()
        await self.erase_forgotten(lambda: self.holds(SWEEP, SWEEP_LEASE))
        await self._care_for_audit()
        return ended

    async def _end_codes(self) -> int:
        total = 0
        while True:
            page = await self.store.find(Device, span=Span("code_until", until=self.now()), limit=CHUNK)
            ended = await self.unit(SERVICE, partial(self._decide_end, page.rows))
            total += ended
            if not ended or not await self.holds(SWEEP, SWEEP_LEASE):
                return total

    async def _decide_end(self, rows: Sequence[Device]) -> tuple[Change, int]:
        now, puts, events = self.now(), list[Device](), []
        for row in rows:
            device = await self.store.get(Device, row.mac)
            code = device.code if device else None
            if device is None or code is None or code.sealed is None or code.live(now):
                continue
            puts.append(replace(device, code=replace(code, sealed=None)))
            events.append(CodeEnded(at=now, actor="service", subject=device.mac, issue=code.issue))
        told = await self.to_channels(MessageKind.CODES_ENDED, puts)
        return Change(puts=(*puts, *told), events=tuple(events)), len(puts)

    async def _forget_hashes(self) -> None:
        """Seven days after its end even the right code is a wrong one."""
        span = Span("hashed_until", until=self.now() - REMEMBER_HASH)
        await self._change(
            lambda: self.store.find(Device, span=span, limit=CHUNK),
            lambda row: Change(puts=(replace(row, code=None),)),
        )

    async def _prune(self) -> None:
        """Marks of what was done, and messages that were settled long ago."""
        past = Span("at", until=self.now() - REMEMBER_OPERATION)
        await self._change(
            lambda: self.store.find(Operation, span=past, limit=CHUNK), lambda row: Change(deletes=(row,))
        )
        for status, kept in KEEP_SETTLED.items():
            past = Span("settled", until=self.now() - min(kept, self.policy.keep_audit or kept))
            find = partial(self.store.find, OutboxMessage, status=status.value, span=past, limit=CHUNK)
            await self._change(find, lambda row: Change(deletes=(row,)))

    async def _forget_uploads(self) -> None:
        """A day after it came, the rows of an upload go, and the upload with the last of them. Its devices stay.

        One that still waits is over first: nobody may add what is left of it.
        """
        past = Span("at", until=self.now() - KEEP_UPLOAD)
        for upload in (await self.store.find(Upload, span=past, unfinished=False, limit=UPLOADS)).rows:
            if upload.state is UploadState.READY:
                over = replace(upload, state=UploadState.CANCELLED, settled_at=self.now())
                if not await self._quietly(Change(puts=(over,))):
                    continue  # somebody decided on it in this moment
                upload = stored(over)  # noqa: PLW2901 - as it is from here on
            find = partial(self.store.find, UploadPart, upload=upload.id, limit=PARTS)
            await self._change(find, lambda row: Change(deletes=(row,)))
            if not await self.store.count(UploadPart, upload=upload.id):
                await self._quietly(Change(deletes=(upload,)))

    async def _forget_jobs(self) -> None:
        past = Span("at", until=self.now() - KEEP_UPLOAD)
        find = partial(self.store.find, Job, span=past, running=False, limit=CHUNK)
        await self._change(find, lambda row: Change(deletes=(row,)))

    async def _forget_batches(self) -> None:
        """Rows of what is over, once an hour: all of a kind are read, the newest first."""
        now, looked = self.now(), self._looked_through_at
        if looked and timedelta() <= now - looked < timedelta(hours=1):
            return
        self._looked_through_at = now
        for kind, kept in KEEP_BATCHES.items():
            after: str | None = None
            while True:
                page = await self.store.find(Batch, kind=kind, after=after, limit=BATCHES)
                await self._quietly(Change(deletes=tuple(row for row in page.rows if now - row.at > kept)))
                after = page.after
                if after is None:
                    break

    async def _change(self, find: Callable[[], Awaitable[Page[R]]], change: Callable[[R], Change]) -> None:
        """Changes what is found, a chunk at a time, until there is no more of it or it is enough for one sweep."""
        for _ in range(CHUNKS):
            changes = [change(row) for row in (await find()).rows]
            moved = await self._quietly(sum(changes, Change()))
            if not moved:  # somebody was faster with one of them: the others go one by one
                moved = any([await self._quietly(each) for each in changes])
            if not moved or len(changes) < CHUNK or not await self.holds(SWEEP, SWEEP_LEASE):
                return

    async def _quietly(self, change: Change) -> bool:
        """Housekeeping gives way to whoever was faster; the next sweep finds it again."""
        if not change:
            return False
        try:
            await self.store.save(change)
        except Conflict:
            return False
        return True

    # -------------------------------------------------------------- the audit

    async def _care_for_audit(self) -> None:
        """Facts are sealed, and segments older than facts are kept are dropped: now and then, until all is done.

        A clock that was put back since is not waited for.
        """
        now, cared_at = self.now(), self._cared_at
        rests = cared_at and not self._more and timedelta() <= now - cared_at < SEAL_EVERY
        if rests or not await self.holds(AUDIT, SEAL_EVERY):
            return
        believed = await self._believes(now)
        self._more = not await self._until_none(self.store.seal, now)
        if self.policy.keep_audit and believed:
            self._more |= not await self._until_none(self.store.drop_audit, now - self.policy.keep_audit, now)
        if not self._more:
            self._cared_at = now

    async def _believes(self, now: datetime) -> bool:
        """Whether the clock went on steadily: under one that jumped ahead every fact would be old, and gone for ever.

        It did where a moment was noted between a quarter of an hour and two days ago: that of the newest segment's
        seal, or that of the last sweep of this instance that had nothing left to do. After a longer standstill, or a
        jump, nothing is dropped for a quarter of an hour, in which a clock can be put right.
        """
        newest = await self.store.get(Segment, f"{await self.store.count(Segment):012d}")
        noted = (newest.sealed_at if newest else None, self._cared_at)
        return any(moment and SEAL_EVERY <= now - moment <= BELIEVED for moment in noted)

    async def _until_none(self, work: Callable[..., Awaitable[int]], *moments: datetime) -> bool:
        for _ in range(SEGMENTS):
            if not await work(*moments):
                return True
        return False

    # -------------------------------------------------------------- verification

    async def verify(self) -> None:
        """Reads the whole store through. `Unavailable` says what is wrong; then nothing is written any more."""
        await self.store.verify()
        self.verified_at = self.now()

    async def verify_in_turn(self) -> bool:
        """As `verify`, on one instance a day; False: another one did it, or is at it."""
        if not await self.holds(VERIFY, VERIFY_LEASE):
            return False
        await self.verify()
        return True
