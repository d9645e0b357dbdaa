"""What whoever runs the service asks it: is the process alive, is it ready, which version is it (interfaces.md)."""

from __future__ import annotations

import asyncio
import platform
import tomllib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(slots=True)
class StoreState:
    """What is known of the store between two questions. The operator is told of trouble once, and once when it ends."""

    verified_at: datetime | None = None  # when all of it was last found in order
    swept_at: datetime | None = None  # when codes that ended were last looked for
    reason: str = ""

    def trouble(self, reason: str) -> None:
        if reason != self.reason:
            log.error("the store cannot be used", reason=reason)
        self.reason = reason

    def well(self) -> None:
        if self.reason:
            log.info("the store can be used again")
        self.reason = ""


STORE: Final = web.AppKey("STORE", StoreState)  # put there by the workers


def every(checks: Sequence[Check]) -> Check:
    """One check of many: the faults of all, at the same time."""

    async def check() -> Sequence[str]:
        return [fault for found in await asyncio.gather(*(each() for each in checks)) for fault in found]

    return check


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
        self._told: list[str] = []
        self._checking: asyncio.Task[list[str]] | None = None

    async def health(self, request: web.Request) -> web.Response:
        return _answer(200, {"status": "ok"})

    async def readiness(self, request: web.Request) -> web.Response:
        """503 with the reasons while the store cannot be written, or once damage was found; else 200.

        Reading a large store through takes seconds, and nothing read is served unless its checksum is right: so the
        service is ready before the first verification has ended. `verified` says when the last one ended; null, none
        yet. Whoever wants to wait for it does so by that.
        """
        state, faults = request.app.get(STORE), await self._faults()
        self._tell(faults)
        if faults:
            return _answer(503, {"status": "not ready", "faults": faults})
        body: dict[str, Any] = {"status": "ready"}
        if state:
            state.well()
            body["verified"] = state.verified_at.isoformat(timespec="seconds") if state.verified_at else None
        return _answer(200, body)

    def _tell(self, faults: Sequence[str]) -> None:
        """Once, and once when it is over: of the store alone its own state tells, whoever meets its trouble."""
        if faults and list(faults) != self._told:
            log.error("the service is not ready", faults=list(faults))
        if self._told and not faults:
            log.info("the service is ready again")
        self._told = list(faults)

    async def version(self, request: web.Request) -> web.Response:
        return _answer(200, {"name": PROJECT, "version": self._version, "python": platform.python_version()})

    async def _faults(self) -> list[str]:
        """However many ask at once, one check is under way, and all of them hear what it finds."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._checked())
        return await asyncio.shield(self._checking)

    async def _checked(self) -> list[str]:
        """A check that hangs or fails is a fault as well: readiness itself always answers."""
        try:
            async with asyncio.timeout(self._seconds):
                return list(await self._check())
        except TimeoutError:
            said = _(
                "The check took longer than {seconds} s. Look at the disk or the database of STORE_URL: it hangs.",
                seconds=self._seconds,
            )
            return [said]
        except Exception as error:
            log.error("readiness_check_failed", exc_info=error)
            said = _(
                "The check itself failed ({kind}), by a fault of ours: the log has it as readiness_check_failed. "
                "Restart the service, and report it.",
                kind=type(error).__name__,
            )
            return [said]


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
