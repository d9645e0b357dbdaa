"""What stands on a label: the MACs in what its barcodes say. They are read by a process of its own (see `barcodes`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from provisioning.errors import BadInput
from provisioning.mac import normalise

MOST: Final = 50  # barcodes of one picture
LONGEST: Final = 1_000  # characters of one

# Of goods, parcels and books: digits that mean an article, and never a device, even where there are twelve.
TRADE: Final = re.compile(r"EAN|UPC|ITF|ISBN|DataBar|PZN|DX", re.IGNORECASE)
_PAIR: Final = "[0-9A-Fa-f]{2}"
_MAC: Final = re.compile(
    rf"(?<![0-9A-Za-z])(?:{_PAIR}(?P<sign>[:\-]?)(?:{_PAIR}(?P=sign)){{4}}{_PAIR}"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![0-9A-Za-z])"
)
_NAMED: Final = re.compile(
    rf"MAC(?:[ _-]?(?:ID|ADDR(?:ESS)?|NO))?\W{{0,4}}((?:{_PAIR}[:\-. ]?){{5}}{_PAIR})(?![0-9A-Za-z])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Barcode:
    text: str
    format: str  # `Code 128`, `QR Code`, `Data Matrix` …


def macs_of(barcodes: Iterable[Barcode]) -> tuple[str, ...]:
    """Every MAC that the barcodes name, once, in their order."""
    return _once(mac for text in _texts(barcodes) for mac in _macs_in(text))


def numbers_of(barcodes: Iterable[Barcode]) -> tuple[str, ...]:
    """Twelve digits that stand alone, as MACs: most are serials, so only whoever knows the list can tell."""
    alone = (text for text in _texts(barcodes) if text.isascii() and text.isdecimal())
    return _once(mac for text in alone for mac in _normalised(text))


def _texts(barcodes: Iterable[Barcode]) -> Iterator[str]:
    return (unquote(barcode.text) for barcode in barcodes if not TRADE.search(barcode.format))


def _macs_in(text: str) -> Iterator[str]:
    """What is called a MAC, else whatever is written as one is. A number alone may be one, see `numbers_of`."""
    named = [match[1] for match in _NAMED.finditer(text)]
    for written in named or [match[0] for match in _MAC.finditer(text)]:
        if named or not written.isdecimal():
            yield from _normalised(written)


def _normalised(written: str) -> Iterator[str]:
    with suppress(BadInput):
        yield normalise(re.sub("[^0-9A-Fa-f]", "", written) if written.isascii() else written)


def _once(macs: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(macs))
