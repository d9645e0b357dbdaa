"""An OpenID provider with device flow, as a real server on loopback: it answers what a test wants, and counts.

async with OpenId(clock.now) as openid:
    grant = await provider.begin()
    openid.answers["token"] = refusal("slow_down")  # that answer until another is set
    openid.approves(sub="7", preferred_username="room@contoso.com")
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import ssl
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Self

from aiohttp import web
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

CLIENT_ID = "provisioning"
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
DEVICE_CODE = "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"

Body = Mapping[str, Any] | list[Any] | str | bytes


@dataclass(frozen=True)
class Answer:
    """JSON, or any other text or bytes. "hangs" never comes, "drops" closes the connection."""

    body: Body = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(error: str, status: int = 400, **more: Any) -> Answer:
    return Answer({"error": error, "error_description": "words for nobody", **more}, status)


HANGS, DROPS = Answer("hangs"), Answer("drops")


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    form: Mapping[str, str]
    headers: Mapping[str, str]
    path: str


@cache
def new_key(algorithm: str, kid: str) -> Key:
    """A private key; the same for the same name, as they take time to make."""
    about: Any = {"kid": kid, "use": "sig"}
    if algorithm in CURVES:
        return ECKey.generate_key(CURVES[algorithm], about)
    if algorithm in ("EdDSA", "Ed25519"):
        return OKPKey.generate_key("Ed25519", about)
    return RSAKey.generate_key(2048, about)


def signed(header: Mapping[str, Any], claims: object, key: Key | None) -> str:
    """A compact JWS; without a key one of algorithm `none`."""
    text = f"{_base64(json.dumps(header).encode())}.{_base64(json.dumps(claims).encode())}"
    if key is None:
        return f"{text}."
    return f"{text}.{_base64(JWSRegistry.algorithms[header['alg']].sign(text.encode(), key))}"


def _base64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def hmac_of_public(key: Key, claims: object) -> str:
    """The classic forgery: HS256 with the published key as the secret."""
    text = signed({"alg": "HS256", "kid": key.kid}, claims, None).removesuffix(".")
    secret = key.as_pem(private=False)  # type: ignore[union-attr]
    return f"{text}.{_base64(hmac.digest(secret, text.encode(), 'sha256'))}"


class OpenId:
    """One provider. `answers` replaces what an endpoint says: "discovery", "device", "token", "keys"."""

    def __init__(self, now: Callable[[], datetime], tls: ssl.SSLContext | None = None, issuer: str = "") -> None:
        self._now, self._tls, self._issuer = now, tls, issuer
        self.answers: dict[str, Answer] = {}
        self.next: dict[str, deque[Answer]] = defaultdict(deque)  # each for one request, before `answers`
        self.document: dict[str, Any] = {}  # replaces members of the discovery document; None removes one
        self.asked: dict[str, list[Asked]] = {name: [] for name in ("discovery", "device", "token", "keys")}
        self.published: list[Key] = []
        self.key_members: dict[str, Any] = {}
        self.port = 0
        self._released = asyncio.Event()
        self._heard: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._runner: web.AppRunner | None = None
        self.rotate("k1")

    @property
    def root(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        return self._issuer or self.root

    @property
    def counts(self) -> Counter[str]:
        """How often each endpoint was asked, of those that were."""
        return +Counter({name: len(asked) for name, asked in self.asked.items()})

    def rotate(self, kid: str, algorithm: str = "RS256", *, keep: bool = False) -> None:
        """Signs with another key from now on, and publishes that one alone, or beside the others."""
        self.algorithm, self.key = algorithm, new_key(algorithm, kid)
        self.published = [*(self.published if keep else []), self.key]

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What a sound token says; None leaves a claim out."""
        now = int(self._now().timestamp())
        sound = {"iss": self.issuer, "aud": CLIENT_ID, "sub": "248289761001", "iat": now, "exp": now + 3600}
        return {name: value for name, value in {**sound, **changed}.items() if value is not None}

    def token(self, header: Mapping[str, Any] | None = None, **changed: Any) -> str:
        given = {"alg": self.algorithm, "kid": self.key.kid, "typ": "JWT", **(header or {})}
        head = {name: value for name, value in given.items() if value is not None}
        return signed(head, self.claims(**changed), self.key)

    def approves(self, header: Mapping[str, Any] | None = None, **changed: Any) -> None:
        """Somebody typed the code."""
        self.gives(self.token(header, **changed))

    def gives(self, token: object) -> None:
        self.answers["token"] = Answer({"access_token": "secret-access", "token_type": "Bearer", "id_token": token})

    async def heard(self, name: str) -> None:
        """Waits until that endpoint was asked."""
        await self._heard[name].wait()

    async def __aenter__(self) -> Self:
        app = web.Application()
        for name, path in (
            ("discovery", "/{before:.*}.well-known/openid-configuration"),
            ("device", "/device"),
            ("token", "/token"),
            ("keys", "/keys"),
        ):
            app.router.add_route("*", path, self._endpoint(name))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._released.set()
        if self._runner:
            await self._runner.cleanup()

    # ------------------------------------------------------------------ its endpoints

    def _endpoint(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            form = {key: str(value) for key, value in (await request.post()).items()}
            self.asked[name].append(Asked(form, dict(request.headers), request.path))
            self._heard[name].set()
            queue = self.next[name]
            return await self._say(request, queue.popleft() if queue else self._answer(name))

        return answer

    def _answer(self, name: str) -> Answer:
        if name in self.answers:
            return self.answers[name]
        if name == "discovery":
            return Answer({key: value for key, value in self._document().items() if value is not None})
        if name == "keys":
            return Answer({"keys": [{**key.as_dict(private=False), **self.key_members} for key in self.published]})
        if name == "device":
            return Answer(self.grant())
        return refusal("authorization_pending")

    def _document(self) -> dict[str, Any]:
        at = self.issuer.split("/", 3)
        origin = "/".join(at[:3]) if self._issuer else self.root
        return {
            "issuer": self.issuer,
            "device_authorization_endpoint": f"{origin}/device",
            "token_endpoint": f"{origin}/token",
            "jwks_uri": f"{origin}/keys",
            **self.document,
        }

    def grant(self, **changed: Any) -> dict[str, Any]:
        """The answer to the device authorization request, as in RFC 8628, 3.2."""
        sound = {
            "device_code": DEVICE_CODE,
            "user_code": "WDJB-MJHT",
            "verification_uri": "https://example.com/device",
            "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
            "expires_in": 1800,
            "interval": 5,
        }
        return {name: value for name, value in {**sound, **changed}.items() if value is not None}

    async def _say(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        if answer is HANGS:
            await self._released.wait()
        if answer is DROPS:
            assert request.transport
            request.transport.close()
        body = answer.body
        raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        headers = {"Content-Type": "application/json", **answer.headers}
        return web.Response(body=raw, status=answer.status, headers=headers)
