"""What the service counts, as Prometheus reads it: one table of metrics, one registry.

A new metric is a row of `METRICS`, and one line where it is counted. Labels hold kinds and classes, never a person, a
MAC, a conversation: their values are few, and known beforehand (bot/metric_labels.py).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any, Final, TypeVar

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

from bot.metric_labels import LABELS, OWN, Budget, Lane, Outcome
from provisioning.bookkeeping import Attempts
from provisioning.messages import MessageKind, OutboxMessage
from provisioning.model import State
from provisioning.ports import Clock, TallyRow
from provisioning.throttle import ATTACK_SLOT, EXEMPT, EXEMPT_SLOT, FLEET, FLEET_SLOT, used

M = TypeVar("M", Counter, Gauge, Histogram)

PREFIX: Final = "provisioning_"
FEW: Final = 150  # series
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: its name without the prefix, its help, its labels, and of a histogram the upper bounds."""

    name: str
    help: str
    kind: type[Counter | Gauge | Histogram]
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


QUICK: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
FLOWS: Final = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0)  # a code of a provider ends after 15 min
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
    Metric("outbox_overdue_seconds", "How long ago the message was due that should have gone first; 0 where none is.",
           Gauge, ("lane",)),
    Metric("outbox_read_timestamp_seconds", "When the three gauges of what waits were read from the store.", Gauge),
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
    Metric("http_requests_total", "Requests by the pattern of their address, method and class of status.", Counter,
           ("route", "method", "status")),
    Metric("http_request_seconds", "Requests until they were answered, without those that ask to wait.", Histogram,
           ("route",), CALLS),
    Metric("http_open_polls", "Requests that wait for something to happen.", Gauge, ("poll",)),
    Metric("listed_devices", "Devices on the list by state, in the store: the same on every instance.", Gauge,
           ("state",)),
    Metric("installed_devices", "Devices that somebody confirmed as installed.", Gauge),
    Metric("problem_devices", "Devices with a problem that is not solved.", Gauge),
    Metric("live_codes", "Codes that could be used now.", Gauge),
    Metric("open_sign_ins", "Sign-ins that are under way.", Gauge),
    Metric("store_read_timestamp_seconds", "When the gauges of devices, codes and sign-ins were read.", Gauge),
    Metric("facts_total", "Facts that were saved, by kind: what happened to devices, codes and people.", Counter,
           ("fact",)),
    Metric("sign_ins_total", "Remote sign-ins that began, and by how they ended.", Counter, ("flow",)),
    Metric("sign_in_failures_total", "Remote sign-ins that ended without the account, by why.", Counter, ("reason",)),
    Metric("sign_in_seconds", "Remote sign-ins from the request to their end, by how they ended.", Histogram,
           ("stage",), FLOWS),
    Metric("guess_day_bound_ratio", "Chance at most that a code is guessed within a day, all budgets used up.", Gauge),
    Metric("guess_try_ratio", "Chance of one try at a device with a live code.", Gauge),
    Metric("store_save_seconds", "Units of work by what became of them; a conflict is tried again.", Histogram,
           ("saved",), QUICK),
    Metric("store_verified_timestamp_seconds", "When all of the store was last found in order; 0: not yet.", Gauge),
    Metric("swept_timestamp_seconds", "When codes that ended were last looked for; 0: not yet.", Gauge),
    Metric("clock_timestamp_seconds", "What time it is by the service's clock.", Gauge),
    Metric("readiness_faults", "What /readyz complains of: 0 is ready.", Gauge),
    Metric("event_loop_lag_seconds", "How much later than due the event loop comes back.", Histogram, (), QUICK),
    Metric("build_info", "1, and what runs here.", Gauge, ("version", "store", "mode", "process")),
)  # fmt: skip


class Metrics:
    """The counters of one service, in a registry of its own."""

    def __init__(self, clock: Clock, about: Mapping[str, str] = NOTHING) -> None:
        """about: the values of the labels that are `OWN`."""
        self.registry, self._clock = CollectorRegistry(), clock
        self._about = about
        self._made = {metric.name: self._make(metric) for metric in METRICS}
        self._series: dict[tuple[Any, ...], Counter | Gauge | Histogram] = {}  # no more than LABELS lets there be
        for metric in METRICS:
            self._begin(metric)
        if about:
            self.gauge("build_info", 1, **about)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def _make(self, metric: Metric) -> Counter | Gauge | Histogram:
        name = PREFIX + metric.name
        if metric.kind is Histogram:
            return Histogram(name, metric.help, metric.labels, buckets=metric.bounds, registry=self.registry)
        return metric.kind(name, metric.help, metric.labels, registry=self.registry)

    def _begin(self, metric: Metric) -> None:
        """Counters and histograms of few series begin with 0: what first happens is then an increase."""
        values = [sorted(LABELS.get(label, ())) for label in metric.labels]
        series = math.prod(map(len, values)) * (len(metric.bounds) + 2 if metric.bounds else 1)
        if metric.kind is not Gauge and metric.labels and series <= FEW:
            for labels in product(*values):
                self._made[metric.name].labels(*labels)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        self._of(Counter, name, labels).inc(amount)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self._of(Gauge, name, labels).set(value)

    def change(self, name: str, by: float, **labels: str) -> None:
        """A gauge, by so much up or down."""
        self._of(Gauge, name, labels).inc(by)

    def observe(self, name: str, value: float, **labels: str) -> None:
        self._of(Histogram, name, labels).observe(value)

    def _of(self, kind: type[M], name: str, labels: Mapping[str, str]) -> M:
        """ValueError, a fault in the caller, for a label that holds what was not known beforehand.

        Found once, a series is found again at once: a device's call counts in six of them, at 10 µs each otherwise.
        """
        key = name, *labels.items()
        known = self._series.get(key)
        if isinstance(known, kind):
            return known
        self._series[key] = made = self._checked(kind, name, labels)
        return made

    def _checked(self, kind: type[M], name: str, labels: Mapping[str, str]) -> M:
        if unknown := [label for label, value in labels.items() if value not in self._known(label)]:
            raise ValueError(f"{name}: {', '.join(unknown)}")
        made = self._made[name]
        if not isinstance(made, kind):
            raise ValueError(f"{name} is no {kind.__name__}")
        return made.labels(**labels) if labels else made

    def _known(self, label: str) -> Collection[str]:
        return (self._about[label],) if label in OWN else LABELS[label]

    def page(self, accept: str) -> tuple[bytes, str]:
        """All of it and its media type, in the form that an `Accept` header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    # -------------------------------------------------------------- the store

    def holds(self, tally: Sequence[TallyRow], codes: int, sign_ins: int) -> None:
        """What the store holds, as it was just read."""
        for state in State:
            self.gauge("listed_devices", sum(row.count for row in tally if row.state is state), state=state)
        self.gauge("installed_devices", sum(row.count for row in tally if row.installed))
        self.gauge("problem_devices", sum(row.count for row in tally if row.problem))
        self.gauge("live_codes", codes)
        self.gauge("open_sign_ins", sign_ins)
        self.gauge("store_read_timestamp_seconds", self._clock.now().timestamp())

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
            late = [(now - message.due_at).total_seconds() for message in rows if message.leased_until is None]
            self.gauge("outbox_overdue_seconds", max((0.0, *late)), lane=lane)
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
