"""How many wrong codes are borne: pure arithmetic over counters that the store keeps.

Known and unknown MACs use the same fixed table of slots, so an answer tells nothing and strangers grow nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil

from provisioning.codes import Keyring
from provisioning.model import Attempts

SLOTS = 65_536
CODE_FAILURES = 100  # per MAC and code; then the code is revoked


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` failures within `window`; beyond, either growing pauses (doubling from 2 s) or a stop until it ends."""

    free: int
    window: timedelta
    longest: timedelta
    doubling: bool


PAIR = Limit(free=5, window=timedelta(hours=24), longest=timedelta(seconds=300), doubling=True)
NETWORK = Limit(free=30, window=timedelta(minutes=10), longest=timedelta(minutes=10), doubling=False)
FLEET = Limit(free=600, window=timedelta(minutes=10), longest=timedelta(minutes=10), doubling=False)


def network_of(source: str) -> str:
    """The /24 (IPv4) or /64 (IPv6) of an address; an odd address stands for itself."""
    try:
        address = ip_address(source.split("%", maxsplit=1)[0])
    except ValueError:
        return source
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return str(ip_network(f"{address}/{24 if address.version == 4 else 64}", strict=False).network_address)


def slots(keys: Keyring, mac: str, source: str, *, trusted: bool) -> tuple[tuple[str, Limit], ...]:
    """The counters one try touches: the pair's, the network's, the fleet's (trusted networks share a second one)."""
    network = network_of(source)
    return (
        (f"pair:{_slot(keys, 'pair', mac, network)}", PAIR),
        (f"net:{_slot(keys, 'net', network)}", NETWORK),
        ("fleet:trusted" if trusted else "fleet", FLEET),
    )


def _slot(keys: Keyring, *parts: str) -> int:
    return int(keys.fingerprint(*parts)[:8], 16) % SLOTS


def wait(attempts: Sequence[Attempts], now: datetime) -> int:
    """Whole seconds until the next try is heard; 0: now."""
    left = [a.blocked_until - now for a in attempts if a.blocked_until and a.blocked_until > now]
    return max((ceil(pause.total_seconds()) for pause in left), default=0)


def failed(attempts: Attempts, limit: Limit, now: datetime) -> Attempts:
    """One more failure. A clock that went back (since > now) begins a new window rather than a long silence."""
    fresh = attempts.since is None or not timedelta(0) <= now - attempts.since < limit.window
    count = 1 if fresh else attempts.failures + 1
    since = now if fresh or attempts.since is None else attempts.since
    return replace(attempts, failures=count, since=since, blocked_until=_pause(count, since, limit, now))


def _pause(count: int, since: datetime, limit: Limit, now: datetime) -> datetime | None:
    if limit.doubling:
        seconds = min(2.0 ** (count - limit.free), limit.longest.total_seconds())
        return now + timedelta(seconds=seconds) if count > limit.free else None
    return since + limit.window if count >= limit.free else None
