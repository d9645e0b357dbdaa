"""Every question that the use cases put to the store, each asked through the port."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from itertools import cycle, islice
from typing import Any

from provisioning.batches import Batch
from provisioning.bookkeeping import Operation
from provisioning.codes import hash_token
from provisioning.messages import OutboxMessage, Post
from provisioning.model import Device, Person, State
from provisioning.ports import Page, Span, Store
from provisioning.rollouts import Rollout
from tests.provisioning.world import DANA
from tests.scale.measuring import LONG, PAGE, TURN, Book
from tests.scale.state import CITIES, NOW, Scene, mac_of, technician_of, token_of

LARGEST, SMALL, NOWHERE = CITIES[0].casefold(), CITIES[-1].casefold(), "atlantis"


class Asking:
    def __init__(self, store: Store, scene: Scene, book: Book) -> None:
        self.store, self.scene, self.book = store, scene, book
        rng = random.Random(3)
        self.macs: Iterator[str] = cycle([mac_of(rng.randrange(scene.size.devices)) for _ in range(500)])
        self.devices: Iterator[Device] = cycle([scene.device(rng.randrange(scene.size.devices)) for _ in range(200)])
        self.people = cycle([technician_of(n) for n in range(min(scene.size.technicians, 50))])

    async def everything(self) -> None:
        await self._one_device()
        await self._lists()
        await self._walks()
        await self._people_and_cards()
        await self._counts()
        await self._timelines()
        await self._audit()

    async def page(self, name: str, kind: type[Any], limit: int, target: Any = None, **asked: Any) -> None:
        """The first page, and one from deep inside where there is one."""
        target = target or (PAGE if limit <= 50 else TURN)
        find = partial(self.store.find, kind, limit=limit)
        await self.book.ask(f"{name}, {limit} a page", lambda: find(**asked), target)
        if after := await self._deep(lambda after: self.store.find(kind, limit=1000, after=after, **asked)):
            await self.book.ask(f"{name}, a page far behind", lambda: find(after=after, **asked), target)

    async def _deep(self, turn: Callable[[str | None], Awaitable[Page[Any]]]) -> str | None:
        """The last place that walking ten large pages leads to, where there is more behind it."""
        after: str | None = None
        for _ in range(10):
            page = await turn(after)
            if page.after is None:
                return None
            after = page.after
        return after

    # ------------------------------------------------------------------ devices

    async def _one_device(self) -> None:
        ask, find = self.book.ask, partial(self.store.find, Device, removed=False, limit=50)
        await ask("get by MAC", lambda: self.store.get(Device, next(self.macs)), PAGE, times=200)
        await ask("when a device called last", lambda: self.store.last_seen((next(self.macs),)), PAGE, times=200)
        await ask("by location", lambda: find(location=next(self.devices).location.casefold()), PAGE)
        await ask("by place", lambda: find(place=next(self.devices).place), PAGE)
        await ask(
            "by site and place", lambda: find(site=(d := next(self.devices)).site.casefold(), place=d.place), PAGE
        )
        await ask("by the last four digits", lambda: find(suffix=next(self.macs)[-4:]), PAGE)
        await ask(
            "by the last four digits, own",
            lambda: find(suffix=(d := next(self.devices)).mac[-4:], technician=d.technician),
            PAGE,
        )
        tokens = cycle([*islice(self.scene.numbers(State.SIGNED_IN), 300)])
        await ask("by token", lambda: self.store.find(Device, token=hash_token(token_of(next(tokens))), limit=1), PAGE)

    async def _lists(self) -> None:
        for what, asked in self._listings().items():
            await self.page(what, Device, 10, removed=False, **asked)
        alive = Span("code_until", after=NOW)
        for site in ({}, {"site": LARGEST}, {"site": SMALL}):
            await self.page(f"live codes {_said(site)}", Device, 10, span=alive, removed=False, **site)
        for name, text in {"frequent": "t57", "rare": "at-000077", "found nowhere": "no such text"}.items():
            find = partial(self.store.find, Device, contains=text, removed=False, limit=10)
            count = partial(self.store.count, Device, contains=text, removed=False)
            await self.book.ask(f"text search: {name}", find)
            await self.book.ask(f"text search, counted: {name}", count)

    def _listings(self) -> dict[str, dict[str, Any]]:
        """What people filter by: a state or problems, with and without a site."""
        kinds: dict[str, dict[str, Any]] = {state.value: {"state": state} for state in State}
        kinds |= {"": {}, "problem": {"problem": True}}
        sites: tuple[dict[str, Any], ...] = ({}, {"site": LARGEST}, {"site": SMALL})
        found = {f"list {_said(kind | site)}": kind | site for kind in kinds.values() for site in sites}
        return found | {"list site:atlantis": {"site": NOWHERE}}

    async def _walks(self) -> None:
        """What long jobs read a thousand at a time."""
        find = partial(self.store.find, Device, removed=False, limit=1000)
        await self.page("walk through all", Device, 1000, removed=False)
        await self.page("walk through the largest site", Device, 1000, removed=False, site=LARGEST)
        await self.page("walk through open devices", Device, 1000, removed=False, open=True)
        await self.page("open devices of the largest site", Device, 1000, removed=False, open=True, site=LARGEST)
        await self.book.ask("a technician's open devices", lambda: find(technician=next(self.people), open=True))
        alive = Span("code_until", after=NOW)
        await self.book.ask("a technician's live codes", lambda: find(technician=next(self.people), span=alive))
        await self.page("every device, to void codes", Device, 500)
        await self.page("codes that ended", Device, 500, span=Span("code_until", until=NOW))
        silent = partial(self.store.silent, None, NOW, limit=500)
        await self.book.ask("who is silent", silent)
        if beyond := await self._deep(lambda after: self.store.silent(None, NOW, beyond=after, limit=1000)):
            await self.book.ask("who is silent, a page far behind", lambda: silent(beyond=beyond))
        past = Span("hashed_until", until=NOW - timedelta(days=7))
        await self.page("hashes to forget", Device, 500, span=past)
        await self.page("marks to forget", Operation, 500, span=Span("at", until=NOW - timedelta(days=2)))
        for status in ("sent", "undeliverable"):
            past = Span("settled", until=NOW - timedelta(days=7))
            await self.page(f"messages to forget, {status}", OutboxMessage, 500, span=past, status=status)

    # ------------------------------------------------------------------ the rest

    async def _people_and_cards(self) -> None:
        ask, find, person = self.book.ask, self.store.find, partial(self.store.find, Person)
        await self.page("people", Person, 10)
        await ask("all technicians", lambda: person(technician=True, limit=1000))
        await ask("all admins", lambda: person(admin=True, limit=200), PAGE)
        await ask("a person by name", lambda: person(name=f"kim {LARGEST} 0", limit=6), PAGE)
        await ask("a person by UPN", lambda: person(upn=f"kim.{LARGEST}.0@contoso.com", limit=6), PAGE)
        await ask("a person by a part of the name", lambda: person(contains="kim bergen", limit=50))
        await ask("all rollouts", lambda: find(Rollout, limit=1000))
        await ask("cards of a device", lambda: find(Post, subject=next(self.macs), limit=20), PAGE)
        await ask("a reader's latest card", lambda: find(Post, reader=next(self.people), limit=1), PAGE)
        await ask("a reader's latest 50 cards", lambda: find(Post, reader=next(self.people), limit=50), PAGE)
        await ask(
            "a reader's cards with a code",
            lambda: find(Post, reader=next(self.people), shows_code=True, limit=50),
            PAGE,
        )
        await ask("every card with a code", lambda: find(Post, shows_code=True, limit=1000))
        await ask("somebody's last add", lambda: find(Batch, by=DANA, kind="add", limit=1), PAGE)

    async def _counts(self) -> None:
        for what, asked in self._listings().items():
            await self.book.ask(f"count {what}", partial(self.store.count, Device, removed=False, **asked))
        alive, count = Span("code_until", after=NOW), partial(self.store.count, Device, removed=False)
        await self.book.ask("count live codes", lambda: count(span=alive))
        await self.book.ask("count live codes of the largest site", lambda: count(span=alive, site=LARGEST))
        await self.book.ask("count a technician's live codes", lambda: count(span=alive, technician=next(self.people)))
        await self.book.ask("count a technician's open", lambda: count(technician=next(self.people), open=True))
        await self.book.ask("count a technician's done", lambda: count(technician=next(self.people), installed=True))
        await self.book.ask("count people", lambda: self.store.count(Person))
        await self.book.ask("tally of all", self.store.tally, PAGE, times=200)
        for site in (LARGEST, SMALL):
            await self.book.ask(f"tally of {site}", partial(self.store.tally, site), PAGE, times=200)

    async def _timelines(self) -> None:
        timeline = partial(self.store.timeline, "provisioned_at", NOW - timedelta(days=400), NOW)
        for step in (timedelta(hours=1), timedelta(days=1)):
            for what, asked in {"all": {}, LARGEST: {"site": LARGEST}, "a tag": {"tag": "lobby"}}.items():
                name = f"timeline of {what}, by {step.total_seconds() / 3600:g} h"
                await self.book.ask(name, partial(timeline, step, **asked), LONG)

    async def _audit(self) -> None:
        ask: Any = self.book.ask
        await ask("history of a device", lambda: self.store.history(next(self.macs)), PAGE)
        await ask("history of all", self.store.history, PAGE)
        middle = str(self.scene.size.facts // 2)
        await ask("history of all, from the middle", lambda: self.store.history(after=middle), PAGE)
        await ask("facts behind the middle, 500 at once", lambda: self.store.facts(int(middle)))
        await ask("the newest fact", self.store.newest_fact, PAGE)
        await ask("history, a thousand at once", lambda: self.store.history(limit=1000))


def _said(asked: dict[str, Any]) -> str:
    return " ".join(f"{name}:{getattr(value, 'value', value)}" for name, value in asked.items()) or "all"
