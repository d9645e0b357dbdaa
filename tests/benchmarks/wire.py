"""A connector in a process of its own that takes so many milliseconds over each answer: `wire.py <milliseconds>`."""

from __future__ import annotations

import asyncio
import sys

from tests.benchmarks.children import obey
from tests.connector import FakeConnector


async def main(milliseconds: float) -> None:
    async with FakeConnector() as connector:
        connector.seconds = milliseconds / 1e3
        await obey(connector.url, {})


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
