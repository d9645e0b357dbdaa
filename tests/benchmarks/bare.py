"""The bare stock SDK's echo: the anchor of most of what is measured. By itself it is a service as the SDK allows one.

python -m tests.benchmarks.bare PORT
"""

from __future__ import annotations

import sys

from aiohttp import web
from botbuilder.core import CloudAdapterBase, InvokeResponse, TurnContext
from botbuilder.schema import Activity
from botframework.connector.auth import BotFrameworkAuthentication, BotFrameworkAuthenticationFactory

from tests.benchmarks.successors.answers import CARD_ANSWER, echo


class _StockAdapter(CloudAdapterBase):
    """What botbuilder-integration-aiohttp does, with its one line put right that fails on invokes with a body."""

    async def process(self, request: web.Request) -> web.Response:
        incoming = Activity().deserialize(await request.json())
        header = request.headers.get("Authorization", "")
        answer = await self.process_activity(header, incoming, _stock_bot)
        return web.json_response(answer.body, status=answer.status) if answer else web.Response(status=201)


async def _stock_bot(context: TurnContext) -> None:
    if context.activity.type == "invoke":
        value = InvokeResponse(status=200, body=CARD_ANSWER)
        await context.send_activity(Activity(type="invokeResponse", value=value))
    else:
        await context.send_activity(echo(context.activity.text))


def stock_app(authentication: BotFrameworkAuthentication | None = None) -> web.Application:
    app = web.Application()
    adapter = _StockAdapter(authentication or BotFrameworkAuthenticationFactory.create())
    app.router.add_post("/api/messages", adapter.process)
    return app


async def _healthy(_: web.Request) -> web.Response:
    return web.Response()


if __name__ == "__main__":
    served = stock_app()
    served.router.add_get("/healthz", _healthy)
    web.run_app(served, host="127.0.0.1", port=int(sys.argv[1]), print=None)
