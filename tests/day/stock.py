"""The anchor: a bare echo bot on the stock SDK, with a connector of its own, asked in the same minutes."""

from __future__ import annotations

import asyncio
import sys

from tests.benchmarks.bare import stock_app
from tests.benchmarks.children import obey
from tests.benchmarks.turns import serving
from tests.connector import FakeConnector


async def main(seconds: str) -> None:
    async with FakeConnector() as connector, serving(stock_app()) as url:
        connector.seconds = float(seconds)
        await obey([url, connector.url], {})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
