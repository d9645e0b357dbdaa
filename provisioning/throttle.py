"""How many wrong codes are borne: pure arithmetic over counters that the store keeps.

Known and unknown MACs use the same fixed table of slots, so an answer tells nothing and strangers grow nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil

from provisioning.bookkeeping import Attempts
from provisioning.codes import Keyring

SLOTS = 65_536
PREFIXES = {4: 24, 6: 64}  # of what counts as one network, by IP version
SKEW = timedelta(minutes=2)  # how far the clocks of two instances may differ without a limit giving way
KNOWN_FOR = timedelta(hours=24)  # after a success a network shares the second fleet-wide budget
PLACES = 4096  # addresses of which it is remembered what they mean: to parse one takes some 20 µs
CODE_FAILURES = 100  # per MAC and code; then the code is revoked


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` failures within `window`; beyond, either growing pauses (doubling from 2 s) or a stop until it ends."""

    name: str
    free: int
    window: timedelta
    longest: timedelta
    doubling: bool


PAIR = Limit("pair", free=5, window=timedelta(hours=24), longest=timedelta(seconds=300), doubling=True)
NETWORK = Limit("network", free=30, window=timedelta(minutes=10), longest=timedelta(minutes=10), doubling=False)
FLEET = Limit("fleet", free=600, window=timedelta(minutes=10), longest=timedelta(minutes=10), doubling=False)
EXEMPT = replace(FLEET, name="exempt")
FLEET_SLOT, EXEMPT_SLOT, ATTACK_SLOT = "fleet", "fleet:trusted", "attack"


@lru_cache(maxsize=PLACES)
def network_of(source: str) -> str:
    """The /24 (IPv4) or /64 (IPv6) of an address; an odd address stands for itself."""
    address = address_of(source)
    if address is None:
        return source
    host = address.max_prefixlen - PREFIXES[address.version]  # bits; to make a network of it takes three times as long
    return str(type(address)(int(address) >> host << host))


def network_name(source: str) -> str:
    """The same as people write it: `10.1.2.0/24`."""
    return str(_network(source) or source)


@lru_cache(maxsize=PLACES)
def address_of(source: str) -> IPv4Address | IPv6Address | None:
    """The address itself; IPv4 within IPv6 is the former. None for what is none."""
    try:
        address = ip_address(source.split("%", maxsplit=1)[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(source: str) -> IPv4Network | IPv6Network | None:
    address = address_of(source)
    return ip_network(f"{address}/{PREFIXES[address.version]}", strict=False) if address else None


def read_network(text: str) -> IPv4Network | IPv6Network | None:
    """What somebody typed: `10.1.2.0/24`, or an address for the network it is in. None for anything else or larger."""
    address, _, prefix = text.strip().partition("/")
    network = _network(address)
    return network if network and (not prefix or prefix == str(network.prefixlen)) else None


def slots(keys: Keyring, mac: str, source: str, *, trusted: bool) -> tuple[tuple[str, Limit], ...]:
    """The counters one try touches: the pair's, the network's, the fleet's (trusted networks share a second one)."""
    network = network_of(source)
    pair, own = f"pair:{_slot(keys, 'pair', mac, network)}", f"net:{_slot(keys, 'net', network)}"
    limits = (pair, PAIR), (own, NETWORK), (FLEET_SLOT, FLEET)
    return exempted(limits) if trusted else limits


def exempted(limits: Sequence[tuple[str, Limit]]) -> tuple[tuple[str, Limit], ...]:
    """The same counters for a network that the fleet's first budget does not concern."""
    return (*limits[:-1], (EXEMPT_SLOT, EXEMPT))


def known_network(keys: Keyring, source: str) -> str:
    """The slot that remembers since when a network is known: a device was provisioned from there, or an admin said so.

    Its `blocked_until` is an admin's word that it is not.
    """
    return f"known:{_slot(keys, 'net', network_of(source))}"


def known_beside(limits: Sequence[tuple[str, Limit]]) -> str:
    """The same, beside the counters of one try: the network's own counter has its number."""
    return f"known:{limits[1][0].removeprefix('net:')}"


def blanks(keys: Keyring, mac: str) -> tuple[str, str]:
    """Slots that count nothing: written where there is no code to count against, so that each refusal looks alike."""
    slot = _slot(keys, "blank", mac)
    return f"blank:{slot}", f"blank:{slot}:2"


def _slot(keys: Keyring, *parts: str) -> int:
    return int(keys.fingerprint(*parts)[:8], 16) % SLOTS


def wait(counters: Sequence[tuple[Attempts, Limit]], now: datetime) -> int:
    """Whole seconds until the next try is heard; 0: now."""
    return max((ceil(left.total_seconds()) for left, _limit in _stops(counters, now)), default=0)


def stopped_by(counters: Sequence[tuple[Attempts, Limit]], now: datetime) -> tuple[Limit, ...]:
    """The limits that say so, the one that lasts longest first."""
    stops = sorted(_stops(counters, now), key=lambda stop: stop[0], reverse=True)
    return tuple(limit for _left, limit in stops)


def _stops(counters: Sequence[tuple[Attempts, Limit]], now: datetime) -> list[tuple[timedelta, Limit]]:
    """A stop that lies further ahead than any of its kind can be is left over from a clock that went back."""
    stops = [(a.blocked_until - now, limit) for a, limit in counters if a.blocked_until]
    return [(left, limit) for left, limit in stops if timedelta(0) < left <= limit.longest + SKEW]


def counted(counters: Sequence[tuple[Attempts, Limit]], now: datetime) -> tuple[Attempts, ...]:
    """One more failure in each counter of `slots`; the fleet's also counts the networks that had a part in it."""
    pair, network, fleet = (failed(attempts, limit, now) for attempts, limit in counters)
    if network.part_of != fleet.since:
        network, fleet = replace(network, part_of=fleet.since), replace(fleet, networks=fleet.networks + 1)
    return pair, network, fleet


def failed(attempts: Attempts, limit: Limit, now: datetime) -> Attempts:
    """One more failure. A clock that went back (since > now) begins a new window rather than a long silence; one that
    is a little behind that of another instance does not, for else two of them would allow more than one.
    """
    fresh = attempts.since is None or not -SKEW <= now - attempts.since < limit.window
    count = 1 if fresh else attempts.failures + 1
    since = now if fresh or attempts.since is None else attempts.since
    networks = 0 if fresh else attempts.networks
    return replace(
        attempts, failures=count, since=since, networks=networks, blocked_until=_pause(count, since, limit, now)
    )


def used(attempts: Attempts, limit: Limit, now: datetime) -> int:
    """Failures of the window that lasts now; 0 where it is over."""
    lasts = attempts.since is not None and -SKEW <= now - attempts.since < limit.window
    return attempts.failures if lasts else 0


def _pause(count: int, since: datetime, limit: Limit, now: datetime) -> datetime | None:
    if limit.doubling:
        seconds = min(2.0 ** min(count - limit.free, 30), limit.longest.total_seconds())
        return now + timedelta(seconds=seconds) if count > limit.free else None
    return since + limit.window if count >= limit.free else None
