"""The whole of it: processes, filling, the morning itself, and the look at what is left."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import psycopg

from tests.benchmarks.children import Child, child
from tests.connector import TENANT, FakeConnector, activity
from tests.day import Plan
from tests.day.book import Book, Watched, watching
from tests.day.checking import Found, checked
from tests.day.devices import WAIT, Devices
from tests.day.filling import List, filled
from tests.day.people import Admin, Deeds, Importer, SigningIn, Technician, at_moments
from tests.day.phones import Phone, Teams
from tests.file_host import FileHost
from tests.openid import CLIENT_ID
from tests.scale.state import technician_of
from tests.soak.service import ADMINS, Service

_DESCRIPTORS = 16_384
_SETTLES = 15.0  # seconds until every device has heard of its sign-in: the provider is asked each 5 s


@dataclass(frozen=True)
class Day:
    """What came of it."""

    plan: Plan
    store: str
    book: Book
    watched: Sequence[Watched]
    devices: Devices
    deeds: Deeds
    found: Found
    statuses: Counter[int]  # of what the connector answered
    limits_broken: Sequence[str]
    heard: Sequence[float]  # seconds from each approval until its device heard of it
    megabytes: tuple[float, float]  # of the store, before and after
    filled: float  # seconds
    log: Counter[str]  # lines of the service's own log at warning and above

    @property
    def wrong(self) -> list[str]:
        """Everything that must not be; empty on a good day."""
        faults = [f"{times} × {kind}" for kind, times in self.book.faults.items()]
        errors = [
            f"{times} × logged {line}" for line, times in self.log.items() if line.startswith(("error", "critical"))
        ]
        return [*faults, *self.found.wrong, *self.limits_broken, *errors]


@asynccontextmanager
async def services(url: str, folder: Path, plan: Plan, issuer: str) -> AsyncIterator[list[Service]]:
    """Not started yet; gone in the end."""
    more = {"OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": CLIENT_ID, "TIMEZONE": "Europe/Oslo"}
    running = [Service(url, folder, more) for _ in range(plan.instances)]
    try:
        yield running
    finally:
        for each in running:
            await each.aclose()


async def play(plan: Plan, url: str, folder: Path) -> Day:
    """On an empty store at this address; it stays as the morning left it."""
    _descriptors()
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(child("tests.day.wire", str(plan.connector)))
        provider = await stack.enter_async_context(child("tests.benchmarks.openid"))
        echo = await stack.enter_async_context(child("tests.day.stock", str(plan.connector)))
        host = await stack.enter_async_context(FileHost())
        running = await stack.enter_async_context(services(url, folder, plan, provider.hello))
        began = time.monotonic()
        known = await filled(running[0], plan, wire.hello)
        took, before = time.monotonic() - began, megabytes(url)
        for each in running:
            await each.start()
        print(f"# filled in {took:.0f} s; pids {[s.process.pid for s in running if s.process]}", file=sys.stderr)
        async with _Morning.opened(plan, [s.url for s in running], wire, provider, host) as morning:
            since = datetime.now(UTC)
            watched = await morning.passes(known, [s.process.pid for s in running if s.process], echo)
            broken = await wire.does("broken")
        for each in running:
            await each.ends(signal.SIGTERM)
    devices, deeds = morning.devices, morning.deeds
    found = await checked(url, since, devices.activated, deeds)
    return Day(
        plan=plan,
        store=url.partition(":")[0],
        book=morning.book,
        watched=watched,
        devices=devices,
        deeds=deeds,
        found=found,
        statuses=Counter(morning.teams.statuses),
        limits_broken=broken,
        heard=[devices.heard[mac] - at for mac, at in deeds.approved.items() if mac in devices.heard],
        megabytes=(before, megabytes(url)),
        filled=took,
        log=_logged({each.log for each in running}),
    )


def _descriptors() -> None:
    """Each long poll is a connection here, and one there: the service inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def megabytes(url: str) -> float:
    """Of a store on the disk."""
    if not url.startswith("postgres"):
        return sum(path.stat().st_size for path in Path(url.partition(":")[2]).rglob("*") if path.is_file()) / 2**20
    with psycopg.connect(url, autocommit=True) as connection:
        sizes = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace ="
        row = connection.execute(f"{sizes} current_schema()::regnamespace").fetchone()
    return float(row[0] or 0) / 2**20 if row else 0.0


def _logged(files: set[Path]) -> Counter[str]:
    counted = Counter[str]()
    for line in (line for file in files for line in file.read_text(errors="replace").splitlines()):
        try:
            said = json.loads(line)
        except ValueError:  # what it says for people when it begins
            continue
        if said.get("level") in ("warning", "error", "critical"):
            last = said.get("exception", "").strip().rpartition("\n")[2]
            counted[f"{said['level']}: {said.get('event', '')}{f' ({last})' if last else ''}"] += 1
    return counted


class _Morning:
    """Everybody who takes part."""

    def __init__(self, plan: Plan, teams: Teams, book: Book, devices: Devices, provider: Child, host: FileHost) -> None:
        self.plan, self.teams, self.book, self.devices = plan, teams, book, devices
        self.deeds, self._provider, self._host = Deeds(), provider, host

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, plan: Plan, doors: list[str], wire: Child, provider: Child, host: FileHost
    ) -> AsyncIterator[_Morning]:
        book, timeout = Book(), aiohttp.ClientTimeout(total=WAIT + 30)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as people,
        ):
            doors_of_devices = cycle(doors)
            devices = Devices(doors_of_devices.__next__, book, http, plan.polls, {})
            yield cls(plan, Teams(wire, doors, book, people), book, devices, provider, host)

    async def passes(self, known: List, pids: Sequence[int], echo: Child) -> list[Watched]:
        """The warm-up, what is measured, and a little more, until every approval was heard of."""
        plan, rng = self.plan, Random(self.plan.seed)
        self.devices.tokens.update(known.tokens)
        reading = asyncio.create_task(self.teams.reads())
        try:
            await self._connects(known)
            end = time.monotonic() + plan.warm + plan.seconds
            everybody = [asyncio.create_task(act) for act in self._everybody(known, rng, echo, end)]
            await asyncio.sleep(plan.warm)
            with self.book.measuring():
                async with watching(pids) as watched:
                    await asyncio.sleep(max(0.0, end - time.monotonic()))
            await asyncio.gather(*everybody)
            await self._settles()
            return watched
        finally:
            reading.cancel()
            await self.devices.off()

    async def _settles(self) -> None:
        until = time.monotonic() + _SETTLES
        while time.monotonic() < until and not self.deeds.approved.keys() <= self.devices.heard.keys():  # noqa: ASYNC110 - others are at work
            await asyncio.sleep(0.1)

    def _phone(self, person: str, name: str) -> Phone:
        return Phone(self.teams, person, name)

    async def _connects(self, known: List) -> None:
        phone = self._phone(ADMINS[0], "Dana Admin 0")
        for site in known.sites:
            await phone.says_in(site.casefold(), "turn: connect", f"connect {site}")

    def _everybody(self, known: List, rng: Random, echo: Child, end: float) -> list[Coroutine[Any, Any, None]]:
        plan, devices, deeds, book = self.plan, self.devices, self.deeds, self.book
        to_sign_in = list(known.to_sign_in)
        devices.kept.update(to_sign_in)
        for n, mac in enumerate(known.tokens):
            devices.waits(mac, first=n * min(WAIT, plan.warm) / len(known.tokens))
        acts = [devices.arrive(known.calling, known.codes, plan.a_minute, Random(rng.random()), end)]
        for n in range(plan.technicians):
            mine = [mac for mac in known.calling if known.holders[mac] == n]
            phone = self._phone(technician_of(n), f"Kim Technician {n}")
            technician = Technician(phone, Random(rng.random()), mine, devices, deeds)
            acts.append(at_moments(Random(rng.random()), plan.think, end, technician.act))
        for n in range(2):
            admin = Admin(self._phone(ADMINS[n], f"Dana Admin {n}"), Random(rng.random()), known, deeds)
            acts.append(at_moments(Random(rng.random()), plan.admin_think, end, admin.act))
        imports, signs_in = (self._phone(ADMINS[n], f"Dana Admin {n}") for n in (2, 3))
        importer = Importer(imports, book, self._host, plan.import_rows, deeds)
        acts.append(importer.every(plan.imports_apart, plan.warm + min(20, plan.seconds / 4), end - plan.seconds / 5))
        signing = SigningIn(signs_in, book, self._provider, devices, deeds, Random(rng.random()))
        accounts = {mac: f"room-{int(mac[5:], 16)}@contoso.com" for mac in to_sign_in}
        acts.append(signing.every(plan, to_sign_in, accounts, end - min(15.0, plan.seconds / 5)))
        acts.append(self._asks_echo(echo, Random(rng.random()), end))
        return acts

    async def _asks_echo(self, echo: Child, rng: Random, end: float) -> None:
        url, connector = echo.hello
        teams = FakeConnector()
        teams.url = connector
        person = {"id": "29:echo", "name": "Echo", "aadObjectId": technician_of(0)}
        chat = {"id": "a:echo", "conversationType": "personal", "tenantId": TENANT}
        due, number = time.monotonic(), 0
        while (due := due + rng.expovariate(1 / self.plan.echo_apart)) < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            number += 1
            body = activity(teams, from_=person, conversation=chat, id=f"e{number}", text=f"hello {number}")
            async with self.teams.http.post(f"{url}/api/messages", json=body) as answer:
                await answer.read()
            self.book.took("anchor: bare stock echo", due)
