"""kill -9 of a process that delivers, at named points: every message arrives, in order, and what doubles is told."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections import Counter
from pathlib import Path

from tests.connector import FakeConnector
from tests.crash import Result, scratch
from tests.crash.killed import HOUSE
from tests.crash.sending import CHATS, EACH, MAY_DOUBLE, POINTS

_LIFE_SECONDS = 60
_TOGETHER = 3  # most of a life is its beginning


async def _life(folder: Path, url: str, point: str, nth: int) -> int:
    """Runs the process to its end; returns its exit code."""
    words = ("-m", "tests.crash.sending", str(folder), url, point, str(nth))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=HOUSE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_LIFE_SECONDS):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _violations(connector: FakeConnector, point: str, when: str) -> tuple[list[str], int]:
    """What is wrong with what arrived, and how many came twice."""
    arrived = [(call.conversation, call.body["text"]) for call in connector.sends]
    wanted = {f"p{who}:{n}" for who in range(CHATS) for n in range(EACH)}
    counted = Counter(text for _place, text in arrived)
    said = [f"lost: {text}, {when}" for text in sorted(wanted - counted.keys())]
    doubles = sum(times - 1 for times in counted.values())
    # one message of each other chat may have been on its way when the process died
    if doubles > (CHATS if point in MAY_DOUBLE else CHATS - 1) or max(counted.values(), default=0) > 2:
        said.append(f"{doubles} came again, {when}")
    for who in range(CHATS):
        texts = list(dict.fromkeys(text for place, text in arrived if place == f"a:p{who}"))
        if texts != sorted(texts):
            said.append(f"out of order: {texts}, {when}")
    return said, doubles


async def _trial(folder: Path, point: str, nth: int) -> tuple[list[str], int]:
    when = f"killed {point}, call {nth}"
    async with FakeConnector() as connector:
        if await _life(folder, connector.url, point, nth) != -signal.SIGKILL:
            return [f"did not die: {when}"], 0
        if await _life(folder, connector.url, "none", 0) != 0:
            return [f"did not go on: {when}"], 0
        return _violations(connector, point, when)


async def killed_relays(trials: int, seed: int) -> Result:
    """Each point in turn, at a call drawn by lot; then a life without an end, and the post is counted."""
    rng, violations, doubles = random.Random(seed), list[str](), 0
    points = [list(POINTS)[trial % len(POINTS)] for trial in range(trials)]
    with scratch(synced=True) as root:
        for start in range(0, trials, _TOGETHER):
            found = await asyncio.gather(
                *(
                    _trial(root / str(n), points[n], rng.randint(1, 3) if "claim" in points[n] else rng.randint(4, 9))
                    for n in range(start, min(start + _TOGETHER, trials))
                )
            )
            violations += [said for trial, _again in found for said in trial]
            doubles += sum(again for _said, again in found)
    figures = f"{trials} kills, {trials * CHATS * EACH} messages, all arrived, {doubles} came twice"
    return Result("killed: while delivering", figures, violations)
