"""SIGTERM and SIGKILL under load: what was acknowledged is kept, and after SIGTERM also answered."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.crash import Result
from tests.soak.load import ground, under_load
from tests.soak.service import Ready

END_SECONDS, READY_SECONDS = 10.0, 5.0
_WRITES = (20, 200)  # acknowledged before the end, drawn by lot
_A_LIFE = 400  # devices, more than call in before that


async def stopped(url: str, folder: Path, rounds: int, seed: int) -> Result:
    """Each round: a life of the service that ends by SIGTERM at a random moment of a load."""
    slowest, wrong = 0.0, list[str]()
    async with ground(url, folder, rounds * _A_LIFE, seed) as g:
        for _ in range(rounds):
            load = g.life(_A_LIFE)
            await g.service.start()
            async with under_load(load):
                await load.until(g.rng.randint(*_WRITES))
                slowest = max(slowest, await g.service.ends(signal.SIGTERM))
            if g.service.process and g.service.process.returncode:
                wrong.append(f"ended with {g.service.process.returncode}")
            wrong += [f"reset: {what}" for what in load.journal.unanswered]
            await g.service.start()
            wrong += await g.looks(load)
            await g.service.ends(signal.SIGTERM)
        wrong += await g.leaves()
    if slowest >= END_SECONDS:
        wrong.append(f"it took {slowest:.1f} s to end")
    asked = sum(sum(life.answers.values()) for life in g.lives)
    resets = sum(len(life.unanswered) for life in g.lives)
    figures = f"{rounds} ends, {g.acknowledged} acknowledged writes kept, {resets} of {asked} requests reset, "
    figures += f"over in {slowest:.1f} s at most"
    return Result(f"stopped: SIGTERM ({_store(url)})", figures, wrong, goal="0 lost, 0 reset, < 10 s")


async def killed(url: str, folder: Path, rounds: int, seed: int) -> Result:
    """Each round: a life that ends by kill -9 at a random moment of a load, and the look at what is there then."""
    slowest, wrong = Ready(), list[str]()
    async with ground(url, folder, rounds * _A_LIFE, seed) as g:
        await g.service.start()
        for _ in range(rounds):
            load = g.life(_A_LIFE)
            async with under_load(load):
                await load.until(g.rng.randint(*_WRITES))
                await g.service.ends(signal.SIGKILL)
            slowest = max(slowest, await g.service.start(), key=lambda ready: ready.worked)
            wrong += await g.looks(load)
        await g.service.ends(signal.SIGTERM)
        wrong += await g.leaves()
    if slowest.worked >= READY_SECONDS:
        wrong.append(f"ready only after {slowest.worked:.1f} s of work")
    unsure = sum(len(life.unanswered) for life in g.lives)
    figures = f"{rounds} kills, {g.acknowledged} acknowledged writes kept, {unsure} requests cut off and settled, "
    figures += f"ready after {slowest.worked:.1f} s of work ({slowest.passed:.1f} s by the clock) at most"
    return Result(f"killed: the service ({_store(url)})", figures, wrong, goal="0 lost, 0 half, ready < 5 s")


def _store(url: str) -> str:
    return url.partition(":")[0]
