"""Small steps that many take at the same moment are saved together: what they cost the store, they cost it once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import chain

from provisioning.errors import ProvisioningError
from provisioning.model import Change, Record

MOST = 32  # changes in one piece: the event loop is held for some milliseconds, and no chat turn waits longer

Save = Callable[[Change], Awaitable[None]]
Key = tuple[type[Record], str]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    change: Change
    saved: asyncio.Future[bool]
    context: Context = field(default_factory=copy_context)

    @property
    def keys(self) -> set[Key]:
        return {(type(record), record.key) for record in (*self.change.puts, *self.change.deletes)}

    def hears(self, saved: bool | ProvisioningError) -> None:
        if self.saved.done():  # nobody waits any more where its caller was cancelled
            return
        if isinstance(saved, ProvisioningError):
            self.saved.set_exception(saved)
        else:
            self.saved.set_result(saved)


class Gathering:
    """Changes that were decided while others were being saved share the next save: one audience, one commit.

    Each was decided by itself from committed state, and the store checks every version: two that touch the same record
    never go together, and whoever was decided before such a record was saved is told to decide anew.
    """

    def __init__(self, save: Save) -> None:
        self._save = save
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None  # at most one is under way

    async def saved(self, change: Change) -> bool:
        """True once it is durable. False: a record of it was saved meanwhile, so decide anew.

        Errors: those of the piece it was saved in. After `Unavailable` it may be saved or not; after any other it is
        not, and which change of the piece is at fault is heard by saving it alone.
        """
        waiting = _Waiting(change, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._task is None:
            self._begin()
        return await waiting.saved

    def _begin(self) -> None:
        """In the context of whoever waits longest: a task of its own, which no caller's end cancels."""
        self._task = asyncio.create_task(self._together(), context=self._waiting[0].context)

    async def _together(self) -> None:
        batch, touched = self._apart()
        saved: bool | ProvisioningError = False
        try:
            await self._save(_sum(each.change for each in batch))
            saved = True
        except ProvisioningError as fault:
            saved = fault
        finally:
            for each in batch:
                each.hears(saved)
            self._waiting, late = _parted(self._waiting, touched if saved is True else set())
            for each in late:
                each.hears(False)
            self._task = None
            if self._waiting:
                self._begin()

    def _apart(self) -> tuple[list[_Waiting], set[Key]]:
        """The next ones, none of which touches a record of another; the rest stays and waits."""
        batch, rest, touched = list[_Waiting](), list[_Waiting](), set[Key]()
        for each in self._waiting:
            if each.saved.done():
                continue  # its caller is gone, and nobody would hear the token that the code was traded for
            keys = each.keys
            free = len(batch) < MOST and touched.isdisjoint(keys)
            (batch if free else rest).append(each)
            touched |= keys if free else set()
        self._waiting = rest
        return batch, touched


def _sum(changes: Iterable[Change]) -> Change:
    parts = list(changes)
    return Change(
        tuple(chain.from_iterable(each.puts for each in parts)),
        tuple(chain.from_iterable(each.deletes for each in parts)),
        tuple(chain.from_iterable(each.events for each in parts)),
    )


def _parted(waiting: list[_Waiting], touched: set[Key]) -> tuple[list[_Waiting], list[_Waiting]]:
    """Those that are still as they were decided, and those whose records were saved meanwhile."""
    late = [each for each in waiting if not touched.isdisjoint(each.keys)]
    return [each for each in waiting if each not in late], late
