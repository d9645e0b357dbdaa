"""What the clients were answered, and whether it is still so: the promises that a crash must not break."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import aiohttp

from tests.soak.people import Person

_SAMPLE = 5  # used codes that are presented once more at each look: wrong ones are limited for the whole fleet


def key_of(mac: str, life: int | str = 0) -> str:
    """The Idempotency-Key of a device's call."""
    return f"{mac}-{life}-{'k' * 22}"


@dataclass
class Journal:
    """MACs and what became of their calls. `unsure`: no answer came, so both outcomes are right, nothing between."""

    codes: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)  # of codes that were taken
    reset: set[str] = field(default_factory=set)
    added: dict[str, str] = field(default_factory=dict)  # MAC → place, of what the bot said that it saved
    unsure: dict[str, list[str]] = field(default_factory=dict)  # MAC → retry keys of its calls
    unsure_resets: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)  # sent on an open connection, and never answered
    refused: int = 0  # no connection was made, so nothing was sent
    wrong: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        return len(self.tokens) + len(self.reset) + len(self.added)

    def took(self, mac: str, token: str) -> None:
        if mac in self.tokens:
            self.wrong.append(f"the code of {mac} was taken twice")
        self.tokens[mac] = token
        self.unsure.pop(mac, None)

    def doubts(self, mac: str, key: str) -> None:
        if mac not in self.tokens:
            self.unsure.setdefault(mac, []).append(key)

    async def check(self, url: str, admin: Person, rng: random.Random, macs: Iterable[str] | None = None) -> list[str]:
        """What is not as it was answered, over the service's own doors. What was unsure is settled by asking again."""
        asked = set(self.codes if macs is None else macs)
        async with aiohttp.ClientSession(url) as http:
            said = [text async for text in self._devices(http, asked)]
            said += [text async for text in self._again(http, asked)]
            said += [text async for text in self._used(http, asked, rng)]
        said += [text async for text in self._places(admin)]
        return said

    async def _devices(self, http: aiohttp.ClientSession, asked: set[str]) -> AsyncIterator[str]:
        """Every token that was given out is worth what it was; after a reset, nothing."""
        for mac in sorted(asked & self.tokens.keys()):
            async with http.get("/api/v1/device", headers={"Authorization": f"Bearer {self.tokens[mac]}"}) as answer:
                body = await answer.json(content_type=None)
            wanted = {401} if mac in self.reset else {200, 401} if mac in self.unsure_resets else {200}
            if answer.status not in wanted:
                yield f"lost: the token of {mac} is answered {answer.status}"
            elif answer.status == 200 and (body["state"], body["life"]) != ("waiting_for_sign_in", 1):
                yield f"half: {mac} is {body['state']} in life {body['life']}"

    async def _again(self, http: aiohttp.ClientSession, asked: set[str]) -> AsyncIterator[str]:
        """Whoever heard nothing asks again with the same key, and gets in once, whether or not it was in before."""
        for mac in sorted(asked & self.unsure.keys()):
            for key in self.unsure[mac]:
                status, token = await provision(http, mac, self.codes[mac], key, source=network_of(mac))
                if status == 200:
                    self.took(mac, token)
                    break
            else:
                yield f"half: {mac} heard nothing and is answered {status} when it asks again"

    async def _used(self, http: aiohttp.ClientSession, asked: set[str], rng: random.Random) -> AsyncIterator[str]:
        used = sorted(asked & self.tokens.keys())
        for mac in rng.sample(used, min(_SAMPLE, len(used))):
            status, _ = await provision(http, mac, self.codes[mac], key_of(mac, "again"), source=rng.randrange(1 << 16))
            if status == 200:
                yield f"the code of {mac} was taken again"

    async def _places(self, admin: Person) -> AsyncIterator[str]:
        """Devices that were added in chat stand where the bot said."""
        for mac, place in self.added.items():
            said = await admin.says(f"device {mac}")
            if place.rpartition("/")[2] not in said:
                yield f"lost: {mac} was added at {place}, and now: {said[:200]}"


def network_of(mac: str) -> int:
    """Each device calls from a network of its own, so that what one got wrong shuts out no other."""
    return int(mac[-4:], 16)


def comes_from(network: int) -> dict[str, str]:
    """As a trusted proxy says it."""
    return {"X-Forwarded-For": f"10.{network // 256}.{network % 256}.1"}


async def provision(
    http: aiohttp.ClientSession, mac: str, code: str, retry_key: str, *, source: int | None = None
) -> tuple[int, str]:
    """Status, and the token where it is 200. `source` stands for another network."""
    headers = {"Idempotency-Key": retry_key, **({} if source is None else comes_from(source))}
    async with http.post("/api/v1/provision", json={"mac": mac, "code": code}, headers=headers) as answer:
        body = await answer.json(content_type=None)
        return answer.status, body.get("token", "")
