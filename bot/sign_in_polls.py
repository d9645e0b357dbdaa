"""Polls the identity provider for every live sign-in, each on its own time (RFC 8628, 3.5)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from provisioning.errors import StoreError
from provisioning.provider_errors import ProviderAway
from provisioning.service import Provisioning
from provisioning.service.signing import TAKEN_OVER
from provisioning.signin import SignIn, Stage

log = structlog.get_logger(__name__)

LOOK_EVERY: Final = 1.0  # seconds after which a flow that another turn or instance began is found
LOOK_AT_ALL: Final = timedelta(seconds=15)  # in between only at what is new: reading hundreds takes its time
FOUND_BY: Final = 4.0  # seconds; whoever finds a flow later than that may not be the first who polls it
LEASE: Final = timedelta(seconds=15)  # after a crash another instance polls on within that time
RENEW: Final = timedelta(seconds=5)
TOGETHER, APART = 10, 1 / 6  # of hundreds taken over at once so many are polled at a time, then after so many seconds
NAME: Final = "sign-ins"
AT_THE_END: Final = 2.0  # seconds for polls under way when the service ends
AFTER_FAULT: Final = 1.0  # seconds before the store is asked again


class SignInPolls:
    """One per process. On several instances one polls at a time: two would be told to slow down."""

    def __init__(self, provisioning: Provisioning) -> None:
        self._provisioning = provisioning
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._under_way: set[str] = set()  # flows that are just asked for: an account is given out only once
        self._ending = False
        self._renew_at: datetime | None = None
        self._all_seen_at: datetime | None = None  # when all live flows were looked at
        self._latest: datetime | None = None  # the end of the code that ends last

    async def run(self) -> None:
        """Until cancelled; then another instance may go on at once."""
        try:
            while True:
                try:
                    await self.look()
                except StoreError as error:
                    log.debug("sign-ins wait for the store", reason=str(error))  # the sweep tells of it, once
                await self._provisioning.clock.sleep(LOOK_EVERY)
        finally:
            await self._finish()
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(AFTER_FAULT):
                    await self._provisioning.let_go(NAME)

    async def look(self) -> None:
        """Follows every live flow that is not followed yet, where this instance is the one that polls."""
        count = await self._provisioning.count_sign_ins()
        if not count:
            self._renew_at = None
            return
        if not await self._holds():
            return await self._let_go({*self._followed} - self._under_way)
        now = self._provisioning.now()
        live = await self._live(now, count)
        new = [(mac, flow) for mac, flow in live if flow.id not in self._followed and _ours(flow, now)]
        for place, (mac, flow) in enumerate(new):
            later = min(place // TOGETHER * APART, flow.interval * place / len(new))
            task = asyncio.create_task(self._follow(mac, flow, later))
            self._followed[flow.id] = task
            task.add_done_callback(partial(self._forget, flow.id))
        return None

    async def _live(self, now: datetime, count: int) -> Collection[tuple[str, SignIn]]:
        """Every live flow now and then, or where one is missing; else those that came since, or have no code yet.

        The store finds a flow by the end of its code, which is later for a newer one, or by when it was asked for.
        """
        seen_at = self._all_seen_at
        if self._latest and seen_at and timedelta(0) <= now - seen_at < LOOK_AT_ALL:
            live = await self._lately(now, self._latest)
            if len(self._followed.keys() | live.keys()) >= count:
                return live.values()
        found = await self._provisioning.live_sign_ins()
        self._all_seen_at = now
        self._latest = max((now, *(flow.expires_at for _mac, flow in found if flow.expires_at)))
        return found

    async def _lately(self, now: datetime, latest: datetime) -> Mapping[str, tuple[str, SignIn]]:
        live_sign_ins, since = self._provisioning.live_sign_ins, latest - timedelta(microseconds=1)
        found = [*await live_sign_ins(after=since), *await live_sign_ins(until=now)]
        self._latest = max((latest, *(flow.expires_at for _mac, flow in found if flow.expires_at)))
        return {flow.id: (mac, flow) for mac, flow in found}

    def _forget(self, flow_id: str, _task: asyncio.Task[None]) -> None:
        self._followed.pop(flow_id, None)

    async def _holds(self) -> bool:
        now = self._provisioning.now()
        if self._renew_at is None or not now < self._renew_at <= now + RENEW:
            if not await self._provisioning.holds(NAME, LEASE):
                self._renew_at = self._all_seen_at = None
                return False
            self._renew_at = now + RENEW
        return True

    async def _finish(self) -> None:
        """Polls that are under way are finished and saved; those that take long are given up."""
        self._ending = True
        await self._let_go({*self._followed} - self._under_way)
        if tasks := list(self._followed.values()):
            await asyncio.wait(tasks, timeout=AT_THE_END)
        await self._let_go({*self._followed})

    async def _let_go(self, flows: Collection[str]) -> None:
        tasks = [self._followed[flow_id] for flow_id in flows]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, mac: str, flow: SignIn, later: float) -> None:
        """One flow, from its next poll to its end. A provider's answer that could not be saved is saved later."""
        provisioning, faults = self._provisioning, 0
        pause: float | None = _first_pause(flow, provisioning.now(), later)
        while pause is not None:
            await provisioning.clock.sleep(pause)
            pause, faults = await self._poll(mac, flow.id, faults)
            if self._renew_at is None or self._ending:
                return  # another instance polls from now on

    async def _poll(self, mac: str, flow_id: str, faults: int) -> tuple[float | None, int]:
        provisioning, answer = self._provisioning, None
        self._under_way.add(flow_id)
        try:
            while True:
                try:
                    answer = answer or await provisioning.ask_provider(mac, flow_id)
                    if answer is None:
                        return None, 0
                    pause = await provisioning.take_answer(mac, flow_id, answer, faults)
                except StoreError as error:
                    log.warning("a sign-in waits for the store", reason=str(error))
                    await provisioning.clock.sleep(AFTER_FAULT)
                else:
                    return pause, faults + 1 if isinstance(answer, ProviderAway) else 0
        finally:
            self._under_way.discard(flow_id)


def _ours(flow: SignIn, now: datetime) -> bool:
    """Whoever asked for a code takes it in the same turn; only what is left behind is gone on with here."""
    return flow.stage is Stage.CODE_SHOWN or now - flow.asked_at >= TAKEN_OVER


def _first_pause(flow: SignIn, now: datetime, later: float) -> float:
    """Seconds until the first poll: one interval after the code came; later on, after somebody else may have polled.

    later: added where that is only the moment of taking over, which would keep hundreds in step from then on.
    """
    if flow.shown_at is None:
        return 0.0
    since = (now - flow.shown_at).total_seconds()
    if 0 <= since < min(flow.interval, FOUND_BY):
        return flow.interval - since
    return flow.interval + later
