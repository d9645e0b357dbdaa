"""What may be done on the event loop, and what takes so long that others would wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FEW = 100  # rows, at some 20 µs each


async def off_the_loop(rows: int, work: Callable[[], T]) -> T:
    """Does the work here where it is about few rows, else in a thread. It must touch nothing but its own values."""
    return work() if rows <= FEW else await asyncio.to_thread(work)
