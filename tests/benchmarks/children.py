"""Processes beside the measurement that do as they are told, in JSON lines, so that each counts its own time."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).parents[2]
LIMIT = 64 * 1024 * 1024  # bytes of one line
Order = Callable[..., Awaitable[Any]]


class Child:
    """Its parent's side. `hello` is what it said first."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self._process, self._in, self._out = process, process.stdin, process.stdout
        self.hello: Any = None
        self._busy = asyncio.Lock()

    async def does(self, order: str, *words: object) -> Any:
        """Its answer; whoever else gives an order meanwhile waits."""
        async with self._busy:
            self._in.write(json.dumps([order, *words]).encode() + b"\n")
            await self._in.drain()
            return await self.hears()

    async def hears(self) -> Any:
        line = await self._out.readline()
        if not line:
            raise RuntimeError("a child ended early; its error stands above")
        return json.loads(line)

    async def end(self, *, at_once: bool = False) -> None:
        """`at_once`: as a crash would."""
        if self._process.returncode is None:
            self._process.kill() if at_once else self._process.terminate()
        await self._process.wait()


@asynccontextmanager
async def child(module: str, *words: str, python: str = sys.executable) -> AsyncIterator[Child]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        python, "-m", module, *words, stdin=pipe, stdout=pipe, cwd=HOUSE, limit=LIMIT
    )
    speaking = Child(process)
    try:
        speaking.hello = await speaking.hears()
        yield speaking
    finally:
        await speaking.end()


async def obey(hello: object, orders: Mapping[str, Order]) -> None:
    """The child's side, until its parent has no more to say."""
    _say(hello)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order, *words = json.loads(line)
        _say(await orders[order](*words))


async def cpu() -> float:
    """An order: seconds that all threads of this process have worked so far."""
    return time.process_time()


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)
