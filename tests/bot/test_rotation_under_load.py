"""Keys are rotated and retired again and again while codes are issued, shown and traded: not one of them is refused.

The services are real, with real stores, and so is the command, in a process of its own.
"""

import asyncio
import itertools
import os
import sys
from base64 import b64encode
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

import app
from bot.key_file import read_key_file
from bot.key_watch import KEY_SECONDS
from bot.settings import load_settings
from provisioning.service.lookup import Target
from tests.provisioning.world import DANA, SAM, World
from tests.secret_files import private
from tests.storage import postgres

HOUSE = Path(__file__).parents[2]
ROTATIONS = 3
WORKERS, OWN = 4, 6  # each trades codes of devices of its own, of which it keeps some waiting
HELD = 20  # devices whose codes wait from before the first rotation until after the last
WAIT = "1"  # seconds; a service looks twenty times meanwhile


class Quick(app.SystemClock):
    """The machine's time, and key files are looked at more often."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0.05 if seconds == KEY_SECONDS else seconds)


@dataclass
class Load:
    """The services, and what they were asked and answered."""

    worlds: list[World]
    urls: list[str]
    http: aiohttp.ClientSession
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[Any] = field(default_factory=list)
    over: bool = False
    keys_used: set[str] = field(default_factory=set)

    async def works(self, number: int) -> None:
        """Issues here, shows there, trades elsewhere, resets, and begins anew; codes wait a few turns in between."""
        dice, waiting = Random(number), deque[str]()
        macs = deque(mac_of(number, n) for n in range(OWN))
        while not self.over:
            mac = macs.popleft()
            world = dice.choice(self.worlds)
            await world.issue(mac, SAM, void=True)
            code = (await world.device(mac)).code
            assert code is not None
            self.keys_used.add(code.key_id)
            self.counts["issued"] += 1
            waiting.append(mac)
            await self.shows(dice.choice(self.worlds), dice.choice(waiting))
            if len(waiting) == OWN - 1:
                done = waiting.popleft()
                await self.trades(done, dice.choice(self.worlds), *dice.sample(self.urls * 2, 2))
                macs.append(done)

    async def shows(self, world: World, mac: str) -> str:
        shown = await world.core.show_code(await world.dana(), mac)
        self.counts["shown"] += 1
        if not shown.digits:
            self.refused.append(("not shown", mac))
        return shown.digits

    async def trades(self, mac: str, world: World, url: str, other: str) -> None:
        body = {"mac": mac, "code": await self.shows(world, mac)}
        headers = {"Idempotency-Key": f"{self.counts['traded']:032x}"}
        for _ in range(2):  # the answer was lost, and is asked for at another instance
            async with self.http.post(f"{url}/api/v1/provision", json=body, headers=headers) as answer:
                self.counts["traded"] += 1
                if answer.status != 200:
                    self.refused.append((answer.status, await answer.text()))
                    return
                token = (await answer.json())["token"]
            url = other
        bearer = {"Authorization": f"Bearer {token}"}
        async with self.http.post(f"{url}/api/v1/device/factory-reset", headers=bearer) as answer:
            assert answer.status == 204


def mac_of(worker: int, number: int) -> str:
    return f"805EC0{worker:02X}{number:04X}"


@asynccontextmanager
async def loaded(url: str, key_file: Path, count: int) -> AsyncIterator[Load]:
    environ = {"STORE_URL": url, "CODE_KEY_FILE": str(key_file), "ADMINS": DANA}
    settings = load_settings(environ, None).model_copy(update={"port": 0})
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        running = [await stack.enter_async_context(app.running(settings, Quick())) for _ in range(count)]
        cores = [service.provisioning for service in running]
        worlds = [World(core.store, core.clock, core) for core in cores]  # type: ignore[arg-type]
        for number, world in enumerate(worlds):
            world._operations = itertools.count(number * 10**9)  # each press is one of its own, wherever it arrives
        yield Load(worlds, [service.url for service in running], http)


async def typed(folder: Path, environ: dict[str, str], *words: str) -> str:
    """The command, as an operator types it beside the services."""
    command = await asyncio.create_subprocess_exec(
        sys.executable,
        HOUSE / "app.py",
        "rotate-keys",
        *words,
        "--wait",
        WAIT,
        cwd=folder,
        env=os.environ | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await command.communicate()
    assert command.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize(("kind", "count"), [("files", 1), ("postgres", 2)])
async def test_no_code_is_refused_while_keys_are_rotated_and_retired(tmp_path: Path, kind: str, count: int) -> None:
    url = f"tinydb:{tmp_path / 'store'}" if kind == "files" else postgres.emptied()
    path = private(tmp_path / "codes.key", f"first:{b64encode(b'1' * 32).decode()}\n")
    environ = {"STORE_URL": url, "CODE_KEY_FILE": str(path)}
    async with loaded(url, path, count) as load:
        first = await load.worlds[0].people()
        held = [mac_of(99, n) for n in range(HELD)]
        own = [mac_of(worker, n) for worker in range(WORKERS) for n in range(OWN)]
        await first.add(*((mac, f"Oslo/{mac}") for mac in (*held, *own)))
        await first.issue("all", SAM)
        workers = [asyncio.create_task(load.works(number)) for number in range(WORKERS)]
        dropped, began = 0, datetime.now(UTC)
        for _ in range(ROTATIONS):
            await typed(tmp_path, environ)
            said = await typed(tmp_path, environ, "--retire")
            assert "first: kept for " in said and not any(task.done() for task in workers)
            dropped += said.count("nothing needs it any more")
        load.over = True
        await asyncio.gather(*workers)
        for number, mac in enumerate(held):
            await load.trades(mac, load.worlds[number % count], load.urls[number % count], load.urls[0])
        seconds = (datetime.now(UTC) - began).total_seconds()
        print(kind, count, dict(load.counts), f"{seconds:.0f} s, {dropped} keys dropped, {len(load.keys_used)} used")
        assert load.refused == []
        assert load.counts["traded"] >= 2 * HELD + 50
        assert len(load.keys_used) == ROTATIONS + 1
        assert [await world.core.codes_without_key() for world in load.worlds] == [{}] * count
        for mac in (*held, *own):
            await first.core.revoke(await first.dana(), Target(device=await first.device(mac)))
        said = await typed(tmp_path, environ, "--retire")
        assert "first: nothing needs it any more." in said
        assert {world.core.keys.ids[0] for world in load.worlds} == {read_key_file(path)[0].id}
