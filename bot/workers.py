"""The loops that run beside the doors: outbox relay, long jobs, sign-in polls, sweep, verification."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import structlog
from aiohttp import web

from bot.group_questions import look_again
from bot.jobs import Jobs
from bot.operations import STORE, StoreState
from bot.relay import Relay
from bot.sign_in_polls import SignInPolls
from provisioning.errors import StoreError, Unavailable
from provisioning.service import Provisioning

log = structlog.get_logger(__name__)

Context = Callable[[web.Application], AsyncIterator[None]]
Loop = Callable[[], Coroutine[Any, Any, None]]

SWEEP_SECONDS = 20.0
AFTER_FAULT = 1.0
VERIFY_AFTER = 2.0  # seconds; the first answers come first
VERIFY_EVERY = 24 * 60 * 60.0
VERIFY_AGAIN = 60.0  # where it could not be done, or found a fault


async def sweep(provisioning: Provisioning, state: StoreState, every: float = SWEEP_SECONDS) -> None:
    """Codes that ended lose their sealed copy and their cards say so, within `every` seconds."""
    try:
        while True:
            try:
                await provisioning.sweep()
                state.swept_at = provisioning.now()
                await provisioning.store.check()  # the few bytes of a sweep find room where nothing else does
                state.well()
            except Unavailable as fault:
                state.trouble(fault.reason)
            except StoreError as error:
                log.warning("the sweep gives way", reason=str(error))
            await provisioning.clock.sleep(every)
    finally:
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(AFTER_FAULT):
                await provisioning.rest()


async def verify(provisioning: Provisioning, state: StoreState) -> None:
    """Reads the store through soon after the start and then once a day; a fault is told once.

    Every instance looks for itself when it starts. Of several on one store, one does it on the days that follow.
    """
    await provisioning.clock.sleep(VERIFY_AFTER)
    while True:
        try:
            await (provisioning.verify_in_turn() if provisioning.verified_at else provisioning.verify())
            state.verified_at = provisioning.verified_at
            pause = VERIFY_EVERY
        except Unavailable as fault:
            state.trouble(fault.reason)
            pause = VERIFY_AGAIN
        await provisioning.clock.sleep(pause)


def beside(**loops: Loop) -> Context:
    """Loops for `app.cleanup_ctx`: begin with the service and after a fault anew, and end with it, all at once.

    Their names stand in what they log.
    """

    async def context(_app: web.Application) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(_without_end(name, loop)) for name, loop in loops.items()]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return context


async def _without_end(name: str, loop: Loop) -> None:
    structlog.contextvars.bind_contextvars(worker=name)  # a task has a context of its own
    while True:
        try:
            await loop()
        except Exception:
            log.exception("a worker begins anew")
            await asyncio.sleep(AFTER_FAULT)


def of(provisioning: Provisioning, relay: Relay, jobs: Jobs, polls: SignInPolls, hooks: Loop) -> list[Context]:
    state = StoreState()

    async def known(app: web.Application) -> AsyncIterator[None]:
        app[STORE] = state
        yield

    return [
        known,
        beside(
            relay=relay.run,
            jobs=jobs.run,
            polls=polls.run,
            webhooks=hooks,
            sweep=lambda: sweep(provisioning, state),
            verify=lambda: verify(provisioning, state),
            groups=lambda: look_again(provisioning),
        ),
    ]
