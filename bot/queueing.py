"""What the relay has claimed and not yet begun: fair between conversations, each at its own pace."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from datetime import datetime, timedelta

from provisioning.messages import OutboxMessage
from provisioning.pacing import Pacing

AT_ONCE_THERE = 2  # calls under way to one conversation: where one hangs, the others of its lanes take no more places
HELD_THERE = 8  # messages of one conversation that wait here; what it takes in two seconds at the most
SUSTAINED = 2.0  # calls a second that a conversation takes for long
HELD = timedelta(seconds=10)  # what has to wait longer goes back into the outbox until then
SPARE = timedelta(seconds=20)  # of a lease: a call may take ten, and what it leads to is saved


class Queue:
    """Whoever was served longest ago comes first; a conversation that may not be written to holds up no other."""

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._waiting: OrderedDict[str, deque[OutboxMessage]] = OrderedDict()
        self._busy: Counter[str] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def holds(self, place: str) -> bool:
        """Whether a message for this conversation waits here."""
        return place in self._waiting

    def add(self, place: str, message: OutboxMessage) -> None:
        self._waiting.setdefault(place, deque()).append(message)
        self._count += 1

    def begin(self) -> tuple[str, OutboxMessage] | None:
        """The next that may go now, or None; it counts until its `end`."""
        place = next(filter(self._may_go, self._waiting), None)
        if place is None:
            return None
        messages = self._waiting[place]
        message = messages.popleft()
        self._waiting.move_to_end(place)
        self._count -= 1
        if not messages:
            del self._waiting[place]
        self._busy[place] += 1
        self._pacing.begin(place)
        return place, message

    def end(self, place: str) -> None:
        self._pacing.end(place)
        self._busy[place] -= 1
        if not self._busy[place]:
            del self._busy[place]

    def wait(self) -> float | None:
        """Seconds until one may go, as far as its conversation is concerned; None where that is not a matter of time.

        It is not where nothing waits, or only for a call under way.
        """
        soonest: float | None = None
        for place in self._waiting:
            if self._busy.get(place, 0) < AT_ONCE_THERE:
                wait = self._pacing.wait(place)
                if wait <= 0:  # mostly the first
                    return 0.0
                soonest = wait if soonest is None else min(soonest, wait)
        return soonest

    def _may_go(self, place: str) -> bool:
        return self._busy.get(place, 0) < AT_ONCE_THERE and self._pacing.wait(place) <= 0

    # ------------------------------------------------------------------ not now

    def put_back(self, now: datetime) -> Iterator[tuple[OutboxMessage, datetime]]:
        """Takes out what would wait too long here, each with the moment when it is due again; and what has lapsed."""
        for place, messages in list(self._waiting.items()):
            free = now + timedelta(seconds=self._pacing.wait(place))
            kept, further = deque[OutboxMessage](), HELD_THERE
            for message in messages:
                if lapsed(message, now):
                    continue
                stale = message.leased_until is not None and message.leased_until - SPARE <= now
                if free > now + HELD or stale:
                    yield message, free
                elif len(kept) >= HELD_THERE:
                    further += 1
                    yield message, free + timedelta(seconds=further / SUSTAINED)
                else:
                    kept.append(message)
            self._count -= len(messages) - len(kept)
            if kept:
                self._waiting[place] = kept
            else:
                del self._waiting[place]

    def empty(self, now: datetime) -> Iterator[tuple[OutboxMessage, datetime]]:
        """Takes out everything: whoever else delivers may have it at once."""
        held = [message for messages in self._waiting.values() for message in messages]
        self._waiting.clear()
        self._count = 0
        return ((message, message.due_at) for message in held if not lapsed(message, now))


def lapsed(message: OutboxMessage, now: datetime) -> bool:
    """The lease ran out while it waited here (the process was stopped for a while, the clock went on): it may be
    somebody else's by now, and comes by a new claim if it is not.
    """
    return message.leased_until is not None and message.leased_until <= now
