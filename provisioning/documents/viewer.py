"""The process that looks at one picture: bytes come in by stdin, one JSON line goes out by stdout, nothing else."""

from __future__ import annotations

import codecs
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

from provisioning.confinement import confine, give_way, limit_cpu, place, send
from provisioning.documents import barcodes, pictures, redrawing

MEMORY: Final = 400 * 1024 * 1024  # by which it may grow: 50 million pixels in colour, and what is made of them
SECONDS: Final = 15  # of processor time
ENCODINGS: Final = ("utf-8", "ascii", "latin-1", "utf-16-le", "utf-16-be")


def _labels(content: bytes) -> dict[str, Any]:
    return {"barcodes": [[code.text, code.format] for code in barcodes.read(content)]}


def _evidence(content: bytes) -> dict[str, Any]:
    kept = redrawing.redrawn(content)
    return {"jpeg": b64encode(kept.content).decode(), "width": kept.width, "height": kept.height}


LOOKS: Final[Mapping[str, Callable[[bytes], dict[str, Any]]]] = {"labels": _labels, "evidence": _evidence}


def main(asked: str) -> None:
    """`asked` is what is wanted of the picture: one of `LOOKS`."""
    try:
        give_way()
        _load()
        confine(MEMORY)
        limit_cpu(SECONDS)
        content = sys.stdin.buffer.read(pictures.BYTES + 1)
        send({"seen": LOOKS[asked](content)})
    except MemoryError:
        _tell(pictures.PictureTookTooLong())
    except pictures.PictureError as error:
        _tell(error)
    except Exception as error:  # a fault of ours: where it is, and nothing of what the picture shows
        send({"broke": f"{type(error).__name__} at {place(error)}"})
    except BaseException as error:  # a library that panicked
        send({"broke": type(error).__name__})


def _load() -> None:
    """What is imported, or looked up, at its first use is so now: later no file can be opened."""
    from PIL import (  # noqa: F401 - for what their import does
        BmpImagePlugin,
        GifImagePlugin,
        Image,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    Image.preinit()
    for encoding in ENCODINGS:
        codecs.lookup(encoding)


def _tell(error: pictures.PictureError) -> None:
    send({"error": [error.code, {name: str(value) for name, value in error.values.items()}]})
