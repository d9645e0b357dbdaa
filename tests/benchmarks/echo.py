"""CPU per turn at the Teams door: the bare stock SDK as the anchor, plain aiohttp as the floor, and ours.

    python -m tests.benchmarks.echo

The service runs in this process and its CPU time is counted (all threads); the client that posts the activities and
the connector that takes the replies run in another process, so that only the service is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, web
from botbuilder.core import CloudAdapterBase, InvokeResponse, TurnContext
from botbuilder.schema import Activity
from botframework.connector.auth import BotFrameworkAuthenticationFactory

from bot.adapter import Adapter
from bot.messenger import TeamsMessenger
from bot.teams_bot import TeamsBot
from bot.turn import Answer, Chat, Incoming
from provisioning.ports import Message
from tests.connector import FakeConnector, activity, press

HOUSE = Path(__file__).parents[2]
CARD = {
    "type": "AdaptiveCard",
    "version": "1.5",
    "body": [{"type": "TextBlock", "text": f"Line {number}", "wrap": True} for number in range(12)],
    "actions": [{"type": "Action.Execute", "title": "Confirm", "verb": "confirm", "data": {"mac": "805EC0112233"}}],
}


@dataclass(frozen=True)
class Measured:
    """`cpu` and `wall` per turn, in seconds.

    For all turns: `connections` that the service opened to the connector, and the longest `stall`, in seconds of work
    that the event loop did without turning to anybody else (0 where one is posted at a time).
    """

    cpu: float
    wall: float
    connections: int
    stall: float


async def measure(app: web.Application, activities: Sequence[dict[str, Any]], *, at_once: int = 1) -> Measured:
    """Serve `app` on loopback, post the activities to its /api/messages and count what they cost it.

    Every activity must be answered 200; its `serviceUrl` is replaced by a connector that takes all replies. A tenth
    of them goes in first, uncounted.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/messages"
        async with _driver() as driver:
            await driver.say({"url": url, "activities": list(activities), "at_once": at_once})
            await driver.hear()
            cpu, wall = time.process_time(), time.perf_counter()
            async with _stalls() if at_once > 1 else nullcontext([0.0]) as stalls:
                await driver.say("go")
                done = await driver.hear()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return Measured(cpu / len(activities), wall / len(activities), done["connections"], max(stalls))
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _stalls() -> AsyncIterator[list[float]]:
    """CPU time of the loop's thread from one look of a task to the next, so that other processes do not count."""
    work = [0.0]

    async def watch() -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time()
            work.append(now - before)
            before = now

    watching = asyncio.create_task(watch())
    try:
        yield work
    finally:
        watching.cancel()


def messages(count: int) -> list[dict[str, Any]]:
    return [activity(FakeConnector(), id=f"m{number}", text=f"hello {number}") for number in range(count)]


def presses(count: int) -> list[dict[str, Any]]:
    return [press(FakeConnector(), id=f"p{number}", data={"mac": "805EC0112233"}) for number in range(count)]


# ---------------------------------------------------------------------- the services that are compared


class _StockAdapter(CloudAdapterBase):
    """What botbuilder-integration-aiohttp does, with its one line put right that fails on invokes with a body."""

    async def process(self, request: web.Request) -> web.Response:
        incoming = Activity().deserialize(await request.json())
        header = request.headers.get("Authorization", "")
        answer = await self.process_activity(header, incoming, _stock_bot)
        return web.json_response(answer.body, status=answer.status) if answer else web.Response(status=201)


async def _stock_bot(context: TurnContext) -> None:
    if context.activity.type == "invoke":
        body = {"statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": CARD}
        value = InvokeResponse(status=200, body=body)
        await context.send_activity(Activity(type="invokeResponse", value=value))
    else:
        await context.send_activity(f"you said {context.activity.text}")


def stock_app() -> web.Application:
    return _app(_StockAdapter(BotFrameworkAuthenticationFactory.create()).process)


def plain_app() -> web.Application:
    """The floor: the same two HTTP messages and nothing else."""
    session: list[ClientSession] = []

    async def process(request: web.Request) -> web.Response:
        raw = await request.json()
        if raw["type"] == "invoke":
            return web.json_response({"statusCode": 200, "value": CARD})
        if not session:
            session.append(ClientSession())
        url = f"{raw['serviceUrl']}/v3/conversations/{raw['conversation']['id']}/activities"
        async with session[0].post(url, json={"type": "message", "text": f"you said {raw['text']}"}) as response:
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
        await chat.send(Message(summary="", text=f"you said {incoming.text}"))
        return None


def our_app() -> web.Application:
    """Our door with an echo behind it: no commands, no store, no cards."""
    adapter = Adapter(None, allowed_service_hosts=())
    bot = TeamsBot(_Echo(), TeamsMessenger(adapter.connectors), local=True)

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


async def stock_echo(n: int) -> float:
    """CPU seconds per message turn of the bare stock SDK: the anchor that our ratios refer to."""
    return (await measure(stock_app(), messages(n))).cpu


async def our_echo(n: int) -> float:
    """CPU seconds per message turn of our door alone."""
    return (await measure(our_app(), messages(n))).cpu


# ---------------------------------------------------------------------- the other process


class _Driver:
    """JSON lines to and from the child."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self._in, self._out = process.stdin, process.stdout

    async def say(self, value: Any) -> None:
        self._in.write(json.dumps(value).encode() + b"\n")
        await self._in.drain()

    async def hear(self) -> Any:
        line = await self._out.readline()
        if not line:
            raise RuntimeError("the driver of the benchmark ended early; its error stands above")
        return json.loads(line)


@asynccontextmanager
async def _driver() -> AsyncIterator[_Driver]:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.echo", "drive", stdin=pipe, stdout=pipe, cwd=HOUSE
    )
    try:
        yield _Driver(child)
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def _drive() -> None:
    job = json.loads(await asyncio.to_thread(sys.stdin.readline))
    async with FakeConnector() as connector, ClientSession() as session:
        everything = [{**one, "serviceUrl": connector.url} for one in job["activities"]]
        warm = [{**one, "id": f"warm-{one['id']}"} for one in everything[: max(len(everything) // 10, 5)]]
        await _post_all(session, job["url"], warm, job["at_once"])
        connector.connections.clear()
        print(json.dumps("warm"), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await _post_all(session, job["url"], everything, job["at_once"])
        print(json.dumps({"connections": len(connector.connections)}), flush=True)


async def _post_all(session: ClientSession, url: str, bodies: Sequence[dict[str, Any]], at_once: int) -> None:
    waiting = iter(bodies)

    async def post_next() -> None:
        for body in waiting:
            async with session.post(url, json=body) as response:
                if response.status not in (200, 201):
                    raise RuntimeError(f"{response.status}: {await response.text()}")

    await asyncio.gather(*(post_next() for _ in range(at_once)))


async def report(count: int = 300) -> None:
    """A table of both kinds of turn in the three services, in one run, so that the ratios are comparable."""
    print(f"{'CPU per turn, ms':<26}{'message':>10}{'invoke':>10}{'connections':>14}{'stall at 40, ms':>18}")
    rows = {}
    for name, make in (("plain aiohttp", plain_app), ("stock botbuilder", stock_app), ("our door", our_app)):
        message, invoke = await measure(make(), messages(count)), await measure(make(), presses(count))
        rows[name] = (message, invoke)
        crowd = await measure(make(), messages(count), at_once=40)
        figures = (
            f"{message.cpu * 1e3:>10.2f}{invoke.cpu * 1e3:>10.2f}{message.connections:>14}{crowd.stall * 1e3:>18.1f}"
        )
        print(f"{name:<26}{figures}")
    stock, ours = rows["stock botbuilder"], rows["our door"]
    print(f"{'ours against stock':<26}{stock[0].cpu / ours[0].cpu:>9.1f}×{stock[1].cpu / ours[1].cpu:>9.1f}×")


if __name__ == "__main__":
    asyncio.run(_drive() if sys.argv[1:] == ["drive"] else report(int(sys.argv[1]) if sys.argv[1:] else 300))
