"""The same provider as Entra ID v2.0 speaks: addresses with the tenant in them, its errors, its claims.

Spelled after its reference of AADSTS codes and after answers that people published in issues.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.e2e.forging import Forger

Answer = dict[str, Any]

CONTOSO = "8c1f0d52-3f0e-4a6b-9d0c-5d1f6f2c7a10"  # the tenants of provider.mjs
FABRIKAM = "f4b1f7d6-2a51-4e1e-8f0b-0f6f1d9a5b22"
TRACE = "3d1f7a90-58a4-4e8c-8f0d-5a1c6c5e2b7f"  # and correlation, of every refusal

NAME = "login.microsoftonline.com"
PAGE = "https://microsoft.com/devicelogin"

_ALIASES = ("common", "contoso.example")
_PATHS = {
    "/v2.0/.well-known/openid-configuration": "/.well-known/openid-configuration",
    "/discovery/v2.0/keys": "/jwks",
    "/oauth2/v2.0/devicecode": "/device/auth",
    "/oauth2/v2.0/token": "/token",
}
_SPELLINGS = {
    "authorization_pending": ("authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending."),
    "access_denied": ("authorization_declined", 70017, "The end user denied the authorization request."),
    "expired_token": ("expired_token", 70020, "The value of 'device_code' is not valid. This device code has expired."),
    "invalid_grant": ("bad_verification_code", 70018, "Invalid verification code."),
    "invalid_client": ("invalid_client", 7000215, "Invalid client secret provided."),
    "slow_down": ("slow_down", 70016, "Polling too fast."),
}
BLOCKED: Answer = {
    "error": "interaction_required",
    "suberror": "message_only",
    "aadsts": 53003,
    "error_description": "Access has been blocked by Conditional Access policies. The access policy does not allow"
    " token issuance.",
}  # layer.next("poll", BLOCKED)
BLOCKED_AS_GRANT: Answer = BLOCKED | {"error": "invalid_grant", "suberror": ""}  # its number alone tells
BLOCKED_BY_SECURITY: Answer = BLOCKED | {"error": "access_denied", "aadsts": 530032}
BLOCKED_ANEW: Answer = BLOCKED | {"error": "invalid_grant", "aadsts": 999123}  # a number of tomorrow
UNAVAILABLE: Answer = {
    "error": "temporarily_unavailable",
    "aadsts": 90033,
    "error_description": "A transient error has occurred. Please try again.",
}
NO_CONSENT: Answer = {
    "error": "invalid_grant",
    "suberror": "consent_required",
    "aadsts": 65001,
    "error_description": "The user or administrator has not consented to use the application.",
}


class Entra:
    """What `Layer.entra` is while the provider speaks like this. `page`: where it says that codes are typed."""

    def __init__(self, base: str, tenant: str = CONTOSO, page: str = "") -> None:
        self.base, self.tenant, self._page = base, tenant, page

    @property
    def issuer(self) -> str:
        return f"{self.base}/{self.tenant}/v2.0"

    def path(self, asked: str) -> str:
        """The provider's own path for one of Entra's; those without a tenant are the pages for people."""
        tenant, _, rest = asked.lstrip("/").partition("/")
        if tenant not in (self.tenant, *_ALIASES):
            return asked
        return _PATHS.get(f"/{rest}", "/not-found")

    def spelled(self, refusal: Mapping[str, Any]) -> Answer:
        """A refusal as Entra words it: its own number and sentence where the body brings them (`aadsts`)."""
        error, number, text = _SPELLINGS.get(str(refusal["error"]), (refusal["error"], 900144, "Bad request."))
        if "aadsts" in refusal:
            error, number, text = refusal["error"], refusal["aadsts"], refusal["error_description"]
        when = "2026-11-30 09:12:44Z"
        return {
            "error": error,
            "error_description": f"AADSTS{number}: {text} Trace ID: {TRACE} Correlation ID: {TRACE} Timestamp: {when}",
            "error_codes": [number],
            "timestamp": when,
            "trace_id": TRACE,
            "correlation_id": TRACE,
            "error_uri": f"https://login.microsoftonline.com/error?code={number}",
        } | ({"suberror": refusal["suberror"]} if refusal.get("suberror") else {})

    def answered(self, place: str, asked: str, answer: Answer, forger: Forger) -> Answer:
        """`asked`: the path of the request."""
        match place:
            case "discovery":
                return self._described(asked.split("/")[1])
            case "keys":
                return {"keys": [key | {"issuer": f"{self.base}/{{tenantid}}/v2.0"} for key in answer["keys"]]}
            case "start":
                return self._begun(answer)
            case "poll":
                return forger.resigned(self._claims, answer)
        return answer

    def _described(self, tenant: str) -> Answer:
        """By `common` the place of the tenant is left open; by a domain name it is filled with the tenant's id."""
        base, place = f"{self.base}/{tenant}", "{tenantid}" if tenant == "common" else self.tenant
        return {
            "issuer": f"{self.base}/{place}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        }

    def _begun(self, answer: Answer) -> Answer:
        page, code = self._page or answer["verification_uri"], answer["user_code"]
        return {
            "user_code": code,
            "device_code": answer["device_code"],
            "verification_uri": page,
            "expires_in": answer["expires_in"],
            "interval": 5,
            "message": f"To sign in, use a web browser to open the page {page} and enter the code {code}.",
        }

    def _claims(self, claims: Answer) -> Answer:
        """Its `sub` differs for each application; there is no `email` unless an application asks for it."""
        kept = {name: claims[name] for name in ("aud", "iat", "exp", "oid", "preferred_username") if name in claims}
        tenant = claims.get("tid", self.tenant)
        own = {"iss": f"{self.base}/{tenant}/v2.0", "tid": tenant, "nbf": claims["iat"], "ver": "2.0"}
        return kept | own | {"sub": "pairwise-" + claims["sub"][:4], "name": "Meeting room", "rh": "0.", "uti": "x"}
