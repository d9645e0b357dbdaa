"""A bot that says what it hears, behind a real adapter, and how a test posts to it."""

from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient
from botbuilder.core import TurnContext

from bot.activity import Json
from bot.adapter import Adapter, answer_invoke
from bot.credentials import Credentials
from tests.connector import APP_ID, APP_PASSWORD, TENANT, FakeIdentity

Client = TestClient[web.Request, web.Application]


class Echo:
    """Says what it hears; an invoke is answered with `body`. `fails` is raised instead."""

    def __init__(self, body: Any = None, fails: Exception | None = None) -> None:
        self.body, self.fails = body, fails
        self.turns = 0

    async def on_turn(self, context: TurnContext, raw: Json) -> None:
        self.turns += 1
        if self.fails:
            raise self.fails
        if raw["type"] == "invoke":
            await answer_invoke(context, self.body)
        else:
            await context.send_activity(f"you said {raw['text']}")


def local() -> Adapter:
    return Adapter(None, allowed_service_hosts=(), body_seconds=1.0)


def guarded(identity: FakeIdentity, password: str = APP_PASSWORD) -> Adapter:
    credentials = Credentials(APP_ID, password, TENANT)
    return Adapter(credentials, allowed_service_hosts=("127.0.0.1",), cloud=identity.cloud())


async def post(client: Client, body: Any, token: str | None = None) -> aiohttp.ClientResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await client.post("/api/messages", json=body, headers=headers)
