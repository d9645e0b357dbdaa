"""A full disk: a small tmpfs where one can be mounted, else a limit on the length of files (see full_disk.py)."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.crash import Result, scratch
from tests.crash.vfs import hidden

HOUSE = Path(__file__).parents[2]
_SIZE = "4m"
_NAMESPACES = (["unshare", "--user", "--map-root-user", "--mount"], ["unshare", "--mount"])


def _mounted(folder: Path, command: list[str]) -> str:
    """A shell's words: the command, with a small file system on the folder that is gone with the process."""
    return f"mount -t tmpfs -o size={_SIZE} none {shlex.quote(str(folder))} && exec {shlex.join(command)}"


def _works(namespace: list[str]) -> bool:
    with scratch() as folder:
        try:
            probe = [*namespace, "sh", "-c", _mounted(folder, ["true"])]
            return subprocess.run(probe, capture_output=True, check=False, timeout=20).returncode == 0
        except OSError:
            return False


@cache
def namespace() -> list[str] | None:
    """How to run a process that may mount; None where that is not allowed."""
    return next((words for words in _NAMESPACES if _works(words)), None)


def full(trials: int) -> Result:
    """Each round: while units are written, while a checkpoint runs, while a store opens and is made."""
    if reason := hidden():
        return Result("full", "", skipped=reason)
    mounting = namespace()
    how = "disk" if mounting else "limit"
    wrong, refused, units = list[str](), 0, 0
    rounds = max(1, trials // 20)
    for _ in range(rounds):
        with scratch() as folder:
            command = [sys.executable, "-m", "tests.crash.full_disk", str(folder), how]
            if mounting:
                command = [*mounting, "sh", "-c", _mounted(folder, command)]
            done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            wrong.append(f"the process ended with {done.returncode}: {done.stderr[-2000:]}")
            continue
        found = json.loads(done.stdout)
        wrong += found["wrong"]
        refused += found["refused"]
        units += found["units"]
    under = f"a tmpfs of {_SIZE}" if mounting else "a limit on the length of files (nothing can be mounted here)"
    return Result("full", f"{under}: {rounds} rounds, {refused} refusals, {units} acknowledged units kept", wrong)
