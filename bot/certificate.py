"""The certificate that the bot proves with who it is, in the place of a client secret (RFC 7523, 2.2)."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from joserfc import jwt
from joserfc.jwk import RSAKey

from bot.adapter_trust import TokenUnavailableError
from bot.private_files import NotPrivate, read_private
from provisioning.texts import _

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523, 2.2
ASSERTION_SECONDS: Final = 300  # Entra asks for 5 to 10 minutes at most
ALGORITHM: Final = "PS256"  # and `x5t#S256`, as Entra documents its certificate credentials
SHORTEST_KEY: Final = 2048  # bits (RFC 7518, 3.5)
MAX_FILE: Final = 64 * 1024


class BadCertificate(ValueError):
    """A certificate file that cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A private key and the certificate that Entra knows it by."""

    key: RSAKey = field(repr=False)
    thumbprint: str  # base64url of the SHA-256 of its DER
    ends: datetime


def read_certificate(path: Path, now: datetime) -> Certificate:
    """The key of a PEM file and the certificate for it; others, as of a chain, are passed over.

    Errors: `BadCertificate`.
    """
    try:
        text = read_private(path, MAX_FILE)
    except NotPrivate as fault:
        raise BadCertificate(_("{path}: {reason}", path=path, reason=fault)) from None
    except OSError as error:
        raise BadCertificate(_("{path} cannot be read: {why}.", path=path, why=error.strerror)) from None
    key = _private_key(text, path)
    try:
        chain = x509.load_pem_x509_certificates(text)
    except ValueError:
        chain = []
    public = key.public_key()
    own = next((each for each in chain if each.public_key() == public), None)
    if own is None:
        raise BadCertificate(_("{path} holds no certificate for its private key. Put both in, as PEM.", path=path))
    if not own.not_valid_before_utc <= now < own.not_valid_after_utc:
        first, last = own.not_valid_before_utc.date(), own.not_valid_after_utc.date()
        raise BadCertificate(
            _("{path} is valid from {first} to {last}, not now. Make a new one.", path=path, first=first, last=last)
        )
    thumbprint = urlsafe_b64encode(hashlib.sha256(own.public_bytes(Encoding.DER)).digest()).rstrip(b"=").decode()
    return Certificate(RSAKey.import_key(key), thumbprint, own.not_valid_after_utc)


def _private_key(text: bytes, path: Path) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(text, password=None)
    except TypeError:
        raise BadCertificate(_("{path}: its key has a password. Put it in without (openssl rsa).", path=path)) from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadCertificate(_("{path} holds no private key. Put one in, as PEM.", path=path)) from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < SHORTEST_KEY:
        raise BadCertificate(_("{path}: its key is not RSA of 2048 bits or more, which Entra wants.", path=path))
    return key


def assertion(certificate: Certificate, client_id: str, audience: str, now: float) -> str:
    """A signed word of who we are, for `audience` alone, good once and for minutes (RFC 7523, 3). `now`: Unix time."""
    header = {"alg": ALGORITHM, "typ": "JWT", "x5t#S256": certificate.thumbprint}
    claims = {
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": str(uuid.uuid4()),
        "nbf": int(now),
        "iat": int(now),
        "exp": int(now) + ASSERTION_SECONDS,
    }
    return jwt.encode(header, claims, certificate.key, algorithms=[ALGORITHM])


class CertificateProof:
    """What a token request says where a certificate stands for the secret.

    The file is read for each request, once an hour or so: a certificate that was renewed counts without a restart.
    """

    def __init__(self, path: Path, client_id: str, audience: str) -> None:
        """`audience`: the token endpoint."""
        self._path, self._client_id, self._audience = path, client_id, audience

    async def __call__(self) -> Mapping[str, str]:
        """Errors: `TokenUnavailableError`."""
        return await asyncio.to_thread(self._form)

    def _form(self) -> Mapping[str, str]:
        try:
            certificate = read_certificate(self._path, datetime.now(UTC))
        except BadCertificate as bad:
            raise TokenUnavailableError(str(bad)) from None
        signed = assertion(certificate, self._client_id, self._audience, time.time())
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
