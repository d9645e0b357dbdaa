"""A part of a bench that never ends, and what it started: see tests/test_benchmarks.py."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

SLEEPER = "import sys, time; told = open(sys.argv[1], 'w'); time.sleep(60); told.write('it ended by itself')"


async def run() -> list[object]:
    """Its child keeps the fifo open, so that whoever reads there hears when that is gone."""
    alive = Path(tempfile.gettempdir()) / "alive"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SLEEPER, alive)
    await process.wait()
    return []
