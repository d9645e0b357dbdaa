"""A small OpenID provider on the service's own loopback port, so that remote sign-in works without a tenant.

It speaks the device authorization grant (RFC 8628) to one public client and signs ID tokens with a key that is made
when it starts. There are no accounts and no passwords behind it: whoever types the code says who they are.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from aiohttp import hdrs, web
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from bot.demo.forms import NotAForm, read_form
from bot.demo.grants import MOST_GRANTS, Grants, NotGranted
from bot.demo.provider_page import ProviderPage, account_named
from bot.problems import RequestRefused

DEMO_PATH: Final = "/demo/idp"
DEMO_CLIENT_ID: Final = "provisioning-bot"
DEMO_LIFETIME: Final = timedelta(minutes=15)
DEMO_INTERVAL: Final = timedelta(seconds=2)  # whoever tries it out sees at once that it worked
TOKEN_LIFETIME: Final = timedelta(hours=1)
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
ALGORITHM: Final = "ES256"
CURVE: Final = "P-256"
NOT_KEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}


class OAuthError(Exception):
    """An answer of RFC 6749, 5.2."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.status = error, status


def issuer(port: int, host: str = "127.0.0.1") -> str:
    """Where the provider of the service on this port is found: what OIDC_ISSUER is in local mode."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{DEMO_PATH}"


class DemoProvider:
    """The provider's endpoints; `now` is the service's own clock, so that tokens are never of another time."""

    def __init__(
        self,
        port: int,
        *,
        organisation: str,
        tenant_id: str,
        accounts: Sequence[str],
        now: Callable[[], datetime],
        host: str = "127.0.0.1",
        client_id: str = DEMO_CLIENT_ID,
        lifetime: timedelta = DEMO_LIFETIME,
        interval: timedelta = DEMO_INTERVAL,
        most: int = MOST_GRANTS,
    ) -> None:
        self.issuer = issuer(port, host)
        self._tenant_id = tenant_id
        self._client_id = client_id
        self._now = now
        self._lifetime = lifetime
        self._key = ECKey.generate_key(CURVE, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
        self._grants = Grants(now, lifetime, interval, most)
        self._page = ProviderPage(self._grants, organisation, accounts)

    def routes(self) -> list[web.RouteDef]:
        """What a client calls, and the page on which people type a code."""
        return [
            web.get(f"{DEMO_PATH}/.well-known/openid-configuration", self.discovery),
            web.get(f"{DEMO_PATH}/jwks", self.jwks),
            web.post(f"{DEMO_PATH}/device_authorization", self.device_authorization),
            web.post(f"{DEMO_PATH}/token", self.token),
            web.get(f"{DEMO_PATH}/device", self._page.ask),
            web.post(f"{DEMO_PATH}/device", self._page.take),
        ]

    async def discovery(self, _: web.Request) -> web.Response:
        """OpenID Connect Discovery 1.0, section 3; there is no authorization endpoint, for nothing here redirects."""
        return web.json_response(
            {
                "issuer": self.issuer,
                "device_authorization_endpoint": f"{self.issuer}/device_authorization",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "grant_types_supported": [DEVICE_GRANT],
                "response_types_supported": [],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "token_endpoint_auth_methods_supported": ["none"],
                "scopes_supported": ["openid", "profile"],
                "claims_supported": ["iss", "aud", "sub", "iat", "exp", "oid", "tid", "preferred_username", "name"],
            }
        )

    async def jwks(self, _: web.Request) -> web.Response:
        return web.json_response(KeySet([self._key]).as_dict(private=False))

    async def device_authorization(self, request: web.Request) -> web.Response:
        """RFC 8628, 3.2. `login_hint` is the account that the page then proposes (OpenID Connect Core, 3.1.2.1)."""
        try:
            form = await self._client_form(request)
            if "openid" not in form.get("scope", "").split():
                raise OAuthError("invalid_scope")
        except OAuthError as refused:
            return _refusal(refused)
        grant = self._grants.begin(account_named(form.get("login_hint", "")))
        answer = {
            "device_code": grant.device_code,
            "user_code": grant.shown_code,
            "verification_uri": f"{self.issuer}/device",
            "expires_in": int(self._lifetime.total_seconds()),
            "interval": int(grant.interval.total_seconds()),
        }
        return web.json_response(answer, headers=NOT_KEPT)

    async def token(self, request: web.Request) -> web.Response:
        """RFC 8628, 3.4: one poll. Once somebody approved, the next one is answered with the tokens, however early."""
        try:
            form = await self._client_form(request)
            account = self._redeem(form)
        except OAuthError as refused:
            return _refusal(refused)
        answer = {
            "token_type": "Bearer",
            "access_token": secrets.token_urlsafe(32),  # opens nothing
            "expires_in": int(TOKEN_LIFETIME.total_seconds()),
            "scope": "openid profile",
            "id_token": self._id_token(account),
        }
        return web.json_response(answer, headers=NOT_KEPT)

    async def _client_form(self, request: web.Request) -> Mapping[str, str]:
        """The form of our one client, which is public: a secret or another name is not its own."""
        try:
            form = await read_form(request)
        except (NotAForm, RequestRefused):
            raise OAuthError("invalid_request") from None
        if hdrs.AUTHORIZATION in request.headers or "client_secret" in form or form.get("client_id") != self._client_id:
            raise OAuthError("invalid_client", 401)
        return form

    def _redeem(self, form: Mapping[str, str]) -> str:
        if "grant_type" not in form:
            raise OAuthError("invalid_request")
        if form["grant_type"] != DEVICE_GRANT:
            raise OAuthError("unsupported_grant_type")
        if "device_code" not in form:
            raise OAuthError("invalid_request")
        try:
            return self._grants.poll(form["device_code"])
        except NotGranted as why:
            raise OAuthError(why.reason) from None

    def _id_token(self, account: str) -> str:
        issued = int(self._now().timestamp())
        subject = object_id(self._tenant_id, account)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self._client_id,
            "sub": subject,
            "oid": subject,
            "tid": self._tenant_id,
            "preferred_username": account,
            "name": account.partition("@")[0],
            "iat": issued,
            "exp": issued + int(TOKEN_LIFETIME.total_seconds()),
        }
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid}, claims, self._key, algorithms=[ALGORITHM])


def object_id(tenant_id: str, account: str) -> str:
    """The same for the same account at every start, however it is spelled."""
    return str(uuid5(NAMESPACE_URL, f"{tenant_id}/{account.casefold()}"))


def _refusal(refused: OAuthError) -> web.Response:
    headers = {**NOT_KEPT, hdrs.WWW_AUTHENTICATE: "Basic"} if refused.status == 401 else NOT_KEPT
    return web.json_response({"error": refused.error}, status=refused.status, headers=headers)
