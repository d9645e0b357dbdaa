"""300 remote sign-ins at once: whether they are polled on time, what that costs, and what a command waits beside them.

    python -m tests.benchmarks.signing

The service runs in a process of its own, as it always runs, with 2 000 devices in its file store; so does the identity
provider, which notes when each code is polled. The sign-ins are begun by the use case that a typed `sign in` calls, in
the running service, evenly over one interval, as people who type them are not in step.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from app import Service, running
from bot import interpreter
from bot.interpreter import serve_evenly
from bot.settings import load_settings
from provisioning.service.activation import ProvisionCall
from tests.benchmarks import Row, at_most, beside, none, reaches, within
from tests.benchmarks.children import Child, child, obey
from tests.benchmarks.driving import Driven, Driver, driving
from tests.benchmarks.measuring import quantile, quiet
from tests.benchmarks.openid import INTERVAL
from tests.benchmarks.turns import ADMIN, MACS, Typing, calls, device_turns, environment, fill, introduce
from tests.openid import CLIENT_ID

FLOWS = 300
APPROVED = 50
WINDOW = 20.0  # seconds; as long as the pause of the sweep, so that a window holds one
TURNS = 600
ROUNDS = 2  # of turns: before the sign-ins, beside them, beside those after a crash, and after all of them
CRASHED = 30.0  # seconds; then whatever was not polled again is given up
SIGNING = MACS[-FLOWS:]
ALONE = "the same without any"

Told = Mapping[str, tuple[Sequence[float], float]]  # what the provider tells: polls, and when the token was given


# ------------------------------------------------------------------ the service, in its own process


class Serving:
    """What the bench asks of the service beside its doors."""

    def __init__(self, service: Service) -> None:
        self._service, self._provisioning = service, service.provisioning

    async def fill(self) -> dict[str, str]:
        """2 000 devices, of which 300 were provisioned; their tokens by MAC."""
        await fill(self._service)
        tokens = {}
        for post in await calls(self._service, SIGNING):
            done = await self._provisioning.provision(ProvisionCall(source="127.0.0.1", **post.body))
            tokens[done.mac] = done.token
        return tokens

    async def begin(self) -> dict[str, str]:
        """A sign-in for each of the 300; the codes to type by MAC."""

        async def one(number: int, mac: str) -> str:
            await asyncio.sleep(number * INTERVAL / FLOWS)
            return (await self._provisioning.begin_sign_in(ADMIN, mac, account_of(mac))).user_code

        codes = await asyncio.gather(*(one(number, mac) for number, mac in enumerate(SIGNING)))
        assert all(codes), "the provider was too slow"
        return dict(zip(SIGNING, codes, strict=True))

    async def cancel(self) -> None:
        for mac, flow in await self._provisioning.live_sign_ins():
            await self._provisioning.cancel_sign_in(ADMIN, mac, flow.id)

    async def cpu(self) -> float:
        """Seconds of this process so far, all threads."""
        return time.process_time()


def account_of(mac: str) -> str:
    return f"room-{mac.lower()}@contoso.example"


async def serve(folder: str, issuer: str) -> None:
    env = environment(Path(folder)) | {"OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": CLIENT_ID}
    async with quiet(), running(load_settings(env)) as service:
        serving = Serving(service)
        serve_evenly()  # as `serve` does
        orders = {"fill": serving.fill, "begin": serving.begin, "cancel": serving.cancel, "cpu": serving.cpu}
        await obey(service.url.rstrip("/"), orders)


# ------------------------------------------------------------------ measured


@dataclass(frozen=True)
class Scene:
    provider: Child
    service: Child
    driver: Driver
    typing: Typing

    @property
    def url(self) -> str:
        url: str = self.service.hello
        return url

    async def load(self, window: float) -> float:
        """CPU of the service over a window of so many seconds, in % of one core."""
        cpu, began = await self.service.does("cpu"), time.monotonic()
        await asyncio.sleep(window)
        return 100 * (await self.service.does("cpu") - cpu) / (time.monotonic() - began)

    async def told(self, codes: Mapping[str, str]) -> Told:
        """Of these flows alone."""
        everything = await self.provider.does("told")
        return {code: everything[code] for code in codes.values()}

    async def begin(self) -> dict[str, str]:
        codes: dict[str, str] = await self.service.does("begin")
        return codes

    async def turns(self) -> list[Driven]:
        return [await self.driver.posts(self.url, device_turns(self.typing, TURNS)) for _ in range(ROUNDS)]


@asynccontextmanager
async def scene(folder: str) -> AsyncIterator[tuple[Scene, AsyncExitStack]]:
    async with child("tests.benchmarks.openid") as provider, driving() as driver, AsyncExitStack() as services:
        service = await services.enter_async_context(child("tests.benchmarks.signing", folder, provider.hello))
        yield Scene(provider, service, driver, Typing(driver.connector)), services


def lateness(told: Told, since: float = 0.0) -> list[float]:
    """Seconds after its due time of every poll but the first of each flow: one interval after the one before."""
    return [
        poll - before - INTERVAL for polls, _given in told.values() for before, poll in pairwise(polls) if poll >= since
    ]


async def approvals(
    scene: Scene, codes: Mapping[str, str], tokens: Mapping[str, str]
) -> tuple[list[float], list[float]]:
    """For each of 50: seconds from the approval, and from the provider's token, until the device hears of it."""
    macs = SIGNING[:: FLOWS // APPROVED]
    async with ClientSession() as session:
        heard = [asyncio.create_task(hears(session, scene.url, tokens[mac])) for mac in macs]
        await asyncio.sleep(1)  # all of them wait by then
        approved = []
        for mac in macs:
            approved.append(await scene.provider.does("approve", codes[mac], account_of(mac)))
            await asyncio.sleep(INTERVAL / APPROVED)  # at each moment of an interval
        answered = await asyncio.gather(*heard)
    told = await scene.told({mac: codes[mac] for mac in macs})
    whole = [at - began for at, began in zip(answered, approved, strict=True)]
    own = [at - told[codes[mac]][1] for at, mac in zip(answered, macs, strict=True)]
    return whole, own


async def hears(session: ClientSession, url: str, token: str) -> float:
    """A device's long poll; when it was told that it is signed in."""
    query: dict[str, Any] = {}
    while True:
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(f"{url}/api/v1/device", params=query, headers=headers) as response:
            status = await response.json()
        if status["state"] == "signed_in":
            return time.monotonic()
        query = {"since": status["revision"], "wait": 30}


async def restart(
    scene: Scene, services: AsyncExitStack, folder: str, codes: Mapping[str, str]
) -> tuple[Scene, Sequence[float]]:
    """The service crashes and starts again; seconds from then until each flow was polled again."""
    crashed = time.monotonic()
    await scene.service.end(at_once=True)
    service = await services.enter_async_context(child("tests.benchmarks.signing", folder, scene.provider.hello))
    scene = replace(scene, service=service)
    while True:
        await asyncio.sleep(1)
        told = await scene.told(codes)
        again = [min((at for at in polls if at > crashed), default=float("inf")) for polls, _given in told.values()]
        if max(again) < float("inf") or time.monotonic() - crashed > CRASHED:
            return scene, [at - crashed for at in again]


async def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        async with quiet(), scene(folder) as (first, services):
            await introduce(first.url, first.driver, first.typing)
            tokens = await first.service.does("fill")
            await first.driver.posts(first.url, device_turns(first.typing, 50))
            idle, before = await first.load(INTERVAL), await first.turns()
            codes = await first.begin()  # it takes one interval: from then on there is always one of them polled
            busy = await first.load(WINDOW)
            late = lateness(await first.told(codes))
            together = await first.turns()
            whole, own = await approvals(first, codes, tokens)
            left = {mac: code for mac, code in codes.items() if mac not in SIGNING[:: FLOWS // APPROVED]}
            second, again = await restart(first, services, folder, left)
            beside_these = await second.turns()
            await second.service.does("cancel")
            await asyncio.sleep(INTERVAL + 1)  # each of them wakes once more
            afterwards = await second.turns()
    return [
        *_punctual(late),
        _share_of_a_core(busy, idle),
        *_beside(f"beside {FLOWS} sign-ins", before, together),
        *_heard(whole, own),
        within(f"{len(again)} sign-ins after a crash, until the last is polled again", max(again) * 1e6, 26e6),
        *_beside(f"beside these {len(again)}", afterwards, beside_these)[1:],
    ]


def _punctual(late: Sequence[float]) -> list[Row]:
    on_time = 100 * sum(each <= 1 for each in late) / len(late)
    early = sum(each < -0.001 for each in late)
    name = f"{FLOWS} sign-ins at once, {len(late):,} polls"
    return [
        reaches(f"{name}: within 1 s of due", on_time, 95, "%"),
        none("of them earlier than the interval", early, "polls"),
        *(
            within(f"after their due time, p{percent}", max(quantile(late, percent), 0) * 1e6, 1e6)
            for percent in (50, 95, 99)
        ),
    ]


def _share_of_a_core(busy: float, idle: float) -> Row:
    name = f"CPU of the service while {FLOWS} sign-ins are polled, of one core; anchor: with none"
    return Row(name, busy, idle, busy / idle, "< 20 %", busy < 20, "%", margin=20 / busy)


def _beside(what: str, alone: Sequence[Driven], together: Sequence[Driven]) -> list[Row]:
    """Of the round that was disturbed least by whatever else this machine does, as in turns.py; of one process both."""
    p50, p50_alone, p99, p99_alone = (
        min(each.quantile(percent) for each in rounds) * 1e6 for percent in (50, 99) for rounds in (together, alone)
    )
    return [
        beside(f"p50 of `device <mac>` {what}", p50, p50_alone, ALONE),
        at_most(f"p99 of `device <mac>` {what}", p99, p99_alone, 1.5, ALONE),
    ]


def _heard(whole: Sequence[float], own: Sequence[float]) -> list[Row]:
    rows = []
    for percent in (50, 95):
        name = f"from the approval until the device's long poll answers, p{percent}"
        rows.append(within(name, quantile(whole, percent) * 1e6, (INTERVAL + 1) * 1e6))
    mine = quantile(own, 95) * 1e6
    return [*rows, within("of that, from the provider's token on, p95", mine, 100_000)]


if __name__ == "__main__":
    if words := sys.argv[1:]:
        interpreter.run(serve(*words))
    else:
        from tests.benchmarks.tables import table

        print(table(asyncio.run(run())))
