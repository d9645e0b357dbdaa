"""The loops that run beside the doors: the outbox relay and the sweep of codes that ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import structlog
from aiohttp import web

from bot.relay import Relay
from provisioning.errors import StoreError
from provisioning.service import Provisioning

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 20.0
AFTER_FAULT = 1.0


async def sweep(provisioning: Provisioning, every: float = SWEEP_SECONDS) -> None:
    """Codes that ended lose their sealed copy and their cards say so, within `every` seconds."""
    while True:
        try:
            await provisioning.sweep()
        except StoreError as error:
            log.warning("the sweep waits for the store", reason=str(error))
        await provisioning.clock.sleep(every)


def beside(loop: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[web.Application], AsyncIterator[None]]:
    """A loop for `app.cleanup_ctx`: begins with the service and ends with it; after a fault it begins anew."""

    async def context(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(_without_end(loop))
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return context


async def _without_end(loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await loop()
        except Exception:
            log.exception("a worker begins anew")
            await asyncio.sleep(AFTER_FAULT)


def of(provisioning: Provisioning, relay: Relay) -> list[Callable[[web.Application], AsyncIterator[None]]]:
    return [beside(relay.run), beside(lambda: sweep(provisioning))]
