"""Pictures that this service draws: made by another process, one at a time, kept as long as they show the same.

What somebody asked for comes first. What a card is to show is drawn with what the processor has left over, several
pictures by one process: loading takes four times as long as drawing.
"""

from __future__ import annotations

import asyncio
import json
import struct
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from bot.confined import confined
from provisioning.burnup import BurnUp
from provisioning.documents.plot import HEIGHT, LARGEST, TOGETHER, WIDTH, NotDrawn, Plot, written
from provisioning.texts import Speech, current_speech

log = structlog.get_logger(__name__)

DRAWER: Final = "provisioning.documents.drawer"
ANSWER: Final = 8.0  # seconds that somebody who asks for a picture waits for it
SILENCE: Final = 20.0  # seconds after which a process that says nothing is ended
UNHURRIED: Final = 15  # times as long, where it has only what the processor has left over
WAITING: Final = 16  # pictures that were asked for, under way and in the queue; who comes then goes without
KEPT: Final = 64  # pictures, of some 5 KB each
LONGEST_LINE: Final = 64 * 1024  # bytes
_PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture, and what it shows."""

    about: BurnUp
    png: bytes


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A picture that a place is to show, and what it is about."""

    content: bytes
    about: BurnUp


_Place = tuple[str, Speech]  # each in the words of whoever reads there


class Drawings:
    """One per process: what is drawn takes a second of a processor and 100 MB for that time."""

    def __init__(self, *, drawer: str = DRAWER, silence: float = SILENCE) -> None:
        self._drawer, self._silence = drawer, silence
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._coming: dict[bytes, asyncio.Task[bytes]] = {}
        self._newest: OrderedDict[str, Drawn] = OrderedDict()
        self._wanted: OrderedDict[_Place, _Wanted] = OrderedDict()  # the first one is drawn first
        self._together: dict[_Place, _Wanted] = {}  # of these, what is being drawn
        self._filling: asyncio.Task[None] | None = None
        self._batch: asyncio.Task[None] | None = None
        self._one = asyncio.Semaphore(1)

    async def png(self, plot: Plot, seconds: float = ANSWER) -> bytes:
        """The picture, by then. One that comes later is kept for whoever asks next. Errors: `NotDrawn`."""
        content = written(plot)
        if content in self._kept:
            self._kept.move_to_end(content)
            return self._kept[content]
        task = self._coming.get(content) or self._begin(content)
        done, _late = await asyncio.wait({task}, timeout=seconds)
        if not done:
            log.warning("a picture takes too long to draw", seconds=seconds)
            raise NotDrawn
        if task.cancelled():  # the service ends
            raise NotDrawn
        return task.result()

    def newest(self, place: str, plot: Plot, about: BurnUp) -> Drawn | None:
        """What stands at a place that waits for no picture: the newest one that is drawn of it, and what that is about.

        The present one is wanted, instead of what was wanted there before, and will be there for whoever asks later.
        """
        content, stands = written(plot), self._newest.get(place)
        if stands and stands.png == self._kept.get(content):
            return stands
        if content in self._kept:
            self._stands(place, Drawn(about, self._kept[content]))
        elif content not in self._coming:
            self._want((place, current_speech()), _Wanted(content, about))
        return self._newest.get(place)

    async def close(self, _app: object = None) -> None:
        """Ends what is under way."""
        self._wanted.clear()
        tasks = [*self._coming.values(), *(task for task in (self._batch, self._filling) if task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------------ what somebody waits for

    def _begin(self, content: bytes) -> asyncio.Task[bytes]:
        if len(self._coming) >= WAITING:
            log.warning("too many pictures wait to be drawn", waiting=len(self._coming))
            raise NotDrawn
        task = self._coming[content] = asyncio.create_task(self._draw(content))
        task.add_done_callback(lambda done: self._ended(content, done))
        if self._batch:  # it goes on afterwards
            self._batch.cancel()
        return task

    def _ended(self, content: bytes, task: asyncio.Task[bytes]) -> None:
        del self._coming[content]
        if task.cancelled() or task.exception():  # which whoever waits for it hears, and the log has
            return
        self._keep(content, task.result())

    def _keep(self, content: bytes, png: bytes) -> None:
        self._kept[content] = png
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    async def _draw(self, content: bytes) -> bytes:
        async with self._one, confined(self._drawer, "burn_up", content, longest_line=LONGEST_LINE) as process:
            return _believed(await _line(process, self._silence))

    # ------------------------------------------------------------------ what a place is to show

    def _stands(self, place: str, drawn: Drawn) -> None:
        self._newest[place] = drawn
        self._newest.move_to_end(place)
        while len(self._newest) > KEPT:
            self._newest.popitem(last=False)

    def _want(self, place: _Place, wanted: _Wanted) -> None:
        coming = self._together.get(place)
        if coming and coming.content == wanted.content:
            self._wanted.pop(place, None)  # what was to come after it is over
            return
        if place not in self._wanted and len(self._wanted) >= KEPT:
            log.warning("too many pictures wait to be drawn", waiting=len(self._wanted))
            return
        self._wanted[place] = wanted
        if self._filling is None or self._filling.done():
            self._filling = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        """Until nothing is wanted any more."""
        while self._wanted:
            while self._coming:  # what somebody waits for comes first
                await asyncio.wait(list(self._coming.values()))
            async with self._one:
                self._together = dict(self._wanted.popitem(last=False) for _ in range(min(len(self._wanted), TOGETHER)))
                self._batch = asyncio.create_task(self._draw_together(list(self._together.items())))
                (fault,) = await asyncio.gather(self._batch, return_exceptions=True)
                self._batch = None
            if isinstance(fault, Exception):
                log.warning("pictures were not drawn", reason=type(fault).__name__)
            elif fault:  # somebody waits for another one
                self._put_back()
            self._together = {}

    async def _draw_together(self, batch: Sequence[tuple[_Place, _Wanted]]) -> None:
        """By one process. Where it ends early, the one it was at is given up, and the others are wanted again."""
        contents = b"\n".join(wanted.content for _place, wanted in batch)
        async with confined(self._drawer, "burn_ups", contents, longest_line=LONGEST_LINE) as process:
            for place, wanted in batch:
                line = b""
                with suppress(NotDrawn):
                    line = await _line(process, self._silence * UNHURRIED)
                    png = _believed(line)
                    self._keep(wanted.content, png)
                    self._stands(place[0], Drawn(wanted.about, png))
                del self._together[place]
                if not line:
                    return self._put_back()

    def _put_back(self) -> None:
        for place, wanted in reversed(self._together.items()):
            if self._wanted.setdefault(place, wanted) is wanted:
                self._wanted.move_to_end(place, last=False)


async def _line(process: asyncio.subprocess.Process, silence: float) -> bytes:
    """Errors: `NotDrawn`."""
    assert process.stdout  # noqa: S101 - it was asked for
    try:
        async with asyncio.timeout(silence):
            line = await process.stdout.readline()
    except TimeoutError:
        raise _not_drawn("it said nothing") from None
    except ValueError:
        raise _not_drawn("it said too much") from None
    if not line:
        raise _not_drawn("it ended")
    return line


def _believed(line: bytes) -> bytes:
    """What the other process says, where it is a picture as it should be. Errors: `NotDrawn`."""
    try:
        [(kind, value)] = json.loads(line).items()
        content = b64decode(value, validate=True) if kind == "png" else b""
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise _not_drawn("it said nothing that is known") from None
    if kind != "png":
        raise _not_drawn(str(value)[:200])
    if not content.startswith(_PNG) or len(content) > LARGEST or not _fits(content):
        raise _not_drawn("it drew something else")
    return content


def _fits(content: bytes) -> bool:
    width, height = struct.unpack_from(">II", content.ljust(24, b"\0"), len(_PNG))
    return width in range(1, WIDTH + 1) and height in range(1, HEIGHT + 1)


def _not_drawn(reason: Any) -> NotDrawn:
    log.warning("a picture was not drawn", reason=reason)
    return NotDrawn()
