"""Work that outlasts a turn: sheets that are read, imports that are carried out. One instance per job, by a lease."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from aiohttp import web

from bot.drawing import Drawings
from bot.files import Files
from bot.following import Place
from bot.parsing import read_sheet
from bot.rehearsal.child import Rehearsals
from bot.turn import Reply
from bot.viewing import Pictures
from provisioning.errors import ProvisioningError, StoreError
from provisioning.service import Provisioning
from provisioning.service.uploading import UploadOver
from provisioning.sheets.faults import fault_of
from provisioning.uploads import RowFault, Upload, UploadState

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=45)
RENEW_SECONDS = LEASE.total_seconds() / 3
LOOK_SECONDS = 15.0  # between two looks for jobs that another instance left behind
AFTER_FAULT = 1.0
FILES = 4  # fetched or read at once: each may take 20 MiB here
READERS = 2  # sheets read at once: each is a process that may take 256 MiB
PATIENCE = 1.5  # seconds that a press waits for its job: what is done by then is shown at once
BROKE_OFF = RowFault("broke_off")
JOBS: web.AppKey[Jobs] = web.AppKey("jobs")


class Jobs:
    """The jobs of one process. Each saves its progress in durable steps, so that any instance can take it up."""

    def __init__(self, provisioning: Provisioning, files: Files, store_url: str = "") -> None:
        self._provisioning, self._files = provisioning, files
        self.pictures, self.drawings = Pictures(files), Drawings()
        self.rehearsals = Rehearsals(store_url)
        self._held_files = asyncio.Semaphore(FILES)
        self._readers = asyncio.Semaphore(READERS)
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def read_file(self, upload: Upload, url: str) -> None:
        """Begins to fetch and read a file; its message follows."""
        self._begin(upload.id, self._read(upload, self._files.fetch(url)))

    def read_text(self, upload: Upload, rows: str) -> None:
        """Begins to read rows that were pasted."""
        self._begin(upload.id, self._read(upload, _at_hand(rows.encode())))

    def begin(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        """Begins something else that outlasts its turn; one that breaks off is not taken up again."""
        self._begin(key, work)

    def unfold(self, place: Place, reply: Reply) -> None:
        """Begins what takes a card's place one after the other, where there is such; the place stands for itself."""
        if reply.unfolds:
            self._begin(f"unfolds:{place.conversation.id}|{place.card}", place.taken_by_each(reply.unfolds))

    def go_on(self, upload: str) -> None:
        """Begins, or takes up, what was decided about an upload."""
        self._begin(upload, self._carry_out(upload))

    def work(self, job: str) -> None:
        """Begins an order for many devices, or goes on with it once what is under way of it here has ended."""
        self._begin(job, self._work(job))

    async def settled(self, upload: str, seconds: float | None = None) -> None:
        """Waits until its job is done, but no longer than that."""
        if task := self._under_way.get(upload):
            await asyncio.wait({task}, timeout=PATIENCE if seconds is None else seconds)

    async def drain(self) -> None:
        """Waits until every job is done."""
        while self._under_way:
            await asyncio.wait(self._under_way.values())

    async def run(self) -> None:
        """Takes up what others left behind, until cancelled; then what is under way stops between two steps."""
        try:
            while True:
                try:
                    await self.look()
                except StoreError as error:
                    log.debug("jobs wait for the store", reason=str(error))
                await self._provisioning.clock.sleep(LOOK_SECONDS)
        finally:
            tasks = list(self._under_way.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self) -> None:
        """Begins every unfinished job that no instance holds."""
        for upload in await self._provisioning.unfinished():
            if upload.id not in self._under_way:
                reading = upload.state is UploadState.READING
                self._begin(upload.id, self._give_up(upload) if reading else self._carry_out(upload.id))
        for job in await self._provisioning.running_jobs():
            if job.id not in self._under_way:
                self.work(job.id)

    def _begin(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        former = self._under_way.get(key)
        task = asyncio.create_task(self._after(former, work))
        self._under_way[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))

    async def _after(self, former: asyncio.Task[None] | None, work: Coroutine[Any, Any, None]) -> None:
        """One job at a time for one upload: what was decided waits until the step before has ended."""
        try:
            if former:
                await asyncio.wait({former})
        except asyncio.CancelledError:
            work.close()
            raise
        await work

    def _ended(self, key: str, task: asyncio.Task[None]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled() and (error := task.exception()):
            log.error("a job broke off", job=key, error=type(error).__name__)

    # -------------------------------------------------------------- the work

    async def _read(self, upload: Upload, coming: Coroutine[Any, Any, bytes]) -> None:
        """Whatever ends it, the message says so: nothing of a sheet that was not read to its end is saved."""
        try:
            async with self._held(upload.id) as held:
                if held:
                    async with self._held_files:
                        await self._read_to_its_end(upload, coming)
        except UploadOver:
            return  # cancelled, and the card says so
        except asyncio.CancelledError:
            with contextlib.suppress(StoreError, UploadOver, TimeoutError):
                async with asyncio.timeout(AFTER_FAULT):
                    await self._provisioning.fail_upload(upload, BROKE_OFF)
            raise
        finally:
            coming.close()

    async def _read_to_its_end(self, upload: Upload, coming: Coroutine[Any, Any, bytes]) -> None:
        try:
            await self._read_sheet(upload, await coming)
        except (StoreError, UploadOver):
            raise
        except ProvisioningError as error:
            await self._provisioning.fail_upload(upload, fault_of(error))

    async def _read_sheet(self, upload: Upload, content: bytes) -> None:
        async with self._readers, read_sheet(content, upload.name) as sheet:
            await self._provisioning.read_upload(upload, sheet)

    async def _give_up(self, upload: Upload) -> None:
        """The instance that read it is gone, and the file with it."""
        async with self._held(upload.id) as held:
            if held:
                with contextlib.suppress(UploadOver):
                    await self._provisioning.fail_upload(upload, BROKE_OFF)

    async def _carry_out(self, key: str) -> None:
        async with self._held(key) as held:
            while held and await self._provisioning.go_on(key):
                pass  # every step waits for the disk: others get their turns

    async def _work(self, key: str) -> None:
        async with self._held(key) as held:
            if held:
                await self._provisioning.carry_out(key)

    @asynccontextmanager
    async def _held(self, key: str) -> AsyncIterator[bool]:
        """Whether the job is this instance's; then it stays so until the end."""
        name = f"upload:{key}"
        if not await self._provisioning.holds(name, LEASE):
            yield False
            return
        renewing = asyncio.create_task(self._renew(name))
        try:
            yield True
        finally:
            renewing.cancel()
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(AFTER_FAULT):
                    await self._provisioning.let_go(name)

    async def _renew(self, name: str) -> None:
        while True:
            await self._provisioning.clock.sleep(RENEW_SECONDS)
            with contextlib.suppress(StoreError):
                await self._provisioning.holds(name, LEASE)


async def _at_hand(content: bytes) -> bytes:
    return content
