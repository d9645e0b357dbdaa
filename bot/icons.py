"""Reads the app's icons: PNG (ISO/IEC 15948) with 8 bits a channel, RGB or RGBA, not interlaced."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from provisioning.texts import _

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_CHANNELS: Final = {2: 3, 6: 4}  # colour type → bytes a pixel, at 8 bits a channel
_LARGEST: Final = 4 * 1024 * 1024  # bytes of pixels


class NotAnIcon(Exception):
    """The file is not a PNG of that kind; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Icon:
    width: int
    height: int
    channels: int
    pixels: bytes  # row by row

    def outline_faults(self) -> Iterator[str]:
        """An outline is white on transparent; Teams gives it its colour."""
        if self.channels != 4:
            yield _("has no transparency")
            return
        drawn = [self.pixels[i : i + 4] for i in range(0, len(self.pixels), 4) if self.pixels[i + 3]]
        if any(pixel[:3] != b"\xff\xff\xff" for pixel in drawn):
            yield _("has colours other than white")
        if not drawn or len(drawn) == self.width * self.height:
            yield _("is empty or has no transparent part")


def read_icon(raw: bytes) -> Icon:
    """Errors: `NotAnIcon`."""
    if not raw.startswith(_SIGNATURE):
        raise NotAnIcon(_("is not a PNG"))
    try:
        chunks = list(_chunks(raw))
        width, height, depth, colour, _method, _filter, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
        if depth != 8 or colour not in _CHANNELS or interlaced or width * height * 4 > _LARGEST:
            raise NotAnIcon(_("is not an 8-bit RGB or RGBA PNG without interlacing"))
        packed = b"".join(data for kind, data in chunks if kind == b"IDAT")
        lines = zlib.decompressobj().decompress(packed, _LARGEST + height)
        return Icon(width, height, _CHANNELS[colour], _unfiltered(lines, width * _CHANNELS[colour], _CHANNELS[colour]))
    except (struct.error, zlib.error, IndexError):
        raise NotAnIcon(_("is a damaged PNG")) from None


def _chunks(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(raw):
        length, kind = struct.unpack_from(">I4s", raw, at)
        data = raw[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", raw, at + 8 + length)
        if crc != zlib.crc32(kind + data):
            raise NotAnIcon(_("is a damaged PNG"))
        yield kind, data
        at += length + 12


def _unfiltered(lines: bytes, stride: int, step: int) -> bytes:
    """Each line was predicted from its left and upper neighbours (clause 9): undo that."""
    before, out = bytes(stride), bytearray()
    for start in range(0, len(lines), stride + 1):
        kind, line = lines[start], bytearray(lines[start + 1 : start + 1 + stride])
        for i, value in enumerate(line):
            left, corner = (line[i - step], before[i - step]) if i >= step else (0, 0)
            line[i] = (value + _predicted(kind, left, before[i], corner)) & 0xFF
        out += line
        before = bytes(line)
    return bytes(out)


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 4:
        guess = left + up - corner
        return min((left, up, corner), key=lambda near: abs(guess - near))
    return (0, left, up, (left + up) // 2)[kind]
