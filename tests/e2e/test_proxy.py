"""Two instances behind the proxy of deploy/nginx.conf itself, real nginx and real processes: they are one service to
whoever calls, also while one of them is killed, and while both are restarted one after the other.
"""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import unused_port
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bot.device_api import MAX_WAIT
from provisioning.events import DeviceProvisioned
from tests.bot.test_instances import instances
from tests.provisioning.world import DANA, A, World
from tests.storage import postgres

HOUSE = Path(__file__).parents[2]
CONFIG = (HOUSE / "deploy" / "nginx.conf").read_text(encoding="utf-8")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.9"  # the proxy and the caller, who is no trusted proxy

# Whoever starts it owns the folder that it writes to; as root it would hand its work to somebody else.
FOREGROUND = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")

pytestmark = pytest.mark.skipif(not NGINX, reason="needs nginx: run make e2e")


@dataclass
class Instance:
    """One process with a port of its own, which it keeps over restarts."""

    environ: Mapping[str, str]
    port: int = field(default_factory=unused_port)
    process: asyncio.subprocess.Process | None = None

    async def starts(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "app.py"),
            cwd=HOUSE,
            env={**os.environ, **self.environ, "PORT": str(self.port)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout
        line = b"-"
        while line and b"is ready" not in line:
            line = await self.process.stdout.readline()
        assert line, "it did not start"

    async def ends(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        if self.process.returncode is None:
            self.process.send_signal(how)
        await self.process.communicate()
        return self.process.returncode or 0


@dataclass
class House:
    """The proxy, what is behind it, and whoever looks after the devices."""

    world: World
    url: str
    here: Instance
    there: Instance
    http: aiohttp.ClientSession

    async def provisions(self, mac: str, code: str, **headers: str) -> tuple[int, dict[str, Any]]:
        body = {"mac": mac, "code": code}
        async with self.http.post(f"{self.url}/api/v1/provision", json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def polls(self, token: str, since: int | None = None, wait: float = 0) -> tuple[int, dict[str, Any]]:
        asked = {"wait": str(wait)} | ({} if since is None else {"since": str(since)})
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.get(f"{self.url}/api/v1/device", params=asked, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def status(self, path: str) -> int:
        async with self.http.get(f"{self.url}{path}") as answer:
            return answer.status

    async def issued(self, mac: str) -> str:
        await self.world.add((mac, f"Oslo/2/{mac[-4:]}"))
        await self.world.issue(mac)
        return await self.world.digits(mac)


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate of localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    kept = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "tls.key").write_bytes(kept)
    return folder / "tls.crt", folder / "tls.key"


def put(config: str, *replaced: tuple[str, str]) -> str:
    """Every word that is replaced has to stand there."""
    for old, new in replaced:
        assert old in config, old
        config = config.replace(old, new)
    return config


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    url = postgres.emptied()
    environ = {
        "STORE_URL": url,
        "CODE_KEYS": f"k1:{b64encode(b'k' * 32).decode()}",
        "ADMINS": DANA,
        "TRUSTED_PROXIES": f"{HERE}/32",
        "LOG_LEVEL": "warning",
    }
    certificate, key = certified(tmp_path)
    plain, secure = unused_port(), unused_port()
    async with AsyncExitStack() as stack:
        (office,) = await stack.enter_async_context(instances(url, 1))
        here, there = Instance(environ), Instance(environ)
        await asyncio.gather(here.starts(), there.starts())
        stack.push_async_callback(here.ends, signal.SIGKILL)
        stack.push_async_callback(there.ends, signal.SIGKILL)
        config = tmp_path / "nginx.conf"
        config.write_text(
            put(
                CONFIG,
                (" /tmp/", f" {tmp_path}/"),
                ("bot1:3978", f"{HERE}:{here.port}"),
                ("bot2:3978", f"{HERE}:{there.port}"),
                ("listen 8080", f"listen {HERE}:{plain}"),
                ("listen 8443", f"listen {HERE}:{secure}"),
                ("/run/secrets/tls_certificate", str(certificate)),
                ("/run/secrets/tls_key", str(key)),
            ),
            encoding="utf-8",
        )
        assert NGINX
        proxy = await asyncio.create_subprocess_exec(NGINX, "-c", config, "-p", tmp_path, "-g", FOREGROUND)
        stack.push_async_callback(proxy.wait)
        stack.callback(proxy.terminate)
        await listening(secure)
        trust = ssl.create_default_context(cafile=str(certificate))
        connector = aiohttp.TCPConnector(ssl=trust, local_addr=(ELSEWHERE, 0))
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        yield House(office.world, f"https://localhost:{secure}", here, there, http)


async def listening(port: int) -> None:
    for _ in range(200):
        with socket.socket() as tried:
            if tried.connect_ex((HERE, port)) == 0:
                return
        await asyncio.sleep(0.05)
    raise AssertionError("the proxy does not listen")


async def test_the_caller_s_own_address_arrives_and_no_claim_does(house: House) -> None:
    code = await house.issued(A)
    status, _ = await house.provisions(A, code, **{"X-Forwarded-For": "203.0.113.7"})
    assert status == 200
    page = await house.world.store.history(A, limit=10)
    assert [row.event.source for row in page.rows if isinstance(row.event, DeviceProvisioned)] == [ELSEWHERE]


async def test_what_is_the_operator_s_is_not_shown_to_the_world(house: House) -> None:
    assert [await house.status(path) for path in ("/metrics", "/readyz", "/version")] == [404, 404, 404]
    assert await house.status("/healthz") == 200
    async with house.http.post(f"{house.url}/api/messages", data=BytesIO(b" " * 1_100_000)) as answer:
        assert answer.status == 413
    async with house.http.post(f"{house.url}/api/messages", data=BytesIO(b" " * 300_000)) as answer:
        assert answer.status in {403, 413}, "the service's own answer"


async def test_a_long_poll_waits_as_long_as_it_asked_to(house: House) -> None:
    _, born = await house.provisions(A, await house.issued(A))
    _, now = await house.polls(born["token"])
    began = time.monotonic()
    status, then = await house.polls(born["token"], now["revision"], wait=3)
    assert (status, then["revision"]) == (200, now["revision"])
    assert 2.5 < time.monotonic() - began < 10
    (waits,) = [line.split()[1] for line in CONFIG.splitlines() if line.strip().startswith("proxy_read_timeout")]
    assert float(waits.rstrip("s;")) >= MAX_WAIT + 5


async def test_when_one_instance_is_killed_the_other_serves_everybody(house: House) -> None:
    tokens = [(await house.provisions(mac, await house.issued(mac)))[1]["token"] for mac in macs(4)]
    await house.here.ends(signal.SIGKILL)
    answers = [(await house.polls(token))[0] for token in tokens * 5]
    answers += [(await house.provisions(mac, await house.issued(mac)))[0] for mac in macs(4, first=100)]
    assert set(answers) == {200}


async def test_a_restart_of_one_after_the_other_is_noticed_by_nobody(house: House) -> None:
    fleet = macs(8)
    tokens = [(await house.provisions(mac, await house.issued(mac)))[1]["token"] for mac in fleet]
    codes = {mac: await house.issued(mac) for mac in macs(40, first=100)}
    over, statuses = asyncio.Event(), list[int]()

    async def looks(token: str) -> None:
        while not over.is_set():
            statuses.append((await house.polls(token))[0])

    async def waits(token: str) -> None:
        while not over.is_set():
            status, state = await house.polls(token)
            statuses.append(status)
            statuses.append((await house.polls(token, state["revision"], wait=2))[0])

    async def calls_in() -> None:
        for number, (mac, code) in enumerate(codes.items()):
            statuses.append((await house.provisions(mac, code, **{"Idempotency-Key": f"{number:032}"}))[0])
            await asyncio.sleep(0.1)

    load = [asyncio.create_task(looks(token)) for token in tokens[:4]]
    load += [asyncio.create_task(waits(token)) for token in tokens[4:]]
    load += [asyncio.create_task(calls_in())]
    for instance in (house.here, house.there):
        assert await instance.ends() == 0
        await instance.starts()
        await asyncio.sleep(2.5)  # as long as the proxy leaves one out that did not answer
    await load[-1]
    over.set()
    await asyncio.gather(*load)
    assert set(statuses) == {200}, {status: statuses.count(status) for status in set(statuses)}
    assert len(statuses) > 100


def macs(count: int, first: int = 0) -> list[str]:
    return [f"805EC0{0x110000 + number:06X}" for number in range(first, first + count)]
