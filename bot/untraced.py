"""The seams where traces are taken. Here nothing is: everything passes as it came, and OpenTelemetry is not loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import aiohttp
from aiohttp.typedefs import Middleware

from bot.turn import Receiver
from bot.workers import Context
from provisioning.messages import OutboxMessage
from provisioning.ports import Messenger

Around = Callable[[OutboxMessage], AbstractContextManager[None]]


class Untraced:
    """What `bot.tracing.Traces` does where traces are configured."""

    def middlewares(self) -> list[Middleware]:
        """For every request, right behind the one that gives it its id."""
        return []

    def door(self, receiver: Receiver) -> Receiver:
        """What people say and press."""
        return receiver

    def messenger(self, messenger: Messenger) -> Messenger:
        """Calls to Teams."""
        return messenger

    def delivery(self, message: OutboxMessage) -> AbstractContextManager[None]:
        """Around what is done for one message of the outbox."""
        return nullcontext()

    def calls(self) -> list[aiohttp.TraceConfig]:
        """For a client session: its requests say what they belong to."""
        return []

    def contexts(self) -> Sequence[Context]:
        """For the application: the first to begin and the last to end."""
        return ()
