"""Finding among 200 000: one device and what is known of it, and the list a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rapidfuzz import fuzz, process

from provisioning.access import Permission, allowed, require
from provisioning.mac import vendor
from provisioning.model import Actor, Device
from provisioning.photos import Photo
from provisioning.searching import MAKERS, text_of
from provisioning.service.reading import Part, Reading
from provisioning.untrusted import LIMIT, clean

PAGE = 10
FOUND = ("site", "tag", "vendor")  # parts of a search that are read from a device that is there
SCAN = 500  # rows that are looked through for a further text, so that nobody waits for a long list
NEAR = 65  # similarity in per cent from which a word counts as a slip of the finger
OFFERED = 3
LATEST = 100  # problems among which the latest are found
MOST_FOUND = 25  # of one search from the compose box; Teams shows no more


@dataclass(frozen=True, slots=True)
class Nothing:
    """Why a list is empty: this word is nowhere (empty: only together are they), and what it may have meant."""

    word: str = ""
    near: tuple[tuple[str, str], ...] = ()  # (name, the words with that name in place of the word)


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the list. `total` counts all pages; where it is not `exact`, there are at least as many."""

    devices: tuple[Device, ...]
    total: int
    after: str | None
    names: Mapping[str, str]
    filter: str  # the words that were asked for
    first: int  # number of the first row, from 1
    parts: tuple[Part, ...] = ()  # what they were taken for
    seen: Mapping[str, datetime] = field(default_factory=dict)  # MAC → last call
    exact: bool = True
    nothing: Nothing | None = None  # of an empty list


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """All that is known about one device, for whoever may see it."""

    device: Device
    technician: str  # name
    last_seen: datetime | None
    organisation: str = ""  # whose name the screen shows
    photo: Photo | None = None  # kept with its install


@dataclass(frozen=True, slots=True)
class Found:
    """A page of devices, and how many there are in all; `exact` False: at least."""

    rows: tuple[Device, ...]
    after: str | None
    total: int = 0
    exact: bool = True


class Finding(Reading):
    async def listing(self, actor: Actor, words: str, *, after: str | None = None, first: int = 1) -> Listing:
        """Listed devices, ten a page, in the order people walk; each word narrows. Errors: `Ambiguous` for a name."""
        require(actor, Permission.SEE_DEVICES)
        words = clean(words)
        parts = await self.parts(words)
        found = await self._found(parts, after, PAGE)
        return Listing(
            devices=found.rows,
            total=found.total,
            after=found.after,
            names=await self.names(device.technician for device in found.rows),
            filter=words,
            first=first,
            parts=parts,
            seen=await self._last_calls([device.mac for device in found.rows]),
            exact=found.exact,
            nothing=None if found.rows or not parts else await self._nothing(words, parts),
        )

    async def _found(self, parts: Sequence[Part], after: str | None, limit: int) -> Found:
        """The store is asked for the longest text; where there are several, its answers are looked through."""
        equals, texts = _question(parts)
        contains = texts[0] if texts else None
        if len(texts) > 1:
            return await self._looked_through(equals, texts, after, limit)
        page = await self.store.find(Device, contains=contains, after=after, limit=limit, removed=False, **equals)
        if after is None and page.after is None:  # that is all of them; counting would take as long again
            return Found(page.rows, None, len(page.rows))
        total = await self.store.count(Device, contains=contains, removed=False, **equals)
        return Found(page.rows, page.after, total)

    async def _looked_through(
        self, equals: dict[str, Any], texts: Sequence[str], after: str | None, limit: int
    ) -> Found:
        """Rows that hold every text, among the first `SCAN` that hold the longest: from the start and from `after`."""

        async def look(after: str | None, most: int) -> tuple[list[tuple[int, Device]], str | None]:
            page = await self.store.find(Device, contains=texts[0], after=after, limit=most, removed=False, **equals)
            held = [(n, d) for n, d in enumerate(page.rows, 1) if all(text in text_of(d) for text in texts)]
            return held, page.after

        every, behind = await look(None, SCAN)
        held, following = (every, behind) if after is None else await look(after, SCAN)
        if len(held) > limit:  # the place to go on from is known for the end of a page only
            held, following = await look(after, held[limit - 1][0])
        return Found(tuple(device for _, device in held), following, len(every), exact=behind is None)

    async def _last_calls(self, macs: Sequence[str]) -> Mapping[str, datetime]:
        return {**await self.store.last_seen(macs), **{mac: self._seen[mac] for mac in macs if mac in self._seen}}

    # -------------------------------------------------------------- nothing found

    async def _nothing(self, words: str, parts: Sequence[Part]) -> Nothing:
        """The first word that is nowhere, with the nearest names; none where each is somewhere."""
        for part in parts:
            if part.kind in FOUND:
                continue
            alone = await self._listed(contains=part.text or None, limit=1, **part.equals) if len(parts) > 1 else []
            if not alone:
                return Nothing(part.words, await self._near(words, part))
        return Nothing()

    async def _near(self, words: str, part: Part) -> tuple[tuple[str, str], ...]:
        """Sites, tags and makers there are that the word may have meant."""
        names = {row.site: row.site for row in await self.store.tally()}
        names |= {tag: f"#{tag}" for tag, _ in await self.store.tags()}
        names |= {said: said for said in MAKERS}
        word = part.words.casefold().removeprefix("#")
        hits = process.extract(word, list(names), scorer=fuzz.ratio, limit=OFFERED, score_cutoff=NEAR)
        found = [(names[hit[0]], await self._written(names[hit[0]])) for hit in hits]
        return tuple((title, part.instead(words, name)) for name, title in found if title)

    async def _written(self, name: str) -> str:
        """A site, tag or maker as it is written on a device; empty where none is of that maker."""
        if name.startswith("#"):
            return f"#{await self.tag(name)}"
        if site := await self.site(name):
            return site
        rows = await self._listed(vendor=MAKERS[name], limit=1) if name in MAKERS else []
        return vendor(rows[0].mac) if rows else ""

    # -------------------------------------------------------------- from the compose box

    async def search(self, actor: Actor, words: str, *, skip: int = 0, limit: int = MOST_FOUND) -> Sequence[Device]:
        """Devices by a part of their MAC or by place: every one for admins, their own for technicians, else none.

        Without words: the latest problems, then what is still to be done on site.
        """
        if not allowed(actor, Permission.SEE_DEVICES, Permission.WORK_ON_SITE):
            return ()
        own: dict[str, Any] = {} if allowed(actor, Permission.SEE_DEVICES) else {"technician": actor.id}
        end = min(skip + min(limit, MOST_FOUND), SCAN)
        words = clean(words[:LIMIT])
        rows = await self._matching(words, own, end) if words else await self._urgent(own, end)
        return rows[skip:end]

    async def _matching(self, words: str, own: dict[str, Any], end: int) -> Sequence[Device]:
        equals, texts = _question(await self.parts(words, people=False))
        page = await self.store.find(
            Device,
            contains=texts[0] if texts else None,
            limit=SCAN if len(texts) > 1 else end,
            removed=False,
            **{**equals, **own},
        )
        return [device for device in page.rows if all(text in text_of(device) for text in texts)]

    async def _urgent(self, own: dict[str, Any], end: int) -> Sequence[Device]:
        troubled = await self._listed(problem=True, limit=LATEST, **own)
        troubled.sort(key=lambda device: device.problem.at if device.problem else device.added_at, reverse=True)
        undone = await self._listed(open=True, limit=end, **own)
        return [*troubled, *(device for device in undone if not device.problem)]

    # -------------------------------------------------------------- one device

    async def facts(self, actor: Actor, text: str) -> DeviceFacts:
        """One device. Technicians see their own."""
        require(actor, Permission.SEE_DEVICES, Permission.WORK_ON_SITE)
        return await self._facts(await self.device(actor, text))

    async def _facts(self, device: Device) -> DeviceFacts:
        seen = await self._last_calls((device.mac,))
        names = await self.names((device.technician,))
        photo = await self.store.get(Photo, device.installed.photo) if device.installed else None
        technician = names.get(device.technician, "")
        return DeviceFacts(device, technician, seen.get(device.mac), self.policy.organisation, photo)


def _question(parts: Sequence[Part]) -> tuple[dict[str, Any], list[str]]:
    """What the store is asked: equal indexes, and the texts, the longest first."""
    equals: dict[str, Any] = {}
    for part in parts:
        equals |= part.equals
    return equals, sorted((part.text for part in parts if part.text), key=len, reverse=True)
