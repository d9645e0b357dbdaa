"""Devices: they call in when their time has come, then hold a long poll, and hear that they are signed in."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import aiohttp

from tests.day.book import Book
from tests.soak.journal import comes_from, key_of, network_of

WAIT = 30.0  # seconds of one long poll
AFTER_FAULT = 1.0


@dataclass
class Devices:
    """All of them. `door` gives the next instance's address."""

    door: Callable[[], str]
    book: Book
    http: aiohttp.ClientSession
    most_polls: int
    tokens: dict[str, str]
    activated: list[str] = field(default_factory=list)  # answered 200, in that order
    heard: dict[str, float] = field(default_factory=dict)  # when each heard that it is signed in
    _polls: OrderedDict[str, asyncio.Task[None]] = field(default_factory=OrderedDict)
    kept: set[str] = field(default_factory=set)  # these are not switched off

    async def calls_in(self, mac: str, code: str, due: float) -> None:
        headers = {"Idempotency-Key": key_of(mac), **comes_from(network_of(mac))}
        body = {"mac": mac, "code": code, "type": "phone", "model": "T57W"}
        try:
            async with self.http.post(f"{self.door()}/api/v1/provision", json=body, headers=headers) as answer:
                said, status = await answer.json(content_type=None), answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            return self.book.fault("device: provision", f"{mac} {error!r}")
        if status != 200:
            return self.book.fault("device: provision", f"{mac} {status}: {said}")
        self.book.took("device: provision", due)
        self.activated.append(mac)
        self.tokens[mac] = said["token"]
        self.waits(mac)
        return None

    def waits(self, mac: str, first: float = 0.0) -> None:
        """It holds a long poll from now on; the one that has held one for longest is switched off where these are
        enough. `first`: seconds until it begins.
        """
        self._polls[mac] = asyncio.create_task(self._holds(mac, first))
        if len(self._polls) > self.most_polls and (oldest := next((m for m in self._polls if m not in self.kept), "")):
            self._polls.pop(oldest).cancel()

    def holds(self, mac: str) -> bool:
        return mac in self._polls

    async def _holds(self, mac: str, first: float) -> None:
        await asyncio.sleep(first)
        question: dict[str, str] = {"wait": "0"}
        headers = {"Authorization": f"Bearer {self.tokens[mac]}", **comes_from(network_of(mac))}
        while True:
            began = time.monotonic()
            try:
                async with self.http.get(f"{self.door()}/api/v1/device", params=question, headers=headers) as answer:
                    said, status = await answer.json(content_type=None), answer.status
            except (aiohttp.ClientError, TimeoutError) as error:
                self.book.fault("device: long poll", f"{mac} {error!r}")
                await asyncio.sleep(AFTER_FAULT)
                continue
            if status != 200:
                return self.book.fault("device: long poll", f"{mac} {status}: {said}")
            self._notes(mac, began, question, said)
            question = {"since": str(said["revision"]), "wait": f"{WAIT:.0f}"}

    def _notes(self, mac: str, began: float, question: dict[str, str], said: dict[str, object]) -> None:
        """What was to come at once is timed from the question, what nothing happened to from the end of its wait."""
        if question["wait"] == "0":
            self.book.took("device: status at once", began)
        elif question["since"] == str(said["revision"]):
            self.book.took("device: long poll, beyond its 30 s", began + WAIT)
        if said["state"] == "signed_in":
            self.heard.setdefault(mac, time.monotonic())

    async def arrive(self, macs: list[str], codes: dict[str, str], a_minute: float, rng: Random, end: float) -> None:
        """At random moments, at that rate, whether or not the ones before were answered."""
        due, under_way = time.monotonic(), set[asyncio.Task[None]]()
        for mac in macs:
            due += rng.expovariate(a_minute / 60)
            if due > end:
                break
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self.calls_in(mac, codes[mac], due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)

    async def off(self) -> None:
        tasks = list(self._polls.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
