"""What posts the requests and takes the replies: another process, so that only the service is measured here.

It speaks JSON lines with its parent: first the address of its connector, then an answer for each list of posts.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from tests.benchmarks.children import Child
from tests.connector import TENANT, FakeConnector

HOUSE = Path(__file__).parents[2]
SAM = {"id": "29:sam", "name": "Sam Technician", "aadObjectId": "6f1d1a52-3c4e-4d0b-9a51-0c7a5be05a3e"}
DANA = {"id": "29:dana", "name": "Dana Admin", "aadObjectId": "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0da0a"}
LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True)
class Post:
    path: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Driven:
    """Seconds: CPU of this process and wall of all posts together, and how long each took.

    `replies`: so many the connector took meanwhile.
    """

    cpu: float
    wall: float
    each: Sequence[float]
    replies: int = 0

    @property
    def mean(self) -> float:
        """Wall seconds a post: its inverse is how many a second are served."""
        return self.wall / len(self.each)

    @property
    def cpu_mean(self) -> float:
        return self.cpu / len(self.each)

    def quantile(self, percent: int) -> float:
        return statistics.quantiles(self.each, n=100)[percent - 1]


class Driver:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self._in, self._out = process.stdin, process.stdout
        self.connector = ""

    async def posts(self, url: str, posts: Sequence[Post], *, at_once: int = 1, of: Child | None = None) -> Driven:
        """Every post must be answered well. The CPU is that of this process, or of the child that serves them."""
        listed = [[post.path, post.body] for post in posts]
        self._in.write(json.dumps({"url": url.rstrip("/"), "posts": listed, "at_once": at_once}).encode() + b"\n")
        await self._in.drain()
        assert await self.hears() == "ready"
        cpu, wall = await _cpu(of), time.perf_counter()
        self._in.write(b"go\n")
        await self._in.drain()
        told = await self.hears()
        wall = time.perf_counter() - wall
        return Driven(await _cpu(of) - cpu, wall, **told)

    async def hears(self) -> Any:
        line = await self._out.readline()
        if not line:
            raise RuntimeError("the driver ended early; its error stands above")
        return json.loads(line)


async def _cpu(of: Child | None) -> float:
    """Seconds so far, all threads."""
    return float(await of.does("cpu")) if of else time.process_time()


@asynccontextmanager
async def driving() -> AsyncIterator[Driver]:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.driving", stdin=pipe, stdout=pipe, cwd=HOUSE, limit=LIMIT
    )
    driver = Driver(child)
    try:
        driver.connector = await driver.hears()
        yield driver
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def _drive() -> None:
    async with FakeConnector() as connector, ClientSession() as session:
        for person in (SAM, DANA):
            upn = f"{person['id'].removeprefix('29:')}@contoso.example"
            connector.knows(person["id"], **{**person, "userPrincipalName": upn, "tenantId": TENANT})
        _say(connector.url)
        while line := await asyncio.to_thread(sys.stdin.readline):
            job = json.loads(line)
            _say("ready")
            await asyncio.to_thread(sys.stdin.readline)
            before = len(connector.taken)
            each = await _post_all(session, job["url"], job["posts"], job["at_once"])
            _say({"each": each, "replies": len(connector.taken) - before})


async def _post_all(session: ClientSession, url: str, posts: Sequence[Any], at_once: int) -> list[float]:
    waiting, each = iter(posts), []

    async def post_next() -> None:
        for path, body in waiting:
            began = time.perf_counter()
            async with session.post(url + path, json=body) as response:
                text = await response.text()
            each.append(time.perf_counter() - began)
            if response.status not in (200, 201, 202):
                raise RuntimeError(f"{response.status}: {text}")

    await asyncio.gather(*(post_next() for _ in range(at_once)))
    return each


def _say(value: Any) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    asyncio.run(_drive())
