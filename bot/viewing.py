"""A picture somebody sent, looked at by another process: this one sees its bytes go and one line come."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import structlog

from bot.confined import End, confined, end_of
from bot.file_hosts import FileError, FileHostRefused
from bot.files import MIB, Files, FileTooLarge
from bot.turn import Picture
from provisioning.documents import evidence, labels, pictures
from provisioning.documents.evidence import Evidence
from provisioning.documents.labels import Barcode
from provisioning.errors import TextTooLong
from provisioning.photos import LARGEST
from provisioning.untrusted import clean

log = structlog.get_logger(__name__)

T = TypeVar("T")

LONGEST_LINE: Final = 1024 * 1024  # bytes
SILENCE: Final = 45.0  # seconds
JPEG: Final = b"\xff\xd8\xff"
_FORMAT = re.compile(r"[A-Za-z0-9 /+-]{0,40}")


COMING: Final = 8  # pictures fetched at once: each may take 20 MiB here
VIEWERS: Final = 2  # looked at at once: each is a process that may take 400 MiB


class Pictures:
    """Fetched from where people sent them, and looked at. Errors: the `PictureError` tree."""

    def __init__(self, files: Files) -> None:
        self._files = files.up_to(pictures.BYTES // MIB)  # tables may be larger
        self._coming, self._viewers = asyncio.Semaphore(COMING), asyncio.Semaphore(VIEWERS)

    async def labels(self, picture: Picture) -> tuple[Barcode, ...]:
        """The barcodes in it."""
        async with self._coming:
            content = await self._fetched(picture)
            async with self._viewers:
                return await read_labels(content)

    async def evidence(self, picture: Picture) -> Evidence:
        """The picture as it is kept."""
        async with self._coming:
            content = await self._fetched(picture)
            async with self._viewers:
                return await redraw(content)

    async def _fetched(self, picture: Picture) -> bytes:
        try:
            return await (self._files.fetch_own if picture.needs_token else self._files.fetch)(picture.url)
        except FileTooLarge as error:
            raise pictures.PictureTooLarge(limit=error.limit) from None
        except FileHostRefused:
            raise pictures.PictureElsewhere from None
        except FileError:
            raise pictures.PictureNotFetched from None


class Distrusted(Exception):
    """The looking process said something that it never says."""


async def read_labels(content: bytes) -> tuple[Barcode, ...]:
    """The barcodes in a picture. Errors: the `PictureError` tree."""
    return await _seen("labels", content, _barcodes)


async def redraw(content: bytes) -> Evidence:
    """The picture as it is kept. Errors: the `PictureError` tree."""
    return await _seen("evidence", content, _evidence)


async def _seen(asked: str, content: bytes, believed: Callable[[Any], T]) -> T:
    pictures.check(content)
    async with confined("provisioning.documents.viewer", asked, content, longest_line=LONGEST_LINE) as process:
        line = await _line(process)
    try:
        [(kind, value)] = json.loads(line).items()
        if kind == "seen":
            return believed(value)
        if kind == "error":
            raise _error(*value)
        raise _damaged(str(value)[:200])
    except (Distrusted, AttributeError, TypeError, ValueError, KeyError, RecursionError, TextTooLong) as error:
        raise _damaged(type(error).__name__) from None


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout  # noqa: S101 - it was asked for
    try:
        async with asyncio.timeout(SILENCE):
            line = await process.stdout.readline()
            if not line:
                await process.wait()
    except TimeoutError:
        raise pictures.PictureTookTooLong from None
    except ValueError:
        raise _damaged("a line was too long") from None
    if not line:
        raise _damaged("it ended") if end_of(process) is End.OTHER else pictures.PictureTookTooLong()
    return line


def _damaged(reason: str) -> pictures.PictureError:
    log.warning("a picture was not read", reason=reason)
    return pictures.PictureDamaged()


# ------------------------------------------------------------------ what is believed


def _barcodes(value: Any) -> tuple[Barcode, ...]:
    found = value["barcodes"]
    _hold(type(found) is list and len(found) <= labels.MOST)
    return tuple(_barcode(*each) for each in found)


def _barcode(text: Any, kind: Any) -> Barcode:
    _hold(type(text) is str and len(text) <= labels.LONGEST and _FORMAT.fullmatch(kind) is not None)
    return Barcode(clean(text, labels.LONGEST), kind)


def _evidence(value: Any) -> Evidence:
    content, width, height = b64decode(value["jpeg"], validate=True), value["width"], value["height"]
    _hold(content.startswith(JPEG) and len(content) <= LARGEST)
    _hold(all(type(side) is int and 0 < side <= evidence.SIDE for side in (width, height)))
    return Evidence(content, width, height)


def _error(code: Any, values: Mapping[str, Any]) -> pictures.PictureError:
    error = pictures.ERRORS[code](**values)
    _hold(all(type(value) is str and len(value) <= 40 for value in values.values()))
    _hold(bool(values) or "{" not in error.sentence)
    return error


def _hold(condition: bool) -> None:
    if not condition:
        raise Distrusted
