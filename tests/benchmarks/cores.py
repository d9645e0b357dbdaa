"""A core each for the service and for whoever calls it, where the system knows such a thing."""

from __future__ import annotations

import os
from typing import Final

SERVICE: Final = -1  # places in the list of cores that may be used
CALLER: Final = 0


def pin(place: int) -> None:
    """This process and its threads stay on one core from now on, whatever core its parent stays on."""
    unpin()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[place]})


def unpin() -> None:
    """Whatever core its parent stays on, this process may use all of them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # as far as they are ours
