"""Admins who type, over the service's own door and a connector of ours."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import Any

import aiohttp

from tests.connector import TENANT, FakeConnector, activity
from tests.soak.service import ADMINS

REPLY_SECONDS = 15.0
_ids = count(1)


class NoReply(Exception):
    """The bot took it and said nothing in time."""


class Person:
    """One of the admins, in a chat of their own."""

    def __init__(self, connector: FakeConnector, url: str, number: int) -> None:
        self._connector, self._url = connector, url
        self.conversation = f"a:admin-{number}"
        self.sender = {"id": f"29:admin-{number}", "name": f"Admin {number}", "aadObjectId": ADMINS[number]}
        self.chat = {"id": self.conversation, "conversationType": "personal", "tenantId": TENANT}
        self._seen = 0
        known = {"aadObjectId": ADMINS[number], "tenantId": TENANT, "userPrincipalName": f"admin{number}@contoso.com"}
        connector.knows(self.sender["id"], name=self.sender["name"], **known)
        self.http: aiohttp.ClientSession | None = None

    def typed(self, text: str, **fields: Any) -> dict[str, Any]:
        base = {"from_": self.sender, "conversation": self.chat, "id": f"t{next(_ids)}", "text": text}
        return activity(self._connector, **{**base, **fields})

    async def posts(self, body: dict[str, Any]) -> int:
        session = self.http or aiohttp.ClientSession()
        try:
            async with session.post(f"{self._url}/api/messages", json=body) as answer:
                await answer.read()
                return answer.status
        finally:
            if session is not self.http:
                await session.close()

    async def says(self, text: str) -> str:
        """What the bot replied, as JSON. Errors: `NoReply`, `aiohttp.ClientError`."""
        self._seen = len(self._connector.sends)
        status = await self.posts(self.typed(text))
        if status != 200:
            raise NoReply(f"{text!r} was answered {status}")
        return await self.hears(text)

    async def hears(self, what: str) -> str:
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                while not (said := self._fresh()):  # noqa: ASYNC110 - another process speaks
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise NoReply(f"nothing was said to {what!r}") from None
        return json.dumps(said, ensure_ascii=False)

    def _fresh(self) -> list[Any]:
        return [call.body for call in self._connector.sends[self._seen :] if call.conversation == self.conversation]
