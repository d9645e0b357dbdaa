"""Refused codes that are looked at once their answer is out; the digits are held in memory for as long as that."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from provisioning.errors import StoreError

log = structlog.get_logger(__name__)

AT_ONCE: Final = 32  # more are dropped: a hint that is missing now and then is better than a service that is busy
SOON: Final = (0.2, 1.2)  # seconds after the answer, at random: a call right behind it meets no work that tells of it
AT_THE_END: Final = 5.0  # seconds that those under way get when the service ends
DIAGNOSES: Final[web.AppKey[Diagnoses]] = web.AppKey("diagnoses")


class Diagnoses:
    """Those under way in one process; whatever goes wrong with one is logged, and concerns nobody else."""

    def __init__(self, diagnose: Callable[[str, str, str], Awaitable[object]], at_once: int = AT_ONCE) -> None:
        self._diagnose, self._at_once = diagnose, at_once
        self._hurry = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, mac: str, code: str, source: str) -> None:
        if len(self._under_way) >= self._at_once:
            log.info("a refused code was not looked at", under_way=self._at_once)
            return
        task = asyncio.create_task(self._safely(mac, code, source))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def drain(self) -> None:
        """Those that wait begin now; returns when all are done."""
        self._hurry.set()
        while self._under_way:
            await asyncio.wait(self._under_way)
        self._hurry.clear()

    async def close(self, _app: web.Application) -> None:
        """Those under way are finished, or given up where that takes long."""
        self._hurry.set()
        under_way = list(self._under_way)
        if under_way:
            _done, late = await asyncio.wait(under_way, timeout=AT_THE_END)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _for_a_while(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(*SOON)):  # noqa: S311 - it hides milliseconds, not a secret
                await self._hurry.wait()

    async def _safely(self, mac: str, code: str, source: str) -> None:
        await self._for_a_while()
        try:
            await self._diagnose(mac, code, source)
        except StoreError as error:
            log.debug("a diagnosis gives way", reason=error.code)
        except Exception as fault:  # without its trace: the digits stand in the frames
            log.error("a diagnosis failed", fault=type(fault).__name__)
