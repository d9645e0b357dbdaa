"""Activation codes: made, checked on entry, sealed for showing, hashed for verifying. No code in clear is ever kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from stdnum import damm
from stdnum.exceptions import ValidationError

from provisioning.errors import InvalidCode
from provisioning.model import ActivationCode, Authority
from provisioning.texts import _

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
    counters: bytes = field(default=b"", repr=False)  # of the oldest: what counters were keyed with before it was that

    def derive(self, purpose: str) -> bytes:
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(self.secret)


@dataclass(frozen=True, slots=True)
class _Ring:
    """The keys of one moment, with what is derived from them. The first makes."""

    keys: tuple[Key, ...]
    seal: Mapping[str, AESGCM]
    verify: Mapping[str, bytes]
    marks: Mapping[str, bytes]
    counters: bytes  # the same for ever, as far as can be: limits and words about networks outlive a change of keys

    @classmethod
    def of(cls, keys: Sequence[Key]) -> _Ring:
        if not keys:
            raise ValueError("a keyring needs a key")
        return cls(
            tuple(keys),
            {key.id: AESGCM(key.derive("seal")) for key in keys},
            {key.id: key.derive("verify") for key in keys},
            {key.id: key.derive("slots") for key in keys},
            keys[-1].counters or keys[-1].derive("slots"),
        )

    @property
    def newest(self) -> str:
        return self.keys[0].id

    def sealed(self, text: str, bound: bytes) -> str:
        nonce = secrets.token_bytes(_NONCE)
        return b64encode(nonce + self.seal[self.newest].encrypt(nonce, text.encode(), bound)).decode()

    def opened(self, key_id: str, sealed: str, bound: bytes) -> str:
        raw = b64decode(sealed)
        try:
            return self.seal[key_id].decrypt(raw[:_NONCE], raw[_NONCE:], bound).decode()
        except InvalidTag:
            raise ValueError("the seal does not belong to this device") from None

    def digest(self, key_id: str, mac: str, code: str) -> str:
        return _hmac(self.verify[key_id], mac, code)


class Keyring:
    """Keys newest first: the first makes, all can read what they made. The keys can be replaced while it is in use."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._ring = _Ring.of(keys)

    @property
    def ids(self) -> tuple[str, ...]:
        """Of its keys, the newest first."""
        return tuple(key.id for key in self._ring.keys)

    def take(self, keys: Sequence[Key]) -> bool:
        """These keys from now on, in one step; False where they are those it has.

        Errors: `ValueError` where they cannot follow on those it has: what its first key makes has to stay readable,
        and an id stands for one key for ever.
        """
        ring, fresh = self._ring, _Ring.of(keys)
        if fresh.keys == ring.keys:
            return False
        known = {key.id: key.secret for key in ring.keys}
        changed = [key.id for key in keys if known.get(key.id, key.secret) != key.secret]
        if changed:
            raise ValueError(_("Key {id} is another one than before. Give a new key a new id.", id=changed[0]))
        if ring.newest not in {key.id for key in keys}:
            raise ValueError(_("Key {id}, which codes are made with now, is not among them.", id=ring.newest))
        self._ring = fresh
        return True

    def issue(self, mac: str, code: str, issue: int, now: datetime, lifetime: timedelta, by: str) -> ActivationCode:
        """Seal and hash a code for one device. The seal is bound to version, MAC and issue number."""
        ring = self._ring
        return ActivationCode(
            issue=issue,
            issued_at=now,
            expires_at=now + lifetime,
            issued_by=by,
            key_id=ring.newest,
            sealed=ring.sealed(code, _bound(mac, issue)),
            digest=ring.digest(ring.newest, mac, code),
        )

    def receive(
        self, mac: str, code: str, issue: int, made_at: datetime, lifetime: timedelta, by: str
    ) -> ActivationCode:
        """Seal a code of the Teams admin centre. It has no digest, so that our device API never accepts it."""
        ring = self._ring
        return ActivationCode(
            issue=issue,
            issued_at=made_at,
            expires_at=made_at + lifetime,
            issued_by=by,
            key_id=ring.newest,
            sealed=ring.sealed(code, _bound(mac, issue)),
            digest=None,
            authority=Authority.TEAMS,
            mark=_signed(ring, ring.newest, "received", mac, code),
        )

    def received(self, mac: str, code: ActivationCode | None, text: str) -> bool:
        """Whether this very code of the Teams admin centre came before: the same file again brings nothing new."""
        return code is not None and self.signed(code.mark, "received", mac, text)

    def unseal(self, mac: str, code: ActivationCode) -> str:
        """The digits. Raises `ValueError` where the seal is gone or was not made for this MAC and issue."""
        ring = self._ring
        if code.sealed is None or code.key_id not in ring.seal:
            raise ValueError("there is no sealed code, or its key is not in CODE_KEYS")
        return ring.opened(code.key_id, code.sealed, _bound(mac, code.issue))

    def wrap(self, mac: str, text: str, purpose: str = "upload") -> str:
        """A secret that waits for its use: sealed for this MAC and purpose alone, with the id of its key."""
        ring = self._ring
        return f"{ring.newest}:{ring.sealed(text, _waiting(mac, purpose))}"

    def unwrap(self, mac: str, sealed: str, purpose: str = "upload") -> str:
        """What `wrap` sealed. Raises `ValueError` where it was not for this MAC and purpose, or its key is gone."""
        ring, (key_id, _colon, body) = self._ring, sealed.rpartition(":")
        if key_id not in ring.seal:
            raise ValueError("the key of this code is not in CODE_KEYS")
        return ring.opened(key_id, body, _waiting(mac, purpose))

    def matches(self, mac: str, code: ActivationCode | None, presented: str) -> bool:
        """Constant time, and the same work where there is nothing to compare with."""
        ring = self._ring
        known = code is not None and code.digest is not None and code.key_id in ring.verify
        key_id = code.key_id if known and code else ring.newest
        expected = (code.digest if known and code else None) or "0" * 64
        return hmac.compare_digest(ring.digest(key_id, mac, presented), expected) and known

    def sign(self, *parts: str) -> str:
        """A keyed hash with the id of its key, `id:hex`, for `signed`: tells nothing to whoever reads the store."""
        return _signed(self._ring, self._ring.newest, *parts)

    def signed(self, text: str, *parts: str) -> bool:
        """Whether `sign` made this of these parts, under any of the keys; the same work whatever the text is.

        What was signed before hashes named their key is the bare hash.
        """
        bare = text.rpartition(":")[2].encode()
        equal = [hmac.compare_digest(bare, _hmac(key, *parts).encode()) for key in self._ring.marks.values()]
        return any(equal)

    def fingerprints(self, *parts: str) -> Mapping[str, str]:
        """The keyed hash under each key, by its id: for what is shortened, and so cannot name its key."""
        return {key_id: _hmac(key, *parts) for key_id, key in self._ring.marks.items()}

    def fingerprint(self, *parts: str) -> str:
        """A keyed hash for counters: tells nothing to whoever reads the store, and does not change with the keys."""
        return _hmac(self._ring.counters, *parts)


def following(former: Sequence[Key], keys: Sequence[Key]) -> tuple[Key, ...]:
    """These keys in the place of the former ones, with counters keyed as before."""
    counters = former[-1].counters or former[-1].derive("slots")
    bare = [replace(key, counters=b"") for key in keys]
    return (*bare[:-1], replace(bare[-1], counters=counters))


def key_of(text: str) -> str:
    """The id of the key that `sign` or `wrap` used; empty for what was signed before hashes named their key."""
    return text.rpartition(":")[0]


def _signed(ring: _Ring, key_id: str, *parts: str) -> str:
    return f"{key_id}:{_hmac(ring.marks[key_id], *parts)}"


def _hmac(key: bytes, *parts: str) -> str:
    return hmac.digest(key, "\x1f".join(parts).encode(), "sha256").hex()  # at one go: a third of what an object takes


def _bound(mac: str, issue: int) -> bytes:
    return f"{SEAL_VERSION}\x1f{mac}\x1f{issue}".encode()


def _waiting(mac: str, purpose: str) -> bytes:
    return f"{SEAL_VERSION}\x1f{purpose}\x1f{mac}".encode()


def hash_token(token: str) -> str:
    """Tokens are 256 random bits, so a plain SHA-256 is enough to keep them."""
    return hashlib.sha256(token.encode()).hexdigest()
