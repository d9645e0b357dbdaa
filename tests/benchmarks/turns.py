"""The whole path of the real service with 2 000 devices in its file store, beside a bare echo bot on the stock SDK.

    python -m tests.benchmarks.turns

A turn is a typed command: its activity in, look-up, durable change, card, reply to the connector, 200. The echo bot
does nothing but send one line back. Both are driven by the same process in the same run.
"""

from __future__ import annotations

import asyncio
import random
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from app import Service, running
from bot.settings import load_settings
from provisioning.model import Actor, Device, Role
from provisioning.service.devices import Wanted
from provisioning.service.issuing import IssueOrder
from provisioning.service.lookup import Target
from tests.benchmarks import Row
from tests.benchmarks.driving import DANA, SAM, Driven, Driver, Post, driving
from tests.benchmarks.echo import stock_app
from tests.benchmarks.measuring import quiet
from tests.connector import TENANT, FakeConnector, activity

DEVICES = 2_000
TURNS = 300
CALLS = 400
DAY = 40  # devices that one technician installs in a day
AT_ONCE = 8
ROUNDS = 2
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
        self._count += 1
        chat = {"id": person["id"].replace("29:", "a:"), "conversationType": "personal", "tenantId": TENANT}
        fields = {"id": f"m{self._count}", "from_": person, "conversation": chat, "text": text}
        return Post("/api/messages", activity(self._connector, **fields))


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


def best(rounds: Sequence[Driven]) -> Driven:
    """The round that was disturbed least by whatever else this machine does."""
    return min(rounds, key=lambda driven: driven.wall)


async def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        async with quiet(), driving() as driver:
            typing = Typing(driver.connector)
            hellos = [typing.says(SAM, f"hello {number}") for number in range(TURNS // 2)]
            stock, ours, crowd_stock, crowd_ours = [], [], [], []
            async with serving(stock_app()) as echo, product(Path(name), driver, typing) as service:
                await driver.posts(echo, hellos[:20])
                await driver.posts(service.url, device_turns(typing, 50))
                for _ in range(ROUNDS):
                    stock.append(await driver.posts(echo, hellos))
                    ours.append(await driver.posts(service.url, device_turns(typing, TURNS)))
                    crowd_stock.append(await driver.posts(echo, hellos, at_once=AT_ONCE))
                    crowd_ours.append(await driver.posts(service.url, device_turns(typing, TURNS), at_once=AT_ONCE))
                mixed = [await driver.posts(service.url, mixed_turns(typing, TURNS)) for _ in range(ROUNDS)]
                one = await driver.posts(service.url, await calls(service, MACS[200 : 200 + CALLS]))
                burst = await driver.posts(service.url, await calls(service, MACS[600 : 600 + CALLS]), at_once=AT_ONCE)
            return [
                *_against(f"`device <mac>`, {DEVICES:,} devices, one at a time", best(ours), best(stock)),
                *_against(f"`device <mac>`, {AT_ONCE} at once", best(crowd_ours), best(crowd_stock)),
                *_within(f"`device <mac>`, {DEVICES:,} devices", best(ours), best(stock), 50),
                *_within("all kinds of commands", best(mixed), best(stock), 50),
                _rate("device provision calls, one at a time", one),
                _rate(f"device provision calls, {AT_ONCE} at once", burst),
            ]


def _against(name: str, ours: Driven, stock: Driven) -> list[Row]:
    """Turns a second, and CPU a turn, beside the bare echo bot."""
    faster, lighter, target = stock.mean / ours.mean, stock.cpu_mean / ours.cpu_mean, "≥ 1× bare stock echo"
    return [
        Row(f"turns: {name}", ours.mean * 1e6, stock.mean * 1e6, faster, target, faster >= 1),
        Row(f"CPU of them: {name}", ours.cpu_mean * 1e6, stock.cpu_mean * 1e6, lighter, target, lighter >= 1),
    ]


def _within(name: str, driven: Driven, stock: Driven, most: float) -> list[Row]:
    """p50 and p99 of single turns, held to a limit in milliseconds; beside them the bare echo bot's in this run."""
    rows = []
    for percent in (50, 99):
        ours, anchor = driven.quantile(percent) * 1e6, stock.quantile(percent) * 1e6
        target = f"≤ {most:.0f} ms (beside: bare stock echo)"
        rows.append(Row(f"p{percent} of a turn: {name}", ours, anchor, ours / anchor, target, ours <= most * 1e3))
    return rows


def _rate(name: str, driven: Driven) -> Row:
    """Against 3 000 activations a minute, the most that a rollout asks for."""
    needed = 60 / 3_000
    ratio = needed / driven.mean
    return Row(name, driven.mean * 1e6, needed * 1e6, ratio, "≥ 3 000 a minute", ratio >= 1)


if __name__ == "__main__":
    from tests.benchmarks.__main__ import table

    print(table(asyncio.run(run())))
