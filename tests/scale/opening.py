"""What opening a store costs a fresh process, in time and memory: this module, run as one."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provisioning.model import Device
from storage import open_store
from tests.fakes import FakeClock

HOUSE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Opened:
    """Seconds until the store was open, and until it had answered; MB resident at most, and before it was opened."""

    opened: float
    answered: float
    resident: float
    resident_before: float


async def measure(url: str, macs: list[str]) -> Opened:
    """Opens the store in a process of its own and looks these devices up there, beside lists and counts."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.scale.opening", url, *macs, stdout=asyncio.subprocess.PIPE, cwd=HOUSE
    )
    out, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError("the process that opens the store failed; its error stands above")
    return Opened(**json.loads(out.splitlines()[-1]))  # a store may log before


def _resident() -> float:
    """At the most. Linux folds the parent into ru_maxrss when a process begins, so it is asked elsewhere there."""
    with suppress(OSError):
        said = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if said:
            return int(said[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


async def _open(url: str, macs: list[str]) -> Opened:
    if url.startswith("postgres"):
        import storage.postgres_store  # what is loaded is not what is opened
    else:
        import storage.tinydb_store  # noqa: F401
    before, began = _resident(), time.perf_counter()
    store = await open_store(url, clock=FakeClock())
    opened = time.perf_counter() - began
    await store.get(Device, macs[0])
    answered = time.perf_counter() - began
    for mac in macs:
        device = await store.get(Device, mac)
        if device:
            await store.find(Device, site=device.site.casefold(), removed=False, limit=10)
            await store.history(mac)
    await store.tally()
    await store.count(Device, removed=False)
    await store.find(Device, contains="no such text", limit=10)
    resident = _resident()
    await store.close()
    return Opened(opened, answered, resident, before)


if __name__ == "__main__":
    print(json.dumps(vars(asyncio.run(_open(sys.argv[1], sys.argv[2:])))))
