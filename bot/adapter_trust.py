"""Whom Teams' side and ours believe: the keys that sign inbound tokens, and the token our own calls carry.

Both replace parts of the SDK that block the event loop, ask anew on each turn and fail in an outage.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from bot.kept import Kept, Life
from provisioning.texts import N_, to_operator

log = structlog.get_logger(__name__)

Now = Callable[[], float]
Sessions = Callable[[], aiohttp.ClientSession]
Proof = Callable[[], Awaitable[Mapping[str, str]]]

MOST_KEYS: Final = 200
KEYS_AGAIN: Final = 1.0  # seconds: a stranger's token causes no more than one try in each where nothing is known yet
SHORTEST_KEY: Final = 2048  # bits (RFC 7518, 3.3)
TOKEN_MARGIN: Final = 300.0  # a token is renewed this long before its end
TOKEN_LIFE: Final = 3600.0  # of a token that does not say (RFC 6749, 5.1 leaves it to the documentation)
LONGEST_TOKEN: Final = 86_400.0  # a managed identity's lives a day; none is believed to live longer
LOOK_EVERY: Final = 60.0  # seconds from one look at the tokens in use to the next
FETCH_SECONDS: Final = 5.0  # for the whole of one look at keys, or of one request for a token
_CODE: Final = re.compile(r"[a-z_]{1,60}")
FETCH_LIMIT: Final = aiohttp.ClientTimeout(total=FETCH_SECONDS)


class KeysUnavailableError(Exception):
    """The key server does not answer and nothing is cached: nobody can be verified now. No fault of the caller."""


class UnknownKeyError(Exception):
    """No key of the issuer has this id."""


class TokenUnavailableError(Exception):
    """Nobody gave us a token for our own calls; `str()` is a sentence for the operator, without secrets."""

    sentence: Final = N_("No token for the bot's own calls ({reason}). Check its credentials and the way to Entra.")

    def __init__(self, reason: str) -> None:
        super().__init__(to_operator(self.sentence, reason=reason))
        self.reason = reason


# ------------------------------------------------------------------ theirs


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Has the two attributes that the SDK's token check reads from a key."""

    public_key: RSAPublicKey
    endorsements: list[str]


class SigningKeys:
    """The issuer's published keys, in the place of the SDK's cache.

    The SDK raises IndexError for an unknown key id before it looks for new keys, drops cached keys while the key
    server is down, and fetches with a blocking call without a time limit on the event loop.

    Whoever invents key ids makes us look at most once a minute, and each look finds all keys there are: a new key is
    unknown for a minute at the very most, however many strangers ask.
    """

    def __init__(self, url: str, sessions: Sessions, now: Now = time.monotonic) -> None:
        self._url, self._sessions = url, sessions
        self._kept = Kept("signing keys", self._fetch, now, KeysUnavailableError, again=KEYS_AGAIN)

    async def get(self, key_id: str | None) -> SigningKey:
        """Called by the SDK for every token. Errors: `UnknownKeyError`, `KeysUnavailableError`."""
        keys = await self._kept.get()
        if key_id not in keys and await self._kept.renew():
            keys = await self._kept.get()
        if key_id is None or key_id not in keys:
            raise UnknownKeyError
        return keys[key_id]

    async def close(self) -> None:
        await self._kept.close()

    async def _fetch(self) -> Mapping[str, SigningKey]:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                document = await self._read(self._url)
                published = await self._read(document["jwks_uri"])
            keys = _signing_keys(published["keys"])
        except (aiohttp.ClientError, TimeoutError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise KeysUnavailableError(type(error).__name__) from None
        if not keys:
            raise KeysUnavailableError("none usable")
        return keys

    async def _read(self, url: str) -> Any:
        async with self._sessions().get(url, raise_for_status=True) as response:
            return await response.json(content_type=None)


def _signing_keys(published: Any) -> dict[str, SigningKey]:
    """The usable ones of a JWK set (RFC 7517, 5: others are passed over)."""
    keys: dict[str, SigningKey] = {}
    for jwk in published[:MOST_KEYS]:
        try:
            if _usable(jwk):
                keys[jwk["kid"]] = SigningKey(_public_key(jwk), list(jwk["endorsements"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return keys


def _usable(jwk: Mapping[str, Any]) -> bool:
    """RSA keys with an id that are endorsed for a channel; the SDK lets a key without endorsements sign for any."""
    named = isinstance(jwk.get("kid"), str) and bool(jwk["kid"])
    endorsed = isinstance(jwk.get("endorsements"), list) and bool(jwk["endorsements"])
    return jwk.get("kty") == "RSA" and jwk.get("use", "sig") == "sig" and named and endorsed


def _public_key(jwk: Mapping[str, Any]) -> RSAPublicKey:
    key = RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
    if key.key_size < SHORTEST_KEY:
        raise ValueError("short key")
    return key


def _number(text: str) -> int:
    """An integer as RFC 7518 writes it: base64url without padding, big-endian."""
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


# ------------------------------------------------------------------ ours


@dataclass(frozen=True, slots=True)
class Granted:
    """An access token, and for how many seconds from when it was asked for."""

    value: str = field(repr=False)
    seconds: float


class Grants(Protocol):
    """Whoever gives tokens: a token endpoint, or the machine's managed identity."""

    async def grant(self, resource: str) -> Granted:
        """A new token for `https://…` as its owner names it. Errors: `TokenUnavailableError`."""


class Tokens:
    """Access tokens for our own calls, one per scope.

    The SDK makes a new MSAL application per turn, so it asks for a token in every turn, synchronously on the loop: an
    endpoint that takes 50 ms holds everybody up for as long. Here the old token serves until the new one is there.
    """

    def __init__(self, grants: Grants, now: Now = time.monotonic) -> None:
        self._grants, self._now = grants, now
        self._kept: dict[str, Kept[Granted]] = {}

    async def get(self, scope: str) -> str:
        """A token that is still good, renewed some minutes before its end. Errors: `TokenUnavailableError`.

        `scope`: the address of whose token it is, with or without `/.default`.
        """
        return (await self._of(scope).get()).value

    async def keep_fresh(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Until cancelled: what is in use is renewed before its end also while nobody calls, so that no turn waits.

        `sleep`: takes seconds.
        """
        while True:
            await sleep(LOOK_EVERY)
            for kept in list(self._kept.values()):
                with suppress(TokenUnavailableError):  # it stands in the log; whoever needs the token hears of it
                    await kept.get()

    def forget(self, scope: str, value: str) -> None:
        """Whoever we called refused this token; the next call fetches another."""
        kept = self._of(scope)
        if kept.held is not None and kept.held.value == value:
            kept.forget()

    async def close(self) -> None:
        for kept in self._kept.values():
            await kept.close()

    def _of(self, scope: str) -> Kept[Granted]:
        """Scopes are ours, and few."""
        resource = scope.removesuffix("/.default")
        if resource not in self._kept:
            self._kept[resource] = Kept(
                f"token for {resource}",
                lambda: self._grants.grant(resource),
                self._now,
                TokenUnavailableError,
                life=_life,
                patience=0.0,
            )
        return self._kept[resource]


def _life(granted: Granted) -> Life:
    """Renewed in time, but not all the time where tokens are short-lived; not used in the last seconds of its life."""
    return Life(
        fresh=max(granted.seconds - TOKEN_MARGIN, granted.seconds / 2),
        usable=granted.seconds - min(FETCH_SECONDS, granted.seconds / 10),
    )


@dataclass(frozen=True, slots=True)
class ScopedToken:
    """The token of one scope, for a caller that is no client of the SDK."""

    tokens: Tokens
    scope: str

    async def get(self) -> str:
        return await self.tokens.get(self.scope)

    def forget(self, token: str) -> None:
        self.tokens.forget(self.scope, token)


class ClientCredentials:
    """Tokens for a client that proves who it is at a token endpoint (RFC 6749, 4.4)."""

    def __init__(self, url: str, client_id: str, proof: Proof, sessions: Sessions) -> None:
        """`proof`: what the form says besides the id, a secret or an assertion. Errors: `TokenUnavailableError`."""
        self._url, self._client_id, self._proof, self._sessions = url, client_id, proof, sessions

    async def grant(self, resource: str) -> Granted:
        """As `Grants` has it."""
        form = {"grant_type": "client_credentials", "client_id": self._client_id, "scope": f"{resource}/.default"}
        form |= await self._proof()
        try:
            async with self._sessions().post(
                self._url, data=form, timeout=FETCH_LIMIT, allow_redirects=False
            ) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as error:
            raise TokenUnavailableError(type(error).__name__) from None
        return granted(answer)


def granted(answer: Any) -> Granted:
    """The token of an answer (RFC 6749, 5.1 and 5.2). Errors: `TokenUnavailableError` with its error code."""
    answer = answer if isinstance(answer, dict) else {}
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        code = _CODE.match(str(answer.get("error", "")))
        raise TokenUnavailableError(code[0] if code else "no token")
    try:
        seconds = float(answer.get("expires_in", TOKEN_LIFE))
    except (TypeError, ValueError, OverflowError):
        seconds = TOKEN_LIFE
    return Granted(token, seconds if 0 <= seconds <= LONGEST_TOKEN else TOKEN_LIFE)
