"""The words of a search, one by one: what each is taken for, in a fixed order, so that the same words mean the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from provisioning.errors import Ambiguous, Choice
from provisioning.mac import vendor
from provisioning.model import Person
from provisioning.searching import FILTERS, MAKERS, texts_of
from provisioning.service.lookup import CHOICES, Lookup

LONGEST_PHRASE = 4  # words of one name: "waiting on sign in"
MOST_WORDS = 12  # beyond that it is a sentence, and a text as a whole


@dataclass(frozen=True, slots=True)
class Part:
    """Words that narrow a search, and what they were taken for."""

    kind: str  # "state", "problem", "tag", "site", "vendor", "technician" or "text"
    words: str  # as typed
    name: str  # as it is written on the devices
    equals: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    start: int = 0  # number of its first word

    @property
    def after(self) -> int:
        """Number of the first word behind."""
        return self.start + len(self.words.split())

    def instead(self, words: str, name: str) -> str:
        """The search with this name in their place."""
        typed = words.split()
        return " ".join((*typed[: self.start], name, *typed[self.after :]))


Take = Callable[[str, int, str], Awaitable[Part | None]]  # (phrase, number of its first word, the whole search)


class Reading(Lookup):
    async def parts(self, words: str, *, people: bool = True) -> tuple[Part, ...]:
        """What a search asks for, in the order it is said: state, #tag, site, tag, vendor, technician; else text.

        What is tried first wins, of one kind the longest phrase, once. Errors: `Ambiguous` for a name of several.
        """
        typed = words.split()
        if len(typed) > MOST_WORDS:
            return (Part("text", words, words, text=words.casefold()),)
        takes = [self._as_state, self._as_state, self._as_said_tag, self._as_site, self._as_tag, self._as_vendor]
        free: dict[int, str] = dict(enumerate(typed))
        found: list[Part] = []
        for take in (*takes, *([self._as_technician] if people else [])):
            found += await _taken(take, free, words, {part.kind for part in found})
        return tuple(sorted((*found, *_texts(free)), key=lambda part: part.start))

    async def _as_state(self, phrase: str, start: int, words: str) -> Part | None:
        known = FILTERS.get(phrase.casefold())
        return Part(known[0], phrase, phrase.casefold(), {known[0]: known[1]}, start=start) if known else None

    async def _as_said_tag(self, phrase: str, start: int, words: str) -> Part | None:
        return await self._as_tag(phrase, start, words) if phrase.startswith("#") else None

    async def _as_site(self, phrase: str, start: int, words: str) -> Part | None:
        folded = phrase.casefold().strip("/")
        rows = await self._listed(site=folded, limit=1) if folded else []
        return Part("site", phrase, rows[0].site, {"site": rows[0].site.casefold()}, start=start) if rows else None

    async def _as_tag(self, phrase: str, start: int, words: str) -> Part | None:
        folded = phrase.removeprefix("#").casefold()
        rows = await self._listed(tag=folded, limit=1) if folded else []
        names = [tag for row in rows for tag in row.tags if tag.casefold() == folded]
        return Part("tag", phrase, f"#{names[0]}", {"tag": folded}, start=start) if names else None

    async def _as_vendor(self, phrase: str, start: int, words: str) -> Part | None:
        """A maker's name is the first word of its entry in the registry."""
        folded = "" if " " in phrase else phrase.casefold()
        for name in dict.fromkeys((folded, MAKERS.get(folded, folded))):
            if name and (rows := await self._listed(vendor=name, limit=1)):
                return Part("vendor", phrase, vendor(rows[0].mac), {"vendor": name}, start=start)
        return None

    async def _as_technician(self, phrase: str, start: int, words: str) -> Part | None:
        """By name, a part of it, UPN or id. Errors: `Ambiguous`; each choice is the whole search with one of them."""
        people = await self._technicians_named(phrase)
        if not people:
            return None
        part = Part("technician", phrase, people[0].name, {"technician": people[0].id}, start=start)
        if len(people) > 1:
            choices = [Choice(part.instead(words, p.id), f"{p.name} · {p.upn}") for p in people[:CHOICES]]
            raise Ambiguous("words", phrase, choices)
        return part

    async def _technicians_named(self, phrase: str) -> Sequence[Person]:
        known = await self.store.get(Person, phrase.casefold()) if "-" in phrase else None
        if known:
            return [known]
        folded = phrase.lstrip("@").casefold()
        page = await self.store.find(Person, technician=True, contains=folded, limit=50) if folded else None
        rows = page.rows if page else ()
        exact = [p for p in rows if folded in (p.name.casefold(), p.upn.casefold())]
        return exact or [p for p in rows if set(folded.split()) <= set(p.name.casefold().split())]


async def _taken(take: Take, free: dict[int, str], words: str, had: set[str]) -> list[Part]:
    """The longest phrase of free words that is of this kind, unless it was had; its words are free no more."""
    for length in range(min(LONGEST_PHRASE, len(free)), 0, -1):
        for start in sorted(free):
            numbers = range(start, start + length)
            if not all(number in free for number in numbers):
                continue
            part = await take(" ".join(free[number] for number in numbers), start, words)
            if part and part.kind not in had:
                for number in numbers:
                    del free[number]
                return [part]
    return []


def _texts(free: Mapping[int, str]) -> list[Part]:
    """What is left, each run of words that stand together by itself."""
    parts: list[Part] = []
    for _, group in groupby(enumerate(sorted(free)), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in group]
        at = numbers[0]
        for text, count in texts_of([free[number] for number in numbers]):
            said = " ".join(free[number] for number in range(at, at + count))
            parts.append(Part("text", said, said, text=text, start=at))
            at += count
    return parts
