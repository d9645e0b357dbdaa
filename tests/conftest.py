"""What every test shares: how many examples the property tests try, and a collector that minds only what they make."""

import asyncio
import gc
from collections.abc import Callable, Mapping

import pytest

from bot.interpreter import new_loop
from tests import profiles

profiles.load()
gc.disable()  # 13 000 tests are collected: to look through them over and over takes a quarter of that time


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


ON_BOTH = {"test_draining", "test_drawing", "test_listening", "test_turnstile"}  # depend on how a loop goes on


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the service has, and where it matters the one that it has elsewhere."""
    return {"ours": new_loop} | ({"asyncio": asyncio.new_event_loop} if item.path.stem in ON_BOTH else {})
