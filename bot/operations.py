"""What whoever runs the service asks it: is the process alive, is it ready, which version is it (interfaces.md)."""

from __future__ import annotations

import asyncio
import platform
import tomllib
from collections.abc import Awaitable, Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import hdrs, web

from provisioning.texts import _

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[Sequence[str]]]  # one sentence per fault, with its cure; none: ready

CHECK_SECONDS: Final = 5.0
PYPROJECT: Final = Path(__file__).parents[1] / "pyproject.toml"
PROJECT: Final = "provisioning-bot"


def routes(check: Check, version: str, *, check_seconds: float = CHECK_SECONDS) -> list[web.RouteDef]:
    """`/healthz` never asks the store, so it answers while the store is away; `/readyz` asks `check`."""
    operations = Operations(check, version, check_seconds)
    return [
        web.get("/healthz", operations.health),
        web.get("/readyz", operations.readiness),
        web.get("/version", operations.version),
    ]


class Operations:
    """The three answers for orchestrators; none holds a secret, each is safe to ask at any rate."""

    def __init__(self, check: Check, version: str, check_seconds: float) -> None:
        self._check = check
        self._version = version
        self._seconds = check_seconds

    async def health(self, request: web.Request) -> web.Response:
        return _answer(200, {"status": "ok"})

    async def readiness(self, request: web.Request) -> web.Response:
        faults = await self._faults()
        if faults:
            return _answer(503, {"status": "not ready", "faults": faults})
        return _answer(200, {"status": "ready"})

    async def version(self, request: web.Request) -> web.Response:
        return _answer(200, {"name": PROJECT, "version": self._version, "python": platform.python_version()})

    async def _faults(self) -> list[str]:
        """A check that hangs or fails is a fault as well: readiness itself always answers."""
        try:
            async with asyncio.timeout(self._seconds):
                return list(await self._check())
        except TimeoutError:
            return [_("The check took longer than {seconds} s.", seconds=self._seconds)]
        except Exception as error:
            log.error("readiness_check_failed", exc_info=error)
            return [_("The check itself failed ({kind}); the log says more.", kind=type(error).__name__)]


def project_version() -> str:
    """From pyproject.toml beside the code, else from the installed package; read when asked, not at import."""
    if PYPROJECT.is_file():
        return str(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return metadata.version(PROJECT)
    except metadata.PackageNotFoundError:
        return "0"


def _answer(status: int, body: dict[str, Any]) -> web.Response:
    return web.json_response(body, status=status, headers={hdrs.CACHE_CONTROL: "no-store"})
