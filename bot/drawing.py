"""Pictures that this service draws: made by another process, one at a time, kept as long as they show the same."""

from __future__ import annotations

import asyncio
import json
import struct
from base64 import b64decode
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from bot.confined import confined
from provisioning.burnup import BurnUp
from provisioning.documents.plot import HEIGHT, LARGEST, WIDTH, NotDrawn, Plot, written

log = structlog.get_logger(__name__)

DRAWER: Final = "provisioning.documents.drawer"
ANSWER: Final = 8.0  # seconds that somebody who asks for a picture waits for it
SILENCE: Final = 20.0  # seconds after which a process that says nothing is ended
WAITING: Final = 16  # pictures under way and in the queue; who comes then goes without
KEPT: Final = 64  # pictures, of some 5 KB each
LONGEST_LINE: Final = 64 * 1024  # bytes
_PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture, and what it shows."""

    about: BurnUp
    png: bytes


class Drawings:
    """One per process: what is drawn takes a second of a processor and 100 MB for that time."""

    def __init__(self, *, drawer: str = DRAWER, silence: float = SILENCE) -> None:
        self._drawer, self._silence = drawer, silence
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._coming: dict[bytes, asyncio.Task[bytes]] = {}
        self._newest: OrderedDict[str, Drawn] = OrderedDict()
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

        The present one is begun, and will be there for whoever asks next.
        """
        content, stands = written(plot), self._newest.get(place)
        if stands and stands.png == self._kept.get(content):
            return stands
        if content in self._kept:
            self._newest[place] = Drawn(about, self._kept[content])
            self._newest.move_to_end(place)
            while len(self._newest) > KEPT:
                self._newest.popitem(last=False)
        elif content not in self._coming:
            with suppress(NotDrawn):  # too many wait, which the log says
                self._begin(content)
        return self._newest.get(place)

    async def close(self, _app: object = None) -> None:
        """Ends what is under way."""
        tasks = list(self._coming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, content: bytes) -> asyncio.Task[bytes]:
        if len(self._coming) >= WAITING:
            log.warning("too many pictures wait to be drawn", waiting=len(self._coming))
            raise NotDrawn
        task = self._coming[content] = asyncio.create_task(self._draw(content))
        task.add_done_callback(lambda done: self._ended(content, done))
        return task

    def _ended(self, content: bytes, task: asyncio.Task[bytes]) -> None:
        del self._coming[content]
        if task.cancelled() or task.exception():  # which whoever waits for it hears, and the log has
            return
        self._kept[content] = task.result()
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    async def _draw(self, content: bytes) -> bytes:
        async with self._one, confined(self._drawer, "burn_up", content, longest_line=LONGEST_LINE) as process:
            assert process.stdout  # noqa: S101 - it was asked for
            try:
                async with asyncio.timeout(self._silence):
                    line = await process.stdout.readline()
            except TimeoutError:
                raise _not_drawn("it said nothing") from None
            except ValueError:
                raise _not_drawn("it said too much") from None
        return _believed(line)


def _believed(line: bytes) -> bytes:
    """What the other process says, where it is a picture as it should be. Errors: `NotDrawn`."""
    try:
        [(kind, value)] = json.loads(line).items()
        content = b64decode(value, validate=True) if kind == "png" else b""
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise _not_drawn("it ended") from None
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
