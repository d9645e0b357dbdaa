"""Messages to a connector on its worst day: throttling, faults, answers that are lost, calls that hang."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from bot.relay import Relay
from provisioning.messages import MessageStatus, OutboxMessage
from provisioning.model import Change, Person
from provisioning.service import Provisioning
from tests.benchmarks.relay import letters, office_at, sent_by_relay
from tests.connector import Call, FakeConnector, Fault
from tests.crash import Result
from tests.crash.sending import router
from tests.teams_limits import Weather

CHATS = 500
DELAY_SECONDS = 2.0
_RETRY_AFTER = 1.0  # seconds that a throttled conversation asks for
_HEADSTART = 0.1  # seconds by which a call may have been on its way when its conversation was throttled
_DAY: dict[int | str, float] = {412: 1, 429: 2, 500: 1, 502: 1, 503: 1, 504: 1, "drop": 1, "hang": 0.05}
_OTHERS = 100  # messages to others while one chat hangs


class Stormy(FakeConnector):
    """It knows what each message met, and who called before it was time."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.weather: Weather = Weather(_DAY, seed)
        self.dropped: Counter[str] = Counter()
        self.early: list[str] = []
        self.hung: set[str] = set()
        self.arrivals: dict[str, float] = {}
        self._until: dict[str, float] = defaultdict(float)

    def _trouble(self, call: Call) -> Fault | None:
        now, words = time.monotonic(), call.body["text"]
        if call.conversation in self.hung:
            return Fault(503, hang=True)
        asked = self._until[call.conversation] - _RETRY_AFTER
        if asked + _HEADSTART < now < self._until[call.conversation]:
            self.early.append(f"{words} came {self._until[call.conversation] - now:.2f} s too early")
        fault = super()._trouble(call)
        if fault and fault.status == 429:
            self._until[call.conversation] = now + _RETRY_AFTER
            return Fault(429, {"Retry-After": f"{_RETRY_AFTER:.0f}"})
        if fault and fault.drop:
            self.dropped[words] += 1
        if fault is None or fault.drop:
            self.arrivals.setdefault(words, now)
        return fault


async def notified(folder: Path, messages: int, seed: int, *, day: bool = True) -> Result:
    """So many messages to 500 chats; `day` off: the control, a relay that settles what it never sent."""
    async with Stormy(seed) as connector, office_at(connector.url, folder, CHATS, router) as (core, relay, people):
        if not day:
            careless(relay)
        weather = connector.weather
        took = await sent_by_relay(core, relay, letters(people, messages))
        wrong = _wrong(connector, messages)
        wrong += await _not_sent(core, messages)
        delay = await _slowest_beside_a_hung_chat(connector, core, relay, people) if day else 0.0
    if delay > DELAY_SECONDS:
        wrong.append(f"one hung chat delayed another by {delay:.1f} s")
    if not day:
        return Result("notifications: settled unsent", f"{len(wrong)} violations found", wrong, control=True)
    doubles = len(connector.taken) - messages - _OTHERS
    fell = ", ".join(f"{what} × {times}" for what, times in sorted(weather.fell.items(), key=str))
    figures = (
        f"{messages} in {took:.0f} s under {fell}: all arrived, {doubles} twice, {len(connector.early)} too early, "
    )
    figures += f"{delay:.2f} s beside a hung chat"
    return Result("notifications: a bad day", figures, wrong, goal="0 lost, twice only after a lost answer, in order")


def careless(relay: Relay) -> None:
    """Each fiftieth message is settled without being sent."""
    messenger, count = relay._messenger, 0
    send = messenger.send

    async def sends(*words: object, **named: object) -> str:
        nonlocal count
        count += 1
        return "nothing" if count % 50 == 0 else await send(*words, **named)  # type: ignore[arg-type]

    messenger.send = sends  # type: ignore[method-assign]


def _wrong(connector: Stormy, messages: int) -> list[str]:
    times = Counter(call.body["text"] for call in connector.taken)
    said = [f"lost: Message {n}" for n in range(messages) if f"Message {n}" not in times]
    said += [
        f"{words} came {n} times after {connector.dropped[words]} lost answers"
        for words, n in times.items()
        if n - 1 > connector.dropped[words]
    ]
    firsts: dict[str, list[int]] = defaultdict(list)
    for call in connector.taken:
        number = int(call.body["text"].split()[1])
        if number not in firsts[call.conversation]:
            firsts[call.conversation].append(number)
    said += [f"out of order in {place}: {numbers}" for place, numbers in firsts.items() if numbers != sorted(numbers)]
    return said + connector.early


async def _not_sent(core: Provisioning, messages: int) -> list[str]:
    sent = await core.store.count(OutboxMessage, status=MessageStatus.SENT)
    return [] if sent == messages else [f"{sent} of {messages} are said to be sent"]


async def _slowest_beside_a_hung_chat(
    connector: Stormy, core: Provisioning, relay: Relay, people: list[Person]
) -> float:
    """Seconds from the event to the wire, for others, while somebody's chat takes calls and never answers."""
    connector.weather = Weather({})
    hung, *others = people[: _OTHERS + 1]
    connector.hung = {hung.chat.id} if hung.chat else set()
    await core.store.save(Change(puts=tuple(letters([hung], 3))))
    running = asyncio.create_task(relay.run())
    try:
        await asyncio.sleep(0.5)
        began = time.monotonic()
        rows = [replace(row, subject=f"Beside {n}") for n, row in enumerate(letters(others, _OTHERS))]
        await core.store.save(Change(puts=tuple(rows)))
        async with asyncio.timeout(30):
            while not all(row.subject in connector.arrivals for row in rows):  # noqa: ASYNC110 - of another task's work
                await asyncio.sleep(0.01)
        return max(connector.arrivals[row.subject] for row in rows) - began
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
