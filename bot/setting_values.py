"""How one variable is read: text in, its value out, or a `ValueError` that says what is wrong and how it is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import time, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from bot.loopback import is_loopback_name
from provisioning.hours import parse_length, parse_span, parse_time
from provisioning.texts import _

Network = IPv4Network | IPv6Network

GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NONE: Final = "none"
FOREVER, NEVER = "forever", "never"
SHORTEST_SILENCE, LONGEST_SILENCE = timedelta(minutes=5), timedelta(days=365)
LONGEST_KEPT: Final = 3650  # days
SHORTEST_TOKEN: Final = 32  # characters
MOST_GROUPS: Final = 50  # of one role: three calls about one person


def whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(_('"{text}" is not a whole number from {low} to {high}.', text=text, low=low, high=high))
        return int(text)

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        for choice in choices:
            if text.lower() == choice.lower():
                return choice
        raise ValueError(_('"{text}" is not one of: {choices}.', text=text, choices=", ".join(choices)))

    return read


def _length(text: str) -> timedelta | None:
    try:
        return parse_length(text)
    except ValueError:
        return None


def lifetime(text: str) -> timedelta:
    lifetime = _length(text) or timedelta(0)
    if not timedelta(hours=1) <= lifetime <= timedelta(days=7):
        raise ValueError(_('"{text}" is not a time a code can live. Say 1h to 7d, for example 24h.', text=text))
    return lifetime


def kept(text: str) -> timedelta | None:
    """How long something is kept; None: for ever."""
    if text.lower() == FOREVER:
        return None
    span = _length(text) if text.lower().endswith("d") else None
    if span is None or not timedelta(days=1) <= span <= timedelta(days=LONGEST_KEPT):
        raise ValueError(
            _(
                '"{text}" is not a time to keep facts for. Say 1d to {longest}d, or forever.',
                text=text,
                longest=LONGEST_KEPT,
            )
        )
    return span


def silence(text: str) -> timedelta | None:
    """How long a device may not call before that is said; None: it is never said."""
    if text.lower() == NEVER:
        return None
    span = _length(text)
    if span is None or not SHORTEST_SILENCE <= span <= LONGEST_SILENCE:
        raise ValueError(_('"{text}" is not a time a device may be silent. Write 5m to 365d, or never.', text=text))
    return span


def time_of_day(text: str) -> time:
    try:
        return parse_time(text)
    except ValueError:
        raise ValueError(_('"{text}" is not a time of day. Write 07:30.', text=text)) from None


def quiet_hours(text: str) -> tuple[time, time] | None:
    """From and to; None: there are none."""
    if text.lower() == NONE:
        return None
    try:
        return parse_span(text)
    except ValueError:
        raise ValueError(_('"{text}" is not a span of hours. Write 19:00-07:00, or none.', text=text)) from None


def workdays(text: str) -> frozenset[int]:
    """Days of the week and spans of them; a span may go over Sunday."""
    found: set[int] = set()
    for part in [] if text.lower() == NONE else listed(text.lower()):
        first, dash, last = (word.strip() for word in part.partition("-"))
        last = last if dash else first
        if first not in _DAYS or last not in _DAYS:
            raise ValueError(_('"{text}" is not a list of days. Write mon-fri, or mon,wed,sat, or none.', text=text))
        begin, end = _DAYS.index(first), _DAYS.index(last)
        found |= {day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1)}
    return frozenset(found)


def timezone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        raise ValueError(_('"{text}" is not a time zone. Write one like Europe/Oslo.', text=text)) from None


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def people(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.lower() if GUID.fullmatch(part) else part for part in listed(text)))


def groups(text: str) -> tuple[str, ...]:
    """Object ids, in lower case as Graph writes them."""
    ids = tuple(dict.fromkeys(part.lower() for part in listed(text)))
    for part in ids:
        if not GUID.fullmatch(part):
            raise ValueError(_('"{text}" is not the object id of a group. Take it from the group in Entra.', text=part))
    if len(ids) > MOST_GROUPS:
        raise ValueError(_("These are more than {most} groups. Put them into one group.", most=MOST_GROUPS))
    return ids


def networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part, strict=False) for part in listed(text))
    except ValueError:
        raise ValueError(_('"{text}" is not a list of networks. Write 10.1.0.0/16,2001:db8::/48.', text=text)) from None


def is_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(text.lower())) and not re.fullmatch(r"[0-9.]+", text)
    return True


def bound_host(text: str) -> str:
    if not is_host(text):
        raise ValueError(_('"{text}" is not an address to listen on. Write 0.0.0.0, :: or 127.0.0.1.', text=text))
    return text


def hosts(text: str) -> tuple[str, ...]:
    """Host names with their subdomains; a lone top level would let everybody in."""
    hosts = tuple(part.lower().removeprefix("*").removeprefix(".") for part in listed(text))
    for host in hosts:
        if not is_host(host) or not ("." in host or ":" in host or host == "localhost"):
            raise ValueError(_('"{host}" is not a host name. Write names alone, like sharepoint.com.', host=host))
    return hosts


def url(text: str) -> str:
    """https, or http where it never leaves this computer; no user, query or fragment."""
    fault = ValueError(_("This is not an https URL of a host. Write https://provisioning.contoso.com."))
    try:
        url = urlsplit(text)
        odd = url.query or url.fragment or url.username or url.password or url.port == 0
    except ValueError:
        raise fault from None
    name = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    if odd or not name or not (url.scheme == "https" or (url.scheme == "http" and is_loopback_name(name))):
        raise fault
    return text.rstrip("/")


def issuer(text: str) -> str:
    """As `url`, letter by letter: some providers' issuers end with a slash (OpenID Connect Discovery 1.0, 4.3)."""
    url(text)
    return text


def collector(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+\S*", text):
        raise ValueError(_('"{text}" is not a URL. Write http://127.0.0.1:4318.', text=text))
    return text


def store_url(text: str) -> str:
    if not re.fullmatch(r"tinydb:.+|postgresql://.+", text):
        raise ValueError(_("This is not a store. Write tinydb:PATH or postgresql://USER:PASSWORD@HOST/NAME."))
    return text


def token(text: str) -> SecretStr:
    """A secret that others present: visible ASCII, so that it fits into a header, and too long to be guessed."""
    if not re.fullmatch(rf"[A-Za-z0-9._~+/-]{{{SHORTEST_TOKEN},512}}=*", text):
        raise ValueError(
            _(
                "This is not a token of at least {length} letters and digits. Make one: openssl rand -hex 32.",
                length=SHORTEST_TOKEN,
            )
        )
    return SecretStr(text)


def organisation(text: str) -> str:
    if len(text) > 200 or not text.isprintable():
        raise ValueError(_("This is not a name a device can show: at most 200 printable characters."))
    return text
