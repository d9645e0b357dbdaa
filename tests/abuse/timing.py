"""Whether the time of a refusal tells why: every reason in random order against the real door, compared by ranks."""

from __future__ import annotations

import json
import random
import socket
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.abuse.door import CASES
from tests.abuse.ranks import auc, spread
from tests.benchmarks.children import Child, child
from tests.storage import postgres

BASE = "unknown"
SAMPLES, APART = 3000, 0.05  # of each case; how far from 0.5 says nothing yet
CALM_EVERY = 250  # calls; the fleet bears 600
PATIENCE = 10  # seconds for one answer
ALWAYS_NEW = (b"Date:", b"X-Request-ID:")


@dataclass
class Measured:
    """Seconds of each answer by case, those of the probes behind them, and what the answers were."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {case: [] for case in CASES})
    behind: dict[str, list[float]] = field(default_factory=lambda: {case: [] for case in CASES})
    answers: set[tuple[int, bytes, bytes]] = field(default_factory=set)  # status, headers but for the date, body

    def told(self, times: Mapping[str, list[float]]) -> dict[str, float]:
        """How well each case is told from an unknown MAC."""
        return {case: auc(times[BASE], times[case]) for case in CASES if case != BASE}


class Line:
    """One connection that is kept, without anything in between that takes its own time."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._host = where.netloc
        self._socket = socket.create_connection((where.hostname, where.port or 80), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def asks(self, mac: str, code: str, source: str) -> tuple[float, int, bytes, bytes]:
        """Seconds until the whole answer was there, its status, its headers but for the date, its body."""
        body = json.dumps({"mac": mac, "code": code}).encode()
        head = f"POST /api/v1/provision HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        head += f"X-Forwarded-For: {source}\r\nContent-Length: {len(body)}\r\n\r\n"
        return self._exchange(head.encode() + body)

    def probes(self) -> float:
        """Seconds of a question that needs no store."""
        return self._exchange(f"GET /healthz HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())[0]

    def _exchange(self, request: bytes) -> tuple[float, int, bytes, bytes]:
        began = time.perf_counter()
        self._socket.sendall(request)
        got = self._socket.recv(65_536)
        while (end := got.find(b"\r\n\r\n")) < 0 or len(got) < end + 4 + _length(got[:end]):
            got += self._socket.recv(65_536)
        took = time.perf_counter() - began
        head, _, body = got.partition(b"\r\n\r\n")
        status, *fields = head.split(b"\r\n")
        return took, int(status.split()[1]), b"\r\n".join(f for f in fields if not f.startswith(ALWAYS_NEW)), body

    def close(self) -> None:
        self._socket.close()


def _length(head: bytes) -> int:
    return next((int(f.split(b":")[1]) for f in head.lower().split(b"\r\n") if f.startswith(b"content-length:")), 0)


@asynccontextmanager
async def door(kind: str, *words: str) -> AsyncIterator[Child]:
    """The service over a store of this kind: `files` or `postgres`."""
    if kind == "postgres":
        with postgres.schema() as url:
            async with child("tests.abuse.door", url, *words) as running:
                yield running
        return
    with tempfile.TemporaryDirectory() as folder:
        async with child("tests.abuse.door", f"tinydb:{folder}/store", *words) as running:
            yield running


async def measured(kind: str, samples: int, *words: str, seed: int = 0, probe: bool = False) -> Measured:
    """`samples` refusals of each case, each from a network of its own, in random order."""
    dice, found = random.Random(seed), Measured()
    order = [case for case in CASES for _ in range(samples)]
    dice.shuffle(order)
    async with door(kind, *words) as running:
        line = Line(running.hello["url"])
        cases = {case: [tuple(pair) for pair in pairs] for case, pairs in running.hello["cases"].items()}
        warm = [(case, dice.choice(pairs)) for case, pairs in cases.items() for _ in range(10)]
        for number, (case, (mac, code)) in enumerate([*warm, *((c, dice.choice(cases[c])) for c in order)]):
            if number % CALM_EVERY == 0:
                await running.does("calm")
            took, *answer = line.asks(mac, code, f"10.{number >> 8 & 255}.{number & 255}.{1 + number % 7}")
            behind = line.probes() if probe else 0.0
            if number >= len(warm):
                found.seconds[case].append(took)
                found.behind[case].append(behind)
                found.answers.add(tuple(answer))  # type: ignore[arg-type]
        line.close()
    return found


def show(title: str, found: Measured, times: Mapping[str, list[float]]) -> bool:
    """Prints the figures; True where nothing tells a case apart."""
    count = len(times[BASE])
    print(f"{title}: {count} of each, spread of the AUC by chance {spread(count, count):.4f}")
    print(f"  {BASE:<11} median {statistics.median(times[BASE]) * 1e6:7.0f} µs")
    told = found.told(times)
    for case, area in told.items():
        print(f"  {case:<11} median {statistics.median(times[case]) * 1e6:7.0f} µs, AUC {area:.3f}")
    return all(abs(area - 0.5) <= APART for area in told.values())


async def main(samples: int = SAMPLES) -> int:
    """Every store that there is; and a door that leaks a millisecond, which has to be found."""
    held = True
    for kind in ("files", *(["postgres"] if not postgres.why_not() else [])):
        found = await measured(kind, samples, "--hands", probe=True)
        held &= show(kind, found, found.seconds) & show(f"{kind}, the call behind it", found, found.behind)
        held &= len(found.answers) == 1
        print(f"  different answers: {len(found.answers)}")
        control = await measured(kind, max(samples // 3, 100), "--leak", "1")
        held &= not show(f"{kind}, a door that leaks 1 ms", control, control.seconds)
    return 0 if held else 1
