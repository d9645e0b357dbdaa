"""The same code at several instances at once: it is taken once, however many ask."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp

import app
from bot.settings import load_settings
from provisioning.model import Change, Device
from provisioning.service import Provisioning
from provisioning.service.devices import AT_ONCE, Wanted
from provisioning.service.issuing import IssueOrder
from provisioning.service.lookup import Target
from tests.crash import Result, swapped
from tests.fakes import FakeClock
from tests.soak.journal import key_of, provision
from tests.soak.load import used_once
from tests.soak.service import ADMIN, ADMINS, TENANT, mac_of, place_of

_TOGETHER = 10  # codes that are asked for at the same time
_LULL = 300  # codes, after which the limits on refused tries are let forget them: the loser of each race is one


@asynccontextmanager
async def instances(url: str, clocks: list[FakeClock], **more: str) -> AsyncIterator[list[app.Service]]:
    """Services with the same settings over one store, each with its clock."""
    keys = f"k1:{b64encode(b'k' * 32).decode()}"
    words = {"STORE_URL": url, "CODE_KEYS": keys, "ADMINS": ",".join(ADMINS), "TENANT_ID": TENANT, **more}
    settings = load_settings(words, None).model_copy(update={"port": 0})
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(app.running(settings, clock)) for clock in clocks]


async def with_codes(core: Provisioning, macs: list[str], lifetime: timedelta | None = None) -> dict[str, str]:
    """New devices with live codes, MAC → code."""
    for start in range(0, len(macs), AT_ONCE):
        batch = macs[start : start + AT_ONCE]
        await core.add(ADMIN, [Wanted(mac, place_of(start + n)) for n, mac in enumerate(batch)])
    await core.issue(ADMIN, IssueOrder(target=Target(), lifetime=lifetime))
    return {mac: await digits(core, mac) for mac in macs}


async def digits(core: Provisioning, mac: str) -> str:
    device = await core.store.get(Device, mac)
    assert device
    assert device.code
    return core.keys.unseal(mac, device.code)


@contextmanager
def reading_before_writing(core: Provisioning) -> Iterator[None]:
    """The control: whatever was read, the write goes over what stands there by then."""
    store: Any = core.store
    save = store.save

    async def saves(change: Change) -> Any:
        puts = []
        for record in change.puts:
            there = await store.get(Device, record.mac) if isinstance(record, Device) else None
            puts.append(replace(record, version=there.version) if there else record)
        return await save(replace(change, puts=tuple(puts)))

    with swapped(store, "save", saves):
        yield


async def raced(url: str, count: int, codes: int, *, careless: bool = False) -> Result:
    clock, wrong, taken = FakeClock(), list[str](), Counter[int]()
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(instances(url, [clock] * count))
        core = running[0].provisioning
        known = await with_codes(core, [mac_of(n) for n in range(codes)], timedelta(days=7))
        if careless:
            for each in running:
                stack.enter_context(reading_before_writing(each.provisioning))
        http = [await stack.enter_async_context(aiohttp.ClientSession(each.url)) for each in running]

        async def race(number: int, mac: str) -> None:
            first = number * count  # each asks from a network of its own, so that only the code decides
            tries = (provision(each, mac, known[mac], key_of(mac, n), source=first + n) for n, each in enumerate(http))
            said = Counter(status for status, _token in await asyncio.gather(*tries))
            taken.update(said)
            if said[200] != 1 or set(said) - {200, 403}:
                wrong.append(f"{mac} was answered {dict(said)}")

        macs = sorted(known)
        for start in range(0, codes, _TOGETHER):
            await asyncio.gather(*(race(start + n, mac) for n, mac in enumerate(macs[start : start + _TOGETHER])))
            if (start // _TOGETHER) % max(1, _LULL // count // _TOGETHER) == 0:
                clock.advance(timedelta(minutes=11))
        wrong += [text for mac in macs if (text := await used_once(core.store, mac))]
    figures = f"{codes} codes: taken {taken[200]} times, refused {taken[403]} times, {len(wrong)} violations"
    name = f"race: {count} instances"
    if careless:
        return Result(f"{name}, read before written", figures, wrong, control=True)
    return Result(name, figures, wrong, goal="each code once")
