"""How many wrong codes are borne: pure arithmetic over counters that the store keeps.

Known and unknown MACs use the same fixed table of slots, so an answer tells nothing and strangers grow nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil

from provisioning.bookkeeping import Attempts
from provisioning.codes import Keyring

SLOTS = 65_536
KNOWN_FOR = timedelta(hours=24)  # after a success a network shares the second fleet-wide budget
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


def known_network(keys: Keyring, source: str) -> str:
    """The slot that remembers when a device was last provisioned from this network."""
    return f"known:{_slot(keys, 'net', network_of(source))}"


def blanks(keys: Keyring, mac: str) -> tuple[str, str]:
    """Slots that count nothing: written where there is no code to count against, so that each refusal looks alike."""
    slot = _slot(keys, "blank", mac)
    return f"blank:{slot}", f"blank:{slot}:2"


def _slot(keys: Keyring, *parts: str) -> int:
    return int(keys.fingerprint(*parts)[:8], 16) % SLOTS


def wait(counters: Sequence[tuple[Attempts, Limit]], now: datetime) -> int:
    """Whole seconds until the next try is heard; 0: now.

    A stop that lies further ahead than any of its kind can be is left over from a clock that went back.
    """
    stops = [(a.blocked_until - now, limit.longest) for a, limit in counters if a.blocked_until]
    left = [stop for stop, longest in stops if timedelta(0) < stop <= longest]
    return max((ceil(stop.total_seconds()) for stop in left), default=0)


def failed(attempts: Attempts, limit: Limit, now: datetime) -> Attempts:
    """One more failure. A clock that went back (since > now) begins a new window rather than a long silence."""
    fresh = attempts.since is None or not timedelta(0) <= now - attempts.since < limit.window
    count = 1 if fresh else attempts.failures + 1
    since = now if fresh or attempts.since is None else attempts.since
    return replace(attempts, failures=count, since=since, blocked_until=_pause(count, since, limit, now))


def _pause(count: int, since: datetime, limit: Limit, now: datetime) -> datetime | None:
    if limit.doubling:
        seconds = min(2.0 ** min(count - limit.free, 30), limit.longest.total_seconds())
        return now + timedelta(seconds=seconds) if count > limit.free else None
    return since + limit.window if count >= limit.free else None
