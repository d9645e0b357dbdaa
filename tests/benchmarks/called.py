"""Who is called, in a process pinned to one core: the service as it runs, or plain aiohttp that answers the like.

python -m tests.benchmarks.called service STORE_URL | plain
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
from base64 import b64encode
from datetime import UTC, datetime

import structlog
from aiohttp import web

from app import running
from bot import composition
from bot.interpreter import run, serve_evenly
from bot.settings import load_settings
from provisioning.pacing import Pacing
from tests.benchmarks.calling import PATH
from tests.benchmarks.children import obey
from tests.benchmarks.cores import SERVICE, pin
from tests.provisioning.world import DANA
from tests.scale.state import NOW
from tests.soak.service import TENANT
from tests.storage.cluster import free_port


class Since:
    """The machine's time, put back to the day that the state is from."""

    def __init__(self, start: datetime) -> None:
        self._behind = datetime.now(UTC) - start

    def now(self) -> datetime:
        return datetime.now(UTC) - self._behind

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _cpu() -> float:
    """Seconds that this process and its threads took so far."""
    return time.process_time()


async def service(store_url: str) -> None:
    """Local mode, which needs no credentials, but at the pace that Teams bears: else it is no rollout."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    composition.build_pacing = lambda settings: Pacing(time.monotonic)
    environ = {
        "STORE_URL": store_url,
        "PORT": str(free_port()),
        "TENANT_ID": TENANT,
        "ADMINS": DANA,
        "CODE_KEYS": f"k1:{b64encode(b'k' * 32).decode()}",
    }
    async with running(load_settings(environ, None), Since(NOW)) as running_service:
        core = running_service.provisioning

        async def verified() -> bool:
            """Once it was read through, which every start begins with."""
            while core.verified_at is None:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.05)
            return True

        serve_evenly()
        await obey(running_service.url, {"cpu": _cpu, "verified": verified})


async def plain() -> None:
    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        device = {"mac": asked["mac"], "location": "Oslo/2/2.14", "state": "waiting_for_sign_in", "life": 1}
        tenant = {"id": "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001", "name": "Contoso"}
        return web.json_response({"tenant": tenant, "device": device, "token": secrets.token_urlsafe(32)})

    app = web.Application()
    app.router.add_post(PATH, answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await obey(f"http://127.0.0.1:{runner.addresses[0][1]}", {"cpu": _cpu})


if __name__ == "__main__":
    pin(SERVICE)
    if sys.argv[1] == "service":
        run(service(*sys.argv[2:]))
    else:
        asyncio.run(plain())
