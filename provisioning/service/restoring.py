"""After a backup was put back: what it knows of codes is old, so that none of them may live."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from provisioning import lifecycle
from provisioning.batches import Batch
from provisioning.errors import Conflict
from provisioning.events import CodeRevoked, Event, StoreRestored
from provisioning.jobs import Job, JobState
from provisioning.messages import OutboxMessage, Post
from provisioning.model import Change, Device, Record
from provisioning.notifications import edit
from provisioning.ports import Page, Span
from provisioning.rollouts import Rollout
from provisioning.service.people import SERVICE
from provisioning.service.unit import UseCases
from provisioning.uploads import Upload, UploadPart, UploadState

R = TypeVar("R", bound=Record)
Pages = Callable[..., Awaitable[Page[R]]]  # asked with `after`

VOID_CHUNK = 500
PARTS = 50  # of an upload, some hundred rows each, dropped in one unit
STORE = "store"  # subject of the fact


class Restoring(UseCases):
    async def void_codes(
        self, taken_at: datetime | None = None, progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Every code dies, seal and hash, and so does every answer that could be given again for one.

        For a code may have been used, revoked or reissued after the backup was taken. Uploads that were not finished
        are cancelled, for their rows hold codes too. Says so in the audit, and has the cards that showed a code, and
        those of the rollouts, drawn anew. Returns how many codes were live.
        """
        total = await self.store.count(Device)
        await self._end_uploads()
        await self._end_jobs()
        codes = await self._void_all(progress or _quietly, total)
        async for batch in _every(partial(self.store.find, Batch, hides=True, limit=1000)):
            hidden: Pages[Device] = partial(self.store.find, Device, batch=batch.id, limit=VOID_CHUNK)
            codes += await self._void_all(_quietly, total, hidden)
        span = [Span("code_until"), Span("hashed_until")]
        while any([await self.store.count(Device, span=each) for each in span]):  # issued or moved meanwhile
            codes += await self._void_all(_quietly, total)
        await self.unit(SERVICE, partial(self._decide_told, taken_at, codes))
        return codes

    async def _end_uploads(self) -> None:
        """What an import had prepared unseen is deleted afterwards, as after any cancelled one."""
        async for upload in _every(partial(self.store.find, Upload, limit=1000)):
            if upload.state in (UploadState.READING, UploadState.READY, UploadState.ADDING):
                await self.unit(SERVICE, partial(self._decide_cancelled, upload.id))
        while parts := (await self.store.find(UploadPart, limit=PARTS)).rows:
            with suppress(Conflict):  # somebody else dropped them
                await self.store.save(Change(deletes=parts))

    async def _end_jobs(self) -> None:
        """What somebody had begun when the backup was taken does not begin by itself once more."""
        async for job in _every(partial(self.store.find, Job, running=True, limit=1000)):
            ended = replace(job, state=JobState.CANCELLED, settled_at=self.now())
            await self.unit(SERVICE, partial(_decided, Change(puts=(ended,))))

    async def _decide_cancelled(self, key: str) -> tuple[Change, None]:
        upload = await self.store.get(Upload, key)
        if upload is None or upload.state not in (UploadState.READING, UploadState.READY, UploadState.ADDING):
            return Change(), None
        return Change(puts=(replace(upload, state=UploadState.CANCELLED, settled_at=self.now()),)), None

    async def _void_all(
        self, progress: Callable[[int, int], None], total: int, ask: Pages[Device] | None = None
    ) -> int:
        codes, done, after = 0, 0, None
        pages = ask or partial(self.store.find, Device, limit=VOID_CHUNK)
        while True:
            page = await pages(after=after)
            macs = [device.mac for device in page.rows if _opens(device)]
            codes += await self.unit(SERVICE, partial(self._decide_void, macs))
            done += len(page.rows)
            progress(done, max(total, done))
            if page.after is None:
                return codes
            after = page.after

    async def _decide_void(self, macs: Sequence[str]) -> tuple[Change, int]:
        puts: list[Device] = []
        facts: list[Event] = []
        for mac, device in (await self.store.get_many(Device, macs, hidden=True)).items():
            if not _opens(device):
                continue
            bare = replace(device, code=lifecycle.withdrawn(device), retry_key="", retry_until=None)
            puts.append(lifecycle.parted(bare, self.now()))
            if device.code and device.code.sealed is not None:
                facts.append(CodeRevoked(at=self.now(), actor=SERVICE.id, subject=mac, issue=device.code.issue))
        return Change(puts=tuple(puts), events=tuple(facts)), len(facts)

    async def _decide_told(self, taken_at: datetime | None, codes: int) -> tuple[Change, None]:
        fact = StoreRestored(at=self.now(), actor=SERVICE.id, subject=STORE, taken_at=taken_at, codes=codes)
        return Change(puts=tuple(await self._cards_that_are_old()), events=(fact,)), None

    async def _cards_that_are_old(self) -> list[OutboxMessage]:
        posts: dict[str, Post] = {}
        for rollout in (await self.store.find(Rollout, limit=1000)).rows:
            for post in (await self.store.find(Post, subject=rollout.key, limit=20)).rows:
                posts[post.key] = post
        for post in (await self.store.find(Post, shows_code=True, limit=1000)).rows:
            posts[post.key] = post
        return [edit(post, self.now()) for post in posts.values()]


async def _every(pages: Pages[R]) -> AsyncIterator[R]:
    after = None
    while True:
        page = await pages(after=after)
        for row in page.rows:
            yield row
        if page.after is None:
            return
        after = page.after


async def _decided(change: Change) -> tuple[Change, None]:
    return change, None


def _opens(device: Device) -> bool:
    """There is something about it that a code could be traded for, or be read from, or that it would do once more."""
    code = device.code
    if device.live_sign_in or device.waiting_commands:
        return True
    return (code is not None and not (code.sealed is code.digest is None)) or bool(device.retry_key)


def _quietly(_done: int, _total: int) -> None:
    return
