"""The process that draws: what a picture shows comes in by stdin, one JSON line goes out by stdout, nothing else.

One picture that somebody waits for, or several that nobody waits for: a line in and a line out for each. A process of
its own, because matplotlib takes half a second and 60 MB to import and is not made for threads.
"""

from __future__ import annotations

import gc
import os
import sys
from base64 import b64encode
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from provisioning.confinement import confine, give_way, limit_cpu, place, send
from provisioning.documents.plot import TOGETHER, Curve, Plot, Tick, read

BURN_UP: Final = "burn_up"
BURN_UPS: Final = "burn_ups"  # with what the processor has left over
MEMORY: Final = 200 * 1024 * 1024  # by which it may grow
SECONDS: Final = 10  # of processor time
BYTES: Final = 256 * 1024  # of what is to be drawn, each
# Every kind of thing there is in a picture, so that all that is loaded at its first use is loaded.
SAMPLE: Final = Plot("Aא", 1.0, (Curve("A", 1, 2, ((0.0, 0), (1.0, 1))),) * 6, (Tick(0.5, "08:00"),))


def main(asked: str) -> None:
    """`asked` is what is to be drawn: one `BURN_UP`, or up to `TOGETHER` `BURN_UPS`."""
    try:
        if asked not in (BURN_UP, BURN_UPS):
            raise ValueError(asked)
        give_way(wholly=asked == BURN_UPS)  # first of all: what it loads takes longer than what it draws
        drawn = load()
        gc.freeze()  # what was loaded stays; only what one picture took is looked through after it
        confine(MEMORY)
        limit_cpu(SECONDS)
        for content in sys.stdin.buffer.read(BYTES * TOGETHER).splitlines()[:TOGETHER]:
            send(_answer(drawn, content))
            gc.collect()
    except Exception as error:
        send(_broken(error))


def _answer(drawn: Callable[[Plot], bytes], content: bytes) -> dict[str, str]:
    try:
        return {"png": b64encode(drawn(read(content))).decode()}
    except Exception as error:
        return _broken(error)


def _broken(error: Exception) -> dict[str, str]:
    """Where it is, and nothing of what is to be drawn."""
    return {"broke": f"{type(error).__name__} at {place(error)}"}


def load() -> Callable[[Plot], bytes]:
    """matplotlib without what it keeps in somebody's home and without a list of this machine's fonts: ours are known.

    Every process that may not write into its home would make both anew, and the list takes as long as the drawing.
    """
    installed = Path(str(getattr(find_spec("matplotlib"), "origin", ""))).parent
    walk = os.walk
    with TemporaryDirectory() as home:
        os.environ |= {"MPLCONFIGDIR": home, "MATPLOTLIBRC": str(installed / "mpl-data/matplotlibrc")}
        os.environ["MPL_IGNORE_SYSTEM_FONTS"] = "1"
        os.walk = lambda *_args, **_options: iter(())
        try:
            from provisioning.documents.burnup import drawn
        finally:
            os.walk = walk
        drawn(SAMPLE)
    return drawn
