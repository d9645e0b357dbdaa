"""What the service counts, as Prometheus reads it: one table of metrics, one registry, one page for trusted networks.

A new metric is a row of `METRICS`, and one line where it is counted. Labels hold kinds and classes, never a person, a
MAC, a conversation: their values are few, and known beforehand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

import structlog
from aiohttp import hdrs, web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder

from bot.limits import Network, caller, parse_address
from provisioning.bookkeeping import Attempts
from provisioning.errors import StoreError
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.ports import Clock, Store
from provisioning.texts import _
from provisioning.throttle import ATTACK_SLOT, EXEMPT, EXEMPT_SLOT, FLEET, FLEET_SLOT, used

log = structlog.get_logger(__name__)

M = TypeVar("M", Counter, Gauge, Histogram)

PREFIX: Final = "provisioning_"
READ_SECONDS: Final = 0.1  # how long a page waits for the store
READ_EVERY: Final = 5.0  # seconds for which what was read is good enough
READ_ROWS: Final = 250  # of the waiting messages, the oldest, are told apart by lane


class Outcome(StrEnum):
    """What became of a message in the outbox."""

    QUEUED = "queued"  # asked for, also where one that says the same waits already and is enough
    TAKEN = "taken"  # its turn came for the first time
    SENT = "sent"
    EDITED = "edited"  # a card that stands in a chat was drawn anew
    RETRIED = "retried"  # did not get through, comes again
    DROPPED = "dropped"  # nothing to say any more when its turn came
    UNDELIVERABLE = "undeliverable"


class Lane(StrEnum):
    """Whose turn a message waits for."""

    CHAT = "chat"
    CHANNEL = "channel"
    CARD = "card"
    WEBHOOK = "webhook"
    BEYOND = "beyond"  # waits behind the rows that were told apart


class Call(StrEnum):
    SEND = "send"
    UPDATE = "update"
    DELETE = "delete"
    OPEN_CHAT = "open_chat"
    MEMBER = "member"
    MEMBERS = "members"


class Origin(StrEnum):
    TURN = "turn"  # an answer to what somebody said or pressed, in the same call
    OUTBOX = "outbox"


class Result(StrEnum):
    OK = "ok"
    THROTTLED = "throttled"  # 429 and 412
    UNREACHABLE = "unreachable"  # 403 and 404
    POST_GONE = "post_gone"
    REJECTED = "rejected"
    TRY_AGAIN = "try_again"  # 5xx, a time-out, a network fault
    OTHER = "other"


class Ways(StrEnum):
    """What a turn began with."""

    MESSAGE = "message"
    PRESS = "press"
    REFRESH = "refresh"
    JOINED = "joined"
    LEFT = "left"
    CONSENT = "consent"
    SEARCH = "search"


class Heard(StrEnum):
    """What came of a device's MAC and code."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"  # the same call again, answered again
    REFUSED = "refused"
    EXPIRED = "expired"  # the right code, too late
    INVALID = "invalid"  # no MAC or no complete code: costs no try
    RESET_REQUIRED = "reset_required"
    SLOWED_PAIR = "slowed_pair"  # told to wait, by the limit of its MAC and network
    SLOWED_NETWORK = "slowed_network"
    SLOWED_FLEET = "slowed_fleet"
    SLOWED_EXEMPT = "slowed_exempt"  # by the second limit of the fleet
    FAULT = "fault"  # the store was away, or a fault of ours


class Budget(StrEnum):
    """The limits of the whole fleet."""

    FLEET = FLEET.name
    EXEMPT = EXEMPT.name  # of networks that the first one does not concern


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: its name without the prefix, its help, its labels, and of a histogram the upper bounds."""

    name: str
    help: str
    kind: type[Counter | Gauge | Histogram]
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


# What a label may hold: all of it, known beforehand.
LABELS: Final[Mapping[str, frozenset[str]]] = {
    "kind": frozenset(MessageKind),
    "outcome": frozenset(Outcome),
    "lane": frozenset(Lane),
    "call": frozenset(Call),
    "origin": frozenset(Origin),
    "result": frozenset(Result),
    "trigger": frozenset(Ways),
    "heard": frozenset(Heard),
    "budget": frozenset(Budget),
}
CALLS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # a call takes ten seconds at most
WAITS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0)

METRICS: Final = (
    Metric(
        "outbox_messages_total",
        "Messages of the outbox by kind and what became of them. Queued less taken is what waits, and what was left "
        "out because a message that says the same waited already.",
        Counter,
        ("kind", "outcome"),
    ),
    Metric("outbox_delivery_seconds", "From queued to sent or edited, quiet hours and pacing included.", Histogram,
           ("lane",), WAITS),
    Metric("outbox_waiting_messages", "Messages that wait, by whose turn they wait for.", Gauge, ("lane",)),
    Metric("outbox_oldest_waiting_seconds", "Age of the oldest message that waits; 0 where none does.", Gauge,
           ("lane",)),
    Metric("outbox_read_timestamp_seconds", "When the two gauges of what waits were read from the store.", Gauge),
    Metric("connector_call_seconds", "Calls to Teams, by what asked for them and how they ended.", Histogram,
           ("call", "origin", "result"), CALLS),
    Metric("connector_throttled_total", "Calls that Teams answered with 429 or 412.", Counter, ("origin",)),
    Metric("turn_seconds", "What people said, pressed and opened, until it was answered.", Histogram, ("trigger",),
           CALLS),
    Metric("turn_faults_total", "Turns that ended with a fault of ours or of the store.", Counter, ("trigger",)),
    Metric("provision_calls_total", "MACs and codes that devices presented, by what came of them.", Counter,
           ("heard",)),
    Metric("codes_locked_total", "Codes that were revoked after too many wrong ones.", Counter),
    Metric("code_budget_used_ratio", "How much of the wrong codes that the whole fleet may present in ten minutes was "
           "presented. From 1 on, its networks wait.", Gauge, ("budget",)),
    Metric("attack_began_timestamp_seconds", "Since when codes are being tried all over the fleet; 0 while they are "
           "not.", Gauge),
)  # fmt: skip


class Metrics:
    """The counters of one service, in a registry of its own."""

    def __init__(self, clock: Clock) -> None:
        self.registry, self._clock = CollectorRegistry(), clock
        self._made = {metric.name: self._make(metric) for metric in METRICS}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def _make(self, metric: Metric) -> Counter | Gauge | Histogram:
        name = PREFIX + metric.name
        if metric.kind is Histogram:
            return Histogram(name, metric.help, metric.labels, buckets=metric.bounds, registry=self.registry)
        return metric.kind(name, metric.help, metric.labels, registry=self.registry)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        self._of(Counter, name, labels).inc(amount)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self._of(Gauge, name, labels).set(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        self._of(Histogram, name, labels).observe(value)

    def _of(self, kind: type[M], name: str, labels: Mapping[str, str]) -> M:
        """ValueError, a fault in the caller, for a label that holds what was not known beforehand."""
        if unknown := [label for label, value in labels.items() if value not in LABELS[label]]:
            raise ValueError(f"{name}: {', '.join(unknown)}")
        made = self._made[name]
        if not isinstance(made, kind):
            raise ValueError(f"{name} is no {kind.__name__}")
        return made.labels(**labels) if labels else made

    # -------------------------------------------------------------- messages

    def became(self, message: OutboxMessage, outcome: Outcome) -> None:
        self.count("outbox_messages_total", kind=message.kind.value, outcome=outcome)
        if outcome in (Outcome.SENT, Outcome.EDITED) and message.settled_at:
            took = (message.settled_at - message.created_at).total_seconds()
            self.observe("outbox_delivery_seconds", max(took, 0.0), lane=lane_of(message))

    def waits(self, total: int, oldest: Sequence[OutboxMessage]) -> None:
        """What waits, as it was just read: how many there are, and the oldest of them."""
        now = self._clock.now()
        for lane in Lane:
            rows = [message for message in oldest if lane_of(message) is lane]
            beyond = max(total - len(oldest), 0) if lane is Lane.BEYOND else 0
            self.gauge("outbox_waiting_messages", len(rows) + beyond, lane=lane)
            ages = [(now - message.created_at).total_seconds() for message in rows]
            self.gauge("outbox_oldest_waiting_seconds", max((0.0, *ages)), lane=lane)
        self.gauge("outbox_read_timestamp_seconds", now.timestamp())

    # -------------------------------------------------------------- codes

    def defends(self, rows: Mapping[str, Attempts]) -> None:
        """How the limits of the fleet stand, by the slots of their counters."""
        now = self._clock.now()
        for budget, slot, limit in ((Budget.FLEET, FLEET_SLOT, FLEET), (Budget.EXEMPT, EXEMPT_SLOT, EXEMPT)):
            row = rows.get(slot)
            self.gauge("code_budget_used_ratio", used(row, limit, now) / limit.free if row else 0, budget=budget)
        attack = rows[ATTACK_SLOT].attack if ATTACK_SLOT in rows else None
        began = attack.began if attack and attack.on else None
        self.gauge("attack_began_timestamp_seconds", began.timestamp() if began else 0)


def lane_of(message: OutboxMessage) -> Lane:
    """By what it is and whom it is for: in Teams, ids of channels and group chats begin with 19:, people's do not."""
    if message.kind is MessageKind.EDIT:
        return Lane.CARD
    if message.kind.value.startswith("webhook"):
        return Lane.WEBHOOK
    return Lane.CHANNEL if message.recipient.startswith("19:") else Lane.CHAT


class Page:
    """`/metrics`. What waits in the outbox is read when the page is, with a bound, and kept for some seconds."""

    def __init__(
        self,
        metrics: Metrics,
        store: Store,
        trusted: Sequence[Network],
        proxies: Sequence[Network],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics, self._store, self._trusted, self._proxies, self._now = metrics, store, trusted, proxies, now
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def answer(self, request: web.Request) -> web.Response:
        """403 for whoever does not ask from a trusted network, as far as trusted proxies tell where that is."""
        address = parse_address(caller(request, self._proxies))
        if address is None or not any(address in network for network in self._trusted):
            return web.Response(status=403, text=_("Only trusted networks (TRUSTED_NETWORKS) may read this."))
        await self._read()
        encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(body=encode(self._metrics.registry), headers=headers)

    async def _read(self) -> None:
        """Where the store is away or slow, the page shows what it last read, and since when."""
        async with self._reading:
            if self._now() - self._read_at < READ_EVERY:
                return
            self._read_at = self._now()
            total, oldest = 0, list[OutboxMessage]()
            try:
                async with asyncio.timeout(READ_SECONDS):
                    for status in (MessageStatus.WAITING, MessageStatus.OUTGOING):
                        total += await self._store.count(OutboxMessage, status=status.value)
                        page = await self._store.find(OutboxMessage, limit=READ_ROWS, status=status.value)
                        oldest += page.rows
                    counters = await self._store.get_many(Attempts, (FLEET_SLOT, EXEMPT_SLOT, ATTACK_SLOT))
            except (TimeoutError, StoreError) as error:
                log.info("metrics show what was read before", reason=type(error).__name__)
                return
            self._metrics.waits(total, oldest)
            self._metrics.defends(counters)
