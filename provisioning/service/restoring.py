"""After a backup was put back: what it knows of codes is old, so that none of them may live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from provisioning.events import CodeRevoked, Event, StoreRestored
from provisioning.model import Change, Device, OutboxMessage, Post, Rollout
from provisioning.notifications import edit
from provisioning.ports import Span
from provisioning.service.people import SERVICE
from provisioning.service.unit import UseCases

VOID_CHUNK = 500
STORE = "store"  # subject of the fact


class Restoring(UseCases):
    async def void_codes(
        self, taken_at: datetime | None = None, progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Every code dies, seal and hash, and so does every answer that could be given again for one.

        For a code may have been used, revoked or reissued after the backup was taken. Says so in the audit, and has
        the cards that showed a code, and those of the rollouts, drawn anew. Returns how many codes were live.
        """
        total = await self.store.count(Device)
        codes = await self._void_all(progress or _quietly, total)
        span = [Span("code_until"), Span("hashed_until")]
        while any([await self.store.count(Device, span=each) for each in span]):  # issued or moved meanwhile
            codes += await self._void_all(_quietly, total)
        await self.unit(SERVICE, partial(self._decide_told, taken_at, codes))
        return codes

    async def _void_all(self, progress: Callable[[int, int], None], total: int) -> int:
        codes, done, after = 0, 0, None
        while True:
            page = await self.store.find(Device, after=after, limit=VOID_CHUNK)
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
        for mac in macs:
            device = await self.store.get(Device, mac)
            if device is None or not _opens(device):
                continue
            puts.append(replace(device, code=None, retry_key="", retry_until=None))
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


def _opens(device: Device) -> bool:
    """There is something about it that a code could be traded for."""
    return device.code is not None or bool(device.retry_key)


def _quietly(_done: int, _total: int) -> None:
    return
