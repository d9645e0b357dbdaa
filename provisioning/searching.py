"""What people type to find devices: states in words, parts of a MAC in any notation; and the text they are found by."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import groupby

from provisioning.model import Device, State

FILTERS: Mapping[str, tuple[str, State | bool]] = {
    "waiting": ("state", State.WAITING_FOR_ACTIVATION),
    "activation": ("state", State.WAITING_FOR_ACTIVATION),
    "waiting for activation": ("state", State.WAITING_FOR_ACTIVATION),
    "awaiting activation": ("state", State.WAITING_FOR_ACTIVATION),
    "waiting on activation": ("state", State.WAITING_FOR_ACTIVATION),
    "sign-in": ("state", State.WAITING_FOR_SIGN_IN),
    "sign in": ("state", State.WAITING_FOR_SIGN_IN),
    "waiting for sign-in": ("state", State.WAITING_FOR_SIGN_IN),
    "waiting for sign in": ("state", State.WAITING_FOR_SIGN_IN),
    "awaiting sign-in": ("state", State.WAITING_FOR_SIGN_IN),
    "awaiting sign in": ("state", State.WAITING_FOR_SIGN_IN),
    "waiting on sign in": ("state", State.WAITING_FOR_SIGN_IN),
    "signed-in": ("state", State.SIGNED_IN),
    "signed in": ("state", State.SIGNED_IN),
    "signed-out": ("state", State.SIGNED_OUT),
    "signed out": ("state", State.SIGNED_OUT),
    "stale": ("stale", True),
    "problem": ("problem", True),
    "problems": ("problem", True),
}
# What people call a maker → the first word of its entry in the registry.
MAKERS: Mapping[str, str] = {
    "yealink": "yealink",
    "poly": "polycom",
    "polycom": "polycom",
    "audiocodes": "audio",
    "crestron": "crestron",
    "logitech": "logitech",
    "lenovo": "lenovo",
    "cisco": "cisco",
    "snom": "snom",
    "hp": "hewlett",
}
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_MAC_PART = re.compile(r"[0-9a-f]+(?:[:.\-][0-9a-f]+)+")
_PIECE = re.compile("(?:[0-9a-f]{2}|[0-9a-f]{4})")
LEAST_DIGITS = 4  # of a MAC that something is found by


def text_of(device: Device) -> str:
    """What people know it by, case-folded; its MAC in pairs and in quads, as switches and admin centres write it."""
    mac = device.mac
    a, b, c, d, e, f = mac[:2], mac[2:4], mac[4:6], mac[6:8], mac[8:10], mac[10:]
    macs = f"{mac}\n{a}-{b}-{c}-{d}-{e}-{f}\n{a}:{b}:{c}:{d}:{e}:{f}\n{a}{b}.{c}{d}.{e}{f}\n{a}{b}-{c}{d}-{e}{f}"
    written = (device.location, macs, device.account, device.asset_tag, device.notes, device.model, *device.tags)
    return "\n".join(written).casefold()


def texts_of(words: Sequence[str]) -> list[tuple[str, int]]:
    """The parts that a device's text has to hold, and of how many words each is: pairs of a MAC in a row are one."""
    texts: list[tuple[str, int]] = []
    for are_pieces, group in groupby(map(searched, words), key=lambda word: bool(_PIECE.fullmatch(word))):
        run = list(group)
        together = are_pieces and len(run) > 1 and (len(run) > 2 or not "".join(run).isdigit())
        texts += [("".join(run), len(run))] if together else [(word, 1) for word in run]
    return texts


def searched(word: str) -> str:
    """A word as it stands in a device's text; a part of a MAC that nobody writes so becomes its bare digits.

    Numbers of rooms have dots and dashes too (`10.12`), so bare decimals stay as they are.
    """
    folded = _DASHES.sub("-", unicodedata.normalize("NFKC", word)).casefold()
    digits = re.sub(r"[:.\-]", "", folded)
    if not _MAC_PART.fullmatch(folded) or len(digits) < LEAST_DIGITS or (digits.isdigit() and ":" not in folded):
        return folded
    in_pairs = all(len(part) == len("c0") for part in re.split("[:-]", folded)) and not {":", "-"} <= set(folded)
    return folded if in_pairs else digits
