"""The barcodes of a photo, read: for the process that looks at it alone (see `viewer`)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Final

import zxingcpp
from PIL import Image, ImageFilter, ImageOps

from provisioning.documents.labels import LONGEST, MOST, Barcode, macs_of
from provisioning.documents.opening import opened

SMOOTH: Final = ("RGBA", "LA")
SIDE: Final = 2_400  # pixels of the longer side; more cost time and show no more of a label
LESS: Final = 1_100  # of a smaller copy, in which noise and blur are less
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")  # between the parts of what shippers and makers put into one code
ENOUGH: Final = 8.0  # seconds of processor time; what was found by then is worth more than a further look
TILTS: Final = (15, 30, 45, 60, 75)  # degrees; a bar code is read within about 8 of straight, and 90 further


def read(content: bytes, spent: Callable[[], float] = time.process_time) -> tuple[Barcode, ...]:
    """The barcodes of a picture, in the order they were found. Errors: the `PictureError` tree.

    Ways of looking are tried from quick to slow, until one shows a MAC or `ENOUGH` was spent.
    """
    found: dict[Barcode, None] = {}
    began = spent()
    with opened(content) as picture:
        picture.draft("L", (SIDE, SIDE))  # a JPEG is decoded in grey and at a fraction of its size: much less work
        gray = _gray(picture)
    for look in _looks(gray):
        found |= dict.fromkeys(_barcodes(look))
        if macs_of(found) or spent() - began > ENOUGH:
            break
    return tuple(found)[:MOST]


def _gray(picture: Image.Image) -> Image.Image:
    """At most `SIDE` wide and high; what is transparent counts as white."""
    if picture.has_transparency_data:
        if picture.mode not in SMOOTH:
            picture = picture.convert("RGBA")  # by a palette it would lose bars when it is made smaller
        picture.thumbnail((SIDE, SIDE))  # first, as all else takes memory by its size
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("L")
    gray = picture.convert("L")
    gray.thumbnail((SIDE, SIDE))
    return gray


def _looks(gray: Image.Image) -> Iterator[Image.Image]:
    yield gray
    small = gray.copy()
    small.thumbnail((LESS, LESS))
    yield small
    for source, radius, percent in ((gray, 2, 200), (gray, 2, 400), (small, 2, 200), (small, 4, 300), (gray, 4, 300)):
        yield _sharper(source, radius, percent)
    for source in (gray, _sharper(ImageOps.autocontrast(gray, cutoff=1), 3, 200)):
        for tilt in TILTS:
            yield source.rotate(tilt, Image.Resampling.BILINEAR, expand=True, fillcolor=255)
    if max(gray.size) * 2 <= SIDE:
        yield gray.resize((gray.width * 2, gray.height * 2), Image.Resampling.BICUBIC)


def _sharper(picture: Image.Image, radius: int, percent: int) -> Image.Image:
    """What is out of focus, or shaken, gets some of its edges back."""
    return picture.filter(ImageFilter.UnsharpMask(radius, percent, threshold=0))


def _barcodes(look: Image.Image) -> Iterator[Barcode]:
    for code in zxingcpp.read_barcodes(look, text_mode=zxingcpp.TextMode.Plain):
        text = _CONTROLS.sub(" ", code.text[:LONGEST]).strip()
        if code.valid and text:
            yield Barcode(text, _name(code.format))


def _name(kind: zxingcpp.BarcodeFormat) -> str:
    return str(kind).rpartition(".")[2][:40]
