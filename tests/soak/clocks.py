"""The service's clock is moved, set back and on by daylight saving, and two instances disagree on the time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import aiohttp

from tests.crash import Result
from tests.fakes import FakeClock
from tests.soak.journal import key_of, provision
from tests.soak.race import instances, with_codes
from tests.soak.service import mac_of

SKEW = timedelta(minutes=5)
_NIGHTS = {  # local time goes on by an hour, and back by one: lifetimes must not care
    "Europe/London": (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, 6, 30, tzinfo=UTC), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
}
_LIFETIMES = [timedelta(hours=n) for n in (1, 23, 24, 25, 48)]
_STEPS = [timedelta(hours=25), timedelta(hours=-2), timedelta(hours=1), timedelta(minutes=59), timedelta(hours=23)]
_EDGES = [timedelta(seconds=n) for n in (-2, -1, 0, 1)]  # around the end of a code
_A_ROUND = 12  # devices


async def moved(url: str, rounds: int, seed: int) -> Result:
    """Each round: codes of one lifetime, a clock that jumps, sweeps between, and each code tried at some moment."""
    rng, said, wrong, numbers = random.Random(seed), Counter[str](), list[str](), count(0x100000)
    zones = [(zone, night) for zone, nights in _NIGHTS.items() for night in nights]
    zone, night = zones[seed % len(zones)]
    clock, sources = FakeClock(night - timedelta(hours=12)), count(1)
    async with instances(url, [clock], TIMEZONE=zone) as (service,), aiohttp.ClientSession(service.url) as http:
        for _ in range(rounds):
            lifetime = rng.choice(_LIFETIMES)
            macs = [mac_of(next(numbers)) for _ in range(_A_ROUND)]
            known = await with_codes(service.provisioning, macs, lifetime)
            end, swept, latest = clock.now() + lifetime, clock.now(), clock.now()
            for mac in macs:
                clock.advance(_step(rng, end - clock.now()))
                latest = max(latest, clock.now())  # what ended by then may be erased: the service sweeps by itself
                if rng.random() < 0.5:
                    await service.provisioning.sweep()
                    swept = max(swept, clock.now())  # whatever ended by then is erased
                status, _ = await provision(http, mac, known[mac], key_of(mac), source=next(sources))
                live = clock.now() < end
                said[f"{'live' if live else 'ended'} {status}"] += 1
                wrong += _wrong(mac, status, live=live, erased=swept >= end, spared=latest < end)
            clock.advance(timedelta(minutes=11))  # the limits on refused tries forget them
    accepted, refused = said["live 200"], sum(n for what, n in said.items() if what.startswith("ended"))
    figures = f"{zone}, {sum(said.values())} codes: {accepted} live ones accepted, {refused} ended ones refused"
    return Result(f"clock: moved ({url.partition(':')[0]})", figures, wrong, goal="no ended accepted, no live refused")


def _step(rng: random.Random, to_the_end: timedelta) -> timedelta:
    """A jump, or just to one edge of the end of the code."""
    return to_the_end + rng.choice(_EDGES) if rng.random() < 0.4 else rng.choice(_STEPS)


def _wrong(mac: str, status: int, *, live: bool, erased: bool, spared: bool) -> Iterator[str]:
    """What a sweep has erased stays so, though the clock was set back afterwards: its cards say that it ended.

    `spared`: there was no moment yet at which a sweep could have erased it.
    """
    if status == 200 and (not live or erased):
        yield f"{mac}: an ended code was accepted"
    elif status != 200 and live and spared:
        yield f"{mac}: a live code was answered {status}"
    elif status not in (200, 403, 410):
        yield f"{mac}: answered {status}"


async def apart(url: str, codes: int, seed: int) -> Result:
    """Two instances whose clocks differ by five minutes, and codes that are tried near their end at both of them."""
    rng, wrong, said, sources = random.Random(seed), list[str](), Counter[int](), count(1)
    start = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    clocks = [FakeClock(start), FakeClock(start + SKEW)]
    async with instances(url, clocks) as running:
        http = [aiohttp.ClientSession(each.url) for each in running]
        for first in range(0, codes, _A_ROUND):
            issuer = rng.randrange(2)
            macs = [mac_of(0x200000 + first + n) for n in range(_A_ROUND)]
            lifetime = timedelta(hours=24)
            known = await with_codes(running[issuer].provisioning, macs, lifetime)
            end = clocks[issuer].now() + lifetime
            _advance(clocks, end - clocks[0].now() - 2 * SKEW)
            for mac in macs:
                _advance(clocks, timedelta(seconds=rng.randrange(120)))
                if rng.random() < 0.3:
                    await rng.choice(running).provisioning.sweep()
                early, late = clocks[0].now(), clocks[1].now()
                at = rng.randrange(2)
                tries = [
                    await provision(http[n], mac, known[mac], key_of(mac, n), source=next(sources))
                    for n in (at, 1 - at)
                ]
                taken = [status for status, _ in tries].count(200)
                said[taken] += 1
                if taken > 1 or (early >= end and taken) or (late < end and not taken):
                    wrong.append(f"{mac}: taken {taken} times, {end - early} before its end")
            _advance(clocks, timedelta(minutes=30))
        for each in http:
            await each.close()
    figures = f"{sum(said.values())} codes: {said[1]} taken once, {said[0]} refused, none by both"
    return Result("clock: two, 5 min apart", figures, wrong, goal="once; never beyond the difference")


def _advance(clocks: list[FakeClock], by: timedelta) -> None:
    for clock in clocks:
        clock.advance(by)
