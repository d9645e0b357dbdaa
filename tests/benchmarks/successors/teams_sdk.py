"""An echo on the Teams SDK: its App behind its own FastAPI and uvicorn, with its switch for development."""

from __future__ import annotations

import asyncio
import logging
import socket

import uvicorn
from fastapi import FastAPI
from microsoft_teams.api import AdaptiveCardInvokeActivity, MessageActivity
from microsoft_teams.api.models.adaptive_card import AdaptiveCardActionCardResponse
from microsoft_teams.apps import ActivityContext, App, FastAPIAdapter
from microsoft_teams.cards import AdaptiveCard

from tests.benchmarks.children import cpu, obey
from tests.benchmarks.successors.answers import CARD, echo


async def main() -> None:
    servers: list[uvicorn.Server] = []
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def server(app: FastAPI) -> uvicorn.Server:
        """As its own, but on loopback and without a log line for each request, as all the others."""
        servers.append(uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="warning", access_log=False)))
        return servers[0]

    card = AdaptiveCard.model_validate(CARD)
    app = App(
        http_server_adapter=FastAPIAdapter(server_factory=server), dangerously_allow_unauthenticated_requests=True
    )

    @app.on_message
    async def said(context: ActivityContext[MessageActivity]) -> None:
        await context.send(echo(context.activity.text or ""))

    @app.on_card_action
    async def pressed(context: ActivityContext[AdaptiveCardInvokeActivity]) -> AdaptiveCardActionCardResponse:
        return AdaptiveCardActionCardResponse(value=card)

    running = asyncio.create_task(app.start(port))
    while not servers[0].started:  # noqa: ASYNC110 - of a library that has no event for it
        await asyncio.sleep(0.02)
    await obey(f"http://127.0.0.1:{port}", {"cpu": cpu})
    running.cancel()


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # no echo is charged for lines that nobody reads
    asyncio.run(main())
