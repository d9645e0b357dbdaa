"""What every test shares: how many examples the property tests try, and a collector that minds only what they make."""

import asyncio
import gc
from collections.abc import Callable, Mapping

from bot.interpreter import new_loop
from tests import profiles

profiles.load()
gc.disable()  # 13 000 tests are collected: to look through them over and over takes a quarter of that time


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the service has."""
    return {"ours": new_loop}
