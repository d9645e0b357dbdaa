"""`/metrics`, for trusted networks: what is counted, and beside it what the store holds now, read with a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import structlog
from aiohttp import hdrs, web

from bot.limits import Network, caller, parse_address
from bot.metrics import Metrics
from bot.operations import CHECK_SECONDS, STORE, Check, StoreState
from provisioning.bookkeeping import Attempts
from provisioning.errors import StoreError
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.model import Device
from provisioning.ports import Clock, Span, Store
from provisioning.texts import _
from provisioning.throttle import ATTACK_SLOT, EXEMPT_SLOT, FLEET_SLOT

log = structlog.get_logger(__name__)

READ_SECONDS: Final = 0.1  # how long a page waits for the store
READ_EVERY: Final = 5.0  # seconds for which what was read is good enough
READ_ROWS: Final = 250  # of the waiting messages, the oldest, are told apart by lane


class Page:
    """What is read is read when the page is, and kept for some seconds."""

    def __init__(
        self,
        metrics: Metrics,
        store: Store,
        trusted: Sequence[Network],
        proxies: Sequence[Network],
        *,
        clock: Clock,
        check: Check,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """check: as for `/readyz`."""
        self._metrics, self._store, self._trusted, self._proxies, self._now = metrics, store, trusted, proxies, now
        self._clock, self._check = clock, check
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def answer(self, request: web.Request) -> web.Response:
        """403 for whoever does not ask from a trusted network, as far as trusted proxies tell where that is."""
        address = parse_address(caller(request, self._proxies))
        if address is None or not any(address in network for network in self._trusted):
            return web.Response(status=403, text=_("Only trusted networks (TRUSTED_NETWORKS) may read this."))
        await self._read()
        self._known(request.app.get(STORE) or StoreState())
        body, content_type = self._metrics.page(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-store"})

    def _known(self, state: StoreState) -> None:
        self._metrics.gauge("store_verified_timestamp_seconds", _seconds(state.verified_at))
        self._metrics.gauge("swept_timestamp_seconds", _seconds(state.swept_at))
        self._metrics.gauge("clock_timestamp_seconds", self._clock.now().timestamp())

    async def _read(self) -> None:
        async with self._reading:
            if self._now() - self._read_at < READ_EVERY:
                return
            self._read_at = self._now()
            self._metrics.gauge("readiness_faults", await self._faults())
            for reading in (self._waiting, self._held, self._defended):
                await self._quickly(reading)

    async def _quickly(self, reading: Callable[[], Awaitable[None]]) -> None:
        """Where the store is away or slow, the page shows what it last read, and since when."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                await reading()
        except (TimeoutError, StoreError) as error:
            log.info("metrics show what was read before", reason=type(error).__name__)

    async def _faults(self) -> int:
        """How many there are; a check that hangs or fails is one."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return len(await self._check())
        except Exception as error:
            log.info("metrics could not check", reason=type(error).__name__)
            return 1

    async def _waiting(self) -> None:
        total, oldest = 0, list[OutboxMessage]()
        for status in (MessageStatus.WAITING, MessageStatus.OUTGOING):
            total += await self._store.count(OutboxMessage, status=status.value)
            oldest += (await self._store.find(OutboxMessage, limit=READ_ROWS, status=status.value)).rows
        self._metrics.waits(total, oldest)

    async def _defended(self) -> None:
        self._metrics.defends(await self._store.get_many(Attempts, (FLEET_SLOT, EXEMPT_SLOT, ATTACK_SLOT)))

    async def _held(self) -> None:
        codes = await self._store.count(Device, span=Span("code_until", after=self._clock.now()))
        sign_ins = await self._store.count(Device, span=Span("sign_in_until"))
        self._metrics.holds(await self._store.tally(), codes, sign_ins)


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
