"""What a run was taken on: figures mean little without it."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

import psycopg

from tests.benchmarks.measuring import append
from tests.storage import postgres

SYNCS = 200


def described() -> str:
    """Date, processor, versions, and what the disk takes to keep 4 KiB for good: one line."""
    parts = (
        today(),
        processor(),
        f"{_cores()} cores",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        _postgresql(),
        f"one append and fdatasync {fdatasync():,.0f} µs",
    )
    return ", ".join(filter(None, parts))


def today() -> str:
    now = datetime.now()
    return f"{now.day} {now:%B %Y}"


def processor() -> str:
    """Its model; where the system does not tell, its kind."""
    try:
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        said = ""
    models = [line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    return name.replace("(R)", "").replace("(TM)", "")


def fdatasync() -> float:
    """Microseconds, at the median, where the benchmarks keep their files."""
    taken = []
    with tempfile.TemporaryDirectory() as name, append(Path(name)) as act:
        for _ in range(SYNCS):
            began = time.perf_counter()
            act()
            taken.append((time.perf_counter() - began) * 1e6)
    return statistics.median(taken)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _postgresql() -> str:
    if postgres.why_not():
        return ""
    with psycopg.connect(postgres.SERVER) as connection:
        version = connection.info.server_version
    return f"PostgreSQL {version // 10_000}.{version % 10_000}"
