"""Webhooks as admins see them: where events go, what did not arrive, and sending that again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from provisioning.access import Permission, require
from provisioning.errors import NotFound
from provisioning.events import WebhookReplayed
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.model import Actor, Change
from provisioning.ports import Span
from provisioning.service.housekeeping import Housekeeping
from provisioning.texts import N_
from provisioning.webhooks import UNKNOWN, Endpoint, Failure, after_failure, again, lane_of, settled

LOOK_BACK = timedelta(days=7)  # so long what was delivered is kept
SHOWN = 5  # dead letters of an endpoint
CHUNK = 500  # sent again in one unit
SERVED = timedelta(minutes=1)  # how long an endpoint is one instance's; longer than a call may take
MOST = 5_000  # sent again on one word


class EndpointNotFound(NotFound):
    code = "endpoint_not_found"
    message = N_('There is no webhook endpoint "{name}". webhooks lists those there are.')


@dataclass(frozen=True, slots=True)
class EndpointState:
    """How one endpoint stands. `dead` are its oldest dead letters, `dead_count` is how many there are."""

    endpoint: Endpoint
    delivered_at: datetime | None
    waiting: int
    next_one: OutboxMessage | None  # the oldest that waits: all others of it wait behind this one
    dead_count: int
    dead: tuple[OutboxMessage, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """`count` events are on their way again; `left` are dead letters still."""

    names: tuple[str, ...]
    count: int
    left: int


class Webhooks(Housekeeping):
    # -------------------------------------------------------------- for whoever sends them

    async def next_events(self, name: str, limit: int) -> Sequence[OutboxMessage]:
        """The oldest events that wait for an endpoint, whether they are due or not."""
        return (await self.store.find(OutboxMessage, lane=lane_of(name), limit=limit)).rows

    async def serves(self, name: str) -> bool:
        """Whether this instance sends to the endpoint for the next minute: one at a time, so that order holds."""
        return await self.holds(lane_of(name), SERVED)

    async def leave_endpoint(self, name: str) -> None:
        """Another instance may serve it at once."""
        await self.let_go(lane_of(name))

    async def event_taken(self, message: OutboxMessage) -> None:
        """The endpoint took it."""
        await self._put_event(settled(message, MessageStatus.SENT, self.now()))

    async def event_not_taken(self, message: OutboxMessage, failure: Failure, jitter: float) -> OutboxMessage:
        """It comes again later, or is a dead letter from here on."""
        fate = after_failure(message, failure, self.now(), jitter)
        await self._put_event(fate)
        return fate

    async def abandon_events(self) -> int:
        """Events for endpoints that are not in the file any more become dead letters; returns how many."""
        known, count, after = {lane_of(each.name) for each in self.policy.webhooks}, 0, None
        while True:
            page = await self.store.find(OutboxMessage, status=MessageStatus.OUTGOING.value, after=after, limit=CHUNK)
            lost = [m for m in page.rows if m.lane not in known]
            for message in lost:
                await self.event_not_taken(message, Failure(UNKNOWN), 0.0)
            count, after = count + len(lost), page.after
            if after is None:
                return count

    async def _put_event(self, message: OutboxMessage) -> None:
        async def decide() -> tuple[Change, None]:
            known = await self.store.get(OutboxMessage, message.id)
            mine = known is not None and known.version == message.version
            return Change(puts=(message,) if mine else ()), None  # else another instance was faster

        await self.quietly(decide)

    # -------------------------------------------------------------- what admins see and say

    async def endpoints(self, actor: Actor, name: str = "") -> list[EndpointState]:
        """The endpoint of that name, or all. Errors: `EndpointNotFound`."""
        require(actor, Permission.RUN_WEBHOOKS)
        return [await self._endpoint_state(endpoint) for endpoint in self._endpoints_named(name)]

    async def replay(self, actor: Actor, name: str = "") -> Replayed:
        """The dead letters of that endpoint, or of all, are sent again, the oldest first, with the ids they had.

        At most 5 000 at once. Errors: `EndpointNotFound`.
        """
        require(actor, Permission.RUN_WEBHOOKS)
        endpoints, count, left = self._endpoints_named(name), 0, 0
        for endpoint in endpoints:
            while count < MOST:
                sent = await self.unit(
                    actor, partial(self._decide_replay, actor, endpoint), part=f"{endpoint.name}:{count}"
                )
                count += sent
                if sent < CHUNK:
                    break
            left += await self._events_in(endpoint, MessageStatus.UNDELIVERABLE)
        return Replayed(tuple(endpoint.name for endpoint in endpoints), count, left)

    async def _decide_replay(self, actor: Actor, endpoint: Endpoint) -> tuple[Change, int]:
        dead = await self._dead_letters(endpoint, CHUNK)
        if not dead:
            return Change(), 0
        fact = WebhookReplayed(at=self.now(), actor=actor.id, subject=endpoint.name, count=len(dead))
        return Change(puts=tuple(again(message, self.now()) for message in dead), events=(fact,)), len(dead)

    def _endpoints_named(self, name: str) -> Sequence[Endpoint]:
        found = [each for each in self.policy.webhooks if name.casefold() in ("", each.name)]
        if name and not found:
            raise EndpointNotFound(name=name)
        return found

    async def _endpoint_state(self, endpoint: Endpoint) -> EndpointState:
        waiting = await self.store.find(OutboxMessage, lane=lane_of(endpoint.name), limit=1)
        return EndpointState(
            endpoint=endpoint,
            delivered_at=await self._delivered_at(endpoint),
            waiting=await self._events_in(endpoint, MessageStatus.OUTGOING),
            next_one=waiting.rows[0] if waiting.rows else None,
            dead_count=await self._events_in(endpoint, MessageStatus.UNDELIVERABLE),
            dead=await self._dead_letters(endpoint, SHOWN),
        )

    async def _dead_letters(self, endpoint: Endpoint, limit: int) -> tuple[OutboxMessage, ...]:
        lane = lane_of(endpoint.name, MessageStatus.UNDELIVERABLE)
        return (await self.store.find(OutboxMessage, lane=lane, limit=limit)).rows

    async def _events_in(self, endpoint: Endpoint, status: MessageStatus) -> int:
        return await self.store.count(OutboxMessage, lane=lane_of(endpoint.name, status))

    async def _delivered_at(self, endpoint: Endpoint) -> datetime | None:
        """When it last took something, to the second: halved until found, for the store lists the oldest first."""
        late, early = self.now(), self.now() - LOOK_BACK
        if not await self._took(endpoint, early):
            return None
        while late - early > timedelta(seconds=1):
            middle = early + (late - early) / 2
            early, late = (middle, late) if await self._took(endpoint, middle) else (early, middle)
        return late

    async def _took(self, endpoint: Endpoint, after: datetime) -> bool:
        lane, span = lane_of(endpoint.name, MessageStatus.SENT), Span("settled", after=after)
        return bool((await self.store.find(OutboxMessage, lane=lane, span=span, limit=1)).rows)
