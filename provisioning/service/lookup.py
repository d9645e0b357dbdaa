"""What people call things: a MAC, its last digits, a place, a site, a tag, a name → what is meant, or a question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from provisioning.access import Permission, allowed, may_see
from provisioning.errors import (
    Ambiguous,
    Choice,
    DeviceNotFound,
    NearMiss,
    NothingMatches,
    OutOfDate,
    PersonNotFound,
    Resembles,
)
from provisioning.mac import looks_like_mac, normalise
from provisioning.model import Actor, Device, Person
from provisioning.service.unit import UseCases
from provisioning.texts import _

CHOICES = 5  # how many readings of an ambiguous word are offered
SITE_PAGE = 500  # rows at once, so that nobody waits for a long page
LONGEST_NAME = 6  # words that can name one device: a MAC as six pairs
_FILLER = re.compile(r"^(?:the|a|device|devices|code|codes|for|of|room|site|tag)\s+(?=\S)", re.IGNORECASE)
_SUFFIX = re.compile(r"[0-9a-f]{4}|[0-9a-f]{2}[:\-. ][0-9a-f]{2}", re.IGNORECASE)
_ALL = {"all", "everything", "*"}
_HEX = "0123456789ABCDEF"


@dataclass(frozen=True, slots=True)
class Target:
    """What a command is about: one device, a site, a tag, or (all empty) everything."""

    device: Device | None = None
    site: str = ""  # as it is written on the devices
    tag: str = ""  # so too

    @property
    def title(self) -> str:
        return self.device.place if self.device else self.scope or _("all sites")

    @property
    def scope(self) -> str:
        """The site, or the tag with its sign; empty for one device and for everything."""
        return f"#{self.tag}" if self.tag else self.site

    @property
    def word(self) -> str:
        """What names it again, and nothing else: to type, and on buttons."""
        return self.device.mac if self.device else self.scope or "all"

    @property
    def equals(self) -> dict[str, Any]:
        """The same as a question to the store; one device is not asked for like this."""
        return {"tag": self.tag.casefold()} if self.tag else {"site": self.site.casefold()} if self.site else {}


EVERYTHING = Target()


def device_title(device: Device) -> str:
    """`2.14, ends 22:33`: enough to tell two devices apart without a whole MAC."""
    return _("{place}, ends {end}", place=device.place, end=f"{device.mac[-4:-2]}:{device.mac[-2:]}")


def strip_fillers(text: str) -> str:
    return _readings(text)[-1]


def means_everything(text: str) -> bool:
    return strip_fillers(text).casefold() in _ALL


def _readings(text: str) -> list[str]:
    """The words as typed, then with one leading filler less each: "device the Hague", "the Hague", "Hague"."""
    readings = [text.strip()]
    while (shorter := _FILLER.sub("", readings[-1])) != readings[-1]:
        readings.append(shorter)
    return readings


class Lookup(UseCases):
    async def device(self, actor: Actor, text: str) -> Device:
        """The listed device meant. Errors: `InvalidMac`, `NearMiss`, `DeviceNotFound`, `Ambiguous`."""
        word = strip_fillers(text)
        if looks_like_mac(word):
            return await self._by_mac(actor, word)
        for reading in _readings(text):
            if found := await self._by_words(actor, reading):
                return _only("device", reading, found)
        raise DeviceNotFound(text=text.strip()[:60])

    async def require_as_shown(self, mac: str, version: Any, issue: Any = None) -> None:
        """A card's press is about what it showed: this `version` of the device, or where `issue` is given, this code.

        Errors: `OutOfDate`.
        """
        device = await self.store.get(Device, mac)
        if device and not (str(issue) == str(device.issued) if issue else str(version) == str(device.version)):
            raise OutOfDate

    async def device_and_rest(self, actor: Actor, text: str) -> tuple[Device, str]:
        """The device that the first words mean, and the words after it. The longest reading that is a device wins.

        Errors: those of `device`.
        """
        words = strip_fillers(text).split()
        for count in range(min(len(words), LONGEST_NAME), 1, -1):
            head = " ".join(words[:count])
            if looks_like_mac(head) or await self._by_words(actor, head):
                return await self.device(actor, head), " ".join(words[count:])
        return await self.device(actor, words[0] if words else ""), " ".join(words[1:])

    async def _by_mac(self, actor: Actor, word: str) -> Device:
        mac = normalise(word)
        device = await self.store.get(Device, mac)
        if device and not device.removed and may_see(actor, device):
            return device
        alike = [*_one_off(mac)]
        found = await self.store.get_many(Device, alike)  # at one go: there are 188
        near = [d for d in map(found.get, alike) if d and not d.removed and may_see(actor, d)]
        if near:
            choices = [Choice(value=d.mac, title=device_title(d), place=d.place) for d in near[:CHOICES]]
            raise NearMiss("device", "-".join(re.findall("..", mac)), choices)
        raise DeviceNotFound(text="-".join(re.findall("..", mac)))

    async def _by_words(self, actor: Actor, word: str) -> list[Device]:
        folded = word.casefold()
        own: dict[str, Any] = {} if allowed(actor, Permission.SEE_DEVICES) else {"technician": actor.id}
        rows: list[Device] = []
        if _SUFFIX.fullmatch(word):
            rows += await self._listed(suffix=re.sub(r"[^0-9A-F]", "", word.upper()), **own)
        rows += await self._listed(location=folded, **own)
        rows += await self._listed(place=folded, **own)
        if not rows and " " in word:
            site, place = folded.split()[0].rstrip(",/"), folded.split()[-1]
            rows += await self._listed(site=site, place=place, **own)
        unique = {device.mac: device for device in rows if may_see(actor, device)}
        return list(unique.values())

    async def _listed(self, limit: int = 50, **equals: Any) -> list[Device]:
        return list((await self.store.find(Device, removed=False, limit=limit, **equals)).rows)

    async def site(self, text: str) -> str:
        """The site as it is written on its devices; empty where there is none."""
        for word in _readings(text):
            if rows := await self._listed(site=word.casefold().strip("/ ")):
                return rows[0].site
        return ""

    async def tag(self, text: str) -> str:
        """The tag as it is written on a device, `#` before it or not; empty where no device has it."""
        for word in _readings(text):
            folded = word.removeprefix("#").strip().casefold()
            if folded and (rows := await self._listed(tag=folded, limit=1)):
                return next(tag for tag in rows[0].tags if tag.casefold() == folded)
        return ""

    async def scope(self, text: str) -> Target:
        """A site or a tag: of the same name the site, unless it says `#`. Errors: `NothingMatches`."""
        word = strip_fillers(text)
        if word.startswith("#") and (tag := await self.tag(word)):
            return Target(tag=tag)
        if site := await self.site(text):
            return Target(site=site)
        if tag := await self.tag(text):
            return Target(tag=tag)
        raise NothingMatches(text=text.strip()[:60])

    async def target(self, actor: Actor, text: str) -> Target:
        """A site, a tag, a device, or everything. Errors: those of `device`, `NothingMatches`."""
        if means_everything(text):
            return Target()
        with suppress(NothingMatches):
            found = await self.scope(text)
            if found.tag and not strip_fillers(text).startswith("#"):
                await self._only_a_tag(actor, text, found.tag)
            return found
        try:
            return Target(device=await self.device(actor, text))
        except DeviceNotFound:
            if looks_like_mac(strip_fillers(text)):
                raise
            raise NothingMatches(text=text.strip()[:60]) from None

    async def _only_a_tag(self, actor: Actor, text: str, tag: str) -> None:
        """Errors: `Ambiguous` where a device is called like the tag."""
        devices = [device for reading in _readings(text) for device in await self._by_words(actor, reading)]
        if devices:
            every = Choice(value=f"#{tag}", title=_("#{tag}, all that have it", tag=tag))
            raise Ambiguous("target", text, [every, *_places(devices)])

    async def target_words(self, actor: Actor, text: str) -> tuple[str, str]:
        """The first words that mean a target, and at least one word after them; the longest reading wins."""
        words = text.split()
        for count in range(min(len(words) - 1, LONGEST_NAME), 1, -1):
            head = " ".join(words[:count])
            if looks_like_mac(head) or await self._means_something(actor, head):
                return head, " ".join(words[count:])
        return words[0] if words else "", " ".join(words[1:])

    async def _means_something(self, actor: Actor, words: str) -> bool:
        return bool(await self.site(words) or await self.tag(words) or await self._by_words(actor, words))

    async def devices_of(self, target: Target, **equals: Any) -> list[Device]:
        """Every listed device of a target, as it stands now, in the order people walk."""
        if target.device:
            fresh = await self.store.get(Device, target.device.mac)
            if fresh is None or fresh.removed:
                raise DeviceNotFound(text=target.device.place)
            return [fresh]
        equals |= target.equals
        rows: list[Device] = []
        after: str | None = None
        while True:
            page = await self.store.find(Device, removed=False, after=after, limit=SITE_PAGE, **equals)
            rows += page.rows
            after = page.after
            if after is None:
                return rows

    # -------------------------------------------------------------- people

    async def person(self, text: str) -> Person:
        """A known person by id, UPN, e-mail or name. Errors: `PersonNotFound`, `Ambiguous`."""
        word = text.strip().lstrip("@").casefold()
        if not word:
            raise PersonNotFound(text="")
        exact = await self.store.get(Person, word) or await self.store.get(Person, text.strip())
        if exact:
            return exact
        for index in ("upn", "name"):
            equals: dict[str, Any] = {index: word}
            if rows := (await self.store.find(Person, limit=CHOICES + 1, **equals)).rows:
                return _only_person(text, rows)
        near = (await self.store.find(Person, contains=word, limit=50)).rows
        if named := [p for p in near if word in p.name.casefold().split()]:
            return _only_person(text, named)
        starting = [p for p in near if any(w.startswith(word) for w in p.name.casefold().split())]
        if not starting:
            raise PersonNotFound(text=text.strip()[:60])
        raise Resembles("person", text, _people(starting))

    async def names(self, ids: Iterable[str]) -> dict[str, str]:
        """Ids → names, for people that are known."""
        people = [await self.store.get(Person, id_) for id_ in dict.fromkeys(ids) if id_]
        return {person.id: person.name for person in people if person}


def _only(parameter: str, text: str, found: Sequence[Device]) -> Device:
    if len(found) == 1:
        return found[0]
    raise Ambiguous(parameter, text, _places(found))


def _places(found: Sequence[Device]) -> list[Choice]:
    return [Choice(value=d.mac, title=f"{d.location} · {d.mac[-4:-2]}:{d.mac[-2:]}") for d in found[: CHOICES + 1]]


def _only_person(text: str, found: Sequence[Person]) -> Person:
    if len(found) == 1:
        return found[0]
    raise Ambiguous("person", text, _people(found))


def _people(found: Sequence[Person]) -> list[Choice]:
    return [Choice(value=p.id, title=f"{p.name} · {p.upn}" if p.upn else p.name) for p in found[:CHOICES]]


def _one_off(mac: str) -> Iterable[str]:
    """Every MAC that differs in one digit, or in two neighbours that changed places."""
    for i, digit in enumerate(mac):
        yield from (mac[:i] + other + mac[i + 1 :] for other in _HEX if other != digit)
    yield from (mac[:i] + mac[i + 1] + mac[i] + mac[i + 2 :] for i in range(len(mac) - 1) if mac[i] != mac[i + 1])
