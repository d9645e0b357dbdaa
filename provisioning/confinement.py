"""What a process that opens untrusted files gives up before it looks at the first byte."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows: whoever started this process watches the clock instead
    resource = None  # type: ignore[assignment]

STANDARD_STREAMS = 3
NICER = 10  # steps of priority: on a busy core one picture took a fifth of what activations need
NICEST = 19  # for systems that know no more modest way


def confine(memory: int) -> None:
    """Files, children, core dumps, and more memory than these bytes beyond what is taken by now."""
    if resource is None:
        return
    if size := _address_space():
        _lower(resource.RLIMIT_AS, size + memory)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, STANDARD_STREAMS)
    if hasattr(resource, "RLIMIT_NPROC"):
        _lower(resource.RLIMIT_NPROC, 0)


def limit_cpu(seconds: int) -> None:
    """Of processor time since the process began; then the system ends it, with the signal that says why."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # at the second one it kills without a reason


def limit_memory(most: int) -> None:
    """So many bytes beyond what is taken by now; more are refused."""
    if resource is not None and (size := _address_space()):
        resource.setrlimit(resource.RLIMIT_AS, (size + most, size + most))


def give_way(*, wholly: bool = False) -> None:
    """To whoever waits for an answer: what comes of a long look may take a little longer.

    wholly: nobody waits for this, so it has what the processor has left over.
    """
    if hasattr(os, "nice"):
        os.nice(NICEST if wholly else NICER)
    if wholly and hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # a sandbox that knows no such thing
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _lower(limit: int, value: int) -> None:
    resource.setrlimit(limit, (value, value))


def _address_space() -> int:
    """Bytes; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0


def send(line: dict[str, Any]) -> None:
    """To whoever started this process."""
    sys.stdout.buffer.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    sys.stdout.buffer.flush()


def place(error: Exception) -> str:
    """Where a fault of ours is, and nothing of what the file holds."""
    step = error.__traceback__
    while step and step.tb_next:
        step = step.tb_next
    return f"{Path(step.tb_frame.f_code.co_filename).name}:{step.tb_lineno}" if step else ""
