"""Fifteen thousand devices that each hold a long poll on one process, which has one core, beside plain aiohttp.

    python -m tests.benchmarks.polls

The service, plain aiohttp and those who call have a process each. Devices call again as soon as they are answered.
Memory is that of the process: what the kernel holds for the connections is not counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bot import interpreter
from bot.listening import RESERVE, patience, raise_handles
from tests.benchmarks import Row, Skipped, beside, none, reaches, within
from tests.benchmarks.children import Child, child, obey

DEVICES = 15_000
CHANGES = 300
WAIT = 30.0  # seconds a poll waits
WINDOW = 32.0  # seconds: every device is answered and calls again within them
COMING, ANCHOR_COMING = 16.0, 6.0  # seconds within which all of them come, so that their ends are spread
ANCHOR_WAIT, ANCHOR_WINDOW = 8.0, 9.0  # what a poll costs does not depend on how long it waits
OPENING = 100  # connections that are being made at the same time
PORTS = 10_000  # of one source address
MEMORY, MEDIAN = 400.0, 0.1  # MB and seconds
BUSY = 80.0  # percent of the one core that the service may use: beyond that it is late for whatever comes in a crowd
PRESENT = 0.95  # of the devices: the others were just answered, and call again
DANA = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0da0a"
MODULE = "tests.benchmarks.polls"
STATM = Path("/proc/self/statm")
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0


# ------------------------------------------------------------------ the service


def mac_of(number: int) -> str:
    return f"805EC0{number:06X}"


def token_of(number: int) -> str:
    return f"{number:06d}".rjust(43, "t")  # as long as a real one


async def fill(folder: Path, many: int) -> None:
    """Provisioned devices with tokens, in their first revision. In this process, so that the service's stays small."""
    from provisioning import codes
    from provisioning.model import Device, State
    from tests.benchmarks import filled

    now = datetime.now(UTC)
    fleet = (
        Device(
            mac=mac_of(number),
            location=f"Oslo/{number % 12}/{number:05d}",
            added_at=now,
            added_by="dana",
            state=State.SIGNED_IN,
            token=codes.hash_token(token_of(number)),
            provisioned_at=now,
        )
        for number in range(many)
    )
    await filled.listed(folder, fleet)


async def serve(folder: str) -> None:
    """The service as it runs, and an admin who moves devices about."""
    from app import running
    from bot import logs
    from bot.interpreter import serve_evenly
    from bot.settings import load_settings
    from provisioning.model import Actor, Role

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"tinydb:{Path(folder) / 'store'}"
    settings = load_settings({"STORE_URL": url, "PORT": str(port), "ADMINS": DANA})
    admin = Actor(id=DANA, name="Dana", tenant="contoso", roles=frozenset({Role.ADMIN}))
    logs.configure("json", "error")
    raise_handles()
    async with running(settings) as service:
        serve_evenly()

        async def change(numbers: list[int], seconds: float) -> list[Any]:
            """Moves these devices, spread over so many seconds; when each move began, by the clock of this machine.

            Not when its commit returned: on a busy loop the device may have heard of it by then.
            """
            began = time.monotonic()

            async def move(turn: int, number: int) -> tuple[int, float]:
                await asyncio.sleep(began + turn * seconds / len(numbers) - time.monotonic())
                began_at = time.monotonic()
                await service.provisioning.move(admin, mac_of(number), f"Bergen/{turn % 12}/{number:05d}")
                return number, began_at

            done = await asyncio.gather(*(move(turn, number) for turn, number in enumerate(numbers)))
            await asyncio.sleep(began + seconds - time.monotonic())
            return done

        await obey(service.url, {"change": change, "usage": usage})


async def serve_plainly() -> None:
    """The least there is: it holds a request on an event that never comes."""
    from aiohttp import web

    async def poll(request: web.Request) -> web.Response:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(request.query["wait"])):
                await asyncio.Event().wait()
        return web.json_response({"revision": int(request.query["since"]), "commands": []})

    raise_handles()
    app = web.Application()
    app.router.add_get("/api/v1/device", poll)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    await obey(f"http://127.0.0.1:{runner.addresses[0][1]}", {"usage": usage})


async def usage() -> dict[str, float]:
    return {"memory": _resident() / 1e6, "cpu": time.process_time(), "at": time.monotonic()}


def _resident() -> int:
    return int(STATM.read_text().split()[1]) * PAGE


# ------------------------------------------------------------------ those who call


class Device(asyncio.Protocol):
    """Calls, and calls again once it is answered."""

    def __init__(self, number: int, crowd: Crowd) -> None:
        self._number, self._crowd, self._since, self._read = number, crowd, 1, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        crowd = self._crowd
        head = (
            f"GET /api/v1/device?since={self._since}&wait={crowd.wait:g} HTTP/1.1\r\nHost: 127.0.0.1:{crowd.port}\r\n"
            f"Authorization: Bearer {token_of(self._number)}\r\nAccept: application/json\r\nUser-Agent: phone\r\n\r\n"
        )
        self._transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, _, body = self._read.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not length or len(body) < int(length):
            return
        self._read = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self._crowd.errors.append(head.partition(b"\r\n")[0].decode())
            return
        self._crowd.answers += 1
        revision = json.loads(body)["revision"]
        if revision != self._since:
            self._since = revision
            self._crowd.heard.setdefault(self._number, time.monotonic())
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.errors.append(f"a connection was lost: {exc}")


class Crowd:
    def __init__(self) -> None:
        self.port, self.wait, self.answers = 0, 0.0, 0
        self.heard: dict[int, float] = {}  # device → when it had read the answer that told it of its change
        self.errors: list[str] = []

    async def come(self, port: int, many: int, seconds: float, wait: float) -> int:
        """All of them call, one after the other; returns once each has asked."""
        self.port, self.wait = port, wait
        loop, began, waiting = asyncio.get_running_loop(), time.monotonic(), iter(range(many))

        async def open_next() -> None:
            for number in waiting:
                await asyncio.sleep(began + number * seconds / many - time.monotonic())
                source = (f"127.0.0.{2 + number // PORTS}", 0)
                await loop.create_connection(lambda n=number: Device(n, self), "127.0.0.1", port, local_addr=source)

        await asyncio.gather(*(open_next() for _ in range(OPENING)))
        return many

    async def seen(self) -> dict[str, Any]:
        """Whatever they were told since they were asked last."""
        answers, heard, errors = self.answers, self.heard, self.errors
        self.answers, self.heard, self.errors = 0, {}, []
        return {"answers": answers, "heard": list(heard.items()), "errors": errors}


async def call() -> None:
    raise_handles()
    crowd = Crowd()
    await obey("ready", {"come": crowd.come, "seen": crowd.seen})


# ------------------------------------------------------------------ the measurement


@dataclass(frozen=True)
class Held:
    """So many polls over a time. Memory in MB, CPU and time in seconds."""

    idle: float
    memory: float
    cpu: float
    seconds: float
    answers: int
    errors: Sequence[str]
    woken: Sequence[float] = ()
    open_polls: float = 0

    @property
    def cpu_a_poll(self) -> float:
        return self.cpu / self.answers

    @property
    def share(self) -> float:
        """Of one core, in percent."""
        return 100 * self.cpu / self.seconds


def carried() -> int:
    """Polls for which there are file handles: all of them, if the system lets us."""
    raise_handles()
    return min(DEVICES, patience().connections - RESERVE)


async def held(many: int) -> Held:
    with tempfile.TemporaryDirectory() as name:
        await fill(Path(name) / "store", many)
        async with _pair("serve", name) as (service, crowd):
            port, idle = _port(service), (await service.does("usage"))["memory"]
            await crowd.does("come", port, many, COMING, WAIT)
            await crowd.does("seen")
            polls, before = await _open_polls(port), await service.does("usage")
            changed = random.Random(7).sample(range(many), min(CHANGES, many))
            done = dict(await service.does("change", changed, WINDOW))
            after, polls_after = await service.does("usage"), await _open_polls(port)
            await asyncio.sleep(1)  # for the last answers
            seen = await crowd.does("seen")
    heard = dict(seen["heard"])
    unheard = [f"device {number} did not hear of its change" for number in done if number not in heard]
    return Held(
        idle=idle,
        memory=max(before["memory"], after["memory"]),
        cpu=after["cpu"] - before["cpu"],
        seconds=after["at"] - before["at"],
        answers=seen["answers"],
        errors=seen["errors"] + unheard,
        woken=sorted(heard[number] - at for number, at in done.items() if number in heard),
        open_polls=min(polls, polls_after),
    )


async def held_plainly(many: int) -> Held:
    async with _pair("serve_plainly") as (plain, crowd):
        idle = (await plain.does("usage"))["memory"]
        await crowd.does("come", _port(plain), many, ANCHOR_COMING, ANCHOR_WAIT)
        await crowd.does("seen")
        before = await plain.does("usage")
        await asyncio.sleep(ANCHOR_WINDOW)
        after, seen = await plain.does("usage"), await crowd.does("seen")
    memory, cpu = max(before["memory"], after["memory"]), after["cpu"] - before["cpu"]
    return Held(idle, memory, cpu, after["at"] - before["at"], seen["answers"], seen["errors"])


@asynccontextmanager
async def _pair(*served: str) -> AsyncIterator[tuple[Child, Child]]:
    """A service, and those who call it; each on a core of its own where the system can do that."""
    async with child(MODULE, *served) as service, child(MODULE, "call") as crowd:
        yield service, crowd


def _on_core(which: str) -> None:
    if hasattr(os, "sched_setaffinity"):
        first, *others = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, (others or [first]) if which == "call" else [first])


def _port(service: Child) -> int:
    return int(service.hello.rstrip("/").rpartition(":")[2])


async def _open_polls(port: int) -> float:
    """As the service counts them."""

    def ask() -> str:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as page:
            return str(page.read().decode())

    lines = [line for line in (await asyncio.to_thread(ask)).splitlines() if "http_open_polls{" in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def run() -> list[Row | Skipped]:
    if sys.platform != "linux":
        return [Skipped("long polls", "memory is read from Linux's /proc")]
    many = carried()
    rest = Skipped(f"more than {many:,} long polls", "the system gives no more file handles")
    plain = await held_plainly(many)
    return [*rows(many, await held(many), plain), *([rest] if many < DEVICES else [])]


def rows(many: int, ours: Held, plain: Held) -> list[Row]:
    errors, woken = [*ours.errors, *plain.errors], ours.woken or (float("inf"),)
    print(*errors[:10], sep="\n", file=sys.stderr)
    p50, p99 = (woken[len(woken) * percent // 100] * 1e6 for percent in (50, 99))
    each, each_plain = ((one.memory - one.idle) * 1e6 / 1024 / many for one in (ours, plain))
    of = f"{many:,} long polls"
    return [
        reaches(f"{of}: under way at once", ours.open_polls, PRESENT * many, "polls"),
        none(f"{of}: answers with an error, or none", len(errors), "answers"),
        within(f"{of}: memory of the service", ours.memory, MEMORY, "MB"),
        Row(f"{of}: memory of each", each, each_plain, each / each_plain, "beside plain aiohttp", None, "KiB"),
        within(f"{of}: CPU of the service, of its one core", ours.share, BUSY, "%"),
        beside(f"{of}: CPU of each", ours.cpu_a_poll * 1e6, plain.cpu_a_poll * 1e6, "plain aiohttp"),
        within(f"{of}: p50 from a change, its commit included, to its device", p50, MEDIAN * 1e6),
        beside(f"{of}: p99 from a change, its commit included, to its device", p99, p50, "p50"),
    ]


if __name__ == "__main__":
    sides = {"serve": serve, "serve_plainly": serve_plainly, "call": call}
    if sys.argv[1:]:
        _on_core(sys.argv[1])
        (interpreter.run if sys.argv[1] == "serve" else asyncio.run)(sides[sys.argv[1]](*sys.argv[2:]))
    else:
        from tests.benchmarks.tables import table

        print(table(asyncio.run(run())))
