"""One normaliser for every path: any notation becomes 12 upper-case hex digits, or an error with its cure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from provisioning.errors import InvalidMac, MacNotADevice, MacWasNumber, MacWrongLength

DIGITS = 12
_SEPARATORS = re.compile(r"[\s:.\-\u2010-\u2015\u2212_·•]+")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_NUMBER = re.compile(r"\d+([.,]\d+)?[eE][+]?\d+")
_GROUPS = {(12,), (2,) * 6, (4,) * 3}  # one token, six pairs, three quads
_USUAL = re.compile(
    "[0-9A-Fa-f]{12}|[0-9A-Fa-f]{2}(?:(?:-[0-9A-Fa-f]{2}){5}|(?::[0-9A-Fa-f]{2}){5})"
    "|[0-9A-Fa-f]{4}(?:[.][0-9A-Fa-f]{4}){2}"
)
_INDIVIDUAL = frozenset("02468ACE")  # second digits of an address that is not a group's
_REGISTERED = frozenset("014589CD")  # second digits of an address that a vendor gave, not an administrator


def normalise(text: str) -> str:
    """`805EC0112233` from any notation (`:` `-` `.` spaces, none, lower case, full-width digits).

    Errors: `InvalidMac` and its kinds. IEEE 802: the lowest bit of the first octet marks a group address.
    """
    if _USUAL.fullmatch(text):  # nearly all of them, in a tenth of the time
        mac = text.replace("-", "").replace(":", "").replace(".", "").upper()
        if mac[1] in _INDIVIDUAL and mac != "0" * DIGITS:
            return mac
    return _normalised(text)


def _normalised(text: str) -> str:
    shown = _shown(text)
    if _NUMBER.fullmatch(shown) and "+" in shown:
        raise MacWasNumber(text=text.strip()[:40])
    groups = [group for group in _SEPARATORS.split(shown) if group]
    digits = "".join(groups)
    if not groups or not all(_HEX.fullmatch(group) for group in groups):
        raise InvalidMac(text=text.strip()[:40])
    if len(digits) != DIGITS:
        raise MacWrongLength(text=text.strip()[:40], digits=len(digits))
    if tuple(map(len, groups)) not in _GROUPS:
        raise InvalidMac(text=text.strip()[:40])
    return _device(digits.upper(), text.strip()[:40])


def _shown(text: str) -> str:
    """What was meant: full-width signs as plain ones, without the quotes that sheets and phones put around."""
    return unicodedata.normalize("NFKC", text).strip().strip("\"'“”„‘’‚«»").strip()


def _device(mac: str, text: str) -> str:
    if mac == "F" * DIGITS:
        raise MacNotADevice(text=text, kind="broadcast")
    if mac == "0" * DIGITS:
        raise MacNotADevice(text=text, kind="null")
    if int(mac[:2], 16) & 1:
        raise MacNotADevice(text=text, kind="multicast")
    return mac


def looks_like_mac(text: str) -> bool:
    """Whether somebody meant a MAC here, right or wrong: it should then get a MAC's error, not a name's."""
    shown = _shown(text)
    if _NUMBER.fullmatch(shown) and "+" in shown:
        return True
    groups = [group for group in _SEPARATORS.split(shown) if group]
    digits = "".join(groups)
    separated = bool(re.search(r"[:\-]", shown)) and all(len(group) in (2, 4) for group in groups) and len(groups) >= 3
    bare = len(groups) == 1 and len(digits) >= DIGITS - 2
    return bool(_HEX.fullmatch(digits)) and (separated or bare or tuple(map(len, groups)) in _GROUPS)


def split_mac(text: str) -> tuple[str, str]:
    """The leading MAC of a line and the rest of it; the MAC is one token, or six pairs, or three quads.

    A short one is never completed from what follows: the error then names the short token.
    """
    tokens = text.strip().split()
    sizes = [len(unicodedata.normalize("NFKC", token)) for token in tokens]
    for count, size in ((6, 2), (3, 4)):
        head = tokens[:count]
        if len(head) == count and all(
            n == size and _HEX.fullmatch(unicodedata.normalize("NFKC", token))
            for n, token in zip(sizes, head, strict=False)
        ):
            return normalise(" ".join(head)), " ".join(tokens[count:])
    if not tokens:
        raise InvalidMac(text="")
    return normalise(tokens[0]), " ".join(tokens[1:])


def vendor(mac: str) -> str:
    """The organisation that the first three octets are registered to; empty where unknown (IEEE OUI registry).

    IEEE 802: the second lowest bit of the first octet marks an address that an administrator made up.
    """
    return _vendor_of(mac[:6]) if mac[1] in _REGISTERED else ""


@lru_cache(maxsize=4096)
def _vendor_of(prefix: str) -> str:
    from netaddr import EUI, NotRegisteredError  # whoever only normalises starts without the registry

    try:
        name = str(EUI(prefix + "0" * (DIGITS - len(prefix))).oui.registration()["org"])
    except (NotRegisteredError, IndexError):
        return ""
    return re.split(r"[\s,(]", name.strip())[0].title() if name else ""
