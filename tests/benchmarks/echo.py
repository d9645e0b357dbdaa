"""CPU per turn at the Teams door: ours beside the bare stock SDK, its two successors, and plain aiohttp as the floor.

    python -m tests.benchmarks --only echo

Each echo runs in a process of its own that counts its CPU time (all threads), all of them without credentials. The
client that posts the activities and the connector that takes the replies are one more process.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from aiohttp import ClientSession, web

from bot import interpreter
from bot.adapter import Adapter
from bot.messenger import TeamsMessenger
from bot.teams_bot import TeamsBot
from bot.turn import Answer, Chat, Incoming
from provisioning.ports import Message
from tests.benchmarks import Failed, Outcome, Skipped, at_least, below, beside
from tests.benchmarks.bare import stock_app
from tests.benchmarks.children import Child, child, cpu, obey
from tests.benchmarks.driving import Driver, Post, driving
from tests.benchmarks.measuring import quiet
from tests.benchmarks.successors.answers import CARD, CARD_ANSWER, echo
from tests.connector import FakeConnector, activity, press

PYTHON = Path(__file__).parents[2] / ".venv-bench/bin/python"  # with the successors; `make bench` installs it
SUCCESSORS = {"teams_sdk": "the Teams SDK's echo", "agents_sdk": "the Agents SDK's echo"}
ROUNDS, TURNS, WARM = 3, 100, 40
Absent = tuple[type[Skipped] | type[Failed], str]  # what that is called, and why


# ---------------------------------------------------------------------- the services that are compared


def plain_app() -> web.Application:
    """The floor: the same two HTTP messages and nothing else."""
    session: list[ClientSession] = []

    async def process(request: web.Request) -> web.Response:
        raw = await request.json()
        if raw["type"] == "invoke":
            return web.json_response(CARD_ANSWER)
        if not session:
            session.append(ClientSession())
        url = f"{raw['serviceUrl']}/v3/conversations/{raw['conversation']['id']}/activities"
        async with session[0].post(url, json={"type": "message", "text": echo(raw["text"])}) as response:
            await response.read()
        return web.Response()

    async def close(_: web.Application) -> None:
        for opened in session:
            await opened.close()

    app = _app(process)
    app.on_cleanup.append(close)
    return app


class _Echo:
    async def receive(self, incoming: Incoming, chat: Chat) -> Answer | None:
        if incoming.invoke:
            return Answer(card=CARD)
        await chat.send(Message(summary="", text=echo(incoming.text)))
        return None


def our_app(adapter: Adapter | None = None) -> web.Application:
    """Our door with an echo behind it: no commands, no store, no cards. In local mode, if no adapter is given."""
    adapter = adapter or Adapter(None, allowed_service_hosts=())
    bot = TeamsBot(_Echo(), TeamsMessenger(adapter.connectors), local=adapter.local)

    async def process(request: web.Request) -> web.Response:
        return await adapter.process(request, bot)

    async def close(_: web.Application) -> None:
        await adapter.close()

    app = _app(process)
    app.on_cleanup.append(close)
    return app


def _app(handler: Any) -> web.Application:
    app = web.Application()
    app.router.add_post("/api/messages", handler)
    return app


APPS = {"stock": stock_app, "plain": plain_app, "ours": our_app}


async def serve(name: str) -> None:
    runner = web.AppRunner(APPS[name](), access_log=None)
    async with quiet():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await obey(f"http://127.0.0.1:{runner.addresses[0][1]}", {"cpu": cpu})
        await runner.cleanup()


# ---------------------------------------------------------------------- measured


@dataclass
class Contestant:
    """CPU of its process, in microseconds per turn: one figure a round."""

    service: Child
    messages: list[float] = field(default_factory=list)
    invokes: list[float] = field(default_factory=list)

    async def turns(self, driver: Driver, posts: Sequence[Post], replies: int) -> float:
        """CPU of its process per turn. Each message must have brought the connector one reply, and no invoke any."""
        before = await self.service.does("cpu")
        driven = await driver.posts(self.service.hello, posts)
        assert driven.replies == replies, f"{driven.replies} replies to {len(posts)} activities"
        return (await self.service.does("cpu") - before) / len(posts) * 1e6


class Typing:
    """Activities, each with an id of its own."""

    def __init__(self, connector: str) -> None:
        self._connector, self._count = FakeConnector(), 0
        self._connector.url = connector

    def messages(self, count: int) -> list[Post]:
        return [Post("/api/messages", activity(self._connector, id=self._id(), text="hello")) for _ in range(count)]

    def presses(self, count: int) -> list[Post]:
        data = {"mac": "805EC0112233"}
        return [Post("/api/messages", press(self._connector, id=self._id(), data=data)) for _ in range(count)]

    def _id(self) -> str:
        self._count += 1
        return f"m{self._count}"


async def run() -> list[Outcome]:
    async with driving() as driver, AsyncExitStack() as stack:
        typing, contestants = Typing(driver.connector), {}
        absent: dict[str, Absent] = {}
        for name in APPS:
            contestants[name] = Contestant(await stack.enter_async_context(child("tests.benchmarks.echo", name)))
        for name in SUCCESSORS:
            started = child(f"tests.benchmarks.successors.{name}", python=str(PYTHON))
            try:
                contestants[name] = Contestant(await stack.enter_async_context(started))
            except FileNotFoundError:
                absent[name] = Skipped, "the pinned requirements-bench.txt could not be installed"
            except RuntimeError as error:
                absent[name] = Failed, str(error)  # it is installed, so its targets stand
        for each in contestants.values():
            await each.turns(driver, typing.messages(WARM), WARM)
            await each.turns(driver, typing.presses(WARM), 0)
        for _ in range(ROUNDS):
            for each in contestants.values():
                each.messages.append(await each.turns(driver, typing.messages(TURNS), TURNS))
                each.invokes.append(await each.turns(driver, typing.presses(TURNS), 0))
    messages = {name: median(each.messages) for name, each in contestants.items()}
    invokes = {name: median(each.invokes) for name, each in contestants.items()}
    return [
        *_beside("CPU of an echo, a message with its reply", messages, absent, least=10),
        *_beside("CPU of an echo, a card action answered in-line", invokes, absent, least=15),
    ]


def _beside(name: str, taken: Mapping[str, float], absent: Mapping[str, Absent], least: float) -> list[Outcome]:
    ours = taken["ours"]
    return [
        at_least(name, ours, taken["stock"], least, "the bare stock SDK's echo"),
        *(below(name, ours, taken[each], SUCCESSORS[each]) for each in SUCCESSORS if each in taken),
        *(kind(f"{name}, beside {SUCCESSORS[each]}", reason) for each, (kind, reason) in absent.items()),
        beside(name, ours, taken["plain"], "plain aiohttp"),
    ]


if __name__ == "__main__":
    (interpreter.run if sys.argv[1] == "ours" else asyncio.run)(serve(sys.argv[1]))  # others as they come
