"""What comes in a burst goes on a few at a time, so that whatever else is due has its turn between them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

FEW: Final = 8  # in one pass of the event loop; a step of a turn takes a millisecond or two


class Turnstile:
    """Lets `few` through in each pass of the event loop; others follow in the next ones, in the order they came.

    Forty turns that wait for one token, or arrive in one moment, would else all go on in the same pass, and hold a
    device's call up for as long as all their steps together take: 42 to 60 ms, and 28 to 39 with it.
    """

    def __init__(self, few: int = FEW) -> None:
        self._few = few
        self._through = 0  # in this pass, those among them that were called to it
        self._called = 0  # in this pass; they go on in the next
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ending = False  # it is known when this pass ends

    async def through(self) -> None:
        """At once, mostly."""
        if self._through + self._called < self._few and not self._waiting:
            self._through += 1
            self._see_the_end()
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    def _see_the_end(self) -> None:
        if not self._ending:
            self._ending = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._ending, self._through, self._called = False, self._called, 0
        while self._waiting and self._called < self._few:
            waiter = self._waiting.popleft()
            if not waiter.done():  # whoever was cancelled waits no more
                waiter.set_result(None)
                self._called += 1
        if self._called or self._through:
            self._see_the_end()
