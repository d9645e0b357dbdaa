"""Teams as a rehearsal knows it: chats in memory, the service's limits on the simulated clock, no way out."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from provisioning.conversations import Conversation
from provisioning.delivery_errors import Throttled, Unreachable
from provisioning.model import Person
from provisioning.pacing import APP, CONVERSATION, Pacing, Window
from provisioning.ports import Member, Message

THERE, BACK = 0.06, 0.09  # seconds that a call takes until it is counted, and until its answer is there


class Meter:
    """Calls that Teams took, against its limits."""

    def __init__(self, limits: Sequence[Window]) -> None:
        self._times: list[float] = []
        self.peaks = dict.fromkeys(limits, 0)

    def wait(self, now: float) -> float:
        """Seconds until it takes one more; 0: now."""
        full = (limit for limit in self.peaks if len(self._times) >= limit.calls)
        return max((self._times[-limit.calls] + limit.seconds - now for limit in full), default=0.0)

    def note(self, now: float) -> None:
        self._times.append(now)
        for limit, most in self.peaks.items():
            count = len(self._times) - bisect_right(self._times, now - limit.seconds)
            self.peaks[limit] = max(most, count)


@dataclass(slots=True)
class Screen:
    """One chat or channel as its readers see it."""

    conversation: Conversation
    name: str = ""  # whose chat, or which channel
    messages: dict[str, Message] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    meter: Meter = field(default_factory=lambda: Meter(CONVERSATION))
    refused: int = 0  # with 429
    refused_since: float | None = None
    delayed: float = 0.0  # seconds between a first 429 and what was taken next

    def cards(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Cards that stand there, the newest first."""
        return [(id_, message.card) for id_, message in reversed(self.messages.items()) if message.card]

    def put(self, activity_id: str, message: Message) -> None:
        self.messages[activity_id] = message
        self.changed.set()
        while len(self.messages) > 30:  # nobody scrolls further up
            self.messages.pop(next(iter(self.messages)))


class SimulatedTeams:
    """The `Messenger` of a rehearsal: it notes what it sends, as the real one does, and is refused what is too much.

    Errors: `Throttled` as Teams' 429, `Unreachable` for a chat that nobody has.
    """

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self.app = Meter((APP,))
        self.screens: dict[str, Screen] = {}
        self.members_by_id: dict[str, Member] = {}
        self.calls: Counter[str] = Counter()
        self._count = 0

    def seat(self, person: Person, conversation: Conversation) -> Screen:
        self.members_by_id[person.teams_id] = Member(
            person.id, person.teams_id, person.name, person.upn, person.tenant, person.guest
        )
        return self.add(Screen(conversation, person.name or person.upn))

    def add(self, screen: Screen) -> Screen:
        self.screens[screen.conversation.id] = screen
        return screen

    # ------------------------------------------------------------------ the port

    async def send(self, conversation: Conversation, message: Message, *, thread: str = "") -> str:
        screen = await self._taken(conversation, "send")
        self._count += 1
        activity_id = f"{self._count}"
        screen.put(activity_id, message)
        await asyncio.sleep(BACK)
        return activity_id

    async def update(self, conversation: Conversation, activity_id: str, message: Message) -> None:
        screen = await self._taken(conversation, "edit")
        screen.put(activity_id, message)
        await asyncio.sleep(BACK)

    async def delete(self, conversation: Conversation, activity_id: str) -> None:
        screen = await self._taken(conversation, "delete")
        screen.messages.pop(activity_id, None)
        await asyncio.sleep(BACK)

    async def open_chat(self, near: Conversation, teams_id: str) -> Conversation:
        raise Unreachable

    async def member(self, conversation: Conversation, teams_id: str) -> Member:
        found = self.members_by_id.get(teams_id)
        if found is None:
            raise Unreachable
        return found

    async def members(self, conversation: Conversation) -> Sequence[Member]:
        return tuple(self.members_by_id.values())

    async def _taken(self, conversation: Conversation, what: str) -> Screen:
        """The call on its way there, counted against the limits. An edit counts as a send does."""
        screen = self.screens.get(conversation.id)
        if screen is None:
            raise Unreachable
        self._pacing.note(conversation.id)
        await asyncio.sleep(THERE)
        now = asyncio.get_running_loop().time()
        if (wait := max(screen.meter.wait(now), self.app.wait(now))) > 0:
            screen.refused += 1
            screen.refused_since = now if screen.refused_since is None else screen.refused_since
            self._pacing.throttled(conversation.id, ceil(wait))
            raise Throttled(ceil(wait))
        if screen.refused_since is not None:
            screen.delayed += now - screen.refused_since
            screen.refused_since = None
        screen.meter.note(now)
        self.app.note(now)
        self.calls[what] += 1
        return screen


@dataclass(frozen=True, slots=True)
class SimulatedChat:
    """The `Chat` of one turn: answers go where the person typed."""

    teams: SimulatedTeams
    conversation: Conversation
    teams_id: str

    async def send(self, message: Message) -> str:
        return await self.teams.send(self.conversation, message)

    async def update(self, activity_id: str, message: Message) -> None:
        await self.teams.update(self.conversation, activity_id, message)

    async def delete(self, activity_id: str) -> None:
        await self.teams.delete(self.conversation, activity_id)

    async def member(self) -> Member:
        return await self.teams.member(self.conversation, self.teams_id)
