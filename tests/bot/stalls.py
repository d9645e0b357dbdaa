"""How long the event loop is kept from its work: a beat every few milliseconds, and the longest gap between two."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Self

BEAT = 0.002  # seconds


class Stalls:
    """async with Stalls() as stalls: …; then `stalls.longest` seconds, beyond the beat itself."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._beating = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._beating is not None
        self._beating.cancel()
        await asyncio.wait({self._beating})

    async def _beat(self) -> None:
        while True:
            before = perf_counter()
            await asyncio.sleep(BEAT)
            self.longest = max(self.longest, perf_counter() - before - BEAT)
