"""A process that delivers an outbox, and dies at a named point of its own; started again, it goes on.

    python -m tests.crash.sending FOLDER CONNECTOR POINT NTH

It holds a real store and a real relay; the connector is its parent's. It ends by itself where nothing waits any more.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from app import SystemClock
from bot.adapter import Adapter
from bot.messenger import TeamsMessenger
from bot.relay import Relay
from bot.routing import Router
from bot.turn import Reply, Turn
from provisioning.messages import MessageKind, MessageStatus, OutboxMessage
from provisioning.model import Change
from provisioning.service import Provisioning
from provisioning.service import outbox as outbox_uses
from storage import open_store
from tests.provisioning.world import KEYS, POLICY, chat_of, member

CHATS, EACH = 3, 4
LEASE = timedelta(seconds=0.5)  # else each life would begin by waiting for a minute

POINTS: dict[str, tuple[str, str]] = {  # name → (what is called, before or after it)
    "sent and the answer read": ("send", "after"),
    "after a claim": ("claim", "after"),
    "before it is settled": ("save", "before"),
    "before a claim": ("claim", "before"),
    "drawn and not sent": ("send", "before"),
    "after it was settled": ("save", "after"),
}
# It arrived, and nobody wrote so down; at a claim that holds for whatever was on its way in the chats.
MAY_DOUBLE = {"sent and the answer read", "before it is settled", "before a claim", "after a claim"}

router = Router()


@router.notice(MessageKind.ACCESS_GRANTED)
async def told(turn: Turn, subject: str) -> Reply:
    return Reply(text=subject)


def dying(act: Callable[..., Awaitable[Any]], moment: str, nth: int) -> Callable[..., Awaitable[Any]]:
    """The same, and at its nth call the end, before or after it."""
    calls = count(1)

    async def once(*words: Any, **named: Any) -> Any:
        last = next(calls) == nth
        if last and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = await act(*words, **named)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return once


async def fill(core: Provisioning, url: str) -> None:
    now, people = core.now(), [f"p{n}" for n in range(CHATS)]
    for person in people:
        await core.meet(member(person, person), replace(chat_of(person), id=f"a:{person}", service_url=url))
    rows = [
        OutboxMessage(
            kind=MessageKind.ACCESS_GRANTED,
            recipient=person,
            subject=f"{person}:{n}",
            lane=person,
            created_at=now,
            due_at=now,
        )
        for n in range(EACH)
        for person in people
    ]
    await core.store.save(Change(puts=tuple(rows)))


async def deliver(folder: Path, url: str, point: str, nth: int) -> None:
    outbox_uses.LEASE = LEASE  # type: ignore[misc]
    clock = SystemClock()
    store = await open_store(f"tinydb:{folder}", clock=clock)
    core = Provisioning(store, clock, KEYS, POLICY)
    adapter = Adapter(None, allowed_service_hosts=())
    messenger = TeamsMessenger(adapter.connectors)
    if not await store.count(OutboxMessage):
        await fill(core, url)
    if point in POINTS:
        what, moment = POINTS[point]
        for owner in (store, messenger):
            if hasattr(owner, what):
                setattr(owner, what, dying(getattr(owner, what), moment, nth))
    running = asyncio.create_task(Relay(core, messenger, router).run())
    while await store.count(OutboxMessage, status=MessageStatus.WAITING):  # noqa: ASYNC110 - of another task's work
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await adapter.close()
    await store.close()


def main(words: Sequence[str]) -> None:
    folder, url, point, nth = words
    asyncio.run(deliver(Path(folder), url, point, int(nth)))


if __name__ == "__main__":
    main(sys.argv[1:])
