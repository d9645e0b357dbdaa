"""The whole path of the real service with 2 000 devices in its file store, beside a bare echo bot on the stock SDK.

    python -m tests.benchmarks --only turns

A turn is what somebody types or presses: its activity in, look-up, durable change, card, answer. `device <mac>` saves
what is needed to draw its card anew, on disk before the turn ends; `move <mac> to <location>` before that a unit of
work: the device, its audited fact, the operation. The echo bot does nothing but send one line back, or the same small
card to each press. All are driven by the same process in alternating rounds of one run.

The target is for CPU and for turns a second while several are under way. A single turn waits for the disk and for the
process that drives it too: there the same target is a stretch.
"""

from __future__ import annotations

import asyncio
import random
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from aiohttp import web

from app import Service, running
from bot.interpreter import serve_evenly
from bot.settings import load_settings
from provisioning.model import Actor, Device, Role
from provisioning.service.devices import Wanted
from provisioning.service.issuing import IssueOrder
from provisioning.service.lookup import Target
from tests.benchmarks import Row, at_least, beside
from tests.benchmarks.children import Child, child
from tests.benchmarks.driving import DANA, SAM, Driven, Driver, Post, driving
from tests.benchmarks.measuring import quiet
from tests.connector import TENANT, FakeConnector, activity, press

DEVICES = 2_000
TURNS = 300  # of all kinds of commands
EACH = 60  # of one kind, in one round
CALLS = 400
LIGHTER = 6  # times the bare stock echo, which a whole turn of ours is to be
DAY = 40  # devices that one technician installs in a day
AT_ONCE = 8
ROUNDS = 4
MACS = [f"805EC0{number:06X}" for number in range(DEVICES)]
ADMIN = Actor(id=DANA["aadObjectId"], name=DANA["name"], tenant=TENANT, roles=frozenset({Role.ADMIN}))
SITES = ("Oslo", "Bergen", "Trondheim", "Stavanger")

# What a day is made of, and how often.
TYPED_BY_DANA = (
    ("device {mac}", 30),
    ("devices", 4),
    ("devices waiting oslo", 4),
    ("find 7.1", 4),
    ("move {mac} to Oslo/9/9.99", 6),
    ("issue {mac}", 8),
    ("rollout oslo", 4),
    ("people", 2),
    ("help", 2),
)
TYPED_BY_SAM = (("next", 12), ("my devices", 8), ("code {own}", 6), ("whoami", 4))


def place(number: int) -> str:
    floor = number // len(SITES) % 10
    return f"{SITES[number % len(SITES)]}/{floor}/{floor}.{number // 40}"


class Typing:
    """The activities of two people; every one has an id of its own."""

    def __init__(self, connector: str) -> None:
        self._connector = FakeConnector()
        self._connector.url = connector
        self._count = 0

    def says(self, person: dict[str, str], text: str) -> Post:
        return Post("/api/messages", activity(self._connector, **self._where(person), text=text))

    def presses(self, person: dict[str, str], verb: str, **data: str) -> Post:
        """On a card that is pressed for the first time."""
        where = self._where(person)
        asked = {**data, "op": f"op-{where['id']}"}
        return Post("/api/messages", press(self._connector, verb, **where, data=asked, replyToId=f"card-{where['id']}"))

    def _where(self, person: dict[str, str]) -> dict[str, Any]:
        self._count += 1
        chat = {"id": person["id"].replace("29:", "a:"), "conversationType": "personal", "tenantId": TENANT}
        return {"id": f"m{self._count}", "from_": person, "conversation": chat}


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def product(folder: Path, driver: Driver, typing: Typing) -> AsyncIterator[Service]:
    """The service as it runs, filled: 2 000 devices with live codes, a day's work of them with one technician."""
    async with running(load_settings(environment(folder))) as service:
        await introduce(service.url, driver, typing)
        await fill(service)
        serve_evenly()
        yield service


def environment(folder: Path) -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {"STORE_URL": f"tinydb:{folder / 'store'}", "PORT": str(port), "ADMINS": DANA["aadObjectId"]}


async def introduce(url: str, driver: Driver, typing: Typing) -> None:
    await driver.posts(url, [typing.says(DANA, "hi"), typing.says(SAM, "hi")])
    await driver.posts(url, [typing.says(DANA, f"grant {SAM['aadObjectId']} technician")])


async def fill(service: Service) -> None:
    provisioning = service.provisioning
    for start in range(0, DEVICES, 200):
        wanted = [Wanted(mac, place(start + n)) for n, mac in enumerate(MACS[start : start + 200])]
        await provisioning.add(ADMIN, wanted)
    await provisioning.issue(ADMIN, IssueOrder(target=Target()))
    for device in [await provisioning.store.get(Device, mac) for mac in MACS[:DAY]]:
        sam = await provisioning.person(SAM["aadObjectId"])
        await provisioning.assign(ADMIN, Target(device=device), sam)


def device_turns(typing: Typing, count: int) -> list[Post]:
    return [typing.says(DANA, f"device {mac}") for mac in random.Random(7).sample(MACS, count)]


class Kinds:
    """Turns of one kind, each about a device of its own that no card shows, as its edit would count as the turn's."""

    def __init__(self, typing: Typing) -> None:
        self._typing = typing
        self._looked, self._moved = iter(MACS[1000:1500]), iter(MACS[1500:])

    def hellos(self) -> list[Post]:
        return [self._typing.says(SAM, f"hello {number}") for number in range(EACH // 2)]

    def hello_presses(self) -> list[Post]:
        return [self._typing.presses(SAM, "confirm") for _ in range(EACH // 2)]

    def looks(self) -> list[Post]:
        return [self._typing.says(DANA, f"device {mac}") for mac in islice(self._looked, EACH)]

    def moves(self) -> list[Post]:
        return [self._typing.says(DANA, f"move {mac} to {elsewhere(mac)}") for mac in islice(self._moved, EACH // 2)]

    def move_presses(self) -> list[Post]:
        macs = islice(self._moved, EACH // 2)
        return [self._typing.presses(DANA, "move", device=mac, location=elsewhere(mac)) for mac in macs]


def elsewhere(mac: str) -> str:
    return f"Oslo/9/{mac[-4:]}"


def mixed_turns(typing: Typing, count: int) -> list[Post]:
    rng = random.Random(11)
    table = [(DANA, *line) for line in TYPED_BY_DANA] + [(SAM, *line) for line in TYPED_BY_SAM]
    chosen = rng.choices(table, weights=[line[2] for line in table], k=count)
    return [
        typing.says(who, text.format(mac=rng.choice(MACS), own=rng.choice(MACS[:DAY]))) for who, text, _often in chosen
    ]


async def calls(service: Service, macs: Sequence[str]) -> list[Post]:
    """A device call for each MAC, with its right code."""
    found = []
    for mac in macs:
        device = await service.provisioning.store.get(Device, mac)
        assert device
        assert device.code
        code = service.provisioning.keys.unseal(mac, device.code)
        found.append(Post("/api/v1/provision", {"mac": mac, "code": code, "type": "phone"}))
    return found


async def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        async with quiet(), driving() as driver:
            typing = Typing(driver.connector)
            async with child("tests.benchmarks.echo", "stock") as echo, product(Path(name), driver, typing) as service:
                taken = await kinds(driver, Kinds(typing), echo, service.url)
                mixed = [await driver.posts(service.url, mixed_turns(typing, TURNS)) for _ in range(2)]
                one = await driver.posts(service.url, await calls(service, MACS[200 : 200 + CALLS]))
                burst = await driver.posts(service.url, await calls(service, MACS[600 : 600 + CALLS]), at_once=AT_ONCE)
            stock, looks = whole(taken["hello", 1]), whole(taken["device", 1])
            return [
                *_against("`device <mac>`, one at a time", taken["device", 1], taken["hello", 1], alone=True),
                *_against(f"`device <mac>`, {AT_ONCE} at once", taken["device", AT_ONCE], taken["hello", AT_ONCE]),
                *_against("`move <mac> to …`, one at a time", taken["move", 1], taken["hello", 1], alone=True),
                *_against(f"`move <mac> to …`, {AT_ONCE} at once", taken["move", AT_ONCE], taken["hello", AT_ONCE]),
                *_beside("[Move] pressed, one at a time", taken["press", 1], taken["hello press", 1]),
                *_within(f"`device <mac>`, {DEVICES:,} devices", looks, stock, 50),
                *_within("all kinds of commands", min(mixed, key=lambda driven: driven.wall), stock, 50),
                _rate("device provision calls, one at a time", one),
                _rate(f"device provision calls, {AT_ONCE} at once", burst),
            ]


Rounds = dict[tuple[str, int], list[Driven]]


async def kinds(driver: Driver, make: Kinds, echo: Child, ours: str) -> Rounds:
    """What each kind took in each round, by how many were under way at once; the first round of all warms up."""
    taken: Rounds = {}
    for number in range(ROUNDS):
        for name, of, posts, crowds in (
            ("hello", echo, make.hellos, (1, AT_ONCE)),
            ("device", None, make.looks, (1, AT_ONCE)),
            ("move", None, make.moves, (1, AT_ONCE)),
            ("hello press", echo, make.hello_presses, (1,)),
            ("press", None, make.move_presses, (1,)),
        ):
            for at_once in crowds:
                driven = await driver.posts(of.hello if of else ours, posts(), at_once=at_once, of=of)
                if number:
                    taken.setdefault((name, at_once), []).append(driven)
    return taken


def whole(rounds: Sequence[Driven]) -> Driven:
    """All rounds as one."""
    return Driven(
        cpu=sum(driven.cpu for driven in rounds),
        wall=sum(driven.wall for driven in rounds),
        each=[taken for driven in rounds for taken in driven.each],
    )


def _least(rounds: Sequence[Driven]) -> tuple[float, float]:
    """Microseconds a turn, wall and CPU, of the rounds that were disturbed least by whatever else this machine does."""
    return min(driven.mean for driven in rounds) * 1e6, min(driven.cpu_mean for driven in rounds) * 1e6


def _against(name: str, ours: Sequence[Driven], stock: Sequence[Driven], *, alone: bool = False) -> list[Row]:
    """Turns a second, and CPU a turn, against the bare echo bot's. `alone`: one at a time."""
    (wall, cpu), (stock_wall, stock_cpu) = _least(ours), _least(stock)
    return [
        at_least(f"turns: {name}", wall, stock_wall, LIGHTER, "bare stock echo", stretch=alone),
        at_least(f"CPU of them: {name}", cpu, stock_cpu, LIGHTER, "bare stock echo", stretch=alone),
    ]


def _beside(name: str, ours: Sequence[Driven], stock: Sequence[Driven]) -> list[Row]:
    (wall, cpu), (stock_wall, stock_cpu) = _least(ours), _least(stock)
    return [
        beside(f"turns: {name}", wall, stock_wall, "a press that the bare stock SDK answers"),
        beside(f"CPU of them: {name}", cpu, stock_cpu, "a press that the bare stock SDK answers"),
    ]


def _within(name: str, driven: Driven, stock: Driven, most: float) -> list[Row]:
    """p50 and p99 of single turns, held to a limit in milliseconds; beside them the bare echo bot's in this run."""
    rows = []
    for percent in (50, 99):
        ours, anchor = driven.quantile(percent) * 1e6, stock.quantile(percent) * 1e6
        what, target = f"p{percent} of a turn: {name}", f"≤ {most:.0f} ms (beside: bare stock echo)"
        margin = most * 1e3 / ours
        rows.append(Row(what, ours, anchor, ours / anchor, target, margin >= 1, margin=margin))
    return rows


def _rate(name: str, driven: Driven) -> Row:
    """Against 3 000 activations a minute, the most that a rollout asks for."""
    needed = 60 / 3_000
    ratio = needed / driven.mean
    return Row(name, driven.mean * 1e6, needed * 1e6, ratio, "≥ 3 000 a minute", ratio >= 1, margin=ratio)


if __name__ == "__main__":
    from tests.benchmarks.tables import table

    print(table(asyncio.run(run())))
