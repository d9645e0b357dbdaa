"""Activation codes: made, checked on entry, sealed for showing, hashed for verifying. No code in clear is ever kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from stdnum import damm
from stdnum.exceptions import ValidationError

from provisioning.errors import InvalidCode
from provisioning.model import ActivationCode, Authority

SEAL_VERSION = 1
_SIP = re.compile(r"^\*55\*(.*?)#?$")  # what a SIP phone dials to present its code
_NONCE = 12  # octets, NIST SP 800-38D


def generate(digits: int) -> str:
    """`digits` decimal digits, the last a Damm check digit: each single typo and neighbour swap is caught on entry."""
    body = "".join(str(secrets.randbelow(10)) for _ in range(digits - 1))
    return body + str(damm.calc_check_digit(body))


def normalise(text: str, digits: int) -> str:
    """The digits of a typed or dialled code. Errors: `InvalidCode` (length, check digit), which costs no try."""
    shown = unicodedata.normalize("NFKC", text).strip()
    dialled = _SIP.match(shown)
    code = re.sub(r"[\s\-.]", "", dialled[1] if dialled else shown)
    if len(code) != digits or not code.isascii() or not code.isdigit():
        raise InvalidCode
    try:
        damm.validate(code)
    except ValidationError:
        raise InvalidCode from None
    return code


def masked(text: str, digits: int) -> str:
    """The text with dots for every group of digits that is a code, so that what people note down keeps none."""
    groups, out, done = list(re.finditer(r"\d+", text)), "", 0
    for first, group in enumerate(groups):
        for last in groups[first:] if group.start() >= done else ():
            with suppress(InvalidCode):
                normalise(text[group.start() : last.end()], digits)
                out, done = f"{out}{text[done : group.start()]}••••", last.end()
                break
            if last.end() - group.start() > 4 * digits:
                break
    return out + text[done:]


@dataclass(frozen=True, slots=True)
class Key:
    """32 octets; sealing and verifying each derive their own (HKDF, RFC 5869), so neither gives the other away."""

    id: str
    secret: bytes = field(repr=False)

    def derive(self, purpose: str) -> bytes:
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(self.secret)


class Keyring:
    """Keys newest first: the first makes, all can read what they made."""

    def __init__(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise ValueError("a keyring needs a key")
        self._newest = keys[0].id
        self._seal = {key.id: AESGCM(key.derive("seal")) for key in keys}
        self._verify = {key.id: key.derive("verify") for key in keys}
        self._slots = keys[-1].derive("slots")  # the oldest: counters survive a rotation

    def issue(self, mac: str, code: str, issue: int, now: datetime, lifetime: timedelta, by: str) -> ActivationCode:
        """Seal and hash a code for one device. The seal is bound to version, MAC and issue number."""
        return ActivationCode(
            issue=issue,
            issued_at=now,
            expires_at=now + lifetime,
            issued_by=by,
            key_id=self._newest,
            sealed=self._sealed(code, _bound(mac, issue)),
            digest=self._digest(self._newest, mac, code),
        )

    def receive(
        self, mac: str, code: str, issue: int, made_at: datetime, lifetime: timedelta, by: str
    ) -> ActivationCode:
        """Seal a code of the Teams admin centre. It has no digest, so that our device API never accepts it."""
        return ActivationCode(
            issue=issue,
            issued_at=made_at,
            expires_at=made_at + lifetime,
            issued_by=by,
            key_id=self._newest,
            sealed=self._sealed(code, _bound(mac, issue)),
            digest=None,
            authority=Authority.TEAMS,
            mark=self.fingerprint("received", mac, code),
        )

    def received(self, mac: str, code: ActivationCode | None, text: str) -> bool:
        """Whether this very code of the Teams admin centre came before: the same file again brings nothing new."""
        return code is not None and hmac.compare_digest(code.mark, self.fingerprint("received", mac, text))

    def unseal(self, mac: str, code: ActivationCode) -> str:
        """The digits. Raises `ValueError` where the seal is gone or was not made for this MAC and issue."""
        if code.sealed is None or code.key_id not in self._seal:
            raise ValueError("there is no sealed code, or its key is not in CODE_KEYS")
        return self._opened(code.key_id, code.sealed, _bound(mac, code.issue))

    def wrap(self, mac: str, text: str, purpose: str = "upload") -> str:
        """A secret that waits for its use: sealed for this MAC and purpose alone, with the id of its key."""
        return f"{self._newest}:{self._sealed(text, _waiting(mac, purpose))}"

    def unwrap(self, mac: str, sealed: str, purpose: str = "upload") -> str:
        """What `wrap` sealed. Raises `ValueError` where it was not for this MAC and purpose, or its key is gone."""
        key_id, _, body = sealed.rpartition(":")
        if key_id not in self._seal:
            raise ValueError("the key of this code is not in CODE_KEYS")
        return self._opened(key_id, body, _waiting(mac, purpose))

    def matches(self, mac: str, code: ActivationCode | None, presented: str) -> bool:
        """Constant time, and the same work where there is nothing to compare with."""
        known = code is not None and code.digest is not None and code.key_id in self._verify
        key_id = code.key_id if known and code else self._newest
        expected = (code.digest if known and code else None) or "0" * 64
        return hmac.compare_digest(self._digest(key_id, mac, presented), expected) and known

    def fingerprint(self, *parts: str) -> str:
        """A keyed hash for slots and retry keys: tells nothing to whoever reads the store."""
        return hmac.new(self._slots, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()

    def _sealed(self, text: str, bound: bytes) -> str:
        nonce = secrets.token_bytes(_NONCE)
        return b64encode(nonce + self._seal[self._newest].encrypt(nonce, text.encode(), bound)).decode()

    def _opened(self, key_id: str, sealed: str, bound: bytes) -> str:
        raw = b64decode(sealed)
        try:
            return self._seal[key_id].decrypt(raw[:_NONCE], raw[_NONCE:], bound).decode()
        except InvalidTag:
            raise ValueError("the seal does not belong to this device") from None

    def _digest(self, key_id: str, mac: str, code: str) -> str:
        return hmac.new(self._verify[key_id], f"{mac}\x1f{code}".encode(), hashlib.sha256).hexdigest()


def _bound(mac: str, issue: int) -> bytes:
    return f"{SEAL_VERSION}\x1f{mac}\x1f{issue}".encode()


def _waiting(mac: str, purpose: str) -> bytes:
    return f"{SEAL_VERSION}\x1f{purpose}\x1f{mac}".encode()


def hash_token(token: str) -> str:
    """Tokens are 256 random bits, so a plain SHA-256 is enough to keep them."""
    return hashlib.sha256(token.encode()).hexdigest()
