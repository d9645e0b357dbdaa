"""`python app.py` in a process of its own, in local mode on a free port, with a store of its own; its log in a file."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Self

import aiohttp

HOUSE = Path(__file__).parents[1]
SOON = 30.0  # seconds until it is ready


class Running:
    """async with Running(tmp_path, LOG_LEVEL="debug") as service: ..."""

    def __init__(self, folder: Path, **more: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url, self.log, self._folder = f"http://127.0.0.1:{port}", folder / "log", folder
        self._environ = {**os.environ, "PORT": str(port), "STORE_URL": f"tinydb:{folder / 'store'}", **more}
        self._environ.setdefault("LOG_FORMAT", "json")

    async def __aenter__(self) -> Self:
        with self.log.open("w") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, str(HOUSE / "app.py"), cwd=self._folder, env=self._environ, stdout=log
            )
        async with aiohttp.ClientSession() as client, asyncio.timeout(SOON):
            while not await self._is_ready(client):
                assert self.process.returncode is None, self.logged
                await asyncio.sleep(0.02)
        return self

    async def _is_ready(self, client: aiohttp.ClientSession) -> bool:
        try:
            async with client.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    @property
    def logged(self) -> str:
        return self.log.read_text()

    async def stop(self) -> float:
        """As an operator stops it; returns the seconds that took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await self.process.wait() == 0, self.logged
        return time.monotonic() - began

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
