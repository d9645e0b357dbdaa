"""What runs the service: its event loop, and what CPython holds that up with, kept short."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

YOUNG: Final = 10_000  # new objects until they are looked through; CPython's own is 700
RARELY: Final = 20  # collections of the middle generation until one of everything; CPython's own is 10
LOOKUPS: Final = 16  # names of hosts at once; uvloop's own are 4: so many that hang would hold up the way to Teams
SWITCH: Final = 0.0005  # seconds that a thread keeps the interpreter while another wants it; CPython's own are 0.005


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where there is one: with it a whole turn takes a seventh less CPU. Windows has asyncio's own."""
    os.environ.setdefault("UV_THREADPOOL_SIZE", str(LOOKUPS))
    try:
        from uvloop import new_event_loop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    return new_event_loop()


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """As `asyncio.run`, on the service's loop."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


def serve_evenly() -> None:
    """For a service that has started, with the collector off. Nearly all it makes ends with its last reference.

    A walk through everything holds the loop up: through what the start made for 70 ms, through 15 000 long polls for
    1 s, every 10 s. Turns and polls leave nothing for it to find, nor do connections on uvloop; on asyncio's own loop
    each that ends after it was open for long leaves a circle of six objects, 1.3 KiB. So a walk comes after two million
    new objects that are there still: after 300 000 such connections, 400 MB, at the latest; with 15 000 polls every few
    minutes.

    What a turn makes is 700 objects every moment, all of them alive then: to look later finds the same and takes 5 to
    10 % less of a turn.

    The loop lets the interpreter go at each look into the store, and the thread that writes may take it: at 500
    activations a second on one core, half as many steps of the loop took longer than 5 ms with shorter turns, and as
    many activations were borne.
    """
    gc.freeze()
    _young, middle, _old = gc.get_threshold()
    gc.set_threshold(YOUNG, middle, RARELY)
    gc.enable()
    sys.setswitchinterval(SWITCH)
