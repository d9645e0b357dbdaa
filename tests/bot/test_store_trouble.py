"""A store that is damaged or full, under a real service over HTTP: what is answered, said, logged, and what heals."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

import app
from bot import workers
from bot.demo.people import LOCAL_ADMIN, LOCAL_TENANT
from bot.settings import load_settings
from provisioning.errors import Unavailable
from provisioning.model import Change
from provisioning.service import Provisioning
from storage import open_store
from tests.connector import FakeConnector
from tests.fakes import FakeClock
from tests.storage.samples import device

HOUSE = Path(__file__).parents[2]
CALL = {"mac": "805EC0FFFFFF", "code": "482913760254"}


async def until(found: Callable[[], Any], seconds: float = 20) -> Any:
    async with asyncio.timeout(seconds):
        while not (answer := await found()):  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.05)
        return answer


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[aiohttp.ClientSession, str, app.Service]]:
    with app._listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    settings = load_settings({"STORE_URL": f"tinydb:{folder}", "PORT": str(port)}, None)
    async with app.running(settings) as service, aiohttp.ClientSession() as http:
        yield http, service.url, service


async def ask(http: aiohttp.ClientSession, url: str, **more: Any) -> tuple[int, Any]:
    async with http.request("POST" if more else "GET", url, **more) as answer:
        return answer.status, await answer.json(content_type=None)


# ------------------------------------------------------------------ damage


def flip(file: Path, needle: bytes) -> None:
    content = bytearray(file.read_bytes())
    content[content.index(needle)] ^= 0x04
    file.write_bytes(content)


async def many_devices(folder: Path, count: int = 2000) -> None:
    store = await open_store(f"tinydb:{folder}", clock=FakeClock())
    for start in range(0, count, 500):
        numbers = range(start, start + 500)
        await store.save(Change(puts=tuple(device(n, f"Oslo/{n}", notes=f"note {n:06d}") for n in numbers)))
    await store.close()


async def test_a_flipped_byte_in_a_row_that_nobody_reads_is_found_soon_after_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = tmp_path / "store", tmp_path / "store" / "store.sqlite3"
    await many_devices(folder)
    flip(file, b"note 001700")
    monkeypatch.setattr(workers, "VERIFY_AFTER", 0.0)
    monkeypatch.setattr(workers, "VERIFY_AGAIN", 0.1)
    answered, verifies = asyncio.Event(), Provisioning.verify

    async def verify(self: Provisioning) -> None:
        await answered.wait()
        await verifies(self)

    monkeypatch.setattr(Provisioning, "verify", verify)
    with capture_logs() as logs:
        async with serving(folder) as (http, url, service):
            status, body = await ask(http, f"{url}/readyz")
            assert (status, body) == (200, {"status": "ready", "verified": None})  # the first answer does not wait
            answered.set()

            async def not_ready() -> Any:
                status, body = await ask(http, f"{url}/readyz")
                return body if status == 503 else None

            body = await until(not_ready)
            assert body["status"] == "not ready"
            (fault,) = body["faults"]
            for word in (str(file), 'row 1701 of "devices"', "python app.py restore"):
                assert word in fault
            before = file.read_bytes()
            refused = await http.post(f"{url}/api/v1/provision", json=CALL)
            assert (refused.status, refused.content_type) == (503, "application/problem+json")
            assert ((await refused.json())["code"], refused.headers["Retry-After"]) == ("unavailable", "10")
            assert (await ask(http, f"{url}/healthz"))[0] == 200
            assert service.provisioning.verified_at is None
            await asyncio.sleep(0.5)  # it is verified again and again
    assert file.read_bytes() == before
    told = [entry for entry in logs if entry["event"] == "the store cannot be used"]
    assert [(entry["log_level"], entry["reason"]) for entry in told] == [("error", fault)]


async def test_a_store_in_order_is_said_to_be_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "VERIFY_AFTER", 0.0)
    async with serving(tmp_path / "store") as (http, url, service):

        async def verified() -> Any:
            return (await ask(http, f"{url}/readyz"))[1]["verified"]

        at = await until(verified)
        assert at == service.provisioning.verified_at.isoformat(timespec="seconds")  # type: ignore[union-attr]


# ------------------------------------------------------------------ a full disk

SENTENCE = Unavailable("").sentence


class OnSmallDisk:
    """The service as its own process, its store on a file system of 2 MiB that only it sees."""

    def __init__(self, process: subprocess.Popen[str], disk: Path, port: int) -> None:
        self.process, self.port = process, port
        self.url = f"http://127.0.0.1:{port}"
        self.disk = Path(f"/proc/{process.pid}/root") / disk.relative_to("/")
        self.filler = self.disk / "filler"

    def fill(self) -> None:
        """Takes what is free, also what the service gave back since."""
        with suppress(OSError), self.filler.open("ab", buffering=0) as filler:
            while True:
                filler.write(bytes(512))

    def free(self, size: int | None = None) -> None:
        """All of it, or so many bytes."""
        if size is None:
            self.filler.unlink()
        else:
            os.truncate(self.filler, self.filler.stat().st_size - size)

    def end(self) -> list[dict[str, Any]]:
        """Stops it; what it logged."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=20)
        assert self.process.returncode == 0
        return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@contextmanager
def on_small_disk(tmp_path: Path) -> Iterator[OnSmallDisk]:
    with app._listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    disk = tmp_path / "disk"
    disk.mkdir()
    environ = {
        "PATH": os.environ["PATH"],
        "STORE_URL": f"tinydb:{disk}/store",
        "CODE_KEY_FILE": str(tmp_path / "codes.key"),
        "PORT": str(port),
        "LOG_FORMAT": "json",
    }
    serve = [sys.executable, str(HOUSE / "app.py"), "serve"]
    mounted = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=2m none "$0" && exec "$@"', str(disk), *serve]
    process = subprocess.Popen(
        mounted, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield OnSmallDisk(process, disk, port)
    finally:
        process.kill()
        process.communicate()


def can_mount(where: Path) -> bool:
    if not shutil.which("unshare"):
        return False
    tried = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "none", str(where)]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def says(text: str, connector: FakeConnector, number: int) -> dict[str, Any]:
    person = LOCAL_ADMIN
    return {
        "type": "message",
        "id": f"said-{number}",
        "channelId": "msteams",
        "serviceUrl": connector.url,
        "from": {"id": person.id, "name": person.name, "aadObjectId": person.aad_object_id},
        "recipient": {"id": "28:bot", "name": "Provisioning Bot"},
        "conversation": {"id": "a:dana", "conversationType": "personal", "tenantId": LOCAL_TENANT},
        "channelData": {"tenant": {"id": LOCAL_TENANT}},
        "text": text,
    }


class Guests:
    """A device, a person and an orchestrator at the service's doors."""

    def __init__(self, http: aiohttp.ClientSession, service: OnSmallDisk, connector: FakeConnector) -> None:
        self.http, self.service, self.connector = http, service, connector
        self._said = 0
        connector.knows(
            LOCAL_ADMIN.id,
            name=LOCAL_ADMIN.name,
            aadObjectId=LOCAL_ADMIN.aad_object_id,
            tenantId=LOCAL_TENANT,
            userPrincipalName=LOCAL_ADMIN.upn,
        )

    async def device_calls(self) -> tuple[int, str, str]:
        async with self.http.post(f"{self.service.url}/api/v1/provision", json=CALL) as answer:
            assert answer.content_type == "application/problem+json"
            return answer.status, (await answer.json())["code"], answer.headers.get("Retry-After", "")

    async def nothing_fits(self) -> bool:
        """The disk is full, with what the service's own files give back when it is idle."""
        for _ in range(3):
            await asyncio.sleep(0.2)  # the log is folded into the file; what it took is taken as well
            self.service.fill()
            if (await self.device_calls())[0] != 503:
                return False
        return True

    async def says(self, text: str) -> str:
        """What the bot answered."""
        self._said += 1
        before = len(self.connector.sends)
        activity = says(text, self.connector, self._said)
        async with self.http.post(f"{self.service.url}/api/messages", json=activity) as answer:
            assert answer.status == 200
        said = (await self.connector.sent(before + 1))[before:]
        return json.dumps([call.body for call in said], ensure_ascii=False)

    async def ready(self) -> tuple[int, Any]:
        return await ask(self.http, f"{self.service.url}/readyz")

    async def is_ready(self) -> bool:
        with suppress(aiohttp.ClientError):
            return (await self.ready())[0] == 200
        return False


async def test_a_full_disk_is_told_to_everybody_in_their_way_and_heals_by_itself(tmp_path: Path) -> None:
    if not can_mount(tmp_path):
        pytest.skip("no small file system can be mounted here; tests/crash/full_disk.py stands in with RLIMIT_FSIZE")
    async with FakeConnector() as connector, aiohttp.ClientSession() as http:
        with on_small_disk(tmp_path) as service:
            guests = Guests(http, service, connector)
            await until(guests.is_ready)
            assert "805EC0112233" in re.sub(
                "[^0-9A-F]", "", (await guests.says("add 805EC0112233 Oslo/2/2.14")).upper()
            )
            assert await guests.device_calls() == (403, "code_refused", "")

            await until(guests.nothing_fits)
            for n in range(30):
                assert await guests.device_calls() == (503, "unavailable", "10")
                assert SENTENCE in await guests.says(f"add 805EC01122{n:02X} Oslo/2/2.15")
                status, body = await guests.ready()
                assert (status, len(body["faults"])) == (503, 1)
            assert str(tmp_path / "disk" / "store") in body["faults"][0]
            assert "Free some space" in body["faults"][0]
            assert (await ask(http, f"{service.url}/healthz"))[0] == 200
            assert "2.14" in await guests.says("device 2.14")  # what is there is still read

            for _ in range(3):
                service.free(16 * 1024)  # a sliver, in which some calls find room
                assert (await guests.device_calls())[0] in {403, 429, 503}
                assert (await guests.ready())[0] == 503
                service.fill()

            service.free()
            await until(guests.is_ready)
            assert await guests.device_calls() == (403, "code_refused", "")
            assert "2.15" in await guests.says("add 805EC0112299 Oslo/2/2.15")
            logged = service.end()
    told = [entry for entry in logged if entry["event"] in ("the store cannot be used", "the store can be used again")]
    assert [entry["level"] for entry in told] == ["error", "info"]
    assert told[0]["reason"] == body["faults"][0]
