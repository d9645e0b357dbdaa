"""The process that draws one picture: what it shows comes in by stdin, one JSON line goes out by stdout, nothing else.

A process of its own, because matplotlib takes half a second and 60 MB to import and is not made for threads.
"""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from provisioning.confinement import confine, give_way, limit_cpu, place, send
from provisioning.documents.plot import Curve, Plot, Tick, read

BURN_UP: Final = "burn_up"
MEMORY: Final = 200 * 1024 * 1024  # by which it may grow
SECONDS: Final = 10  # of processor time
BYTES: Final = 256 * 1024  # of what is to be drawn
# Every kind of thing there is in a picture, so that all that is loaded at its first use is loaded.
SAMPLE: Final = Plot("Aא", 1.0, (Curve("A", 1, 2, ((0.0, 0), (1.0, 1))),) * 6, (Tick(0.5, "08:00"),))


def main(asked: str) -> None:
    """`asked` is what is to be drawn: so far only `BURN_UP`."""
    try:
        if asked != BURN_UP:
            raise ValueError(asked)
        give_way()  # first of all: what it loads takes longer than what it draws
        drawn = load()
        confine(MEMORY)
        limit_cpu(SECONDS)
        content = drawn(read(sys.stdin.buffer.read(BYTES)))
        send({"png": b64encode(content).decode()})
    except Exception as error:  # where it is, and nothing of what is to be drawn
        send({"broke": f"{type(error).__name__} at {place(error)}"})


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
