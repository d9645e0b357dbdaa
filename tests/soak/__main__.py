"""`make soak`: a line for each goal of the reliability bar. Ends with 1 where one is missed or a control holds."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.crash import Result, quiet, scratch
from tests.soak.clocks import apart, moved
from tests.soak.notices import notified
from tests.soak.race import raced
from tests.soak.redelivered import redelivered
from tests.soak.stopped import killed, stopped
from tests.soak.troubled import away, damaged, full, restored
from tests.storage import cluster, postgres

Trial = Callable[[str, Path, int], Awaitable[Result]]  # address of a store, a folder, seed
FILES, POSTGRESQL, SERVER = "files", "postgresql", "server"  # over which store


def _times(number: int, scale: float) -> int:
    return max(1, round(number * scale))


def experiments(scale: float) -> dict[str, Sequence[tuple[str, Trial]]]:
    """Everything that is tried, by name; `scale` 1 is what the goals ask for."""

    def n(number: int) -> int:
        return _times(number, scale)

    return {
        "killed": [
            (FILES, lambda url, folder, seed: killed(url, folder, n(20), seed)),
            (POSTGRESQL, lambda url, folder, seed: killed(url, folder, n(10), seed)),
        ],
        "stopped": [
            (FILES, lambda url, folder, seed: stopped(url, folder, n(10), seed)),
            (POSTGRESQL, lambda url, folder, seed: stopped(url, folder, n(5), seed)),
        ],
        "full": [(FILES, lambda _url, folder, seed: full(folder, n(3), seed))],
        "damaged": [(FILES, lambda _url, folder, seed: damaged(folder, n(5), seed))],
        "restored": [(FILES, lambda _url, folder, seed: restored(folder, n(4), seed))],
        "away": [(SERVER, lambda url, folder, seed: _away(url, folder, 30 * min(1, scale), seed))],
        "clock": [
            *((FILES, lambda url, _folder, seed, add=add: moved(url, n(20), seed + add)) for add in range(4)),
            (POSTGRESQL, lambda url, _folder, seed: moved(url, n(10), seed)),
            (POSTGRESQL, lambda url, _folder, seed: apart(url, n(120), seed)),
        ],
        "race": [
            (POSTGRESQL, lambda url, _folder, _seed: raced(url, 2, n(1000))),
            (POSTGRESQL, lambda url, _folder, _seed: raced(url, 8, n(300))),
            (POSTGRESQL, lambda url, _folder, _seed: raced(url, 2, n(50), careless=True)),
        ],
        "notifications": [
            (FILES, lambda _url, folder, seed: notified(folder, n(10_000), seed)),
            (FILES, lambda _url, folder, seed: notified(folder, 200, seed, day=False)),
        ],
        "redelivered": [(FILES, lambda url, folder, seed: redelivered(url, folder, n(10_000), seed))],
    }


_SERVERS: dict[str, cluster.Server] = {}  # by address


async def _away(url: str, folder: Path, seconds: float, seed: int) -> Result:
    return await away(_SERVERS[url], folder, seconds, seed)


@asynccontextmanager
async def _store(where: str, folder: Path) -> AsyncIterator[str]:
    """The address of an empty store. Errors: `pytest.skip.Exception` where there is no PostgreSQL."""
    if where == FILES:
        yield f"tinydb:{folder / 'store'}"
    elif where == POSTGRESQL:
        with postgres.schema() as url:
            yield url
    else:
        with cluster.server() as server:
            _SERVERS[server.url] = server
            yield server.url


async def tried(name: str, where: str, trial: Trial, seed: int) -> Result:
    with scratch(synced=True) as folder:
        try:
            async with _store(where, folder) as url:
                return await trial(url, folder, seed)
        except pytest.skip.Exception as skipped:
            return Result(name, "", skipped=str(skipped))


def line(result: Result, seconds: float) -> str:
    verdict = {"ok": "met", "VIOLATED": "MISSED"}.get(result.verdict, result.verdict)
    goal = f" | goal: {result.goal}" if result.goal else ""
    return f"{result.name:34} {result.figures}{goal} | {verdict} | {seconds:.0f} s"


async def run(names: Sequence[str], scale: float, seed: int) -> list[Result]:
    results = []
    for name in names:
        for where, trial in experiments(scale)[name]:
            began = time.monotonic()
            result = await tried(name, where, trial, seed)
            print(line(result, time.monotonic() - began), flush=True)
            if not result.passed:
                print(*(f"    {violation}" for violation in result.violations[:5]), sep="\n", flush=True)
            results.append(result)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="What the service bears.")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of how often each thing is tried; 1 is the goal's number"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(experiments(1)), help="one experiment, with its controls")
    asked = parser.parse_args()
    quiet()
    began = time.monotonic()
    results = asyncio.run(run([asked.only] if asked.only else list(experiments(1)), asked.scale, asked.seed))
    missed = [result.name for result in results if not result.passed]
    skipped = sum(bool(result.skipped) for result in results)
    verdict = f"missed: {', '.join(missed)}" if missed else "every goal was met, and every control failed"
    print(f"\n{len(results)} experiments in {time.monotonic() - began:.0f} s, {skipped} skipped; {verdict}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
