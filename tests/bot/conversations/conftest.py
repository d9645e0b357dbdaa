"""A running service for each conversation, and the people of most of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.chat import House, Someone, open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


@pytest.fixture
async def dana(house: House) -> Someone:
    """The admin by configuration, who has said hi."""
    await house.dana.says("hi")
    return house.dana


@pytest.fixture
async def sam(house: House, dana: Someone) -> Someone:
    return await house.technician("Sam")
