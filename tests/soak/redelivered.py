"""What people do reaches the service more often than they did it: each intent takes effect once."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from app import SystemClock
from storage import open_store
from tests.connector import FakeConnector, press
from tests.crash import Result
from tests.soak.load import ground
from tests.soak.people import Person

_WORKERS = 8
_DEVICES = 40  # of each worker, so that no two intents meet at one device
_MOST = 4  # deliveries of one intent
_LATER = 3  # of how many intents one is delivered once more after the service was killed and started again
_numbers = count(1)


def deliveries(person: Person, mac: str, connector: FakeConnector, rng: random.Random) -> list[dict[str, Any]]:
    """One intent, to make a device's code anew, as Teams delivers it one to four times.

    Typed, it comes again with the same id. Pressed, it may come again with a new one: the operation key is the same.
    """
    number, times = next(_numbers), rng.randint(1, _MOST)
    if number % 2:
        return [person.typed(f"reissue {mac}", id=f"typed-{number}")] * times
    data = {"op": f"op-{number}", "target": mac, "device": mac}
    again = [number, *(rng.choice([number, next(_numbers)]) for _ in range(times - 1))]
    return [
        press(connector, "reissue", data=data, id=f"pressed-{each}", from_=person.sender, conversation=person.chat)
        for each in again
    ]


async def redelivered(url: str, folder: Path, actions: int, seed: int) -> Result:
    """Half of the deliveries of an intent come at once, the others one after the other; some after a kill -9."""
    macs, wanted, later, wrong = list[str](), Counter[str](), list[dict[str, Any]](), list[str]()
    async with ground(url, folder, _WORKERS * _DEVICES, seed) as g:
        macs = sorted(g.codes)
        await g.service.start()
        person, sent = g.admins[0], Counter[int]()

        async def work(worker: int, share: int) -> None:
            async with aiohttp.ClientSession(g.service.url) as http:
                for n in range(share):
                    mac = macs[worker * _DEVICES + n % _DEVICES]
                    bodies = deliveries(person, mac, g.connector, g.rng)
                    wanted[mac] += 1
                    if g.rng.randrange(_LATER) == 0:
                        later.append(bodies[-1])
                    await _deliver(http, bodies, sent, at_once=g.rng.random() < 0.5)

        await asyncio.gather(*(work(n, actions // _WORKERS) for n in range(_WORKERS)))
        await g.service.ends(signal.SIGKILL)
        await g.service.start()
        async with aiohttp.ClientSession(g.service.url) as http:
            for start in range(0, len(later), _WORKERS):
                await _deliver(http, later[start : start + _WORKERS], sent, at_once=True)
        await g.service.ends(signal.SIGTERM)
        effects = await _issued(url, macs)
    wrong += [f"answered {status}: {times} times" for status, times in sent.items() if status != 200]
    wrong += [
        f"{mac}: {effects[mac]} effects of {times} intents" for mac, times in wanted.items() if effects[mac] != times
    ]
    figures = (
        f"{sum(wanted.values())} actions in {sum(sent.values())} deliveries, {len(later)} of them after a kill -9: "
    )
    figures += f"{sum(effects.values())} effects"
    return Result("redelivered: actions", figures, wrong, goal="each once")


async def _deliver(http: aiohttp.ClientSession, bodies: Sequence[Any], sent: Counter[int], *, at_once: bool) -> None:
    async def post(body: Any) -> None:
        async with http.post("/api/messages", json=body) as answer:
            await answer.read()
            sent[answer.status] += 1

    if at_once:
        await asyncio.gather(*(post(body) for body in bodies))
    else:
        for body in bodies:
            await post(body)


async def _issued(url: str, macs: Sequence[str]) -> Counter[str]:
    """How often each device got a code since its first, by the audit."""
    store, found = await open_store(url, clock=SystemClock()), Counter[str]()
    try:
        for mac in macs:
            after = None
            while True:
                page = await store.history(mac, limit=1000, after=after)
                found[mac] += sum(row.event.name == "CodeIssued" for row in page.rows)
                if (after := page.after) is None:
                    break
            found[mac] -= 1
    finally:
        await store.close()
    return found
