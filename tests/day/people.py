"""What people do that morning: each thing at a moment that was drawn beforehand, as soon as they are free."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, TypeVar

from tests.benchmarks.children import Child
from tests.connector import file_attachment
from tests.day import Plan
from tests.day.book import Book
from tests.day.devices import Devices
from tests.day.filling import List
from tests.day.phones import READ_EVERY, Card, Phone
from tests.file_host import FileHost
from tests.fleets import as_csv

TYPES_CODE = 6.0  # seconds, mean, that somebody takes to type a sign-in's code at the provider
IMPORT_SECONDS, CODE_SECONDS = 300.0, 30.0  # until what was asked for is given up
_CONFIRMS = 0.6  # how often somebody who sees that a device called in confirms it at once
_IMPORTED = 0x8000000  # numbers of the MACs in sheets

T = TypeVar("T")
Act = Callable[[float], Awaitable[None]]  # is told when it was due


async def at_moments(rng: Random, think: float, end: float, act: Callable[[], Act]) -> None:
    """Again and again until the end. Who is still busy when a moment comes does it late: it counts from then."""
    due = time.monotonic() + rng.random() * think
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await act()(due)
        due += rng.expovariate(1 / think)


@dataclass
class Deeds:
    """What was answered well, to be found in the store."""

    confirmed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)  # MAC → place
    imported: list[list[str]] = field(default_factory=list)  # the MACs of each sheet
    approved: dict[str, float] = field(default_factory=dict)  # MAC → when somebody typed its code


class Technician:
    def __init__(self, phone: Phone, rng: Random, mine: list[str], devices: Devices, deeds: Deeds) -> None:
        self._phone, self._rng, self._mine, self._devices, self._deeds = phone, rng, mine, devices, deeds
        self._form: tuple[Card, str] | None = None  # of the install that is being confirmed

    def act(self) -> Act:
        if self._form:
            return self._saves
        if self._ready() and self._rng.random() < _CONFIRMS:
            return self._confirms
        acts = (self._next, self._list, self._opens, self._code, self._refreshes, self._problem)
        return self._rng.choices(acts, (58, 9, 9, 11, 11, 2))[0]

    def _ready(self) -> tuple[Card, dict[str, Any]] | None:
        found = self._phone.with_button("install_form")
        mac = found[1]["data"].get("device", "") if found else ""
        return found if mac in self._devices.tokens and mac not in self._deeds.confirmed else None

    async def _next(self, due: float) -> None:
        await self._phone.says("turn: next", due, "next")

    async def _list(self, due: float) -> None:
        await self._phone.says("turn: my devices", due, "my devices")

    async def _opens(self, due: float) -> None:
        """A device of the list, or the list itself."""
        if found := self._phone.with_button("job") or self._phone.with_button("jobs"):
            card, button = found
            kind = "press: open a job" if button["verb"] == "job" else "press: my devices"
            await self._phone.presses(kind, due, card, button)
        else:
            await self._list(due)

    async def _code(self, due: float) -> None:
        left = [mac for mac in self._mine if mac not in self._devices.tokens][:5]
        if left:
            await self._phone.says("turn: code", due, f"code {self._rng.choice(left)}")

    async def _refreshes(self, due: float) -> None:
        if self._phone.cards:
            await self._phone.opens("refresh: a job's card", due, self._phone.cards[0])

    async def _problem(self, due: float) -> None:
        left = [mac for mac in self._mine if mac not in self._devices.tokens][-20:]
        if left and await self._phone.says("turn: problem", due, f"problem {left[-1]} the port is dead"):
            self._mine.remove(left[-1])
            self._deeds.problems.append(left[-1])

    async def _confirms(self, due: float) -> None:
        found = self._ready()
        if found is None:
            return
        card, button = found
        form = await self._phone.presses("press: confirm, its form", due, card, button)
        if form and form.button("install_save"):
            self._form = form, button["data"]["device"]

    async def _saves(self, due: float) -> None:
        assert self._form
        (form, mac), self._form = self._form, None
        if (button := form.button("install_save")) is None:  # the bot has put something newer in its place
            return await self._next(due)
        saved = await self._phone.presses("press: confirm", due, form, button, checked="true", note="")
        if saved and not saved.button("install_save"):
            self._deeds.confirmed.append(mac)
        return None


class Admin:
    def __init__(self, phone: Phone, rng: Random, known: List, deeds: Deeds) -> None:
        self._phone, self._rng, self._known, self._deeds = phone, rng, known, deeds
        self._moves = count(1)

    def act(self) -> Act:
        acts = (
            self._device,
            self._find,
            self._devices,
            self._rollout,
            self._issue,
            self._move,
            self._presses,
            self._refreshes,
            self._people,
        )
        return self._rng.choices(acts, (30, 12, 6, 9, 9, 8, 12, 12, 2))[0]

    async def _device(self, due: float) -> None:
        await self._phone.says("turn: device", due, f"device {self._rng.choice(self._known.calling)}")

    async def _find(self, due: float) -> None:
        mac = self._rng.choice(self._known.calling)
        await self._phone.says("turn: find", due, f"find {self._known.places[mac]}")

    async def _devices(self, due: float) -> None:
        words = self._rng.choice(("", " waiting", " waiting oslo", " problem"))
        await self._phone.says("turn: devices", due, f"devices{words}")

    async def _rollout(self, due: float) -> None:
        site = self._rng.choice(self._known.sites)
        await self._phone.says("turn: rollout", due, f"rollout {site}")

    async def _issue(self, due: float) -> None:
        if self._known.uncoded:
            await self._phone.says("turn: issue", due, f"issue {self._known.uncoded.pop()}")

    async def _move(self, due: float) -> None:
        mac, place = self._known.uncoded[0], f"9.{next(self._moves):03d}"
        self._known.uncoded.append(self._known.uncoded.pop(0))
        cards = await self._phone.says("turn: move", due, f"move {mac} to Oslo/9/{place}")
        if any(place in str(card.content) for card in cards or ()):
            self._deeds.moved[mac] = place

    async def _presses(self, due: float) -> None:
        """A form is opened, and left again."""
        if found := self._phone.with_button("device") or self._phone.with_button("move_form"):
            card, button = found
            await self._phone.presses(f"press: {button['verb'].replace('_', ' ')}", due, card, button)
        else:
            await self._device(due)

    async def _refreshes(self, due: float) -> None:
        if self._phone.cards:
            await self._phone.opens("refresh: an admin's card", due, self._phone.cards[0])

    async def _people(self, due: float) -> None:
        await self._phone.says("turn: people", due, "people")


class Importer:
    """An admin who sends one sheet after the other and adds what it holds."""

    def __init__(self, phone: Phone, book: Book, host: FileHost, rows: int, deeds: Deeds) -> None:
        self._phone, self._book, self._host, self._rows, self._deeds = phone, book, host, rows, deeds
        self._numbers = count(_IMPORTED)

    async def imports(self) -> None:
        macs = [f"805EC{next(self._numbers):07X}" for _ in range(self._rows)]
        rows = [("MAC id", "Location"), *((mac, f"Annex/{n // 400}/{n // 400}.{n:04d}") for n, mac in enumerate(macs))]
        url = self._host.shares("annex.csv", as_csv(rows))
        began = time.monotonic()
        if not await self._phone.says(
            "turn: a sheet is sent", began, "", attachments=[file_attachment(url, "annex.csv")]
        ):
            return
        if not (preview := await self._until(lambda: self._phone.with_button("upload_add"), began)):
            return self._book.fault("import", "no preview came")
        self._book.took("import: from the file to its preview", began)
        began, (card, button) = time.monotonic(), preview
        await self._phone.presses("press: add what a sheet holds", began, card, button)
        if not await self._until(lambda: card.button("undo"), began):
            return self._book.fault("import", "it was never said to be added")
        self._book.took("import: from [Add] to all of it on the list", began)
        self._deeds.imported.append(macs)
        return None

    async def _until(self, shown: Callable[[], T | None], since: float) -> T | None:
        while time.monotonic() < since + IMPORT_SECONDS:
            if (found := shown()) is not None:
                return found
            await asyncio.sleep(READ_EVERY)
        return None

    async def every(self, apart: float, first: float, end: float) -> None:
        due = time.monotonic() + first
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self.imports()
            due += apart


class SigningIn:
    """Admins ask for several sign-ins in one go; each code is typed at the provider, and the device hears of it."""

    def __init__(self, phone: Phone, book: Book, provider: Child, devices: Devices, deeds: Deeds, rng: Random) -> None:
        self._phone, self._book, self._provider, self._devices = phone, book, provider, devices
        self._deeds, self._rng = deeds, rng

    async def batch(self, macs: list[str], accounts: dict[str, str], typing: set[asyncio.Task[None]]) -> None:
        for mac in macs:
            shown = await self._phone.says("turn: sign in", time.monotonic(), f"sign in {mac}")
            if shown is not None and (code := await self._code_for(mac)):
                typing.add(asyncio.create_task(self._types(mac, code, accounts[mac])))
            elif shown is not None:
                self._book.fault("sign-in", f"{mac}: no code came")

    async def _code_for(self, mac: str) -> str:
        """Where the provider was slow, its card says so first; others may come between."""
        until = time.monotonic() + CODE_SECONDS
        while time.monotonic() < until:
            found = self._phone.with_button("sign_in_cancel", device=mac)
            if found and found[0].code:
                return found[0].code
            await asyncio.sleep(READ_EVERY)
        return ""

    async def _types(self, mac: str, code: str, account: str) -> None:
        await asyncio.sleep(self._rng.expovariate(1 / TYPES_CODE))
        try:
            self._deeds.approved[mac] = await self._provider.does("approve", code, account)
        except RuntimeError as error:
            self._book.fault("sign-in", f"{mac}: {error}")

    async def every(self, plan: Plan, macs: list[str], accounts: dict[str, str], end: float) -> None:
        waiting, typing, due = list(macs), set[asyncio.Task[None]](), time.monotonic() + plan.sign_ins_apart / 2
        while due < end and waiting:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            batch = [waiting.pop(0) for _ in range(min(plan.sign_ins, len(waiting)))]
            await self.batch(batch, accounts, typing)
            due += plan.sign_ins_apart
        await asyncio.gather(*typing)
