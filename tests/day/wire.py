"""Teams' connector in a process of its own: it takes no more than Teams does, and tells what it was given."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from aiohttp import web

from tests.benchmarks.children import obey
from tests.connector import TENANT, FakeConnector
from tests.teams_limits import TeamsLimits


class Wire(FakeConnector):
    """Everybody is a member of everything; each write is news once."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.limits = seconds, TeamsLimits(time.monotonic)
        self._news: list[dict[str, Any]] = []

    async def _answer(self, request: web.Request, good: Any, body: Any = None) -> web.StreamResponse:
        came, told = time.monotonic(), request.match_info
        answer = await super()._answer(request, good, body)
        if request.method != "GET":
            conversation, _, _thread = told.get("conversation", "").partition(";messageid=")
            posted = (good or {}).get("id", "") if request.method == "POST" else told.get("activity", "")
            cards = [a["content"] for a in (body or {}).get("attachments", ()) if "card.adaptive" in a["contentType"]]
            news = {"at": came, "method": request.method, "conversation": conversation, "id": posted}
            self._news.append({**news, "status": answer.status, "card": cards[0] if cards else None})
            self.calls.clear()
            self.taken.clear()
        return answer

    async def _member(self, request: web.Request) -> web.StreamResponse:
        member = request.match_info["member"]
        known = {"id": member, "aadObjectId": member.removeprefix("29:"), "tenantId": TENANT, "name": member[-6:]}
        return await self._answer(request, {**known, "userPrincipalName": f"{member[-6:]}@contoso.com"})

    async def news(self) -> list[dict[str, Any]]:
        """What came since this was asked last."""
        told, self._news = self._news, []
        return told

    async def broken(self) -> list[str]:
        """Windows in which more was taken than Teams takes."""
        return self.limits.broken() if self.limits else []


async def main(seconds: str) -> None:
    async with Wire(float(seconds)) as wire:
        await obey(wire.url, {"news": wire.news, "broken": wire.broken})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
