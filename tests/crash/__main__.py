"""`make crash`: every experiment, a line each. Ends with 1 where one is violated or a control does not fail."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from tests.crash import Result, quiet
from tests.crash.damaged import cut_beside_log, cut_database, cut_log, flipped_database, flipped_log
from tests.crash.full import full
from tests.crash.imports import killed_imports
from tests.crash.killed import early_kills, named_kills, random_kills
from tests.crash.power import power_losses_of_ours, power_losses_when_careless, power_losses_when_early
from tests.crash.relay import killed_relays
from tests.crash.sending import POINTS
from tests.crash.stock import stock_after_kills, stock_after_power_losses
from tests.crash.together import together

Trial = Callable[[int, int], Awaitable[Result]]


def _few(trials: int) -> int:
    """For controls: as many as show that they fail."""
    return max(4, trials // 10)


async def _early_kills(trials: int, seed: int) -> Result:
    return await early_kills(_few(trials), seed)


async def _relays(trials: int, seed: int) -> Result:
    return await killed_relays(max(len(POINTS), trials // 4), seed)


async def _stock_kills(trials: int, _seed: int) -> Result:
    return stock_after_kills(_few(trials))


async def _stock_power(trials: int, seed: int) -> Result:
    return stock_after_power_losses(trials, seed)


async def _careless_power(trials: int, seed: int) -> Result:
    return await power_losses_when_careless(_few(trials), seed)


async def _early_power(trials: int, seed: int) -> Result:
    return await power_losses_when_early(_few(trials), seed)


async def _full(trials: int, _seed: int) -> Result:
    return full(trials)


EXPERIMENTS: dict[str, Sequence[Trial]] = {
    "killed": (random_kills, named_kills, killed_imports, _relays, _early_kills, _stock_kills),
    "power": (power_losses_of_ours, _careless_power, _early_power, _stock_power),
    "cut": (cut_log, cut_database, cut_beside_log),
    "flipped": (flipped_log, flipped_database),
    "full": (_full,),
    "together": (together,),
}
_SHOWN = 5  # violations


async def run(names: Sequence[str], trials: int, seed: int) -> list[Result]:
    results = []
    for name in names:
        for trial in EXPERIMENTS[name]:
            result = await trial(trials, seed)
            print(f"{result.name:33} {result.figures:100} {result.verdict}", flush=True)
            if not result.passed:
                print(*(f"    {violation}" for violation in result.violations[:_SHOWN]), sep="\n")
            results.append(result)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description="What a crash leaves of the store.")
    parser.add_argument("--trials", type=int, default=100, help="kills of each kind; other experiments scale with it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=EXPERIMENTS, help="one experiment, with its controls")
    asked = parser.parse_args()
    quiet()
    began = time.monotonic()
    results = asyncio.run(run([asked.only] if asked.only else list(EXPERIMENTS), asked.trials, asked.seed))
    failed = [result.name for result in results if not result.passed]
    verdict = f"failed: {', '.join(failed)}" if failed else "everything held, and every control failed"
    skipped = sum(bool(result.skipped) for result in results)
    print(f"\n{len(results)} experiments in {time.monotonic() - began:.0f} s, {skipped} skipped; {verdict}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
