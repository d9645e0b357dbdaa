"""Pictures are drawn elsewhere: each once, in time or not at all, whatever the other process does."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot import drawing
from bot.confined import confined
from bot.drawing import Drawings
from provisioning.burnup import BurnUp
from provisioning.documents.plot import LARGEST, NotDrawn, Plot, written
from tests.provisioning.plots import SITES, plot
from tests.scale.state import NOW

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


# ------------------------------------------------------------------ what cards are to show


def wanted(drawings: Drawings, **headings: str) -> None:
    """Of each place, the heading of its picture."""
    for place, heading in headings.items():
        plotted = replace(told(heading), hours=float(len(place)))
        assert drawings.newest(place, plotted, BurnUp(heading, NOW, NOW)) is None


async def filled(drawings: Drawings) -> dict[str, str]:
    """What the pictures are about that stand at places, once no more are wanted."""
    assert drawings._filling
    async with asyncio.timeout(20):
        await drawings._filling
    return {place: drawn.about.scope for place, drawn in drawings._newest.items()}


async def test_what_several_places_are_to_show_is_drawn_by_one_process(bad: Drawings) -> None:
    wanted(bad, a="signs", bb="signs", ccc="signs")
    assert await filled(bad) == {"a": "signs", "bb": "signs", "ccc": "signs"}
    assert len({drawn.png for drawn in bad._newest.values()}) == 1  # the same signature
    assert bad.newest("a", replace(told("signs"), hours=1.0), BurnUp("signs", NOW, NOW)) is bad._newest["a"]


async def test_each_of_them_is_what_it_would_be_alone(drawings: Drawings) -> None:
    for place in SITES[:2]:
        drawings.newest(place, plot(place), BurnUp(place, NOW, NOW))
    await filled(drawings)
    alone = Drawings()
    assert [await alone.png(plot(place), 20) for place in SITES[:2]] == [drawings._newest[p].png for p in SITES[:2]]
    await alone.close()


async def test_what_a_place_was_to_show_before_is_not_drawn_any_more(bad: Drawings) -> None:
    wanted(bad, a="draws", bb="draws")
    wanted(bad, a="signs")
    assert await filled(bad) == {"a": "signs", "bb": "draws"}
    assert len(bad._kept) == 2


@pytest.mark.parametrize("heading", ["dies", "talks", "breaks", "lies"])
async def test_one_that_goes_wrong_costs_the_others_nothing(bad: Drawings, heading: str) -> None:
    wanted(bad, a="draws", bb=heading, ccc="draws", dddd="draws")
    with capture_logs() as logs:
        assert await filled(bad) == {"a": "draws", "ccc": "draws", "dddd": "draws"}
    assert [entry["event"] for entry in logs] == ["a picture was not drawn"]


async def test_what_somebody_asked_for_does_not_wait_for_them(bad: Drawings) -> None:
    wanted(bad, a="hangs", bb="draws")
    await asyncio.sleep(0)
    assert await bad.png(told("draws"), seconds=20)
    assert [place for place, _speech in (*bad._together, *bad._wanted)] == ["a", "bb"]  # it goes on with them


async def test_who_asks_while_another_is_drawn_does_not_wait_for_them_either(bad: Drawings) -> None:
    first = asyncio.create_task(bad.png(told("signs"), seconds=20))
    await asyncio.sleep(0)
    wanted(bad, a="hangs")
    await asyncio.sleep(0)
    assert await bad.png(told("draws"), seconds=4)
    assert await first


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("passes", range(6))
async def test_a_start_that_is_given_up_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, passes: int, times: int
) -> None:
    """Whichever pass of the event loop it is at."""
    started = list[asyncio.subprocess.Process]()
    start = asyncio.create_subprocess_exec

    async def starts(*command: Any, **more: Any) -> asyncio.subprocess.Process:
        started.append(await start(*command, **more))
        return started[-1]

    async def draws() -> None:
        async with confined(BAD, "burn_up", written(told("hangs")), longest_line=LARGEST) as process:
            await process.wait()

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starts)
    drawing = asyncio.create_task(draws())
    for _ in range(1 + passes):
        await asyncio.sleep(0)
    for _ in range(times):
        drawing.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([drawing])
    assert drawing.cancelled()
    async with asyncio.timeout(10):
        while times > 1 and not (started and started[0].returncode):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)
    assert [process.returncode is None for process in started] == [False]


async def test_what_was_to_come_after_the_same_picture_is_over(bad: Drawings) -> None:
    wanted(bad, a="draws")
    await asyncio.sleep(0)
    while not bad._together:  # noqa: ASYNC110 - of another's work
        await asyncio.sleep(0)
    wanted(bad, a="signs")
    wanted(bad, a="draws")
    assert await filled(bad) == {"a": "draws"}


async def test_a_process_that_cannot_be_started_is_no_end_of_drawing(
    bad: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted(bad, a="draws")
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr("sys.executable", "/no/such/python")
        assert await filled(bad) == {}
    assert [entry["event"] for entry in logs] == ["pictures were not drawn"]
    wanted(bad, a="draws")
    assert await filled(bad) == {"a": "draws"}
