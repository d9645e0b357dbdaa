"""Whom Teams' side and ours believe: the keys that sign inbound tokens, and the token our own calls carry.

Both replace parts of the SDK that block the event loop, ask anew on each turn and fail in an outage.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

log = structlog.get_logger(__name__)

Now = Callable[[], float]
Sessions = Callable[[], aiohttp.ClientSession]

KEYS_FRESH_FOR: Final = 24 * 3600.0  # seconds
KEYS_ASK_EVERY: Final = 60.0  # a stranger's invented key ids cause at most one look-up a minute
TOKEN_MARGIN: Final = 300.0  # a token is renewed this long before its end
FETCH_LIMIT: Final = aiohttp.ClientTimeout(total=5)


class KeysUnavailableError(Exception):
    """The key server does not answer and nothing is cached: nobody can be verified now. No fault of the caller."""


class UnknownKeyError(Exception):
    """No key of the issuer has this id."""


class TokenUnavailableError(Exception):
    """The identity provider gave no token for our own calls; `str()` is its error code, for the operator."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Has the two attributes that the SDK's token check reads from a key."""

    public_key: RSAPublicKey
    endorsements: list[str]


class SigningKeys:
    """The issuer's published keys, in the place of the SDK's cache.

    The SDK raises IndexError for an unknown key id before it looks for new keys, drops cached keys while the key
    server is down, and fetches with a blocking call without a time limit on the event loop.
    """

    def __init__(self, url: str, sessions: Sessions, now: Now = time.monotonic) -> None:
        self._url, self._sessions, self._now = url, sessions, now
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self, key_id: str | None) -> SigningKey:
        """Called by the SDK for every token. Errors: `UnknownKeyError`, `KeysUnavailableError`."""
        stale = self._now() - self._fetched_at > KEYS_FRESH_FOR
        if stale or key_id not in self._keys:
            await self._refresh()
        if not self._keys:
            raise KeysUnavailableError
        if key_id is None or key_id not in self._keys:
            raise UnknownKeyError
        return self._keys[key_id]

    async def _refresh(self) -> None:
        async with self._lock:
            if self._now() - self._asked_at < KEYS_ASK_EVERY:
                return
            self._asked_at = self._now()
            try:
                document = await self._fetch(self._url)
                published = await self._fetch(document["jwks_uri"])
                self._keys = dict(map(_signing_key, filter(_usable, published["keys"])))
                self._fetched_at = self._now()
            except (aiohttp.ClientError, TimeoutError, OSError, KeyError, TypeError, ValueError) as error:
                if not self._keys:
                    self._asked_at = float("-inf")  # nothing to fall back on: the next caller asks again
                log.warning("signing keys could not be fetched", error=type(error).__name__, cached=len(self._keys))

    async def _fetch(self, url: str) -> Any:
        async with self._sessions().get(url, timeout=FETCH_LIMIT, raise_for_status=True) as response:
            return await response.json(content_type=None)


def _usable(jwk: Mapping[str, Any]) -> bool:
    """RSA keys with an id that are endorsed for a channel; the SDK lets a key without endorsements sign for any."""
    return jwk.get("kty") == "RSA" and bool(jwk.get("kid")) and bool(jwk.get("endorsements"))


def _signing_key(jwk: Mapping[str, Any]) -> tuple[str, SigningKey]:
    numbers = RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"]))
    return str(jwk["kid"]), SigningKey(numbers.public_key(), list(jwk["endorsements"]))


def _number(text: str) -> int:
    """An integer as RFC 7518 writes it: base64url without padding, big-endian."""
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


@dataclass(frozen=True, slots=True)
class ScopedToken:
    """The token of one scope, for a caller that is no client of the SDK."""

    tokens: Tokens
    scope: str

    async def get(self) -> str:
        return await self.tokens.get(self.scope)

    def forget(self, token: str) -> None:
        self.tokens.forget(self.scope, token)


@dataclass(slots=True)
class _Token:
    value: str
    renew_at: float


class Tokens:
    """Access tokens for our own calls (OAuth 2.0 client credentials, RFC 6749 section 4.4), one per scope.

    The SDK makes a new MSAL application per turn, so it asks for a token in every turn, synchronously on the loop.
    """

    def __init__(self, url: str, app_id: str, password: str, sessions: Sessions, now: Now = time.monotonic) -> None:
        self._url, self._sessions, self._now = url, sessions, now
        self._form = {"grant_type": "client_credentials", "client_id": app_id, "client_secret": password}
        self._tokens: dict[str, _Token] = {}
        self._lock = asyncio.Lock()

    async def get(self, scope: str) -> str:
        """A token that is good for some minutes at least. Errors: `TokenUnavailableError`."""
        token = self._tokens.get(scope)
        if token is None or self._now() >= token.renew_at:
            async with self._lock:
                token = self._tokens.get(scope)  # somebody else may have fetched it while we waited
                if token is None or self._now() >= token.renew_at:
                    token = self._tokens[scope] = await self._fetch(scope)
        return token.value

    def forget(self, scope: str, value: str) -> None:
        """The connector refused this token; the next call fetches another."""
        token = self._tokens.get(scope)
        if token and token.value == value:
            del self._tokens[scope]

    async def _fetch(self, scope: str) -> _Token:
        form = {**self._form, "scope": scope.removesuffix("/.default") + "/.default"}
        try:
            async with self._sessions().post(self._url, data=form, timeout=FETCH_LIMIT) as response:
                answer = await response.json(content_type=None)
            lifetime = float(answer.get("expires_in", 3600))
            return _Token(str(answer["access_token"]), self._now() + max(lifetime - TOKEN_MARGIN, lifetime / 2))
        except KeyError:
            raise TokenUnavailableError(str(answer.get("error", "no token"))[:80]) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, AttributeError) as error:
            raise TokenUnavailableError(type(error).__name__) from None
