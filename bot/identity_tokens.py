"""ID tokens, believed only after everything in them was checked (OpenID Connect Core 1.0, 3.1.3.7). Pure: no request.

Only signatures that need the provider's private key count; `none` and the HMACs, whose key we would share, never do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import CompactSignature, JWSRegistry

from provisioning.provider_errors import ClockOff, DiscoveryWrong, OtherTenant, TokenUntrusted
from provisioning.signin import Account

LEEWAY: Final = 300.0  # seconds that two clocks may differ
LONGEST_SUBJECT: Final = 255  # OpenID Connect Core 1.0, 2
LONGEST_NAME: Final = 320
LATEST: Final = 1e11  # seconds since 1970
MOST_KEYS: Final = 100
SHORTEST_RSA: Final = 342  # base64url digits of a modulus of 2048 bits (RFC 7518, 3.3)

# Which keys an algorithm takes: (kty, curves) as RFC 7518, 3.1, RFC 8037, 3.1 and RFC 9864, 2 have it.
ALGORITHMS: Final[Mapping[str, tuple[str, tuple[str | None, ...]]]] = {
    **{f"{family}{size}": ("RSA", (None,)) for family in ("RS", "PS") for size in (256, 384, 512)},
    "ES256": ("EC", ("P-256",)),
    "ES384": ("EC", ("P-384",)),
    "ES512": ("EC", ("P-521",)),
    "EdDSA": ("OKP", ("Ed25519", "Ed448")),
    "Ed25519": ("OKP", ("Ed25519",)),
}
_BROKEN: Final = (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError, RecursionError)
_TENANT: Final = re.compile(r"[0-9A-Za-z-]{1,64}")


class UnknownKey(Exception):
    """No key we have signed this token; newer ones may. No verdict on the token."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A public key of the provider (RFC 7517, 4), and what it may sign."""

    key: Key
    kid: str
    kty: str
    curve: str | None
    algorithm: str  # the only one it is for; empty: any that fits
    issuer: str  # Entra's: whose tokens it signs; may hold `{tenantid}`; empty: the provider's

    def fits(self, algorithm: str) -> bool:
        kty, curves = ALGORITHMS[algorithm]
        return self.kty == kty and self.curve in curves and self.algorithm in ("", algorithm)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to say."""

    issuer: str
    client_id: str
    algorithms: Collection[str]
    issuer_tenant: str = ""  # the tenant id in an Entra issuer; empty for any other provider
    tenant: str = ""  # the configured tenant id, where one counts


def read_keys(document: Mapping[str, Any]) -> Sequence[PublishedKey]:
    """The usable keys of a JWK set (RFC 7517, 5: others are passed over). Errors: `DiscoveryWrong` without any."""
    listed = document.get("keys")
    keys = list(_usable(listed[:MOST_KEYS])) if isinstance(listed, list) else []
    if not keys:
        raise DiscoveryWrong("jwks_uri")
    return keys


def _usable(listed: Sequence[Any]) -> Iterator[PublishedKey]:
    for jwk in listed:
        try:
            if _is_usable(jwk):
                yield _published_key(jwk)
        except _BROKEN:
            continue


def _is_usable(jwk: Mapping[str, Any]) -> bool:
    """A key that may verify; no symmetric one, whoever publishes it, and no RSA key that is too short."""
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        return False
    return jwk["kty"] in ("EC", "OKP") or (jwk["kty"] == "RSA" and len(jwk["n"]) >= SHORTEST_RSA)


def _published_key(jwk: Mapping[str, Any]) -> PublishedKey:
    words = {name: value for name, value in jwk.items() if isinstance(value, str)}
    return PublishedKey(
        key=JWKRegistry.import_key(dict(jwk)),
        kid=words.get("kid", ""),
        kty=words["kty"],
        curve=words.get("crv"),
        algorithm=words.get("alg", ""),
        issuer=words.get("issuer", ""),
    )


class _Registry(JWSRegistry):
    """Room for a certificate in the header, which is not read; unknown members are ignored (RFC 7515, 4)."""

    max_header_length = 16 * 1024

    def __init__(self) -> None:
        super().__init__(algorithms=list(ALGORITHMS), strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Without the library's warning on `EdDSA`, which RFC 9864 calls deprecated, and providers still use."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


_REGISTRY: Final = _Registry()


def verified(token: str, keys: Sequence[PublishedKey], expected: Expected, now: datetime) -> Account:
    """Whose token it is.

    Errors: `UnknownKey`; `TokenUntrusted` with the name of what is wrong; `ClockOff`; `OtherTenant`.
    """
    try:
        parts = jws.extract_compact(token.encode("ascii"), registry=_REGISTRY)
        header = parts.headers()
        algorithm, kid = header["alg"], header.get("kid")
    except _BROKEN:
        raise TokenUntrusted("id_token") from None
    if not isinstance(algorithm, str) or algorithm not in expected.algorithms or algorithm not in ALGORITHMS:
        raise TokenUntrusted("alg")
    if "crit" in header or "b64" in header:
        raise TokenUntrusted("crit")  # RFC 7515, 4.1.11: we understand none
    able = [key for key in keys if key.fits(algorithm) and (kid is None or key.kid == kid)]
    if not able or (kid is None and len(able) > 1):
        raise UnknownKey
    signer = next((key for key in able if _signed(parts, key)), None)
    if signer is None:
        raise TokenUntrusted("signature")
    return _account(_claims(parts.payload), signer, expected, now.timestamp())


def _signed(parts: CompactSignature, key: PublishedKey) -> bool:
    try:
        return jws.validate_compact(parts, key.key, registry=_REGISTRY)
    except _BROKEN:
        return False


def _claims(payload: bytes) -> Mapping[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise TokenUntrusted("id_token")
    return claims


def _account(claims: Mapping[str, Any], signer: PublishedKey, expected: Expected, now: float) -> Account:
    tenant = _tenant(claims, signer, expected)
    _check_audience(claims, expected.client_id)
    _check_times(claims, now)
    subject = _text(claims.get("sub"), LONGEST_SUBJECT)
    if not subject:
        raise TokenUntrusted("sub")
    verified_email = claims.get("email_verified", True) not in (False, "false")
    names: dict[str, str] = {}
    for claim in ("preferred_username", "upn", "email"):
        name = _text(claims.get(claim), LONGEST_NAME)
        if name and (claim != "email" or verified_email):
            names.setdefault(name.casefold(), name)
    return Account(id=_text(claims.get("oid"), LONGEST_SUBJECT) or subject, names=tuple(names.values()), tenant=tenant)


def _tenant(claims: Mapping[str, Any], signer: PublishedKey, expected: Expected) -> str:
    """The issuer is ours, and of Entra the tenant too: its tenants share their keys, so all that names one must agree.

    An issuer that differs by its tenant alone is somebody's from elsewhere, not a forgery.
    """
    issuer, tid, home = claims.get("iss"), claims.get("tid"), expected.issuer_tenant
    tenant = tid if isinstance(tid, str) and _TENANT.fullmatch(tid) else ""
    if issuer != expected.issuer:
        elsewhere = re.escape(expected.issuer).replace(re.escape(home), "[0-9A-Fa-f-]{36}") if home else ""
        if elsewhere and isinstance(issuer, str) and re.fullmatch(elsewhere, issuer):
            raise OtherTenant
        raise TokenUntrusted("iss")
    if not home:
        return tenant
    if not tenant:
        raise TokenUntrusted("tid")
    if tenant.casefold() != home.casefold() or tenant.casefold() != (expected.tenant or home).casefold():
        raise OtherTenant
    if signer.issuer and signer.issuer.replace("{tenantid}", home) != expected.issuer:
        raise TokenUntrusted("iss")
    return tenant


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    """OpenID Connect Core 1.0, 3.1.3.7, steps 3 to 5."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise TokenUntrusted("aud")
    if claims.get("azp", None if len(audiences) > 1 else client_id) != client_id:
        raise TokenUntrusted("azp")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    """RFC 7519, 4.1.4 to 4.1.6. The token was issued this moment, so one from another time shows that clocks differ.

    One issued long ago that is still good passes: Entra dates its tokens back by five minutes.
    """
    issued, ends, starts = _moment(claims, "iat"), _moment(claims, "exp"), _moment(claims, "nbf", 0)
    over = now >= ends + LEEWAY
    if issued > now + LEEWAY or (over and now > issued + LEEWAY):
        raise ClockOff(str(round(abs(now - issued) / 60)))
    if over:
        raise TokenUntrusted("exp")
    if starts > now + LEEWAY:
        raise TokenUntrusted("nbf")


def _moment(claims: Mapping[str, Any], name: str, default: float | None = None) -> float:
    """Seconds since 1970 (RFC 7519, 2: NumericDate)."""
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST:
        raise TokenUntrusted(name)
    return float(value)


def _text(value: Any, longest: int) -> str:
    """A claim as it goes on a card: one line of printable characters; anything else counts as not there."""
    return value if isinstance(value, str) and len(value) <= longest and value.isprintable() else ""
