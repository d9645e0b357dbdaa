"""Pictures are drawn elsewhere: one at a time, each once, in time or not at all, whatever the other process does."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from bot import drawing
from bot.drawing import Drawings
from provisioning.documents.plot import LARGEST, NotDrawn, Plot
from tests.provisioning.plots import SITES, plot

BAD = "tests.bot.bad_drawer"
OSLO = plot("Oslo")


@pytest.fixture
async def drawings() -> AsyncIterator[Drawings]:
    drawings = Drawings(silence=20.0)
    yield drawings
    await drawings.close()


@pytest.fixture
async def bad() -> AsyncIterator[Drawings]:
    bad = Drawings(drawer=BAD, silence=5.0)
    yield bad
    await bad.close()


def told(heading: str) -> Plot:
    return replace(OSLO, heading=heading)


async def test_it_is_drawn_by_another_process_and_then_costs_nothing(drawings: Drawings) -> None:
    """Under the limits that hold there: no file, no child, so much memory and time."""
    content = await drawings.png(plot(*SITES), seconds=20)
    assert content.startswith(b"\x89PNG") and len(content) <= LARGEST
    began = time.monotonic()
    assert await drawings.png(plot(*SITES)) is content
    assert time.monotonic() - began < 0.1


async def test_whoever_asks_for_the_same_gets_the_same_and_it_is_drawn_once(bad: Drawings) -> None:
    first, *others = await asyncio.gather(*(bad.png(told("draws"), seconds=20) for _each in range(30)))
    assert all(other is first for other in others)


@pytest.mark.parametrize(
    "heading",
    [
        "dies", "talks", "breaks", "lies", "is too large", "is too wide", "is cut", "is not base64",
        "says two things", "says a number", "says nothing that is known",
    ],
)  # fmt: skip
async def test_a_process_that_goes_wrong_is_no_picture_and_the_next_one_is_drawn(bad: Drawings, heading: str) -> None:
    with capture_logs() as logs, pytest.raises(NotDrawn, match="Type rollout"):
        await bad.png(told(heading), seconds=20)
    assert [entry["event"] for entry in logs] == ["a picture was not drawn"]
    assert await bad.png(told("draws"), seconds=20)


async def test_a_process_that_hangs_is_waited_for_no_longer_than_wanted_and_then_ended() -> None:
    hanging = Drawings(drawer=BAD, silence=1.0)
    began = time.monotonic()
    with capture_logs() as logs, pytest.raises(NotDrawn):
        await hanging.png(told("hangs"), seconds=0.05)
    assert time.monotonic() - began < 0.5
    assert [entry["event"] for entry in logs] == ["a picture takes too long to draw"]
    assert await hanging.png(told("draws"), seconds=20)  # the one that hung made way
    assert time.monotonic() - began >= 1.0  # and not before: there is one at a time
    await hanging.close()


async def test_one_that_comes_late_is_kept_for_whoever_asks_next(bad: Drawings) -> None:
    with pytest.raises(NotDrawn):
        await bad.png(told("draws"), seconds=0)
    coming = list(bad._coming.values())
    assert len(coming) == 1
    content = await coming[0]
    assert await bad.png(told("draws"), seconds=0) is content


async def test_the_queue_is_short() -> None:
    hanging = Drawings(drawer=BAD)
    waiting = [
        asyncio.create_task(hanging.png(replace(told("hangs"), hours=float(n + 1)))) for n in range(drawing.WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(NotDrawn):
        await hanging.png(told("draws"))
    await hanging.close()
    assert all(isinstance(each, NotDrawn) for each in await asyncio.gather(*waiting, return_exceptions=True))


async def test_as_many_are_kept_as_are_worth_their_memory(bad: Drawings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "KEPT", 2)
    plots = [replace(told("draws"), hours=float(n + 1)) for n in range(3)]
    contents = [await bad.png(each, seconds=20) for each in plots]
    assert len(bad._kept) == 2
    assert await bad.png(plots[2]) is contents[2]


async def test_the_end_of_the_service_ends_what_is_under_way(bad: Drawings) -> None:
    asked = asyncio.create_task(bad.png(told("hangs"), seconds=60))
    await asyncio.sleep(0)
    began = time.monotonic()
    await bad.close()
    with pytest.raises(NotDrawn):
        await asked
    assert time.monotonic() - began < 5
