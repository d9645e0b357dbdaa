"""From nothing to the first answer, and the memory of a service that idles, beside the bare SDK's echo.

    python -m tests.benchmarks.starting

Each is a process of its own, started in turn, that is asked by a plain socket until it answers. The store that is full
holds 200 000 devices.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.benchmarks import Row, Skipped, beside, filled, within
from tests.benchmarks.children import HOUSE
from tests.benchmarks.tables import told

ROUNDS: Final = 3  # the first one may fetch its files from the disk; the one in the middle counts
LIMIT, MEMORY = 3e6, 130  # microseconds to the first answer, MB of a service that idles
SETTLED: Final = 2.0  # seconds until its loops have looked once
PATIENCE: Final = 60.0
PROC: Final = Path("/proc")
TICK: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
AIOHTTP: Final = """
import sys
from aiohttp import web

async def healthy(_):
    return web.Response()

app = web.Application()
app.router.add_get("/healthz", healthy)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


@dataclass(frozen=True)
class Kind:
    """What is started. `ours` reads its port and its store from the environment, and is asked `/readyz` as well."""

    words: Sequence[str]
    store: str = ""

    @property
    def asked(self) -> Sequence[str]:
        return ("/healthz", "/readyz") if self.store else ("/healthz",)


@dataclass(frozen=True)
class Started:
    """`wall` and `cpu` to the first answer, in microseconds; `memory` once it idles, in MB, 0 where it was not read."""

    wall: float
    cpu: float
    memory: float


async def run() -> list[Row | Skipped]:
    if not (PROC / "self/status").exists():
        return [Skipped("start and idle memory", "there is no /proc to read them from")]
    with tempfile.TemporaryDirectory() as name:
        empty, full = (f"tinydb:{name}/{store}" for store in ("empty", "full"))
        await filled.fleet(Path(name) / "full")
        kinds = {
            "empty": Kind(("app.py",), empty),
            "full": Kind(("app.py",), full),
            "sdk": Kind(("-m", "tests.benchmarks.bare")),
            "aiohttp": Kind(("-c", AIOHTTP)),
        }
        taken: dict[str, list[Started]] = {kind: [] for kind in kinds}
        for number in range(1, ROUNDS + 1):
            for kind, starting in kinds.items():
                settle = number == ROUNDS and kind != "full"  # of which no memory is told
                taken[kind].append(await _started(starting, settle=settle))
    return _rows(taken)


def _rows(taken: Mapping[str, Sequence[Started]]) -> list[Row | Skipped]:
    wall = {kind: median(one.wall for one in each) for kind, each in taken.items()}
    cpu = {kind: median(one.cpu for one in each) for kind, each in taken.items()}
    memory = {kind: each[-1].memory for kind, each in taken.items()}
    sdk, idle = "the bare SDK's echo", memory["empty"]
    target = f"≤ {MEMORY} MB (beside: {sdk})"
    return [
        within(f"start to the first answer, {filled.SIZE.devices:,} devices", wall["full"], LIMIT),
        beside("start to the first answer, an empty store", wall["empty"], wall["sdk"], sdk),
        beside("CPU of that start", cpu["empty"], cpu["sdk"], sdk),
        beside(f"CPU of the start, {filled.SIZE.devices:,} devices", cpu["full"], cpu["sdk"], sdk),
        beside("start of the bare SDK's echo", wall["sdk"], wall["aiohttp"], "bare aiohttp"),
        Row(
            "memory of an idle service, an empty store",
            idle,
            memory["sdk"],
            idle / memory["sdk"],
            target,
            idle <= MEMORY,
            "MB",
            margin=MEMORY / idle,
        ),
        Row(
            "memory of the bare SDK's echo",
            memory["sdk"],
            memory["aiohttp"],
            memory["sdk"] / memory["aiohttp"],
            "beside bare aiohttp",
            None,
            "MB",
        ),
    ]


async def _started(kind: Kind, *, settle: bool) -> Started:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ |= {"STORE_URL": kind.store, "PORT": str(port), "LOG_LEVEL": "error"} if kind.store else {}
    words = kind.words if kind.store else (*kind.words, str(port))
    began, quiet = time.perf_counter(), asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=HOUSE, env=environ, stdout=quiet)
    try:
        async with asyncio.timeout(PATIENCE):
            for path in kind.asked:
                while not await _answers(port, path):
                    if process.returncode is not None:
                        raise RuntimeError(f"{words[0]} ended instead of answering; its error stands above")
                    await asyncio.sleep(0.01)
        wall, cpu = time.perf_counter() - began, _cpu(process.pid)
        await asyncio.sleep(SETTLED if settle else 0)
        return Started(wall * 1e6, cpu * 1e6, _memory(process.pid) if settle else 0)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        return (await reader.readline()).split()[1:2] == [b"200"]
    except OSError:
        return False
    finally:
        writer.close()


def _cpu(process: int) -> float:
    """Seconds, of all threads."""
    fields = (PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _memory(process: int) -> float:
    """What is resident, in MB."""
    status = (PROC / str(process) / "status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    told(asyncio.run(run()))
