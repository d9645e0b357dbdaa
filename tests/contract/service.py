"""The real service in a thread of its own, with devices to play: schemathesis calls it from outside, and blocks."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

import app
from bot.interpreter import new_loop
from bot.settings import load_settings
from provisioning.commands import CommandName
from provisioning.service.activation import ProvisionCall
from tests.provisioning.world import DANA, World

T = TypeVar("T")

EVENTS_TOKEN: Final = "e" * 40


class Served:
    """One service. Its methods are called from any other thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, world: World, url: str) -> None:
        self._loop, self._world, self.url = loop, world, url
        self._numbers = count(1)
        self._token = ""
        self._mac = ""

    def _does(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def source(self) -> str:
        """A network that nobody called from yet: what one device may try is not what is looked at here."""
        number = next(self._numbers)
        return f"10.{number >> 8 & 255}.{number & 255}.7"

    def device(self) -> dict[str, str]:
        """A device that waits, with its code."""
        return self._does(self._issued())

    def token(self) -> str:
        """Of a provisioned device; a new one where the last was reset."""
        return self._does(self._live())

    def command(self) -> str:
        """What that device was asked for, and has not answered."""
        return self._does(self._asked())

    async def _issued(self) -> dict[str, str]:
        mac = f"805EC0{next(self._numbers):06X}"
        await self._world.add((mac, f"Oslo/2/{mac[-6:]}"))
        await self._world.issue(mac)
        return {"mac": mac, "code": await self._world.digits(mac)}

    async def _live(self) -> str:
        if not self._token or not (await self._world.device(self._mac)).provisioned:
            device = await self._issued()
            call = ProvisionCall(device["mac"], device["code"], self.source())
            self._mac, self._token = device["mac"], (await self._world.core.provision(call)).token
        return self._token

    async def _asked(self) -> str:
        await self._live()
        asked = await self._world.core.ask_device(await self._world.dana(), self._mac, CommandName.RESTART)
        return asked.command.id


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Listens on a free port until the block ends; its store is in the folder."""
    environ = {
        "STORE_URL": f"tinydb:{folder / 'store'}",
        "CODE_KEYS": f"k1:{b64encode(b'k' * 32).decode()}",
        "ADMINS": DANA,
        "EVENTS_TOKEN": EVENTS_TOKEN,
        "LOG_LEVEL": "critical",
    }
    settings = load_settings(environ, None).model_copy(update={"port": 0})
    ready: list[Served] = []
    failed: list[BaseException] = []
    up, end = threading.Event(), asyncio.Event()
    loop = new_loop()

    async def serve() -> None:
        async with app.running(settings) as service:
            core = service.provisioning
            world = World(core.store, core.clock, core)  # type: ignore[arg-type]
            await world.people()
            ready.append(Served(loop, world, service.url))
            up.set()
            await end.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as fault:
            failed.append(fault)
            up.set()
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="service")
    thread.start()
    up.wait()
    try:
        if failed:
            raise failed[0]
        yield ready[0]
    finally:
        if ready:
            loop.call_soon_threadsafe(end.set)
        thread.join()
