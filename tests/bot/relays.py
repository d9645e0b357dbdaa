"""Relays over one store on a clock that the test moves: what goes out, when, and in what order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count

from bot.messenger import CALL_SECONDS
from bot.relay import Relay
from bot.routing import Router
from bot.turn import Living, Reply, Turn
from cards.views.common import note
from provisioning.conversations import Conversation, ConversationKind
from provisioning.delivery_errors import DeliveryError, Throttled, TryAgain
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change, Person
from provisioning.pacing import Pacing
from provisioning.ports import Member, Message, Store
from provisioning.service import Provisioning
from storage.memory_store import MemoryStore
from tests.fakes import FakeClock
from tests.provisioning.world import KEYS, POLICY, TENANT, chat_of
from tests.teams_limits import TeamsLimits, Weather

STEP = 0.05  # seconds; what the clock moves at least
router = Router()


@router.notice(MessageKind.ACCESS_GRANTED)
async def told(turn: Turn, subject: str) -> Reply:
    return Reply(text=subject)


@router.view
async def board(turn: Turn, channel: str) -> Reply:
    """A living card that shows how many leases there are; any number that changes would do."""
    state = await turn.provisioning.store.count(Person)
    return Reply(card=note(str(state)), living=Living(channel, "board", {"channel": channel}))


@dataclass
class Teams:
    """The other end of the wire, for every relay of a test: it counts as Teams does, and fails when told."""

    clock: FakeClock
    limits: TeamsLimits = field(init=False)
    weather: Weather | None = None
    arrived: list[tuple[float, str, str]] = field(default_factory=list)  # second, conversation, words
    edits: list[tuple[float, str]] = field(default_factory=list)  # second, words
    hung: set[str] = field(default_factory=set)
    under_way: Counter[str] = field(default_factory=Counter)
    crowded: Counter[str] = field(default_factory=Counter)  # most that were under way together
    refusals: dict[str, list[DeliveryError]] = field(default_factory=dict)
    lost_answers: int = 0

    def __post_init__(self) -> None:
        self.limits = TeamsLimits(self.seconds)

    def seconds(self) -> float:
        return self.clock.now().timestamp()

    def words(self, place: str = "") -> list[str]:
        return [words for _at, where, words in self.arrived if place in ("", where)]


class Wire:
    """The `Messenger` of one relay."""

    def __init__(self, teams: Teams, pacing: Pacing) -> None:
        self._teams, self._pacing, self._numbers = teams, pacing, count(1)

    async def send(self, conversation: Conversation, message: Message, *, thread: str = "") -> str:
        await self._call(conversation.id, message.text)
        return f"activity-{next(self._numbers)}"

    async def update(self, conversation: Conversation, activity_id: str, message: Message) -> None:
        await self._call(conversation.id, "")
        self._teams.edits.append((self._teams.seconds(), str(message.card)))

    async def delete(self, conversation: Conversation, activity_id: str) -> None: ...

    async def open_chat(self, near: Conversation, teams_id: str) -> Conversation:
        return replace(chat_of(teams_id), id=f"a:{teams_id}")

    async def member(self, conversation: Conversation, teams_id: str) -> Member:
        raise TryAgain

    async def members(self, conversation: Conversation) -> Sequence[Member]:
        return ()

    async def _call(self, place: str, words: str) -> None:
        teams = self._teams
        self._pacing.note(place)
        teams.under_way[place] += 1
        teams.crowded[place] = max(teams.crowded[place], teams.under_way[place])
        try:
            if place in teams.hung:
                await teams.clock.sleep(CALL_SECONDS)
                raise TryAgain
            self._answer(place, words)
        except Throttled as error:
            self._pacing.throttled(place, 1.0 if error.retry_after is None else error.retry_after)
            raise
        finally:
            teams.under_way[place] -= 1

    def _answer(self, place: str, words: str) -> None:
        teams = self._teams
        if wait := teams.limits.take(place):
            raise Throttled(wait)
        if refusals := teams.refusals.get(place):
            raise refusals.pop(0)
        what = teams.weather.next() if teams.weather else None
        if what in (412, 429):
            raise Throttled
        if what in (502, 504):
            raise TryAgain
        if words:
            teams.arrived.append((teams.seconds(), place, words))
        if what == "drop":
            teams.lost_answers += 1
            raise TryAgain


@dataclass
class Post:
    """A post office: people with chats, and messages to them."""

    store: Store = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.teams = Teams(self.clock)
        self.core = Provisioning(self.store, self.clock, KEYS, POLICY)
        self.relays: list[Relay] = []
        self.pacings: list[Pacing] = []

    def relay(self, *, unlimited: bool = False, kind: type[Relay] = Relay) -> Relay:
        """Another instance."""
        core = Provisioning(self.store, self.clock, KEYS, POLICY)
        pacing = Pacing(self.teams.seconds, **({"conversation": (), "app": None} if unlimited else {}))
        relay = kind(core, Wire(self.teams, pacing), router, pacing, jitter=lambda: 0.5)
        self.relays.append(relay)
        self.pacings.append(pacing)
        return relay

    async def people(self, number: int) -> list[str]:
        ids = [f"person {n}" for n in range(number)]
        chats = [replace(chat_of(id_), id=f"chat of {id_}", kind=ConversationKind.PERSONAL) for id_ in ids]
        rows = tuple(Person(id=c.id.removeprefix("chat of "), tenant=TENANT, chat=c, reachable=True) for c in chats)
        for start in range(0, number, 500):
            await self.store.save(Change(puts=rows[start : start + 500]))
        return ids

    async def tells(self, *letters: tuple[str, str], lane: str = "") -> None:
        """Messages, as (reader, words)."""
        now = self.clock.now()
        rows = tuple(
            OutboxMessage(
                kind=MessageKind.ACCESS_GRANTED,
                recipient=reader,
                subject=words,
                lane=lane or reader,
                created_at=now,
                due_at=now,
            )
            for reader, words in letters
        )
        for start in range(0, len(rows), 500):
            await self.store.save(Change(puts=rows[start : start + 500]))

    async def waiting(self) -> int:
        return await self.store.count(OutboxMessage, status=MessageStatus.WAITING)

    async def passes(self, seconds: float, *, count_instances: bool = False) -> None:
        """Relays at work for so long."""
        end = self.teams.seconds() + seconds
        while (left := end - self.teams.seconds()) > 0:
            await self._moment(left, count_instances)

    async def _moment(self, most: float, count_instances: bool = False) -> None:
        await self.works(count_instances=count_instances)
        pause = min([await relay.pause() for relay in self.relays])
        self.clock.advance(timedelta(seconds=min(max(pause, STEP), max(most, STEP))))

    async def works(self, *, count_instances: bool = False) -> None:
        """Everybody does what may be done now."""
        busy = True
        while busy:
            busy = False
            for relay in self.relays:
                if count_instances:
                    await relay.share()
                busy |= bool(await relay.claim())
            for _turn in range(30):
                await asyncio.sleep(0)

    async def until_empty(self, most: float) -> float:
        """Seconds until the last message arrived; at most so many."""
        began = self.teams.seconds()
        while waiting := await self.waiting():
            assert self.teams.seconds() - began < most, f"{waiting} still wait"
            await self._moment(most)
        return self.teams.arrived[-1][0] - began
