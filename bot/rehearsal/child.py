"""A rehearsal that somebody asked for in chat: played by a process of its own, so that nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import bot
from bot.rehearsal.command import from_json
from provisioning.errors import ProvisioningError, Refused
from provisioning.rehearsals import Report
from provisioning.texts import N_

APP: Final = Path(bot.__file__).parents[1] / "app.py"
LONGEST: Final = 15 * 60.0  # seconds
LONGEST_LINE: Final = 4 * 1024 * 1024  # bytes


class RehearsalUnderWay(Refused):
    code = "rehearsal_under_way"
    message = N_("A rehearsal is under way. There is one at a time; try again in a minute or two.")


class RehearsalBrokeOff(ProvisioningError):
    code = "rehearsal_broke_off"
    message = "{reason}"  # in the words of the process


class RehearsalTooLong(RehearsalBrokeOff):
    code = "rehearsal_too_long"
    message = N_("It took longer than 15 minutes. Rehearse one site, or part of it by a tag.")


@dataclass(frozen=True, slots=True)
class Progress:
    """Devices that are done, of how many, and what time it is there."""

    done: int
    total: int
    at: datetime


class Rehearsals:
    """Those of one process: one at a time. `store_url` is the service's own; it goes by the environment, for it may
    hold a password, and whoever lists processes sees their words.
    """

    def __init__(self, store_url: str = "", command: Sequence[str] = (sys.executable, str(APP))) -> None:
        self._store_url, self._command = store_url, tuple(command)
        self._busy = False

    def require_free(self) -> None:
        """Errors: `RehearsalUnderWay`."""
        if self._busy:
            raise RehearsalUnderWay

    async def play(self, scope: str) -> AsyncGenerator[Progress | Report, None]:
        """How far it is, now and then, and at last the report. Leaving it early ends the process.

        Errors: `RehearsalUnderWay`, `RehearsalBrokeOff`.
        """
        self.require_free()
        self._busy = True
        try:
            async with asyncio.timeout(LONGEST), contextlib.aclosing(self._told(scope)) as told:
                async for each in told:
                    yield each
        except TimeoutError:
            raise RehearsalTooLong from None
        finally:
            self._busy = False

    async def _told(self, scope: str) -> AsyncGenerator[Progress | Report, None]:
        environment = {**os.environ, **({"STORE_URL": self._store_url} if self._store_url else {})}
        process = await asyncio.create_subprocess_exec(
            *(*self._command, "rehearse", *([scope] if scope else []), "--json", "--gently"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            limit=LONGEST_LINE,
        )
        said = asyncio.create_task(_all_of(process.stdout))
        last = ""
        try:
            while line := (await _line_of(process.stderr)).strip():
                if progress := _progress(line):
                    yield progress
                else:
                    last = line
            report = await said
            if await process.wait() or not report:
                raise RehearsalBrokeOff(reason=last or "?")
            yield from_json(report)
        finally:
            said.cancel()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
                    process.kill()
            await asyncio.gather(said, process.wait(), return_exceptions=True)


async def _line_of(stream: asyncio.StreamReader | None) -> str:
    return (await stream.readline()).decode(errors="replace") if stream else ""


async def _all_of(stream: asyncio.StreamReader | None) -> bytes:
    return await stream.read() if stream else b""


def _progress(line: str) -> Progress | None:
    try:
        told: dict[str, Any] = json.loads(line)
        return Progress(int(told["done"]), int(told["total"]), datetime.fromisoformat(told["at"]))
    except (ValueError, KeyError, TypeError):
        return None
