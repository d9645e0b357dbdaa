"""An echo on the Agents SDK: its CloudAdapter behind aiohttp, as its own samples have it, for anonymous callers."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web
from microsoft_agents.activity import Activity, ActivityTypes, InvokeResponse
from microsoft_agents.hosting.aiohttp import CloudAdapter, jwt_authorization_middleware
from microsoft_agents.hosting.core import TurnContext
from microsoft_agents.hosting.core.authorization import AgentAuthConfiguration, AnonymousTokenProvider

from tests.benchmarks.children import cpu, obey
from tests.benchmarks.successors.answers import CARD_ANSWER, echo


class Anonymous:
    """Its `Connections`: no call of it carries a token."""

    def __init__(self) -> None:
        self._provider = AnonymousTokenProvider()

    def get_connection(self, *_: object) -> AnonymousTokenProvider:
        return self._provider

    def get_default_connection(self) -> AnonymousTokenProvider:
        return self._provider

    def get_token_provider(self, *_: object) -> AnonymousTokenProvider:
        return self._provider

    get_token_provider_from_activity = get_token_provider


class Echo:
    async def on_turn(self, context: TurnContext) -> None:
        if context.activity.type == ActivityTypes.invoke:
            value = InvokeResponse(status=200, body=CARD_ANSWER)
            await context.send_activity(Activity(type=ActivityTypes.invoke_response, value=value))
        else:
            await context.send_activity(echo(context.activity.text or ""))


async def main() -> None:
    adapter, bot = CloudAdapter(connection_manager=Anonymous()), Echo()

    async def process(request: web.Request) -> web.StreamResponse:
        answer = await adapter.process(request, bot)
        assert answer
        return answer

    app = web.Application(middlewares=[jwt_authorization_middleware])
    app["agent_configuration"] = AgentAuthConfiguration(anonymous_allowed=True)
    app.router.add_post("/api/messages", process)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await obey(f"http://127.0.0.1:{runner.addresses[0][1]}", {"cpu": cpu})
    await runner.cleanup()


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # no echo is charged for lines that nobody reads
    asyncio.run(main())
