"""Clients that send one byte of their headers a second, against the service in its own process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

HOUSE = Path(__file__).parents[2]
CLIENTS, SECONDS = 500, 25
PAGE = 1024  # bytes of a kilobyte, as the system counts them


@dataclass
class Seen:
    """What was seen of the service meanwhile."""

    handles: list[int] = field(default_factory=list)
    kilobytes: list[int] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)  # seconds that /healthz took
    cut: int = 0  # connections that the service ended
    held: list[float] = field(default_factory=list)  # seconds that each had lasted by then


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[int, int]]:
    """The service as its operator starts it; its process id and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environ = os.environ | {"PORT": str(port), "STORE_URL": f"tinydb:{folder}/store", "LOG_LEVEL": "error"}
        process = await asyncio.create_subprocess_exec(sys.executable, "app.py", cwd=HOUSE, env=environ)
        try:
            async with asyncio.timeout(60), aiohttp.ClientSession() as http:
                while not await _well(http, port):  # noqa: ASYNC110 - a process is asked
                    await asyncio.sleep(0.1)
            yield process.pid, port
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _well(http: aiohttp.ClientSession, port: int) -> bool:
    with suppress(aiohttp.ClientError):
        async with http.get(f"http://127.0.0.1:{port}/healthz") as answer:
            return answer.status == 200
    return False


async def slow_client(port: int, seen: Seen, until: float) -> None:
    """Comes again whenever it is cut off."""
    while time.monotonic() < until:
        began = time.monotonic()
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            while time.monotonic() < until and not reader.at_eof():
                writer.write(b"a")
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(4096), 1)
            if reader.at_eof():
                seen.cut += 1
                seen.held.append(time.monotonic() - began)
            writer.close()


async def watch(pid: int, port: int, seen: Seen, until: float) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        while time.monotonic() < until:
            _look(pid, seen)
            began = time.monotonic()
            assert await _well(http, port)
            seen.answers.append(time.monotonic() - began)
            await asyncio.sleep(0.2)


def _look(pid: int, seen: Seen) -> None:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    seen.kilobytes.append(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]))
    seen.handles.append(len(os.listdir(f"/proc/{pid}/fd")))


async def main(clients: int = CLIENTS, seconds: float = SECONDS) -> int:
    async with serving() as (pid, port):
        before, seen = Seen(), Seen()
        await watch(pid, port, before, time.monotonic() + 1)
        until = time.monotonic() + seconds
        await asyncio.gather(watch(pid, port, seen, until), *(slow_client(port, seen, until) for _ in range(clients)))
        after = Seen()
        await watch(pid, port, after, time.monotonic() + 1)
    answers = sorted(seen.answers)
    print(f"{clients} clients, one byte a second, for {seconds:.0f} s")
    print(f"file handles: {before.handles[-1]} before, {max(seen.handles)} at most, {after.handles[-1]} after")
    mib = [kilobytes / PAGE for kilobytes in (before.kilobytes[-1], max(seen.kilobytes), after.kilobytes[-1])]
    print("memory: {:.1f} MiB before, {:.1f} at most, {:.1f} after".format(*mib))
    print(f"/healthz meanwhile: median {answers[len(answers) // 2] * 1e3:.1f} ms, slowest {answers[-1] * 1e3:.1f} ms")
    held = f", after {min(seen.held):.1f} to {max(seen.held):.1f} s" if seen.held else ""
    print(f"connections that the service ended: {seen.cut}{held}")
    return 0 if seen.cut >= clients else 1
