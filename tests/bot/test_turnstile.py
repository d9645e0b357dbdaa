"""A burst goes on a few at a time, whoever came first goes first, and nobody waits for those who left."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from botbuilder.core import TurnContext

from bot.activity import Json
from bot.adapter import Adapter
from bot.credentials import Credentials
from bot.turnstile import FEW, Turnstile
from tests.bot.echo import Echo, local, post
from tests.connector import APP_ID, APP_PASSWORD, TENANT, FakeConnector, FakeIdentity, activity, serving


class Passes:
    """async with Passes() as passes: …; `passes.count` is that of the event loop's passes so far."""

    def __init__(self) -> None:
        self.count = 0

    async def __aenter__(self) -> "Passes":
        self._counting = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._counting.cancel()
        await asyncio.wait([self._counting])

    async def until(self, wanted: Callable[[], bool]) -> None:
        while not wanted():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)

    async def _run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


async def test_a_few_go_on_in_each_pass_in_the_order_they_came() -> None:
    turnstile, went = Turnstile(3), list[tuple[int, int]]()
    async with Passes() as passes:

        async def goes(number: int) -> None:
            await turnstile.through()
            went.append((number, passes.count))

        await asyncio.gather(*map(goes, range(20)))
    assert [number for number, _pass in went] == [*range(20)]
    assert max(Counter(at for _number, at in went).values()) == 3
    assert passes.count < 20


async def test_whoever_comes_while_others_are_called_is_counted_with_them() -> None:
    turnstile, went = Turnstile(3), list[int]()
    async with Passes() as passes:

        async def goes(later: int) -> None:
            for _ in range(later):
                await asyncio.sleep(0)
            await turnstile.through()
            went.append(passes.count)

        await asyncio.gather(*(goes(later) for later in range(6) for _ in range(5)))
    assert len(went) == 30
    assert max(Counter(went).values()) == 3


async def test_one_after_another_waits_for_no_pass() -> None:
    turnstile = Turnstile(1)
    for _ in range(3):
        going = turnstile.through()
        try:
            going.send(None)
        except StopIteration:
            await asyncio.sleep(0)
            continue
        raise AssertionError("it waited")


async def test_who_left_takes_nobodys_place() -> None:
    turnstile = Turnstile(1)
    first, leaves, goes = (asyncio.create_task(turnstile.through()) for _ in range(3))
    await asyncio.sleep(0)
    assert [each.done() for each in (first, leaves, goes)] == [True, False, False]
    leaves.cancel()
    await asyncio.wait_for(goes, 5)
    assert leaves.cancelled()


class Noting(Echo):
    """Notes the pass in which each of its turns begins."""

    def __init__(self, passes: Passes) -> None:
        super().__init__()
        self.begun = list[int]()
        self._passes = passes

    async def on_turn(self, context: TurnContext, raw: Json) -> None:
        self.begun.append(self._passes.count)
        await super().on_turn(context, raw)


async def test_forty_turns_that_arrive_in_one_moment_begin_a_few_at_a_time() -> None:
    async with FakeConnector() as connector, Passes() as passes, AsyncExitStack() as stack:
        bot = Noting(passes)
        client = await stack.enter_async_context(serving(local(), bot))
        address = ("127.0.0.1", client.port)
        lines = [stack.enter_context(socket.create_connection(address)) for _ in range(40)]
        await passes.until(lambda: len(client.server.runner.server.connections) == 40)
        for number, line in enumerate(lines):
            body = json.dumps(activity(connector, id=f"m{number}")).encode()
            head = f"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            line.sendall(b"POST /api/messages HTTP/1.1\r\n" + head.encode() + body)
        await connector.sent(40)
    assert max(Counter(bot.begun).values()) <= FEW


async def test_forty_turns_that_wait_for_one_token_answer_a_few_at_a_time() -> None:
    answered = list[int]()
    async with FakeConnector() as connector, FakeIdentity() as identity, Passes() as passes:
        bot = Noting(passes)

        async def note(_session: object, _context: object, call: Any) -> None:
            if str(call.url).startswith(connector.url):
                answered.append(passes.count)

        calls = aiohttp.TraceConfig()
        calls.on_request_start.append(note)
        credentials = Credentials(APP_ID, APP_PASSWORD, TENANT)
        adapter = Adapter(credentials, allowed_service_hosts=("127.0.0.1",), cloud=identity.cloud(), calls=[calls])
        async with serving(adapter, bot) as client:
            identity.token_free.clear()
            turns = [
                asyncio.create_task(post(client, activity(connector, id=f"m{n}"), identity.token(connector)))
                for n in range(40)
            ]
            await passes.until(lambda: len(bot.begun) == 40)
            assert answered == []
            identity.token_free.set()
            assert {(await turn).status for turn in turns} == {200}
    assert len(answered) == 40
    assert max(Counter(answered).values()) <= FEW
