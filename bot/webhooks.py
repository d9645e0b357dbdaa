"""Sends events to the configured endpoints: out of the outbox, in order, signed as Standard Webhooks has it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Final

import aiohttp
import structlog
from aiohttp import hdrs, web

from bot.messenger import retry_after
from bot.workers import Loop
from provisioning.cloudevents import MEDIA_TYPE
from provisioning.errors import StoreError
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.service import Provisioning
from provisioning.service.webhooks import SERVED
from provisioning.webhooks import (
    BROKEN,
    GONE,
    NO_CONNECTION,
    OFF,
    SLOW,
    UNTRUSTED,
    Endpoint,
    Failure,
    asked_again_at,
    signed,
)

log = structlog.get_logger(__name__)

CALL_SECONDS: Final = 10.0  # for everything: the connection, TLS, and the answer's head
AGENT: Final = "provisioning-bot"
AT_ONCE: Final = 20  # events read together; they are sent one by one
LONGEST_WAIT: Final = 5.0  # seconds; what another instance leaves behind is found this late at the most
STOP_SECONDS: Final = 3.0  # for a call that is under way when the service ends
AFTER_FAULT: Final = 1.0  # seconds before the store is asked again

# Why no answer came, the most special first.
_FAULTS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (TimeoutError, SLOW),
    (aiohttp.ClientConnectorCertificateError, UNTRUSTED),
    (aiohttp.ClientSSLError, UNTRUSTED),
    (aiohttp.ClientConnectorError, NO_CONNECTION),
    (Exception, BROKEN),
)


class Hooks:
    """One per process, beside the relay that tells people: neither waits for the other, nor do endpoints."""

    def __init__(
        self,
        provisioning: Provisioning,
        *,
        seconds: float = CALL_SECONDS,
        longest_wait: float = LONGEST_WAIT,
        jitter: Callable[[], float] = random.random,
        around: Callable[[OutboxMessage], AbstractContextManager[None]] = lambda message: nullcontext(),
    ) -> None:
        """around: what is entered for each attempt."""
        self._around = around
        self._provisioning, self._jitter, self._longest_wait = provisioning, jitter, longest_wait
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._session: aiohttp.ClientSession | None = None
        self._gone: dict[str, datetime] = {}  # endpoint → when it answered 410
        self._under_way: dict[str, asyncio.Task[bool]] = {}  # endpoint → the call to it

    async def run(self) -> None:
        """Until cancelled. Without endpoints it asks once whether something is left for former ones, and rests."""
        await self._provisioning.abandon_events()
        async with asyncio.TaskGroup() as group:
            for endpoint in self._provisioning.policy.webhooks:
                group.create_task(self._serve(endpoint))
            await asyncio.Event().wait()

    async def drain(self) -> None:
        """Send all that is due now."""
        await self._provisioning.abandon_events()
        await asyncio.gather(*(self.forward(endpoint) for endpoint in self._provisioning.policy.webhooks))

    async def _serve(self, endpoint: Endpoint) -> None:
        try:
            async with self._provisioning.store.watch("outbox") as watch:
                while True:
                    try:
                        await watch.wait(await self.forward(endpoint))
                    except StoreError as error:
                        log.debug("events wait for the store", reason=str(error))  # the sweep tells of it, once
                        await asyncio.sleep(AFTER_FAULT)
                    except Exception:  # a fault of ours, that ends here: the other endpoints have none of it
                        log.exception("events wait for their sender", endpoint=endpoint.name)
                        await asyncio.sleep(self._longest_wait)
        finally:
            await self._end(endpoint)

    async def _end(self, endpoint: Endpoint) -> None:
        """What is under way is finished, so that nothing is sent twice for a clean stop; a hanging call is given up."""
        if task := self._under_way.get(endpoint.name):
            await asyncio.wait({task}, timeout=STOP_SECONDS)
            task.cancel()
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(AFTER_FAULT):
                await self._provisioning.leave_endpoint(endpoint.name)

    async def forward(self, endpoint: Endpoint) -> float:
        """Sends what is due to one endpoint, in order; returns the seconds until there may be more to do."""
        while first := await self._provisioning.next_events(endpoint.name, 1):
            left = (first[0].due_at - self._provisioning.now()).total_seconds()
            if left > 0:
                return min(left, self._longest_wait)
            if not await self._provisioning.serves(endpoint.name):
                break  # another instance does
            await self._send_some(endpoint)
        return self._longest_wait

    async def _send_some(self, endpoint: Endpoint) -> None:
        """As much as can be begun while the endpoint is surely ours."""
        began = self._provisioning.now()
        for message in await self._provisioning.next_events(endpoint.name, AT_ONCE):
            now = self._provisioning.now()
            if message.due_at > now or now - began > SERVED / 3:
                return
            task = self._under_way[endpoint.name] = asyncio.create_task(self._deliver(endpoint, message))
            if not await asyncio.shield(task):
                return

    async def _deliver(self, endpoint: Endpoint, message: OutboxMessage) -> bool:
        """One attempt, and what becomes of the event; False: it is to come again."""
        structlog.contextvars.bind_contextvars(message=message.id, endpoint=endpoint.name)  # a task of its own
        with self._around(message):
            failure = await self._attempt(endpoint, message)
        if failure is None:
            self._gone.pop(endpoint.name, None)
            await self._provisioning.event_taken(message)
            return True
        if failure.why == GONE:
            self._gone[endpoint.name] = self._provisioning.now()
        fate = await self._provisioning.event_not_taken(message, failure, self._jitter())
        log.info("an endpoint did not take an event", reason=failure.word, fate=fate.status)
        return fate.status is not MessageStatus.OUTGOING

    async def _attempt(self, endpoint: Endpoint, message: OutboxMessage) -> Failure | None:
        """None: it was taken."""
        if self._is_off(endpoint.name, message):
            return Failure(OFF)
        params = dict(message.params)
        try:
            return await self._post(endpoint, params["event"], params["body"].encode())
        except (aiohttp.ClientError, OSError) as fault:  # a time-out is one of these
            return Failure(next(why for kind, why in _FAULTS if isinstance(fault, kind)))

    def _is_off(self, name: str, message: OutboxMessage) -> bool:
        """An endpoint that said it is gone is left alone until a restart, or until an admin sends something again."""
        gone, asked = self._gone.get(name), asked_again_at(message)
        return gone is not None and not (asked and asked > gone)

    async def _post(self, endpoint: Endpoint, event: str, body: bytes) -> Failure | None:
        headers = {
            hdrs.CONTENT_TYPE: f"{MEDIA_TYPE}; charset=utf-8",
            hdrs.USER_AGENT: AGENT,
            **signed(event, body, endpoint.secrets, self._provisioning.now()),
        }
        async with self._open().post(endpoint.url, data=body, headers=headers, allow_redirects=False) as answer:
            if 200 <= answer.status < 300:  # its body says nothing to us, and is never read
                return None
            return Failure.of(answer.status, _pause(answer.headers))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def close(self, _app: web.Application | None = None) -> None:
        if self._session is not None:
            await self._session.close()


def _pause(headers: Mapping[str, str]) -> float | None:
    return retry_after(headers.get(hdrs.RETRY_AFTER))


HOOKS: Final = web.AppKey("HOOKS", Hooks)


def add_to(
    app: web.Application,
    provisioning: Provisioning,
    around: Callable[[OutboxMessage], AbstractContextManager[None]] = lambda message: nullcontext(),
) -> Loop:
    """The loop that sends events."""
    app[HOOKS] = hooks = Hooks(provisioning, around=around)
    app.on_cleanup.append(hooks.close)
    return hooks.run
