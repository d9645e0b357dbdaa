"""Where the service is counted: one seam each around the store, the messenger and the door. They change nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from bot.limits import Network
from bot.metric_labels import BEGUN, LABELS, OTHER, Call, Heard, Origin, Outcome, Result, Saved
from bot.metrics import NOTHING, Metrics
from bot.metrics_page import Page
from bot.operations import Check
from bot.policy import chance_a_day, chance_a_try
from bot.turn import Answer, Chat, Incoming, Receiver
from provisioning.conversations import Conversation
from provisioning.delivery_errors import DeliveryError, PostGone, Rejected, Throttled, TryAgain, Unreachable
from provisioning.errors import (
    BadInput,
    CodeExpired,
    CodeRefused,
    Conflict,
    DeviceResetRequired,
    Duplicate,
    InvalidCode,
    InvalidMac,
    ProvisioningError,
    SlowDown,
    Unavailable,
)
from provisioning.events import (
    CodeLocked,
    DeviceProvisioned,
    DeviceSignedIn,
    Event,
    ProvisionRepeated,
    SignInAsked,
    SignInEnded,
)
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change, Device
from provisioning.ports import Member, Message, Messenger, Store
from provisioning.service import Provisioning
from provisioning.service.activation import ProvisionCall, Provisioned
from provisioning.signin import Stage

T = TypeVar("T")
Now = Callable[[], float]

LAG_EVERY = 0.5  # seconds
MOST = 1000  # messages under way that are remembered
SETTLED: Mapping[MessageStatus, Outcome] = {
    MessageStatus.SENT: Outcome.SENT,
    MessageStatus.DROPPED: Outcome.DROPPED,
    MessageStatus.UNDELIVERABLE: Outcome.UNDELIVERABLE,
}
RESULTS: Mapping[type[DeliveryError], Result] = {
    Throttled: Result.THROTTLED,
    Unreachable: Result.UNREACHABLE,
    PostGone: Result.POST_GONE,
    Rejected: Result.REJECTED,
    TryAgain: Result.TRY_AGAIN,
}

HEARD: Mapping[type[Event], Heard] = {DeviceProvisioned: Heard.ACCEPTED, ProvisionRepeated: Heard.REPEATED}
REFUSALS: Mapping[type[ProvisioningError], Heard] = {
    CodeRefused: Heard.REFUSED,
    CodeExpired: Heard.EXPIRED,
    InvalidMac: Heard.INVALID,
    InvalidCode: Heard.INVALID,
    DeviceResetRequired: Heard.RESET_REQUIRED,
}


SAVED: Mapping[type[ProvisioningError], Saved] = {
    Conflict: Saved.CONFLICT,
    Duplicate: Saved.CONFLICT,
    Unavailable: Saved.UNAVAILABLE,
    BadInput: Saved.REFUSED,
}


class CountingStore:
    """A store that tells what becomes of messages, and of facts, once they are saved. All else passes through."""

    def __init__(self, store: Store, metrics: Metrics, now: Now = time.perf_counter) -> None:
        self._store, self._metrics, self._now = store, metrics, now
        self._tried: OrderedDict[str, int] = OrderedDict()  # claimed here, not settled yet → tries before

    def __getattr__(self, name: str) -> Any:
        """Looked for once, as a turn reads a dozen times: what a store has under a name stays the same."""
        found = getattr(self._store, name)
        setattr(self, name, found)
        return found

    async def save(self, change: Change) -> None:
        await self._timed(change)
        queued = Counter[str]()  # of an activation's messages nearly all are
        for record in change.puts:
            if isinstance(record, OutboxMessage) and (outcome := self._outcome(record)):
                if outcome is Outcome.QUEUED:
                    queued[record.kind.value] += 1
                else:
                    self._metrics.became(record, outcome)
        for kind, amount in queued.items():
            self._metrics.count("outbox_messages_total", amount, kind=kind, outcome=Outcome.QUEUED)
        for fact, amount in Counter(event.name for event in change.events).items():
            self._metrics.count("facts_total", amount, fact=fact)
        for event in change.events:
            if heard := HEARD.get(type(event)):
                self._metrics.count("provision_calls_total", heard=heard)
            elif isinstance(event, CodeLocked):
                self._metrics.count("codes_locked_total")
            elif isinstance(event, SignInAsked | SignInEnded | DeviceSignedIn):
                self._signing(event, change)

    async def _timed(self, change: Change) -> None:
        began, saved = self._now(), Saved.OTHER
        try:
            await self._store.save(change)
            saved = Saved.OK
        except ProvisioningError as error:
            saved = next((result for kind, result in SAVED.items() if isinstance(error, kind)), Saved.OTHER)
            raise
        finally:
            self._metrics.observe("store_save_seconds", self._now() - began, saved=saved)

    def _signing(self, event: SignInAsked | SignInEnded | DeviceSignedIn, change: Change) -> None:
        """One sign-in began or is over."""
        if isinstance(event, SignInAsked):
            self._metrics.count("sign_ins_total", flow=BEGUN)
            return
        stage = event.stage if isinstance(event, SignInEnded) else Stage.SIGNED_IN.value
        self._metrics.count("sign_ins_total", flow=stage)
        if isinstance(event, SignInEnded) and stage != Stage.CANCELLED:
            why = event.why if event.why in LABELS["reason"] else OTHER
            self._metrics.count("sign_in_failures_total", reason=why)
        devices = (record for record in change.puts if isinstance(record, Device) and record.mac == event.subject)
        device = next(devices, None)
        if device and (flow := device.sign_in) and flow.ended_at:
            took = (flow.ended_at - flow.asked_at).total_seconds()
            self._metrics.observe("sign_in_seconds", max(took, 0.0), stage=stage)

    async def claim(self, now: datetime, lease: timedelta, limit: int) -> Sequence[OutboxMessage]:
        claimed = await self._store.claim(now, lease, limit)
        for message in claimed:
            if not message.attempts and message.id not in self._tried:
                self._metrics.became(message, Outcome.TAKEN)
            self._tried[message.id] = message.attempts
        while len(self._tried) > MOST:
            self._tried.popitem(last=False)
        return claimed

    def _outcome(self, message: OutboxMessage) -> Outcome | None:
        """None where it is put off for the pace's sake: nothing was tried."""
        if message.status in SETTLED:
            self._tried.pop(message.id, None)
            edited = message.status is MessageStatus.SENT and message.kind is MessageKind.EDIT
            return Outcome.EDITED if edited else SETTLED[message.status]
        if not message.version:
            return Outcome.QUEUED
        if message.status is MessageStatus.OUTGOING:  # an event is never claimed, and put off for no pace's sake
            return Outcome.RETRIED if message.attempts else Outcome.QUEUED
        return Outcome.RETRIED if message.attempts > self._tried.get(message.id, message.attempts) else None


class TimedMessenger:
    """Calls to Teams, each with its duration and its end."""

    def __init__(self, messenger: Messenger, metrics: Metrics, origin: Origin, now: Now = time.perf_counter) -> None:
        self._messenger, self._metrics, self._origin, self._now = messenger, metrics, origin, now

    async def send(self, conversation: Conversation, message: Message, *, thread: str = "") -> str:
        return await self._timed(Call.SEND, self._messenger.send(conversation, message, thread=thread))

    async def update(self, conversation: Conversation, activity_id: str, message: Message) -> None:
        await self._timed(Call.UPDATE, self._messenger.update(conversation, activity_id, message))

    async def delete(self, conversation: Conversation, activity_id: str) -> None:
        await self._timed(Call.DELETE, self._messenger.delete(conversation, activity_id))

    async def open_chat(self, near: Conversation, teams_id: str) -> Conversation:
        return await self._timed(Call.OPEN_CHAT, self._messenger.open_chat(near, teams_id))

    async def member(self, conversation: Conversation, teams_id: str) -> Member:
        return await self._timed(Call.MEMBER, self._messenger.member(conversation, teams_id))

    async def members(self, conversation: Conversation) -> Sequence[Member]:
        return await self._timed(Call.MEMBERS, self._messenger.members(conversation))

    async def _timed(self, call: Call, answer: Awaitable[T]) -> T:
        began, result = self._now(), Result.OTHER
        try:
            done = await answer
            result = Result.OK
            return done
        except DeliveryError as error:
            result = _result_of(error)
            raise
        finally:
            self._metrics.observe(
                "connector_call_seconds", self._now() - began, call=call, origin=self._origin, result=result
            )
            if result is Result.THROTTLED:
                self._metrics.count("connector_throttled_total", origin=self._origin)


def _result_of(error: DeliveryError) -> Result:
    return next((result for kind, result in RESULTS.items() if isinstance(error, kind)), Result.OTHER)


class TimedReceiver:
    """What people said and pressed, and how long it took. Answers in the same turn are counted here alone."""

    def __init__(self, receiver: Receiver, metrics: Metrics, now: Now = time.perf_counter) -> None:
        self._receiver, self._metrics, self._now = receiver, metrics, now

    async def receive(self, incoming: Incoming, chat: Chat) -> Answer | None:
        with self._timed(incoming.trigger.value):
            return await self._receiver.receive(incoming, chat)

    @contextmanager
    def _timed(self, trigger: str) -> Iterator[None]:
        began = self._now()
        try:
            yield
        except Exception:
            self._metrics.count("turn_faults_total", trigger=trigger)
            raise
        finally:
            self._metrics.observe("turn_seconds", self._now() - began, trigger=trigger)


class CountedDevices:
    """The part of the business that devices reach; what was refused is counted here, what was accepted by the store."""

    def __init__(self, provisioning: Provisioning, metrics: Metrics) -> None:
        self._provisioning, self._metrics = provisioning, metrics
        self.device_status = provisioning.device_status
        self.settle_command = provisioning.settle_command
        self.report_reset = provisioning.report_reset

    async def provision(self, call: ProvisionCall) -> Provisioned:
        try:
            return await self._provisioning.provision(call)
        except Exception as refusal:
            self._metrics.count("provision_calls_total", heard=_heard(refusal))
            raise


def _heard(refusal: Exception) -> Heard:
    if isinstance(refusal, SlowDown):
        return Heard(f"slowed_{refusal.limit}")
    return next((heard for kind, heard in REFUSALS.items() if isinstance(refusal, kind)), Heard.FAULT)


class Measures:
    """One service's metrics, and what they are taken from. From here on its store tells of messages and facts."""

    def __init__(self, provisioning: Provisioning, about: Mapping[str, str] = NOTHING) -> None:
        """about: as for `Metrics`, without the process."""
        own = {**about, "process": provisioning.instance} if about else about
        self.metrics = Metrics(provisioning.clock, own)
        self.metrics.gauge("guess_day_bound_ratio", chance_a_day(provisioning.policy.code_digits))
        self.metrics.gauge("guess_try_ratio", chance_a_try(provisioning.policy.code_digits))
        self._store, self._clock = provisioning.store, provisioning.clock
        provisioning.store = cast(Store, CountingStore(provisioning.store, self.metrics))

    def in_turn(self, messenger: Messenger) -> Messenger:
        """For answers to what somebody said or pressed."""
        return TimedMessenger(messenger, self.metrics, Origin.TURN)

    def in_the_outbox(self, messenger: Messenger) -> Messenger:
        """For the relay."""
        return TimedMessenger(messenger, self.metrics, Origin.OUTBOX)

    def devices(self, provisioning: Provisioning) -> CountedDevices:
        return CountedDevices(provisioning, self.metrics)

    def door(self, receiver: Receiver) -> Receiver:
        return TimedReceiver(receiver, self.metrics)

    def page(self, trusted: Sequence[Network], proxies: Sequence[Network], check: Check) -> Page:
        return Page(self.metrics, self._store, trusted, proxies, clock=self._clock, check=check)

    async def loop_lag(self, every: float = LAG_EVERY) -> None:
        """Until cancelled: how late the event loop comes back, as whoever waits for it feels it."""
        while True:
            began = time.perf_counter()  # the loop's own clock may tell whole milliseconds only
            await asyncio.sleep(every)
            self.metrics.observe("event_loop_lag_seconds", max(time.perf_counter() - began - every, 0.0))
