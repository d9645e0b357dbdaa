"""The list as it stands before that morning: who is there, what hangs already, and what is about to call in."""

from __future__ import annotations

import secrets
from bisect import bisect
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random

from app import SystemClock
from bot.composition import build_provisioning
from bot.settings import load_settings
from provisioning import codes
from provisioning.conversations import Conversation, ConversationKind
from provisioning.events import DeviceAdded, DeviceProvisioned, Event, InstallConfirmed
from provisioning.model import ActivationCode, Device, Person, Role, State
from provisioning.onsite import Installation
from storage import open_store
from storage.audit import Unsealed, digest
from storage.kinds import KINDS
from storage.records import Plain, encode, encode_event, micros
from storage.transfer import AUDIT, CHUNK, TABLES, Chunk, open_target
from tests.benchmarks.filled import segments
from tests.connector import BOT_ID, TENANT
from tests.day import SITES_FOLLOWED, Plan
from tests.scale.state import CITIES, mac_of, technician_of
from tests.soak.service import ADMINS, Service

CODE_LIFETIME = timedelta(hours=24)
_A_FLOOR = 40
_SHARES = list(accumulate(1 / (rank + 1) for rank in range(len(CITIES))))
_STATES = (State.SIGNED_IN,) * 16 + (State.WAITING_FOR_SIGN_IN,) * 2 + (State.WAITING_FOR_ACTIVATION,) * 2


@dataclass
class List:
    """What whoever plays the morning knows of it, by MAC where not said otherwise."""

    calling: list[str] = field(default_factory=list)  # in the order in which they call
    codes: dict[str, str] = field(default_factory=dict)
    holders: dict[str, int] = field(default_factory=dict)  # number of the technician
    tokens: dict[str, str] = field(default_factory=dict)  # of devices that wait for news from the first minute on
    to_sign_in: list[str] = field(default_factory=list)  # of those
    uncoded: list[str] = field(default_factory=list)  # wait for activation, and have no code yet
    places: dict[str, str] = field(default_factory=dict)
    sites: list[str] = field(default_factory=list)  # the largest first


async def filled(service: Service, plan: Plan, connector: str) -> List:
    """Fills the empty store of a service that does not run yet, as a move of a store does: saving takes much longer."""
    settings, clock = load_settings(service.settings, None), SystemClock()
    store = await open_store(settings.store_url, clock=clock)
    try:
        keys = build_provisioning(settings, store, clock).keys
    finally:
        await store.close()
    scene = _Scene(plan, keys, clock.now(), connector)
    people, devices = [*scene.people()], [*scene.devices()]
    facts = [encode_event(fact) for fact in scene.facts(devices)]
    told = [
        Unsealed(number, micros(datetime.fromisoformat(fact["at"])), digest(fact))
        for number, fact in enumerate(facts, start=1)
    ]
    rows: dict[str, Sequence[Plain]] = dict.fromkeys(TABLES, ())
    for records in (people, devices, [*segments(told, clock.now())]):
        rows[KINDS[type(records[0])].table] = [encode(record) | {"version": 1} for record in records]
    rows[AUDIT] = facts
    async with open_target(settings.store_url) as target:
        await target.fill(
            {table: _chunks(rows[table]) for table in TABLES}, {table: len(rows[table]) for table in TABLES}
        )
    counted = Counter(device.site for device in devices if device.mac in scene.list.codes)
    scene.list.sites = [site for site, _count in counted.most_common(SITES_FOLLOWED)]
    return scene.list


async def _chunks(rows: Sequence[Plain]) -> AsyncIterator[Chunk]:
    for start in range(0, len(rows), CHUNK):
        yield list(enumerate(rows[start : start + CHUNK], start + 1))


def chat_of(person: str, connector: str) -> Conversation:
    return Conversation(f"a:{person}", ConversationKind.PERSONAL, connector, TENANT, BOT_ID)


class _Scene:
    def __init__(self, plan: Plan, keys: codes.Keyring, now: datetime, connector: str) -> None:
        self._plan, self._keys, self._now, self._connector = plan, keys, now, connector
        self.list = List()

    def people(self) -> Iterator[Person]:
        for number, admin in enumerate(ADMINS):
            yield self._person(admin, f"Dana Admin {number}", Role.ADMIN)
        for number in range(self._plan.technicians):
            yield self._person(technician_of(number), f"Kim Technician {number}", Role.TECHNICIAN)

    def _person(self, id_: str, name: str, role: Role) -> Person:
        chat, upn = chat_of(id_, self._connector), f"{name.replace(' ', '.').casefold()}@contoso.com"
        met = {"teams_id": f"29:{id_}", "chat": chat, "locale": "en-GB", "timezone": "Europe/Oslo"}
        today = self._now.date().isoformat()  # nobody is greeted in the middle of it
        return Person(
            id=id_,
            tenant=TENANT,
            name=name,
            upn=upn,
            roles=frozenset({role}),
            greeted_on=today,
            digested_on=today,
            **met,
        )

    def devices(self) -> Iterator[Device]:
        for number in range(self._plan.devices):
            yield self._calling(number) if number < self._plan.coming else self._other(number)

    def _calling(self, number: int) -> Device:
        """In walking order for each technician; they call in that order, one technician's after the other's."""
        holder, turn = number % self._plan.technicians, number // self._plan.technicians
        device = self._device(number, holder, turn // _A_FLOOR)
        digits, known = codes.generate(12), self.list
        known.calling.append(device.mac)
        known.codes[device.mac], known.holders[device.mac] = digits, holder
        since = self._now - timedelta(hours=1)
        code = self._keys.issue(device.mac, digits, 1, since, CODE_LIFETIME, ADMINS[0])
        return replace(device, code=code, issued=1, technician=technician_of(holder))

    def _other(self, number: int) -> Device:
        state = _STATES[number % len(_STATES)]
        device = self._device(number, number, number % 12)
        if state is State.WAITING_FOR_ACTIVATION:
            self.list.uncoded.append(device.mac)
            return device
        if len(self.list.tokens) < self._plan.polls:
            self.list.tokens[device.mac] = secrets.token_urlsafe(32)
            self.list.to_sign_in += [device.mac] if state is State.WAITING_FOR_SIGN_IN else []
        by = technician_of(number % self._plan.technicians)
        at = device.added_at + timedelta(hours=1)
        return replace(
            device,
            state=state,
            token=codes.hash_token(self.list.tokens.get(device.mac, device.mac)),
            provisioned_at=at,
            issued=1,
            code=ActivationCode(1, at, at + CODE_LIFETIME, ADMINS[0], "k1", None, None),
            technician=by,
            installed=Installation(by, "Kim", at, checked=True),
        )

    def _device(self, number: int, dice: int, floor: int) -> Device:
        site = CITIES[bisect(_SHARES, Random(dice).random() * _SHARES[-1])]
        device = Device(
            mac=mac_of(number),
            location=f"{site}/{floor}/{floor}.{number:05d}",
            added_at=self._now - timedelta(days=1 + number % 60),
            added_by=ADMINS[0],
            account=f"room-{number}@contoso.com",
            asset_tag=f"AT-{number:06d}",
            tags=("lobby",) if number % 50 == 0 else (),
        )
        self.list.places[device.mac] = device.place
        return device

    def facts(self, devices: list[Device]) -> Iterator[Event]:
        for each in devices:
            yield DeviceAdded(at=each.added_at, actor=ADMINS[0], subject=each.mac, location=each.location)
            if each.provisioned_at:
                yield DeviceProvisioned(
                    at=each.provisioned_at, actor="device", subject=each.mac, life=1, source="10.0.0.1"
                )
                yield InstallConfirmed(
                    at=each.provisioned_at, actor=each.technician, subject=each.mac, mounting_only=False
                )
