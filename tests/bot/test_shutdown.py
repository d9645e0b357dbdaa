"""SIGTERM ends the service within ten seconds, whoever hangs, and whoever asked under load has an answer."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import nullcontext
from pathlib import Path

import aiohttp
import pytest

from tests.connector import FakeConnector, Fault, activity
from tests.soak.stopped import stopped
from tests.storage import postgres

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


@pytest.mark.parametrize("store", ["files", "postgresql"])
async def test_under_load_nothing_acknowledged_is_lost_and_nobody_is_cut_off(tmp_path: Path, store: str) -> None:
    with postgres.schema() if store == "postgresql" else nullcontext(f"tinydb:{tmp_path / 'store'}") as url:
        result = await stopped(url, tmp_path, rounds=1, seed=1)
    assert result.passed, (result.figures, result.violations[:5])
