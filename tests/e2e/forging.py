"""ID tokens that must be refused: each kind of forgery by its name, written by hand so that no library objects."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Answer = dict[str, Any]
Signer = Callable[[bytes], bytes]

KINDS = (
    "alg none",
    "alg None, in capitals",
    "HS256 with the public key",
    "HS256 with the client secret",
    "another key under the right kid",
    "an unknown kid",
    "no kid",
    "its own key in the header",
    "its key behind an address in the header",
    "tampered with",
    "signature cut off",
    "crit that nobody knows",
    "not a token",
    "a number",
    "missing",
)  # a signature, a header or a form is wrong
CLAIMS: dict[str, Callable[[Answer], Answer]] = {
    "another issuer": lambda claims: claims | {"iss": "http://127.0.0.1:9"},
    "no issuer": lambda claims: _without(claims, "iss"),
    "another audience": lambda claims: claims | {"aud": "somebody-else"},
    "no audience": lambda claims: _without(claims, "aud"),
    "another party's among the audience": lambda claims: claims | {"aud": [claims["aud"], "b"], "azp": "b"},
    "expired": lambda claims: claims | {"iat": claims["iat"] - 7200, "exp": claims["iat"] - 3600},
    "no expiry": lambda claims: _without(claims, "exp"),
    "expiry in words": lambda claims: claims | {"exp": "tomorrow"},
    "no subject": lambda claims: _without(claims, "sub", "oid"),
    "valid only tomorrow": lambda claims: claims | {"nbf": claims["iat"] + 86400},
}  # the signature is right, what is claimed is not


def _without(claims: Answer, *names: str) -> Answer:
    return {name: value for name, value in claims.items() if name not in names}


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jws(header: Answer, claims: Answer, sign: Signer) -> str:
    """A compact JWS of whatever is asked for (RFC 7515, 7.1)."""
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{encoded(sign(signed.encode()))}"


class Key:
    """An RSA key that signs RS256."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def sign(self, content: bytes) -> bytes:
        return self._private.sign(content, padding.PKCS1v15(), hashes.SHA256())

    @property
    def jwk(self) -> Answer:
        numbers = self._private.public_key().public_numbers()
        n, e = (encoded(each.to_bytes((each.bit_length() + 7) // 8)) for each in (numbers.n, numbers.e))
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": n, "e": e}


class Forger:
    """Makes forgeries of the token that the provider just gave. `published` is in the provider's key set."""

    def __init__(self) -> None:
        self._own = Key("published by the layer")
        self._foreign = Key("nobody knows this one")
        self._header: Answer = {}
        self._claims: Answer = {}

    @property
    def published(self) -> Answer:
        return self._own.jwk

    def learns(self, answer: Answer) -> None:
        """What the true token says."""
        self._header, self._claims = (json.loads(decoded(part)) for part in answer["id_token"].split(".")[:2])

    def resigned(self, change: Callable[[Answer], Answer], answer: Answer) -> Answer:
        self.learns(answer)
        header = {"alg": "RS256", "typ": "JWT", "kid": self._own.kid}
        return answer | {"id_token": jws(header, change(self._claims), self._own.sign)}

    def forged(self, kind: str, answer: Answer) -> Answer:
        """The answer with a forged ID token in it, of somebody else where that can be."""
        if kind == "missing":
            return _without(answer, "id_token")
        return answer | {"id_token": self._forgery(kind, answer["id_token"])}

    def _forgery(self, kind: str, true: str) -> Any:
        header, own, foreign = self._header, self._own, self._foreign
        claims = self._claims | {"preferred_username": "ceo@contoso.example"}
        rs256 = header | {"alg": "RS256"}
        signed = true.split(".")
        forgeries: dict[str, Callable[[], Any]] = {
            "alg none": lambda: jws(header | {"alg": "none"}, claims, lambda _: b""),
            "alg None, in capitals": lambda: jws(header | {"alg": "NONE"}, claims, lambda _: b""),
            "HS256 with the public key": lambda: jws(
                {"alg": "HS256", "kid": own.kid}, claims, _hmac(json.dumps(own.jwk).encode())
            ),
            "HS256 with the client secret": lambda: jws(header | {"alg": "HS256"}, claims, _hmac(SECRET.encode())),
            "another key under the right kid": lambda: jws(rs256, claims, foreign.sign),
            "an unknown kid": lambda: jws(rs256 | {"kid": foreign.kid}, claims, foreign.sign),
            "no kid": lambda: jws({"alg": "RS256"}, claims, foreign.sign),
            "its own key in the header": lambda: jws(rs256 | {"jwk": foreign.jwk}, claims, foreign.sign),
            "its key behind an address in the header": lambda: jws(
                rs256 | {"kid": foreign.kid, "jku": claims["iss"] + "/forged", "x5u": claims["iss"] + "/forged"},
                claims,
                foreign.sign,
            ),
            "tampered with": lambda: ".".join((signed[0], encoded(json.dumps(claims).encode()), signed[2])),
            "signature cut off": lambda: ".".join((*signed[:2], "")),
            "crit that nobody knows": lambda: jws(
                {"alg": "RS256", "kid": own.kid, "crit": ["only-we"], "only-we": True}, claims, own.sign
            ),
            "not a token": lambda: "eyJhbGciOi.is not.one",
            "a number": lambda: 42,
        }
        return forgeries[kind]()


SECRET = 'a secret: 100% "odd" +'  # of the client `confidential`, see provider.mjs


def _hmac(secret: bytes) -> Signer:
    return lambda content: hmac.digest(secret, content, hashlib.sha256)
