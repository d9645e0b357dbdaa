"""SIGTERM ends the service within ten seconds, whoever hangs."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp

from tests.connector import FakeConnector, Fault, activity

APP = Path(__file__).parents[2] / "app.py"


async def test_a_connector_that_hangs_within_a_turn_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {**os.environ, "PORT": str(port), "STORE_URL": f"tinydb:{tmp_path / 'store'}"}
    async with FakeConnector() as connector:
        connector.answers(*[Fault(hang=True)] * 3)
        service = await asyncio.create_subprocess_exec(
            sys.executable, str(APP), cwd=tmp_path, env=environ, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert service.stdout and b"is ready" in await service.stdout.readline()
            async with aiohttp.ClientSession() as client:
                turn = asyncio.create_task(
                    client.post(f"http://127.0.0.1:{port}/api/messages", json=activity(connector))
                )
                await connector.called(1)
                service.send_signal(signal.SIGTERM)
                async with asyncio.timeout(10):
                    assert await service.wait() == 0
                await asyncio.gather(turn, return_exceptions=True)
        finally:
            if service.returncode is None:
                service.kill()
                await service.wait()
