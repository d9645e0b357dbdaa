"""The service's loop: which one it is, and that names of hosts that hang hold up no others."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.interpreter import LOOKUPS, new_loop

HOUSE = Path(__file__).parents[2]
LOOKS_UP = """
import asyncio, os
from bot.interpreter import run
async def main():
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)
    print(len(os.listdir("/proc/self/task")))
run(main())
"""


def test_it_is_uvloops_where_there_is_one_else_asyncios(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = new_loop()
    assert type(loop).__module__.startswith("uvloop" if sys.platform != "win32" else "asyncio")
    loop.close()
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_loop()
    assert isinstance(loop, asyncio.BaseEventLoop)
    loop.close()


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_more_names_are_looked_up_at_once_than_uvloop_does_by_itself() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "UV_THREADPOOL_SIZE"}
    done = subprocess.run(
        [sys.executable, "-c", LOOKS_UP], cwd=HOUSE, env=environ, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > LOOKUPS
