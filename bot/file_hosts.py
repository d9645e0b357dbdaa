"""Which addresses files may come from and go to: allowed hosts, public networks, nothing that looks like a trick.

A link to a file comes from outside. Whoever writes it must not make this service talk to its own network.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import ClassVar, Final

import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bot.loopback import is_loopback_name
from provisioning.errors import ProvisioningError
from provisioning.texts import N_

log = structlog.get_logger(__name__)

Address = IPv4Address | IPv6Address

URL_LIMIT: Final = 8192
HTTPS_PORT: Final = 443
# Scheme, host, port, and a path of printable ASCII: no user part, no backslash and no fragment to disagree about.
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:[/?][!\"$-\[\]-~]*)?", re.I
)
# What Python's own table of addresses does not refuse, or not in every version of it.
_NOT_PUBLIC: Final = tuple(
    map(
        ip_network,
        (
            "168.63.129.16/32",  # the platform's own service, in every virtual network of Azure
            "192.0.0.0/24",
            "192.88.99.0/24",
            # an IPv4 address within an IPv6 one, to somewhere the rules for IPv6 do not see
            "::/96",
            "::ffff:0:0/96",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "2001::/32",
            "2002::/16",
            "3fff::/20",
            "fec0::/10",
        ),
    )
)


class FileError(ProvisioningError):
    """A file did not come, or could not be put where it should go."""

    code: ClassVar[str] = "file"


class FileHostRefused(FileError):
    """The address is not one where Teams keeps files, or leads somewhere private."""

    code = "file_host_refused"
    message = N_(
        "This file is not at an address where Teams keeps files. Attach it to a message to me, or paste its rows."
    )


def is_public(address: Address) -> bool:
    """Reached over the internet, as itself: no private, shared, local or multicast network, and no disguise of one."""
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_link_local)


class FileHosts:
    """https on the allowed hosts and below them; in local mode also http on loopback, at any port.

    `public` says which addresses a host may have; only tests, whose servers run here, have another answer.
    """

    def __init__(self, allowed: Collection[str], *, local: bool, public: Callable[[Address], bool] = is_public) -> None:
        self._allowed, self._local, self._public = tuple(allowed), local, public

    def check(self, text: str) -> URL:
        """The address, read once and as it will be called. Errors: `FileHostRefused`."""
        match = _URL.fullmatch(text) if len(text) <= URL_LIMIT else None
        if match is None:
            raise FileHostRefused
        host = match["host"].lower()
        try:
            url = URL(text, encoded=True)
        except ValueError:
            raise FileHostRefused from None
        known = (url.scheme, url.host) == (match["scheme"].lower(), host.strip("[]"))
        loopback = self._local and is_loopback_name(host)
        sound = loopback or (url.scheme == "https" and url.port == HTTPS_PORT and self._is_allowed(host.strip("[]")))
        if not (known and url.port and sound):
            log.warning("a file's address is not allowed", host=host)
            raise FileHostRefused
        if literal := _literal(host.strip("[]")):  # names are looked at once they are resolved
            self.check_address(host, literal)
        return url

    def names(self, text: str) -> bool:
        """Whether `check` would let its host pass; says nothing in the log."""
        match = _URL.fullmatch(text) if len(text) <= URL_LIMIT else None
        host = match["host"].lower().strip("[]") if match else ""
        return bool(host) and (self._is_allowed(host) or (self._local and is_loopback_name(host)))

    def check_address(self, host: str, address: Address) -> None:
        """Errors: `FileHostRefused`."""
        local = self._local and is_loopback_name(host)
        if not (address.is_loopback if local else self._public(address)):
            log.warning("a file's host has an address that is not public", host=host)
            raise FileHostRefused

    def _is_allowed(self, host: str) -> bool:
        return any(host == allowed or host.endswith("." + allowed) for allowed in self._allowed)


class CheckedResolver(AbstractResolver):
    """Looks a name up once, for one connection: what was checked is what is connected to.

    One bad address refuses the host: which of several is taken is nobody's choice but the network's.
    """

    def __init__(self, hosts: FileHosts, resolver: AbstractResolver) -> None:
        self._hosts, self._resolver = hosts, resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            self._hosts.check_address(host, ip_address(each["host"]))
        return found

    async def close(self) -> None:
        """The resolver behind is its owner's."""


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
