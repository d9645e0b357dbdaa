"""How seldom what is alive is looked through for circles that nothing leads to any more."""

from __future__ import annotations

import gc
from typing import Final

YOUNG: Final = 10_000  # new objects until they are looked through; CPython's own is 700
RARELY: Final = 1000  # collections of the middle generation until one of everything; CPython's own is 10


def collect_rarely() -> None:
    """For a service that has started, with the collector off. Nearly all it makes ends with its last reference.

    A walk through everything holds the loop up: through what the start made for 70 ms, through 15 000 long polls for
    1 s, every 10 s. Circles die young here: 600 turns and 15 000 polls left none for such a walk to find. So one comes
    after millions of new objects, which bounds what a circle that did grow old can keep.

    What a turn makes is 700 objects every moment, all of them alive then: to look later finds the same and takes 5 to
    10 % less of a turn.
    """
    gc.freeze()
    _young, middle, _old = gc.get_threshold()
    gc.set_threshold(YOUNG, middle, RARELY)
    gc.enable()
