"""Which names and addresses mean this computer and nothing else."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=256)  # a turn asks about the same few, at 5 µs each
def is_loopback_name(name: str) -> bool:
    """`localhost` or a literal loopback address; no name that a foreign DNS server answers for."""
    if name == "localhost":
        return True
    return is_loopback_address(name[1:-1] if name.startswith("[") else name)


@lru_cache(maxsize=256)
def is_loopback_address(text: str) -> bool:
    """A literal: `127.0.0.1`, `127.8.0.1`, `::1`; never a name, a short form or another family in disguise."""
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False
