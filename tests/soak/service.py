"""The service as its own process, started, killed, stopped and started again over the same store."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from app import SystemClock
from bot.composition import build_provisioning
from bot.settings import load_settings
from provisioning.model import Actor, Device, Role
from provisioning.service.devices import AT_ONCE, Wanted
from provisioning.service.issuing import IssueOrder
from provisioning.service.lookup import Target
from storage import open_store
from tests.storage.cluster import free_port

APP = (sys.executable, str(Path(__file__).parents[2] / "app.py"))
TENANT = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001"
ADMINS = tuple(f"00000000-0000-4000-8000-00000000da{n:02d}" for n in range(4))
ADMIN = Actor(id=ADMINS[0], name="Dana", tenant=TENANT, roles=frozenset({Role.ADMIN}))
START_SECONDS = 60.0  # then it will not come any more


@dataclass(frozen=True, order=True)
class Ready:
    """Seconds by the clock, and of the processors: on a machine that others use too only the latter mean something."""

    passed: float = 0.0
    worked: float = 0.0


def processor_seconds(pid: int, otherwise: float) -> float:
    """What a process and its threads took so far (proc(5), `stat`); where nobody says so, `otherwise`."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return otherwise
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Service:
    """One address and one store; the process behind it comes and goes."""

    store_url: str
    folder: Path
    more: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()  # words before its own command
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / f"service-{self.port}.log"

    @property
    def settings(self) -> dict[str, str]:
        return {
            "STORE_URL": self.store_url,
            "PORT": str(self.port),
            "TENANT_ID": TENANT,
            "ADMINS": ",".join(ADMINS),
            "CODE_KEYS": f"k1:{b64encode(b'k' * 32).decode()}",
            "LOG_FORMAT": "json",
            **self.more,
        }

    async def start(self) -> Ready:
        """Until it says that it is ready."""
        began = time.monotonic()
        environ = {"PATH": os.environ["PATH"], **self.settings}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.prefix, *APP, cwd=self.folder, env=environ, stdout=log, stderr=log
            )
        await self.until_ready(START_SECONDS)
        passed = time.monotonic() - began
        return Ready(passed, processor_seconds(self.process.pid, passed))

    async def until_ready(self, seconds: float) -> None:
        async with asyncio.timeout(seconds), aiohttp.ClientSession() as http:
            while not await self.is_ready(http):  # noqa: ASYNC110 - another process is asked
                await asyncio.sleep(0.02)

    async def is_ready(self, http: aiohttp.ClientSession) -> bool:
        with suppress(aiohttp.ClientError):
            async with http.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        if self.process and self.process.returncode is not None:
            raise RuntimeError(f"the service ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
        return False

    async def ends(self, by: signal.Signals) -> float:
        """Seconds until the process is gone."""
        assert self.process
        began = time.monotonic()
        self.process.send_signal(by)
        await self.process.wait()
        return time.monotonic() - began

    async def command(self, *words: str) -> str:
        """Runs a command of the program beside the service, to its end; what it said."""
        environ = {"PATH": os.environ["PATH"], **self.settings}
        pipe = asyncio.subprocess.PIPE
        done = await asyncio.create_subprocess_exec(
            *APP, *words, cwd=self.folder, env=environ, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await done.communicate()
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {said.decode()}")
        return said.decode()

    async def aclose(self) -> None:
        if self.process and self.process.returncode is None:
            await self.ends(signal.SIGKILL)


def mac_of(number: int) -> str:
    return f"805EC0{number:06X}"


def place_of(number: int) -> str:
    return f"Oslo/{number // 100}/{number // 100}.{number % 100:02}"


async def prepared(service: Service, count: int, first: int = 0) -> dict[str, str]:
    """Devices with live codes in a store that nobody serves yet, MAC → code."""
    settings, clock = load_settings(service.settings, None), SystemClock()
    store = await open_store(settings.store_url, clock=clock)
    try:
        core = build_provisioning(settings, store, clock)
        numbers = range(first, first + count)
        for start in numbers[::AT_ONCE]:
            batch = range(start, min(start + AT_ONCE, numbers.stop))
            await core.add(ADMIN, [Wanted(mac_of(n), place_of(n)) for n in batch])
        await core.issue(ADMIN, IssueOrder(target=Target()))
        found = {}
        for number in numbers:
            device = await store.get(Device, mac_of(number))
            assert device
            assert device.code
            found[device.mac] = core.keys.unseal(device.mac, device.code)
        return found
    finally:
        await store.close()
