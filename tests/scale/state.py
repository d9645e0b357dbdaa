"""A realistic state of any size, as units of work for any store.

Sites differ in size as cities do: of 40 the largest holds a quarter of all devices. Everything follows from the number
of devices and facts and from one seed, so that two stores are filled alike.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice

from provisioning import codes
from provisioning.batches import Batch
from provisioning.bookkeeping import Attempts, Operation
from provisioning.conversations import Conversation, ConversationKind
from provisioning.events import (
    CodeIssued,
    CodeShown,
    DeviceAdded,
    DeviceAssigned,
    DeviceProvisioned,
    Event,
    InstallConfirmed,
    ProvisionRefused,
)
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage, Post
from provisioning.model import ActivationCode, Actor, Change, Device, Person, Record, Role, State
from provisioning.onsite import Installation, Problem
from provisioning.ports import Store
from provisioning.rollouts import Rollout
from tests.provisioning.world import DANA, KEYS, TENANT

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
UNIT = 1_000  # records of one unit
FACTS = 5_000  # facts of one unit, and of one segment
AT_ONCE = 4  # units under way: the next is put together while one is written
UNSEALED = 2 * FACTS  # facts that the sweep finds

# fmt: off
CITIES = (
    "Oslo", "Bergen", "Trondheim", "Stavanger", "Kristiansand", "Tromsø", "Drammen", "Fredrikstad",
    "Sandnes", "Bodø", "Ålesund", "Tønsberg", "Moss", "Haugesund", "Sandefjord", "Arendal",
    "Hamar", "Larvik", "Halden", "Harstad", "Molde", "Lillehammer", "Horten", "Gjøvik",
    "Mo", "Kongsberg", "Narvik", "Alta", "Elverum", "Namsos", "Steinkjer", "Levanger",
    "Voss", "Førde", "Leirvik", "Egersund", "Flekkefjord", "Mandal", "Grimstad", "Risør",
)
# fmt: on
_SHARES = list(accumulate(1 / (rank + 1) for rank in range(len(CITIES))))
_STATES = (
    [State.WAITING_FOR_ACTIVATION] * 20
    + [State.WAITING_FOR_SIGN_IN] * 10
    + [State.SIGNED_IN] * 65
    + [State.SIGNED_OUT] * 5
)
ADMIN = Actor(id=DANA, name="Dana Berg", tenant=TENANT, roles=frozenset({Role.ADMIN}))


def mac_of(number: int) -> str:
    return f"805EC{number:07X}"


def technician_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def chat_of(person: str) -> Conversation:
    return Conversation(
        f"a:{person}", ConversationKind.PERSONAL, "https://smba.trafficmanager.net/emea/", TENANT, "28:b"
    )


def channel_of(site: str) -> Conversation:
    return Conversation(
        f"19:{site.casefold()}@thread.tacv2",
        ConversationKind.CHANNEL,
        "https://smba.trafficmanager.net/emea/",
        TENANT,
        "28:b",
        name=site,
    )


def token_of(number: int) -> str:
    return f"token-{number}"


@dataclass(frozen=True)
class Size:
    """How much there is of everything."""

    devices: int = 200_000
    facts: int = 1_000_000

    @property
    def technicians(self) -> int:
        return max(5, self.devices // 400)

    @property
    def settled(self) -> int:
        """Messages that were sent and not yet forgotten."""
        return self.devices // 2

    @property
    def due(self) -> int:
        return self.devices // 40


class Scene:
    """Who and what there is; `size` and the seed decide all of it."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self._live = 0

    # ------------------------------------------------------------------ devices

    def site_of(self, number: int) -> str:
        share = random.Random(number).random() * _SHARES[-1]
        return CITIES[bisect(_SHARES, share)]

    def device(self, number: int) -> Device:
        """Of a hundred devices twenty wait for their activation: ten have a live code, one an ended one."""
        rng = random.Random(number)
        site, state = CITIES[bisect(_SHARES, rng.random() * _SHARES[-1])], _STATES[number % 100]
        floor, added = rng.randrange(12), NOW - timedelta(days=rng.randrange(1, 400), seconds=number % 86_400)
        technician = technician_of(rng.randrange(self.size.technicians))
        device = Device(
            mac=mac_of(number),
            location=f"{site}/{floor}/{floor}.{number:03d}",
            added_at=added,
            added_by=DANA,
            state=state,
            technician=technician,
            model=("T57W", "CP967", "MeetingBoard", "A20")[number % 4],
            asset_tag=f"AT-{number:06d}",
            account=f"room-{number}@contoso.com",
            tags=("lobby",) if number % 50 == 0 else (),
        )
        if state is State.WAITING_FOR_ACTIVATION:
            return replace(device, **self._waiting(device, number, rng))
        installed = Installation(technician, "Kim", added + timedelta(hours=2), checked=True)
        return replace(
            device,
            token=codes.hash_token(token_of(number)),
            provisioned_at=added + timedelta(hours=1),
            issued=1,
            installed=None if number % 97 == 0 else installed,
            removed_at=NOW if number % 100 == 99 else None,
            problem=Problem("network", "port dead", technician, "Kim", NOW) if number % 200 == 77 else None,
            code=ActivationCode(1, added, added + timedelta(days=1), DANA, "k1", None, None),
        )

    def _waiting(self, device: Device, number: int, rng: random.Random) -> dict[str, object]:
        kind = number % 20
        if kind >= 12:
            return {}
        lifetime = timedelta(hours=24)
        since = NOW - timedelta(seconds=rng.randrange(1, 80_000))
        if kind >= 10:  # ended: its seal is still there (10), or only its hash (11)
            since -= lifetime if kind == 10 else timedelta(days=rng.randrange(2, 9))
        code = KEYS.issue(device.mac, codes.generate(12), 1, since, lifetime, DANA)
        return {"code": replace(code, sealed=None) if kind == 11 else code, "issued": 1}

    def numbers(self, state: State) -> Iterator[int]:
        return (number for number in range(self.size.devices) if _STATES[number % 100] is state)

    def live_numbers(self) -> Iterator[int]:
        """Of devices whose code lives."""
        return (n for n in self.numbers(State.WAITING_FOR_ACTIVATION) if n % 20 < 10)

    # ------------------------------------------------------------------ everything else

    def people(self) -> Iterator[Person]:
        yield self._person(DANA, "Dana Berg", Role.ADMIN)
        for number in range(self.size.technicians):
            yield self._person(technician_of(number), f"Kim {CITIES[number % 40]} {number}", Role.TECHNICIAN)
        for number in range(10):
            yield self._person(technician_of(900_000 + number), f"Lee Admin {number}", Role.ADMIN)
        for number in range(self.size.technicians * 3):
            yield self._person(technician_of(500_000 + number), f"Robin {CITIES[number % 40]} {number}")

    def _person(self, id_: str, name: str, *roles: Role) -> Person:
        upn = f"{name.replace(' ', '.').casefold()}@contoso.com"
        return Person(
            id=id_, tenant=TENANT, name=name, upn=upn, teams_id=f"29:{id_}", roles=frozenset(roles), chat=chat_of(id_)
        )

    def rollouts(self) -> Iterator[Rollout]:
        for site in (*CITIES, ""):
            yield Rollout(
                channel=channel_of(site or "all"),
                site=site,
                connected_by=DANA,
                connected_by_name="Dana",
                started_at=NOW,
                reached=(1, 25, 50),
            )

    def posts(self) -> Iterator[Post]:
        """Forty cards a technician, the newest of which shows a code; one living card a rollout."""
        for number in range(self.size.technicians * 40):
            technician, turn = number % self.size.technicians, number // self.size.technicians
            subject = mac_of((technician * 40 + turn) % self.size.devices)
            yield self._post(chat_of(technician_of(technician)), technician_of(technician), subject, number)
        for number, rollout in enumerate(self.rollouts()):
            yield self._post(rollout.channel, rollout.key, rollout.key, number)

    def _post(self, where: Conversation, reader: str, subject: str, number: int) -> Post:
        shows_code = where.personal and number >= self.size.technicians * 39
        return Post(
            conversation=where,
            activity_id=f"1:{number}",
            reader=reader,
            subject=subject,
            view="job" if where.personal else "rollout",
            shows_code=shows_code,
            posted_at=NOW - timedelta(minutes=self.size.technicians * 40 - number),
            message=f"m{number}",
        )

    def bookkeeping(self) -> Iterator[Record]:
        for number in range(self.size.devices // 100):
            macs = tuple(mac_of(n) for n in range(number * 100, number * 100 + 100))
            kind = ("add", "issue")[number % 2]
            at = NOW - timedelta(hours=number)
            yield Batch(id=f"b{number}", kind=kind, by=DANA, by_name="Dana", at=at, macs=macs)
        for number in range(self.size.devices // 8):  # a fifth of them old enough to go
            yield Operation(id=f"op{number}", at=NOW - timedelta(hours=number % 60))
        for number in range(self.size.devices // 100):
            yield Attempts(slot=f"slot{number}", failures=number % 4, since=NOW)

    def settled(self) -> Iterator[OutboxMessage]:
        """Sent in the last eight days, so that an eighth is to go."""
        for number in range(self.size.settled):
            at = NOW - timedelta(minutes=number * 8 * 1440 // self.size.settled)
            sent = self.message(f"m{number}", technician_of(number % self.size.technicians), at)
            yield replace(sent, status=MessageStatus.SENT, settled_at=at, attempts=1)

    def message(self, id_: str, lane: str, at: datetime) -> OutboxMessage:
        return OutboxMessage(
            id=id_,
            kind=MessageKind.EDIT,
            recipient=lane,
            subject=mac_of(0),
            lane=lane,
            created_at=at,
            due_at=at,
            unique=f"edit:{id_}",
        )

    def due(self, lanes: int) -> Iterator[OutboxMessage]:
        for number in range(self.size.due):
            yield self.message(f"due{lanes}-{number}", f"lane{lanes}-{number % lanes}", NOW - timedelta(seconds=60))

    def facts(self, numbers: range | None = None) -> Iterator[Event]:
        """What happened to devices, in the order it happened, over 400 days; all of it, or some of its numbers."""
        step, devices = timedelta(days=400) / max(self.size.facts, 1), self.size.devices
        begun = NOW - timedelta(days=400)
        for number in range(self.size.facts) if numbers is None else numbers:
            at, mac = begun + step * number, mac_of((number * 7_919) % devices)
            yield self._fact(number % 7, at, mac, technician_of(number % self.size.technicians))

    def _fact(self, kind: int, at: datetime, mac: str, technician: str) -> Event:
        if kind == 0:
            return DeviceAdded(at=at, actor=DANA, subject=mac, location="Oslo/2/2.14")
        if kind == 1:
            return CodeIssued(at=at, actor=DANA, subject=mac, issue=1, expires_at=at + timedelta(days=1))
        if kind == 2:
            return DeviceAssigned(at=at, actor=DANA, subject=mac, technician=technician)
        if kind == 3:
            return CodeShown(at=at, actor=technician, subject=mac, issue=1, reader=technician)
        if kind == 4:
            return ProvisionRefused(at=at, actor="device", subject=mac, reason="code_refused", source="10.1.2.3")
        if kind == 5:
            return DeviceProvisioned(at=at, actor="device", subject=mac, life=1, source="10.1.2.3")
        return InstallConfirmed(at=at, actor=technician, subject=mac, mounting_only=False)


# ------------------------------------------------------------------ into a store


Told = Callable[[str, int, int], None]


async def fill(store: Store, scene: Scene, told: Told) -> None:
    """Everything but the messages that are due; all facts but the last `UNSEALED` stand in segments."""
    size = scene.size
    devices = (scene.device(number) for number in range(size.devices))
    await save_all(store, devices, UNIT, lambda done: told("devices", done, size.devices))
    for what, records in (
        ("people", scene.people()),
        ("rollouts", scene.rollouts()),
        ("posts", scene.posts()),
        ("marks", scene.bookkeeping()),
        ("messages", scene.settled()),
    ):
        await save_all(store, records, UNIT, lambda done, what=what: told(what, done, 0))
    await store.record_seen({mac_of(n): NOW for n in scene.numbers(State.SIGNED_IN)})
    await save_all(store, scene.facts(), FACTS, lambda done: told("facts", done, size.facts))
    for done in range(FACTS, size.facts - UNSEALED + 1, FACTS):
        await store.seal(NOW, FACTS)
        told("sealed", done, size.facts)


async def save_all(
    store: Store,
    things: Iterator[Record] | Iterator[Event],
    unit: int = UNIT,
    told: Callable[[int], None] = lambda _done: None,
) -> None:
    """In units of so many, a few under way at once."""
    done = 0
    while batches := [batch for batch in ([*islice(things, unit)] for _ in range(AT_ONCE)) if batch]:
        await asyncio.gather(*(store.save(_change(batch)) for batch in batches))
        done += sum(map(len, batches))
        told(done)


def _change(batch: Sequence[Record | Event]) -> Change:
    if isinstance(batch[0], Event):
        return Change(events=tuple(batch))  # type: ignore[arg-type]
    return Change(puts=tuple(batch))  # type: ignore[arg-type]
