"""Devices that call in, wait and are reset, and admins who add devices, for as long as it is asked for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import aiohttp

from app import SystemClock
from provisioning.ports import Store
from storage import open_store
from tests.connector import FakeConnector
from tests.soak.journal import Journal, comes_from, key_of, network_of
from tests.soak.people import NoReply, Person
from tests.soak.service import ADMINS, Service, mac_of, place_of, prepared

DEVICES, POLLERS, CHATTERS = 8, 4, 2  # who is at work at once
PAUSE = 0.02  # where nobody listens
BUSY_SECONDS = 90.0  # for what takes one or two where nobody else is at work
_TWINS, _RESETS = 10, 4  # of how many calls one comes twice at once; of how many devices one is reset
_added = count(0x800000)  # numbers of the MACs that are added in chat

_CUT = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError)


class Over(Exception):
    """Nobody asks any more."""


@dataclass
class Load:
    """The clients of one service (or of several: whoever calls takes one at random)."""

    urls: list[str]
    journal: Journal
    admins: list[Person]
    rng: random.Random
    macs: Iterator[str]
    pace: float = 0.0  # seconds between two calls of one client
    put_back: bool = False  # an earlier state may be restored meanwhile, which knows later tokens no more
    over: bool = False

    def url(self) -> str:
        return self.rng.choice(self.urls)

    async def until(self, writes: int) -> None:
        """Until so many were acknowledged: under load, however fast this machine is."""
        async with asyncio.timeout(BUSY_SECONDS):
            while self.journal.acknowledged < writes:  # noqa: ASYNC110 - others are at work
                await asyncio.sleep(PAUSE)

    async def tried(self, what: str, act: Callable[[], Awaitable[None]]) -> bool:
        """Whether it was answered, once somebody listened; what was sent and not answered is written down.

        Errors: `Over` where nobody listened until the end.
        """
        while not self.over:
            try:
                await act()
            except aiohttp.ClientConnectorError:
                self.journal.refused += 1
                await asyncio.sleep(PAUSE)
            except _CUT as cut:
                self.journal.unanswered.append(f"{what}: {type(cut).__name__} {cut}")
                return False
            else:
                return True
        raise Over

    # ------------------------------------------------------------------ devices

    async def devices(self, *, anew: bool) -> None:
        """One caller; `anew`: each call on a connection of its own."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=anew)) as http:
            for mac in self.macs:
                if self.over:
                    return
                twins = self.rng.randrange(_TWINS) == 0
                await asyncio.gather(*(self.calls(http, mac, n, alone=not twins) for n in range(1 + twins)))
                if mac in self.journal.tokens and self.rng.randrange(_RESETS) == 0:
                    await self.resets(http, mac)
                await asyncio.sleep(self.pace)

    async def calls(self, http: aiohttp.ClientSession, mac: str, twin: int, *, alone: bool) -> None:
        journal, key, base = self.journal, key_of(mac, twin), self.url()

        async def call() -> None:
            headers = {"Idempotency-Key": key, **comes_from(network_of(mac))}
            body = {"mac": mac, "code": journal.codes[mac]}
            async with http.post(f"{base}/api/v1/provision", json=body, headers=headers) as answer:
                status, token = answer.status, (await answer.json(content_type=None)).get("token", "")
            journal.answers[f"provision {status}"] += 1
            if status == 200:
                journal.took(mac, token)
            elif status == 503 or alone:  # what was refused though nobody else asked must be let in with its key
                journal.doubts(mac, key)

        if not await self.tried("provision", call):
            journal.doubts(mac, key)

    async def resets(self, http: aiohttp.ClientSession, mac: str) -> None:
        journal = self.journal
        headers = {"Authorization": f"Bearer {journal.tokens[mac]}"}

        async def call() -> None:
            async with http.post(f"{self.url()}/api/v1/device/factory-reset", headers=headers) as answer:
                journal.answers[f"reset {answer.status}"] += 1
                if answer.status == 204:
                    journal.reset.add(mac)
                elif answer.status == 503 or (self.put_back and answer.status == 401):
                    journal.unsure_resets.add(mac)
                else:
                    journal.wrong.append(f"the reset of {mac} is answered {answer.status}")

        if not await self.tried("reset", call):
            journal.unsure_resets.add(mac)

    async def waits(self) -> None:
        """A device that waits for whatever comes next, again and again."""
        journal = self.journal
        async with aiohttp.ClientSession() as http:
            while True:
                known = [mac for mac in journal.tokens if mac not in journal.reset | journal.unsure_resets]
                if not known:
                    await asyncio.sleep(PAUSE)
                    continue
                mac = self.rng.choice(known)
                await self.tried("poll", lambda mac=mac: self._polls(http, mac))  # type: ignore[misc]

    async def _polls(self, http: aiohttp.ClientSession, mac: str) -> None:
        base, since = self.url(), ""
        for wait in ("0", "25"):
            question = {"wait": wait, **({"since": since} if since else {})}
            headers = {"Authorization": f"Bearer {self.journal.tokens[mac]}"}
            async with http.get(f"{base}/api/v1/device", params=question, headers=headers) as answer:
                self.journal.answers[f"poll {answer.status}"] += 1
                if answer.status != 200:
                    return
                since = str((await answer.json())["revision"])

    # ------------------------------------------------------------------ people

    async def adds(self, admin: Person) -> None:
        """An admin who adds one device after the other."""
        async with aiohttp.ClientSession() as admin.http:
            while not self.over:
                await self.tried("turn", lambda: self._added(admin))
                await asyncio.sleep(self.pace)

    async def _added(self, admin: Person) -> None:
        number = next(_added)
        mac, place = mac_of(number), place_of(number % 100_000)
        try:
            said = await admin.says(f"add {mac} {place}")
        except NoReply:
            self.journal.answers["turn without a reply"] += 1
            return
        self.journal.answers["turn"] += 1
        if "1 device saved" in said:
            self.journal.added[mac] = place


@asynccontextmanager
async def under_load(load: Load) -> AsyncIterator[None]:
    """Everybody is at work meanwhile, and hears what they asked at last."""
    waiting = [asyncio.create_task(load.waits()) for _ in range(POLLERS)]
    asking = [asyncio.create_task(load.devices(anew=n % 2 == 1)) for n in range(DEVICES)]
    asking += [asyncio.create_task(load.adds(admin)) for admin in load.admins[:CHATTERS]]
    try:
        yield
    finally:
        load.over = True
        for task in waiting:
            task.cancel()
        for ended in await asyncio.gather(*asking, *waiting, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, Over):
                raise ended


@dataclass
class Ground:
    """A service, the other end of its wire, and everybody who will call it."""

    service: Service
    connector: FakeConnector
    admins: list[Person]
    codes: dict[str, str]
    rng: random.Random
    lives: list[Journal] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        return sum(life.acknowledged for life in self.lives)

    def life(self, count: int, pace: float = 0.0) -> Load:
        """The clients of the next so many devices, with a journal of their own."""
        used = sum(len(life.codes) for life in self.lives)
        macs = sorted(self.codes)[used : used + count]
        self.lives.append(Journal({mac: self.codes[mac] for mac in macs}))
        return Load([self.service.url], self.lives[-1], self.admins, self.rng, iter(macs), pace)

    async def looks(self, load: Load) -> list[str]:
        """What is not as its clients were told."""
        return load.journal.wrong + await load.journal.check(self.service.url, self.admins[-1], self.rng)

    async def leaves(self) -> list[str]:
        """What is wrong with the store once nobody serves it: damage, a code that was used twice, digits of codes."""
        store = await open_store(self.service.store_url, clock=SystemClock())
        try:
            await store.verify()
            said = [text for life in self.lives for mac in life.tokens if (text := await used_once(store, mac))]
        finally:
            await store.close()
        files = [path.read_bytes() for path in (self.service.folder / "store").glob("store*")]
        files.append(self.service.log.read_bytes())
        return said + [
            f"the digits of {mac} are on the disk" for mac, code in self.codes.items() if _within(code, files)
        ]


def _within(code: str, files: list[bytes]) -> bool:
    return any(code.encode() in content for content in files)


async def used_once(store: Store, mac: str) -> str:
    """What is wrong with how often this device was provisioned; empty: nothing."""
    facts = [row.event.name for row in (await store.history(mac, limit=100)).rows]
    times = facts.count("DeviceProvisioned")
    return "" if times == 1 else f"half: {mac} was provisioned {times} times, its audit says"


@asynccontextmanager
async def ground(url: str, folder: Path, devices: int, seed: int, *prefix: str) -> AsyncIterator[Ground]:
    """Devices with live codes in a new store, and a service that is not started yet; gone in the end."""
    service = Service(url, folder, prefix=prefix)
    codes = await prepared(service, devices)
    async with FakeConnector() as connector:
        admins = [Person(connector, service.url, n) for n in range(len(ADMINS))]
        try:
            yield Ground(service, connector, admins, codes, random.Random(seed))
        finally:
            await service.aclose()
