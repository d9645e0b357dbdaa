"""Devices that call, from a process of its own: so cheap that the service beside it is what is measured.

An HTTP client that knows as much as these calls need, over connections that stay open: some 40 µs a call.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.children import Child, obey
from tests.benchmarks.cores import CALLER, pin
from tests.benchmarks.measuring import quantile

PATH = "/api/v1/provision"
PATIENCE = 120.0  # seconds for all calls of one order


@dataclass(frozen=True)
class Call:
    mac: str
    code: str
    source: str  # as the proxy before the service says

    def written(self, host: str) -> bytes:
        body = json.dumps({"mac": self.mac, "code": self.code, "type": "phone", "model": "T57W"})
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {self.source}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return (head + body).encode()


@dataclass(frozen=True)
class Called:
    """Seconds: of all calls together, of the caller's own CPU, and of each call from when it was due."""

    wall: float
    own: float
    each: Sequence[float]

    @property
    def rate(self) -> float:
        return len(self.each) / self.wall

    @property
    def busy(self) -> float:
        """The part of the time in which the caller itself was at work."""
        return self.own / self.wall

    def quantile(self, percent: int) -> float:
        return quantile(self.each, percent)


async def called(caller: Child, url: str, calls: Iterable[Call], at_once: int, rate: float = 0.0) -> Called:
    """Each call must be answered with 200. Without a rate the next one goes when another was answered."""
    return Called(**await caller.does("call", url, [vars(call) for call in calls], at_once, rate))


class Line(asyncio.Protocol):
    """One connection, with one call on its way at a time."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd, self._heard, self.due = crowd, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes, due: float) -> None:
        self.due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, _, body = self._heard.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(fields.get(b"content-length", len(body) + 1)):
            return
        if b" 200 " not in head.partition(b"\r\n")[0]:
            self._crowd.fail(self._heard.decode())
        self._heard = b""
        self._crowd.answered(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._crowd.lost(self, error)

    def close(self) -> None:
        self._transport.abort()


class Crowd:
    """All connections, and the calls that wait for one."""

    def __init__(self) -> None:
        self._free = deque[Line]()
        self._waiting = deque[tuple[float, bytes]]()
        self._each = list[float]()
        self._wanted = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def call(self, url: str, calls: Sequence[dict[str, Any]], at_once: int, rate: float) -> dict[str, Any]:
        host, loop = urlsplit(url).netloc, asyncio.get_running_loop()
        requests = [Call(**call).written(host) for call in calls]
        address, _, port = host.partition(":")
        for _ in range(at_once):
            _transport, line = await loop.create_connection(lambda: Line(self), address, int(port))
            self._free.append(line)
        lines, self._wanted = list(self._free), len(requests)
        cpu, began = time.process_time(), time.perf_counter()
        async with asyncio.timeout(PATIENCE):
            await self._begin(requests, began, rate)
            await self._done
        wall, own = time.perf_counter() - began, time.process_time() - cpu
        for line in lines:
            line.close()
        return {"wall": wall, "own": own, "each": self._each}

    async def _begin(self, requests: Sequence[bytes], began: float, rate: float) -> None:
        """At a rate, whoever finds no free connection waits, and that counts."""
        for number, request in enumerate(requests):
            due = began + number / rate if rate else 0.0
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            self._waiting.append((due, request))
            self._ask()

    def _ask(self) -> None:
        while self._free and self._waiting:
            due, request = self._waiting.popleft()
            self._free.popleft().ask(request, due or time.perf_counter())

    def answered(self, line: Line) -> None:
        self._each.append(time.perf_counter() - line.due)
        self._free.append(line)
        self._ask()
        if len(self._each) == self._wanted and not self._done.done():
            self._done.set_result(None)

    def lost(self, line: Line, error: Exception | None) -> None:
        """The service may close whatever has been silent for long."""
        if line in self._free:
            self._free.remove(line)
        else:
            self.fail(f"a connection was closed during its call: {error}")

    def fail(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(RuntimeError(why))


async def _call(url: str, calls: list[dict[str, Any]], at_once: int, rate: float) -> dict[str, Any]:
    return await Crowd().call(url, calls, at_once, rate)


if __name__ == "__main__":
    pin(CALLER)
    asyncio.run(obey("ready", {"call": _call}))
